//! What is pasted: taken key by key, and put into the line as one piece without the line ends at its end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustyline::{Cmd, KeyCode, KeyEvent, Modifiers};

/// A paste as the terminal marks it. rustyline's own reading would put its last line ends into the line, too, and what
/// is typed next would become part of the text, however soon it comes.
#[derive(Default)]
pub(super) struct Paste {
    /// What came of the paste that has begun. It outlives a line that is left from outside.
    text: Mutex<Option<String>>,
    /// A paste has ended, and the line with it is about to be drawn.
    ended: AtomicBool,
    /// Something of a paste is in the line.
    in_line: AtomicBool,
}

impl Paste {
    /// A paste begins; within one this changes nothing.
    pub(super) fn begin(&self) {
        self.text().get_or_insert_default();
    }

    /// What a key within a paste does, if there is a paste.
    pub(super) fn take(&self, key: KeyEvent) -> Option<Cmd> {
        let mut text = self.text();
        if key.0 != KeyCode::BracketedPasteEnd {
            text.as_mut()?.extend(character(key));
            return Some(Cmd::Noop);
        }
        let pasted = text.take()?.replace("\r\n", "\n").replace('\r', "\n");
        let pasted = pasted.trim_end_matches('\n');
        self.ended.store(true, Ordering::Relaxed);
        if pasted.is_empty() {
            return Some(Cmd::Repaint);
        }
        self.in_line.store(true, Ordering::Relaxed);
        Some(Cmd::Insert(1, pasted.to_owned()))
    }

    /// Whether a paste has ended since this was asked.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.swap(false, Ordering::Relaxed)
    }

    /// The line is a new one.
    pub(super) fn forget(&self) {
        self.in_line.store(false, Ordering::Relaxed);
    }

    /// Whether part of the line was pasted.
    pub(super) fn is_in_line(&self) -> bool {
        self.in_line.load(Ordering::Relaxed)
    }

    fn text(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The character that a terminal sends as this key. Other control characters are dropped: the line is drawn as it is.
fn character(key: KeyEvent) -> Option<char> {
    match key {
        KeyEvent(KeyCode::Char(character), Modifiers::NONE) => Some(character),
        KeyEvent(KeyCode::Enter, Modifiers::NONE) => Some('\r'),
        KeyEvent(KeyCode::Char('J'), Modifiers::CTRL) => Some('\n'),
        KeyEvent(KeyCode::Tab, Modifiers::NONE) => Some('\t'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: KeyEvent = KeyEvent(KeyCode::BracketedPasteEnd, Modifiers::NONE);

    fn pasted(text: &str) -> Option<Cmd> {
        let paste = Paste::default();
        paste.begin();
        for character in text.chars() {
            assert_eq!(paste.take(KeyEvent::from(character)), Some(Cmd::Noop), "{character:?}");
        }
        let end = paste.take(END);
        assert_eq!(paste.take(KeyEvent::from('x')), None);
        end
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
            assert_eq!(pasted(text), Some(Cmd::Insert(1, expected.to_owned())), "{text:?}");
        }
        for nothing in ["", "\r", "\n\r\n"] {
            assert_eq!(pasted(nothing), Some(Cmd::Repaint), "{nothing:?}");
        }
    }

    #[test]
    fn keys_outside_of_a_paste_are_none_of_its_business_and_an_end_alone_is_nothing() {
        let paste = Paste::default();
        assert_eq!(paste.take(KeyEvent::from('x')), None);
        assert_eq!(paste.take(END), None);
        assert!(!paste.has_ended() && !paste.is_in_line());
    }

    /// Whoever wrote the text could have put the marks into it.
    #[test]
    fn marks_within_a_paste_begin_no_other_one_and_an_end_with_alt_is_an_end() {
        let paste = Paste::default();
        paste.begin();
        paste.take(KeyEvent::from('a'));
        paste.begin();
        paste.take(KeyEvent::from('b'));
        let end = paste.take(KeyEvent(KeyCode::BracketedPasteEnd, Modifiers::ALT));
        assert_eq!(end, Some(Cmd::Insert(1, "ab".to_owned())));
        assert!(paste.has_ended() && !paste.has_ended() && paste.is_in_line());
        paste.forget();
        assert!(!paste.is_in_line());
    }
}
