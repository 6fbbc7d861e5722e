//! The socket of the running server: who connects is checked, asked what they want, and given the answer.
//!
//! One thread does all of it and waits for nobody, so whoever is stuck holds up neither others who ask nor the server's end. Requests are
//! carried out one after the other, and whoever's was carried out is answered.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::SOCKET_NAME;
use super::handler::Handler;
use super::protocol::{Answer, Request, line};
use crate::limits::{ACCEPT_PAUSE, ADMIN_CLIENTS, ADMIN_LINE_MAX, ADMIN_WITHIN, LINGER, SOCKET_PATH_MAX};
use crate::server::error::{Refusal, ServerError};
use crate::server::shared::Shared;
use crate::storage::FileError;
use crate::transport::{Interest, Stop, Wakeup, has_hung_up, wait_any, wait_input};

/// The listening socket. Its file goes with it.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Takes the socket's place in a data folder. Only the holder of the folder's lock may: what a killed server left there
    /// is nobody's any more.
    pub(crate) fn bind(folder: &Path) -> Result<Self, ServerError> {
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

/// The thread that answers the owner. Ended by [`Self::end`].
pub(crate) struct Administration {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl Administration {
    /// Begins to answer.
    pub(crate) fn begin(socket: Socket, folder: PathBuf, shared: Arc<Shared>) -> io::Result<Self> {
        let stop = Stop::new()?;
        let until = stop.clone();
        let thread = thread::Builder::new().name("admin".to_owned()).spawn(move || {
            let handler = Handler { folder: &folder, accounts: &shared.accounts, live: Some(&shared) };
            Reception { socket, askers: Vec::new() }.receive(&until, &|request| answer(&handler, request));
        })?;
        Ok(Self { stop, thread })
    }

    /// Answers whoever has asked already, and ends; nothing is changed after this.
    pub(crate) fn end(self) {
        self.stop.ask();
        if self.thread.join().is_err() {
            log::error!("the thread of the admin socket ended by a panic; please report it");
        }
    }
}

/// Carries out a request; gives the lines that tell what came of it.
fn answer(handler: &Handler<'_>, request: &Request) -> Vec<u8> {
    let answers = match handler.carry_out(request) {
        Ok(rows) => rows.into_iter().map(Answer::from).chain([Answer::Done]).collect(),
        Err(refusal) => vec![Answer::Refused(refusal)],
    };
    answers.iter().flat_map(line).collect()
}

/// Takes connections and answers them, one request after the other. Whoever is stuck holds up nobody: nothing here waits for one of them.
struct Reception {
    socket: Socket,
    /// In the order in which they came.
    askers: Vec<Asker>,
}

impl Reception {
    fn receive(mut self, until: &Stop, answer: &dyn Fn(&Request) -> Vec<u8>) {
        while !until.is_asked() {
            if let Err(error) = self.wait(until).and_then(|()| self.take_in()) {
                log::warn!("can't take a connection of the owner: {error}");
                pause(until);
            }
            self.askers.retain_mut(|asker| asker.goes_on(answer));
        }
        // What was done is told, as far as somebody listens.
        self.askers.retain(|asker| matches!(asker.state, State::Answering(_)));
        let (last, never) = (Instant::now() + LINGER, Wakeup::new());
        self.askers.iter_mut().for_each(|asker| asker.until = asker.until.min(last));
        while let (false, Ok(never)) = (self.askers.is_empty(), &never) {
            if wait_any(self.askers.iter().map(Asker::interest), never, Some(last)).is_err() {
                return;
            }
            self.askers.retain_mut(|asker| asker.goes_on(answer));
        }
    }

    /// Until something can go on. When there are too many, whoever comes next waits in the socket's queue.
    fn wait(&self, until: &Stop) -> io::Result<()> {
        let is_full = self.askers.len() >= ADMIN_CLIENTS;
        let door = (self.socket.listener.as_fd(), Interest { read: true, write: false });
        let door = Some(door).filter(|_| !is_full);
        let next = self.askers.iter().map(|asker| asker.until).min();
        wait_any(door.into_iter().chain(self.askers.iter().map(Asker::interest)), until.wakeup(), next)
    }

    fn take_in(&mut self) -> io::Result<()> {
        while self.askers.len() < ADMIN_CLIENTS {
            let stream = match self.socket.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let uid = peer_uid(&stream)?;
            if uid != own_uid() {
                log::warn!("user id {uid} tried to use the admin socket");
                continue;
            }
            stream.set_nonblocking(true)?;
            let until = Instant::now() + ADMIN_WITHIN;
            self.askers.push(Asker { stream, state: State::Asking(Vec::new()), until });
        }
        Ok(())
    }
}

/// A connection: one request, one answer.
struct Asker {
    stream: UnixStream,
    state: State,
    /// When it is over, however far it got.
    until: Instant,
}

enum State {
    /// What has come of the request.
    Asking(Vec<u8>),
    /// What is left of the answer.
    Answering(Vec<u8>),
}

impl Asker {
    fn interest(&self) -> (BorrowedFd<'_>, Interest) {
        let write = matches!(self.state, State::Answering(_));
        (self.stream.as_fd(), Interest { read: !write, write })
    }

    /// Goes as far as it can now. False if it is over.
    fn goes_on(&mut self, answer: &dyn Fn(&Request) -> Vec<u8>) -> bool {
        let went = match &mut self.state {
            State::Asking(come) => match read_line(&self.stream, come) {
                // Whoever has given up was told that it failed: then it is not done.
                Ok(true) if has_hung_up(&self.stream) => return false,
                Ok(true) => {
                    let request = come.strip_suffix(b"\n").and_then(Request::parse);
                    let malformed = || line(&Answer::Refused(Refusal::Malformed));
                    let answered = request.as_ref().map_or_else(malformed, answer);
                    // What was done took its time: the answer has its own.
                    self.until = Instant::now() + ADMIN_WITHIN;
                    self.state = State::Answering(answered);
                    return self.goes_on(answer);
                }
                went => went,
            },
            State::Answering(left) => write_all(&self.stream, left),
        };
        match went {
            Ok(is_over) => !is_over && Instant::now() < self.until,
            Err(error) => {
                log::debug!("a connection to the admin socket ended: {error}");
                false
            }
        }
    }
}

/// Takes what is there. True once it is a line, or more than one can be.
fn read_line(mut stream: &UnixStream, come: &mut Vec<u8>) -> io::Result<bool> {
    let mut piece = [0; 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => come.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        if come.ends_with(b"\n") || come.len() as u64 >= ADMIN_LINE_MAX {
            return Ok(true);
        }
    }
}

/// Gives as much as is taken. True once nothing is left.
fn write_all(mut stream: &UnixStream, left: &mut Vec<u8>) -> io::Result<bool> {
    while !left.is_empty() {
        match stream.write(left) {
            Ok(count) => drop(left.drain(..count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Keeps the CPU free for a moment. One that fails is only shorter.
fn pause(until: &Stop) {
    let _ = wait_input(until.wakeup(), until.wakeup(), Some(Instant::now() + ACCEPT_PAUSE));
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
    use std::io::BufRead;
    use std::net::Shutdown;
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A reception whose handler says `done` to everybody, the first time when it is told to.
    struct Office {
        folder: tempfile::TempDir,
        stop: Stop,
        thread: JoinHandle<usize>,
        /// That the first request is being carried out.
        begun: mpsc::Receiver<()>,
        finish: mpsc::Sender<()>,
    }

    impl Office {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let socket = Socket::bind(folder.path()).unwrap();
            let stop = Stop::new().unwrap();
            let until = stop.clone();
            let (begin, begun) = mpsc::channel();
            let (finish, finished) = mpsc::channel();
            let thread = thread::spawn(move || {
                let done = std::cell::Cell::new(0);
                Reception { socket, askers: Vec::new() }.receive(&until, &|_| {
                    if done.replace(done.get() + 1) == 0 {
                        begin.send(()).unwrap();
                        finished.recv_timeout(PATIENCE).unwrap();
                    }
                    b"done\n".to_vec()
                });
                done.get()
            });
            Self { folder, stop, thread, begun, finish }
        }

        fn knock(&self) -> UnixStream {
            let stream = UnixStream::connect(self.folder.path().join(SOCKET_NAME)).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        }

        fn ask(&self) -> UnixStream {
            let mut stream = self.knock();
            stream.write_all(&Request::Status.to_line()).unwrap();
            stream
        }

        /// How many requests were carried out.
        fn close(self) -> usize {
            self.stop.ask();
            self.thread.join().unwrap()
        }
    }

    fn read(stream: UnixStream) -> String {
        let mut answer = String::new();
        // Whoever is not taken in may see a reset for an end.
        let _ = io::BufReader::new(stream).read_line(&mut answer);
        answer
    }

    #[test]
    fn however_many_ask_at_once_each_whose_request_is_done_is_answered() {
        let office = Office::open();
        let stuck: Vec<_> = (0..ADMIN_CLIENTS / 2).map(|_| office.knock()).collect();
        let asking: Vec<_> = (0..3 * ADMIN_CLIENTS).map(|_| office.ask()).collect();
        office.begun.recv_timeout(PATIENCE).unwrap();
        office.finish.send(()).unwrap();
        let answers: Vec<_> = asking.into_iter().map(read).collect();
        assert_eq!(answers, vec!["done\n"; 3 * ADMIN_CLIENTS]);
        drop(stuck);
        assert_eq!(office.close(), 3 * ADMIN_CLIENTS);
    }

    #[test]
    fn at_the_servers_end_what_is_done_is_still_told_and_nothing_more_is_done() {
        let office = Office::open();
        let first = office.ask();
        office.begun.recv_timeout(PATIENCE).unwrap();
        let late = office.ask();
        office.stop.ask();
        office.finish.send(()).unwrap();
        assert_eq!([first, late].map(read), ["done\n", ""]);
        assert_eq!(office.close(), 1);
    }

    #[test]
    fn nothing_is_done_for_who_has_given_up_and_half_closed_is_not_given_up() {
        let office = Office::open();
        let first = office.ask();
        office.begun.recv_timeout(PATIENCE).unwrap();
        drop(office.ask());
        let half = office.ask();
        half.shutdown(Shutdown::Write).unwrap();
        office.finish.send(()).unwrap();
        assert_eq!([first, half].map(read), ["done\n", "done\n"]);
        assert_eq!(office.close(), 2);
    }
}
