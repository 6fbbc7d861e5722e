#!/bin/sh
# Runs the README's commands on fresh machines: minimal roots of Debian with git, make and Rust, and nothing else.

set -eu
# Rust of a login that has not read its new profile yet.
PATH=$PATH:${HOME:-/root}/.cargo/bin
LC_ALL=C.UTF-8
export LC_ALL

usage() {
    cat <<'END'
usage: scripts/test-fresh.sh [SUITE...]

In a minimal root of each SUITE of Debian (bookworm trixie): make run-server, make run-client, make test,
as the README says them, on a clone of what is committed here. Debian's packages come from where this
machine has its own; Rust and the crates are this machine's.

Needs root, for the roots are namespaces of their own: nothing of them outlives this script, but the
archive of each fresh root, which the next run begins with. debootstrap is installed where it is missing.

Environment:
  TARGET  folder of what is built; the roots go to its subfolder fresh (target)
  MIRROR  where Debian's packages come from (that of this machine's apt)
  ARGS    arguments of make test
  KEEP    not empty: the roots stay, for a look

Exit codes: 0 all held in all of them, 1 something failed, 2 usage, 3 this machine can't do it.
END
}

stop() {
    printf 'error: %s\n' "$1" >&2
    printf 'hint: %s\n' "$2" >&2
    exit 3
}

# Where this machine's apt gets its packages: the first place of its lists in either format that is no other archive.
mirror() {
    set -- /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list
    for list; do
        [ -e "$list" ] || continue
        sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
            -e 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' "$list"
    done | grep '/debian/*$' | head -n 1
}

# The settings of this machine's apt for the way to its packages, as a proxy, in apt's own words.
apt_settings() {
    apt-config dump | grep '^Acquire::' | grep -v '^Acquire::\(IndexTargets\|Changelogs\|Languages\)'
}

# The same proxy for debootstrap, which does not ask apt.
take_proxy() {
    proxy=
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
        http_proxy=$proxy
        export http_proxy
    fi
}

check_machine() {
    [ "$(id -u)" = 0 ] || stop 'this needs root, for roots of their own' 'sudo make test-fresh'
    command -v apt-get >/dev/null || stop 'this needs a machine with apt' 'run it in Debian or one of its kin'
    unshare --mount --pid --fork true 2>/dev/null ||
        stop 'this machine allows no namespaces of mounts and processes' 'in a container: run it with --privileged'
    rust=$(rustc --print sysroot)
    [ "$rust" != /usr ] || stop 'Rust of the distribution can not be lent to another root' 'get Rust by rustup: see the README'
    if ! command -v debootstrap >/dev/null; then
        echo 'installing debootstrap' >&2
        DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap >&2 || {
            apt-get update >&2
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends debootstrap >&2
        }
    fi
    mirror=${MIRROR:-$(mirror)}
    [ -n "$mirror" ] || stop "this machine's apt names no archive of Debian" 'name one: MIRROR=URL make test-fresh'
    take_proxy
}

# Makes the archive of a fresh root of suite $1, once.
make_archive() {
    [ ! -e "$work/$1.tar" ] || return 0
    echo "== $1: making a minimal root" >&2
    debootstrap --variant=minbase --include=git,make "$1" "$work/$1.new" "$mirror" >"$work/$1.log" 2>&1 || {
        tail -n 20 "$work/$1.log" >&2
        stop "debootstrap could not make a root of $1" "read $work/$1.log"
    }
    tar -C "$work/$1.new" -cf "$work/$1.tar.new" .
    rm -rf "$work/$1.new"
    mv "$work/$1.tar.new" "$work/$1.tar"
}

# Unpacks a root of suite $1 to $root, with a clone of this project and no way to anything but Debian's packages.
unpack() {
    rm -rf "$root"
    mkdir -p "$root"
    tar -C "$root" -xf "$work/$1.tar"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    printf 'deb %s %s main\n' "$mirror" "$1" >"$root/etc/apt/sources.list"
    apt_settings >"$root/etc/apt/apt.conf.d/99-this-machine"
    git clone --quiet --no-hardlinks . "$root/root/topchat"
}

