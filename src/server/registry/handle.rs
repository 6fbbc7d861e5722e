//! A logged-in session as others know it: how it is reached, and what its server's owner sees of it.

use std::net::IpAddr;
use std::sync::Arc;

use crate::server::net::send_queue::Outbox;
use crate::wire::Code;
use crate::wire::to_server::Mode;

/// How a session is reached, and since when it is here from where.
#[derive(Clone)]
pub(crate) struct Presence {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) mode: Mode,
    pub(crate) source: IpAddr,
    /// Unix time in milliseconds.
    pub(crate) since_ms: u64,
}

impl Presence {
    /// Asks the session to end, for this reason.
    pub(crate) fn close(&self, why: Code) {
        self.outbox.close(why);
    }
}
