//! Typed lines out of bytes as they come. Pure.

use crate::limits::INPUT_LINE_MAX;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its text, without the line end.
    Text(String),
    /// More than [`INPUT_LINE_MAX`] bytes; refused whole.
    TooLong,
    /// Not UTF-8; refused whole.
    NotUtf8,
}

/// Collects bytes and gives lines. Holds one line at most, and never more than the limit of it.
#[derive(Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
    too_long: bool,
}

impl Lines {
    /// The lines that end within these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Line> {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let rest = pieces.next_back().unwrap_or_default();
        let mut lines = Vec::new();
        for piece in pieces {
            self.add(piece);
            lines.push(self.take());
        }
        self.add(rest);
        lines
    }

    /// What stands behind the last line end, when nothing follows any more.
    pub(crate) fn finish(&mut self) -> Option<Line> {
        (self.too_long || !self.begun.is_empty()).then(|| self.take())
    }

    fn add(&mut self, piece: &[u8]) {
        self.too_long |= self.begun.len() + piece.len() > INPUT_LINE_MAX;
        match self.too_long {
            true => self.begun = Vec::new(),
            false => self.begun.extend_from_slice(piece),
        }
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.begun);
        match (std::mem::take(&mut self.too_long), String::from_utf8(bytes)) {
            (true, _) => Line::TooLong,
            (false, Ok(text)) => Line::Text(text),
            (false, Err(_)) => Line::NotUtf8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_come_out_whole_however_they_come_in() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\ntwo\nth"), [text("one"), text("two")]);
        assert_eq!(lines.push(b"ree"), []);
        assert_eq!(lines.push(b"\n\n"), [text("three"), text("")]);
        assert_eq!(lines.push("\u{17c}".as_bytes().split_at(1).0), []);
        assert_eq!(lines.push("\u{17c}".as_bytes().split_at(1).1), []);
        assert_eq!(lines.finish(), Some(text("\u{17c}")));
        assert_eq!(lines.finish(), None);
    }

    #[test]
    fn an_over_long_line_is_refused_whole_and_takes_no_memory() {
        let mut lines = Lines::default();
        for _ in 0..200 {
            assert_eq!(lines.push(&[b'x'; 4096]), []);
            assert!(lines.begun.capacity() <= 2 * INPUT_LINE_MAX);
        }
        assert_eq!(lines.push(b"end\nnext\n"), [Line::TooLong, text("next")]);
        assert_eq!(lines.push(&[0xff, b'\n']), [Line::NotUtf8]);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_taken() {
        let most = "x".repeat(INPUT_LINE_MAX);
        assert_eq!(Lines::default().push(format!("{most}\n").as_bytes()), [text(&most)]);
        assert_eq!(Lines::default().push(format!("{most}x\n").as_bytes()), [Line::TooLong]);
    }
}
