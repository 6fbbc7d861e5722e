//! What is pasted: put into the line as one piece, without the line ends at its end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use rustyline::Cmd;

use crate::sync::lock;

/// A paste as it goes into the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// None if it is no UTF-8.
    text: Option<String>,
    /// Its end came, too.
    is_whole: bool,
}

impl Piece {
    /// Of these bytes. Control characters are dropped: the line is drawn as it is.
    pub(super) fn new(bytes: Vec<u8>, is_whole: bool) -> Self {
        let text = String::from_utf8(bytes).ok().map(|text| {
            let text = text.replace("\r\n", "\n").replace('\r', "\n");
            let kept = text.trim_end_matches('\n').chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t'));
            kept.collect()
        });
        Self { text, is_whole }
    }

    pub(super) fn is_text(&self) -> bool {
        self.text.is_some()
    }
}

/// Pastes on their way into the line. rustyline's own reading would put its last line ends into the line, too, and what
/// is typed next would become part of the text, however soon it comes.
#[derive(Default)]
pub(super) struct Paste {
    /// In front of the editor, which is told of each by a key. They outlive a line that is left from outside.
    waiting: Mutex<VecDeque<Piece>>,
    /// A paste has come, and the line with it is about to be drawn.
    came: AtomicBool,
    /// Something of a paste is in the line.
    in_line: AtomicBool,
    /// One whose end did not come.
    is_broken: AtomicBool,
    /// Where only an answer counts, one was dropped.
    dropped: AtomicBool,
}

impl Paste {
    /// One more. The key that tells of it comes after this.
    pub(super) fn add(&self, piece: Piece) {
        self.waiting().push_back(piece);
    }

    /// What the key does that tells of a paste: in a question nothing, since whoever pastes has not read it.
    pub(super) fn take(&self, is_question: bool) -> Cmd {
        let Some(Piece { text, is_whole }) = self.waiting().pop_front() else { return Cmd::Noop };
        if is_question {
            self.dropped.store(true, Ordering::Relaxed);
            return Cmd::Repaint;
        }
        self.came.store(true, Ordering::Relaxed);
        match text.unwrap_or_default() {
            text if text.is_empty() => Cmd::Repaint,
            text => {
                self.in_line.store(true, Ordering::Relaxed);
                self.is_broken.fetch_or(!is_whole, Ordering::Relaxed);
                Cmd::Insert(1, text)
            }
        }
    }

    /// Whether a paste has come since this was asked.
    pub(super) fn has_come(&self) -> bool {
        self.came.swap(false, Ordering::Relaxed)
    }

    /// Whether a paste was dropped since this was asked, as no answer.
    pub(super) fn was_dropped(&self) -> bool {
        self.dropped.swap(false, Ordering::Relaxed)
    }

    /// The line is a new one.
    pub(super) fn forget(&self) {
        self.in_line.store(false, Ordering::Relaxed);
        self.is_broken.store(false, Ordering::Relaxed);
    }

    /// Whether part of the line was pasted.
    pub(super) fn is_in_line(&self) -> bool {
        self.in_line.load(Ordering::Relaxed)
    }

    /// Whether the end of something pasted in the line did not come.
    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        lock(&self.waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pasted(text: &[u8]) -> Cmd {
        let paste = Paste::default();
        paste.add(Piece::new(text.to_vec(), true));
        paste.take(false)
    }

    #[test]
    fn a_paste_is_put_into_the_line_as_one_piece_without_its_last_line_ends() {
        for (text, expected) in [
            ("one", "one"),
            ("one\r\r", "one"),
            ("one\r\ntwo\r\n\n", "one\ntwo"),
            ("\r\n\ttab\n\n  two ", "\n\ttab\n\n  two "),
            ("a\u{7}b\u{3}c\u{7f}d\u{1a}e\u{85}f\u{e}", "abcdef"),
            ("\u{65e5}e\u{301}", "\u{65e5}e\u{301}"),
        ] {
            assert_eq!(pasted(text.as_bytes()), Cmd::Insert(1, expected.to_owned()), "{text:?}");
        }
        for nothing in ["", "\r", "\n\r\n"] {
            assert_eq!(pasted(nothing.as_bytes()), Cmd::Repaint, "{nothing:?}");
        }
        assert!(!Piece::new(vec![b'c', 0xe9], true).is_text());
    }

    #[test]
    fn a_key_that_tells_of_nothing_does_nothing() {
        let paste = Paste::default();
        assert_eq!(paste.take(false), Cmd::Noop);
        assert!(!paste.has_come() && !paste.is_in_line());
    }

    #[test]
    fn what_is_pasted_in_a_line_is_known_until_it_is_a_new_one() {
        let paste = Paste::default();
        paste.add(Piece::new(b"a".to_vec(), false));
        paste.add(Piece::new(b"b".to_vec(), true));
        assert_eq!([paste.take(false), paste.take(false)], ["a", "b"].map(|text| Cmd::Insert(1, text.to_owned())));
        assert!(paste.has_come() && !paste.has_come() && paste.is_in_line() && paste.is_broken());
        paste.forget();
        assert!(!paste.is_in_line() && !paste.is_broken());
    }

    #[test]
    fn a_paste_answers_no_question() {
        let paste = Paste::default();
        paste.add(Piece::new(b"y".to_vec(), true));
        assert_eq!(paste.take(true), Cmd::Repaint);
        assert!(paste.was_dropped() && !paste.was_dropped() && !paste.has_come() && !paste.is_in_line());
    }
}
