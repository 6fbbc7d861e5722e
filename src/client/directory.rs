//! Who there is, and which keys they have.

use super::Error;
use super::cause::ProtocolError;
use super::contacts::Contacts;
use super::dialogue::Ask;
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::limits::FINGERPRINT_DIGITS_MIN;
use crate::names::UserName;
use crate::text::nearest;
use crate::wire::to_client::Entry;
use crate::wire::to_server::Scope;
use crate::wire::{Code, Fingerprint, ToClient, ToServer};

/// The keys of `name`, checked, whatever is pinned.
pub fn look_up(server: &mut impl Ask, name: &UserName) -> Result<VerifiedBundle, Error> {
    let question = |request| ToServer::Lookup { request, name: name.clone(), fingerprint: None };
    let bytes = match server.ask(&question) {
        Ok(ToClient::Found { bundle, .. }) => bundle,
        Ok(other) => return Err(ProtocolError::Unexpected { found: other.field(), expected: "Found" }.into()),
        Err(Error::Refused(refusal)) if refusal.code() == Some(Code::NoSuchUser) => {
            return Err(no_such_user(server, name));
        }
        Err(error) => return Err(error),
    };
    let bundle = bundle::verify(&bytes).map_err(|why| Error::Bundle { name: name.clone(), why })?;
    match bundle.name == *name {
        true => Ok(bundle),
        false => Err(Error::BundleOfAnother { name: name.clone() }),
    }
}

/// The keys of `name`, if its identity is the pinned one or is seen for the first time.
pub fn contact(server: &mut impl Ask, contacts: &Contacts, name: &UserName) -> Result<VerifiedBundle, Error> {
    let bundle = look_up(server, name)?;
    contacts.check(&bundle)?;
    Ok(bundle)
}

/// All accounts, or those who are here now, in alphabetical order.
pub fn list(server: &mut impl Ask, scope: Scope) -> Result<Vec<Entry>, Error> {
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

/// Pins the key that `name` has now in place of the one before, if `typed` is its fingerprint or the beginning of it.
pub fn trust(server: &mut impl Ask, contacts: &Contacts, name: &UserName, typed: &str) -> Result<Fingerprint, Error> {
    let digits = digits(typed).ok_or_else(|| Error::Fingerprint { text: typed.to_owned() })?;
    let bundle = look_up(server, name)?;
    let now = bundle.identity.fingerprint();
    if !now.to_hex().starts_with(&digits) {
        return Err(Error::TrustMismatch { name: name.clone(), now });
    }
    contacts.trust(&bundle)?;
    Ok(now)
}

fn no_such_user(server: &mut impl Ask, name: &UserName) -> Error {
    // The suggestion is a courtesy: without the list there is none.
    let names = list(server, Scope::All).unwrap_or_default();
    let near = nearest(name.as_str(), names.iter().map(|entry| entry.name.as_str()));
    Error::NoSuchUser { name: name.clone(), nearest: near.and_then(|near| near.parse().ok()) }
}

/// The hex digits of a fingerprint or of its beginning, in lower case; enough of them that nobody finds another key
/// with the same ones.
fn digits(typed: &str) -> Option<String> {
    let text = typed.trim();
    let text = text.strip_prefix("SHA256:").unwrap_or(text);
    let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).map(|c| c.to_ascii_lowercase()).collect();
    let hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    (hex && (FINGERPRINT_DIGITS_MIN..=64).contains(&digits.len())).then_some(digits)
}

#[cfg(test)]
#[path = "directory_tests.rs"]
mod tests;
