//! When a server was set back to an older copy of its data: noticed at the login, told once, and the account is brought to where it was.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::directory;
use super::login::{LoggedIn, Welcome};
use super::request::{Ask, Dialogue};
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::error::trust::TrustError;
use crate::client::keys::before::{Before, Renewal};
use crate::client::keys::folder::{AccountKeys, KeyFolder};
use crate::client::keys::password::Secret;
use crate::client::state::state_file::{Document, StateFile, VERSION};
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::crypto::keys::PrivateKey;
use crate::crypto::scram::{self, Salted};
use crate::error::{Exit, Explain, Failure};
use crate::hint::Hint;
use crate::names::UserName;
use crate::storage::lock::Lock;
use crate::storage::private;
use crate::wire::{Fingerprint, ToServer};

/// What the server said at the last login of an account: its numbers only grow.
#[derive(Clone, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Known {
    v: u32,
    /// The server's identity: another server has other numbers.
    identity: Option<String>,
    /// Number of the account's key bundle.
    bundle: u64,
    /// Number of the last message on its disk.
    kept: u64,
}

impl Default for Known {
    fn default() -> Self {
        Self { v: VERSION, identity: None, bundle: 0, kept: 0 }
    }
}

impl Document for Known {
    fn version(&self) -> u32 {
        self.v
    }
}

/// Whether this account has logged in at its server from here.
pub(crate) fn has_logged_in(folder: &Path) -> bool {
    folder.join(KNOWN).exists()
}

/// The account was deleted there: that it is unknown is as it should be.
pub(crate) fn forget(folder: &Path) {
    if let Err(error) = private::remove(&folder.join(KNOWN)) {
        log::warn!("{error}");
    }
}

/// Number of the account's key bundle that the server had last, at least 1.
pub(crate) fn known_bundle(folder: &Path) -> Result<u64, Error> {
    match has_logged_in(folder) {
        true => Ok(StateFile::new(folder, KNOWN)?.read::<Known>()?.bundle.max(1)),
        false => Ok(1),
    }
}

/// The account's bundle as it was made here last. If the server has a newer one of the same keys, another machine made it: it is kept in its
/// place.
pub(crate) fn own_bundle(
    folder: &KeyFolder,
    name: &UserName,
    keys: &AccountKeys,
    number: u64,
    dialogue: &mut Dialogue,
) -> Option<VerifiedBundle> {
    let own = folder.own_bundle(keys.identity.public())?;
    if number <= own.number {
        return Some(own);
    }
    let found = directory::look_up(dialogue, name).ok()?.bundle;
    let is_own = found.number > own.number
        && found.identity == *keys.identity.public()
        && found.encryption == *keys.encryption.public()
        && found.ed25519 == *keys.ed25519.public()
        && found.x25519 == *keys.x25519.public();
    if !is_own {
        return Some(own);
    }
    let again = bundle::again(&found, &keys.identity, &keys.ed25519);
    let kept = again
        .map_err(|why| why.to_string())
        .and_then(|again| folder.keep_bundle(&again.encode()).map_err(|error| error.to_string()));
    if let Err(error) = kept {
        log::warn!("{error}");
    }
    Some(found)
}

/// What logs in where the password is still a former one.
pub(crate) fn former_password(
    folder: &KeyFolder,
    keys: &AccountKeys,
    secret: &Secret,
    salt: &[u8; 16],
    iterations: u32,
) -> Option<Salted> {
    folder.before_or_nothing().password(salt, iterations, |wanted, unlock| {
        let is_wanted = |key: &&PrivateKey| key.public().fingerprint() == wanted;
        match is_wanted(&&keys.encryption) {
            true => unlock(&keys.encryption),
            false => folder.load_retired(secret).iter().find(is_wanted).and_then(unlock),
        }
    })
}

/// A login of an account, and what brings its server to where it was.
pub(crate) struct Arrival<'a> {
    pub config: &'a Config,
    /// Whose keys these are.
    pub folder: &'a KeyFolder,
    pub name: &'a UserName,
    pub keys: &'a AccountKeys,
    pub secret: &'a Secret,
    pub server: Fingerprint,
    /// What the server said.
    pub logged_in: &'a LoggedIn,
}

