//! What comes from a terminal, told apart: keys, pastes with and without marks, and answers that nobody asked for. Pure.
//!
//! The line's editor behind it ([`Tty`](super::tty::Tty)) meets nothing but whole keys: rustyline would wait for the rest of a sequence
//! without end, and take what it does not know of one for text.

use std::time::Instant;

use super::paste::Piece;
use crate::limits::{BURST_OVER, ENTER_HELD, KEY_WITHIN, PASTE_KEPT_MAX, PASTE_OVER, PASTE_QUIET};

/// What a terminal sends, as far as it has come.
pub(super) struct Keyboard {
    /// A sequence that has begun.
    sequence: Vec<u8>,
    awaits: Awaits,
    /// The last byte came then.
    heard: Instant,
    /// Since then an Enter waits with the text behind it: of a paste without marks it would be one line end of several.
    held: Option<(Instant, Vec<u8>)>,
    /// What was pasted so far, and how.
    paste: Option<(How, Vec<u8>)>,
    /// Keys that go on to the editor.
    keys: Vec<u8>,
    /// Where the text at the end of the keys begins.
    text_at: usize,
    /// The last byte of the line: a backslash makes Enter one that does not end it.
    last: u8,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    Text,
    Escape,
    /// A control sequence (ECMA-48, 5.4), up to its final byte.
    Control,
    /// So many more bytes, whatever they are.
    Bytes(u8),
    /// One more byte, of a key.
    Single,
    /// An answer of the terminal, up to its end (ECMA-48, 5.6; xterm ends its own with BEL, too).
    Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The terminal marks its beginning and its end.
    Marked,
    /// Lines came as fast as nobody types them.
    Burst,
}

/// What goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Came {
    Keys(Vec<u8>),
    Pasted(Piece),
}

