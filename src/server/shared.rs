//! What all sessions of one server share.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard};

use super::accounts::Accounts;
use super::clock::unix_ms;
use super::log::Log;
use super::net::preauth::Guests;
use super::net::proxies::Proxies;
use super::net::send_queue::Outbox;
use super::net::throttle::Throttle;
use super::registry::handle::Presence;
use super::registry::hub::Hub;
use super::settings::{self, Registration, Settings, Why};
use crate::crypto::keys::PublicKey;
use crate::sync::lock;
use crate::transport::ServerTls;

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
    pub(crate) addresses: Vec<SocketAddr>,
    /// When it began, as Unix time in milliseconds.
    pub(crate) began_ms: u64,
    pub(crate) tls: ServerTls,
    pub(crate) accounts: Accounts,
    pub(crate) mail: Arc<Log<Outbox>>,
    pub(crate) guests: Arc<Guests>,
    /// Connections of trusted proxies, until they have said for whom.
    pub(crate) forwarded: Arc<Guests>,
    /// Makes the salts of unknown names: steady, and not to be told from real ones.
    pub(crate) secret: [u8; 32],
    /// Read and checked in place of an unknown name's key, so that both refusals take the same time.
    pub(crate) decoy: Vec<u8>,
    /// It was told that the data folder is an older copy than one that was here before.
    pub(crate) was_set_back: AtomicBool,
    pub(crate) hub: Arc<Mutex<Hub<Presence>>>,
    throttle: Mutex<Throttle>,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        addresses: Vec<SocketAddr>,
        tls: ServerTls,
        accounts: Accounts,
        mail: Arc<Log<Outbox>>,
        secret: [u8; 32],
        decoy: &PublicKey,
    ) -> Self {
        let trusts_proxies = !settings.trust_proxy.is_empty();
        let (registration, why_registration) = match settings.registration {
            Some(registration) => (registration, None),
            None => {
                let (registration, why) = Registration::by_default(&addresses, trusts_proxies, settings.surroundings);
                (registration, Some(why))
            }
        };
        Self {
            guests: Arc::new(Guests::new(settings.max_clients, !trusts_proxies)),
            forwarded: Arc::new(Guests::of_proxies(settings.max_clients)),
            proxies: Proxies::new(settings.trust_proxy.clone()),
            hub: Arc::new(Mutex::new(Hub::new(settings.max_clients))),
            throttle: Mutex::new(Throttle::new(settings.slowness, !trusts_proxies)),
            was_set_back: AtomicBool::new(false),
            registration,
            why_registration,
            addresses,
            began_ms: unix_ms(),
            settings,
            tls,
            accounts,
            mail,
            secret,
            decoy: decoy.to_der().to_vec(),
        }
    }

    /// Whether nobody but this machine can connect.
    pub(crate) fn is_for_this_machine(&self) -> bool {
        settings::are_loopback(&self.addresses)
    }

    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub<Presence>> {
        // No code that can panic runs under this lock, nor under the next.
        lock(&self.hub)
    }

    pub(crate) fn throttle(&self) -> MutexGuard<'_, Throttle> {
        lock(&self.throttle)
    }
}
