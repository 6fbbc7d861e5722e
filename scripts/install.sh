#!/bin/sh
# Puts what was built where a system looks for it, and takes it away again.

set -eu
LC_ALL=C
export LC_ALL
umask 022

usage() {
    cat <<'END'
usage: scripts/install.sh install|uninstall

Installs the programs, their man pages and shell completions, the documents, the key scripts and a
systemd unit, or removes them with the folders that it made. `make install` builds them first.

Environment:
  PREFIX    where they will run from (/usr/local)
  DESTDIR   folder to put before PREFIX, as for building a package
  TARGET    folder of what was built (target)

Exit codes: 0 done, 1 something is not built, 2 usage, 3 a file can't be written.
END
}

fail() {
    code=$1
    shift
    printf 'error: %s\n' "$1" >&2
    if [ $# -gt 1 ]; then
        printf 'hint: %s\n' "$2" >&2
    fi
    exit "$code"
}

# Mode, source and place of each file, apart from the man pages and the unit.
files() {
    for program in topchat topchat-server; do
        echo "755 $target/release/$program bin/$program"
        echo "644 $target/completions/$program.bash share/bash-completion/completions/$program"
        echo "644 $target/completions/_$program share/zsh/site-functions/_$program"
        echo "644 $target/completions/$program.fish share/fish/vendor_completions.d/$program.fish"
    done
    for script in gen-des-key.sh gen-group-key.sh gen-user-keys.sh; do
        echo "755 scripts/$script share/topchat/$script"
    done
    for document in *.md LICENSE-* docs/* keys/README.md; do
        echo "644 $document share/doc/topchat/$document"
    done
    echo "644 packaging/topchat.sysusers lib/sysusers.d/topchat.conf"
}

# Makes a folder and those above it, and notes each that was not there.
make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")"
    mkdir "$1" || fail 3 "the folder $1 can't be made" "$elsewhere"
    case $1 in
        "$destination"/*) printf '%s\n' "${1#"$destination"}" >>"$made" ;;
    esac
}

# Copies file $2 to $3 with mode $1: whole or not at all, and never into a program that runs.
put() {
    folder=$(dirname "$3")
    make_folder "$folder"
    temp=$folder/.topchat-install.$$
    { cp "$2" "$temp" && chmod "$1" "$temp" && mv -f "$temp" "$3"; } || {
        rm -f "$temp"
        fail 3 "$3 can't be written" "$elsewhere"
    }
}

install_all() {
    [ -e "$target/release/topchat" ] && [ -e "$target/man/topchat.1" ] && [ -e "$target/completions/topchat.bash" ] ||
        fail 1 "not everything is built" "make build man completions"
    : >"$made"
    files | while read -r mode from to; do
        put "$mode" "$from" "$place/$to" || exit
    done
    for page in "$target"/man/*.1; do
        put 644 "$page" "$place/share/man/man1/${page##*/}"
    done
    sed "s|@BINDIR@|$prefix/bin|" packaging/topchat-server.service >"$target/topchat-server.service"
    put 644 "$target/topchat-server.service" "$place/$unit"
    if [ -e "$place/$folders" ]; then
        cat "$place/$folders" >>"$made"
    fi
    put 644 "$made" "$place/$folders"
    rm -f "$made"
}

# What is where now, and what to do next.
tell() {
    cat <<END
programs      $place/bin/topchat, topchat-server
man pages     $place/share/man/man1
completions   $place/share for bash, zsh and fish
documents     $place/share/doc/topchat
key scripts   $place/share/topchat
service       $place/$unit
END
    # What lies in DESTDIR will be used from elsewhere.
    [ -z "$destination" ] || return 0
    case :$PATH: in
        *:"$prefix/bin":*) ;;
        *) printf 'not yet found: %s/bin is not in PATH. To be put into ~/.profile:\n    export PATH="%s/bin:$PATH"\n' "$prefix" "$prefix" ;;
    esac
    case $prefix in
        /usr | /usr/local) service='systemd-sysusers && systemctl daemon-reload && systemctl enable --now topchat-server' ;;
        # It may not look into home folders, so it would find no program there.
        /home/* | /root/*) return ;;
        *) service="systemd-sysusers $prefix/lib/sysusers.d/topchat.conf && systemctl enable --now $prefix/$unit" ;;
    esac
    printf 'as a service, by root:\n    %s\n' "$service"
}

uninstall_all() {
    made_here=
    if [ -e "$place/$folders" ]; then
        made_here=$(sort -ru "$place/$folders") || fail 3 "$place/$folders can't be read"
    fi
    files | while read -r mode from to; do
        rm -f "$place/$to" || fail 3 "$place/$to can't be removed"
    done
    rm -f "$place/$unit" "$place/$folders" "$place/share/man/man1/topchat.1" "$place/share/man/man1/topchat-"*.1
    for folder in docs keys .; do
        rmdir "$place/share/doc/topchat/$folder" 2>/dev/null || :
    done
    rmdir "$place/share/doc/topchat" "$place/share/topchat" 2>/dev/null || :
    # Those below others come first; one that holds anything of somebody else's stays.
    printf '%s\n' "$made_here" | while read -r folder; do
        [ -z "$folder" ] || rmdir "$destination$folder" 2>/dev/null || :
    done
    printf 'removed from   %s\n' "$place"
}

case $0 in
    */*) cd "${0%/*}/.." ;;
    *) cd .. ;;
esac
prefix=${PREFIX:-/usr/local}
destination=${DESTDIR:-}
place=$destination$prefix
target=${TARGET:-target}
unit=lib/systemd/system/topchat-server.service
# The folders that were made for it, for `uninstall`.
folders=share/topchat/folders
made=$target/folders
elsewhere="as root: sudo make install, or choose a place of your own: make install PREFIX=\$HOME/.local"
case $prefix in
    /*) ;;
    *) fail 2 "PREFIX must begin with /, $prefix does not" "make install PREFIX=\$HOME/.local" ;;
esac
case $prefix in
    *[!A-Za-z0-9/._+-]*) fail 2 "PREFIX has a character that a systemd unit would read otherwise" "use letters, digits and / . _ + -" ;;
esac
case ${1-} in
    install)
        install_all
        tell
        ;;
    uninstall) uninstall_all ;;
    -h | --help) usage ;;
    *)
        printf 'error: say install or uninstall\nhint: scripts/install.sh --help\n' >&2
        exit 2
        ;;
esac
