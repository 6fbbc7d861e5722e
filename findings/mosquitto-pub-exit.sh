#!/usr/bin/env bash
# Guess:   mosquitto_pub exits with another code than 0 when it published nothing: the broker refused the message by the
#          reason code of MQTT 5, or the topic is empty.
# Found:   it says so on standard error and exits with 0. (A topic with a wildcard is the one that gives 1.)
# Version: mosquitto and mosquitto-clients 2.0.11 (Debian 12)
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

debian mosquitto=2.0.11-1.2+deb12u2 mosquitto-clients=2.0.11-1.2+deb12u2 libmosquitto1=2.0.11-1.2+deb12u2 \
    libwrap0=7.6.q-32 libdlt2=2.18.8-6
port=$(free_port)
printf 'listener %s 127.0.0.1\nallow_anonymous true\n' "$port" >mosquitto.conf
mosquitto -c mosquitto.conf >log 2>&1 &
started+=("$!")
listening "$port"

publish() {
    local code=0 words
    words=$(mosquitto_pub -p "$port" "$@" -m text 2>&1) || code=$?
    printf '%s\nexit %s\n' "${words%%$'\n'*}" "$code"
}
seen=$(
    # shellcheck disable=SC2016
    publish -V 5 -q 1 -t '$SYS/topic'
    publish -t ''
    publish -t 'a/+'
)
expect "$seen" <<'END'
Warning: Publish 1 failed: Not authorized.
exit 0
Error: Invalid input. Does your topic contain '+' or '#'?
exit 0
Error: Invalid publish topic 'a/+', does it contain '+' or '#'?
exit 1
END
