//! A logged-in session as others know it: how it is reached, and what its server's owner sees of it.

use std::net::IpAddr;
use std::sync::Arc;

use super::outbox::Outbox;
use crate::wire::Code;
use crate::wire::to_server::Mode;

/// How a session is reached, and since when it is here from where.
#[derive(Clone)]
pub(super) struct Presence {
    pub(super) outbox: Arc<Outbox>,
    pub(super) mode: Mode,
    pub(super) source: IpAddr,
    /// Unix time in milliseconds.
    pub(super) since_ms: u64,
}

impl Presence {
    /// Asks the session to end, for this reason.
    pub(super) fn close(&self, why: Code) {
        self.outbox.close(why);
    }
}
