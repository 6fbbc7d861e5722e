#!/usr/bin/env bash
# Makes docs/session.svg, the README's picture: a real session of two people in tmux, as the terminal shows it.
set -euo pipefail

usage() {
	cat <<'END'
usage: scripts/picture.sh [FILE]

Starts a server and two clients in tmux, lets them talk, and draws alice's terminal as FILE (docs/session.svg).
`make picture` builds the programs first.

Environment:
  BIN    folder of the programs (target/release)

Exit codes: 0 drawn, 1 something did not appear in time, 2 usage.
END
}

case ${1-} in
-h | --help)
	usage
	exit 0
	;;
-*)
	printf 'error: unknown option %s\nhint: scripts/picture.sh --help\n' "$1" >&2
	exit 2
	;;
esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."
file=${1:-docs/session.svg}
bin=$(realpath "${BIN:-${CARGO_TARGET_DIR:-target}/release}")
columns=144
rows=30
patience=60
password='correct horse battery'
command -v tmux >/dev/null || {
	printf 'error: tmux is missing\nhint: install it with the package manager of your system\n' >&2
	exit 1
}

work=$(mktemp -d)
server=
# shellcheck disable=SC2317  # reached through the trap
clean_up() {
	tmux -S "$work/tmux" kill-server 2>/dev/null || true
	[ -z "$server" ] || kill "$server" 2>/dev/null || true
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

fail() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

terminal() { tmux -S "$work/tmux" "$@"; }

# wait_for NAME TEXT: until NAME's terminal shows TEXT.
wait_for() {
	local end=$((SECONDS + patience))
	until terminal capture-pane -p -t "$1" | grep -qF -- "$2"; do
		[ $SECONDS -lt $end ] || fail "$1's terminal never showed: $2"$'\n'"$(terminal capture-pane -p -t "$1")"
		sleep 0.1
	done
}

# types NAME TEXT: a line, as fast as a person's hands would like to be.
types() { terminal send-keys -t "$1" -l -- "$2" && terminal send-keys -t "$1" Enter; }

# person NAME: a terminal with a shell on a machine of their own.
person() {
	mkdir -p "$work/$1/keys"
	chmod 700 "$work/$1/keys"
	cp -p "$work/group.key" "$work/$1/keys/group.key"
	local environment=(HOME="$work/$1" PATH="$bin:/usr/bin:/bin" TERM=screen-256color LC_ALL=C.UTF-8 TZ=UTC PS1='$ '
		TOPCHAT_SERVER="$address" TOPCHAT_KEYS_DIR=keys TOPCHAT_STATE_DIR=state)
	terminal -f /dev/null new-session -d -s "$1" -x "$columns" -y "$rows" -c "$work/$1" \
		env -i "${environment[@]}" sh
	wait_for "$1" '$'
}

# register NAME: through the questions of the first start.
register() {
	types "$1" 'clear; topchat'
	wait_for "$1" '(r)egister or (l)og in?'
	types "$1" ''
	wait_for "$1" 'name:'
	types "$1" "$1"
	wait_for "$1" '(c)lassic or (m)odern?'
	types "$1" ''
	wait_for "$1" 'password (8 or more):'
	types "$1" "$password"
	wait_for "$1" 'again:'
	types "$1" "$password"
	wait_for "$1" 'ALL>'
}

# The terminal's lines, with their colours, as SVG.
draw() {
	awk -v columns="$columns" '
		function escape(text) {
			gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text)
			return text
		}
		# A piece of a line in the style that holds now.
		function piece(text) {
			if (text == "") return ""
			class = ""
			if (bold) class = class " b"
			if (dim) class = class " d"
			if (colour != "") class = class " " colour
			text = escape(text)
			return class == "" ? text : "<tspan class=\"" substr(class, 2) "\">" text "</tspan>"
		}
		function restyle(codes,   list, count, i) {
			count = split(codes, list, ";")
			if (count == 0) { bold = dim = 0; colour = "" }
			for (i = 1; i <= count; i++) {
				if (list[i] == "" || list[i] == 0) { bold = dim = 0; colour = "" }
				else if (list[i] == 1) bold = 1
				else if (list[i] == 2) dim = 1
				else if (list[i] == 22) bold = dim = 0
				else if (list[i] >= 30 && list[i] <= 37) colour = "c" (list[i] - 30)
				else if (list[i] == 39) colour = ""
			}
		}
		{
			line = ""
			while (match($0, /\033\[[0-9;]*m/)) {
				line = line piece(substr($0, 1, RSTART - 1))
				restyle(substr($0, RSTART + 2, RLENGTH - 3))
				$0 = substr($0, RSTART + RLENGTH)
			}
			lines[NR] = line piece($0)
			if (lines[NR] != "") last = NR
		}
		END {
			width = columns * 8.43 + 32
			height = last * 19 + 28
			printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\">\n", width, height, width
			print "<title>A TopChat session, as its terminal shows it</title>"
			print "<style>text{font:14px ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#e6edf3;white-space:pre}"
			print ".b{font-weight:bold}.d{fill:#8b949e}.c1{fill:#ff7b72}.c2{fill:#7ee787}.c3{fill:#e3b341}.c4{fill:#79c0ff}.c5{fill:#d2a8ff}.c6{fill:#76e3ea}</style>"
			print "<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#0d1117\"/>"
			for (n = 1; n <= last; n++)
				if (lines[n] != "") printf "<text x=\"16\" y=\"%d\" xml:space=\"preserve\">%s</text>\n", n * 19 + 9, lines[n]
			print "</svg>"
		}'
}

scripts/gen-des-key.sh "$work/group.key" >/dev/null
"$bin/topchat-server" --listen 127.0.0.1:0 --registration open --data-dir "$work/data" 2>"$work/log" &
server=$!
for ((tries = 0; tries < patience * 10; tries++)); do
	grep -qs '^ready' "$work/log" && break
	sleep 0.1
done
address=$(sed -n 's/^listening  *\([^ ]*\).*/\1/p' "$work/log")
[ -n "$address" ] || fail "the server did not start: $(cat "$work/log")"

person bob
register bob
person alice
register alice
types alice 'hello everybody'
wait_for alice '[sent to 1]'
types bob 'hi alice'
wait_for alice 'hi alice'
types alice '@bob lunch?'
wait_for alice '[delivered]'
types bob "@alice yes, one o'clock"
wait_for alice "one o'clock"
types bob '/quit'
wait_for bob '$'
types alice '/to bob'
types alice 'bring an umbrella'
wait_for alice '[queued]'
types alice '/who'
wait_for alice 'here now'

terminal capture-pane -e -p -t alice | draw >"$work/session.svg"
cp "$work/session.svg" "$file"
printf 'drawn   %s\n' "$file"
