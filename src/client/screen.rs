//! The terminal, or what stands in its place, as the two threads of the chat share it.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;

use super::render::Page;
use super::{Error, output};

/// Lines of both threads, and the prompt below them.
pub struct Screen {
    prompt: Mutex<Prompt>,
    /// Whether there is a person to prompt.
    interactive: bool,
    /// How a prompt that stands there is taken away before a line comes in its place.
    clear: &'static str,
}

#[derive(Default)]
struct Prompt {
    /// Empty where nobody is prompted.
    text: String,
    /// Takes its place while there is no connection.
    offline: bool,
}

impl Prompt {
    fn shown(&self) -> &str {
        match self.text.is_empty() {
            false if self.offline => "offline> ",
            _ => &self.text,
        }
    }
}

impl Screen {
    /// Prompts if stdin and stdout are terminals.
    pub fn new() -> Self {
        let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
        let clear = if is_dumb() { "\n" } else { "\r\u{1b}[K" };
        Self { prompt: Mutex::default(), interactive, clear }
    }

    /// How lines are to look now: a window can change its width at any time.
    pub fn page(&self) -> Page {
        Page { before_commands: "/", ..page(&io::stdout()) }
    }

    /// A line above the prompt.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        let prompt = self.state().shown().to_owned();
        match prompt.is_empty() {
            true => output::line(text),
            false => output::write(&format!("{}{text}\n{prompt}", self.clear)),
        }
    }

    /// Asks for the next line to be typed.
    pub fn prompt(&self, prompt: &str) -> Result<(), Error> {
        if !self.interactive {
            return Ok(());
        }
        let mut state = self.state();
        prompt.clone_into(&mut state.text);
        let shown = state.shown().to_owned();
        drop(state);
        output::write(&shown)
    }

    /// Whether there is a connection; shows from the next line on.
    pub fn offline(&self, offline: bool) {
        self.state().offline = offline;
    }

    /// A typed line has ended the prompt.
    pub fn answered(&self) {
        self.state().text.clear();
    }

    /// Leaves the cursor at the beginning of a line.
    pub fn end(&self) {
        let stands = !std::mem::take(&mut self.state().text).is_empty();
        if stands {
            // Whoever closed the terminal has no use for a line end.
            let _ = output::write("\n");
        }
    }

    fn state(&self) -> MutexGuard<'_, Prompt> {
        self.prompt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

/// How lines on this stream are to look: colours and wrapping are for terminals.
pub fn page(stream: &(impl AsFd + IsTerminal)) -> Page {
    let terminal = stream.is_terminal();
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let size = if terminal { rustix::termios::tcgetwinsize(stream).ok() } else { None };
    Page {
        zone: TimeZone::system(),
        colour: terminal && wanted && !is_dumb(),
        width: size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0),
        before_commands: "topchat ",
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}
