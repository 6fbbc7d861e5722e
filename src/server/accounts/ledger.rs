//! The seam between the server and what keeps accounts and invites. The file database implements it ([`Accounts`](super::Accounts)).

use std::sync::Arc;

use super::{Account, ChangeError, Invite, InviteHash, InviteState, Outcome};
use crate::limits::PAGE_NAMES;
use crate::names::UserName;
use crate::wire::Verifier;

/// Accounts and invites. What one thread was answered, all find from then on.
pub trait Ledger: Send + Sync {
    /// How long the server has run, in milliseconds: invites expire by that.
    fn run_ms(&self) -> u64;

    /// The account of this name.
    fn find(&self, name: &UserName) -> Result<Option<Arc<Account>>, Unavailable>;

    /// At most `count` accounts in alphabetical order, those after `after`, or from the first.
    fn page(&self, after: Option<&UserName>, count: usize) -> Result<Vec<Arc<Account>>, Unavailable>;

    /// All invites that are not forgotten yet, the oldest first.
    fn invites(&self) -> Result<Vec<Invite>, Unavailable>;

    /// The invite of this code.
    fn find_invite(&self, hash: InviteHash) -> Result<Option<Invite>, Unavailable>;

    /// How many there are.
    fn figures(&self) -> Result<Figures, Unavailable>;

    /// Makes a change: whole, durable when this returns, and as if no other was made meanwhile. It may be repeated if its outcome is
    /// not known.
    fn change(&self, change: Change) -> Result<Outcome, ChangeError>;

    /// All accounts in alphabetical order, page by page, so that never all are in memory for it. An error is the last item that counts.
    fn every(&self) -> impl Iterator<Item = Result<Arc<Account>, Unavailable>>
    where
        Self: Sized,
    {
        let (mut page, mut last) = (Vec::new().into_iter(), None);
        std::iter::from_fn(move || {
            if page.len() == 0 {
                match self.page(last.as_ref(), PAGE_NAMES) {
                    Ok(next) => page = next.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
            }
            let account: Arc<Account> = page.next()?;
            last = Some(account.name().clone());
            Some(Ok(account))
        })
    }

    /// Whether an invite makes an account now.
    fn admits(&self, code: InviteHash) -> Result<bool, Unavailable> {
        let is_open = |invite: Invite| invite.state(self.run_ms()) == InviteState::Open;
        Ok(self.find_invite(code)?.is_some_and(is_open))
    }

    /// Adds an account.
    ///
    /// [`Outcome::Unchanged`] if that name has the same two keys already: a registration whose answer was lost
    /// may be repeated. The password verifier stays the first one then, because whoever holds the identity key
    /// alone must not be able to set a new password. Any other keys make it [`ChangeError::NameTaken`].
    fn register(&self, account: Account) -> Result<Outcome, ChangeError> {
        self.change(Change::Register(account))
    }

    /// The same where an invite is needed, which counts as used from then on: invite and account are one change, so of
    /// two who come with the same last use one gets an account.
    ///
    /// Whoever has the account already needs none: their invite may have been used when the answer was lost.
    fn register_by_invite(&self, account: Account, code: Option<InviteHash>) -> Result<Outcome, ChangeError> {
        self.change(Change::RegisterByInvite(account, code))
    }

    /// Adds an invite.
    fn add_invite(&self, invite: Invite) -> Result<Outcome, ChangeError> {
        self.change(Change::AddInvite(invite))
    }

    /// Takes an invite back; accounts that it made stay.
    fn revoke(&self, invite: InviteHash) -> Result<Outcome, ChangeError> {
        self.change(Change::Revoke(invite))
    }

    /// Sets a new password.
    ///
    /// [`ChangeError::NoSuchUser`] if the account is gone, even if its name has a new owner by now.
    fn set_verifier(&self, owner: &Account, verifier: Verifier) -> Result<Outcome, ChangeError> {
        self.change(Change::SetVerifier(owner.clone(), verifier))
    }

    /// Gives an account the keys of a newer bundle, whose signatures hold.
    ///
    /// [`Outcome::Unchanged`] if it has them already under that number: a change whose answer was lost may be repeated.
    /// [`ChangeError::Stale`] if the bundle is older, or the handover does not fit.
    fn set_keys(&self, owner: &Account, bundle: Vec<u8>, handover: Vec<u8>) -> Result<Outcome, ChangeError> {
        self.change(Change::SetKeys { owner: owner.clone(), bundle, handover })
    }

    /// Closes an account, or opens it again.
    fn set_disabled(&self, owner: &Account, disabled: bool) -> Result<Outcome, ChangeError> {
        self.change(Change::SetDisabled(owner.clone(), disabled))
    }

    /// Deletes an account; its name is free again.
    fn delete(&self, owner: &Account) -> Result<Outcome, ChangeError> {
        self.change(Change::Delete(owner.clone()))
    }
}

/// How many accounts and invites there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Accounts, disabled ones included.
    pub accounts: usize,
    pub disabled: usize,
    /// Invites that are good.
    pub invites: usize,
}

/// What keeps the accounts is away; later it may be back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the accounts can't be looked up now")]
pub struct Unavailable;

/// What somebody wants changed. Where an account is given, it must still be there, with the same identity.
#[derive(Debug)]
pub enum Change {
    /// An invite is added.
    AddInvite(Invite),
    /// The account goes; its name is free again.
    Delete(Account),
    /// An account is added.
    Register(Account),
    /// The same where an invite is needed, which counts as used from then on.
    RegisterByInvite(Account, Option<InviteHash>),
    /// An invite goes; accounts that it made stay.
    Revoke(InviteHash),
    /// The account is closed, or opened again.
    SetDisabled(Account, bool),
    /// The account has the keys of a newer bundle, whose signatures hold.
    SetKeys {
        owner: Account,
        bundle: Vec<u8>,
        /// The old identity's signature that names the new one, and empty if the identity stays.
        handover: Vec<u8>,
    },
    /// The account has a new password.
    SetVerifier(Account, Verifier),
}
