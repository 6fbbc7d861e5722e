//! The server: accounts, who is online, and passing sealed envelopes on.
//!
//! It cannot read a message: sealing and opening are not named anywhere below this module, and a test holds that.

mod acceptor;
pub mod accounts;
pub mod admin;
pub mod clock;
mod data;
pub mod doctor;
mod error;
pub mod folder;
mod log;
pub mod net;
pub mod options;
mod registry;
mod session;
mod settings;
mod shared;
#[cfg(feature = "simulation")]
pub mod simulation;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

pub use error::{Lacks, Refusal, Scarce, ServerError};
pub use log::{Durability, Quotas, StoreError};
pub use settings::{Registration, Settings, Why};

use accounts::Ledger;
use data::Data;

use crate::crypto::keys::PublicKey;
use crate::limits::SEGMENT_BYTES;
use crate::storage::folder::LockedFolder;
use crate::transport::Stop;
use crate::wire::Fingerprint;

/// A server that has its data and its port, and takes no connection yet.
pub struct Server {
    acceptor: acceptor::Acceptor,
    socket: admin::Socket,
    shared: Arc<shared::Shared>,
    /// How many there were.
    accounts: usize,
    store: log::Store<net::send_queue::Outbox>,
    /// Held as long as the server lives: one server per folder.
    folder: LockedFolder,
}

impl Server {
    /// Takes the data folder, loads what is in it, or makes it, and binds `listen` (`HOST:PORT`, port 0 for any).
    pub fn open(folder: &Path, listen: &str, settings: Settings) -> Result<Self, ServerError> {
        net::capacity::check(settings.max_clients)?;
        // Before anything is made in a folder for it.
        net::bind_address::check(listen)?;
        let folder = LockedFolder::open(folder)?;
        let Data { accounts, log } = Data::read(folder.path(), &settings, SEGMENT_BYTES)?;
        let (accounts, store) = (accounts.start()?, log.start()?);
        let count = accounts.figures().map_err(accounts::AccountsError::from)?.accounts;
        let tls = net::identity::load_tls(folder.path())?;
        let secret = net::identity::load_secret(folder.path())?;
        let listeners = net::bind_address::bind(listen)?;
        let bound = |source| ServerError::Listen { address: listen.to_owned(), source };
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>().map_err(bound)?;
        let (mail, decoy) = (Arc::clone(store.log()), PublicKey::decoy()?);
        let shared = Arc::new(shared::Shared::new(settings, addresses, tls, accounts, mail, secret, &decoy));
        let acceptor = acceptor::Acceptor::new(listeners, Arc::clone(&shared)).map_err(bound)?;
        let socket = admin::Socket::bind(folder.path())?;
        Ok(Self { acceptor, socket, shared, accounts: count, store, folder })
    }

    /// Where it listens, with the real port: one address, or those of a host that has several.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.addresses
    }

    /// Where clients on this machine find it.
    pub fn address_here(&self) -> SocketAddr {
        // There is one at least.
        net::bind_address::from_here(self.shared.addresses[0])
    }

    /// Whether nobody but this machine can connect.
    pub fn is_for_this_machine(&self) -> bool {
        self.shared.is_for_this_machine()
    }

    /// What clients pin.
    pub fn identity(&self) -> Fingerprint {
        self.shared.tls.identity()
    }

    /// Who may make an account.
    pub fn registration(&self) -> Registration {
        self.shared.registration
    }

    /// Why just those, if nothing was said about it.
    pub fn why_registration(&self) -> Option<Why> {
        self.shared.why_registration
    }

    /// How many accounts there were when it was opened.
    pub fn accounts(&self) -> usize {
        self.accounts
    }

    /// Serves until asked to stop, then says goodbye to every client.
    pub fn run(self, stop: &Stop) -> Result<(), ServerError> {
        let failed = |source| ServerError::Accept { source };
        let folder = self.folder.path().to_owned();
        let administration =
            admin::Administration::begin(self.socket, folder, Arc::clone(&self.shared)).map_err(failed)?;
        let broadcast = registry::presence::Broadcast::begin(Arc::clone(&self.shared.hub)).map_err(failed)?;
        let ended = self.acceptor.run(stop).map_err(failed);
        broadcast.end();
        administration.end();
        drop(self.store);
        ended
    }
}
