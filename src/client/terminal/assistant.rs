//! What rustyline asks while somebody types: what to draw, what to complete, what to hint at.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::tty::Tty;
use crate::client::render::columns;
use crate::client::screen::{Due, Screen};
use crate::limits::PASTE_LINES_MAX;

/// Knows the line that is being typed, and puts what came above it.
pub(super) struct Assistant<'a> {
    screen: &'a Screen,
    tty: Arc<Tty>,
    line: RefCell<String>,
    at: Cell<usize>,
    is_question: Cell<bool>,
    /// A key led to what is drawn next: more of what was typed may be in rustyline's hands.
    by_key: Cell<bool>,
    /// Why the line is being left from outside.
    cut: Cell<Option<Why>>,
    /// A paste begins. Set by its key.
    pub(super) pasting: Arc<AtomicBool>,
    /// The line ends and does not count. Set by its key.
    pub(super) cleared: Arc<AtomicBool>,
    was_pasted: Cell<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Changed,
    Pasted,
}

/// A line that was left from outside.
pub(super) enum Cut {
    /// The prompt is another one now, or all is over. The cursor was at this byte.
    Changed { line: String, at: usize },
    /// A long paste came into it.
    Pasted { line: String },
}

impl<'a> Assistant<'a> {
    pub(super) fn new(screen: &'a Screen, tty: Arc<Tty>) -> Self {
        Self {
            screen,
            tty,
            line: RefCell::default(),
            at: Cell::new(0),
            is_question: Cell::new(false),
            by_key: Cell::new(false),
            cut: Cell::new(None),
            pasting: Arc::default(),
            cleared: Arc::default(),
            was_pasted: Cell::new(false),
        }
    }

    /// A line is begun with this text; one that was kept is still as pasted as it was.
    pub(super) fn begin(&self, is_question: bool, text: &str) {
        if !is_question && text.is_empty() {
            self.was_pasted.set(false);
        }
        self.is_question.set(is_question);
        self.pasting.store(false, Ordering::Relaxed);
        self.by_key.set(false);
    }

    /// The line has ended; tells whether it was left from outside.
    pub(super) fn end(&self) -> Option<Cut> {
        let line = self.line.borrow().clone();
        Some(match self.cut.take()? {
            Why::Changed => Cut::Changed { at: self.at.get().min(line.len()), line },
            Why::Pasted => Cut::Pasted { line },
        })
    }

    /// Whether part of the line was pasted.
    pub(super) fn was_pasted(&self) -> bool {
        self.was_pasted.get()
    }

    /// Whether the line that has ended does not count.
    pub(super) fn was_cleared(&self) -> bool {
        self.cleared.swap(false, Ordering::Relaxed)
    }

    fn note(&self, line: &str, at: usize) {
        line.clone_into(&mut self.line.borrow_mut());
        self.at.set(at);
    }

    fn leave(&self, why: Why) {
        self.cut.set(Some(why));
        self.tty.hide();
    }

    /// Whether the line takes all of the terminal: drawn again and again it would scroll everything else away.
    fn is_tall(&self) -> bool {
        let line = self.line.borrow();
        if line.len() < TALL_FROM {
            return false;
        }
        let Ok(size) = rustix::termios::tcgetwinsize(std::io::stdout()) else { return false };
        let (width, height) = (usize::from(size.ws_col).max(1), usize::from(size.ws_row));
        let rows: usize = line.split('\n').map(|line| columns(line) / width + 1).sum();
        height > 0 && rows + 1 >= height
    }
}

impl Helper for Assistant<'_> {}

impl Hinter for Assistant<'_> {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        self.by_key.set(true);
        self.note(line, at);
        if self.pasting.swap(false, Ordering::Relaxed) && !self.is_question.get() {
            self.was_pasted.set(true);
            let why = (line.lines().count() > PASTE_LINES_MAX).then_some(Why::Pasted);
            if let Some(why) = why.or(self.cut.get()) {
                self.leave(why);
            }
        }
        None
    }
}

impl Highlighter for Assistant<'_> {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, is_default: bool) -> Cow<'b, str> {
        let by_key = self.by_key.replace(false);
        if self.cut.get().is_none() {
            let Due { text, ends } = self.screen.due(prompt, !is_default || self.is_tall());
            match ends {
                // Between two keys, when rustyline comes back for this.
                true if by_key => self.screen.want(),
                true if is_default => self.leave(Why::Changed),
                _ => {}
            }
            return match self.cut.get() {
                Some(_) => Cow::Owned(text + NOTHING),
                None if text.is_empty() => Cow::Borrowed(prompt),
                None => Cow::Owned(text + prompt),
            };
        }
        Cow::Borrowed(NOTHING)
    }

    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        self.note(line, at);
        match self.cut.get() {
            Some(_) => Cow::Borrowed(""),
            None => Cow::Borrowed(line),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.cut.get() {
            Some(_) => Cow::Borrowed(""),
            None => Cow::Borrowed(hint),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.by_key.set(true);
        false
    }
}

impl Completer for Assistant<'_> {
    type Candidate = String;
}

impl Validator for Assistant<'_> {}

/// A line that is left is not drawn. Room is made for the line ends that rustyline still writes, and the place is
/// remembered at which the next line begins.
const NOTHING: &str = "\n\n\x1b[2A\x1b7";
/// Bytes of a line that fits any terminal of some height.
const TALL_FROM: usize = 200;
