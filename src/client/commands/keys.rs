//! `topchat keys renew`: new keys for an account that exists, and what a login does when one was interrupted.

pub(crate) mod transfer;

use serde::Serialize;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::keys::folder;
use crate::client::keys::folder::{AccountKeys, KeyFolder};
use crate::client::keys::own_bundle;
use crate::client::keys::password::Secret;
use crate::client::keys::rotation::NextKeys;
use crate::client::net::request::Ask;
use crate::client::net::session::Session;
use crate::client::net::{directory, restored, session};
use crate::client::state::history::key;
use crate::client::ui::{json, output, progress};
use crate::crypto::bundle::{self, Contents};
use crate::crypto::keys::PrivateKey;
use crate::error::{Exit, Failure};
use crate::limits::RETIRED_KEYS_MAX;
use crate::names::UserName;
use crate::wire::ToServer;
use crate::wire::to_server::Mode;

/// Which keys are to be new.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Also the one that signs.
    pub identity: bool,
    /// Size of the new keys.
    pub bits: u32,
}

/// Makes new keys and has the server take them.
///
/// They are on disk beside the old ones before the request goes out, and the old ones stay until the answer: whichever
/// the server knows after a crash, the next login puts them in their place.
pub(crate) fn command(config: &Config, wanted: Wanted) -> Result<(), Error> {
    folder::check_size(wanted.bits)?;
    let name = session::choose(config)?;
    let folder = KeyFolder::new(&config.users_dir(), &name);
    let secret = session::secret_of(config, &name)?;
    // A wrong password is told before the work.
    folder.load(&secret)?;
    let next = make(config, wanted)?;
    let mut session = session::with_secret(config, &name, secret, Mode::Errand)?;
    let secret = session.again.secret.clone();
    let _lock = folder.lock()?;
    let keys = present(&folder, &secret, &session)?;
    let number = request(config, &folder, &keys, &next, &secret, &mut session)?;
    if let Some(encryption) = &next.encryption {
        key::follow(&config.account_state(&name), &[encryption, &keys.encryption]);
    }
    report(config, &name, wanted, &next, number)
}

fn make(config: &Config, wanted: Wanted) -> Result<NextKeys, Error> {
    let what = if wanted.identity { "two new keys" } else { "a new encryption key" };
    let key_error = Error::key("a new key");
    let new = || PrivateKey::generate(wanted.bits).map_err(key_error);
    progress::show(config, &format!("making {what} (RSA {})", wanted.bits), || {
        let identity = wanted.identity.then(new).transpose()?;
        Ok(NextKeys { identity, encryption: Some(new()?) })
    })
}

/// The keys as they are under the lock: another process may have replaced or locked them anew since the login, or have been
/// interrupted at it. Then nobody but the next login knows what counts.
fn present(folder: &KeyFolder, secret: &Secret, session: &Session) -> Result<AccountKeys, Error> {
    let keys = folder.load(secret)?;
    let is_same = *keys.identity.public() == *session.again.member.identity.public();
    match is_same && !folder.is_unsettled() {
        true => Ok(keys),
        false => Err(folder.busy()),
    }
}

/// Gives the number of the new bundle, which the server has.
fn request(
    config: &Config,
    folder: &KeyFolder,
    keys: &AccountKeys,
    next: &NextKeys,
    secret: &Secret,
    session: &mut Session,
) -> Result<u64, Error> {
    let name = &session.again.member.name;
    let dialogue = &mut session.dialogue;
    let now = directory::look_up(dialogue, name)?.bundle;
    if now.identity != *keys.identity.public() {
        return Err(Error::Trust(TrustError::BundleOfAnother { name: name.clone() }));
    }
    let key_error = Error::key(folder.path());
    let known = restored::known_bundle(&config.account_state(name))?;
    let identity = next.identity.as_ref().unwrap_or(&keys.identity);
    let encryption = next.encryption.as_ref().unwrap_or(&keys.encryption).public();
    let make = |contents: Contents<'_>| bundle::make(&Contents { identity, encryption, ..contents });
    let new = own_bundle::next(folder, name, keys, &now, known, make).map_err(key_error)?;
    let (bytes, number) = (new.encode(), new.number);
    let handed_over = next.identity.as_ref().map(|new| bundle::hand_over(name, &keys.identity, new));
    let handover = handed_over.transpose().map_err(key_error)?.unwrap_or_default();
    let proof = bundle::prove_update(identity, &dialogue.link().exporter()?, &bytes).map_err(key_error)?;
    folder.write_next(next, secret)?;
    let question = |request| {
        let (bundle, handover, proof) = (bytes.clone(), handover.clone(), proof.clone());
        ToServer::UpdateKeys { request, bundle, handover, proof }
    };
    let answer = dialogue.ask(&question);
    dialogue.link().finish();
    match answer {
        Ok(_) => {
            let taken =
                bundle::verify(&bytes).map_err(|why| Error::Trust(TrustError::Bundle { name: name.clone(), why }))?;
            folder.settle_next(next, &taken, secret)?;
            Ok(number)
        }
        Err(Error::Refused(refusal)) if refusal.tells_that_nothing_was_done() => {
            folder.remove_next()?;
            Err(Error::Refused(refusal))
        }
        // Also after a goodbye, which answers nothing.
        Err(why) => {
            let words = format!("it is not known whether the server has taken the new keys: {why}");
            let hint = "both the old and the new ones stay here; the next command that logs in asks the server which ones count";
            Err(Failure::new(Exit::Local, words).hint(hint).into())
        }
    }
}

fn report(config: &Config, name: &UserName, wanted: Wanted, next: &NextKeys, number: u64) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Renewed<'a> {
        r#type: &'static str,
        name: &'a str,
        bundle: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        fingerprint: Option<String>,
    }
    let fingerprint = next.identity.as_ref().map(|key| key.public().fingerprint());
    let (what, signed) = match wanted.identity {
        true => ("a new identity", ", signed by the old one"),
        false => ("a new encryption key", ""),
    };
    config.say(format!("{name} has {what} (bundle {number}){signed}. Other programs of {name} were signed out."));
    config.say(format!(
        "messages that are under way still open: the last {RETIRED_KEYS_MAX} encryption keys stay on this machine"
    ));
    if let Some(fingerprint) = fingerprint {
        config.say(session::own_fingerprint(fingerprint));
    }
    match config.json {
        true => {
            let fingerprint = fingerprint.map(|fingerprint| fingerprint.to_hex());
            output::line(&json::line(&Renewed { r#type: "renewed", name: name.as_str(), bundle: number, fingerprint }))
        }
        false => Ok(()),
    }
}
