#!/bin/sh
# Makes one person's four key pairs with the `openssl` command alone.

set -eu
LC_ALL=C
export LC_ALL
# What this script writes is for its owner alone from its first byte on.
umask 077
# An exported variable stays exported when it is set anew: the password must not reach any environment.
unset password again

usage() {
    cat <<'END'
usage: scripts/gen-user-keys.sh [--force] [--bits N] [--password-file FILE] [--keys-dir DIR] NAME

Makes in DIR/users/NAME four key pairs: identity (RSA, signs) and encryption (RSA, opens what others send),
and ed25519 and x25519, which do the same for modern messages. The private keys are locked with a password; `topchat register NAME` asks for it and takes these keys.

  --bits N               size of each RSA key, a multiple of 8 from 2048 to 4096 (3072)
  --password-file FILE   the password is FILE's first line (else it is asked for on the terminal)
  --keys-dir DIR         where keys are kept (keys)
  --force                replace the keys that are there; what was sent to them can't be opened any more
  -h, --help             show this text

A password has 8 to 128 bytes of UTF-8 and no control character. Accented letters are taken as they are
typed; topchat composes them (NFC), so avoid separate combining marks.

Exit codes: 0 made, 1 unexpected, 2 usage, 3 the keys exist or can't be written.
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

misused() {
    fail 2 "$1" "scripts/gen-user-keys.sh --help"
}

check_name() {
    case $1 in
        '') misused "which NAME?" ;;
        [Aa][Ll][Ll]) fail 2 "ALL means everybody and can't be a name" ;;
        [!a-z]*) fail 2 "a name begins with a letter from a to z" ;;
        *[!a-z0-9_-]*) fail 2 "a name has only letters from a to z, digits, _ and -" ;;
    esac
    [ ${#1} -le 32 ] || fail 2 "a name has at most 32 characters, this one has ${#1}"
}

check_bits() {
    # Four digits exactly: no longer number, sign or base reaches the arithmetic.
    case $1 in
        [1-9][0-9][0-9][0-9]) ;;
        *) fail 2 "--bits takes a multiple of 8 from 2048 to 4096" ;;
    esac
    # OpenSSL would make an odd size one bit smaller in silence.
    if [ "$1" -lt 2048 ] || [ "$1" -gt 4096 ] || [ $(($1 % 8)) -ne 0 ]; then
        fail 2 "--bits takes a multiple of 8 from 2048 to 4096, not $1"
    fi
}

