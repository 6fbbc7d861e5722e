#!/bin/sh
# Builds for use. Says so only where there is something to do: a build that is there already is nobody's news.

set -eu
# Rust of a login that has not read its new profile yet.
PATH=$PATH:${HOME:-/root}/.cargo/bin

usage() {
    cat <<'END'
usage: scripts/build.sh [PACKAGE]

Builds PACKAGE (topchat) in release mode, as `make build` does. On a terminal cargo shows how far it is;
elsewhere one line on stderr says that something is being built.

Exit codes: 0 it is built, 2 usage, others are cargo's.
END
}

# Whether nothing that a build reads is newer than the last one: the sources, the lists of packages, Rust itself.
is_built() {
    [ -e "$stamp" ] || return 1
    rust=$(rustc --print sysroot)/lib/rustlib
    newer=$(find src scripts/pages Cargo.toml Cargo.lock -newer "$stamp" && find "$rust" -prune -newer "$stamp") || return 1
    [ -z "$newer" ]
}

case ${1-} in
    -h | --help)
        usage
        exit 0
        ;;
    -*)
        printf 'error: unknown option %s\nhint: scripts/build.sh --help\n' "$1" >&2
        exit 2
        ;;
esac
case $0 in
    */*) cd "${0%/*}/.." ;;
    *) cd .. ;;
esac
package=${1:-topchat}
folder=${CARGO_TARGET_DIR:-target}/release
stamp=$folder/.built-$package

# Programs only: the library is built in one way for all of them then.
if is_built; then
    exec cargo build --release --locked --quiet --bins --package "$package"
fi
if [ -e "$folder/$package" ]; then
    echo "building $package" >&2
elif [ "$package" = topchat ]; then
    echo 'building topchat: the first time takes some minutes' >&2
else
    echo "building $package: takes a moment" >&2
fi
# What changes while it is being built is newer than the build.
began=$(mktemp)
trap 'rm -f "$began"' EXIT
quiet=--quiet
if [ -t 2 ]; then
    quiet=
fi
# shellcheck disable=SC2086 # no word at all on a terminal
cargo build --release --locked $quiet --bins --package "$package"
touch -r "$began" "$stamp"
