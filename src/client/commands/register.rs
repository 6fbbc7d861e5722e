//! A new account: admission by the server, with an invite code where it wants one; keys on this machine; the name on the server.

use std::path::Path;

use serde::Serialize;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::keys::folder::{self, AccountKeys, KeyFolder};
use crate::client::keys::group_file;
use crate::client::keys::own_bundle;
use crate::client::keys::password::{self, Secret, Unbuffered, raw_line};
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::net::connect::connect;
use crate::client::net::request::Dialogue;
use crate::client::net::{restored, session};
use crate::client::state::archive::Earlier;
use crate::client::trust::servers;
use crate::client::ui::prompt::Terminal;
use crate::client::ui::{json, output, progress};
use crate::crypto::{bundle, scram};
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::limits::{INVITE_MAX, INVITE_TRIES};
use crate::names::UserName;
use crate::storage::private;
use crate::text::visible_path;
use crate::wire::to_client::{Admission, Reason};
use crate::wire::{Code, Prefers, ToClient, ToServer};

/// `topchat register NAME`.
pub(crate) fn command(config: &Config, name: &UserName, new: Kind, invite: Option<&Path>) -> Result<(), Error> {
    folder::check_size(new.bits)?;
    // A group key file that can't be used is better told now than at the first message.
    let group = group_file::read_if_there(config)?;
    let folder = KeyFolder::new(&config.users_dir(), name);
    folder.is_whole()?;
    // Before the password; from stdin behind it, which may come from there, too.
    let read = |path| invite_from_file(path).map(Some);
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
    let wanted = NewAccount { config, name, secret: &secret, new, terminal: terminal.as_ref() };
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

/// What a new account is like.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// The size of its RSA keys, where there are none.
    pub bits: u32,
    /// What others are to send to it.
    pub prefers: Prefers,
}

/// An account that is to be made.
#[derive(Clone, Copy)]
pub(crate) struct NewAccount<'a> {
    pub config: &'a Config,
    /// What it is to be called.
    pub name: &'a UserName,
    pub secret: &'a Secret,
    /// What it is to be like.
    pub new: Kind,
    /// Who is asked for another invite code, if the one at hand is refused.
    pub terminal: Option<&'a Terminal>,
}

