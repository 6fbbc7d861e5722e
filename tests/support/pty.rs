//! A program under a pseudo-terminal, every byte of whose output is kept.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::PATIENCE;

/// A running program; its stdin, stdout and stderr are the terminal.
pub struct Terminal {
    child: Child,
    master: File,
    bytes: Receiver<Vec<u8>>,
    /// All that came so far.
    pub seen: Vec<u8>,
}

impl Terminal {
    pub fn start(command: &mut Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let path = Path::new(std::ffi::OsStr::from_bytes(name.to_bytes()));
        let slave = OpenOptions::new().read(true).write(true).open(path).unwrap();
        let [stdin, stdout, stderr] = [(), (), ()].map(|()| slave.try_clone().unwrap());
        let child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn().unwrap();
        // The command holds copies of the slave's end; without them the end of the program is the end of the bytes.
        command
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null());
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
        Self { child, master, bytes, seen: Vec::new() }
    }

    pub fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this was shown.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.windows(part.len()).any(|shown| shown == part.as_bytes()) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.seen.extend(bytes),
                Err(_) => panic!("no {part:?} in {:?}", String::from_utf8_lossy(&self.seen)),
            }
        }
    }

    /// Waits for the end of the program, and gives all that it showed.
    pub fn finish(mut self) -> Vec<u8> {
        let deadline = Instant::now() + PATIENCE;
        while let Ok(bytes) = self.bytes.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen.extend(bytes);
        }
        assert!(Instant::now() < deadline, "it does not end: {:?}", String::from_utf8_lossy(&self.seen));
        self.child.wait().unwrap();
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
