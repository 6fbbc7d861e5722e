//! Accepts connections and gives each its own thread.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use rustix::process::{Resource, getrlimit};

use super::net::SessionId;
use super::net::preauth::GuestPass;
use super::net::send_queue::Outbox;
use super::session::Session;
use super::shared::Shared;
use crate::limits::{
    ACCEPT_PAUSE, ACCEPTS_AT_ONCE, CLIENT_STACK, DESCRIPTORS_RESERVED, PROXY_HEADER_WITHIN, SHORTAGE_TOLD_EVERY,
    STOP_WITHIN,
};
use crate::transport::{Connection, Interest, Stop, forwarded_for, wait_any, wait_input};
use crate::wire::Code;

/// The accept loop and the threads that it started.
pub(crate) struct Acceptor {
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
    clients: HashMap<SessionId, Client>,
    finished: (mpsc::Sender<SessionId>, mpsc::Receiver<SessionId>),
    last_id: SessionId,
    shortage_told: Option<Instant>,
}

/// A running client thread.
struct Client {
    thread: JoinHandle<()>,
    outbox: Arc<Outbox>,
}

impl Acceptor {
    pub(crate) fn new(listeners: Vec<TcpListener>, shared: Arc<Shared>) -> io::Result<Self> {
        listeners.iter().try_for_each(|listener| listener.set_nonblocking(true))?;
        Ok(Self {
            listeners,
            shared,
            clients: HashMap::new(),
            finished: mpsc::channel(),
            last_id: 0,
            shortage_told: None,
        })
    }

    /// Accepts until asked to stop, then ends every session.
    pub(crate) fn run(mut self, stop: &Stop) -> io::Result<()> {
        while !stop.is_asked() {
            let arrivals = Interest { read: true, write: false };
            wait_any(self.listeners.iter().map(|listener| (listener.as_fd(), arrivals)), stop.wakeup(), None)?;
            self.join_finished();
            if let Err(error) = self.accept_waiting() {
                // Out of descriptors or threads: those that are connected go on, and a pause keeps the CPU free.
                self.tell_shortage(&error.to_string());
                wait_input(stop.wakeup(), stop.wakeup(), Some(Instant::now() + ACCEPT_PAUSE))?;
            }
        }
        self.end_all();
        Ok(())
    }

