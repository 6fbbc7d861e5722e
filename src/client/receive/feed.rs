//! What the receiving client of an account shows, for other programs of its owner on this machine.
//!
//! They get the lines of `listen --json` through a socket beside the inbox. The feed goes one way and never waits: a reader that takes too little is dropped, and can come back. Only who holds the
//! inbox offers it, so there is one, and a socket that a killed process left is nobody's.

use std::borrow::Cow;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::net::sockopt::{set_socket_send_buffer_size, socket_peercred};
use serde::{Deserialize, Serialize};

use crate::client::state::inbox::Inbox;
use crate::client::ui::json;
use crate::client::ui::lines::{Line, Lines};
use crate::limits::{FEED_BUFFER, FEED_CATCH_UP, FEED_KEPT, FEED_READERS, INPUT_READ};
use crate::transport::{Stop, wait_input};
use crate::wire::Code;

/// The offering end.
pub(crate) struct Feed {
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
    pub(crate) fn offer(folder: &Path, _inbox: &Inbox) -> Option<Self> {
        Self::bind(folder.join(NAME)).inspect_err(|error| log::warn!("no feed for other programs: {error}")).ok()
    }

    fn bind(path: PathBuf) -> io::Result<Self> {
        // Under a name that nobody connects to until its mode is right. What stands there is of a client that was killed.
        let unfinished = path.with_extension("new");
        for stale in [&path, &unfinished] {
            fs::remove_file(stale)
                .or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
        }
        let listener = at_any_depth(&unfinished, |path| UnixListener::bind(path))?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))?;
        fs::rename(&unfinished, &path)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, path, readers: Vec::new(), begun: Instant::now(), kept: String::new(), has_gap: false })
    }

    /// One more line, for whoever reads.
    pub(crate) fn tell(&mut self, line: impl FnOnce() -> String) {
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

    /// When [`Self::welcome`] is to be called, if nothing comes before: whoever has come by then gets the first lines.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        (self.has_gap || !self.kept.is_empty()).then(|| self.begun + FEED_CATCH_UP)
    }

    /// Takes in who has come meanwhile.
    pub(crate) fn welcome(&mut self) {
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
        // Not before: they may have come in time.
        if self.begun.elapsed() >= FEED_CATCH_UP {
            (self.kept, self.has_gap) = (String::new(), false);
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
pub(crate) fn status(state: &'static str, why: Option<&str>) -> String {
    #[derive(Serialize)]
    struct Status<'a> {
        r#type: &'static str,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
    }
    json::line(&Status { r#type: "status", state, why })
}

/// The last line of a client that the server has sent away for this reason: whoever reads it is not to log in in its place.
pub(crate) fn sent_away(why: Code) -> String {
    json::line(&SentAway { r#type: SENT_AWAY.into(), code: why as u16 })
}

/// The reason, if this is such a line.
fn was_sent_away(line: &str) -> Option<Code> {
    let told: SentAway<'_> = serde_json::from_str(line).ok()?;
    Code::from_number(told.code).filter(|_| told.r#type == SENT_AWAY)
}

#[derive(Deserialize, Serialize)]
struct SentAway<'a> {
    r#type: Cow<'a, str>,
    code: u16,
}

/// The reading end.
pub(crate) struct Attached {
    stream: UnixStream,
    process: i32,
    lines: Lines,
    sent_away: Option<Code>,
}

impl Attached {
    /// The feed of the client that has this account's inbox, if one does and offers it.
    pub(crate) fn to(folder: &Path) -> Option<Self> {
        let stream = at_any_depth(&folder.join(NAME), |path| UnixStream::connect(path)).ok()?;
        stream.set_nonblocking(true).ok().filter(|()| is_own(&stream))?;
        let process = socket_peercred(&stream).ok()?.pid.as_raw_nonzero().get();
        Some(Self { stream, process, lines: Lines::default(), sent_away: None })
    }

    /// Whose feed it is.
    pub(crate) fn process(&self) -> i32 {
        self.process
    }

    /// Why the server has sent that client away, if it has.
    pub(crate) fn sent_away(&self) -> Option<Code> {
        self.sent_away
    }

    /// The next lines. None when the feed has ended, or `over` is asked. A line that ends in the middle does not count.
    pub(crate) fn next(&mut self, over: &Stop) -> io::Result<Option<Vec<String>>> {
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
            let lines = self.lines.push(&buffer[..read]);
            let texts = lines.into_iter().filter_map(|line| match line {
                Line::Text(text) => Some(text),
                Line::TooLong | Line::NotUtf8 => None,
            });
            let texts: Vec<_> = texts.collect();
            self.sent_away = texts.iter().find_map(|line| was_sent_away(line)).or(self.sent_away);
            return Ok(Some(texts));
        }
    }
}

/// A socket's path has about a hundred bytes at most, which a state folder may have alone: there is a shorter way to an open folder.
fn at_any_depth<T>(path: &Path, task: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return task(path) };
    let folder = File::open(folder)?;
    task(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name))
}

/// Whether the other end belongs to the same user.
fn is_own(stream: &UnixStream) -> bool {
    socket_peercred(stream).is_ok_and(|peer| peer.uid == rustix::process::geteuid())
}

/// The socket's file.
const NAME: &str = "client.sock";
/// A sort of line that goes no further than to the reading end.
const SENT_AWAY: &str = "sent-away";

#[cfg(test)]
mod tests;
