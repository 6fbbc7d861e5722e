//! The Directory API: key bundles and names.

use super::Session;
use crate::limits::PAGE_NAMES;
use crate::names::UserName;
use crate::server::accounts::{Ledger, Unavailable};
use crate::wire::to_client::{Entry, Reason};
use crate::wire::to_server::Scope;
use crate::wire::{Code, Fingerprint, ToClient};

impl Session<'_> {
    /// `Lookup`: the bundle of an account with its lineage, or only if that has this identity key.
    pub(crate) fn lookup(&mut self, request: u32, name: &UserName, fingerprint: Option<Fingerprint>) {
        let answer = match self.shared.accounts.find(name) {
            Err(Unavailable) => Err(Code::Storage),
            Ok(None) => Err(Code::NoSuchUser),
            Ok(Some(account)) if fingerprint.is_some_and(|wanted| !account.is_known_by(wanted)) => Err(Code::NoSuchKey),
            Ok(Some(account)) => Ok((account.bundle().to_vec(), account.lineage().to_vec())),
        };
        match answer {
            Ok((bundle, lineage)) => self.reply(&ToClient::Found { request, bundle, lineage }),
            Err(code) => self.refuse(request, Reason::new(code)),
        }
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
