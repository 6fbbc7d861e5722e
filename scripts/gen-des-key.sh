#!/bin/sh
# Makes the group key file with the `openssl` command alone.

set -eu
LC_ALL=C
export LC_ALL
# What this script writes is for its owner alone from its first byte on.
umask 077

usage() {
    cat <<'END'
usage: scripts/gen-des-key.sh [--force] [FILE]

Makes a new 64-bit DES key for the group and writes it to FILE (keys/group.key).
Every member needs this same file; the server never opens it.

  --force      replace FILE; whoever has only the old key is cut off
  -h, --help   show this text

Exit codes: 0 made, 1 unexpected, 2 usage, 3 FILE exists or can't be written.
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

# The first four digits of the id that FILE's first entry has; nothing when there is none.
short_id() {
    sed -n 's/^\([0-9a-f]\{4\}\)[0-9a-f]\{28\} .*/\1/p' "$1" 2>/dev/null | sed 1q
}

refuse_existing() {
    id=$(short_id "$file")
    fail 3 "$file exists${id:+ (id $id)}. Everyone who has it would be cut off. Use --force to replace it."
}

# $1 bytes from OpenSSL's generator, as lower-case hex.
random_hex() {
    hex=$(openssl rand -hex "$1") || fail 1 "openssl rand failed"
    case $hex in
        *[!0-9a-f]*) fail 1 "openssl rand answered something that is not hex" ;;
    esac
    [ ${#hex} -eq $(($1 * 2)) ] || fail 1 "openssl rand answered ${#hex} digits instead of $(($1 * 2))"
    printf '%s' "$hex"
}

# The 16 hex digits of $1, each byte's lowest bit set so that its ones are odd in number (FIPS 46-3).
with_odd_parity() {
    rest=$1
    normal=
    while [ -n "$rest" ]; do
        tail=${rest#??}
        byte=$((0x${rest%"$tail"} & 0xfe))
        fold=$((byte ^ (byte >> 4)))
        fold=$((fold ^ (fold >> 2)))
        fold=$((fold ^ (fold >> 1)))
        normal=$normal$(printf '%02x' $((byte | (~fold & 1))))
        rest=$tail
    done
    printf '%s' "$normal"
}

# Whether $1 may be one of the 64 weak, semi-weak and possibly weak keys (NIST SP 800-67, section 3.3.2).
#
# All of those consist of these six bytes only. So do a few good keys; a new draw costs nothing.
is_weak() {
    rest=$1
    while [ -n "$rest" ]; do
        tail=${rest#??}
        case ${rest%"$tail"} in
            01 | 0e | 1f | e0 | f1 | fe) ;;
            *) return 1 ;;
        esac
        rest=$tail
    done
}

draw_key() {
    draws=0
    while [ $draws -lt 10 ]; do
        key=$(random_hex 8) || exit
        key=$(with_odd_parity "$key")
        if ! is_weak "$key"; then
            printf '%s' "$key"
            return
        fi
        draws=$((draws + 1))
    done
    fail 1 "openssl rand gave only weak keys: its generator is broken"
}

force=no
cipher=des
file=
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help)
            usage
            exit 0
            ;;
        --force) force=yes ;;
        # How scripts/gen-group-key.sh asks for the other kind.
        --aes) cipher=aes ;;
        --)
            shift
            break
            ;;
        -*) fail 2 "unknown option $1" "scripts/gen-des-key.sh --help" ;;
        *)
            [ -z "$file" ] || fail 2 "one FILE only, \"$1\" is a second one" "scripts/gen-des-key.sh --help"
            file=$1
            ;;
    esac
    shift
done
if [ $# -gt 0 ] && [ -z "$file" ]; then
    file=$1
    shift
fi
[ $# -eq 0 ] || fail 2 "one FILE only, \"$1\" is a second one" "scripts/gen-des-key.sh --help"
file=${file:-keys/group.key}
# The tools below take a path that begins with a dash for an option.
case $file in
    -*) file=./$file ;;
esac

command -v openssl >/dev/null || fail 1 "the openssl command is missing" "run scripts/bootstrap.sh"
[ ! -d "$file" ] || fail 3 "$file is a folder" "name a file in it, as $file/group.key"
if [ $force = no ] && { [ -e "$file" ] || [ -L "$file" ]; }; then
    refuse_existing
fi

folder=$(dirname "$file")
mkdir -p "$folder" || fail 3 "the folder $folder can't be made"
temp=$(mktemp "$folder/.group.key.XXXXXX") || fail 3 "no file can be made in $folder"
trap 'rm -f "$temp"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

id=$(random_hex 16) || exit
case $cipher in
    aes)
        key=$(random_hex 32) || exit
        strength='# A key of AES-256, for the modern suites.'
        ;;
    des)
        key=$(draw_key) || exit
        strength='# DES is weak (56 bits): good against a curious look, not against a lab.'
        ;;
esac
short=${id%"${id#????}"}
printf '%s\n' \
    'topchat-group-key v1' \
    '# The key that seals messages to ALL, the same for every member.' \
    '# Give this file to members by a safe way only: on a stick, by scp, never by open mail.' \
    "$strength" \
    "# An entry: 32 hex digits of id, ${#key} hex digits of key. The first one writes, all of them read." \
    "$id $key" >"$temp" || fail 3 "$temp can't be written"

# Both steps are atomic: nobody ever reads half a file, and without --force link(2) refuses
# a file that has come to be since the look above.
if [ $force = yes ]; then
    mv -f "$temp" "$file" || fail 3 "$file can't be replaced"
elif ! ln "$temp" "$file" 2>/dev/null; then
    if [ -e "$file" ] || [ -L "$file" ]; then
        refuse_existing
    fi
    fail 3 "$file can't be made in $folder"
fi

printf 'group key   %s   made now, id %s; give this file to every member by a safe way (the server never opens it)\n' \
    "$file" "$short"
