#!/usr/bin/env bash
# A whole chat in one go: a real server, three real clients, direct and group messages; then every envelope that was
# received is checked with the openssl command alone. Exits 0 only if everything held. Needs no terminal.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
bin=${CARGO_TARGET_DIR:-target}/release
patience=60
people=(alice bob carol)

work=$(mktemp -d)
pids=()
# shellcheck disable=SC2317  # reached through the trap
clean_up() {
	local code=$?
	trap - EXIT
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
	rm -rf "$work"
	[ "$code" -eq 0 ] || echo "demo: FAILED (exit $code)" >&2
	exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

say() { printf '\n== %s\n' "$*"; }
fail() {
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

# wait_for PATTERN: reads the server's log until a line matches.
wait_for() {
	local line
	while IFS= read -r -t "$patience" -u 3 line; do
		printf '%s\n' "$line" >>"$work/server.log"
		[[ $line =~ $1 ]] && return 0
	done
	fail "the server never said: $1"
}

client() {
	local name=$1
	shift
	"$bin/topchat" --server "$address" --user "$name" --keys-dir "$work/keys" --state-dir "$work/state/$name" \
		--group-key "$work/keys/group.key" --password-file "$work/$name.password" --no-input "$@"
}

# ---- keys, server, accounts ------------------------------------------------------------------------------------

say 'keys'
umask 077
for name in "${people[@]}"; do openssl rand -hex 12 >"$work/$name.password"; done
mkdir "$work/keys"
scripts/gen-des-key.sh "$work/keys/group.key"
# Alice's keys come from the script, those of the others from the program: either works.
scripts/gen-user-keys.sh --password-file "$work/alice.password" --keys-dir "$work/keys" alice

say 'server'
mkfifo "$work/log"
"$bin/topchat-server" --listen 127.0.0.1:0 --registration open --data-dir "$work/data" 2>"$work/log" &
pids+=($!)
exec 3<"$work/log"
wait_for '^listening +([^ ]+)'
address=${BASH_REMATCH[1]}
wait_for '^ready'
cat "$work/server.log"

say 'accounts'
for name in "${people[@]}"; do client "$name" register "$name"; done

# ---- texts -----------------------------------------------------------------------------------------------------

mkdir "$work/texts"
text() { # text FILE: stdin, without the newline that a here-document adds
	printf '%s' "$(cat)" >"$work/texts/$1"
}
text hello <<<'hello everybody'
text lunch <<<'lunch?'
text polish <<<'Zażółć gęślą jaźń'
text japanese <<<'こんにちは、世界'
text arabic <<<'مرحبا بالعالم'
text emoji <<<'👩‍🚀🚀 ready for lift-off 🎉'
text lines <<<$'three lines:\n  the second is indented\nand this is the last'
text longest < <(head -c 4090 /dev/zero | tr '\0' x; printf ' (end)')
[ "$(wc -c <"$work/texts/longest")" -eq 4096 ] || fail 'the longest text must have 4096 bytes'

# sender, recipient, text
messages=(
	'alice ALL hello' 'bob alice lunch' 'alice bob polish' 'carol ALL japanese' 'bob carol arabic'
	'carol alice emoji' 'bob ALL lines' 'alice carol lines' 'carol bob longest' 'alice ALL longest'
)
# How many of these each one gets.
declare -A expected=([alice]=4 [bob]=5 [carol]=5)

# ---- the chat --------------------------------------------------------------------------------------------------

say 'three clients listen'
declare -A listener
for name in "${people[@]}"; do
	client "$name" listen --count "${expected[$name]}" --timeout "$patience" --export "$work/export/$name" \
		>"$work/$name.transcript" 2>"$work/$name.errors" &
	listener[$name]=$!
	pids+=($!)
	wait_for "$name signed in from"
done
echo 'alice, bob and carol are signed in'

say 'messages'
for message in "${messages[@]}"; do
	read -r from to what <<<"$message"
	printf '%-6s> %-6s %-9s ' "$from" "$to" "$what"
	client "$from" send "$to" <"$work/texts/$what"
done
for name in "${people[@]}"; do
	wait "${listener[$name]}" || { cat "$work/$name.errors" >&2; fail "$name did not get all messages"; }
done

for name in "${people[@]}"; do
	say "what $name saw"
	cut -c 1-110 "$work/$name.transcript"
done

# ---- the openssl command as the judge ----------------------------------------------------------------------------

# decrypt_direct NAME FOLDER: RSA blocks of the recipient's modulus, one after the other.
decrypt_direct() {
	local key=$work/keys/users/$1/encryption.pem block size
	size=$(openssl pkey -in "$key" -passin "file:$work/$1.password" -pubout -outform DER | openssl rsa -pubin -inform DER \
		-noout -modulus | sed 's/^Modulus=//' | tr -d '\n' | wc -c)
	split -b $((size / 2)) -a 4 "$2/ct.bin" "$work/block."
	for block in "$work"/block.*; do
		openssl pkeyutl -decrypt -inkey "$key" -passin "file:$work/$1.password" -pkeyopt rsa_padding_mode:pkcs1 -in "$block"
		rm "$block"
	done
}

hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }

# decrypt_group FOLDER: 8 bytes of IV, then DES-CBC; EDE3 under K‖K‖K is DES under K.
decrypt_group() {
	local key iv
	key=$(awk '!/^#/ && NR > 1 { print $2; exit }' "$work/keys/group.key")
	iv=$(hex -N 8 "$1/ct.bin")
	tail -c +9 "$1/ct.bin" | openssl enc -d -des-ede3-cbc -K "$key$key$key" -iv "$iv"
}

check() { # check NAME FOLDER
	local folder=$2 sender='' author known suite plain=$work/plain length
	printf 'signature   %s\n' "$(openssl dgst -sha256 -verify "$folder/sender.pub.pem" -signature "$folder/sig.bin" "$folder/tbs.bin")"
	openssl dgst -sha256 -verify "$folder/sender.pub.pem" -signature "$folder/sig.bin" "$folder/tbs.bin" >/dev/null ||
		fail "the signature of $folder does not hold"
	for author in "${people[@]}"; do
		cmp -s "$folder/sender.pub.pem" "$work/keys/users/$author/identity.pub.pem" && sender=$author
	done
	[ -n "$sender" ] || fail "$folder was signed by a key that nobody has"

	length=$(printf '%08x' "$(wc -c <"$folder/ct.bin")" | sed 's/../\\x&/g')
	{ printf 'TopChat-sign-v1\0'; cat "$folder/hdr.bin" "$folder/h.bin"; printf '%b' "$length"; cat "$folder/ct.bin"; } |
		cmp - "$folder/tbs.bin" || fail "the signature of $folder is over other bytes"

	suite=$(hex -j 4 -N 1 "$folder/hdr.bin")
	case $suite in
	01) decrypt_direct "$1" "$folder" >"$plain" ;;
	11) decrypt_group "$folder" >"$plain" ;;
	*) fail "$folder has the suite $suite" ;;
	esac
	{ printf 'TopChat-commit-v1\0'; cat "$folder/hdr.bin" "$plain"; } | openssl dgst -sha256 -binary |
		cmp - "$folder/h.bin" || fail "the commitment of $folder does not hold"
	echo 'commitment  holds'

	tail -c +18 "$plain" >"$work/text"
	for known in "$work"/texts/*; do
		if cmp -s "$known" "$work/text"; then
			printf 'text        %s (%s bytes, from %s, as sent)\n' "$(head -c 60 "$known" | tr '\n' '/')" "$(wc -c <"$known")" "$sender"
			return
		fi
	done
	fail "$folder holds a text that nobody sent"
}

checked=0
for name in "${people[@]}"; do
	for folder in "$work/export/$name"/*/; do
		say "envelope $(basename "$folder" | cut -c 1-8) as $name got it"
		check "$name" "${folder%/}"
		checked=$((checked + 1))
	done
done
total=0
for name in "${people[@]}"; do total=$((total + expected[$name])); done
[ "$checked" -eq "$total" ] || fail "$checked envelopes were checked, not $total"

say 'stop'
kill -TERM "${pids[0]}"
wait "${pids[0]}" || fail 'the server did not stop in order'
printf '\nAll %s envelopes hold: signature, decryption, commitment, by the openssl command alone.\n' "$checked"