impl Keyboard {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            sequence: Vec::new(),
            awaits: Awaits::Text,
            heard: now,
            held: None,
            paste: None,
            keys: Vec::new(),
            text_at: 0,
            last: 0,
        }
    }

    /// What was typed before anybody looked: how fast, nobody knows. One Enter in it is one.
    pub(super) fn typed_ahead(&mut self, bytes: &[u8], now: Instant) -> Vec<Came> {
        let mut all = Vec::new();
        match bytes.iter().filter(|byte| **byte == ENTER).count() {
            0 | 1 => {
                for piece in bytes.split_inclusive(|byte| *byte == ENTER) {
                    all.extend(self.push(piece, now));
                    all.extend(self.due(now + ENTER_HELD));
                }
            }
            _ => all = self.push(bytes, now),
        }
        all
    }

    /// Bytes that came together.
    pub(super) fn push(&mut self, bytes: &[u8], now: Instant) -> Vec<Came> {
        let mut all = self.due(now);
        let quiet = now.saturating_duration_since(self.heard);
        if self.is_marked() && quiet >= PASTE_QUIET && is_lone_key(bytes) {
            // The end of the paste was lost, and somebody is at the keyboard.
            self.end_paste(false, &mut all);
        }
        for byte in bytes {
            self.take(*byte, now, &mut all);
        }
        self.heard = now;
        self.flush(&mut all);
        all
    }

    /// When [`Self::due`] gives something next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let sequence = (self.awaits != Awaits::Text).then(|| self.heard + KEY_WITHIN);
        let held = self.held.as_ref().map(|(since, _)| *since + ENTER_HELD);
        let paste = self.paste.as_ref().map(|(how, _)| self.heard + how.over());
        sequence.into_iter().chain(held).chain(paste).min()
    }

    /// What it became of by time alone.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Came> {
        let mut all = Vec::new();
        if self.awaits != Awaits::Text && now >= self.heard + KEY_WITHIN {
            // Alt and a key that could have begun more. Esc alone means nothing here, and what is longer is no key.
            let sequence = self.end_sequence();
            if self.paste.is_none() && matches!(*sequence, [ESC, b']' | b'P' | b'_']) {
                self.key(&sequence);
            }
        }
        if self.held.as_ref().is_some_and(|(since, _)| now >= *since + ENTER_HELD) {
            self.release();
        }
        if self.paste.as_ref().is_some_and(|(how, _)| now >= self.heard + how.over()) {
            let is_whole = !self.is_marked();
            self.end_paste(is_whole, &mut all);
        }
        self.flush(&mut all);
        all
    }

    fn is_marked(&self) -> bool {
        matches!(self.paste, Some((How::Marked, _)))
    }

    fn take(&mut self, byte: u8, now: Instant, all: &mut Vec<Came>) {
        match (self.awaits, byte) {
            (Awaits::Text, ESC) => self.begin_sequence(),
            (Awaits::Text, _) => self.plain(byte, now),
            // Nobody's sequence has it in it.
            (Awaits::Control | Awaits::Answer | Awaits::Single, CTRL_C) => {
                self.end_sequence();
                self.plain(byte, now);
            }
            (Awaits::Control | Awaits::Single, ESC) => self.begin_sequence(),
            (Awaits::Escape, _) => self.behind_escape(byte, now),
            (Awaits::Single, _) => {
                self.sequence.push(byte);
                let sequence = self.end_sequence();
                if self.paste.is_none() && sequence.last().is_some_and(u8::is_ascii_alphabetic) {
                    self.key(&sequence);
                }
            }
            (Awaits::Bytes(1), _) => drop(self.end_sequence()),
            (Awaits::Bytes(more), _) => self.awaits = Awaits::Bytes(more - 1),
            (Awaits::Answer, BELL) => drop(self.end_sequence()),
            (Awaits::Answer, b'\\') if self.sequence.last() == Some(&ESC) => drop(self.end_sequence()),
            (Awaits::Answer, _) => {
                // Only whether ESC was the last one counts.
                self.sequence.truncate(2);
                self.sequence.push(byte);
            }
            (Awaits::Control, b'[') if self.sequence.ends_with(b"\x1b[") => {
                self.sequence.push(byte);
                self.awaits = Awaits::Single;
            }
            (Awaits::Control, b'M') if self.sequence.ends_with(b"\x1b[") => self.awaits = Awaits::Bytes(MOUSE),
            (Awaits::Control, 0x20..=0x3f) => {
                if self.sequence.len() < SEQUENCE_MAX {
                    self.sequence.push(byte);
                }
            }
            (Awaits::Control, _) => {
                self.sequence.push(byte);
                let sequence = self.end_sequence();
                self.control(&sequence, all);
            }
        }
    }

    fn begin_sequence(&mut self) {
        self.sequence = vec![ESC];
        self.awaits = Awaits::Escape;
    }

    fn end_sequence(&mut self) -> Vec<u8> {
        self.awaits = Awaits::Text;
        std::mem::take(&mut self.sequence)
    }

    fn behind_escape(&mut self, byte: u8, now: Instant) {
        let is_second = self.sequence.len() == 2;
        match (byte, self.sequence.last()) {
            // Some terminals put Alt before a sequence so.
            (ESC, _) if self.sequence.len() == 1 => self.sequence.push(byte),
            (b'[', Some(&ESC)) => {
                self.sequence.push(byte);
                self.awaits = Awaits::Control;
            }
            (b'O', Some(&ESC)) => {
                self.sequence.push(byte);
                self.awaits = Awaits::Single;
            }
            // Alt and the key, or an answer: what stands behind it tells.
            (b']' | b'P' | b'_', Some(&ESC)) if !is_second => self.sequence.push(byte),
            (_, Some(b']')) if byte.is_ascii_digit() => self.awaits = Awaits::Answer,
            (_, Some(b'P')) if byte.is_ascii_digit() || b">!|+$=".contains(&byte) => self.awaits = Awaits::Answer,
            (b'G', Some(b'_')) => self.awaits = Awaits::Answer,
            (_, Some(&ESC)) => {
                let mut sequence = self.end_sequence();
                sequence.push(byte);
                match self.paste {
                    // The text goes on behind an escape character that stands in it alone.
                    Some(_) => self.plain(byte, now),
                    None => self.key(&sequence),
                }
            }
            _ => {
                let sequence = self.end_sequence();
                if self.paste.is_none() {
                    self.key(&sequence);
                }
                match byte {
                    ESC => self.begin_sequence(),
                    byte => self.plain(byte, now),
                }
            }
        }
    }

    /// A whole control sequence: the mark of a paste, a key, or what nobody has asked for.
    fn control(&mut self, sequence: &[u8], all: &mut Vec<Came>) {
        let begin = if sequence.starts_with(b"\x1b\x1b") { 3 } else { 2 };
        let rest = sequence.get(begin..).unwrap_or_default();
        match rest {
            b"200~" if self.is_marked() => {}
            b"200~" => {
                self.release();
                self.end_paste(true, all);
                self.flush(all);
                self.paste = Some((How::Marked, Vec::new()));
            }
            b"201~" => self.end_paste(true, all),
            _ if self.paste.is_none() && is_key(rest) => self.key(sequence),
            _ => {}
        }
    }

    /// A byte that belongs to no sequence.
    fn plain(&mut self, byte: u8, now: Instant) {
        let is_text = !byte.is_ascii_control() || matches!(byte, ENTER | b'\n' | b'\t');
        if let Some((_, text)) = &mut self.paste {
            if is_text && text.len() < PASTE_KEPT_MAX {
                text.push(byte);
            }
            return;
        }
        if !is_text {
            self.key(&[byte]);
            return;
        }
        if let Some((_, text)) = &mut self.held {
            text.push(byte);
            if has_two_characters(text) {
                // Nobody types so fast: it is the end of a line of many.
                let (_, behind) = self.held.take().unwrap_or((now, Vec::new()));
                let mut pasted = self.keys.split_off(self.text_at);
                pasted.push(ENTER);
                pasted.extend(behind);
                self.paste = Some((How::Burst, pasted));
            }
            return;
        }
        match byte {
            ENTER if self.last != b'\\' => self.held = Some((now, Vec::new())),
            byte => self.keys.push(byte),
        }
        self.last = byte;
    }

    /// Enter was one, and what stands behind it is typed.
    fn release(&mut self) {
        if let Some((_, text)) = self.held.take() {
            self.keys.push(ENTER);
            self.text_at = self.keys.len();
            self.last = text.last().copied().unwrap_or(ENTER);
            match text.as_slice() {
                // Enter twice: the second one waits in the same way, but not for long.
                [ENTER] => self.keys.push(ENTER),
                text => self.keys.extend(text),
            }
        }
    }

    fn key(&mut self, sequence: &[u8]) {
        self.release();
        self.keys.extend(sequence);
        self.text_at = self.keys.len();
        self.last = 0;
    }

    fn end_paste(&mut self, is_whole: bool, all: &mut Vec<Came>) {
        if let Some((_, text)) = self.paste.take() {
            self.flush(all);
            all.push(Came::Pasted(Piece::new(text, is_whole)));
            self.last = 0;
        }
    }

    fn flush(&mut self, all: &mut Vec<Came>) {
        self.text_at = 0;
        match std::mem::take(&mut self.keys) {
            keys if keys.is_empty() => {}
            keys => all.push(Came::Keys(keys)),
        }
    }
}

