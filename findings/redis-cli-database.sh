#!/usr/bin/env bash
# Guess:   `redis-cli -n 99 SET …`, where the server has no database 99, writes nothing and exits with 1.
# Found:   it says "SELECT 99 failed" on standard error, runs the command in database 0 all the same, and exits with 0,
#          with -e ("return exit error code when command execution fails") and with a URL too.
# Version: redis-tools and redis-server 7.0.15 (Debian 12)
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

debian redis-tools=5:7.0.15-1~deb12u10 redis-server=5:7.0.15-1~deb12u10 liblzf1=3.6-3 libjemalloc2=5.3.0-1
port=$(free_port)
redis-server --port "$port" --bind 127.0.0.1 --save '' --dir . >log 2>&1 &
started+=("$!")
listening "$port"

seen=$(
    {
        redis-cli -p "$port" -n 99 SET plain value && echo "exit $?"
        redis-cli -p "$port" -e -n 99 SET with-e value && echo "exit $?"
        redis-cli -u "redis://127.0.0.1:$port/99" SET by-url value && echo "exit $?"
        redis-cli -p "$port" -n 0 KEYS '*' | sort
    } 2>&1
)
expect "$seen" <<'END'
SELECT 99 failed: ERR DB index is out of range
OK
exit 0
SELECT 99 failed: ERR DB index is out of range
OK
exit 0
SELECT 99 failed: ERR DB index is out of range
OK
exit 0
by-url
plain
with-e
END
