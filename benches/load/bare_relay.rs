//! A thread per client and nothing else: the floor under every server of this shape, TopChat's included.
//!
//! It passes bytes on and has no log, ids, receipts or answers. What a server with a thread per client takes at least on this
//! machine is what this one takes; what TopChat takes above it is TopChat's own work. So all that the shape itself is about is as
//! TopChat has it: scheduling and TLS by the same code, an outbox per client that goes out in one piece, no lock held while a
//! thread is woken, none woken that is awake, and one or two that sleep are sent to in place of being woken.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use clap::Args;
use topchat::limits::FRAME_MAX;
use topchat::server::net::scheduling;
use topchat::transport::{Connection, Interest, Received, ServerTls, Wakeup, wait};
use topchat::wire::frame::FrameBuffer;

use super::bare::{ALL, RELAY, append, split};
use super::pipe::READ;

/// How it is started.
#[derive(Args)]
pub(crate) struct Options {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Certificate in PEM; with it all is TLS 1.3
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

/// Says where it listens, and serves until it is ended.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    scheduling::wake_without_preemption();
    let tls = match (&options.certificate, &options.key) {
        (Some(certificate), Some(key)) => {
            Some(ServerTls::new(&std::fs::read(certificate)?, &std::fs::read(key)?).map_err(io::Error::other)?)
        }
        _ => None,
    };
    let listener = TcpListener::bind(options.listen)?;
    println!("listening {}", listener.local_addr()?);
    serve(&listener, tls, WAITING_MAX)
}

/// Serves whoever connects, each by a thread. Who lets more bytes wait than `waiting_max` is cut off.
pub(crate) fn serve(listener: &TcpListener, tls: Option<ServerTls>, waiting_max: usize) -> io::Result<()> {
    let relay = Relay { tls, waiting_max, members: RwLock::default() };
    std::thread::scope(|scope| {
        for socket in listener.incoming() {
            let (socket, relay) = (socket?, &relay);
            // Every end of a connection is an error, and every client's last word is such an end.
            scope.spawn(move || relay.attend(socket));
        }
        Ok(())
    })
}

struct Relay {
    tls: Option<ServerTls>,
    waiting_max: usize,
    members: RwLock<BTreeMap<u16, Arc<Member>>>,
}

impl Relay {
    fn attend(&self, socket: TcpStream) -> io::Result<()> {
        let watch = socket.try_clone()?;
        let mut line = match &self.tls {
            Some(tls) => Line::Tls(Box::new(Connection::accept(socket, tls).map_err(io::Error::other)?)),
            None => Line::plain(socket)?,
        };
        let wakeup = Wakeup::new()?;
        let own = loop {
            if line.is_open()? {
                line.receive()?;
                if let Some((own, _)) = line.next_frame()? {
                    break own;
                }
            }
            wait(&watch, Interest { read: true, write: line.has_unsent() }, &wakeup, None)?;
        };
        append(own, b"", line.outgoing());
        let member = Arc::new(Member { outbox: Mutex::default(), line: Mutex::new(line), socket: watch, wakeup });
        self.members.write().unwrap_or_else(PoisonError::into_inner).insert(own, Arc::clone(&member));
        let end = self.converse(own, &member);
        self.members.write().unwrap_or_else(PoisonError::into_inner).remove(&own);
        end
    }

    /// A client's thread: sends what waits, passes on what came, sleeps. Its line is its own but while it sleeps.
    fn converse(&self, own: u16, member: &Member) -> io::Result<()> {
        let (mut line, mut may_read, mut frames) = (member.line(), true, Vec::new());
        loop {
            member.send(&mut line)?;
            if may_read {
                may_read = line.receive()?;
                self.pass_on(own, &mut line, &mut frames)?;
            }
            let is_blocked = line.has_unsent();
            // In place of asking whether something came while there is something to send, reading is tried.
            may_read = may_read || (!is_blocked && !member.fall_asleep());
            if !may_read {
                drop(line);
                let ready = wait(&member.socket, Interest { read: true, write: is_blocked }, &member.wakeup, None)?;
                line = member.line();
                member.outbox().sleeps = false;
                may_read = ready.readable;
            }
        }
    }

    /// Neighbours in what came that go to the same members go there together.
    fn pass_on(&self, own: u16, line: &mut Line, frames: &mut Vec<u8>) -> io::Result<()> {
        let mut hearer = ALL;
        while let Some((to, payload)) = line.next_frame()? {
            if to == RELAY {
                continue;
            }
            if to != hearer {
                self.deliver(own, hearer, frames);
                hearer = to;
            }
            append(to, payload, frames);
        }
        self.deliver(own, hearer, frames);
        Ok(())
    }