impl Arrival<'_> {
    /// Compares what the server has with what it had. If that is less, the changes of the account since then are made again, and it
    /// is told, here and there. `lock`: the folder's, if it is held already.
    pub(crate) fn settle(&self, dialogue: &mut Dialogue, lock: Option<&Lock>) -> Result<(), Error> {
        let welcome = self.logged_in.welcome;
        let before = self.folder.before_or_nothing();
        let is_behind = self.logged_in.by_former || before.is_ahead_of(welcome.bundle);
        let bundle = match is_behind {
            true => {
                let _lock = if lock.is_none() { Some(self.folder.lock()?) } else { None };
                self.bring_back(dialogue, &before)?
            }
            false => welcome.bundle,
        };
        self.compare(dialogue, Welcome { bundle, ..welcome }, is_behind);
        if lock.is_none() {
            // It is counted at the next one.
            if let Err(error) = self.folder.saw(bundle, true) {
                log::warn!("{error}");
            }
        }
        Ok(())
    }

    /// Gives the number of the bundle that the server has now. Each step leaves an account that logs in.
    fn bring_back(&self, dialogue: &mut Dialogue, before: &Before) -> Result<u64, Error> {
        let failed = |why: Error| -> Error {
            let words = format!(
                "the server was set back to before a change of {}'s keys or password, and did not take it again: {why}",
                self.name
            );
            Failure::new(Exit::Local, words).hint("try again").into()
        };
        if self.logged_in.by_former {
            let verifier =
                scram::verifier(self.secret.password()).map_err(|why| Error::Server(ServerError::Scram { why }))?;
            let question = |request| ToServer::SetPassword { request, verifier: verifier.clone() };
            dialogue.ask(&question).map_err(failed)?;
            self.say_again("your present password");
        }
        let mut number = self.logged_in.welcome.bundle;
        let bundle_error = |why| Error::Trust(TrustError::Bundle { name: self.name.clone(), why });
        for renewal in before.renewals_after(number).map_err(bundle_error)? {
            self.renew(dialogue, &renewal).map_err(failed)?;
            number = renewal.bundle.number;
            self.say_again(&format!("your keys of bundle {number}"));
        }
        Ok(number)
    }

    fn renew(&self, dialogue: &mut Dialogue, renewal: &Renewal) -> Result<(), Error> {
        let is_theirs = |key: &PrivateKey| *key.public() == renewal.bundle.identity;
        let former;
        let identity = match is_theirs(&self.keys.identity) {
            true => &self.keys.identity,
            false => {
                former = self.folder.load_former_identities(self.secret).find(is_theirs);
                former.as_ref().ok_or_else(|| Error::Trust(TrustError::BundleOfAnother { name: self.name.clone() }))?
            }
        };
        let key_error = Error::key(self.folder.path());
        let exporter = dialogue.link().exporter()?;
        let proof = bundle::prove_update(identity, &exporter, &renewal.bytes).map_err(key_error)?;
        let (bytes, handover) = (&renewal.bytes, &renewal.handover);
        let question = |request| ToServer::UpdateKeys {
            request,
            bundle: bytes.clone(),
            handover: handover.clone(),
            proof: proof.clone(),
        };
        dialogue.ask(&question).map(drop)
    }

    fn say_again(&self, what: &str) {
        let Self { config, name, .. } = self;
        config.say(format!(
            "{} knew {name} as before a change, as if set back to an older copy of its data: it has {what} again",
            config.server
        ));
    }

    /// What the server has now is what is compared with the next time: less is told once. Nothing depends on it.
    fn compare(&self, dialogue: &mut Dialogue, now: Welcome, is_told: bool) {
        let identity = Some(self.server.to_hex());
        let next = Known { v: VERSION, identity: identity.clone(), bundle: now.bundle, kept: now.kept };
        let compared = StateFile::new(&self.config.account_state(self.name), KNOWN).and_then(|file| {
            let known: Known = file.read()?;
            if known == next {
                return Ok(());
            }
            file.change(|known: &mut Known| {
                let was = std::mem::replace(known, next);
                if was.identity == identity {
                    self.tell(dialogue, &was, now, is_told);
                }
                Ok(())
            })
        });
        if let Err(error) = compared {
            let hint =
                error.hint().map_or(String::new(), |hint| format!(" ({})", self.config.invocation.shown(&hint).text));
            log::warn!("{error}{hint}");
        }
    }

    fn tell(&self, dialogue: &mut Dialogue, was: &Known, now: Welcome, is_told: bool) {
        let Self { config, .. } = self;
        if was.kept > now.kept {
            config.say(format!(
                "{} was set back to an older copy of its data: it is at message {}, and was at {} when you were here. \
                 What came in between is gone there.",
                config.server, now.kept, was.kept
            ));
            // Its owner is told, too, as far as it can be.
            let _ = dialogue.send(&ToServer::Seen { kept: was.kept });
        } else if was.bundle > now.bundle && !is_told {
            let words = format!(
                "{} was set back to an older copy of its data: it has your keys of bundle {}, and had those of {} when you were here. \
                 Make new ones: ",
                config.server, now.bundle, was.bundle
            );
            config.say(Hint::from(words).topchat(&["keys", "renew"]));
        }
    }
}

/// The file in the account's folder of state.
const KNOWN: &str = "known.json";
