#!/bin/sh
# Finds what a build of TopChat and its tests need and this machine lacks, and installs it where it may.
#
# Says nothing when all is there. Rust itself is never installed, only asked for: whether it comes
# from rustup or from the distribution is the owner's choice.

set -eu
# Rust of a login that has not read its new profile yet.
PATH=$PATH:${HOME:-/root}/.cargo/bin

usage() {
    cat <<'END'
usage: scripts/bootstrap.sh [--tests]

Finds what is missing for a build: Rust, a C compiler, pkg-config, OpenSSL 3 with its headers and
its command; with --tests also what only the tests need: bash and util-linux. Installs with the
system's package manager as root or by sudo without a password; otherwise prints the command and
stops. What was built against other headers of OpenSSL than those of today is built anew.

Exit codes: 0 all is there, 1 something is missing, 2 usage.
END
}

stop() {
    printf 'error: %s\n' "$1" >&2
    printf 'hint: %s\n' "$2" >&2
    exit 1
}

# The value of rust-version in Cargo.toml.
wanted_rust() {
    while read -r word equals value; do
        if [ "$word $equals" = 'rust-version =' ]; then
            value=${value#\"}
            printf '%s' "${value%\"}"
            return
        fi
    done <"$root/Cargo.toml"
}

# Whether version $1 (major.minor...) is at least $2 (major.minor).
at_least() {
    major=${1%%.*}
    minor=${1#*.}
    minor=${minor%%[!0-9]*}
    [ "$major" -gt "${2%%.*}" ] || { [ "$major" -eq "${2%%.*}" ] && [ "$minor" -ge "${2#*.}" ]; }
}

check_rust() {
    wanted=$(wanted_rust)
    if ! command -v rustc >/dev/null || ! command -v cargo >/dev/null; then
        if command -v rustup >/dev/null; then
            stop "rustup has no Rust yet" "rustup default stable"
        fi
        stop "Rust is missing ($wanted or later is needed)" \
            "$(rustup_command)    then run this again"
    fi
    found=$(rustc --version 2>/dev/null) || found=
    found=${found#rustc }
    found=${found%%[ -]*}
    case $found in
        [0-9]*.[0-9]*.*) ;;
        *) stop "rustc does not work" "with rustup: rustup default stable" ;;
    esac
    if ! at_least "$found" "$wanted"; then
        if command -v rustup >/dev/null; then
            stop "Rust $found is too old ($wanted or later is needed)" "rustup update stable && rustup default stable"
        fi
        stop "Rust $found is too old ($wanted or later is needed)" \
            "$(rustup_command)    then run this again in a new terminal"
    fi
}

# What brings rustup: the distribution where it has it, else its authors. A small machine has no curl.
rustup_command() {
    if command -v apt-cache >/dev/null && apt-cache show rustup >/dev/null 2>&1; then
        echo 'apt-get install -y --no-install-recommends rustup && rustup default stable'
        return
    fi
    if ! command -v curl >/dev/null && command -v apt-get >/dev/null; then
        printf '%s' 'apt-get update && apt-get install -y --no-install-recommends curl ca-certificates && '
    fi
    echo "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
}

# A linker without the C library's headers and start files is of no use, so the check includes one header.
has_compiler() {
    command -v cc >/dev/null && echo '#include <stdlib.h>' | cc -E - >/dev/null 2>&1
}

# As the openssl-sys crate looks for it: OPENSSL_DIR, then pkg-config, on macOS also Homebrew's folders.
has_headers() {
    if [ -n "${OPENSSL_DIR:-}" ]; then
        [ -e "$OPENSSL_DIR/include/openssl/ssl.h" ]
        return
    fi
    if command -v pkg-config >/dev/null && pkg-config --exists 'openssl >= 3.0.0'; then
        return
    fi
    [ -e /opt/homebrew/opt/openssl@3/include/openssl/ssl.h ] || [ -e /usr/local/opt/openssl@3/include/openssl/ssl.h ]
}

has_tool() {
    case $(openssl version 2>/dev/null) in
        'OpenSSL '[3-9].*) ;;
        *) return 1 ;;
    esac
}

# What is missing, in words that `package` knows.
missing() {
    words=
    has_compiler || words="$words C-compiler"
    [ -n "${OPENSSL_DIR:-}" ] || command -v pkg-config >/dev/null || words="$words pkg-config"
    has_headers || words="$words OpenSSL-headers"
    has_tool || words="$words openssl"
    command -v make >/dev/null || words="$words make"
    if [ -n "$with_tests" ]; then
        command -v bash >/dev/null || words="$words bash"
        { command -v setsid && command -v prlimit; } >/dev/null || words="$words util-linux"
        command -v faketime >/dev/null || words="$words faketime"
    fi
    printf '%s' "${words# }"
}

package_manager() {
    for manager in apt-get dnf apk pacman zypper brew; do
        if command -v $manager >/dev/null; then
            echo $manager
            return
        fi
    done
}

