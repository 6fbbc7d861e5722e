#!/usr/bin/env bash
# A whole chat in one go: a real server, three real clients, direct and group messages by both suites; then every envelope that
# was received is checked with the openssl command alone, but for the tag of AES-GCM, which it can't check. Exits 0 only if everything held. Needs no terminal.
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

# sender, recipient, text, and the suite where it is not the recipient's choice; "rekey" gives the group a key of AES-256
messages=(
	'alice ALL hello' 'bob alice lunch' 'alice bob polish' 'carol ALL japanese' 'bob carol arabic'
	'carol alice emoji' 'bob ALL lines' 'alice carol lines' 'carol bob longest' 'alice ALL longest'
	'alice bob japanese modern' 'carol alice longest modern' 'rekey' 'bob ALL emoji' 'carol ALL longest'
)
# How many of these each one gets.
declare -A expected=([alice]=7 [bob]=7 [carol]=6)

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
	if [ "$message" = rekey ]; then
		client alice group rekey --suite modern
		continue
	fi
	read -r from to what suite <<<"$message"
	printf '%-6s> %-6s %-9s ' "$from" "$to" "$what"
	client "$from" send "$to" ${suite:+--suite "$suite"} <"$work/texts/$what"
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

# group_key DIGITS: the first key of so many hex digits, 16 of DES or 64 of AES-256.
group_key() { awk -v digits="$1" '!/^#/ && NR > 1 && length($2) == digits { print $2; exit }' "$work/keys/group.key"; }

# decrypt_group FOLDER: 8 bytes of IV, then DES-CBC; EDE3 under K‖K‖K is DES under K.
decrypt_group() {
	local key iv
	key=$(group_key 16)
	iv=$(hex -N 8 "$1/ct.bin")
	tail -c +9 "$1/ct.bin" | openssl enc -d -des-ede3-cbc -K "$key$key$key" -iv "$iv"
}

unhex() { printf '%b' "$(sed 's/../\\x&/g' <<<"$1")"; }
ascii() { printf '%s' "$1" | hex; }

# HKDF-SHA-256 (RFC 5869), all in hex: extract SALT SECRET, expand KEY INFO LENGTH. A salt of nothing is none.
kdf=(openssl kdf -binary -kdfopt digest:SHA256)
extract() { "${kdf[@]}" -keylen 32 -kdfopt mode:EXTRACT_ONLY ${1:+-kdfopt "hexsalt:$1"} -kdfopt "hexkey:$2" HKDF | hex; }
expand() { "${kdf[@]}" -keylen "$3" -kdfopt mode:EXPAND_ONLY -kdfopt "hexkey:$1" -kdfopt "hexinfo:$2" HKDF | hex; }

# LabeledExtract and LabeledExpand of HPKE (RFC 9180, section 4): SUITE and what comes in hex, LABEL as text.
labeled_extract() { extract "$2" "$(ascii HPKE-v1)$1$(ascii "$3")$4"; }
labeled_expand() { expand "$2" "$(printf '%04x' "$5")$(ascii HPKE-v1)$1$(ascii "$3")$4" "$5"; }

# decrypt_gcm KEY NONCE SKIP FOLDER: AES-256-GCM without its tag, which is counter mode from 2 on.
decrypt_gcm() {
	tail -c "+$(($3 + 1))" "$4/ct.bin" | head -c -16 | openssl enc -d -aes-256-ctr -K "$1" -iv "${2}00000002"
}

# decrypt_direct_modern NAME FOLDER: HPKE in base mode (RFC 9180, section 5.1).
decrypt_direct_modern() {
	local kem=4b454d0020 suite=48504b45002000010002 enc own shared context secret
	enc=$(hex -N 32 "$2/ct.bin")
	own=$(openssl pkey -in "$work/keys/users/$1/x25519.pem" -passin "file:$work/$1.password" -pubout -outform DER | tail -c 32 | hex)
	unhex "302a300506032b656e032100$enc" >"$work/enc.der"
	shared=$(openssl pkeyutl -derive -inkey "$work/keys/users/$1/x25519.pem" -passin "file:$work/$1.password" \
		-peerkey "$work/enc.der" -peerform DER | hex)
	shared=$(labeled_extract $kem '' eae_prk "$shared")
	shared=$(labeled_expand $kem "$shared" shared_secret "$enc$own" 32)
	context=00$(labeled_extract $suite '' psk_id_hash '')$(labeled_extract $suite '' info_hash "$(ascii TopChat-hpke-v1)00")
	secret=$(labeled_extract $suite "$shared" secret '')
	decrypt_gcm "$(labeled_expand $suite "$secret" key "$context" 32)" \
		"$(labeled_expand $suite "$secret" base_nonce "$context" 12)" 32 "$2"
}

