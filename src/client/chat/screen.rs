//! The terminal, or what stands in its place, as the two threads of the chat share it.

use std::io::{self, IsTerminal};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::client::error::Error;
use crate::client::model::invocation::Invocation;
use crate::client::ui::render::Page;
use crate::client::ui::{output, page};
use crate::limits::UNSHOWN_MAX;
use crate::sync::lock;
use crate::wire::MessageId;

/// Lines of both threads, and the prompt below them.
pub(crate) struct Screen {
    state: Mutex<State>,
    /// What waits was shown, or is to be.
    changed: Condvar,
    /// Held by whoever writes, so that no line comes into one that is being typed. The only lock that is held over output.
    turn: Mutex<()>,
    kind: Kind,
    invocation: Invocation,
}

/// What the lines are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A pipe or a file: there is nobody to prompt.
    Pipe,
    /// A terminal that only goes forward.
    Typewriter,
    /// A terminal on which the line being typed can be edited.
    Editor,
}

#[derive(Default)]
struct State {
    /// Empty where nobody is prompted.
    prompt: String,
    /// A question: it stands there with and without a connection.
    is_question: bool,
    /// Takes the prompt's place while there is no connection.
    is_offline: bool,
    /// A line is being edited: what comes is shown by the editor.
    is_edited: bool,
    /// What the editor is to show above the prompt.
    waiting: String,
    /// The editor is to look.
    is_wanted: bool,
    /// Nothing more is to be typed.
    is_over: bool,
    /// There is no editor any more.
    is_gone: bool,
    /// What stands above the prompt, or will when what waits is shown, if it may be taken away.
    last: Option<Last>,
}

/// A line as it was typed.
pub(crate) struct Typed {
    /// The rows from its prompt to the cursor below it.
    pub rows: usize,
    /// With its prompt and its line ends.
    pub text: String,
}

/// What may be taken away: it stands in so many rows right above the prompt.
struct Last {
    what: What,
    rows: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// A line as it was typed.
    Typed,
    /// A message of one's own, whose mark may become another one.
    Own(MessageId),
}

impl State {
    fn shown(&self) -> &str {
        match self.prompt.is_empty() || self.is_question {
            false if self.is_offline => "offline> ",
            _ => &self.prompt,
        }
    }
}

/// What the editor is to do when it draws its line.
pub(crate) struct Due {
    /// To be shown above, with its line ends.
    pub text: String,
    /// The line is not to be edited any further as it stands there: the prompt has changed, or all is over.
    pub ends: bool,
}

