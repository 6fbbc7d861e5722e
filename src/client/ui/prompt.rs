//! Questions to the person at the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Instant;

use rustix::termios::{InputModes, LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::hint::Hint;
use crate::limits::{TYPING_ENDED, TYPING_PAUSED};
use crate::transport::{Stop, wait_input};

const PATH: &str = "/dev/tty";

/// Asks the terminal to mark what is pasted no longer.
pub(crate) const PASTE_OFF: &str = "\x1b[?2004l";

/// The terminal of this process, wherever stdin and stdout go.
pub(crate) struct Terminal {
    file: File,
    /// How it is while a question is asked, if what is typed between two questions is kept for the chat.
    asking: Option<Termios>,
}

impl Terminal {
    /// The terminal, to ask for `what`; without one, or if nothing may be asked, the error names the flag instead.
    pub(crate) fn open(config: &Config, what: &'static str, flag: impl Into<Hint>) -> Result<Self, Error> {
        Self::find(config).ok_or_else(|| Error::NoTerminal { what, flag: flag.into() })
    }

    /// The terminal, if there is one and somebody may be asked. Somebody looks at it if stdin or stderr is a terminal.
    pub(crate) fn find(config: &Config) -> Option<Self> {
        let looked_at = io::stdin().is_terminal() || io::stderr().is_terminal();
        if !config.may_ask || !looked_at {
            return None;
        }
        OpenOptions::new().read(true).write(true).open(PATH).ok().map(|file| Self { file, asking: None })
    }

    /// What is typed between two questions, and behind the last one, is not shown and reaches the chat's line as it was typed,
    /// Enter as Enter.
    pub(crate) fn keeping_what_is_typed(mut self) -> Self {
        self.asking = original(&self.file);
        self
    }

    /// Asks and gives the answer without its line end.
    pub(crate) fn ask(&self, question: &str) -> Result<String, Error> {
        // Before the question is seen: Enter ends the answer, however soon it comes.
        let _keeping = self.asking();
        self.write(question)?;
        let mut answer = String::new();
        let read = BufReader::new(&self.file).read_line(&mut answer).map_err(reading)?;
        if read == 0 {
            self.write("\n")?;
            return Err(Error::Declined);
        }
        Ok(answer.trim().to_owned())
    }

    /// Asks without showing what is typed.
    pub(crate) fn ask_secret(&self, question: &str) -> Result<Zeroizing<String>, Error> {
        let _keeping = self.asking();
        match rpassword::prompt_password(question) {
            Ok(answer) => Ok(Zeroizing::new(answer)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Declined),
            // With the echo off, Ctrl-C comes as a character and not as a signal.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Error::Interrupted),
            Err(error) => Err(reading(error)),
        }
    }

    /// Shows a line.
    pub(crate) fn say(&self, line: &str) -> Result<(), Error> {
        self.write(&format!("{line}\n"))
    }

    /// The terminal is as it should be for a question, until this is dropped.
    fn asking(&self) -> Option<Asking<'_>> {
        let settings = self.asking.as_ref()?;
        set(&self.file, settings);
        Some(Asking { file: &self.file, settings })
    }

    fn write(&self, text: &str) -> Result<(), Error> {
        (&self.file).write_all(text.as_bytes()).map_err(reading)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(settings) = &self.asking {
            set(&self.file, settings);
        }
    }
}

/// A question is open.
struct Asking<'a> {
    file: &'a File,
    settings: &'a Termios,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut keeping = self.settings.clone();
        keeping.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
        keeping.input_modes.remove(InputModes::ICRNL);
        set(self.file, &keeping);
    }
}

/// A terminal that is gone needs no settings.
fn set(file: &File, settings: &Termios) {
    let _ = tcsetattr(file, OptionalActions::Now, settings);
}

/// The terminal's settings before this program changed them.
pub(crate) fn original(terminal: impl AsFd) -> Option<Termios> {
    let before = ORIGINAL.get_or_init(|| tcgetattr(terminal).ok());
    before.clone()
}

static ORIGINAL: OnceLock<Option<Termios>> = OnceLock::new();

/// Takes what is typed, which goes nowhere: the chat is over for another's reason, and whoever is typing in it would go on in the
/// shell. It ends when nothing was typed for a while, with Enter after a pause, or with a signal. `told` says so once nothing is
/// echoed any more.
pub(crate) fn take_what_is_typed<E>(stop: &Stop, told: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    let terminal = OpenOptions::new().read(true).write(true).open(PATH).ok();
    let Some((file, before)) = terminal.and_then(|file| tcgetattr(&file).ok().map(|settings| (file, settings))) else {
        return told();
    };
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    set(&file, &quiet);
    let told = told();
    let (mut heard, mut buffer) = (Instant::now(), [0; 1024]);
    while told.is_ok() && !stop.is_asked() && heard.elapsed() < TYPING_ENDED {
        let Ok(ready) = wait_input(&file, stop.wakeup(), Some(heard + TYPING_ENDED)) else { break };
        if !ready.readable {
            continue;
        }
        let Ok(count @ 1..) = rustix::io::read(&file, &mut buffer) else { break };
        let is_enter = buffer.get(..count).is_some_and(|typed| matches!(typed, [b'\r' | b'\n']));
        if is_enter && heard.elapsed() >= TYPING_PAUSED {
            break;
        }
        heard = Instant::now();
    }
    let _ = tcflush(&file, QueueSelector::IFlush);
    set(&file, &before);
    told
}

/// Whether this is the answer yes. All else is not.
pub(crate) fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// The terminal's settings at the start, to be put back when a question is interrupted.
pub(crate) struct Settings {
    saved: Option<(File, Termios)>,
}

impl Settings {
    /// Remembers the settings.
    pub(crate) fn remember() -> Self {
        let terminal = OpenOptions::new().read(true).write(true).open(PATH).ok();
        let saved = terminal.and_then(|file| tcgetattr(&file).ok().map(|settings| (file, settings)));
        Self { saved }
    }

    /// Puts them back.
    pub(crate) fn restore(&self) {
        self.put_back(PASTE_OFF);
    }

    /// The same, and leaves the line that is being edited.
    pub(crate) fn restore_below(&self) {
        self.put_back(&format!("{PASTE_OFF}\r\n\x1b[J"));
    }

    fn put_back(&self, sequence: &str) {
        if let Some((file, settings)) = &self.saved {
            // A terminal that is gone needs no settings. One whose line is being edited marks what is pasted.
            if tcgetattr(file).is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON)) {
                let _ = (&*file).write_all(sequence.as_bytes());
            }
            let _ = tcsetattr(file, OptionalActions::Now, settings);
        }
    }
}

fn reading(source: io::Error) -> Error {
    Error::Input { what: "the answer from the terminal", source }
}