    /// Takes connections that wait. An error means that the machine is short of something.
    fn accept_waiting(&mut self) -> io::Result<()> {
        for at in 0..self.listeners.len() {
            for _ in 0..ACCEPTS_AT_ONCE {
                match self.listeners[at].accept() {
                    Ok((socket, source)) => self.begin(socket, source)?,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_of_one_connection(&error) => log::debug!("accepting: {error}"),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Once in a while: a flood must not fill the log.
    fn tell_shortage(&mut self, what: &str) {
        let now = Instant::now();
        if self.shortage_told.is_none_or(|told| now.saturating_duration_since(told) >= SHORTAGE_TOLD_EVERY) {
            log::warn!("can't take a connection: {what}; those that are there go on");
            self.shortage_told = Some(now);
        }
    }

    fn begin(&mut self, socket: TcpStream, source: SocketAddr) -> io::Result<()> {
        if is_one_of_the_last(&socket) {
            self.tell_shortage("descriptors are nearly used up");
            return Ok(());
        }
        let outbox = Arc::new(Outbox::new()?);
        self.last_id += 1;
        let id = self.last_id;
        let accepted =
            Accepted { shared: Arc::clone(&self.shared), id, socket, outbox: Arc::clone(&outbox), at: Instant::now() };
        let room = if self.shared.proxies.trust(source.ip()) { &self.shared.forwarded } else { &self.shared.guests };
        let Some(pass) = room.admit(source.ip(), id, &outbox) else {
            log::debug!("no room for a guest from {}", source.ip());
            return Ok(());
        };
        let thread = self.spawn(accepted, source.ip(), pass)?;
        self.clients.insert(id, Client { thread, outbox });
        Ok(())
    }

    fn spawn(&self, accepted: Accepted, source: IpAddr, pass: GuestPass) -> io::Result<JoinHandle<()>> {
        let finished = Finished { id: accepted.id, announce: self.finished.0.clone() };
        let thread = std::thread::Builder::new().name(format!("client-{}", accepted.id)).stack_size(CLIENT_STACK);
        thread.spawn(move || {
            let _finished = finished;
            if accepted.shared.proxies.trust(source) {
                if let Some((source, pass)) = accepted.introduced(source, pass) {
                    accepted.serve(source, pass);
                }
            } else {
                accepted.serve(source, pass);
            }
        })
    }

    fn join_finished(&mut self) {
        while let Ok(id) = self.finished.1.try_recv() {
            self.join(id);
        }
    }

    fn join(&mut self, id: SessionId) {
        let Some(client) = self.clients.remove(&id) else { return };
        if client.thread.join().is_err() {
            log::error!("the thread of client-{id} ended by a panic; please report it");
        }
    }

    /// Asks every session to end and waits for them, but not longer than [`STOP_WITHIN`].
    fn end_all(mut self) {
        for client in self.clients.values() {
            client.outbox.close(Code::ShuttingDown);
        }
        let until = Instant::now() + STOP_WITHIN;
        while !self.clients.is_empty() {
            match self.finished.1.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(id) => self.join(id),
                Err(_) => {
                    log::warn!("{} connections did not end in time", self.clients.len());
                    return;
                }
            }
        }
    }
}

/// A connection that was taken, in the hands of its thread.
struct Accepted {
    shared: Arc<Shared>,
    id: SessionId,
    socket: TcpStream,
    outbox: Arc<Outbox>,
    at: Instant,
}

impl Accepted {
    /// For whom a proxy connects, and the place of a guest from there. What one does for itself counts as its own.
    fn introduced(&self, proxy: IpAddr, lobby: GuestPass) -> Option<(IpAddr, GuestPass)> {
        let within = PROXY_HEADER_WITHIN.min(self.shared.settings.login_deadline);
        let source = match forwarded_for(&self.socket, self.outbox.wakeup(), self.at + within) {
            Ok(source) => source.map_or(proxy, |source| source.to_canonical()),
            Err(why) => {
                self.shared.proxies.tell(proxy, &why);
                return None;
            }
        };
        drop(lobby);
        let pass = self.shared.guests.admit(source, self.id, &self.outbox);
        if pass.is_none() {
            log::debug!("no room for a guest from {source}, who comes by the proxy {proxy}");
        }
        Some((source, pass?))
    }

    fn serve(self, source: IpAddr, pass: GuestPass) {
        match Connection::accept(self.socket, &self.shared.tls) {
            Ok(connection) => {
                Session::new(&self.shared, self.id, source, connection, self.outbox, pass).since(self.at).run()
            }
            Err(error) => log::error!("beginning a session: {error}"),
        }
    }
}

/// Announces the end of a thread, also when it ends by a panic.
struct Finished {
    id: SessionId,
    announce: mpsc::Sender<SessionId>,
}

impl Drop for Finished {
    fn drop(&mut self) {
        // Nobody listens any more when the acceptor gave up waiting.
        let _ = self.announce.send(self.id);
    }
}

/// Whether hardly any descriptors are left behind this one. The lowest free one is always given, so its number tells.
///
/// Connections are refused before the last ones are gone: whoever is logged in needs them for the log's files.
fn is_one_of_the_last(socket: &TcpStream) -> bool {
    let number = u64::try_from(socket.as_raw_fd()).unwrap_or_default();
    let limit = getrlimit(Resource::Nofile).current;
    limit.is_some_and(|limit| number + DESCRIPTORS_RESERVED >= limit)
}

/// Errors that `accept` passes on from one connection that failed before it was taken (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied | TimedOut)
}