    fn deliver(&self, own: u16, to: u16, frames: &mut Vec<u8>) {
        if frames.is_empty() {
            return;
        }
        let hearers = if to == ALL { 0..=ALL } else { to..=to };
        let mut asleep = Vec::new();
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        for (_, member) in members.range(hearers).filter(|(number, _)| to != ALL || **number != own) {
            if member.push(frames, self.waiting_max) {
                asleep.push(Arc::clone(member));
            }
        }
        drop(members);
        frames.clear();
        let are_few = asleep.len() <= SENT_FOR;
        for member in asleep {
            if !(are_few && member.send_for_owner()) {
                member.wakeup.wake();
            }
        }
    }
}

struct Member {
    outbox: Mutex<Outbox>,
    /// Its thread has it, but while that one sleeps.
    line: Mutex<Line>,
    /// The line's, to wait on and to end.
    socket: TcpStream,
    wakeup: Wakeup,
}

#[derive(Default)]
struct Outbox {
    waiting: Vec<u8>,
    /// The thread waits for anything, and nobody has been told to wake it.
    sleeps: bool,
}

impl Member {
    /// Adds frames, or ends the connection of who lets too much wait. True if the caller must send them or wake the thread.
    fn push(&self, frames: &[u8], most: usize) -> bool {
        let mut outbox = self.outbox();
        if outbox.waiting.len() + frames.len() > most {
            outbox.waiting = Vec::new();
            // It may have ended by itself.
            let _ = self.socket.shutdown(Shutdown::Both);
            return false;
        }
        outbox.waiting.extend_from_slice(frames);
        std::mem::take(&mut outbox.sleeps)
    }

    /// Sends what waits, as far as the socket takes it.
    fn send(&self, line: &mut Line) -> io::Result<()> {
        if line.flush()? {
            std::mem::swap(line.outgoing(), &mut self.outbox().waiting);
            line.flush()?;
        }
        Ok(())
    }

    /// False if the thread must wake for it.
    fn send_for_owner(&self) -> bool {
        let Ok(mut line) = self.line.try_lock() else { return false };
        self.send(&mut line).is_ok() && !line.has_unsent() && self.fall_asleep()
    }

    /// False if there is something to do first.
    fn fall_asleep(&self) -> bool {
        let mut outbox = self.outbox();
        outbox.sleeps = outbox.waiting.is_empty();
        outbox.sleeps
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection, with TLS or without. Neither ever blocks.
enum Line {
    Tls(Box<Connection>),
    Plain { socket: TcpStream, received: FrameBuffer, outgoing: Vec<u8>, sent: usize },
}

impl Line {
    fn plain(socket: TcpStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        socket.set_nodelay(true)?;
        Ok(Self::Plain { socket, received: FrameBuffer::default(), outgoing: Vec::new(), sent: 0 })
    }

    fn is_open(&mut self) -> io::Result<bool> {
        match self {
            Self::Tls(connection) => connection.handshake().map_err(io::Error::other),
            Self::Plain { .. } => Ok(true),
        }
    }

    /// Takes what came. True if more may have come that the socket does not show.
    fn receive(&mut self) -> io::Result<bool> {
        match self {
            Self::Tls(connection) => Ok(connection.receive().map_err(io::Error::other)? == Received::More),
            Self::Plain { socket, received, .. } => {
                match socket.read(received.room(READ)) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => received.filled(count),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
                Ok(false)
            }
        }
    }

    /// Who gets the next payload, and that.
    fn next_frame(&mut self) -> io::Result<Option<(u16, &[u8])>> {
        let frame = match self {
            Self::Tls(connection) => connection.next_frame(FRAME_MAX).map_err(io::Error::other),
            Self::Plain { received, .. } => received.next_frame(FRAME_MAX).map_err(io::Error::other),
        };
        frame?.map(|(_, body)| split(body).ok_or_else(|| io::ErrorKind::InvalidData.into())).transpose()
    }

    fn outgoing(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Tls(connection) => connection.outgoing(),
            Self::Plain { outgoing, .. } => outgoing,
        }
    }

    fn has_unsent(&self) -> bool {
        match self {
            Self::Tls(connection) => connection.interest().write,
            Self::Plain { outgoing, .. } => !outgoing.is_empty(),
        }
    }

    /// Sends what the socket takes. True when nothing is left.
    fn flush(&mut self) -> io::Result<bool> {
        let (socket, outgoing, sent) = match self {
            Self::Tls(connection) => return connection.flush().map_err(io::Error::other),
            Self::Plain { socket, outgoing, sent, .. } => (socket, outgoing, sent),
        };
        while let Some(rest) = outgoing.get(*sent..).filter(|rest| !rest.is_empty()) {
            match socket.write(rest) {
                Ok(count) => *sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        outgoing.clear();
        *sent = 0;
        Ok(true)
    }
}

/// Sleeping members that are sent to; of more, each is woken.
const SENT_FOR: usize = 2;
/// As much as nats-server lets wait here (`max_pending`).
const WAITING_MAX: usize = 1 << 30;
