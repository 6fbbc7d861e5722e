//! A new account: keys on this machine, the name on the server.

use std::path::Path;

use serde::Serialize;

use super::admission::admit;
use super::invite;
use super::invite::with_invite;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::account::AccountError;
use crate::client::error::server::ServerError;
use crate::client::keys::folder;
use crate::client::keys::folder::{AccountKeys, KeyFolder};
use crate::client::keys::group_file;
use crate::client::keys::password::{self, Secret};
use crate::client::model::refusal::Asked;
use crate::client::net::connect::connect;
use crate::client::net::request::Dialogue;
use crate::client::net::{restored, session};
use crate::client::state::archive::Earlier;
use crate::client::trust::servers;
use crate::client::ui::prompt::Terminal;
use crate::client::ui::{json, output, progress};
use crate::crypto::{bundle, scram};
use crate::hint::Hint;
use crate::names::UserName;
use crate::text::visible_path;
use crate::wire::{Code, ToClient, ToServer};

/// `topchat register NAME`.
pub(crate) fn command(config: &Config, name: &UserName, bits: u32, invite: Option<&Path>) -> Result<(), Error> {
    folder::check_size(bits)?;
    // A group key file that can't be used is better told now than at the first message.
    let group = group_file::read_if_there(config)?;
    let folder = KeyFolder::new(&config.users_dir(), name);
    folder.is_whole()?;
    // Before the password; from stdin behind it, which may come from there, too.
    let read = |path| invite::from_file(path).map(Some);
    let (from_stdin, from_file) = invite.map_or((None, None), |path| match path == Path::new("-") {
        true => (Some(path), None),
        false => (None, Some(path)),
    });
    let mut invite = from_file.map_or(Ok(None), read)?;
    let (given, terminal) = (password::given(config)?, Terminal::find(config));
    invite = from_stdin.map_or(Ok(invite), read)?;
    // With these keys the account may be there already, which needs no admission.
    match folder.has_all() {
        false => invite = admit(config, name, invite, terminal.as_ref())?,
        true if given.is_none() => connect(config)?.link.finish(),
        true => {}
    }
    let secret = match given {
        Some(secret) => secret,
        // Keys that are there already have a password already.
        None if folder.has_any() => password::get(config)?,
        None => password::get_new(config)?,
    };
    let wanted = NewAccount { config, name, secret: &secret, bits, terminal: terminal.as_ref() };
    let made = wanted.register(invite)?;
    let fingerprint = made.keys.identity.public().fingerprint();
    session::name_in_hints(config, Some(name));
    config.say(registered(config, name, made.before));
    config.say(session::own_fingerprint(fingerprint));
    config.say(session::group_line(config, group.as_ref()));
    config.say(Hint::from("next: ").topchat(&["login", name.as_str()]));
    if config.json {
        #[derive(Serialize)]
        struct Registered<'a> {
            r#type: &'static str,
            name: &'a str,
            fingerprint: String,
            /// It was there before.
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            already: bool,
        }
        let (name, already) = (name.as_str(), made.before == Before::There);
        let object = Registered { r#type: "registered", name, fingerprint: fingerprint.to_hex(), already };
        output::line(&json::line(&object))?;
    }
    Ok(())
}

/// An account that is to be made.
#[derive(Clone, Copy)]
pub(crate) struct NewAccount<'a> {
    /// Where, and how.
    pub config: &'a Config,
    /// What it is to be called.
    pub name: &'a UserName,
    /// Its password.
    pub secret: &'a Secret,
    /// The size of the keys, where there are none.
    pub bits: u32,
    /// Who is asked for another invite code, if the one at hand is refused.
    pub terminal: Option<&'a Terminal>,
}

/// An account that is on the server.
pub(crate) struct Made {
    /// Its keys.
    pub keys: AccountKeys,
    /// Whether it was there.
    pub before: Before,
}

/// What there was of an account before it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing on the server.
    Absent,
    /// The account, with the same keys: nothing was changed.
    There,
}

impl NewAccount<'_> {
    /// Makes what is missing and registers the name. With a new identity it is a new account, whatever one of that name
    /// knew before.
    pub(crate) fn register(&self, invite: Option<String>) -> Result<Made, Error> {
        let Self { config, name, .. } = self;
        let folder = self.folder();
        folder.is_whole()?;
        // Before there are keys: a crash must not leave them with what is not theirs.
        let earlier = if folder.exists() { None } else { Earlier::set_aside(&config.account_state(name))? };
        let result = self.make(invite);
        match earlier {
            Some(earlier) if folder.exists() => {
                let shown = visible_path(earlier.path());
                config.say(format!(
                    "contacts and messages of an earlier {name} on this machine are set aside in {shown}"
                ));
            }
            Some(earlier) => earlier.put_back()?,
            None => {}
        }
        result
    }

    /// When the request goes out, the keys are on disk; asked again with the same keys, the server has nothing against it,
    /// so a lost answer locks nobody out.
    fn make(&self, invite: Option<String>) -> Result<Made, Error> {
        let Self { config, secret, bits, terminal, .. } = *self;
        let folder = self.folder();
        let new = !folder.has_all();
        let keys = match new {
            true => progress::show(config, &format!("making your keys (two of RSA {bits})"), || {
                folder.load_or_make(secret, bits)
            })?,
            false => folder.load_or_make(secret, bits)?,
        };
        let result = with_invite(terminal, invite, |invite| session::patiently(config, || self.request(&keys, invite)));
        if let Err(Error::Refused(refusal)) = &result
            && refusal.code() == Some(Code::NameTaken)
        {
            // Keys that belong to no account would only be in the way of the right ones.
            folder.remove_made(&keys)?;
        }
        result.map(|before| Made { keys, before })
    }

    fn request(&self, keys: &AccountKeys, invite: &str) -> Result<Before, Error> {
        let Self { config, name, secret, .. } = *self;
        let key_error = |why| Error::Account(AccountError::Key { path: "identity.pem".into(), why });
        let verifier = scram::verifier(secret.password()).map_err(|why| Error::Server(ServerError::Scram { why }))?;
        // Others refuse one that is older than what they have seen.
        let number = restored::known_bundle(&config.account_state(name))?;
        let bundle = bundle::make(name, &keys.identity, keys.encryption.public(), number).map_err(key_error)?.encode();
        let connected = connect(config)?;
        let server = connected.identity;
        let mut dialogue = Dialogue::new(connected.link, config.server.to_string());
        dialogue.asks(Asked::Register(name.clone()));
        let exporter = dialogue.link().exporter()?;
        let proof = bundle::prove(&keys.identity, &exporter, &bundle).map_err(key_error)?;
        dialogue.send(&ToServer::Register { bundle, verifier, invite: invite.to_owned(), proof })?;
        let before = match dialogue.next()? {
            ToClient::Registered => Before::Absent,
            ToClient::RegisteredBefore => Before::There,
            other => return Err(dialogue.unexpected(other, "Registered")),
        };
        dialogue.link().finish();
        servers::belongs(config, name, server)?;
        Ok(before)
    }

    fn folder(&self) -> KeyFolder {
        KeyFolder::new(&self.config.users_dir(), self.name)
    }
}

/// What a person reads after it.
pub(crate) fn registered(config: &Config, name: &UserName, before: Before) -> String {
    let folder = KeyFolder::new(&config.users_dir(), name);
    let shown = visible_path(folder.path());
    match before {
        Before::Absent => format!("registered {name}.   keys in {shown}, locked with your password"),
        Before::There => format!(
            "{name} was registered on {} already, with the keys in {shown}. Nothing was changed there, its password included",
            config.server
        ),
    }
}
