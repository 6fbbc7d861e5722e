#!/bin/sh
# Compares the server with others under the same load: make bench-peers
#
# Debian's packages of the others are installed if they are missing; the bare thread relay is the load generator itself. Each
# server is started on the loopback alone, on a free port and a folder of its own, and ended by the load generator, which prints
# the configurations. BENCH_SECONDS (of each case) and BENCH_ROUNDS make it longer or shorter.
set -eu

cd "$(dirname "$0")/.."
TARGET=${TARGET:-target}
PATH=$PATH:/usr/sbin:/usr/local/sbin

missing=
for program in nats-server mosquitto redis-server ngircd; do
    command -v "$program" >/dev/null || missing="$missing $program"
done
if [ -n "$missing" ]; then
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    if ! command -v apt-get >/dev/null; then
        echo "error: these are missing:$missing" >&2
        echo "hint: install them with this system's packages" >&2
        exit 1
    fi
    # None of them is to run as a service because of this.
    # shellcheck disable=SC2086
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

BENCH_SECONDS=${BENCH_SECONDS:-1} BENCH_ROUNDS=${BENCH_ROUNDS:-5} exec "$TARGET/release/topchat-load" peers \
    --server "$TARGET/release/topchat-server" --json "$TARGET/bench-peers.json" \
    --doc docs/BENCHMARKS.md --svg docs/benchmarks.svg "$@"
