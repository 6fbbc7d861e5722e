//! Questions to the person at the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use super::Error;
use super::config::Config;

const PATH: &str = "/dev/tty";

/// Asks the terminal to mark what is pasted no longer.
pub(super) const PASTE_OFF: &str = "\x1b[?2004l";

/// The terminal of this process, wherever stdin and stdout go.
pub struct Terminal {
    file: File,
}

impl Terminal {
    /// The terminal, to ask for `what`; without one, or if nothing may be asked, the error names the flag instead.
    pub fn open(config: &Config, what: &'static str, flag: &'static str) -> Result<Self, Error> {
        Self::find(config).ok_or(Error::NoTerminal { what, flag })
    }

    /// The terminal, if there is one and somebody may be asked. Somebody looks at it if stdin or stderr is a terminal.
    pub fn find(config: &Config) -> Option<Self> {
        let looked_at = io::stdin().is_terminal() || io::stderr().is_terminal();
        if !config.may_ask || !looked_at {
            return None;
        }
        OpenOptions::new().read(true).write(true).open(PATH).ok().map(|file| Self { file })
    }

    /// Asks and gives the answer without its line end.
    pub fn ask(&self, question: &str) -> Result<String, Error> {
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
    pub fn ask_secret(&self, question: &str) -> Result<Zeroizing<String>, Error> {
        match rpassword::prompt_password(question) {
            Ok(answer) => Ok(Zeroizing::new(answer)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Declined),
            // With the echo off, Ctrl-C comes as a character and not as a signal.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Error::Interrupted),
            Err(error) => Err(reading(error)),
        }
    }

    /// Shows a line.
    pub fn say(&self, line: &str) -> Result<(), Error> {
        self.write(&format!("{line}\n"))
    }

    fn write(&self, text: &str) -> Result<(), Error> {
        (&self.file).write_all(text.as_bytes()).map_err(reading)
    }
}

/// Whether this is the answer yes. All else is not.
pub fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// The terminal's settings at the start, to be put back when a question is interrupted.
pub struct Settings {
    saved: Option<(File, Termios)>,
}

impl Settings {
    /// Remembers the settings.
    pub fn remember() -> Self {
        let terminal = OpenOptions::new().read(true).write(true).open(PATH).ok();
        let saved = terminal.and_then(|file| tcgetattr(&file).ok().map(|settings| (file, settings)));
        Self { saved }
    }

    /// Puts them back.
    pub fn restore(&self) {
        if let Some((file, settings)) = &self.saved {
            // A terminal that is gone needs no settings. One whose line is being edited marks what is pasted.
            if tcgetattr(file).is_ok_and(|now| !now.local_modes.contains(LocalModes::ICANON)) {
                let _ = (&*file).write_all(PASTE_OFF.as_bytes());
            }
            let _ = tcsetattr(file, OptionalActions::Now, settings);
        }
    }
}

fn reading(source: io::Error) -> Error {
    Error::Input { what: "the answer from the terminal", source }
}
