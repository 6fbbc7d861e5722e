//! One TLS connection that never blocks.

use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use openssl::ssl::{ErrorCode, SslStream};

use super::gathered::Gathered;
use super::{ClientTls, Interest, ServerTls, TransportError, Watch, tls};
use crate::wire::Fingerprint;
use crate::wire::frame::FrameBuffer;

/// What [`Connection::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// All that had come.
    All,
    /// As much as one call takes; more may have come.
    More,
}

/// A TLS connection with frames coming in and bytes going out.
pub struct Connection {
    tls: SslStream<Gathered>,
    role: Role,
    received: FrameBuffer,
    read_size: usize,
    outgoing: Vec<u8>,
    sent: usize,
    wants_write: bool,
}

#[derive(Clone, Copy)]
enum Role {
    Client,
    Server,
}

impl Connection {
    /// The server's end of an accepted socket. The handshake comes next.
    pub fn accept(socket: TcpStream, settings: &ServerTls) -> Result<Self, TransportError> {
        Self::new(socket, settings.session()?, Role::Server)
    }

    /// The client's end of a connected socket. The handshake comes next.
    pub fn connect(socket: TcpStream, settings: &ClientTls) -> Result<Self, TransportError> {
        Self::new(socket, settings.session()?, Role::Client)
    }

    fn new(socket: TcpStream, session: openssl::ssl::Ssl, role: Role) -> Result<Self, TransportError> {
        socket.set_nonblocking(true).map_err(TransportError::io("preparing the socket"))?;
        socket.set_nodelay(true).map_err(TransportError::io("preparing the socket"))?;
        let tls = SslStream::new(session, Gathered::new(socket)).map_err(|stack| TransportError::from_stack(&stack))?;
        Ok(Self {
            tls,
            role,
            received: FrameBuffer::default(),
            read_size: READ_SIZE_FIRST,
            outgoing: Vec::new(),
            sent: 0,
            wants_write: false,
        })
    }

    /// One step of the handshake. True once it is done and both sides speak TopChat; see [`Self::is_outdated`].
    pub fn handshake(&mut self) -> Result<bool, TransportError> {
        self.wants_write = false;
        let step = match self.role {
            Role::Client => self.tls.connect(),
            Role::Server => self.tls.accept(),
        };
        let is_done = match step {
            Ok(()) if tls::speaks_topchat(self.tls.ssl()) || self.is_outdated() => true,
            Ok(()) => return Err(TransportError::NotTopChat),
            Err(error) => {
                // An alert that says why may wait, and its reader is owed it.
                let pushed = self.push();
                self.waiting(error)?;
                pushed?;
                false
            }
        };
        self.push()?;
        Ok(is_done)
    }

    /// Whether the client speaks the version before this one: all that it can be told is that it must be updated.
    pub fn is_outdated(&self) -> bool {
        matches!(self.role, Role::Server) && tls::is_outdated(self.tls.ssl())
    }

    /// The key of the other side's certificate.
    pub fn peer_identity(&self) -> Option<Fingerprint> {
        tls::peer_identity(self.tls.ssl())
    }

    /// The channel binding of this connection (RFC 9266).
    pub fn exporter(&self) -> Result<[u8; 32], TransportError> {
        tls::exporter(self.tls.ssl())
    }

    /// Takes what has come, up to 64 KiB, so that one busy peer leaves time for the rest.
    ///
    /// An end of the connection behind bytes is told by the next call: frames that came before it still count.
    pub fn receive(&mut self) -> Result<Received, TransportError> {
        let mut taken = 0;
        self.wants_write = false;
        while taken < RECEIVE_AT_ONCE {
            let room = self.received.room(self.read_size);
            match self.tls.ssl_read(room) {
                Ok(count) => {
                    if count >= self.read_size {
                        self.read_size = (self.read_size * 2).min(READ_SIZE_MAX);
                    }
                    self.received.filled(count);
                    taken += count;
                }
                Err(error) => match self.waiting(error) {
                    Ok(()) => return Ok(Received::All),
                    Err(_) if taken > 0 => return Ok(Received::More),
                    Err(error) => return Err(error),
                },
            }
        }
        Ok(Received::More)
    }

    /// The next whole frame as type and body.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<(u8, &[u8])>, TransportError> {
        Ok(self.received.next_frame(limit)?)
    }

    /// Throws away what was received and not taken: junk must not pile up.
    pub fn forget_received(&mut self) {
        self.received = FrameBuffer::default();
    }

    /// Adds bytes to what goes out; [`flush`](Self::flush) sends.
    pub fn queue(&mut self, bytes: &[u8]) {
        self.outgoing().extend_from_slice(bytes);
    }

    /// What goes out, to add frames to; [`flush`](Self::flush) sends.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        self.outgoing.drain(..self.sent);
        self.sent = 0;
        &mut self.outgoing
    }

    /// How many bytes wait for the socket to take them.
    pub fn unsent(&self) -> usize {
        self.outgoing.len() - self.sent + self.tls.get_ref().unsent()
    }

    /// Sends what the socket takes. True when nothing is left.
    pub fn flush(&mut self) -> Result<bool, TransportError> {
        while self.sent < self.outgoing.len() {
            if self.tls.get_ref().is_full() && !self.push()? {
                return Ok(false);
            }
            match self.tls.ssl_write(&self.outgoing[self.sent..]) {
                Ok(count) => {
                    self.sent += count;
                    self.wants_write = false;
                }
                Err(error) => {
                    self.waiting(error)?;
                    self.push()?;
                    return Ok(false);
                }
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        self.push()
    }

    /// Hands the socket what TLS made.
    fn push(&mut self) -> Result<bool, TransportError> {
        self.tls.get_mut().push().map_err(TransportError::io("sending"))
    }

    /// What to wait for before calling again.
    pub fn interest(&self) -> Interest {
        Interest { read: true, write: self.wants_write || self.unsent() > 0 }
    }

    /// Whether it holds memory that an idle connection doesn't need.
    pub fn is_grown(&self) -> bool {
        let kept = self.outgoing.capacity().max(self.tls.get_ref().capacity());
        self.read_size > READ_SIZE_FIRST || (self.unsent() == 0 && kept > READ_SIZE_FIRST)
    }

    /// Gives back memory that an idle connection doesn't need.
    pub fn rest(&mut self) {
        self.received.release(READ_SIZE_FIRST);
        self.read_size = READ_SIZE_FIRST;
        if self.unsent() == 0 {
            self.outgoing = Vec::new();
            self.tls.get_mut().release();
        }
    }

    /// A second handle on the socket, for waiting.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(self.tls.get_ref().socket()))
    }

    /// Says goodbye on TLS and TCP, as far as the socket takes it. Receiving goes on.
    pub fn finish(&mut self) {
        // A peer that is gone already needs no goodbye.
        let _ = self.tls.shutdown();
        let _ = self.push();
        let _ = self.tls.get_ref().socket().shutdown(Shutdown::Write);
    }

    fn waiting(&mut self, error: openssl::ssl::Error) -> Result<(), TransportError> {
        match error.code() {
            ErrorCode::WANT_READ => Ok(()),
            ErrorCode::WANT_WRITE => {
                self.wants_write = true;
                Ok(())
            }
            _ => Err(TransportError::from_ssl(error)),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tls.get_ref().socket().as_fd()
    }
}

/// First read of a connection: an idle client's pings fit many times.
const READ_SIZE_FIRST: usize = 1024;
/// Largest read: one full TLS record.
const READ_SIZE_MAX: usize = 16 * 1024;
/// Most bytes that one call takes.
const RECEIVE_AT_ONCE: usize = 64 * 1024;
