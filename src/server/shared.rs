//! What all sessions of one server share, and its settings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::accounts::Accounts;
use super::guests::Guests;
use super::hub::Hub;
use super::outbox::{Bounds, Outbox};
use super::throttle::Throttle;
use crate::crypto::keys::PublicKey;
use crate::limits;
use crate::transport::ServerTls;
use crate::wire::DeliveryId;

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Registration {
    /// Whoever connects.
    Open,
    /// Nobody.
    Closed,
}

/// What the owner may set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seats for logged-in sessions.
    pub max_clients: usize,
    /// Most accounts.
    pub max_accounts: usize,
    /// Who may make an account.
    pub registration: Registration,
    /// From TCP accept to login.
    pub login_deadline: Duration,
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
            registration: Registration::Open,
            login_deadline: limits::LOGIN_DEADLINE,
            ping_after: limits::PING_AFTER,
            pong_within: limits::PONG_WITHIN,
        }
    }
}

/// State that every session's thread reaches. Each lock is held for a few instructions, never over input or output,
/// and never together with another.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) tls: ServerTls,
    pub(super) accounts: Accounts,
    pub(super) guests: Arc<Guests>,
    /// Makes the salts of unknown names: steady, and not to be told from real ones.
    pub(super) secret: [u8; 32],
    /// Read and checked in place of an unknown name's key, so that both refusals take the same time.
    pub(super) decoy: Vec<u8>,
    hub: Mutex<Hub<Arc<Outbox>>>,
    throttle: Mutex<Throttle>,
    epoch: u64,
    deliveries: AtomicU64,
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        tls: ServerTls,
        accounts: Accounts,
        secret: [u8; 32],
        decoy: &PublicKey,
    ) -> Self {
        Self {
            guests: Arc::new(Guests::new(settings.max_clients)),
            hub: Mutex::new(Hub::new(settings.max_clients)),
            throttle: Mutex::default(),
            epoch: unix_ms(),
            deliveries: AtomicU64::new(0),
            settings,
            tls,
            accounts,
            secret,
            decoy: decoy.to_der().to_vec(),
        }
    }

    pub(super) fn hub(&self) -> MutexGuard<'_, Hub<Arc<Outbox>>> {
        // No code that can panic runs under this lock, nor under the next.
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn throttle(&self) -> MutexGuard<'_, Throttle> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next delivery's number.
    pub(super) fn next_delivery(&self) -> DeliveryId {
        let number = self.deliveries.fetch_add(1, Ordering::Relaxed) + 1;
        DeliveryId { epoch: self.epoch, number }
    }

    /// How much may wait for one client.
    pub(super) fn outbox_bounds(&self) -> Bounds {
        Bounds { deliveries: limits::OUTBOX_DELIVERIES, bytes: limits::OUTBOX_BYTES }
    }
}

/// Unix time in milliseconds; a clock before 1970 counts as 1970.
pub(super) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
