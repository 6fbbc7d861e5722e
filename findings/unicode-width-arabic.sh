#!/usr/bin/env bash
# Guess:   the width that unicode-width gives for a string is the sum of the widths of its characters, at least where no
#          emoji is in it, and so many columns a terminal's cursor moves.
# Found:   an Arabic lam and the alef after it count as one column, so that a sentence that greets is three columns shorter
#          than terminals show it: even vt100, which uses the same crate, as well as xterm.js move by one for each letter.
# Version: unicode-width 0.2.3, vt100 0.18.1 (crates), @xterm/headless 6.0.0 on Node.js
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

node_packages @xterm/headless@6.0.0
rust_program 'vt100 = "=0.18.1"' 'unicode-width = "=0.2.3"' <<'END'
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
fn main() {
    let text = std::env::args().nth(1).unwrap();
    let mut parser = vt100::Parser::new(2.try_into().unwrap(), 60.try_into().unwrap(), 0);
    parser.process(text.as_bytes());
    let sum: usize = text.chars().filter_map(UnicodeWidthChar::width).sum();
    println!("the string {}, its characters {sum}, vt100 {:?}", text.width(), parser.screen().cursor_position().1);
}
END
cat >cursor.js <<'END'
const { Terminal } = require("@xterm/headless");
const terminal = new Terminal({ cols: 60, rows: 2, allowProposedApi: true });
terminal.write(process.argv[2], () => console.log(terminal.buffer.active.cursorX));
END

seen=$(
    for text in 'لا' 'السلام عليكم، الآن أم لاحقا؟' 'мир' 'सुन'; do
        echo "$text: $(target/debug/finding "$text"), xterm.js $(node cursor.js "$text")"
    done
)
expect "$seen" <<'END'
لا: the string 1, its characters 2, vt100 2, xterm.js 2
السلام عليكم، الآن أم لاحقا؟: the string 25, its characters 28, vt100 28, xterm.js 28
мир: the string 3, its characters 3, vt100 3, xterm.js 3
सुन: the string 2, its characters 2, vt100 2, xterm.js 2
END