check_password() {
    [ ${#password} -ge 8 ] || fail 2 "the password is too short: 8 bytes at least"
    [ ${#password} -le 128 ] || fail 2 "the password is too long: 128 bytes at most, this one has ${#password}"
    case $password in
        *[[:cntrl:]]*) fail 2 "the password has a control character" "in a file, end the line with LF, not with CR LF" ;;
    esac
    if command -v iconv >/dev/null && ! printf '%s' "$password" | iconv -f UTF-8 -t UTF-8 >/dev/null 2>&1; then
        fail 2 "the password is not UTF-8"
    fi
}

read_password_file() {
    if [ ! -r "$password_file" ] || [ -d "$password_file" ]; then
        fail 3 "the password file $password_file can't be read"
    fi
    # The shell would drop a NUL in silence; as another control character it is refused.
    password=$(head -n 1 "$password_file" | tr '\000' '\001')
}

ask_password() {
    if ! (: </dev/tty) 2>/dev/null; then
        fail 2 "no terminal to ask for a password" "give it with --password-file FILE"
    fi
    terminal=$(stty -g </dev/tty)
    stty -echo </dev/tty
    printf 'password for the keys of %s (8 or more): ' "$name" >/dev/tty
    IFS= read -r password </dev/tty || password=
    printf '\nagain: ' >/dev/tty
    IFS= read -r again </dev/tty || again=
    printf '\n' >/dev/tty
    restore_terminal
    [ "$password" = "$again" ] || fail 2 "the two passwords differ"
}

restore_terminal() {
    if [ -n "$terminal" ]; then
        stty "$terminal" </dev/tty
        terminal=
    fi
}

refuse_existing() {
    fail 3 "$users/$name exists. What was sent to its keys could never be opened again. Use --force to replace it."
}

# Makes the key pair $1 with the options of genpkey that follow. The private key goes from one process to the next, never to
# the disk unlocked; the password goes through a pipe, never through arguments or the environment.
make_pair() {
    pair=$1
    shift
    openssl genpkey -quiet "$@" | {
        printf '%s\n' "$password" |
            openssl pkcs8 -topk8 -scrypt -v2 aes-256-cbc -passout fd:4 -out "$work/$name/$pair.pem" 4<&0 <&3
    } 3<&0 || fail 1 "openssl could not make the $pair key"
    printf '%s\n' "$password" |
        openssl pkey -in "$work/$name/$pair.pem" -passin stdin -pubout -out "$work/$name/$pair.pub.pem" ||
        fail 1 "openssl could not open the $pair key it has just made"
}

# SHA-256 of the key's DER SubjectPublicKeyInfo, in groups of four digits and a wider gap after each sixteen.
fingerprint() {
    digest=$(openssl pkey -pubin -in "$1" -outform DER | openssl dgst -sha256 -r) || digest=
    digest=${digest%% *}
    [ ${#digest} -eq 64 ] || fail 1 "openssl could not hash $1"
    printf '%s\n' "$digest" | sed -e 's/\(....\)\(....\)\(....\)\(....\)/\1 \2 \3 \4  /g' -e 's/ *$//'
}

# Runs on every way out. The old keys come back unless the new ones stand in their place.
clean_up() {
    restore_terminal
    if [ -n "$work" ]; then
        if [ -d "$work/old/$name" ] && [ ! -e "$users/$name" ] && ! mv -f "$work/old/$name" "$users/"; then
            printf 'hint: the old keys of %s are in %s\n' "$name" "$work/old/$name" >&2
            return
        fi
        rm -rf "$work"
    fi
}

# Puts the finished folder in its place, all its files at once.
#
# mv gets the folder that holds it as its target, so that it can only rename, never move into keys
# that are there: rename(2) refuses a folder with something in it.
publish() {
    if [ $force = yes ] && [ -e "$users/$name" ]; then
        mkdir "$work/old"
        mv -f "$users/$name" "$work/old/" || fail 3 "the old keys in $users/$name can't be moved away"
    fi
    if ! mv -f "$work/$name" "$users/" 2>/dev/null; then
        [ ! -e "$users/$name" ] || refuse_existing
        fail 3 "$users/$name can't be made"
    fi
}

force=no
bits=3072
keys_dir=keys
password_file=
name=
named=no
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --force) force=yes ;;
        --bits | --password-file | --keys-dir)
            [ -n "${2-}" ] || misused "$1 needs a value"
            case $1 in
                --bits) bits=$2 ;;
                --password-file) password_file=$2 ;;
                --keys-dir) keys_dir=$2 ;;
            esac
            shift
            ;;
        --bits=*) bits=${1#*=} ;;
        --password-file=?*) password_file=${1#*=} ;;
        --keys-dir=?*) keys_dir=${1#*=} ;;
        -*) misused "unknown option $1" ;;
        *)
            [ $named = no ] || misused "one NAME only, \"$1\" is a second one"
            name=$1
            named=yes
            ;;
    esac
    shift
done
check_name "$name"
check_bits "$bits"
# The tools below take a path that begins with a dash for an option.
case $keys_dir in
    -*) keys_dir=./$keys_dir ;;
esac
case $password_file in
    -*) password_file=./$password_file ;;
esac

command -v openssl >/dev/null || fail 1 "the openssl command is missing" "run scripts/bootstrap.sh"
users=$keys_dir/users
if [ -L "$users/$name" ]; then
    fail 3 "$users/$name is a symbolic link" "remove it, or choose another --keys-dir"
fi
if [ $force = no ] && [ -e "$users/$name" ]; then
    refuse_existing
fi

work=
terminal=
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

if [ -n "$password_file" ]; then
    read_password_file
else
    ask_password
fi
check_password

mkdir -p "$users" || fail 3 "the folder $users can't be made"
work=$(mktemp -d "$users/.$name.XXXXXX") || fail 3 "nothing can be made in $users"
mkdir "$work/$name"
for pair in identity encryption; do
    make_pair $pair -algorithm RSA -pkeyopt "rsa_keygen_bits:$bits" -pkeyopt rsa_keygen_pubexp:65537
done
make_pair ed25519 -algorithm ED25519
make_pair x25519 -algorithm X25519
mark=$(fingerprint "$work/$name/identity.pub.pem") || exit
publish

printf 'keys made           %s, locked with the password\n' "$users/$name"
printf 'fingerprint         %s\n' "$mark"
case $0 in
    */*) client=${0%/*}/topchat ;;
    *) client=topchat ;;
esac
# The client of this clone uses the keys of this clone, and no others.
if [ -x "$client" ] && [ "$(cd "$keys_dir" && pwd -P)" = "$(cd "${client%topchat}.." && pwd -P)/keys" ]; then
    printf 'next                %s register %s\n' "$client" "$name"
else
    printf 'next                topchat register %s --keys-dir %s\n' "$name" "$keys_dir"
fi
