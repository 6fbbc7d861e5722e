//! A logged-in session's seat. Dropping it frees it.

use std::net::IpAddr;
use std::sync::Arc;

use super::hub::SessionId;
use crate::server::accounts::Account;
use crate::server::session::close::End;
use crate::server::shared::Shared;
use crate::wire::to_server::Mode;

/// One taken seat and whose it is.
pub(crate) struct Seat<'a> {
    pub(crate) account: Arc<Account>,
    pub(crate) mode: Mode,
    shared: &'a Shared,
    id: SessionId,
}

impl<'a> Seat<'a> {
    /// For a session that the hub has let in.
    pub(crate) fn new(shared: &'a Shared, id: SessionId, account: Arc<Account>, mode: Mode) -> Self {
        Self { account, mode, shared, id }
    }

    /// Logs an arrival, once deliveries flow to the session.
    pub(crate) fn say_arrived(&self, source: IpAddr, taken: usize) {
        let (name, seats) = (self.account.name(), self.shared.settings.max_clients);
        match self.mode {
            Mode::Receiving => log::info!("{name} signed in from {source} ({taken} of {seats})"),
            Mode::Errand => log::info!("{name} signed in from {source} for an errand ({taken} of {seats})"),
        }
    }

    /// Logs a departure.
    pub(crate) fn say_left(&self, end: &End) {
        let name = self.account.name();
        match end {
            End::Because(reason) => log::info!("{name} signed out: {}", reason.text),
            End::Gone => log::info!("{name} signed out"),
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.shared.hub().leave(self.id);
    }
}