# decrypt_group_modern FOLDER: each message has a key of its own, by its id, which stands in the header behind two names.
decrypt_group_modern() {
	local sender recipient id key
	sender=$((16#$(hex -j 6 -N 1 "$1/hdr.bin")))
	recipient=$((16#$(hex -j $((7 + sender + 40)) -N 1 "$1/hdr.bin")))
	id=$(hex -j $((8 + sender + 40 + recipient + 32)) -N 16 "$1/hdr.bin")
	key=$(expand "$(extract "$id" "$(group_key 64)")" "$(ascii TopChat-group-v1)00" 32)
	decrypt_gcm "$key" "$(hex -N 12 "$1/ct.bin")" 12 "$1"
}

# check_signature PART FOLDER LABEL: by that key file of an account, over the bytes that belong under it.
check_signature() {
	local folder=$2 author length public=$2/sender.pub.pem
	: >"$work/named"
	if [ "$1" = ed25519 ]; then
		public=$folder/ed25519.pub.pem
		head -c 32 "$folder/sig.bin" >"$work/named"
		openssl pkey -pubin -in "$public" -outform DER | openssl dgst -sha256 -binary | cmp - "$work/named" ||
			fail "the signature of $folder names another key"
		tail -c 64 "$folder/sig.bin" >"$work/sig"
		openssl pkeyutl -verify -pubin -inkey "$public" -rawin -in "$folder/tbs.bin" -sigfile "$work/sig" >"$work/verdict" ||
			fail "the signature of $folder does not hold"
	else
		openssl dgst -sha256 -verify "$public" -signature "$folder/sig.bin" "$folder/tbs.bin" >"$work/verdict" ||
			fail "the signature of $folder does not hold"
	fi
	printf 'signature   %s\n' "$(cat "$work/verdict")"
	sender=
	for author in "${people[@]}"; do
		cmp -s "$public" "$work/keys/users/$author/$1.pub.pem" && sender=$author
	done
	[ -n "$sender" ] || fail "$folder was signed by a key that nobody has"
	length=$(printf '%08x' "$(wc -c <"$folder/ct.bin")")
	{ printf '%s\0' "$3"; cat "$work/named" "$folder/hdr.bin" "$folder/h.bin"; unhex "$length"; cat "$folder/ct.bin"; } |
		cmp - "$folder/tbs.bin" || fail "the signature of $folder is over other bytes"
}

check() { # check NAME FOLDER
	local folder=$2 sender='' known suite plain=$work/plain signs=identity version=v1
	suite=$(hex -j 4 -N 1 "$folder/hdr.bin")
	case $suite in
	01) decrypt_direct "$1" "$folder" >"$plain" ;;
	02) decrypt_direct_modern "$1" "$folder" >"$plain" ;;
	11) decrypt_group "$folder" >"$plain" ;;
	13) decrypt_group_modern "$folder" >"$plain" ;;
	*) fail "$folder has the suite $suite" ;;
	esac
	case $suite in 02 | 13) signs=ed25519 version=v2 ;; esac
	check_signature $signs "$folder" "TopChat-sign-$version"
	{ printf '%s\0' "TopChat-commit-$version"; cat "$folder/hdr.bin" "$plain"; } | openssl dgst -sha256 -binary |
		cmp - "$folder/h.bin" || fail "the commitment of $folder does not hold"
	echo "commitment  holds (suite $suite)"

	case $version in
	v1) tail -c +18 "$plain" >"$work/text" ;;
	v2) tail -c +20 "$plain" | head -c $((16#$(hex -j 17 -N 2 "$plain"))) >"$work/text" ;;
	esac
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