# What a namespace of its own does: lends Rust and the crates, and goes into the root.
enter() {
    cd "$FRESH_ROOT"
    mount --rbind /dev dev
    mount -t proc proc proc
    mount -t sysfs -o ro sysfs sys
    lend "$FRESH_RUST" opt/rust
    lend "$FRESH_CRATES" root/.cargo/registry
    # What is built there is built once: notes for the next time would be gigabytes for nothing.
    # No `exec`: the first process of a namespace has to take up whoever is orphaned, as this shell does.
    env -i HOME=/root LC_ALL=C.UTF-8 CARGO_NET_OFFLINE=true CARGO_INCREMENTAL=0 TEST_ARGS="${ARGS:-}" \
        PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        chroot . /bin/sh -c 'cd /root/topchat && scripts/test-fresh.sh --inside' </dev/null
}

# Shows folder $1 at $2, where nobody can change it.
lend() {
    mkdir -p "$2"
    mount --bind "$1" "$2"
    mount -o remount,bind,ro "$2"
}

# What a person types there.
inside() {
    said=$(mktemp -u)
    mkfifo -m 600 "$said"
    typed make run-server 2>"$said" &
    server=$!
    exec 3<"$said"
    while read -r line <&3; do
        printf '%s\n' "$line"
        case $line in ready*) break ;; esac
    done
    cat <&3 &

    password=$(mktemp)
    echo 'correct horse battery' >"$password"
    for name in alice bob; do
        typed make run-client ARGS="register $name --password-file $password"
    done
    typed make run-client ARGS="send bob hello --user alice --password-file $password"
    received=$(mktemp)
    typed make run-client ARGS="listen --count 1 --timeout 60 --user bob --password-file $password" >"$received"
    cat "$received"
    grep -q hello "$received"
    kill "$server"
    wait "$server" || :
    exec 3<&-

    # shellcheck disable=SC2086 # none at all if there are none
    typed make test ${TEST_ARGS:+"ARGS=$TEST_ARGS"}
}

typed() {
    printf '\n$ %s\n' "$*" >&2
    "$@"
}

case ${1-} in
    -h | --help)
        usage
        exit 0
        ;;
    --enter)
        enter
        exit
        ;;
    --inside)
        inside
        exit
        ;;
    -*)
        printf 'error: unknown option %s\nhint: scripts/test-fresh.sh --help\n' "$1" >&2
        exit 2
        ;;
esac
cd "${0%/*}/.."
check_machine
mkdir -p "${TARGET:-target}/fresh"
work=$(cd "${TARGET:-target}/fresh" && pwd)
cargo fetch --locked --quiet
[ $# -gt 0 ] || set -- bookworm trixie
failed=
for suite; do
    root=$work/$suite
    make_archive "$suite"
    unpack "$suite"
    echo "== $suite: $(sed -n 's/^PRETTY_NAME="\(.*\)"/\1/p' "$root/etc/os-release"); all of it goes to $work/$suite.log" >&2
    code=0
    # In the background, for unshare itself hears neither SIGINT nor SIGTERM.
    FRESH_ROOT=$root FRESH_RUST=$rust FRESH_CRATES=${CARGO_HOME:-$HOME/.cargo}/registry \
        unshare --mount --pid --fork --kill-child "$0" --enter >"$work/$suite.log" 2>&1 &
    inside=$!
    trap 'kill -KILL "$inside"; exit 130' INT TERM HUP
    wait "$inside" || code=$?
    trap - INT TERM HUP
    grep '^\$\|^test result\|^error\|^make\|^ready' "$work/$suite.log" >&2 || :
    if [ $code -eq 0 ]; then
        echo "== $suite: all held" >&2
    else
        echo "== $suite: FAILED ($code); the end of its log:" >&2
        tail -n 60 "$work/$suite.log" >&2
        failed="$failed $suite"
    fi
    [ -n "${KEEP:-}" ] || rm -rf "$root"
done
[ -z "$failed" ]
