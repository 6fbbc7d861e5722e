//! Causes of errors that more than one part of the client meets.

use std::io;

use crate::wire;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The operating system refused.
    #[error("{}", words(.0))]
    Io(io::Error),
    /// The name has no address.
    #[error("no such host")]
    NoSuchHost,
    /// Nothing came back.
    #[error("no answer within {secs} s")]
    TimedOut {
        /// How long it was waited for.
        secs: u64,
    },
}

/// What the server sent against the protocol.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A frame that can't be read.
    #[error(transparent)]
    Frame(#[from] wire::Error),
    /// A frame that has no place there.
    #[error("{found} instead of {expected}")]
    Unexpected {
        /// The frame that came.
        found: &'static str,
        /// What it was waited for.
        expected: &'static str,
    },
}

/// Rust adds the number of the system's error, which helps nobody here.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        io::ErrorKind::HostUnreachable => "the host can't be reached".to_owned(),
        io::ErrorKind::NetworkUnreachable => "the network can't be reached".to_owned(),
        _ => error.to_string(),
    }
}
