#!/usr/bin/env bash
# Guess:   `openssl pkeyutl -verify -rawin` takes an Ed25519 message from a pipe as from a file, or says that it can't read
#          it, as a fault other than a wrong signature.
# Found:   it needs to know the size beforehand. From a pipe, and from standard input even if that is the file itself, it
#          gives the verdict "Signature Verification Failure" with exit code 1, as for a wrong signature, about a message
#          that it has not read; what was wrong is on standard error alone.
# Version: openssl 3.0.22 (Debian 12)
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

debian openssl=3.0.22-1~deb12u2 libssl3=3.0.22-1~deb12u2
printf 'a message' >message
openssl genpkey -algorithm ed25519 -out key.pem
openssl pkey -in key.pem -pubout -out public.pem
openssl pkeyutl -sign -rawin -inkey key.pem -in message -out signature

verify() {
    local code=0
    openssl pkeyutl -verify -rawin -pubin -inkey public.pem -sigfile signature "$@" 2>complaint || code=$?
    echo "exit $code; standard error: $(cat complaint)"
}
seen=$(
    echo '-in message:' && verify -in message
    echo 'cat message |:' && verify < <(cat message)
    echo '< message:' && verify <message
)
expect "$seen" <<'END'
-in message:
Signature Verified Successfully
exit 0; standard error: 
cat message |:
Signature Verification Failure
exit 1; standard error: Error: unable to determine file size for oneshot operation
< message:
Signature Verification Failure
exit 1; standard error: Error: unable to determine file size for oneshot operation
END
