//! The servers' identities, pinned at first contact, and which of them have an account of this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::model::address::ServerAddress;
use crate::client::state::state_file::{Document, StateFile, VERSION};
use crate::client::ui::json;
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::names::UserName;
use crate::wire::Fingerprint;

/// How a server's identity compares with what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing was known; now it is pinned.
    First,
    /// The one that was pinned.
    Before,
    /// The one that was given, in place of what was pinned.
    Given,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Servers {
    v: u32,
    servers: BTreeMap<String, Server>,
    /// By the account's name.
    #[serde(default)]
    accounts: BTreeMap<String, Home>,
}

/// Where an account is.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Home {
    /// The address that is used if no other one is named.
    server: String,
    /// The identities of all servers that have it, as 64 hex digits.
    identities: BTreeSet<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Server {
    /// 64 hex digits.
    identity: String,
    first_seen: String,
}

impl Default for Servers {
    fn default() -> Self {
        Self { v: VERSION, servers: BTreeMap::new(), accounts: BTreeMap::new() }
    }
}

impl Document for Servers {
    fn version(&self) -> u32 {
        self.v
    }
}

/// Compares a server's identity with the pinned one, and pins it if none is or if it is the `expected` one.
pub fn check(
    state_dir: &Path,
    address: &str,
    now: Fingerprint,
    expected: Option<Fingerprint>,
    now_ms: i64,
) -> Result<Seen, Error> {
    if let Some(expected) = expected.filter(|expected| *expected != now) {
        return Err(Error::Server(ServerError::Changed { address: address.to_owned(), pinned: expected, now }));
    }
    let file = StateFile::new(state_dir, FILE)?;
    match pinned(&file, &file.read()?, address)? {
        Some(pinned) if pinned == now => return Ok(Seen::Before),
        Some(pinned) if expected.is_none() => {
            return Err(Error::Server(ServerError::Changed { address: address.to_owned(), pinned, now }));
        }
        Some(_) | None => {}
    }
    file.change(|servers: &mut Servers| {
        // Another process may have pinned it meanwhile.
        if let Some(pinned) = pinned(&file, servers, address)?.filter(|pinned| *pinned != now && expected.is_none()) {
            return Err(Error::Server(ServerError::Changed { address: address.to_owned(), pinned, now }));
        }
        let server = Server { identity: now.to_hex(), first_seen: json::time(now_ms) };
        let before = servers.servers.insert(address.to_owned(), server);
        Ok(if before.is_some() { Seen::Given } else { Seen::First })
    })
}

/// The identity pinned for this address.
pub fn known(state_dir: &Path, address: &str) -> Result<Option<Fingerprint>, Error> {
    let file = StateFile::new(state_dir, FILE)?;
    pinned(&file, &file.read()?, address)
}

impl Config {
    /// The same for what this account does: at its own server, if no other one was named.
    pub fn of(&self, name: &UserName) -> Result<Self, Error> {
        let own = if self.server_named { None } else { server_of(&self.state_dir, name)? };
        let server = own.unwrap_or_else(|| self.server.clone());
        Ok(Self { server, account: Some(name.clone()), ..self.clone() })
    }
}

/// The server of an account, if it is known.
pub fn server_of(state_dir: &Path, name: &UserName) -> Result<Option<ServerAddress>, Error> {
    let file = StateFile::new(state_dir, FILE)?;
    let servers: Servers = file.read()?;
    let malformed = |_| file.malformed(format!("the server of {name} is no address"));
    servers.accounts.get(name.as_str()).map(|home| home.server.parse().map_err(malformed)).transpose()
}

/// Before anything is sent for an account: whether that server has it, as far as this machine knows. Where nothing is known
/// yet, it has to be named; another server than those that have it counts if its identity was given, too.
pub fn admit(config: &Config, name: &UserName, identity: Option<Fingerprint>) -> Result<(), Error> {
    let servers: Servers = StateFile::new(&config.state_dir, FILE)?.read()?;
    match (servers.accounts.get(name.as_str()), identity) {
        (None, _) if !config.server_named => {
            let words = format!("the server of {name} is not known on this machine. Nothing was sent.");
            let hint = Hint::from("name it once: ").topchat(&["--server", "HOST:PORT", "login", name.as_str()]);
            Err(Failure::new(Exit::Usage, words).hint(hint).into())
        }
        (Some(home), Some(identity)) if !home.has(identity) && config.expected != Some(identity) => {
            let (address, own, identity) = (config.server.to_string(), &home.server, identity.to_string());
            let words = format!(
                "{name} has no account at {address} that this machine knows of: it is at {own}. Nothing was sent."
            );
            let typed = ["users", "--user", name.as_str(), "--server", &address, "--server-fingerprint", &identity];
            let hint =
                Hint::from(format!("if {name} is there, too, and its owner confirms the identity: ")).topchat(&typed);
            Err(Failure::new(Exit::Identity, words).hint(hint).into())
        }
        _ => Ok(()),
    }
}

/// The accounts of this machine that a server has.
pub fn accounts(state_dir: &Path) -> Result<Vec<UserName>, Error> {
    // Who only asks leaves no folder.
    if !state_dir.exists() {
        return Ok(Vec::new());
    }
    let servers: Servers = StateFile::new(state_dir, FILE)?.read()?;
    Ok(servers.accounts.keys().filter_map(|name| name.parse().ok()).collect())
}

