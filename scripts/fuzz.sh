#!/bin/sh
# Runs the fuzz targets one after the other, each until RUNS executions or SECONDS_EACH seconds, and says how far it came.
# What a run finds worth keeping goes to fuzz/found, crashes to fuzz/artifacts. Arguments are passed on to libFuzzer.
#
#   TARGETS='frame_decode sanitize' SECONDS_EACH=60 scripts/fuzz.sh
set -eu

RUNS=${RUNS:-10000000}
SECONDS_EACH=${SECONDS_EACH:-3600}
# The longest seed, a bundle, has 864 bytes.
BYTES_MAX=${BYTES_MAX:-1200}
TOOLCHAIN=${FUZZ_TOOLCHAIN:-nightly}

die() {
	printf 'error: %s\nhint: %s\n' "$1" "$2" >&2
	exit 1
}

cd "$(dirname "$0")/.."
cargo "+$TOOLCHAIN" --version >/dev/null 2>&1 || die "Rust $TOOLCHAIN is missing" "rustup toolchain install $TOOLCHAIN"
cargo fuzz --version >/dev/null 2>&1 || die 'cargo-fuzz is missing' 'cargo install cargo-fuzz'

# There is no unsafe code to sanitize: without a sanitizer it is many times as fast.
build() {
	cargo "+$TOOLCHAIN" fuzz build --fuzz-dir fuzz --sanitizer none "$1" >&2
}

[ -n "${TARGETS:-}" ] || TARGETS=$(ls fuzz/targets | sed 's/\.rs$//')
host=$(rustc -vV | sed -n 's/^host: //p')
failed=
for target in $TARGETS; do
	build "$target"
	mkdir -p "fuzz/found/$target" "fuzz/artifacts/$target"
	log=fuzz/found/$target.log
	if "fuzz/target/$host/release/$target" "fuzz/found/$target" "fuzz/corpus/$target" \
		-artifact_prefix="fuzz/artifacts/$target/" -runs="$RUNS" -max_total_time="$SECONDS_EACH" \
		-max_len="$BYTES_MAX" -timeout=30 -print_final_stats=1 "$@" >"$log" 2>&1; then
		word=ok
	else
		word=FOUND
		failed=1
	fi
	printf '%-16s %-5s %s\n' "$target" "$word" "$(sed -n 's/^\(Done .*\)/\1/p; s/^SUMMARY: \(.*\)/\1/p' "$log" | tail -n 1)"
done
[ -z "$failed" ] || die 'a property does not hold' 'see fuzz/found/TARGET.log; the input lies in fuzz/artifacts/TARGET'