impl Screen {
    /// Prompts if stdin and stdout are terminals.
    pub(crate) fn new(invocation: &Invocation) -> Self {
        let kind = match io::stdin().is_terminal() && io::stdout().is_terminal() {
            true if page::is_dumb() || !has_editor() => Kind::Typewriter,
            true => Kind::Editor,
            false => Kind::Pipe,
        };
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            turn: Mutex::default(),
            kind,
            invocation: invocation.in_chat(),
        }
    }

    /// Whether what is typed can be edited.
    pub(crate) fn edits(&self) -> bool {
        self.kind == Kind::Editor
    }

    /// Whether somebody looks at it, and not a program.
    pub(crate) fn is_looked_at(&self) -> bool {
        self.kind != Kind::Pipe
    }

    /// How lines are to look now: a window can change its width at any time.
    pub(crate) fn page(&self) -> Page {
        page::of(&self.invocation, &io::stdout())
    }

    /// A line above the prompt. While a line is edited that fills the terminal, this waits when too much has come.
    pub(crate) fn line(&self, text: &str) -> Result<(), Error> {
        let turn = self.turn();
        let mut state = self.state();
        state.last = None;
        self.show(turn, state, text)
    }

    /// A message of one's own, which may still become another line.
    pub(crate) fn own(&self, id: MessageId, text: &str) -> Result<(), Error> {
        let turn = self.turn();
        let mut state = self.state();
        state.last = Some(Last { what: What::Own(id), rows: text.split('\n').count() });
        self.show(turn, state, text)
    }

    /// The same in the place of what was shown for this message, if that is the last thing that was shown. Tells whether it is.
    pub(crate) fn instead(&self, id: MessageId, text: &str) -> Result<bool, Error> {
        let turn = self.turn();
        let mut state = self.state();
        let Some(away) = self.away(&state, What::Own(id)) else { return Ok(false) };
        state.last = Some(Last { what: What::Own(id), rows: text.split('\n').count() });
        self.show(turn, state, &format!("{away}{text}"))?;
        Ok(true)
    }

    /// The line that was typed is to be shown as a message: it does not stand twice.
    pub(crate) fn take_typed(&self) -> Result<(), Error> {
        let _turn = self.turn();
        let mut state = self.state();
        let Some(away) = self.away(&state, What::Typed).filter(|_| !state.is_edited) else { return Ok(()) };
        state.last = None;
        drop(state);
        output::write(&away)
    }

    /// What takes this away, if it is the last thing and all of it stands on the screen.
    fn away(&self, state: &State, what: What) -> Option<String> {
        let last = state.last.as_ref().filter(|last| self.kind == Kind::Editor && last.what == what)?;
        away(last.rows)
    }

    fn show(&self, turn: MutexGuard<'_, ()>, mut state: MutexGuard<'_, State>, text: &str) -> Result<(), Error> {
        if state.is_edited {
            drop(turn);
            state.waiting.push_str(text);
            state.waiting.push('\n');
            state.is_wanted = true;
            self.changed.notify_all();
            let is_full = |state: &mut State| state.is_edited && state.waiting.len() > UNSHOWN_MAX;
            drop(self.changed.wait_while(state, is_full).unwrap_or_else(PoisonError::into_inner));
            return Ok(());
        }
        let prompt = state.shown().to_owned();
        drop(state);
        match (self.kind, prompt.is_empty()) {
            (Kind::Editor, _) => output::write(&format!("{CLEAR}{text}\n")),
            (_, true) => output::line(text),
            (_, false) => output::write(&format!("\n{text}\n{prompt}")),
        }
    }

    /// The same, and rings.
    pub(crate) fn ringing(&self, text: &str) -> Result<(), Error> {
        match self.kind {
            Kind::Pipe => self.line(text),
            Kind::Typewriter | Kind::Editor => self.line(&format!("{text}\x07")),
        }
    }

    /// A line of the log. It waits for nobody: where too much waits already, it is left out.
    pub(crate) fn log(&self, text: &str) {
        let state = self.state();
        let is_full = state.is_edited && state.waiting.len() > UNSHOWN_MAX;
        drop(state);
        if !is_full {
            // A terminal that is gone needs no log.
            let _ = self.line(text);
        }
    }

    /// Asks for the next line to be typed, which may be the answer to a question.
    pub(crate) fn prompt(&self, prompt: &str, is_question: bool) -> Result<(), Error> {
        if self.kind == Kind::Pipe {
            return Ok(());
        }
        let mut state = self.state();
        prompt.clone_into(&mut state.prompt);
        state.is_question = is_question;
        let shown = state.shown().to_owned();
        drop(state);
        output::write(&shown)
    }

    /// Whether there is a connection; shows with the next line.
    pub(crate) fn offline(&self, offline: bool) {
        self.state().is_offline = offline;
    }

    /// A typed line has ended the prompt.
    pub(crate) fn answered(&self) {
        self.state().prompt.clear();
    }

    /// Leaves the cursor at the beginning of a line.
    pub(crate) fn end(&self) {
        let stands = !std::mem::take(&mut self.state().prompt).is_empty();
        if stands && self.kind == Kind::Typewriter {
            // Whoever closed the terminal has no use for a line end.
            let _ = output::write("\n");
        }
    }

    /// Nothing more is to be typed: whoever edits a line stops.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.is_wanted = true;
        self.changed.notify_all();
    }

    /// A line is edited from now on, with the prompt that is given back. None when nothing more is to be typed.
    pub(crate) fn edit(&self, prompt: &str, is_question: bool) -> Option<String> {
        let _turn = self.turn();
        let mut state = self.state();
        if state.is_over {
            return None;
        }
        prompt.clone_into(&mut state.prompt);
        state.is_question = is_question;
        state.is_edited = true;
        if matches!(state.last, Some(Last { what: What::Typed, .. })) {
            state.last = None;
        }
        Some(state.shown().to_owned())
    }

    /// What the editor is to do, which draws its line with the prompt `shown`. With `held`, lines wait on.
    pub(crate) fn due(&self, shown: &str, held: bool) -> Due {
        let mut state = self.state();
        let text = if held { String::new() } else { std::mem::take(&mut state.waiting) };
        self.changed.notify_all();
        Due { text, ends: state.is_over || (!held && state.shown() != shown) }
    }

    /// The editor is to look once more.
    pub(crate) fn want(&self) {
        self.state().is_wanted = true;
        self.changed.notify_all();
    }

    /// Waits until the editor is to look. False when there is none any more.
    pub(crate) fn wait_until_wanted(&self) -> bool {
        let is_idle = |state: &mut State| !state.is_wanted && !state.is_gone;
        let mut state = self.changed.wait_while(self.state(), is_idle).unwrap_or_else(PoisonError::into_inner);
        state.is_wanted = false;
        !state.is_gone
    }

    /// No line is edited any more, and this is how it stands there, if it does; what waited is shown above it.
    pub(crate) fn edited(&self, typed: Option<&Typed>) -> Result<(), Error> {
        let _turn = self.turn();
        let mut state = self.state();
        state.is_edited = false;
        let waiting = std::mem::take(&mut state.waiting);
        let away = typed.and_then(|typed| away(typed.rows)).filter(|_| !waiting.is_empty());
        let mut shown = waiting;
        if let Some(Typed { rows, text }) = typed {
            let mut rows = *rows;
            if let Some(away) = away {
                shown = format!("{away}{shown}{text}\n");
                rows = text.split('\n').count();
            }
            state.last = Some(Last { what: What::Typed, rows });
        }
        self.changed.notify_all();
        drop(state);
        match shown.is_empty() {
            true => Ok(()),
            false => output::write(&shown),
        }
    }

    /// There is no editor any more.
    pub(crate) fn without_editor(&self) {
        let mut state = self.state();
        (state.is_edited, state.is_gone) = (false, true);
        self.changed.notify_all();
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        lock(&self.turn)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Takes away so many rows right above the cursor, if all of them stand on the screen.
fn away(rows: usize) -> Option<String> {
    let fits = page::height(&io::stdout()).is_none_or(|height| rows < height);
    fits.then(|| format!("\r\x1b[{rows}A\x1b[J"))
}

/// Terminals that rustyline only reads lines from, too.
fn has_editor() -> bool {
    std::env::var_os("TERM")
        .is_none_or(|term| !["cons25", "emacs"].iter().any(|other| term.eq_ignore_ascii_case(other)))
}

/// Takes away what stands in the line.
const CLEAR: &str = "\r\x1b[K";