/// This server has the account: it was made there just now, or has logged in. Where that is at another address than before, it
/// is the account's from now on.
pub fn belongs(config: &Config, name: &UserName, identity: Fingerprint) -> Result<(), Error> {
    let file = StateFile::new(&config.state_dir, FILE)?;
    let address = config.server.to_string();
    let is_known = |servers: &Servers| {
        servers.accounts.get(name.as_str()).is_some_and(|home| home.server == address && home.has(identity))
    };
    if is_known(&file.read()?) {
        return Ok(());
    }
    let before = file.change(|servers: &mut Servers| {
        let before = servers.accounts.remove(name.as_str());
        let mut identities = before.as_ref().map_or_else(BTreeSet::new, |home| home.identities.clone());
        identities.insert(identity.to_hex());
        servers.accounts.insert(name.to_string(), Home { server: address.clone(), identities });
        Ok(before)
    })?;
    if before.is_some_and(|before| before.server != address) {
        config.say(format!("{name}'s server is {address} from now on"));
    }
    Ok(())
}

impl Home {
    fn has(&self, identity: Fingerprint) -> bool {
        self.identities.contains(&identity.to_hex())
    }
}

fn pinned(file: &StateFile, servers: &Servers, address: &str) -> Result<Option<Fingerprint>, Error> {
    let Some(server) = servers.servers.get(address) else { return Ok(None) };
    let malformed = || file.malformed(format!("the identity of {address} is no fingerprint"));
    Fingerprint::from_hex(&server.identity).map(Some).ok_or_else(malformed)
}

const FILE: &str = "servers.json";

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::client::cli::options::Options;
    use crate::error::{Exit, Explain};

    const A: Fingerprint = Fingerprint([0xaa; 32]);
    const B: Fingerprint = Fingerprint([0xbb; 32]);

    #[test]
    fn a_server_is_pinned_at_first_sight_and_a_change_is_refused_until_it_is_given() {
        let place = tempfile::tempdir().unwrap();
        let check = |now, expected| check(place.path(), "127.0.0.1:7777", now, expected, 0);
        assert_eq!(check(A, None).unwrap(), Seen::First);
        assert_eq!(check(A, None).unwrap(), Seen::Before);
        let error = check(B, None).unwrap_err();
        assert_eq!(error.exit(), Exit::Identity);
        assert!(error.to_string().contains(&A.to_hex()) && error.to_string().contains(&B.to_hex()), "{error}");
        assert!(
            error
                .hint()
                .unwrap()
                .to_string()
                .contains("topchat users --server 127.0.0.1:7777 --server-fingerprint SHA256:bbbb"),
            "{error}"
        );
        assert!(check(B, Some(A)).is_err());
        assert_eq!(check(B, Some(B)).unwrap(), Seen::Given);
        assert_eq!(check(B, None).unwrap(), Seen::Before);
    }

    #[test]
    fn an_expected_identity_counts_at_first_contact_too() {
        let place = tempfile::tempdir().unwrap();
        assert!(check(place.path(), "a:1", A, Some(B), 0).is_err());
        assert_eq!(check(place.path(), "a:1", A, None, 0).unwrap(), Seen::First);
    }

    fn config(place: &Path, server: &[&str]) -> Config {
        let folder = place.to_str().unwrap();
        let words = ["topchat", "--quiet", "--keys-dir", folder, "--state-dir", folder];
        let options = Options::try_parse_from(words.iter().chain(server)).unwrap();
        Config::new(options.global, options.invocation).unwrap()
    }

    #[test]
    fn an_account_is_used_at_its_own_servers_and_at_others_only_by_their_identity() {
        let place = tempfile::tempdir().unwrap();
        let config = |server: &[&str]| config(place.path(), server);
        let alice = "alice".parse().unwrap();
        let plain = || config(&[]).of(&alice).unwrap();
        assert_eq!(plain().server.to_string(), "127.0.0.1:7777");
        let unknown = admit(&plain(), &alice, None).unwrap_err();
        assert!(unknown.hint().unwrap().to_string().contains("topchat --server HOST:PORT login alice"), "{unknown}");
        let a = config(&["--server", "a:1"]);
        admit(&a, &alice, Some(A)).unwrap();
        belongs(&a, &alice, A).unwrap();
        assert_eq!(plain().server.to_string(), "a:1");
        admit(&plain(), &alice, Some(A)).unwrap();

        let refused = admit(&plain(), &alice, Some(B)).unwrap_err();
        assert_eq!(refused.exit(), Exit::Identity);
        let moved = config(&["--server", "b:2"]);
        admit(&moved, &alice, Some(A)).expect("the same server at another address");
        assert!(admit(&moved, &alice, Some(B)).is_err());
        let given = config(&["--server", "b:2", "--server-fingerprint", &B.to_hex()]);
        assert_eq!(given.of(&alice).unwrap().server.to_string(), "b:2");
        admit(&given, &alice, Some(B)).unwrap();
        assert_eq!(plain().server.to_string(), "a:1", "until the login has succeeded");
        belongs(&given, &alice, B).unwrap();
        assert_eq!(plain().server.to_string(), "b:2");
        admit(&a, &alice, Some(A)).expect("it is there still");
    }

    #[test]
    fn a_file_that_holds_something_else_is_refused_and_left_alone() {
        for junk in ["", "{}", "[]", "{\"v\":2,\"servers\":{}}", "{\"v\":1,\"servers\":{},\"x\":1}"] {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("servers.json");
            crate::client::model::state_folder::parts(place.path()).begin().unwrap();
            crate::storage::private::create_new(&path, junk.as_bytes()).unwrap();
            let error = check(place.path(), "a:1", A, None, 0).unwrap_err();
            assert!(error.to_string().contains("servers.json"), "{junk}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), junk);
        }
    }
}
