//! The terminal's settings while somebody chats, and its place as stdin.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::process::{Signal, kill_current_process_group};
use rustix::stdio::{dup2_stdin, stdin};
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::client::Error;
use crate::client::prompt::{PASTE_OFF, original};
use crate::limits::{STOPPED_LOOKED_FOR, STOPPED_WITHIN};

/// The terminal behind stdin. Its settings are put back when this is dropped, also by a panic.
pub(super) struct Tty {
    terminal: OwnedFd,
    /// Takes the terminal's place at stdin: nothing can be read from it.
    nothing: File,
    before: Termios,
    /// The program was stopped and goes on.
    continued: Arc<AtomicBool>,
}

impl Tty {
    /// Remembers the settings, and [quietens](Self::quieten) the terminal.
    pub(super) fn take() -> Result<Self, Error> {
        let terminal = rustix::io::dup(stdin()).map_err(|error| setting(error.into()))?;
        let nothing = File::open("/dev/null").map_err(setting)?;
        let before = original(&terminal).ok_or_else(|| setting(io::ErrorKind::NotConnected.into()))?;
        let continued = Arc::default();
        signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&continued)).map_err(setting)?;
        let tty = Self { terminal, nothing, before, continued };
        tty.quieten();
        Ok(tty)
    }

    /// The settings between two lines: what is typed ahead is not echoed and reaches the next line as it was typed, with
    /// Enter and Ctrl-J still different keys, and Ctrl-C no signal: it means the line that is about to begin.
    pub(super) fn quieten(&self) {
        let mut quiet = self.before.clone();
        quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        quiet.input_modes.remove(InputModes::ICRNL);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        self.set(&quiet);
    }

    /// Whoever reads stdin meets its end; what is typed stays in the terminal.
    pub(super) fn hide(&self) {
        // It fails for no reason but a closed file.
        let _ = dup2_stdin(&self.nothing);
    }

    /// The terminal is stdin again.
    pub(super) fn uncover(&self) {
        let _ = dup2_stdin(&self.terminal);
    }

    /// The terminal is stdin again, with the settings between two lines.
    pub(super) fn show(&self) {
        self.uncover();
        self.quieten();
    }

    /// Stops this program as Ctrl-Z does, with the terminal as it was before the chat, until it is continued.
    pub(super) fn suspend(&self) {
        let Ok(editing) = tcgetattr(&self.terminal) else { return };
        self.restore();
        // The whole group, as the shell waits for its first process. Whoever can't be stopped goes on.
        self.continued.store(false, Ordering::Release);
        if kill_current_process_group(Signal::TSTP).is_ok() {
            self.wait_until_continued();
        }
        self.set(&editing);
        write(PASTE_ON);
    }

    /// The stop may reach this thread a moment later; until it has, nothing may be done to the terminal.
    fn wait_until_continued(&self) {
        let deadline = Instant::now() + STOPPED_WITHIN;
        while !self.continued.load(Ordering::Acquire) && Instant::now() < deadline {
            std::thread::sleep(STOPPED_LOOKED_FOR);
        }
    }

    fn restore(&self) {
        write(PASTE_OFF);
        self.set(&self.before);
    }

    fn set(&self, settings: &Termios) {
        // A terminal that is gone needs no settings.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, settings);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        self.uncover();
        self.restore();
    }
}

fn write(sequence: &str) {
    let mut stdout = io::stdout().lock();
    // A terminal that is gone needs nothing.
    let _ = stdout.write_all(sequence.as_bytes()).and_then(|()| stdout.flush());
}

fn setting(source: io::Error) -> Error {
    Error::Input { what: "the terminal", source }
}

/// Asks the terminal to mark what is pasted.
const PASTE_ON: &str = "\x1b[?2004h";