# The package of manager $1 that brings $2.
package() {
    case $1:$2 in
        apt-get:C-compiler) echo gcc libc6-dev ;;
        apt-get:OpenSSL-headers) echo libssl-dev ;;
        dnf:C-compiler | zypper:C-compiler) echo gcc glibc-devel ;;
        dnf:pkg-config) echo pkgconf-pkg-config ;;
        dnf:OpenSSL-headers) echo openssl-devel ;;
        apk:C-compiler) echo gcc musl-dev ;;
        apk:pkg-config | pacman:pkg-config | brew:pkg-config) echo pkgconf ;;
        apk:OpenSSL-headers) echo openssl-dev openssl-libs-static ;;
        pacman:OpenSSL-headers) echo openssl ;;
        zypper:OpenSSL-headers) echo libopenssl-devel ;;
        brew:OpenSSL-headers | brew:openssl) echo openssl@3 ;;
        dnf:faketime | apk:faketime | pacman:faketime | zypper:faketime | brew:faketime) echo libfaketime ;;
        *:C-compiler) echo gcc ;;
        *) echo "$2" ;;
    esac
}

# The command of manager $1 that installs without a question, and nothing beyond what is needed.
install_command() {
    case $1 in
        apt-get) echo apt-get install -y --no-install-recommends ;;
        dnf) echo dnf install -y --setopt=install_weak_deps=False ;;
        apk) echo apk add ;;
        pacman) echo pacman -Sy --needed --noconfirm ;;
        zypper) echo zypper --non-interactive install --no-recommends ;;
        brew) echo brew install ;;
    esac
}

# Whether this script may install: as root, by sudo without a password, or with Homebrew, which wants neither.
# Sets `sudo` to what stands before the commands.
may_install() {
    sudo=
    if [ "$1" = brew ] || [ "$(id -u)" = 0 ]; then
        return
    fi
    sudo=sudo
    command -v sudo >/dev/null && sudo -n true 2>/dev/null
}

# The same for a person to type.
command_to_type() {
    typed=$1
    if [ "$manager" = apt-get ]; then
        typed="apt-get update && $1"
    fi
    printf "su -c '%s'" "$typed"
    if command -v sudo >/dev/null; then
        printf "    or: sudo sh -c '%s'" "$typed"
    fi
}

# Runs the command in words; its own output goes to stderr, where the words for people are.
run() {
    printf '+ %s\n' "$*" >&2
    "$@" >&2
}

install_missing() {
    manager=$(package_manager)
    if [ -z "$manager" ]; then
        stop "missing for the build: $lacking, and no package manager that this script knows" \
            "install a C compiler, make, pkg-config and OpenSSL 3 with its headers and its command"
    fi
    packages=
    for thing in $lacking; do
        packages="$packages $(package "$manager" "$thing")"
    done
    install="$(install_command "$manager")$packages"
    may_install "$manager" || stop "missing for the build: $lacking" "$(command_to_type "$install")"
    printf 'missing for the build: %s\n' "$lacking" >&2
    # shellcheck disable=SC2086 # the words of $sudo and $install are meant to be split
    if run $sudo $install; then
        return
    fi
    # A fresh machine's apt has no lists of packages and an old one's are stale.
    # shellcheck disable=SC2086 # as above
    if [ "$manager" != apt-get ] || ! run $sudo apt-get update || ! run $sudo $install; then
        stop "$manager could not install$packages" "read its words above; then: $(command_to_type "$install")"
    fi
}

# In one line what a build decides by: the version of OpenSSL's headers, and what they were configured without.
headers_now() {
    cflags=$(pkg-config --cflags openssl 2>/dev/null) || cflags=
    # shellcheck disable=SC2086 # several words, or none
    printf '#include <openssl/%s.h>\n' opensslv opensslconf |
        cc -E -dM ${OPENSSL_DIR:+"-I$OPENSSL_DIR/include"} $cflags - 2>/dev/null |
        while read -r define name value; do
            case $define$name in
                '#define'OPENSSL_VERSION_* | '#define'OPENSSL_NO_*) printf '%s %s; ' "$name" "$value" ;;
            esac
        done
}

# The openssl-sys crate reads the headers once and does not look again: after an upgrade of OpenSSL a build would go on with what it
# knows of the old ones.
forget_other_headers() {
    target=${CARGO_TARGET_DIR:-$root/target}
    noted=$target/.openssl-headers
    now=$(headers_now)
    now=${now% }
    before=
    { [ -e "$noted" ] && read -r before <"$noted"; } || :
    if [ -z "$now" ] || [ "$now" = "$before" ]; then
        return
    fi
    if [ -n "$before" ]; then
        echo 'OpenSSL has other headers than at the last build: what depends on them is built anew' >&2
    fi
    for profile in debug:dev release:release; do
        [ -e "$target/${profile%:*}" ] || continue
        (cd "$root" && cargo clean --quiet --package openssl-sys --profile "${profile#*:}")
        rm -f "$target/${profile%:*}"/.built-*
    done
    [ -d "$target" ] || mkdir -p "$target"
    printf '%s\n' "$now" >"$noted"
}

with_tests=
case ${1-} in
    '') ;;
    --tests) with_tests=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        printf 'error: unknown argument %s\nhint: scripts/bootstrap.sh --help\n' "$1" >&2
        exit 2
        ;;
esac

# apt-get's packages must not stop to ask.
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
case $0 in
    */*) root=${0%/*}/.. ;;
    *) root=.. ;;
esac
check_rust
lacking=$(missing)
if [ -n "$lacking" ]; then
    install_missing
    lacking=$(missing)
    if [ -n "$lacking" ]; then
        stop "still missing for the build after the installation: $lacking" \
            "this system's packages may be too old: OpenSSL 3.0 or later is needed (OPENSSL_DIR can name another one)"
    fi
fi
forget_other_headers
