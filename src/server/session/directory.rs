//! The Directory API: key bundles and names.

use super::Session;
use crate::limits::PAGE_NAMES;
use crate::names::UserName;
use crate::wire::to_client::{Entry, Reason};
use crate::wire::to_server::Scope;
use crate::wire::{Code, Fingerprint, ToClient};

impl Session<'_> {
    /// `Lookup`: the bundle of an account with its lineage, or only if that has this identity key.
    pub(crate) fn lookup(&mut self, request: u32, name: &UserName, fingerprint: Option<Fingerprint>) {
        let answer = match self.shared.accounts.find(name) {
            None => Err(Code::NoSuchUser),
            Some(account) if fingerprint.is_some_and(|wanted| !account.is_known_by(wanted)) => Err(Code::NoSuchKey),
            Some(account) => Ok((account.bundle().to_vec(), account.lineage().to_vec())),
        };
        match answer {
            Ok((bundle, lineage)) => self.reply(&ToClient::Found { request, bundle, lineage }),
            Err(code) => self.refuse(request, Reason::new(code)),
        }
    }

    /// `List`: one page of names, alphabetically.
    pub(crate) fn list(&mut self, request: u32, scope: Scope, after: Option<&UserName>) {
        let wanted = PAGE_NAMES + 1;
        let mut names = match scope {
            Scope::All => self.shared.accounts.page(after, wanted),
            Scope::Online => self.shared.hub().online(after, wanted),
        };
        let more = names.len() == wanted;
        names.truncate(PAGE_NAMES);
        let hub = self.shared.hub();
        let entries = names.into_iter().map(|name| Entry { online: hub.is_online(&name), name }).collect();
        drop(hub);
        self.reply(&ToClient::Page { request, more, entries });
    }
}
