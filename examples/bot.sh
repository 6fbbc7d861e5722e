#!/bin/sh
# A bot for TopChat: answers direct messages, with nothing but a shell and topchat.
#
#   examples/bot.sh --user robot --password-file pw.txt       (any settings of topchat)
#
# Its own words begin with "bot:", and it never answers those: two bots don't talk for ever.
set -eu

# The field $1 of the JSON line in $line. Within a text a quote is written \", so nobody can put a field of their own into one.
# What else is escaped becomes a blank, but for \\, which is \- meanwhile.
field() {
    printf '%s\n' "$line" | sed -n 's/.*"'"$1"'":"\([^"\\]*\(\\.[^"\\]*\)*\)".*/\1/p' |
        sed 's/\\\\/\\-/g; s/\\"/"/g; s/\\u..../ /g; s/\\[^-]/ /g; s/\\-/\\/g'
}

answer() {
    case $1 in
        time) date ;;
        disk) df -h / ;;
        system) uname -srm ;;
        'echo '*) printf '%s\n' "${1#echo }" ;;
        *) echo 'I know: time, disk, system, echo TEXT' ;;
    esac
}

# Whoever ends this script ends all of the bot.
pids='' folder=$(mktemp -d); mkfifo "$folder/lines"
trap 'kill $pids 2>/dev/null || :; wait; rm -r "$folder"' EXIT
trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM
topchat listen --json "$@" >"$folder/lines" & pids=$!
while IFS= read -r line; do
    case $line in *'"text":"bot:'*) continue ;; esac
    from=$(field from) to=$(field to) text=$(field text)
    case $(field type):$to in
        message:ALL | message:"$from") ;;
        message:*) { printf 'bot: '; answer "$text"; } | topchat send "$from" --quiet "$@" >/dev/null ||
            echo "bot: $from got no answer" >&2 ;;
    esac
done <"$folder/lines" & pids="$pids $!"
wait "$!" || :; echo "bot: nothing comes any more" >&2; exit 1
