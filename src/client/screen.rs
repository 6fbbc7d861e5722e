//! The terminal, or what stands in its place, as the two threads of the chat share it.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError};

use jiff::tz::TimeZone;

use super::render::Page;
use super::{Error, output};

/// Lines of both threads, and the prompt below them.
pub struct Screen {
    /// Empty where nobody is prompted.
    prompt: Mutex<String>,
    /// Whether there is a person to prompt.
    interactive: bool,
    /// How a prompt that stands there is taken away before a line comes in its place.
    clear: &'static str,
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
        page(&io::stdout())
    }

    /// A line above the prompt.
    pub fn line(&self, text: &str) -> Result<(), Error> {
        let prompt = self.prompt.lock().unwrap_or_else(PoisonError::into_inner).clone();
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
        prompt.clone_into(&mut self.prompt.lock().unwrap_or_else(PoisonError::into_inner));
        output::write(prompt)
    }

    /// A typed line has ended the prompt.
    pub fn answered(&self) {
        self.prompt.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Leaves the cursor at the beginning of a line.
    pub fn end(&self) {
        let stands = !std::mem::take(&mut *self.prompt.lock().unwrap_or_else(PoisonError::into_inner)).is_empty();
        if stands {
            // Whoever closed the terminal has no use for a line end.
            let _ = output::write("\n");
        }
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
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}
