#!/usr/bin/env bash
# Guess:   terminals agree on a full row: its last character stands, the cursor waits at the margin, and the next character
#          goes to the next row; also after the position was saved and restored (ESC 7, ESC 8), and after a tab.
# Found:   after saving and restoring, xterm.js and pyte overwrite the last character of the row; after a tab, pyte and the
#          vt100 crate do. So a program that saves the cursor at the end of a full row, to write elsewhere, loses a
#          character in two of three. After "erase to the end of the row" (CSI K) all three leave the character there.
# Version: vt100 0.18.1 (crate), pyte 0.8.2, @xterm/headless 6.0.0 on Node.js
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

python_packages pyte==0.8.2 wcwidth==0.9.4
node_packages @xterm/headless@6.0.0
rust_program 'vt100 = "=0.18.1"' <<'END'
use std::io::Read;
fn main() {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    let mut parser = vt100::Parser::new(2.try_into().unwrap(), 10.try_into().unwrap(), 0);
    parser.process(&bytes);
    println!("{}", parser.screen().rows(0, 10).collect::<Vec<_>>().join("/"));
}
END
cat >screen.js <<'END'
const { Terminal } = require("@xterm/headless");
const terminal = new Terminal({ cols: 10, rows: 2, allowProposedApi: true });
terminal.write(require("fs").readFileSync(0), () => {
    const row = (number) => terminal.buffer.active.getLine(number).translateToString(true);
    console.log(row(0) + "/" + row(1));
});
END
cat >screen.py <<'END'
import pyte, sys
screen = pyte.Screen(10, 2)
pyte.ByteStream(screen).feed(sys.stdin.buffer.read())
print("/".join(row.rstrip() for row in screen.display))
END

seen=$(
    while IFS='|' read -r name bytes; do
        printf '%s: ' "$name"
        printf '%b' "abcdefghij${bytes}k" >bytes
        echo "vt100 $(target/debug/finding <bytes), pyte $(python/bin/python screen.py <bytes), xterm.js $(node screen.js <bytes)"
    done <<'END'
nothing between|
saved and restored|\x1b7\x1b8
a tab|\t
erase to the end|\x1b[K
END
)
expect "$seen" <<'END'
nothing between: vt100 abcdefghij/k, pyte abcdefghij/k, xterm.js abcdefghij/k
saved and restored: vt100 abcdefghij/k, pyte abcdefghik/, xterm.js abcdefghik/
a tab: vt100 abcdefghik/, pyte abcdefghik/, xterm.js abcdefghij/k
erase to the end: vt100 abcdefghij/k, pyte abcdefghij/k, xterm.js abcdefghij/k
END
