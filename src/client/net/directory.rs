//! Who there is, and which keys they have.

use super::request::Ask;
use crate::client::error::Error;
use crate::client::error::cause::ProtocolError;
use crate::client::error::trust::TrustError;
use crate::client::model::pin::Found;
use crate::crypto::bundle::{self};
use crate::names::UserName;
use crate::text::nearest;
use crate::wire::to_client::Entry;
use crate::wire::to_server::Scope;
use crate::wire::{Code, ToClient, ToServer};

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

fn no_such_user(server: &mut impl Ask, name: &UserName) -> Error {
    // The suggestion is a courtesy: without the list there is none.
    let names = list(server, Scope::All).unwrap_or_default();
    let near = nearest(name.as_str(), names.iter().map(|entry| entry.name.as_str()));
    Error::NoSuchUser { name: name.clone(), nearest: near.and_then(|near| near.parse().ok()) }
}

#[cfg(test)]
pub(super) mod tests;
