//! The terminal's settings while somebody chats, and its place as stdin.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::stdio::{dup2_stdin, stdin};
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use super::keyboard::{Came, Keyboard};
use super::paste::Paste;
use crate::client::error::Error;
use crate::client::ui::prompt::{PASTE_OFF, original};
use crate::limits::{INPUT_READ, STOPPED_LOOKED_FOR, STOPPED_WITHIN};
use crate::transport::{Interest, Wakeup, wait};

/// The terminal behind stdin, with a pseudo-terminal in its place there: that one gives rustyline what [`Keyboard`] makes of what
/// is typed. The settings are put back when this is dropped, also by a panic.
pub(super) struct Tty {
    terminal: OwnedFd,
    /// What is written here is read at stdin.
    keys: OwnedFd,
    stdin: File,
    /// Takes its place at stdin: nothing can be read from it.
    nothing: File,
    /// Ends the reading of the terminal.
    left: Wakeup,
    has_left: AtomicBool,
    /// The terminal is gone.
    is_gone: AtomicBool,
    before: Termios,
    /// The program was stopped and goes on.
    continued: Arc<AtomicBool>,
}

impl Tty {
    /// Remembers the settings, quietens the terminal, and takes its place at stdin.
    pub(super) fn take() -> Result<Self, Error> {
        let terminal = rustix::io::dup(stdin()).map_err(|error| setting(error.into()))?;
        let nothing = File::open("/dev/null").map_err(setting)?;
        let before = original(&terminal).ok_or_else(|| setting(io::ErrorKind::NotConnected.into()))?;
        let quiet = quiet(&before);
        let (keys, stdin) = pair(&quiet).map_err(setting)?;
        let left = Wakeup::new().map_err(setting)?;
        let continued = Arc::default();
        signal_hook::flag::register(signal_hook::consts::SIGCONT, Arc::clone(&continued)).map_err(setting)?;
        let (has_left, is_gone) = Default::default();
        let tty = Self { terminal, keys, stdin, nothing, left, has_left, is_gone, before, continued };
        tty.set(&quiet);
        tty.uncover();
        Ok(tty)
    }

    /// Passes on what is typed, and what is pasted by way of `paste`, until [it is left](Self::leave) or the terminal is gone.
    pub(super) fn pass_on(&self, paste: &Paste) {
        if self.read_on(paste).is_err() {
            self.is_gone.store(true, Ordering::Release);
            self.hide();
            // Whoever waits looks, and meets the end.
            let _ = rustix::io::write(&self.keys, &[0]);
        }
    }

    fn read_on(&self, paste: &Paste) -> io::Result<()> {
        let mut keyboard = Keyboard::new(Instant::now());
        let mut buffer = vec![0; INPUT_READ];
        let mut is_first = true;
        while !self.has_left.load(Ordering::Acquire) {
            let deadline = if is_first { Some(Instant::now()) } else { keyboard.deadline() };
            let readable = Interest { read: true, write: false };
            let ready = wait(&self.terminal, readable, &self.left, deadline)?;
            let mut came = Vec::new();
            if ready.readable {
                match rustix::io::read(&self.terminal, &mut buffer) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => {
                        let bytes = &buffer[..count];
                        came = match is_first {
                            true => keyboard.typed_ahead(bytes, Instant::now()),
                            false => keyboard.push(bytes, Instant::now()),
                        };
                    }
                    Err(Errno::INTR | Errno::AGAIN) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            is_first = false;
            came.extend(keyboard.due(Instant::now()));
            for came in came {
                match came {
                    Came::Keys(keys) => self.press(&keys)?,
                    Came::Pasted(piece) if !piece.is_text() => self.press(NO_UTF8)?,
                    Came::Pasted(piece) => {
                        paste.add(piece);
                        self.press(PASTED)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives rustyline these keys, when it takes them.
    fn press(&self, mut keys: &[u8]) -> io::Result<()> {
        while !keys.is_empty() && !self.has_left.load(Ordering::Acquire) {
            match rustix::io::write(&self.keys, keys) {
                Ok(count) => keys = &keys[count..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    wait(&self.keys, Interest { read: false, write: true }, &self.left, None)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Nothing that is typed is passed on any more.
    pub(super) fn leave(&self) {
        self.has_left.store(true, Ordering::Release);
        self.left.wake();
    }

    /// Whoever reads stdin meets its end; what is typed stays where it is.
    pub(super) fn hide(&self) {
        // It fails for no reason but a closed file.
        let _ = dup2_stdin(&self.nothing);
    }

    /// What is typed is at stdin again.
    pub(super) fn uncover(&self) {
        if !self.is_gone.load(Ordering::Acquire) {
            let _ = dup2_stdin(&self.stdin);
        }
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
        let _ = dup2_stdin(&self.terminal);
        self.restore();
    }
}

/// As rustyline has it while a line is edited: what is typed ahead is not echoed and comes as it was typed, with Enter and Ctrl-J
/// different keys, and Ctrl-C no signal: it means the line that is about to begin.
fn quiet(before: &Termios) -> Termios {
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN | LocalModes::ISIG);
    quiet
        .input_modes
        .remove(InputModes::BRKINT | InputModes::ICRNL | InputModes::INPCK | InputModes::ISTRIP | InputModes::IXON);
    quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
    quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
    quiet
}

/// Both ends of a pseudo-terminal with these settings: what is written to the first one, which never blocks, is read from the
/// second one.
fn pair(settings: &Termios) -> io::Result<(OwnedFd, File)> {
    let first = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&first)?;
    unlockpt(&first)?;
    let name = ptsname(&first, Vec::new())?;
    let mut options = OpenOptions::new();
    // It is not to become what Ctrl-C and a shell's job control go by.
    let flags = i32::try_from(OFlags::NOCTTY.bits()).unwrap_or_default();
    let second =
        options.read(true).write(true).custom_flags(flags).open(std::ffi::OsStr::from_bytes(name.to_bytes()))?;
    tcsetattr(&second, OptionalActions::Now, settings)?;
    fcntl_setfl(&first, OFlags::NONBLOCK)?;
    Ok((first, second))
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
/// Tells the line's editor that a paste has come: the mark of its end alone.
const PASTED: &[u8] = b"\x1b[201~";
/// What the line's editor finds to be no text.
const NO_UTF8: &[u8] = &[0xff];
