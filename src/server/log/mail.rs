//! The seam between sessions and what keeps their messages. The log over files implements it ([`Log`](super::Log)).

use std::sync::Arc;

use super::batch::Submissions;
use super::recipients::Handle;
use crate::names::UserName;
use crate::server::accounts::Account;
use crate::wire::{Code, MessageId};

/// What waits for whom.
pub(crate) trait Mail: Send + Sync {
    /// What a session is reached by.
    type Handle: Handle;
    /// A receiving session's place in its account's mailbox.
    type Attachment: Send;

    /// Takes messages of one session, and what it acknowledged, up to a message: one step for both, and whoever hears of both is
    /// woken once. Answers come by `origin`, when the messages are as safe as was asked for, but refusals come from here. A message
    /// that came before is answered again and never delivered twice.
    fn settle(
        &self,
        messages: &mut Submissions,
        acknowledged: Option<(&Self::Attachment, u64)>,
        origin: &Arc<Self::Handle>,
    ) -> Vec<(MessageId, Code)>;

    /// Lets a session get its account's messages, in place of an older one.
    fn attach(&self, account: &Account, handle: &Arc<Self::Handle>) -> Self::Attachment;

    /// The last message that the account had acknowledged before that, 0 if there is none.
    fn acknowledged_before(&self, attachment: &Self::Attachment) -> u64;

    /// Adds the next deliveries, in order and without their ids, at most `room` and about
    /// [`WRITE_BATCH`](crate::limits::WRITE_BATCH) bytes; before them, how many messages the session will not get any more.
    fn take(&self, attachment: &mut Self::Attachment, room: usize, frames: &mut Vec<u8>) -> Result<Taken, Unreadable>;

    /// The session gets no more messages; it may have acknowledged some since it was last settled.
    fn detach(&self, attachment: &Self::Attachment, acknowledged: Option<u64>);

    /// Number of the last message that is safe: no crash takes it back, but an older copy of the data does.
    fn kept(&self) -> u64;

    /// Where a new account begins, which has no mailbox yet.
    fn next_start(&self) -> u64;

    /// A new account: it gets what comes behind its start.
    fn join(&self, account: &Account);

    /// An account is gone, and with it what waits for it.
    fn remove(&self, account: &Account);

    /// An account is closed, or open again: while it is closed it is none of those who get group messages.
    fn set_disabled(&self, name: &UserName, disabled: bool);

    /// How many direct messages were not acknowledged, and how many group messages are kept.
    fn waiting(&self) -> (usize, usize);

    /// How many messages this account has not acknowledged.
    fn waiting_for(&self, name: &UserName) -> usize;
}

/// Messages that a session was given.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// By which they are acknowledged, ascending.
    pub(crate) numbers: Vec<u64>,
    /// There is nothing more for now.
    pub(crate) are_all: bool,
}

/// A message can't be read; the log says which.
#[derive(Debug)]
pub(crate) struct Unreadable;
