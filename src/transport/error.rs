//! What can go wrong between two programs.

use std::io;

use openssl::ssl::{self, ErrorCode};

use crate::wire::frame::FrameError;

/// Why a connection can't be used any more.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The other side ended the connection.
    #[error("the connection was closed")]
    Closed,
    /// Bytes that are no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The operating system refused.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// TLS was agreed, TopChat's protocol was not.
    #[error("the other side does not speak TopChat")]
    NotTopChat,
    /// The other side speaks TLS but no protocol that was offered: something else, or TopChat of another version.
    #[error("the other side does not speak this version of TopChat's protocol")]
    OtherProtocol,
    /// OpenSSL refused what the other side sent, or could not start.
    #[error("TLS failed: {reason}")]
    Tls {
        /// OpenSSL's words.
        reason: String,
    },
}

impl TransportError {
    pub(super) fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, source }
    }

    pub(super) fn from_stack(stack: &openssl::error::ErrorStack) -> Self {
        let reason = stack.errors().first().and_then(openssl::error::Error::reason);
        Self::Tls { reason: reason.unwrap_or("no reason given").to_owned() }
    }

    /// A failed TLS call that is not merely waiting.
    pub(super) fn from_ssl(error: ssl::Error) -> Self {
        match error.code() {
            ErrorCode::ZERO_RETURN => return Self::Closed,
            ErrorCode::SYSCALL => {
                return match error.into_io_error() {
                    Ok(source) if is_reset(&source) => Self::Closed,
                    Ok(source) => Self::Io { doing: "the connection", source },
                    Err(_) => Self::Closed,
                };
            }
            _ => {}
        }
        match error.ssl_error() {
            Some(stack) if names(stack, "unexpected eof while reading") => Self::Closed,
            Some(stack) if names(stack, "no application protocol") => Self::OtherProtocol,
            Some(stack) => Self::from_stack(stack),
            None => Self::Closed,
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn names(stack: &openssl::error::ErrorStack, part: &str) -> bool {
    stack.errors().iter().any(|error| error.reason().is_some_and(|reason| reason.contains(part)))
}