impl How {
    /// How long it is silent when it is over.
    fn over(self) -> std::time::Duration {
        match self {
            Self::Marked => PASTE_OVER,
            Self::Burst => BURST_OVER,
        }
    }
}

/// One character that somebody typed, and not the beginning of a mark.
fn is_lone_key(bytes: &[u8]) -> bool {
    bytes != [ESC] && std::str::from_utf8(bytes).is_ok_and(|text| text.chars().count() == 1)
}

fn has_two_characters(text: &[u8]) -> bool {
    text.iter().filter(|byte| !(0x80..0xc0).contains(*byte)).count() > 1
}

/// Whether a control sequence is a key of those that rustyline knows, or at least reads to its end; this stands behind `ESC [`.
fn is_key(rest: &[u8]) -> bool {
    match rest {
        [b'A'..=b'D' | b'F' | b'H' | b'Z' | b'a'..=b'd'] => true,
        [b'1'..=b'8', b'~' | b'$' | b'^' | b'@' | b'A'..=b'D'] => true,
        [b'1'..=b'8', b'0'..=b'9', b'~'] => true,
        [b'1'..=b'8', b';', b'1'..=b'9', last] => *last == b'~' || (last.is_ascii_alphabetic() && *last != b'R'),
        [b'1'..=b'8', b'0'..=b'9', b';', b'1'..=b'9', b'~'] => true,
        _ => false,
    }
}

