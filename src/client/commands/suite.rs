//! `topchat suite`: what others are to send to this account.

use serde::Serialize;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::keys::folder::KeyFolder;
use crate::client::keys::own_bundle;
use crate::client::model::suite::Wanted;
use crate::client::net::request::Ask;
use crate::client::net::session::Session;
use crate::client::net::{directory, restored, session};
use crate::client::ui::{json, output};
use crate::crypto::bundle::{self, Contents};
use crate::names::UserName;
use crate::wire::{Prefers, ToServer};

/// Says what the account prefers, and with `wanted` changes it: a new bundle of the same keys, which closes nobody's session.
pub(crate) fn command(config: &Config, wanted: Option<Wanted>) -> Result<(), Error> {
    session::errand(config, |session| {
        let name = session.again.member.name.clone();
        let now = prefers(config, session, &name)?;
        let prefers = match wanted.map(Prefers::from) {
            Some(prefers) if prefers != now => {
                change(config, session, &name, prefers)?;
                prefers
            }
            _ => now,
        };
        report(config, &name, prefers, prefers != now)
    })
}

fn prefers(config: &Config, session: &mut Session, name: &UserName) -> Result<Prefers, Error> {
    let folder = KeyFolder::new(&config.users_dir(), name);
    match folder.own_bundle(session.again.member.identity.public()) {
        Some(own) => Ok(own.prefers),
        None => Ok(directory::look_up(&mut session.dialogue, name)?.bundle.prefers),
    }
}

/// The new bundle is on disk before the request, and is brought to the server again at the next login if the answer is lost.
fn change(config: &Config, session: &mut Session, name: &UserName, prefers: Prefers) -> Result<(), Error> {
    let folder = KeyFolder::new(&config.users_dir(), name);
    let _lock = folder.lock()?;
    let keys = folder.load(&session.again.secret)?;
    let dialogue = &mut session.dialogue;
    let shown = directory::look_up(dialogue, name)?.bundle;
    if shown.identity != *keys.identity.public() || folder.is_unsettled() {
        return Err(Error::Trust(TrustError::BundleOfAnother { name: name.clone() }));
    }
    let key_error = Error::key(folder.path());
    let known = restored::known_bundle(&config.account_state(name))?;
    let make = |contents: Contents<'_>| bundle::make(&Contents { prefers, ..contents });
    let new = own_bundle::next(&folder, name, &keys, &shown, known, make).map_err(key_error)?;
    let bytes = new.encode();
    let proof = bundle::prove_update(&keys.identity, &dialogue.link().exporter()?, &bytes).map_err(key_error)?;
    let mut before = folder.before()?;
    before.add_bundle(new.number, &bytes, &[]);
    folder.keep_before(&before)?;
    let was = folder.own_bundle(keys.identity.public());
    folder.keep_bundle(&bytes)?;
    let question =
        |request| ToServer::UpdateKeys { request, bundle: bytes.clone(), handover: Vec::new(), proof: proof.clone() };
    match dialogue.ask(&question) {
        Ok(_) => Ok(()),
        Err(Error::Refused(refusal)) if refusal.tells_that_nothing_was_done() => {
            before.drop_bundle(new.number);
            folder.keep_before(&before)?;
            let was =
                was.map(|was| bundle::again(&was, &keys.identity, &keys.ed25519)).transpose().map_err(key_error)?;
            was.map_or(Ok(()), |was| folder.keep_bundle(&was.encode()))?;
            Err(Error::Refused(refusal))
        }
        Err(error) => Err(error),
    }
}

fn report(config: &Config, name: &UserName, prefers: Prefers, is_new: bool) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Suite<'a> {
        r#type: &'static str,
        name: &'a str,
        suite: &'static str,
    }
    let suite = prefers.word();
    if is_new {
        config.say(match prefers {
            Prefers::Modern => format!(
                "{name} prefers modern from now on: who has seen that sends nothing else to you. Programs older than this wish \
                 learn of it when they write the next time"
            ),
            Prefers::Classic => format!(
                "{name} prefers classic from now on. Contacts who have compared your key go on with modern until they accept that"
            ),
        });
    }
    match config.json {
        true => output::line(&json::line(&Suite { r#type: "suite", name: name.as_str(), suite })),
        false if is_new => Ok(()),
        false => output::line(&format!("{name} prefers {suite}")),
    }
}
