//! A program under a pseudo-terminal: every byte of its output, and what they make of the screen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::PATIENCE;
use super::process::signal;

/// A running program; its stdin, stdout and stderr are the terminal, which is also its controlling one.
pub struct Terminal {
    child: Child,
    master: File,
    /// Keeps the terminal's settings readable when the program has ended.
    slave: File,
    bytes: Receiver<Vec<u8>>,
    /// All that came so far.
    pub seen: Vec<u8>,
    screen: vt100::Parser,
}

impl Terminal {
    /// Of 24 rows and 80 columns.
    pub fn start(command: &Command) -> Self {
        Self::with_size(command, 24, 80)
    }

    pub fn with_size(command: &Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave = OpenOptions::new().read(true).write(true).open(path).unwrap();
        tcsetwinsize(&master, size(rows, columns)).unwrap();
        let mut command = in_a_session(command);
        let [stdin, stdout, stderr] = [(), (), ()].map(|()| Stdio::from(slave.try_clone().unwrap()));
        let child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
        let master = File::from(master);
        let (send, bytes) = channel();
        let mut reader = master.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                if send.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        let screen = vt100::Parser::new(at_least_one(rows), at_least_one(columns), 10_000);
        Self { child, master, slave, bytes, seen: Vec::new(), screen }
    }

    /// Presses these keys; Enter is `\r`.
    pub fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Pastes this, as a terminal does that marks what is pasted.
    pub fn pastes(&mut self, text: &str) {
        self.types(&format!("\x1b[200~{}\x1b[201~", text.replace('\n', "\r")));
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, rows: u16, columns: u16) {
        tcsetwinsize(&self.master, size(rows, columns)).unwrap();
        self.screen.screen_mut().set_size(at_least_one(rows), at_least_one(columns));
    }

    /// Reads until this was shown.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) {
        self.wait_until(part, |terminal| terminal.seen.windows(part.len()).any(|shown| shown == part.as_bytes()));
    }

    /// Reads until the row of the cursor holds this, and nothing else.
    #[track_caller]
    pub fn wait_for_line(&mut self, line: &str) {
        self.wait_until(line, |terminal| terminal.line() == line);
    }

    /// The same with the cursor in this column, counted from 0.
    #[track_caller]
    pub fn wait_for_cursor(&mut self, line: &str, column: u16) {
        self.wait_until(line, |terminal| terminal.line() == line && terminal.cursor().1 == column);
    }

    /// Reads until some row of the screen begins with this.
    #[track_caller]
    pub fn wait_for_row(&mut self, row: &str) {
        self.wait_until(row, |terminal| terminal.rows().iter().any(|shown| shown.starts_with(row)));
    }

    /// Reads until this holds.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(self) {
            match self.bytes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.take(&bytes),
                Err(_) => panic!(
                    "no {what:?} in {:?}\nscreen:\n{}",
                    String::from_utf8_lossy(&self.seen),
                    self.rows().join("\n")
                ),
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.seen.extend_from_slice(bytes);
        self.screen.process(bytes);
    }

    /// What stands on the screen, row by row, times as `HH:MM`; nothing behind the last row that holds anything.
    pub fn rows(&self) -> Vec<String> {
        let contents = self.screen.screen().contents();
        contents.lines().map(|row| crate::cli::home::without_time(row.trim_end())).collect()
    }

    /// The row of the cursor, up to the cursor's column at least.
    pub fn line(&self) -> String {
        let (row, column) = self.screen.screen().cursor_position();
        let text = self.screen.screen().rows(0, u16::MAX).nth(row.into()).unwrap_or_default();
        let text = text.trim_end();
        format!("{text:<width$}", width = column.into())
    }

    /// Where the cursor is, counted from 0: row and column.
    pub fn cursor(&self) -> (u16, u16) {
        self.screen.screen().cursor_position()
    }

    /// The terminal's settings now.
    pub fn settings(&self) -> Termios {
        tcgetattr(&self.slave).unwrap()
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for the end of the program, and gives how it ended; all that it showed is in `seen` then.
    #[track_caller]
    pub fn end(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if let Ok(bytes) = self.bytes.recv_timeout(TICK) {
                self.take(&bytes);
            }
            assert!(Instant::now() < deadline, "it does not end: {:?}", String::from_utf8_lossy(&self.seen));
        };
        // However slowly it is read, all that the program wrote comes before this.
        self.slave.write_all(END).unwrap();
        self.wait_until("the end", |terminal| terminal.seen.ends_with(END));
        self.seen.truncate(self.seen.len() - END.len());
        status
    }

    /// The same, and gives all that it showed.
    #[track_caller]
    pub fn finish(mut self) -> Vec<u8> {
        self.end();
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, or ends now; both is right here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same command in a session of its own whose terminal is its stdin, so that Ctrl-C and the window's size reach it.
fn in_a_session(command: &Command) -> Command {
    let mut session = Command::new("setsid");
    session.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
    session.envs(command.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    if let Some(folder) = command.get_current_dir() {
        session.current_dir(folder);
    }
    session
}

fn at_least_one(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a terminal has rows and columns")
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Means nothing to a terminal.
const END: &[u8] = b"\x1b]9999;end\x1b\\";

/// How long a look for more takes; nothing depends on it.
const TICK: std::time::Duration = std::time::Duration::from_millis(50);
