#!/bin/sh
# Makes a group key file with a key of AES-256, as the modern suites use it, with the `openssl` command alone.

set -eu

usage() {
    cat <<'END'
usage: scripts/gen-group-key.sh [--force] [FILE]

Makes a new key of AES-256 for the group and writes it to FILE (keys/group.key).
Every member needs this same file; the server never opens it. (For DES: scripts/gen-des-key.sh)

  --force      replace FILE; whoever has only the old key is cut off
  -h, --help   show this text

Exit codes: 0 made, 1 unexpected, 2 usage, 3 FILE exists or can't be written.
END
}

for word in "$@"; do
    case $word in
        -h | --help)
            usage
            exit 0
            ;;
    esac
done
exec "$(dirname -- "$0")/gen-des-key.sh" --aes "$@"
