//! What the receiving client of an account shows, for other programs of its owner on this machine.
//!
//! They get the lines of `listen --json` through a socket beside the inbox. The feed goes one way and never waits: a reader that takes too little is dropped, and can come back. Only who holds the
//! inbox offers it, so there is one, and a socket that a killed process left is nobody's.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::net::sockopt::{set_socket_send_buffer_size, socket_peercred};
use serde::Serialize;

use super::inbox::Inbox;
use super::json;
use super::lines::{Line, Lines};
use crate::limits::{FEED_BUFFER, FEED_CATCH_UP, FEED_KEPT, FEED_READERS, INPUT_READ};
use crate::transport::{Stop, wait_input};

/// The offering end.
pub struct Feed {
    listener: UnixListener,
    path: PathBuf,
    readers: Vec<UnixStream>,
    begun: Instant,
    /// The first lines: whoever read an older client's feed till just now misses none.
    kept: String,
    /// Some of them were dropped.
    has_gap: bool,
}

impl Feed {
    /// Offers one in the account's folder, whose inbox the caller has. Without a place for a socket there is none.
    pub fn offer(folder: &Path, _inbox: &Inbox) -> Option<Self> {
        Self::bind(folder.join(NAME)).inspect_err(|error| log::warn!("no feed for other programs: {error}")).ok()
    }

    fn bind(path: PathBuf) -> io::Result<Self> {
        // Under a name that nobody connects to until its mode is right. What stands there is of a client that was killed.
        let unfinished = path.with_extension("new");
        for stale in [&path, &unfinished] {
            fs::remove_file(stale)
                .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        }
        let listener = UnixListener::bind(&unfinished)?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        fs::rename(&unfinished, &path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path, readers: Vec::new(), begun: Instant::now(), kept: String::new(), has_gap: false })
    }

    /// One more line, for whoever reads.
    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        self.welcome();
        let is_young = self.begun.elapsed() < FEED_CATCH_UP;
        if !is_young && self.readers.is_empty() {
            return;
        }
        let line = line() + "\n";
        self.readers.retain_mut(|reader| takes(reader, &line));
        if is_young && self.kept.len() + line.len() > FEED_KEPT {
            self.kept.clear();
            self.has_gap = true;
        }
        if is_young {
            self.kept.push_str(&line);
        }
    }

    /// Takes in who has come meanwhile.
    pub fn welcome(&mut self) {
        if self.begun.elapsed() >= FEED_CATCH_UP {
            (self.kept, self.has_gap) = (String::new(), false);
        }
        let gap = if self.has_gap { status("behind", None) + "\n" } else { String::new() };
        while let Ok((mut reader, _)) = self.listener.accept() {
            if self.readers.len() >= FEED_READERS {
                self.readers.retain_mut(is_there);
            }
            let is_ready = is_own(&reader) && reader.set_nonblocking(true).is_ok() && self.readers.len() < FEED_READERS;
            // The system may give less: then a reader has to be quicker.
            let _ = set_socket_send_buffer_size(&reader, FEED_BUFFER);
            if is_ready && takes(&mut reader, &gap) && takes(&mut reader, &self.kept) {
                self.readers.push(reader);
            }
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        // One that stays is taken for what it is by the next client.
        let _ = fs::remove_file(&self.path);
    }
}

/// False if it did not take all of it at once.
fn takes(reader: &mut UnixStream, lines: &str) -> bool {
    lines.is_empty() || reader.write(lines.as_bytes()).is_ok_and(|written| written == lines.len())
}

