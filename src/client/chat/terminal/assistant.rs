//! What rustyline asks while somebody types: what to draw, what to complete, what to hint at.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstyle::{AnsiColor, Style};
use rustyline::completion::Completer;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::{Hint, Hinter};
use rustyline::validate::Validator;
use rustyline::{Context, Helper};

use super::paste::Paste;
use super::rows::Rows;
use super::tty::Tty;
use crate::client::chat::commands;
use crate::client::chat::commands::parse::{self, Pasted};
use crate::client::chat::screen::{Due, Screen};
use crate::client::ui::render::columns;
use crate::limits::{COMPLETIONS_SHOWN, INPUT_LINE_MAX, PASTE_LINES_MAX};
use crate::names::UserName;

/// Knows the line that is being typed, and puts what came above it.
pub(super) struct Assistant<'a> {
    screen: &'a Screen,
    names: Names<'a>,
    has_hints: bool,
    tty: Arc<Tty>,
    line: RefCell<String>,
    at: Cell<usize>,
    /// The line is the answer to one. Its keys look at it, too.
    pub(super) is_question: Arc<AtomicBool>,
    /// A key led to what is drawn next: more of what was typed may be in rustyline's hands.
    by_key: Cell<bool>,
    /// Why the line is being left from outside.
    cut: Cell<Option<Why>>,
    pub(super) paste: Arc<Paste>,
    pub(super) rows: Rc<Rows>,
    /// The line ends and does not count. Set by its key.
    pub(super) cleared: Arc<AtomicBool>,
    /// Whom the line goes to if it names nobody.
    to: RefCell<String>,
    /// A backslash at the end of a line made it go on. Set by its key.
    pub(super) continued: Arc<AtomicBool>,
}

/// Gives the names that are known.
pub(super) type Names<'a> = &'a dyn Fn() -> Vec<UserName>;

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
    pub(super) fn new(screen: &'a Screen, names: Names<'a>, tty: Arc<Tty>) -> Self {
        Self {
            screen,
            names,
            // Without colour a hint could be taken for what was typed.
            has_hints: screen.page().colour,
            tty,
            line: RefCell::default(),
            at: Cell::new(0),
            is_question: Arc::default(),
            by_key: Cell::new(false),
            cut: Cell::new(None),
            paste: Arc::default(),
            rows: Rc::new(Rows::new()),
            cleared: Arc::default(),
            to: RefCell::default(),
            continued: Arc::default(),
        }
    }

    /// A line is begun with this text; one that was kept is still as pasted as it was.
    pub(super) fn begin(&self, is_question: bool, text: &str) {
        if !is_question && text.is_empty() {
            self.paste.forget();
            self.continued.store(false, Ordering::Relaxed);
        }
        self.is_question.store(is_question, Ordering::Relaxed);
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

    /// Whom lines go to that name nobody.
    pub(super) fn goes_to(&self, to: &str) {
        to.clone_into(&mut self.to.borrow_mut());
    }

    /// The line without the backslashes that made it go on. In a paste they may be part of the text, and stay.
    pub(super) fn joined(&self, line: String) -> String {
        match self.continued.load(Ordering::Relaxed) && self.pasted() == Pasted::Nothing {
            true => line.replace("\\\n", "\n"),
            false => line,
        }
    }

    /// How much of the line was pasted.
    pub(super) fn pasted(&self) -> Pasted {
        match (self.paste.is_in_line(), self.paste.is_broken()) {
            (false, _) => Pasted::Nothing,
            (true, false) => Pasted::Whole,
            (true, true) => Pasted::Broken,
        }
    }

    fn is_question(&self) -> bool {
        self.is_question.load(Ordering::Relaxed)
    }

    /// Whether the line that has ended does not count.
    pub(super) fn was_cleared(&self) -> bool {
        self.cleared.swap(false, Ordering::Relaxed)
    }

    /// The line as it was seen last.
    pub(super) fn line(&self) -> String {
        self.line.borrow().clone()
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

/// What could be typed next. It is no text to be taken over.
pub(super) struct Usage(String);

impl Hint for Usage {
    fn display(&self) -> &str {
        &self.0
    }

    fn completion(&self) -> Option<&str> {
        None
    }
}

impl Hinter for Assistant<'_> {
    type Hint = Usage;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<Usage> {
        self.by_key.set(true);
        self.note(line, at);
        if self.paste.has_come() && !self.is_question() {
            let is_long = line.len() > INPUT_LINE_MAX || line.lines().count() > PASTE_LINES_MAX;
            let why = if is_long { Some(Why::Pasted) } else { self.cut.get() };
            why.into_iter().for_each(|why| self.leave(why));
        }
        if self.is_question() {
            return self.paste.was_dropped().then(|| Usage(" (a paste is no answer)".to_owned()));
        }
        // This must be seen without colours, too: nobody is to send into a group what was meant as a command.
        let joined = self.joined(line.to_owned());
        let lines = parse::lines_hint(&joined, &self.to.borrow()).map(|hint| format!("  [{hint}]"));
        let usage = || commands::hint(line).filter(|_| self.has_hints && at == line.len());
        lines.or_else(usage).map(Usage)
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
            self.rows.begin();
            return match self.cut.get() {
                Some(_) => Cow::Owned(text + NOTHING),
                None => Cow::Owned(text + &self.rows.broken(prompt)),
            };
        }
        Cow::Borrowed(NOTHING)
    }

    fn highlight<'l>(&self, line: &'l str, at: usize) -> Cow<'l, str> {
        self.note(line, at);
        match self.cut.get() {
            Some(_) => Cow::Borrowed(""),
            None => Cow::Owned(self.rows.broken(line)),
        }
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        match self.cut.get() {
            Some(_) => Cow::Borrowed(""),
            None if self.has_hints => Cow::Owned(format!("{GREY}{}{GREY:#}", self.rows.broken(hint))),
            None => Cow::Owned(self.rows.broken(hint)),
        }
    }

    fn highlight_char(&self, _: &str, _: usize, _: CmdKind) -> bool {
        self.by_key.set(true);
        false
    }
}

impl Completer for Assistant<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        // The list of what fits is drawn like what a key leads to.
        self.by_key.set(true);
        let typed = &line[..at];
        let (begin, mut fitting) = match self.is_question() {
            true => (at, Vec::new()),
            false => commands::completions(typed, &(self.names)()),
        };
        fitting.truncate(COMPLETIONS_SHOWN);
        Ok((begin, fitting))
    }
}

impl Validator for Assistant<'_> {}

/// A line that is left is not drawn. Room is made for the line ends that rustyline still writes, and the place is
/// remembered at which the next line begins.
const NOTHING: &str = "\n\n\x1b[2A\x1b7";
/// Readable on light and on dark.
const GREY: Style = AnsiColor::BrightBlack.on_default();
/// Bytes of a line that fits any terminal of some height.
const TALL_FROM: usize = 200;