/// An account that is on the server.
pub(crate) struct Made {
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
        let Self { config, secret, new: Kind { bits, .. }, terminal, .. } = *self;
        let folder = self.folder();
        let is_new = !folder.has_all();
        let keys = match is_new {
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
        let Self { config, name, secret, new, .. } = *self;
        let key_error = Error::key("identity.pem");
        let verifier = scram::verifier(secret.password()).map_err(|why| Error::Server(ServerError::Scram { why }))?;
        // Others refuse one that is older than what they have seen.
        let number = restored::known_bundle(&config.account_state(name))?;
        let bundle = own_bundle::first(name, keys, number, new.prefers).map_err(key_error)?.encode();
        let connected = connect(config)?;
        let server = connected.identity;
        let mut dialogue = Dialogue::new(connected.link, config.server.to_string());
        dialogue.asks(Asked::Register(name.clone()));
        let exporter = dialogue.link().exporter()?;
        let proof = bundle::prove(&keys.identity, &exporter, &bundle).map_err(key_error)?;
        dialogue.send(&ToServer::Register { bundle: bundle.clone(), verifier, invite: invite.to_owned(), proof })?;
        let before = match dialogue.next()? {
            ToClient::Registered => {
                self.folder().keep_bundle(&bundle)?;
                Before::Absent
            }
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

/// The invite code for a new account, if one is needed: the one given, else one that the person types, which the server finds
/// good. What the server would refuse in any case is refused here.
pub(crate) fn admit(
    config: &Config,
    name: &UserName,
    given: Option<String>,
    terminal: Option<&Terminal>,
) -> Result<Option<String>, Error> {
    let refused = |code| {
        let asked = Asked::Register(name.clone());
        Err(Error::Refused(Refusal { asked, reason: Reason::new(code) }))
    };
    with_invite(terminal, given, |invite| match session::patiently(config, || ask_policy(config, name, invite))? {
        Admission::Closed => refused(Code::RegistrationClosed),
        Admission::Invite if invite.is_empty() => refused(Code::InviteRefused),
        Admission::Invite | Admission::Open => Ok(Some(invite.to_owned()).filter(|invite| !invite.is_empty())),
    })
}

/// The connection ends behind the answer: whoever types now holds none open.
fn ask_policy(config: &Config, name: &UserName, invite: &str) -> Result<Admission, Error> {
    let mut dialogue = Dialogue::new(connect(config)?.link, config.server.to_string());
    dialogue.asks(Asked::Register(name.clone()));
    dialogue.send(&ToServer::AskPolicy { invite: invite.to_owned() })?;
    match dialogue.next()? {
        ToClient::Policy { admission } => {
            dialogue.link().finish();
            Ok(admission)
        }
        other => Err(dialogue.unexpected(other, "Policy")),
    }
}

/// The code in the first line of a file; `-` is stdin.
fn invite_from_file(path: &Path) -> Result<String, Error> {
    let shown = visible_path(path);
    let (line, from) = if path == Path::new("-") {
        (raw_line(&mut Unbuffered, INVITE_CODE)?, "stdin".to_owned())
    } else {
        (raw_line(&mut private::open_given(path)?.0, INVITE_CODE)?, shown)
    };
    let code = std::str::from_utf8(&line).ok().and_then(sendable);
    code.filter(|code| !code.is_empty()).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{from} holds no invite code"))
            .hint("the code belongs into its first line, as the server's owner gave it")
            .into()
    })
}

/// Tries with the code that was given, then asks for another as long as the server wants one and somebody is there.
fn with_invite<T>(
    terminal: Option<&Terminal>,
    given: Option<String>,
    attempt: impl Fn(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut code = given.unwrap_or_default();
    for _ in 0..INVITE_TRIES {
        let refused = match attempt(&code) {
            Err(Error::Refused(refusal)) if refusal.code() == Some(Code::InviteRefused) => refusal,
            result => return result,
        };
        let Some(terminal) = terminal else { return Err(Error::Refused(refused)) };
        terminal.say(if code.is_empty() { NEEDED } else { NOT_GOOD })?;
        code = ask_code(terminal)?;
    }
    attempt(&code)
}

fn ask_code(terminal: &Terminal) -> Result<String, Error> {
    loop {
        match sendable(&terminal.ask("invite code: ")?) {
            Some(code) if !code.is_empty() => return Ok(code),
            Some(_) => {}
            None => terminal.say(NOT_GOOD)?,
        }
    }
}

/// Only the server knows what a code looks like, but no code is longer than this or of other signs.
fn sendable(typed: &str) -> Option<String> {
    let code = typed.trim();
    let fits = code.len() <= INVITE_MAX && code.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    fits.then(|| code.to_owned())
}

const INVITE_CODE: &str = "the invite code";
const NEEDED: &str = "This server takes new accounts by invite: its owner gives out the codes.";
const NOT_GOOD: &str = "That invite code is unknown, used or too old.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_code_goes_to_the_server() {
        assert_eq!(sendable(" 7K3M-Q9XT \r\n").as_deref(), Some("7K3M-Q9XT"));
        assert_eq!(sendable("7k3m q9xt").as_deref(), Some("7k3m q9xt"));
        assert_eq!(sendable(&"7".repeat(INVITE_MAX + 1)), None);
        assert_eq!(sendable("7K3M\u{1b}[2J"), None);
        assert_eq!(sendable("sch\u{f6}n"), None);
    }

    #[test]
    fn a_file_without_a_code_is_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("code");
        for (content, code) in
            [(&b"7K3M-Q9XT\nmore"[..], Some("7K3M-Q9XT")), (b"", None), (b"\n7K3M", None), (b"\xff\n", None)]
        {
            std::fs::write(&path, content).unwrap();
            match invite_from_file(&path) {
                Ok(found) => assert_eq!(Some(found.as_str()), code),
                Err(error) => {
                    assert_eq!(code, None);
                    assert_eq!(error.to_string(), format!("{} holds no invite code", path.display()));
                }
            }
        }
    }
}
