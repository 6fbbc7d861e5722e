//! The servers' identities, pinned at first contact.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use super::json;
use super::server_error::ServerError;
use super::state_file::{Document, StateFile, VERSION};
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
        Self { v: VERSION, servers: BTreeMap::new() }
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
    let file = StateFile::new(state_dir, "servers.json")?;
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
    let file = StateFile::new(state_dir, "servers.json")?;
    pinned(&file, &file.read()?, address)
}

fn pinned(file: &StateFile, servers: &Servers, address: &str) -> Result<Option<Fingerprint>, Error> {
    let Some(server) = servers.servers.get(address) else { return Ok(None) };
    let malformed = || file.malformed(format!("the identity of {address} is no fingerprint"));
    Fingerprint::from_hex(&server.identity).map(Some).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
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
            error.hint().unwrap().contains("topchat users --server 127.0.0.1:7777 --server-fingerprint SHA256:bbbb"),
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

    #[test]
    fn a_file_that_holds_something_else_is_refused_and_left_alone() {
        for junk in ["", "{}", "[]", "{\"v\":2,\"servers\":{}}", "{\"v\":1,\"servers\":{},\"x\":1}"] {
            let place = tempfile::tempdir().unwrap();
            let path = place.path().join("servers.json");
            crate::storage::private::create_new(&path, junk.as_bytes()).unwrap();
            let error = check(place.path(), "a:1", A, None, 0).unwrap_err();
            assert!(error.to_string().contains("servers.json"), "{junk}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), junk);
        }
    }
}
