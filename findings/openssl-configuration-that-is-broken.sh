#!/usr/bin/env bash
# Guess: a configuration file named by OPENSSL_CONF that can't be parsed is an error for every program over the library, and so is one that
#        is not there.
# Found: the `openssl` command of 3.0 goes on with neither, and says nothing. Node.js, over the same 3.0, ends with exit code 100 on the one that
#        can't be parsed, and goes on without the one that is not there.
# Version: OpenSSL 3.0.22-1~deb12u2 (Debian 12, amd64), Node.js 20.19.5 (npm's package), 2026-12-01. Output seen:
#   openssl, no such file: 0
#   openssl, broken file: 0
#   node, no such file: 0
#   node, broken file: 100
set -euo pipefail

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place"
apt-get download --quiet openssl='3.0.22-1~deb12u2' libssl3='3.0.22-1~deb12u2' >/dev/null 2>&1
for package in *.deb; do dpkg -x "$package" root; done
npm install --silent --no-audit --no-fund --prefix "$place/npm" node@20.19.5 >/dev/null
printf '[a section whose bracket is not closed\n' > broken.cnf

# Says a program's exit code, and that it printed no word of complaint if that is 0.
ends() {
    local code=0
    OPENSSL_CONF=$1 "${@:2}" >/dev/null 2>complaint || code=$?
    [ "$code" != 0 ] || [ ! -s complaint ] || code='0, with a complaint'
    echo "$code"
}
openssl=(env LD_LIBRARY_PATH="$place/root/usr/lib/x86_64-linux-gnu" "$place/root/usr/bin/openssl" rand -hex 2)
node=("$place/npm/node_modules/node/bin/node" -e 'require("crypto").randomBytes(2)')
seen="openssl, no such file: $(ends "$place/missing.cnf" "${openssl[@]}")
openssl, broken file: $(ends "$place/broken.cnf" "${openssl[@]}")
node, no such file: $(ends "$place/missing.cnf" "${node[@]}")
node, broken file: $(ends "$place/broken.cnf" "${node[@]}")"
expected='openssl, no such file: 0
openssl, broken file: 0
node, no such file: 0
node, broken file: 100'
echo "$seen"
[ "$seen" = "$expected" ] || { echo 'This has changed.' >&2; exit 1; }
