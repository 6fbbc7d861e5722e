//! The Directory API: key bundles and names.

use super::Session;
use crate::limits::PAGE_NAMES;
use crate::names::UserName;
use crate::server::accounts::{Ledger, Unavailable};
use crate::wire::to_client::{Entry, Reason};
use crate::wire::to_server::Scope;
use crate::wire::{Code, Fingerprint, ToClient};

/// The answer to `Lookup`.
pub(crate) fn found(
    accounts: &impl Ledger,
    request: u32,
    name: &UserName,
    fingerprint: Option<Fingerprint>,
) -> ToClient {
    let code = match accounts.find(name) {
        Ok(Some(account)) if fingerprint.is_none_or(|wanted| account.is_known_by(wanted)) => {
            return ToClient::Found { request, bundle: account.bundle().to_vec(), lineage: account.lineage().to_vec() };
        }
        Ok(Some(_)) => Code::NoSuchKey,
        Ok(None) => Code::NoSuchUser,
        Err(Unavailable) => Code::Storage,
    };
    ToClient::Error { request, reason: Reason::new(code) }
}

impl Session<'_> {
    /// `Lookup`: the bundle of an account with its lineage, or only if that has this identity key.
    pub(crate) fn lookup(&mut self, request: u32, name: &UserName, fingerprint: Option<Fingerprint>) {
        self.reply(&found(&self.shared.accounts, request, name, fingerprint));
    }

    /// `List`: one page of names, alphabetically.
    pub(crate) fn list(&mut self, request: u32, scope: Scope, after: Option<&UserName>) {
        let wanted = PAGE_NAMES + 1;
        let names = match scope {
            Scope::All => {
                let page = self.shared.accounts.page(after, wanted);
                page.map(|accounts| accounts.iter().map(|account| account.name().clone()).collect())
            }
            Scope::Online => Ok(self.shared.hub().online(after, wanted)),
        };
        let Ok(mut names): Result<Vec<_>, _> = names else {
            return self.refuse(request, Reason::new(Code::Storage));
        };
        let more = names.len() == wanted;
        names.truncate(PAGE_NAMES);
        let hub = self.shared.hub();
        let entries = names.into_iter().map(|name| Entry { online: hub.is_online(&name), name }).collect();
        drop(hub);
        self.reply(&ToClient::Page { request, more, entries });
    }
}
