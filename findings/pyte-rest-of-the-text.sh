#!/usr/bin/env bash
# Guess:   pyte ignores a character of no width that it can't attach to another, and shows what follows.
# Found:   it drops everything that came with it, up to the next control character or the end of what it was fed at once: a
#          Thai vowel above or below its letter, a Burmese vowel, a zero-width space, a mark of direction. So what stands on
#          the screen depends on how the same bytes were cut into pieces.
# Version: pyte 0.8.2 with wcwidth 0.9.4
# Seen:    2026-12-01
# shellcheck source=findings/common.bash
. "$(dirname "${BASH_SOURCE[0]}")/common.bash"

python_packages pyte==0.8.2 wcwidth==0.9.4
seen=$(
    python/bin/python <<'END'
import pyte

def shown(*pieces):
    screen = pyte.Screen(40, 1)
    stream = pyte.Stream(screen)
    for piece in pieces:
        stream.feed(piece)
    return screen.display[0].rstrip()

for name, text in [
    ("Thai", "ที่นี่ปิด then Latin"),
    ("Burmese", "မြန်မာ then Latin"),
    ("zero-width space", "left\u200bright"),
    ("right-to-left mark", "left\u200fright"),
    ("combining acute", "le\u0301ft right"),
]:
    print(f"{name}: {shown(text).encode('unicode_escape').decode()}; fed singly: {shown(*text).encode('unicode_escape').decode()}")
END
)
expect "$seen" <<'END'
Thai: \u0e17; fed singly: \u0e17\u0e48\u0e19\u0e48\u0e1b\u0e14 then Latin
Burmese: \u1019; fed singly: \u1019\u1014\u103a\u1019 then Latin
zero-width space: left; fed singly: leftright
right-to-left mark: left; fed singly: leftright
combining acute: l\xe9ft right; fed singly: l\xe9ft right
END
