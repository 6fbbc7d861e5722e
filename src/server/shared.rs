//! What all sessions of one server share, and its settings.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::accounts::Accounts;
use super::log::{Durability, Quotas, Store};
use super::net::preauth::Guests;
use super::net::proxies::{Network, Proxies};
use super::net::surroundings::Surroundings;
use super::net::throttle::{Slowness, Throttle};
use super::registry::handle::Presence;
use super::registry::hub::Hub;
use crate::crypto::keys::PublicKey;
use crate::limits;
use crate::sync::lock;
use crate::transport::ServerTls;
use crate::wire::to_client::Admission;

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Whoever connects.
    Open,
    /// Whoever has an invite code.
    Invite,
    /// Nobody.
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
    pub fn by_default(address: SocketAddr, trusts_proxies: bool, surroundings: Option<Surroundings>) -> (Self, Why) {
        match surroundings {
            _ if !address.ip().to_canonical().is_loopback() => (Self::Closed, Why::Others),
            _ if trusts_proxies => (Self::Closed, Why::Proxy),
            Some(surroundings) => (Self::Closed, Why::Runs(surroundings)),
            None => (Self::Open, Why::Here),
        }
    }
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
    /// Most accounts.
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

/// State that every session's thread reaches. Each lock is held for a few instructions, never over input or output,
/// and never together with another.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    /// Who may make an account.
    pub(crate) registration: Registration,
    /// Why, if nothing was said about it.
    pub(crate) why_registration: Option<Why>,
    pub(crate) proxies: Proxies,
    /// Where it listens, with the real port.
    pub(crate) address: SocketAddr,
    /// When it began, as Unix time in milliseconds.
    pub(crate) began_ms: u64,
    pub(crate) tls: ServerTls,
    pub(crate) accounts: Accounts,
    pub(crate) store: Store,
    pub(crate) guests: Arc<Guests>,
    /// Connections of trusted proxies, until they have said for whom.
    pub(crate) forwarded: Arc<Guests>,
    /// Makes the salts of unknown names: steady, and not to be told from real ones.
    pub(crate) secret: [u8; 32],
    /// Read and checked in place of an unknown name's key, so that both refusals take the same time.
    pub(crate) decoy: Vec<u8>,
    /// It was told that the data folder is an older copy than one that was here before.
    pub(crate) was_set_back: AtomicBool,
    hub: Mutex<Hub<Presence>>,
    throttle: Mutex<Throttle>,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        address: SocketAddr,
        tls: ServerTls,
        accounts: Accounts,
        store: Store,
        secret: [u8; 32],
        decoy: &PublicKey,
    ) -> Self {
        let trusts_proxies = !settings.trust_proxy.is_empty();
        let (registration, why_registration) = match settings.registration {
            Some(registration) => (registration, None),
            None => {
                let (registration, why) = Registration::by_default(address, trusts_proxies, settings.surroundings);
                (registration, Some(why))
            }
        };
        Self {
            guests: Arc::new(Guests::new(settings.max_clients, !trusts_proxies)),
            forwarded: Arc::new(Guests::of_proxies(settings.max_clients)),
            proxies: Proxies::new(settings.trust_proxy.clone()),
            hub: Mutex::new(Hub::new(settings.max_clients)),
            throttle: Mutex::new(Throttle::new(settings.slowness, !trusts_proxies)),
            was_set_back: AtomicBool::new(false),
            registration,
            why_registration,
            address,
            began_ms: unix_ms(),
            settings,
            tls,
            accounts,
            store,
            secret,
            decoy: decoy.to_der().to_vec(),
        }
    }

    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub<Presence>> {
        // No code that can panic runs under this lock, nor under the next.
        lock(&self.hub)
    }

    pub(crate) fn throttle(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.throttle)
    }
}

/// Unix time in milliseconds; a clock before 1970 counts as 1970.
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
