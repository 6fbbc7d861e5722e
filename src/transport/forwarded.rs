//! Reads the header that a proxy sends before TLS.

use std::io::{self, Read};
use std::net::{IpAddr, TcpStream};
use std::time::Instant;

use super::{Interest, Wakeup, wait};
use crate::wire::forwarded::{self, Forwarded, ForwardedError};

/// Why no header was read.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The other side ended the connection, or it has to end.
    #[error("the connection ended")]
    Ended,
    /// What came is no header.
    #[error(transparent)]
    Header(#[from] ForwardedError),
    /// The operating system refused.
    #[error(transparent)]
    Io(io::Error),
    /// Too little came in time.
    #[error("no whole PROXY header came in time")]
    TimedOut,
}

/// For whom the proxy at the other end connects; `None` if for itself. Takes the header's bytes and none of what follows.
///
/// `wakeup` ends it: whoever calls it wants this connection to end.
pub fn forwarded_for(socket: &TcpStream, wakeup: &Wakeup, deadline: Instant) -> Result<Option<IpAddr>, ForwardError> {
    socket.set_nonblocking(true).map_err(ForwardError::Io)?;
    let mut taken = Vec::new();
    loop {
        let missing = match forwarded::read(&taken)? {
            Forwarded::Missing(missing) => missing,
            Forwarded::FromV4(address) => return Ok(Some(address.into())),
            Forwarded::FromV6(address) => return Ok(Some(address.into())),
            Forwarded::ByItself => return Ok(None),
        };
        match take(socket, &mut taken, missing) {
            Ok(0) => return Err(ForwardError::Ended),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= deadline {
                    return Err(ForwardError::TimedOut);
                }
                let ready = wait(socket, Interest { read: true, write: false }, wakeup, Some(deadline));
                if ready.map_err(ForwardError::Io)?.woken {
                    return Err(ForwardError::Ended);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ForwardError::Ended),
            Err(error) => return Err(ForwardError::Io(error)),
        }
    }
}

/// Reads up to so many bytes, and gives how many came.
fn take(mut socket: &TcpStream, taken: &mut Vec<u8>, most: usize) -> io::Result<usize> {
    let had = taken.len();
    taken.resize(had + most, 0);
    let result = socket.read(&mut taken[had..]);
    taken.truncate(had + result.as_ref().copied().unwrap_or_default());
    result
}
