//! Why there is no connection to the server, or none that may be used.

use super::cause::{ConnectError, ProtocolError};
use crate::client::model::address::AddressError;
use crate::crypto::scram::ScramError;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::text::visible;
use crate::transport::TransportError;
use crate::wire::{self, ALPN, Fingerprint};

/// Why there is no connection to the server, or none that may be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// A server address that can't be one.
    #[error("\"{}\" is no server address: {why}", visible(.text))]
    Address {
        /// As typed.
        text: String,
        /// What is wrong with it.
        why: AddressError,
    },
    /// The server closes connections before TLS: too many who have not logged in.
    #[error("the server at {address} is busy")]
    Busy {
        /// Which server.
        address: String,
    },
    /// The server's key is not the one that was pinned.
    #[error("THE SERVER'S IDENTITY HAS CHANGED ({address}). Nothing was sent.\n  was {pinned}\n  now {now}")]
    Changed {
        /// Which server.
        address: String,
        /// The key pinned before, or given with `--server-fingerprint`.
        pinned: Fingerprint,
        /// The key that it has now.
        now: Fingerprint,
    },
    /// No connection.
    #[error("no connection to {address}: {why}")]
    Connect {
        /// Which server.
        address: String,
        /// Why.
        why: ConnectError,
    },
    /// A server's fingerprint that can't be one.
    #[error("\"{}\" is no fingerprint of a server", visible(.text))]
    Fingerprint {
        /// As typed.
        text: String,
    },
    /// The connection broke.
    #[error("connection lost ({why})")]
    Lost {
        /// Why.
        why: TransportError,
    },
    /// Something else answers there.
    #[error("{address} is not a TopChat server")]
    NotTopChat {
        /// Where.
        address: String,
    },
    /// What answers there refuses this version of the protocol.
    #[error("{address} is not a TopChat server, or one of another version (this client speaks {ALPN})")]
    OtherVersion {
        /// Where.
        address: String,
    },
    /// There is no connection at this moment.
    #[error("there is no connection to the server now.")]
    Offline,
    /// The server broke the protocol.
    #[error("the server sent what it must not: {0}")]
    Protocol(#[from] ProtocolError),
    /// Login could not go on, or the server could not prove who it is.
    #[error("login failed: {why}")]
    Scram {
        /// Why.
        why: ScramError,
    },
    /// A ping was not answered.
    #[error("connection lost (no answer for {secs} s)")]
    Silent {
        /// How long nothing came.
        secs: u64,
    },
    /// No answer in time.
    #[error("no answer from {address} within {secs} s")]
    TimedOut {
        /// Which server.
        address: String,
        /// How long it was waited for.
        secs: u64,
    },
}

impl From<wire::Error> for ServerError {
    fn from(error: wire::Error) -> Self {
        Self::Protocol(error.into())
    }
}

impl From<TransportError> for ServerError {
    fn from(why: TransportError) -> Self {
        Self::Lost { why }
    }
}

impl Explain for ServerError {
    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Address { .. } => "write it as HOST:PORT, as in --server 127.0.0.1:7777".into(),
            Self::Busy { .. } => "try again in a moment, or run with --wait to queue".into(),
            Self::Changed { now, address, .. } => {
                Hint::from("someone may stand between you and the server. If its owner confirms the new identity: ")
                    .topchat(&["users", "--server", address, "--server-fingerprint", &now.to_string()])
            }
            Self::Connect { why: ConnectError::NoSuchHost, .. } => "see --server HOST:PORT".into(),
            Self::Connect { .. } => {
                "is the server running there? (topchat-server, or make run-server; the address is set by --server)".into()
            }
            Self::Fingerprint { .. } => {
                "give all of its 64 hex digits, as the server's start lines show them".into()
            }
            Self::Lost { why: TransportError::Closed } => "is the server still running?".into(),
            Self::NotTopChat { .. } => "see --server HOST:PORT; its start lines name the server's address".into(),
            Self::OtherVersion { .. } => {
                "see --server HOST:PORT; if it is the right one, compare the versions of both programs (--version), and update the older one"
                    .into()
            }
            Self::Offline => {
                "wait until it is back; texts to ALL, and to those you wrote to in this run, are kept".into()
            }
            Self::Scram { .. } => {
                "the password was not given away; ask the server's owner, and compare --server-fingerprint".into()
            }
            Self::TimedOut { .. } => "try again, or wait longer with --timeout SECONDS".into(),
            Self::Lost { .. } | Self::Protocol(_) | Self::Silent { .. } => return None,
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Address { .. } | Self::Fingerprint { .. } => Exit::Usage,
            Self::Busy { .. } => Exit::Busy,
            Self::Changed { .. } | Self::Scram { .. } => Exit::Identity,
            Self::Connect { .. }
            | Self::Lost { .. }
            | Self::NotTopChat { .. }
            | Self::Offline
            | Self::OtherVersion { .. }
            | Self::Protocol(_)
            | Self::Silent { .. }
            | Self::TimedOut { .. } => Exit::Local,
        }
    }
}