const ESC: u8 = 0x1b;
const BELL: u8 = 7;
const CTRL_C: u8 = 3;
const ENTER: u8 = b'\r';
/// Bytes of a report of the mouse that stand behind its final byte (xterm, "Normal tracking mode").
const MOUSE: u8 = 3;
/// Bytes of a sequence that are looked at: no key has more.
const SEQUENCE_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn keys(keys: &str) -> Came {
        Came::Keys(keys.as_bytes().to_vec())
    }

    fn pasted(text: &str) -> Came {
        Came::Pasted(Piece::new(text.as_bytes().to_vec(), true))
    }

    /// All that comes of these bytes, until nothing more is to be waited for.
    fn all(keyboard: &mut Keyboard, bytes: &[u8], mut now: Instant) -> Vec<Came> {
        let mut all = keyboard.push(bytes, now);
        while let Some(deadline) = keyboard.deadline() {
            now = deadline;
            all.extend(keyboard.due(now));
        }
        let mut joined: Vec<Came> = Vec::new();
        for came in all {
            match (joined.last_mut(), came) {
                (Some(Came::Keys(before)), Came::Keys(more)) => before.extend(more),
                (_, came) => joined.push(came),
            }
        }
        joined
    }

    fn came(bytes: &str) -> Vec<Came> {
        let now = Instant::now();
        all(&mut Keyboard::new(now), bytes.as_bytes(), now)
    }

    #[test]
    fn keys_go_on_as_they_are() {
        for text in [
            "hello",
            "hello\r",
            "\r",
            "\r\r",
            "\u{65e5}\r",
            "\x1bb\x1b\r\x1b5",
            "\x1b[A\x1b[1;5C\x1b[3~\x1b[15~\x1b[15;5~\x1b[Z\x1b[[A\x1bOH\x1bOM",
            "\x1b\x1b[A",
            "\x1b]x\x1bPx\x1b_x\x1b]",
            "one\x1b\rtwo\nthree\\\rfour",
            "\x03\x04\x7f\t\x1a",
            "a\x03\x03/who\r",
            "\ra",
        ] {
            assert_eq!(came(text), [keys(text)], "{text:?}");
        }
    }

    /// Late answers, reports of the mouse and the focus, and sequences that were never whole.
    #[test]
    fn what_a_terminal_tells_unasked_is_no_text() {
        for answer in [
            "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
            "\x1b]11;rgb:1e1e/1e1e/1e1e\x07",
            "\x1b[?62;22c",
            "\x1b[>0;276;0c",
            "\x1b[?1;2c",
            "\x1b[24;80R",
            "\x1b[1;1R",
            "\x1b[124;180R",
            "\x1b[0n",
            "\x1b[I",
            "\x1b[O",
            "\x1b[97;5u",
            "\x1b[?0u",
            "\x1b[27;5;13~",
            "\x1b[<0;10;20M",
            "\x1b[M !!",
            "\x1b[?2026;2$y",
            "\x1b[8;24;80t",
            "\x1bP>|XTerm(390)\x1b\\",
            "\x1bP1+r544e=787465726d\x1b\\",
            "\x1b_Gi=31;OK\x1b\\",
            "\x1b[201~",
            "\x1bOz\x1bO1",
        ] {
            let text = answer.replace("\x1bOz", "");
            assert_eq!(came(&format!("he{text}llo")), [keys("hello")], "{answer:?}");
            // In pieces, as a slow link has it.
            let (mut keyboard, now) = (Keyboard::new(Instant::now()), Instant::now());
            let mut pieces: Vec<_> = text.bytes().flat_map(|byte| keyboard.push(&[byte], now)).collect();
            pieces.extend(all(&mut keyboard, b"x", now));
            assert_eq!(pieces, [keys("x")], "{answer:?}");
        }
        for begun in
            ["\x1b", "\x1b\x1b", "\x1b[", "\x1bO", "\x1b[20", "\x1b[?6", "\x1b]11;rgb", "\x1bP>|X", "\x1b[[", "\x1b[M!"]
        {
            let (mut keyboard, now) = (Keyboard::new(Instant::now()), Instant::now());
            keyboard.push(begun.as_bytes(), now);
            let later = now + KEY_WITHIN;
            assert_eq!(all(&mut keyboard, b"x\x03", later), [keys("x\x03")], "{begun:?}");
        }
        let (mut keyboard, now) = (Keyboard::new(Instant::now()), Instant::now());
        keyboard.push(b"\x1b]11;rgb", now);
        assert_eq!(all(&mut keyboard, b"\x03", now), [keys("\x03")], "Ctrl-C always is one");
    }

    #[test]
    fn a_marked_paste_is_one_piece_whatever_stands_in_it() {
        for (bytes, text) in [
            ("\x1b[200~one\rtwo\r\x1b[201~", "one\rtwo\r"),
            ("\x1b[200~a\x1b[200~b\x1b[201~", "ab"),
            ("\x1b[200~a\x1b\x1b[201~", "a"),
            ("\x1b[200~a\x03\x04b\x1b[Ac\x1bxd\x1b[201~", "abcxd"),
            ("\x1b[200~\x1b]11;rgb\x07a\x1b[201~", "a"),
        ] {
            assert_eq!(came(bytes), [pasted(text)], "{bytes:?}");
        }
        assert_eq!(
            came("/who\r\x1b[200~copied\r\x1b[201~!\r"),
            [keys("/who\r"), pasted("copied\r"), keys("!\r")],
            "what stands beside it is typed"
        );
    }

    #[test]
    fn a_paste_without_an_end_ends_with_the_next_lone_key_or_by_time() {
        let start = Instant::now();
        let broken = || Came::Pasted(Piece::new(b"one\rtwo".to_vec(), false));
        let begun = || {
            let mut keyboard = Keyboard::new(start);
            assert_eq!(keyboard.push(b"\x1b[200~one\rtwo", start), []);
            keyboard
        };
        for key in ["\x03", "x", "\u{17c}"] {
            assert_eq!(all(&mut begun(), key.as_bytes(), start + PASTE_QUIET), [broken(), keys(key)]);
        }
        assert_eq!(begun().push(b"\x03", start + PASTE_QUIET / 2), [], "it may be part of the text");
        assert_eq!(begun().due(start + PASTE_OVER), [broken()]);
        // A link that was slow for a while.
        let mut slow = begun();
        assert_eq!(slow.push(b"!\r\x1b[2", start + PASTE_OVER / 2), []);
        assert_eq!(slow.push(b"01~", start + PASTE_OVER / 2), [pasted("one\rtwo!\r")]);
    }

    #[test]
    fn a_paste_without_an_end_takes_no_more_memory_than_one() {
        let (mut keyboard, now) = (Keyboard::new(Instant::now()), Instant::now());
        keyboard.push(b"\x1b[200~", now);
        for _ in 0..40 {
            assert_eq!(keyboard.push(&[b'x'; 64 * 1024], now), []);
        }
        assert!(keyboard.paste.is_some_and(|(_, text)| text.len() == PASTE_KEPT_MAX));
    }

    #[test]
    fn lines_that_come_faster_than_anybody_types_are_a_paste() {
        assert_eq!(came("one\rtwo\r/quit\r"), [pasted("one\rtwo\r/quit\r")]);
        assert_eq!(came("\tone\r\ttwo"), [pasted("\tone\r\ttwo")]);
        assert_eq!(came("one\r\rx"), [pasted("one\r\rx")]);
        assert_eq!(came("\x1b[Aone\rtwo"), [keys("\x1b[A"), pasted("one\rtwo")]);
        // Each line by itself, with pauses that nobody makes.
        let start = Instant::now();
        let mut keyboard = Keyboard::new(start);
        let pause = Duration::from_millis(10);
        let mut all_of_it = Vec::new();
        for (count, line) in (0..).zip(["one\r", "two\r", "/quit\r"]) {
            all_of_it.extend(keyboard.push(line.as_bytes(), start + pause * count));
        }
        all_of_it.extend(all(&mut keyboard, b"", start + pause * 3));
        assert_eq!(all_of_it, [keys("one"), pasted("\rtwo\r/quit\r")]);
    }

    #[test]
    fn lines_that_somebody_types_are_none() {
        let start = Instant::now();
        let mut keyboard = Keyboard::new(start);
        let mut now = start;
        let mut typed = Vec::new();
        for line in ["hello\r", "/who\r", "/quit\r"] {
            typed.extend(all(&mut keyboard, line.as_bytes(), now));
            now += ENTER_HELD;
        }
        assert_eq!(typed, [keys("hello\r"), keys("/who\r"), keys("/quit\r")]);
        // One key right behind Enter.
        typed = keyboard.push(b"y\r", now);
        typed.extend(keyboard.push(b"h", now + ENTER_HELD / 2));
        typed.extend(all(&mut keyboard, b"i", now + ENTER_HELD * 2));
        assert_eq!(typed, [keys("y"), keys("\rhi")]);
    }

    #[test]
    fn of_what_was_typed_ahead_one_enter_is_one() {
        let now = Instant::now();
        let typed = Keyboard::new(now).typed_ahead(b"hello\rand more", now);
        assert_eq!(typed, [keys("hello"), keys("\r"), keys("and more")]);
        let mut keyboard = Keyboard::new(now);
        assert_eq!(keyboard.typed_ahead(b"one\rtwo\r", now), []);
        assert_eq!(all(&mut keyboard, b"", now), [pasted("one\rtwo\r")]);
    }
}
