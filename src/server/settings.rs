//! What the owner may set.

use std::net::SocketAddr;
use std::time::Duration;

use super::log::{Durability, Quotas};
use super::net::proxies::Network;
use super::net::surroundings::Surroundings;
use super::net::throttle::Slowness;
use crate::limits;
use crate::wire::to_client::Admission;

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    Open,
    /// Whoever has an invite code.
    Invite,
    Closed,
}

/// Why it is so where nothing was said about registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Closed: others can connect.
    Others,
    /// Closed: others come by a proxy.
    Proxy,
    /// Closed: what runs this server may be what lets others in.
    Runs(Surroundings),
    /// Open: only this machine can connect.
    Here,
}

impl Registration {
    /// What holds where nothing else was said: on this machine alone everybody may, where others may come nobody.
    pub fn by_default(
        addresses: &[SocketAddr],
        trusts_proxies: bool,
        surroundings: Option<Surroundings>,
    ) -> (Self, Why) {
        match surroundings {
            _ if !are_loopback(addresses) => (Self::Closed, Why::Others),
            _ if trusts_proxies => (Self::Closed, Why::Proxy),
            Some(surroundings) => (Self::Closed, Why::Runs(surroundings)),
            None => (Self::Open, Why::Here),
        }
    }
}

/// Whether only this machine can connect there.
pub(crate) fn are_loopback(addresses: &[SocketAddr]) -> bool {
    addresses.iter().all(|address| address.ip().to_canonical().is_loopback())
}

impl From<Registration> for Admission {
    fn from(registration: Registration) -> Self {
        match registration {
            Registration::Open => Self::Open,
            Registration::Invite => Self::Invite,
            Registration::Closed => Self::Closed,
        }
    }
}

/// What the owner may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seats for logged-in sessions.
    pub max_clients: usize,
    pub max_accounts: usize,
    /// Who may make an account; [`Registration::by_default`] if nothing is said.
    pub registration: Option<Registration>,
    /// What runs the server, if that lets others in by itself.
    pub surroundings: Option<Surroundings>,
    /// Who must say for whom it connects, and is believed.
    pub trust_proxy: Vec<Network>,
    /// What "accepted" waits for.
    pub durability: Durability,
    /// How much may wait for whom.
    pub quotas: Quotas,
    /// From TCP accept to login.
    pub login_deadline: Duration,
    /// How much later logins are answered after failures.
    pub slowness: Slowness,
    /// Frames a second of one session beyond which it is read more slowly; 0 for no limit.
    pub rate: u32,
    /// Silence after which a session is pinged.
    pub ping_after: Duration,
    /// Silence after a ping that ends a session.
    pub pong_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_clients: limits::CLIENTS_DEFAULT,
            max_accounts: limits::ACCOUNTS_MAX,
            registration: None,
            surroundings: None,
            trust_proxy: Vec::new(),
            durability: Durability::default(),
            quotas: Quotas::default(),
            login_deadline: limits::LOGIN_DEADLINE,
            slowness: Slowness::default(),
            rate: limits::RATE_DEFAULT,
            ping_after: limits::PING_AFTER,
            pong_within: limits::PONG_WITHIN,
        }
    }
}
