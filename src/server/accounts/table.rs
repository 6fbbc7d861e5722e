//! All accounts in memory. Pure: what a record does to them, without files, threads or locks.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use super::record::{Damage, Former, Record};
use super::{Account, Invite, InviteHash, InviteState, Verifier};
use crate::limits::LINEAGE_MAX;
use crate::names::UserName;
use crate::wire::Fingerprint;

/// Accounts by name, in alphabetical order, and invites.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    accounts: BTreeMap<UserName, Arc<Account>>,
    invites: BTreeMap<InviteHash, Invite>,
}

impl Table {
    pub(super) fn find(&self, name: &UserName) -> Option<&Arc<Account>> {
        self.accounts.get(name)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values()
    }

    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn page(&self, after: Option<&UserName>, count: usize) -> Vec<Arc<Account>> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let accounts = self.accounts.range::<UserName, _>((begin, Bound::Unbounded));
        accounts.take(count).map(|(_, account)| Arc::clone(account)).collect()
    }

    /// What the name has from now on.
    pub(super) fn set(&mut self, name: UserName, account: Option<Arc<Account>>) {
        match account {
            Some(account) => self.accounts.insert(name, account),
            None => self.accounts.remove(&name),
        };
    }

    pub(super) fn find_invite(&self, hash: &InviteHash) -> Option<&Invite> {
        self.invites.get(hash)
    }

    pub(super) fn invites(&self) -> impl Iterator<Item = &Invite> {
        self.invites.values()
    }

    /// What the invite is from now on.
    pub(super) fn set_invite(&mut self, hash: InviteHash, invite: Option<Invite>) {
        match invite {
            Some(invite) => self.invites.insert(hash, invite),
            None => self.invites.remove(&hash),
        };
    }

    /// Forgets the invites that make no more accounts.
    pub(super) fn forget_spent_invites(&mut self, now_ms: u64) {
        self.invites.retain(|_, invite| invite.state(now_ms) == InviteState::Open);
    }

    /// Repeats a change from the file.
    pub(super) fn apply(&mut self, record: Record) -> Result<(), Damage> {
        match record {
            Record::Delete { name } => match self.accounts.remove(&name) {
                Some(_) => Ok(()),
                None => Err(Damage::Unknown { name }),
            },
            Record::Disable { name } => self.change(name, |account| account.disabled = true),
            Record::Enable { name } => self.change(name, |account| account.disabled = false),
            Record::Invite { code, created_ms, expires_run_ms, uses, used } => {
                self.add_invite(Invite { hash: code, created_ms, expires_run_ms, uses, used })
            }
            Record::Keys { name, bundle, handover } => {
                let account = self.accounts.get_mut(&name).ok_or_else(|| Damage::Unknown { name: name.clone() })?;
                let renewed = account.with_keys(bundle, handover).map_err(|why| Damage::Keys { name, why })?;
                *account = Arc::new(renewed);
                Ok(())
            }
            Record::Lineage { name, origin, former } => self.restore_lineage(name, Fingerprint(origin), former),
            Record::Password { name, salt, iterations, stored_key, server_key } => {
                self.change(name, |account| account.verifier = Verifier { salt, iterations, stored_key, server_key })
            }
            Record::Register { name, created_ms, joined, salt, iterations, stored_key, server_key, bundle, invite } => {
                let verifier = Verifier { salt, iterations, stored_key, server_key };
                let account = Account::new(bundle, verifier, created_ms).map_err(Damage::Bundle)?.joining(joined);
                self.use_invite(invite)?;
                self.add(name, account)
            }
            Record::Revoke { code } => match self.invites.remove(&code) {
                Some(_) => Ok(()),
                None => Err(Damage::UnknownInvite { id: code.id() }),
            },
        }
    }

    /// The fewest records that make this table.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let accounts = self.accounts.values().flat_map(|account| {
            let disable = account.disabled.then(|| Record::disable(account.name.clone(), true));
            std::iter::once(Record::register(account, None)).chain(Record::lineage(account)).chain(disable)
        });
        self.invites.values().map(Record::invite).chain(accounts)
    }

    fn add_invite(&mut self, invite: Invite) -> Result<(), Damage> {
        match self.invites.insert(invite.hash, invite) {
            Some(old) => Err(Damage::DuplicateInvite { id: old.hash.id() }),
            None => Ok(()),
        }
    }

    fn use_invite(&mut self, code: Option<InviteHash>) -> Result<(), Damage> {
        let Some(code) = code else { return Ok(()) };
        let invite = self.invites.get_mut(&code).ok_or_else(|| Damage::UnknownInvite { id: code.id() })?;
        if invite.used >= invite.uses {
            return Err(Damage::InviteUsed { id: code.id() });
        }
        invite.used += 1;
        Ok(())
    }

    fn restore_lineage(&mut self, name: UserName, origin: Fingerprint, former: Vec<Former>) -> Result<(), Damage> {
        let fits = |former: &Former| former.fits();
        let account = self.accounts.get_mut(&name).filter(|account| account.lineage.is_empty());
        match account {
            Some(account) if (1..=LINEAGE_MAX).contains(&former.len()) && former.iter().all(fits) => {
                let account = Arc::make_mut(account);
                account.origin = origin;
                account.lineage = former.into_iter().map(Into::into).collect();
                Ok(())
            }
            _ => Err(Damage::Lineage { name }),
        }
    }

    fn add(&mut self, name: UserName, account: Account) -> Result<(), Damage> {
        if account.name != name {
            return Err(Damage::OtherName { name, bundle: account.name });
        }
        match self.accounts.entry(name) {
            Entry::Occupied(found) => Err(Damage::Duplicate { name: found.key().clone() }),
            Entry::Vacant(free) => {
                free.insert(Arc::new(account));
                Ok(())
            }
        }
    }

    fn change(&mut self, name: UserName, change: impl FnOnce(&mut Account)) -> Result<(), Damage> {
        match self.accounts.get_mut(&name) {
            Some(account) => {
                change(Arc::make_mut(account));
                Ok(())
            }
            None => Err(Damage::Unknown { name }),
        }
    }
}
