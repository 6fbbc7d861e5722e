//! Who there is, and which keys they have.

use super::request::Ask;
use crate::client::error::Error;
use crate::client::error::cause::ProtocolError;
use crate::client::error::trust::TrustError;
use crate::client::model::event::Notice;
use crate::client::model::pin::{Found, Met};
use crate::client::trust::contacts::Contacts;
use crate::client::trust::pins::Choice;
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::limits::FINGERPRINT_DIGITS_MIN;
use crate::names::UserName;
use crate::text::nearest;
use crate::wire::to_client::Entry;
use crate::wire::to_server::Scope;
use crate::wire::{Code, Fingerprint, ToClient, ToServer};

/// The keys of a contact that may be written to.
pub(crate) struct Contacted {
    /// The keys.
    pub bundle: VerifiedBundle,
    /// What the person is to be told, if there is anything.
    pub notice: Option<Notice>,
}

/// The keys of `name`, checked, whatever is pinned.
pub(crate) fn look_up(server: &mut impl Ask, name: &UserName) -> Result<Found, Error> {
    let question = |request| ToServer::Lookup { request, name: name.clone(), fingerprint: None };
    let (bytes, lineage) = match server.ask(&question) {
        Ok(ToClient::Found { bundle, lineage, .. }) => (bundle, lineage),
        Ok(other) => return Err(ProtocolError::Unexpected { found: other.field(), expected: "Found" }.into()),
        Err(Error::Refused(refusal)) if refusal.code() == Some(Code::NoSuchUser) => {
            return Err(no_such_user(server, name));
        }
        Err(error) => return Err(error),
    };
    let bundle = bundle::verify(&bytes).map_err(|why| Error::Trust(TrustError::Bundle { name: name.clone(), why }))?;
    match bundle.name == *name {
        true => Ok(Found { bundle, lineage }),
        false => Err(Error::Trust(TrustError::BundleOfAnother { name: name.clone() })),
    }
}

/// The keys of `name`, if its identity is the pinned one, one that it has handed over to, or seen for the first time.
pub(crate) fn contact(server: &mut impl Ask, contacts: &Contacts, name: &UserName) -> Result<Contacted, Error> {
    let found = look_up(server, name)?;
    let met = contacts.check(&found)?;
    Ok(Contacted { notice: told(met, &found), bundle: found.bundle })
}

/// The keys that `name` has now, to be compared by the person, whatever is pinned. A change that shows is recorded: it stays
/// open if the person says no.
pub(crate) fn to_compare(server: &mut impl Ask, contacts: &Contacts, name: &UserName) -> Result<Contacted, Error> {
    let found = look_up(server, name)?;
    let notice = match contacts.meet(&found) {
        Ok(met) => told(met, &found),
        Err(Error::Trust(TrustError::NotPinned { .. })) => None,
        Err(error) => return Err(error),
    };
    Ok(Contacted { bundle: found.bundle, notice })
}

fn told(met: Met, found: &Found) -> Option<Notice> {
    let bundle = &found.bundle;
    match met {
        Met::Moved => Some(Notice::NewKeys { name: bundle.name.clone(), now: bundle.identity.fingerprint() }),
        Met::Changed(change) => Some(Notice::KeyChanged(change)),
        Met::First | Met::Stays => None,
    }
}

/// All accounts, or those who are here now, in alphabetical order.
pub(crate) fn list(server: &mut impl Ask, scope: Scope) -> Result<Vec<Entry>, Error> {
    let mut names: Vec<Entry> = Vec::new();
    loop {
        let after = names.last().map(|entry| entry.name.clone());
        let question = |request| ToServer::List { request, scope, after: after.clone() };
        let (entries, more) = match server.ask(&question)? {
            ToClient::Page { entries, more, .. } => (entries, more),
            other => return Err(ProtocolError::Unexpected { found: other.field(), expected: "Page" }.into()),
        };
        // A page that does not go on would be asked for again for ever.
        let goes_on = entries.first().is_some_and(|first| after.is_none_or(|after| first.name > after));
        names.extend(entries);
        if !more || !goes_on || names.len() >= crate::limits::ACCOUNTS_MAX {
            return Ok(names);
        }
    }
}

/// How the person names the key that they trust.
#[derive(Clone, Debug)]
pub(crate) enum Meant {
    /// By its fingerprint or the beginning of it.
    Digits(String),
    /// As the changed key of which they were shown the fingerprint, if they were shown any.
    Shown(Option<Fingerprint>),
}

impl Meant {
    /// By the digits that they typed.
    pub(crate) fn typed(digits: &str) -> Result<Self, Error> {
        self::digits(digits, FINGERPRINT_DIGITS_MIN).map(Self::Digits)
    }
}

/// Pins the key that `name` has now in place of the one before, if it is the one that the person means. Without its digits,
/// that is the changed key only as long as it is the one that was shown to them: others may have come since, in any process.
pub(crate) fn trust(
    server: &mut impl Ask,
    contacts: &Contacts,
    name: &UserName,
    meant: Meant,
) -> Result<Fingerprint, Error> {
    let (told, choice) = match meant {
        Meant::Digits(digits) => (Told::Digits(digits), Choice::Named),
        Meant::Shown(shown) => (Told::Key(changed_as_shown(contacts, name, shown)?), Choice::Trusted),
    };
    let bundle = look_up(server, name)?.bundle;
    let now = bundle.identity.fingerprint();
    match told {
        Told::Digits(digits) => compare(name, now, &digits)?,
        Told::Key(told) if told == now => {}
        Told::Key(told) => return Err(Error::Trust(TrustError::Gone { name: name.clone(), told, now })),
    }
    contacts.choose(&bundle, choice)?;
    Ok(now)
}

fn changed_as_shown(contacts: &Contacts, name: &UserName, shown: Option<Fingerprint>) -> Result<Fingerprint, Error> {
    let change = contacts.pinned(name)?.and_then(|pin| pin.change(name));
    let change = change.ok_or_else(|| Error::Trust(TrustError::NotChanged { name: name.clone() }))?;
    match shown == Some(change.now) {
        true => Ok(change.now),
        false => Err(Error::Trust(TrustError::NotShown(Box::new(change)))),
    }
}

enum Told {
    Digits(String),
    Key(Fingerprint),
}

/// An error unless the key's fingerprint begins with these digits.
pub(crate) fn compare(name: &UserName, now: Fingerprint, digits: &str) -> Result<(), Error> {
    match now.to_hex().starts_with(digits) {
        true => Ok(()),
        false => Err(Error::Trust(TrustError::Mismatch { name: name.clone(), now })),
    }
}

fn no_such_user(server: &mut impl Ask, name: &UserName) -> Error {
    // The suggestion is a courtesy: without the list there is none.
    let names = list(server, Scope::All).unwrap_or_default();
    let near = nearest(name.as_str(), names.iter().map(|entry| entry.name.as_str()));
    Error::NoSuchUser { name: name.clone(), nearest: near.and_then(|near| near.parse().ok()) }
}

/// The hex digits of a fingerprint or of its beginning, in lower case; enough of them that nobody finds another key
/// with the same ones.
pub(crate) fn digits(typed: &str, least: usize) -> Result<String, Error> {
    let text = typed.trim();
    let text = text.strip_prefix("SHA256:").unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).map(|c| c.to_ascii_lowercase()).collect();
    let hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    match hex && (least..=64).contains(&digits.len()) {
        true => Ok(digits),
        false => Err(Error::Trust(TrustError::Fingerprint { least, text: typed.to_owned() })),
    }
}

#[cfg(test)]
mod tests;