/// False if the reader has gone. It never says anything.
fn is_there(reader: &mut UnixStream) -> bool {
    reader.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

/// How messages reach this machine now, as a line.
pub fn status(state: &'static str, why: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Status<'a> {
        r#type: &'static str,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    }
    json::line(&Status { r#type: "status", state, why })
}

/// The reading end.
pub struct Attached {
    stream: UnixStream,
    process: i32,
    lines: Lines,
}

impl Attached {
    /// The feed of the client that has this account's inbox, if one does and offers it.
    pub fn to(folder: &Path) -> Option<Self> {
        let stream = UnixStream::connect(folder.join(NAME)).ok()?;
        stream.set_nonblocking(true).ok().filter(|()| is_own(&stream))?;
        let process = socket_peercred(&stream).ok()?.pid.as_raw_nonzero().get();
        Some(Self { stream, process, lines: Lines::default() })
    }

    /// Whose feed it is.
    pub fn process(&self) -> i32 {
        self.process
    }

    /// The next lines. None when the feed has ended, or `over` is asked. A line that ends in the middle does not count.
    pub fn next(&mut self, over: &Stop) -> io::Result<Option<Vec<String>>> {
        let mut buffer = [0; INPUT_READ];
        loop {
            wait_input(&self.stream, over.wakeup(), None)?;
            if over.is_asked() {
                return Ok(None);
            }
            let read = match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => read,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                Err(_) => return Ok(None),
            };
            let lines = self.lines.push(buffer.get(..read).unwrap_or_default());
            let texts = lines.into_iter().filter_map(|line| match line {
                Line::Text(text) => Some(text),
                Line::TooLong | Line::NotUtf8 => None,
            });
            return Ok(Some(texts.collect()));
        }
    }
}

/// Whether the other end belongs to the same user.
fn is_own(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// The socket's file.
const NAME: &str = "client.sock";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn offered(folder: &Path) -> Feed {
        Feed::bind(folder.join(NAME)).unwrap()
    }

    /// What has come, which must be so many lines.
    fn lines(attached: &mut Attached, count: usize) -> Vec<String> {
        let never = Stop::new().unwrap();
        let mut lines = Vec::new();
        while lines.len() < count {
            lines.extend(attached.next(&never).unwrap().expect("the feed goes on"));
        }
        lines
    }

    #[test]
    fn every_reader_gets_every_line_and_the_first_ones_also_if_it_comes_a_moment_later() {
        let place = tempfile::tempdir().unwrap();
        assert!(Attached::to(place.path()).is_none());
        let mut feed = offered(place.path());
        let mut one = Attached::to(place.path()).unwrap();
        feed.tell(|| "first".to_owned());
        let mut other = Attached::to(place.path()).unwrap();
        feed.tell(|| "second".to_owned());
        assert_eq!(lines(&mut one, 2), ["first", "second"]);
        assert_eq!(lines(&mut other, 2), ["first", "second"]);
        assert_eq!(one.process(), i32::try_from(std::process::id()).unwrap());
    }

    #[test]
    fn whoever_comes_too_late_for_all_of_the_first_lines_is_told_so() {
        let place = tempfile::tempdir().unwrap();
        let mut feed = offered(place.path());
        let line = "x".repeat(FEED_KEPT - 1);
        feed.tell(|| line.clone());
        feed.tell(|| "second".to_owned());
        let mut late = Attached::to(place.path()).unwrap();
        feed.tell(|| "third".to_owned());
        assert_eq!(lines(&mut late, 3), [&status("behind", None), "second", "third"]);
    }

    #[test]
    fn a_reader_that_takes_nothing_is_dropped_and_holds_up_nobody() {
        let place = tempfile::tempdir().unwrap();
        let mut feed = offered(place.path());
        let mut stuck = Attached::to(place.path()).unwrap();
        let line = "x".repeat(4096);
        feed.tell(|| line.clone());
        let mut told = 1;
        while !feed.readers.is_empty() {
            feed.tell(|| line.clone());
            told += 1;
            assert!(told < 10_000, "memory without end");
        }
        let mut quick = Attached::to(place.path()).unwrap();
        (feed.kept, feed.has_gap) = Default::default();
        feed.tell(|| "for the quick".to_owned());
        assert_eq!(lines(&mut quick, 1), ["for the quick"]);
        let never = Stop::new().unwrap();
        while let Some(lines) = stuck.next(&never).unwrap() {
            assert!(lines.iter().all(|text| *text == line), "whole lines only");
        }
    }

    #[test]
    fn the_socket_is_for_its_owner_alone_and_goes_with_the_feed() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(NAME);
        // As a killed client leaves it.
        drop(UnixListener::bind(&path).unwrap());
        assert!(Attached::to(place.path()).is_none());
        let feed = offered(place.path());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let mut attached = Attached::to(place.path()).unwrap();
        drop(feed);
        assert!(!path.exists());
        assert!(attached.next(&Stop::new().unwrap()).unwrap().is_none());
    }

    #[test]
    fn there_are_only_so_many_readers() {
        let place = tempfile::tempdir().unwrap();
        let mut feed = offered(place.path());
        let all: Vec<_> = (0..=FEED_READERS).map(|_| Attached::to(place.path()).unwrap()).collect();
        feed.welcome();
        assert_eq!((feed.readers.len(), all.len()), (FEED_READERS, FEED_READERS + 1));
        drop(all);
        let mut late = Attached::to(place.path()).unwrap();
        feed.tell(|| "there is room again".to_owned());
        assert_eq!(lines(&mut late, 1), ["there is room again"]);
    }
}
