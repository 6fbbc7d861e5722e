//! `topchat users`, `topchat fingerprint` and `topchat trust`.

use serde::Serialize;

use super::account_keys::KeyFolder;
use super::config::Config;
use super::contacts::Contacts;
use super::keyring::Keyring;
use super::{Error, directory, json, output, session};
use crate::names::UserName;
use crate::wire::Fingerprint;
use crate::wire::to_server::Scope;

/// Who there is, one per line.
pub fn users(config: &Config, online: bool) -> Result<(), Error> {
    #[derive(Serialize)]
    struct User<'a> {
        r#type: &'static str,
        name: &'a str,
        online: bool,
    }
    let mut session = session::for_errand(config)?;
    let scope = if online { Scope::Online } else { Scope::All };
    let entries = directory::list(&mut session.dialogue, scope)?;
    session.dialogue.link().finish();
    let lines = entries.iter().map(|entry| match config.json {
        true => json::line(&User { r#type: "user", name: entry.name.as_str(), online: entry.online }) + "\n",
        false => format!("{:<32} {}\n", entry.name.as_str(), if entry.online { "here" } else { "away" }),
    });
    output::write(&lines.collect::<String>())
}

/// One's own fingerprint, which needs no password and no server, or a contact's: the pinned one, or the one that the
/// server gives if there was no contact so far.
pub fn fingerprint(config: &Config, name: Option<&UserName>) -> Result<(), Error> {
    let own = session::choose(config);
    let (name, fingerprint) = match (name, own) {
        (None, own) => {
            let own = own?;
            let key = KeyFolder::new(&config.users_dir(), &own).public_identity()?;
            (own, key.fingerprint())
        }
        (Some(name), own) => (name.clone(), fingerprint_of(config, name, own)?),
    };
    show(config, "fingerprint", &name, fingerprint)
}

/// Pins the key that a contact has now.
pub fn trust(config: &Config, name: &UserName, typed: &str) -> Result<(), Error> {
    let mut session = session::for_errand(config)?;
    let now = directory::trust(&mut session.dialogue, &session.contacts, name, typed)?;
    session.dialogue.link().finish();
    config.say(&format!("{name} is trusted with this key from now on:"));
    show(config, "trusted", name, now)
}

fn fingerprint_of(config: &Config, name: &UserName, own: Result<UserName, Error>) -> Result<Fingerprint, Error> {
    if let Ok(own) = &own {
        if own == name {
            return Ok(KeyFolder::new(&config.users_dir(), own).public_identity()?.fingerprint());
        }
        if let Some(pin) = Contacts::open(&config.account_state(own))?.pinned(name)? {
            return Ok(pin.key.fingerprint());
        }
    }
    own?;
    let mut session = session::for_errand(config)?;
    let bundle = directory::contact(&mut session.dialogue, &session.contacts, name)?;
    session.dialogue.link().finish();
    config.say(&format!("{name} was seen for the first time and pinned. Compare, by voice:"));
    Ok(bundle.identity.fingerprint())
}

fn show(config: &Config, kind: &'static str, name: &UserName, fingerprint: Fingerprint) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        r#type: &'static str,
        name: &'a str,
        fingerprint: String,
    }
    output::line(&match config.json {
        true => json::line(&Shown { r#type: kind, name: name.as_str(), fingerprint: fingerprint.to_hex() }),
        false => format!("{name}  {}", fingerprint.grouped()),
    })
}
