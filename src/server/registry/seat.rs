//! A logged-in session's seat. Dropping it frees it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::handle::Presence;
use super::hub::Hub;
use crate::server::accounts::Account;
use crate::server::net::SessionId;
use crate::server::net::end::End;
use crate::sync::lock;
use crate::wire::to_server::Mode;

/// One taken seat and whose it is.
pub(crate) struct Seat<'a> {
    pub(crate) account: Arc<Account>,
    pub(crate) mode: Mode,
    hub: &'a Mutex<Hub<Presence>>,
    id: SessionId,
}

impl<'a> Seat<'a> {
    /// For a session that the hub has let in.
    pub(crate) fn new(hub: &'a Mutex<Hub<Presence>>, id: SessionId, account: Arc<Account>, mode: Mode) -> Self {
        Self { account, mode, hub, id }
    }

    /// Logs an arrival, once deliveries flow to the session.
    pub(crate) fn say_arrived(&self, source: IpAddr, taken: usize, seats: usize) {
        let name = self.account.name();
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
        lock(self.hub).leave(self.id);
    }
}
