//! A connection of the load generator: TCP with or without TLS, bytes gathered in both directions.
//!
//! Every server is driven through this one, so that none gains by its client.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use openssl::ssl::{ErrorCode, SslConnector, SslMethod, SslMode, SslRef, SslStream, SslVerifyMode, SslVersion};

/// Bytes that one read asks for, at most: some full TLS records.
pub(crate) const READ: usize = 64 * 1024;
/// The same of a connection that was never given as many: there may be thousands.
const READ_FIRST: usize = 4 * 1024;
/// Bytes that one turn takes from one connection before the others get theirs.
pub(crate) const TURN: usize = 4 * READ;

/// One connection.
pub(crate) struct Pipe {
    channel: Channel,
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes that the next read asks for.
    room: usize,
    /// What waits to go out; any code may add to it.
    pub outgoing: Vec<u8>,
    sent: usize,
}

enum Channel {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

/// What TLS is begun with.
#[derive(Clone)]
pub(crate) struct TlsClient(SslConnector);

impl TlsClient {
    /// TLS 1.3 with this protocol name, if the server wants one. Certificates are not checked: this is a loopback.
    pub(crate) fn new(alpn: Option<&str>) -> io::Result<Self> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_min_proto_version(Some(SslVersion::TLS1_3))?;
        builder.set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER);
        builder.set_read_ahead(true);
        if let Some(name) = alpn {
            let length = u8::try_from(name.len()).expect("names of protocols are short");
            builder.set_alpn_protos(&[&[length], name.as_bytes()].concat())?;
        }
        Ok(Self(builder.build()))
    }
}

impl Pipe {
    /// A connection that blocks, for logging in.
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        Ok(Self {
            channel: Channel::Plain(socket),
            incoming: Vec::new(),
            start: 0,
            end: 0,
            room: READ_FIRST,
            outgoing: Vec::new(),
            sent: 0,
        })
    }

    /// Begins TLS on it.
    pub(crate) fn secured(self, tls: &TlsClient) -> io::Result<Self> {
        let Channel::Plain(socket) = self.channel else { return Ok(self) };
        let mut configuration = tls.0.configure()?;
        configuration.set_verify_hostname(false);
        let stream = configuration.connect("localhost", socket).map_err(io::Error::other)?;
        Ok(Self { channel: Channel::Tls(Box::new(stream)), ..self })
    }

    /// From now on nothing blocks.
    pub(crate) fn unblock(&mut self) -> io::Result<()> {
        match &self.channel {
            Channel::Plain(socket) => socket.set_nonblocking(true),
            Channel::Tls(stream) => stream.get_ref().set_nonblocking(true),
        }
    }

    /// The TLS session, if there is one.
    pub(crate) fn tls(&self) -> Option<&SslRef> {
        match &self.channel {
            Channel::Plain(_) => None,
            Channel::Tls(stream) => Some(stream.ssl()),
        }
    }

    /// Bytes that came and were not taken.
    pub(crate) fn received(&self) -> &[u8] {
        &self.incoming[self.start..self.end]
    }

    /// So many of them were taken.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Received bytes and what goes out, at once.
    pub(crate) fn both(&mut self) -> (&[u8], &mut Vec<u8>) {
        (&self.incoming[self.start..self.end], &mut self.outgoing)
    }

    /// Reads once. False if nothing has come; an end of the connection is an error.
    pub(crate) fn read(&mut self) -> io::Result<bool> {
        if self.incoming.len() < self.end + self.room {
            self.incoming.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            self.incoming.resize(self.incoming.len().max(self.end + self.room), 0);
        }
        let room = &mut self.incoming[self.end..];
        let read = match &mut self.channel {
            Channel::Plain(socket) => socket.read(room),
            Channel::Tls(stream) => stream.ssl_read(room).or_else(ended),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.end += count;
                if count >= self.room {
                    self.room = READ.min(2 * count);
                }
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads what has come, up to about so many bytes, and gives it to `take` piece by piece. True if more may be left.
    pub(crate) fn read_turn(&mut self, most: usize, mut take: impl FnMut(&mut Self)) -> io::Result<bool> {
        let mut taken = 0;
        while taken < most {
            let before = self.end - self.start;
            if !self.read()? {
                return Ok(false);
            }
            taken += (self.end - self.start) - before;
            take(self);
        }
        Ok(true)
    }

    /// Sends what the socket takes. True when nothing is left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.outgoing.len() {
            let waiting = &self.outgoing[self.sent..];
            let written = match &mut self.channel {
                Channel::Plain(socket) => socket.write(waiting),
                Channel::Tls(stream) => stream.ssl_write(waiting).or_else(ended),
            };
            match written {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.outgoing.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Whether something waits to go out.
    pub(crate) fn has_unsent(&self) -> bool {
        self.sent < self.outgoing.len()
    }
}

impl AsFd for Pipe {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.channel {
            Channel::Plain(socket) => socket.as_fd(),
            Channel::Tls(stream) => stream.get_ref().as_fd(),
        }
    }
}

fn ended(error: openssl::ssl::Error) -> io::Result<usize> {
    match error.code() {
        ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => Err(io::ErrorKind::WouldBlock.into()),
        ErrorCode::ZERO_RETURN => Ok(0),
        _ => Err(error.into_io_error().unwrap_or_else(io::Error::other)),
    }
}
