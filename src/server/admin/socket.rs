//! The socket of the running server: who connects is checked, asked what they want, and given the answer.
//!
//! Each connection has a thread of its own and deadlines, so whoever is stuck holds up nobody: neither others who
//! ask nor the server's end. What is asked for is carried out by one thread for all, one request after the other.

use std::fs::{self, Permissions};
use std::io::{self, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::SOCKET_NAME;
use super::deadlined::{Deadlined, next_line};
use super::desk::Desk;
use super::request::{Answer, Refusal, Request, line};
use crate::limits::{ACCEPT_PAUSE, ADMIN_CLIENTS, ADMIN_LINE_MAX, ADMIN_WITHIN, SOCKET_PATH_MAX};
use crate::server::ServerError;
use crate::server::shared::Shared;
use crate::storage::FileError;
use crate::transport::{Stop, wait_input};

/// The listening socket. Its file goes with it.
pub(in crate::server) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Takes the socket's place in a data folder. Only the holder of the folder's lock may: what a killed server left there
    /// is nobody's any more.
    pub(in crate::server) fn bind(folder: &Path) -> Result<Self, ServerError> {
        let path = folder.join(SOCKET_NAME);
        fits(&path)?;
        // Under a name that nobody connects to until its mode is right.
        let unfinished = folder.join(UNFINISHED_NAME);
        for stale in [&path, &unfinished] {
            make_way(stale)?;
        }
        let listener = UnixListener::bind(&unfinished).map_err(FileError::io("making the socket", &path))?;
        fs::set_permissions(&unfinished, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&unfinished, &path))
            .and_then(|()| listener.set_nonblocking(true))
            .map_err(FileError::io("making the socket", &path))?;
        Ok(Self { listener, path })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // One that stays is taken for what it is at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// The threads that answer the owner. Ended by [`Self::end`].
pub(in crate::server) struct Administration {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Administration {
    /// Begins to answer.
    pub(in crate::server) fn begin(socket: Socket, folder: PathBuf, shared: Arc<Shared>) -> io::Result<Self> {
        let stop = Stop::new()?;
        let until = stop.clone();
        let (jobs, received) = mpsc::channel();
        let desk = thread::Builder::new().name("admin-desk".to_owned());
        let desk = desk.spawn(move || work(&folder, &shared, &received))?;
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
            Reception { socket, jobs, talks: Vec::new() }.receive(&until);
            if desk.join().is_err() {
                log::error!("the thread that answers the owner ended by a panic; please report it");
            }
        })?;
        Ok(Self { stop, thread })
    }

    /// Answers what was asked for already, and ends; nothing is changed after this.
    pub(in crate::server) fn end(self) {
        self.stop.ask();
        if self.thread.join().is_err() {
            log::error!("the thread of the admin socket ended by a panic; please report it");
        }
    }
}

/// A request and where its answer goes.
struct Job {
    request: Request,
    answer: Sender<Vec<u8>>,
}

/// Carries out requests until nobody can make one any more.
fn work(folder: &Path, shared: &Shared, jobs: &Receiver<Job>) {
    let desk = Desk { folder, accounts: &shared.accounts, live: Some(shared) };
    for Job { request, answer } in jobs {
        let answers = match desk.carry_out(&request) {
            Ok(rows) => rows.into_iter().map(Answer::from).chain([Answer::Done]).collect(),
            Err(refusal) => vec![Answer::Refused(refusal)],
        };
        // Whoever asked may be gone; what was done stays done.
        let _ = answer.send(answers.iter().flat_map(line).collect());
    }
}

/// Takes connections, each on a thread of its own.
struct Reception {
    socket: Socket,
    jobs: Sender<Job>,
    talks: Vec<Talk>,
}

/// A connection that is being served, the oldest first.
struct Talk {
    stream: UnixStream,
    thread: JoinHandle<()>,
}

impl Reception {
    fn receive(mut self, until: &Stop) {
        while !until.is_asked() {
            let waited = wait_input(&self.socket.listener, until.wakeup(), None);
            if let Err(error) = waited.map(drop).and_then(|()| self.take_one(until)) {
                log::warn!("can't take a connection of the owner: {error}");
                pause(until);
            }
        }
        for talk in &self.talks {
            talk.cut();
        }
        self.talks.drain(..).for_each(Talk::join);
    }

