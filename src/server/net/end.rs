//! Why a session ends.

use crate::server::accounts::Unavailable;
use crate::transport::TransportError;
use crate::wire::to_client::Reason;
use crate::wire::{self, Code};

/// Why a session ends.
#[derive(Debug)]
pub(crate) enum End {
    /// The server ends it and says why.
    Because(Reason),
    /// The client ended it, or is gone.
    Gone,
}

impl From<TransportError> for End {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::Frame(error) => {
                log::debug!("a bad frame: {error}");
                Self::because(Code::Malformed)
            }
            error => {
                log::debug!("a connection ended: {error}");
                Self::Gone
            }
        }
    }
}

impl From<Unavailable> for End {
    fn from(error: Unavailable) -> Self {
        log::warn!("{error}");
        Self::because(Code::Storage)
    }
}

impl From<wire::Error> for End {
    fn from(error: wire::Error) -> Self {
        log::debug!("a malformed frame: {error}");
        Self::because(Code::Malformed)
    }
}

impl End {
    pub(crate) fn because(code: Code) -> Self {
        Self::Because(Reason::new(code))
    }
}
