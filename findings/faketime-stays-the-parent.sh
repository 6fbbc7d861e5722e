#!/usr/bin/env bash
# Guess: `faketime TIME PROGRAM` sets the environment and becomes the program, as `env` and `nice` do, so that the process one has started
#        is the program, and a signal to it reaches the program.
# Found: it forks, runs the program as a child and waits for it. Ended by a signal, it leaves the program behind, which goes on by itself.
# Version: faketime and libfaketime 0.9.10-2.1 (Debian 12, amd64), 2026-12-01. Output seen:
#   the program is another process than the one started
#   after SIGTERM to the one started: the program goes on
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get download --quiet faketime=0.9.10-2.1 libfaketime=0.9.10-2.1 >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
export LD_LIBRARY_PATH="$place/root/usr/lib/x86_64-linux-gnu/faketime"

mkfifo told
# The program says which process it is, then waits for its end.
PATH="$place/root/usr/bin:$PATH" faketime -f -1d sh -c 'echo $$ > told; exec sleep 60' &
started=$!
program=$(cat told)
seen=()
[ "$program" = "$started" ] || seen+=('the program is another process than the one started')
kill -TERM "$started"
wait "$started" || true
if kill -0 "$program" 2>/dev/null; then
    seen+=('after SIGTERM to the one started: the program goes on')
    kill -TERM "$program"
fi
printf '%s\n' "${seen[@]}"
[ "${#seen[@]}" = 2 ] || { echo 'This has changed.' >&2; exit 1; }