    fn take_one(&mut self, until: &Stop) -> io::Result<()> {
        let stream = match self.socket.listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let uid = peer_uid(&stream)?;
        if uid != own_uid() {
            log::warn!("user id {uid} tried to use the admin socket");
            return Ok(());
        }
        stream.set_nonblocking(false)?;
        // Those who have to go are not gone at once, and whoever comes next waits in the socket's queue.
        while !self.make_room() && !until.is_asked() {
            pause(until);
        }
        let (jobs, own) = (self.jobs.clone(), stream.try_clone()?);
        let thread = thread::Builder::new().name("admin-talk".to_owned()).spawn(move || {
            if let Err(error) = talk(&own, &jobs) {
                log::debug!("a connection to the admin socket ended: {error}");
            }
            // Not only closed: the other handle on it stays until the next one comes. It may be cut already.
            let _ = own.shutdown(Shutdown::Both);
        })?;
        self.talks.push(Talk { stream, thread });
        Ok(())
    }

    /// Whether one more can be served now. When there are too many, whoever came first goes; one that waits for the desk goes
    /// only when it has its answer.
    fn make_room(&mut self) -> bool {
        let (done, going_on): (Vec<_>, Vec<_>) = self.talks.drain(..).partition(|talk| talk.thread.is_finished());
        done.into_iter().for_each(Talk::join);
        self.talks = going_on;
        if let Some(first) = self.talks.len().checked_sub(ADMIN_CLIENTS).and_then(|cut| self.talks.get(cut)) {
            first.cut();
        }
        self.talks.len() < 2 * ADMIN_CLIENTS
    }
}

impl Talk {
    fn cut(&self) {
        // It has ended by itself if there is nothing to cut.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn join(self) {
        if self.thread.join().is_err() {
            log::error!("a thread of the admin socket ended by a panic; please report it");
        }
    }
}

/// Keeps the CPU free for a moment. One that fails is only shorter.
fn pause(until: &Stop) {
    let _ = wait_input(until.wakeup(), until.wakeup(), Some(Instant::now() + ACCEPT_PAUSE));
}

/// One request, one answer.
fn talk(stream: &UnixStream, jobs: &Sender<Job>) -> io::Result<()> {
    let asked = match next_line(&mut BufReader::new(Deadlined::new(stream, ADMIN_WITHIN)), ADMIN_LINE_MAX) {
        Ok(Some(asked)) => asked,
        Ok(None) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Vec::new(),
        Err(error) => return Err(error),
    };
    let answers = match Request::parse(&asked) {
        Some(request) => {
            let (answer, answered) = mpsc::channel();
            jobs.send(Job { request, answer }).map_err(|_| io::ErrorKind::BrokenPipe)?;
            answered.recv().map_err(|_| io::ErrorKind::BrokenPipe)?
        }
        None => line(&Answer::Refused(Refusal::Malformed)),
    };
    // What was done took its time: the answer has its own.
    Deadlined::new(stream, ADMIN_WITHIN).write_all(&answers)
}

/// The user on the other end.
pub(super) fn peer_uid(stream: &impl AsFd) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// The user that this process acts as.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether the operating system takes a socket of this path.
pub(super) fn fits(path: &Path) -> Result<(), ServerError> {
    match path.as_os_str().as_bytes().len() {
        length if length > SOCKET_PATH_MAX => Err(ServerError::SocketPath { path: path.to_owned(), length }),
        _ => Ok(()),
    }
}

/// Removes a socket that a killed server left; anything else is not ours to remove.
fn make_way(path: &Path) -> Result<(), ServerError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(path).map_err(|error| FileError::io("removing", path)(error).into())
        }
        Ok(found) => Err(ServerError::NotSocket { path: path.to_owned(), found: found.file_type().into() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FileError::io("looking at", path)(error).into()),
    }
}

const UNFINISHED_NAME: &str = "admin.new";

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn knock(folder: &Path) -> UnixStream {
        let mut stream = UnixStream::connect(folder.join(SOCKET_NAME)).unwrap();
        stream.write_all(&Request::Status.to_line()).unwrap();
        stream
    }

    /// Those who must go for others wait for the desk, or on a busy machine for a moment to end: they are not gone at once.
    #[test]
    fn whoever_comes_when_too_many_are_still_here_waits_and_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let socket = Socket::bind(folder.path()).unwrap();
        let (jobs, desk) = mpsc::channel();
        let stop = Stop::new().unwrap();
        let until = stop.clone();
        let reception = thread::spawn(move || Reception { socket, jobs, talks: Vec::new() }.receive(&until));
        let asked = || (knock(folder.path()), desk.recv_timeout(PATIENCE).unwrap());
        let earlier: Vec<_> = (0..2 * ADMIN_CLIENTS).map(|_| asked()).collect();
        let mut late = knock(folder.path());
        late.set_read_timeout(Some(ACCEPT_PAUSE)).unwrap();
        assert_eq!(late.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock, "nobody is sent away");
        earlier.into_iter().for_each(|(_, job)| job.answer.send(Vec::new()).unwrap());
        desk.recv_timeout(PATIENCE).unwrap().answer.send(b"done".to_vec()).unwrap();
        late.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        late.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "done");
        stop.ask();
        reception.join().unwrap();
    }
}
