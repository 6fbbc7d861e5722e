//! A socket whose writes gather, so that one system call takes several TLS records; and that is not read in vain.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use crate::limits::GATHER;

/// A socket that never blocks, and what waits to go into it.
pub(super) struct Gathered {
    socket: Arc<TcpStream>,
    waiting: Vec<u8>,
    sent: usize,
    /// The last read brought less than there was room for: nothing is left, until somebody waited for more.
    is_drained: bool,
}

impl Gathered {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self { socket: Arc::new(socket), waiting: Vec::new(), sent: 0, is_drained: false }
    }

    pub(super) fn socket(&self) -> &Arc<TcpStream> {
        &self.socket
    }

    /// How many bytes wait.
    pub(super) fn unsent(&self) -> usize {
        self.waiting.len() - self.sent
    }

    /// Whether enough waits for a system call.
    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= GATHER
    }

    /// Sends what the socket takes. True when nothing is left.
    pub(super) fn push(&mut self) -> io::Result<bool> {
        while let Some(rest) = self.waiting.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match (&*self.socket).write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.waiting.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Bytes of memory that are kept for what waits.
    pub(super) fn capacity(&self) -> usize {
        self.waiting.capacity()
    }

    /// Gives that memory back, if nothing waits.
    pub(super) fn release(&mut self) {
        if self.unsent() == 0 {
            self.waiting = Vec::new();
        }
    }
}

impl Read for Gathered {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.is_drained) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = (&*self.socket).read(room)?;
        self.is_drained = (1..room.len()).contains(&count);
        Ok(count)
    }
}

impl Write for Gathered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_full() {
            self.push()?;
        }
        if self.is_full() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Nothing: TLS asks for it in the middle of a handshake and could not wait; [`Self::push`] sends.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
