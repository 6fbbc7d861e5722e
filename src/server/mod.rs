//! The server: accounts, who is online, and passing sealed envelopes on.
//!
//! It cannot read a message: sealing and opening are not named anywhere below this module, and a test holds that.

mod acceptor;
pub mod accounts;
pub mod admin;
pub mod clock;
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

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;

pub use error::{Lacks, Refusal, Scarce, ServerError};
pub use log::{Durability, Quotas, StoreError};
pub use settings::{Registration, Settings, Why};

use crate::crypto::keys::PublicKey;
use crate::storage::folder::{LockedFolder, ensure_folder};
use crate::transport::Stop;
use crate::wire::Fingerprint;

/// A server that has its data and its port, and takes no connection yet.
pub struct Server {
    acceptor: acceptor::Acceptor,
    socket: admin::Socket,
    shared: Arc<shared::Shared>,
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
        let clock = Arc::new(clock::RunClock::after(log::run_ms(folder.path())?));
        let accounts = accounts::Accounts::open(&folder, settings.max_accounts, Arc::clone(&clock))?;
        let parts = folder::parts(folder.path());
        parts.ready(folder::MESSAGES, |path| {
            ensure_folder(path)?;
            // Its owner said that it is lost, if this is not the first start.
            let is_first = !path.with_file_name(folder::CURSORS).exists();
            if is_first { Ok(()) } else { log::give_up(path).map_err(ServerError::from) }
        })?;
        parts.is_there(folder::CURSORS)?;
        let store = log::Store::open(
            folder.path(),
            accounts.all().into_iter(),
            settings.quotas.clone(),
            settings.durability,
            clock,
        )?;
        parts.made(folder::CURSORS)?;
        let tls = net::identity::load_tls(folder.path())?;
        let secret = net::identity::load_secret(folder.path())?;
        let listener = bind(listen)?;
        let bound = |source| ServerError::Listen { address: listen.to_owned(), source };
        let address = listener.local_addr().map_err(bound)?;
        let shared =
            Arc::new(shared::Shared::new(settings, address, tls, accounts, store, secret, &PublicKey::decoy()?));
        let acceptor = acceptor::Acceptor::new(listener, Arc::clone(&shared)).map_err(bound)?;
        let socket = admin::Socket::bind(folder.path())?;
        Ok(Self { acceptor, socket, shared, folder })
    }

    /// Where it listens, with the real port.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Where clients on this machine find it.
    pub fn address_here(&self) -> SocketAddr {
        from_here(self.address())
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

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.shared.accounts.len()
    }

    /// Serves until asked to stop, then says goodbye to every client.
    pub fn run(self, stop: &Stop) -> Result<(), ServerError> {
        let failed = |source| ServerError::Accept { source };
        let folder = self.folder.path().to_owned();
        let administration =
            admin::Administration::begin(self.socket, folder, Arc::clone(&self.shared)).map_err(failed)?;
        let comings = registry::presence::Comings::begin(Arc::clone(&self.shared.hub)).map_err(failed)?;
        let ended = self.acceptor.run(stop).map_err(failed);
        comings.end();
        administration.end();
        self.shared.store.close();
        ended
    }
}

/// A server on every address of the machine is on the loopback one, too, and a client knows it there already if others
/// could not connect so far.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Takes the address, the first one of a host with several that can be had.
fn bind(listen: &str) -> Result<TcpListener, ServerError> {
    let failed = |source| ServerError::Listen { address: listen.to_owned(), source };
    let mut last = io::Error::new(io::ErrorKind::NotFound, "that host has no address");
    for address in listen.to_socket_addrs().map_err(failed)? {
        match TcpListener::bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_found_on_the_loopback_one() {
        for (listens, found) in [
            ("0.0.0.0:7777", "127.0.0.1:7777"),
            ("[::]:7000", "[::1]:7000"),
            ("192.0.2.1:7777", "192.0.2.1:7777"),
            ("127.0.0.1:7777", "127.0.0.1:7777"),
        ] {
            assert_eq!(from_here(listens.parse().unwrap()).to_string(), found);
        }
    }
}
