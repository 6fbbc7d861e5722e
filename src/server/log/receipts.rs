//! What the sender of a message learns, and when. Pure: no outbox, no disk.
//!
//! The first answer waits until the message is kept: for the disk, if that was not waived. News wait until nobody who is
//! connected still has to acknowledge, so that they come merged; when somebody comes back later and acknowledges, there are more.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};

use super::memory::sequence_map::Ascending;
use crate::names::UserName;
use crate::wire::to_client::{Reason, State, ToClient};
use crate::wire::{Code, MessageId};

/// Whether a message is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// That is being tried.
    Trying,
    Yes,
    /// The disk refused it: it goes to those who are connected, from memory.
    No,
}

/// Sessions by whatever reaches them: a message was sent by one, unless it was sent again.
type Origins<O> = SmallVec<[O; 1]>;

/// One message and who has it. `O` is whatever its senders are reached by.
struct Receipt<O> {
    number: u64,
    /// Sessions that sent it and wait for the first answer; then those that want to hear more.
    origins: Origins<O>,
    sender: Arc<UserName>,
    to: Option<Arc<UserName>>,
    msg_id: MessageId,
    total: u32,
    reached: u32,
    /// Recipients who are connected and have not acknowledged.
    awaited: u32,
    kept: Kept,
}

/// Something that a message's sender is to be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told<O> {
    /// That of the message.
    pub(super) number: u64,
    pub(super) origins: Origins<O>,
    pub(super) sender: Arc<UserName>,
    pub(super) frame: ToClient,
    /// It is the first answer.
    pub(super) is_first: bool,
    /// Somebody who is connected has not acknowledged yet, so there will be more.
    pub(super) is_open: bool,
}

/// A message that is settled and was never kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    pub(super) number: u64,
    pub(super) to: Option<Arc<UserName>>,
    /// Not all of its recipients have it: the same id may be tried again.
    pub(super) is_open: bool,
}

/// What an event leads to.
#[derive(Debug)]
pub(super) struct Effects<O> {
    pub(super) told: Vec<Told<O>>,
    pub(super) lost: Vec<Lost>,
}

impl<O> Default for Effects<O> {
    fn default() -> Self {
        Self { told: Vec::new(), lost: Vec::new() }
    }
}

/// A message that was taken.
pub(super) struct Sent {
    pub(super) sender: Arc<UserName>,
    pub(super) to: Option<Arc<UserName>>,
    pub(super) msg_id: MessageId,
    pub(super) total: u32,
    /// Recipients who are connected.
    pub(super) awaited: u32,
}

/// Receipts of the latest messages.
pub(super) struct Receipts<O> {
    receipts: Ascending<Receipt<O>>,
    limit: usize,
}

impl<O: Clone> Receipts<O> {
    pub(super) fn new(limit: usize) -> Self {
        Self { receipts: Ascending::default(), limit }
    }

    /// A message was taken; its answer is to come.
    pub(super) fn begin(&mut self, number: u64, origin: O, sent: Sent) {
        self.insert(number, smallvec![origin], sent, Kept::Trying);
    }

    /// A message of an earlier run, of which its sender has not heard that it was delivered.
    pub(super) fn restore(&mut self, number: u64, sent: Sent) {
        self.insert(number, Origins::new(), sent, Kept::Yes);
    }

    /// The same message was sent again. False if nothing is known of it any more.
    pub(super) fn again(&mut self, number: u64, origin: O, effects: &mut Effects<O>) -> bool {
        let Some(receipt) = self.receipts.get_mut(number) else { return false };
        match receipt.kept {
            Kept::Trying | Kept::No => receipt.origins.push(origin),
            Kept::Yes => {
                receipt.origins = smallvec![origin];
                receipt.answer(effects);
            }
        }
        true
    }

    /// A message is on disk, or need not be. Its first answer is given once.
    pub(super) fn kept(&mut self, number: u64, effects: &mut Effects<O>) {
        if let Some(receipt) = self.receipts.get_mut(number).filter(|receipt| receipt.kept != Kept::Yes) {
            receipt.kept = Kept::Yes;
            receipt.answer(effects);
        }
        self.forget_complete(number);
    }

    /// A message could not be put on disk.
    pub(super) fn failed(&mut self, number: u64, effects: &mut Effects<O>) {
        if let Some(receipt) = self.receipts.get_mut(number) {
            receipt.kept = Kept::No;
        }
        self.settle(number, effects);
    }

    /// A recipient has a message. `is_awaited`: it was connected when the message came, and is since.
    pub(super) fn reached(&mut self, number: u64, is_awaited: bool, effects: &mut Effects<O>) {
        let Some(receipt) = self.receipts.get_mut(number) else { return };
        receipt.reached = (receipt.reached + 1).min(receipt.total);
        receipt.awaited = receipt.awaited.saturating_sub(is_awaited.into());
        if receipt.awaited == 0 {
            self.settle(number, effects);
        }
    }

    /// A recipient that was connected left without acknowledging.
    pub(super) fn left(&mut self, number: u64, effects: &mut Effects<O>) {
        if let Some(receipt) = self.receipts.get_mut(number) {
            receipt.awaited = receipt.awaited.saturating_sub(1);
        }
        self.settle(number, effects);
    }

    /// Nobody will have it any more. Its first answer, if that is still to come, comes all the same.
    pub(super) fn forget(&mut self, number: u64) {
        if self.receipts.get(number).is_some_and(|receipt| receipt.kept == Kept::Yes) {
            self.receipts.remove(number);
        }
    }

    fn insert(&mut self, number: u64, origins: Origins<O>, sent: Sent, kept: Kept) {
        let Sent { sender, to, msg_id, total, awaited } = sent;
        self.receipts.push(number, Receipt { number, origins, sender, to, msg_id, total, reached: 0, awaited, kept });
        while self.receipts.len() > self.limit {
            // One that waits for its answer stays: how many do is limited otherwise.
            match self.receipts.first() {
                Some((oldest, receipt)) if receipt.kept == Kept::Yes => drop(self.receipts.remove(oldest)),
                _ => break,
            }
        }
    }

    fn settle(&mut self, number: u64, effects: &mut Effects<O>) {
        let Some(receipt) = self.receipts.get_mut(number) else { return };
        if receipt.awaited > 0 {
            return;
        }
        match receipt.kept {
            Kept::Trying => {}
            Kept::Yes => {
                receipt.news(effects);
                self.forget_complete(number);
            }
            Kept::No => {
                if let Some(receipt) = self.receipts.remove(number) {
                    receipt.conclude(number, effects);
                }
            }
        }
    }

    fn forget_complete(&mut self, number: u64) {
        if self.receipts.get(number).is_some_and(|receipt| receipt.reached >= receipt.total) {
            self.receipts.remove(number);
        }
    }
}

impl<O: Clone> Receipt<O> {
    /// It is safe: accepted, or queued if nobody it is for is here. What is known beyond that follows at once.
    fn answer(&self, effects: &mut Effects<O>) {
        let is_away = self.total > 0 && self.awaited == 0 && self.reached == 0;
        self.tell(if is_away { State::Queued } else { State::Accepted }, 0, true, effects);
        if self.awaited == 0 && !is_away && self.total > 0 {
            self.news(effects);
        }
    }

    fn news(&self, effects: &mut Effects<O>) {
        let state = if self.reached > 0 { State::Delivered } else { State::Queued };
        self.tell(state, self.reached, false, effects);
    }

    /// It was never kept and nobody who is connected has to acknowledge any more.
    fn conclude(self, number: u64, effects: &mut Effects<O>) {
        match self.reached {
            reached if reached == self.total => {
                self.tell(State::Accepted, 0, true, effects);
                if self.total > 0 {
                    self.news(effects);
                }
            }
            0 => effects.told.push(Told {
                number,
                origins: self.origins.clone(),
                sender: Arc::clone(&self.sender),
                frame: ToClient::Refused { msg_id: self.msg_id, reason: Reason::new(Code::Storage) },
                is_first: true,
                is_open: false,
            }),
            reached => self.tell(State::Unconfirmed, reached, true, effects),
        }
        effects.lost.push(Lost { number, is_open: self.reached < self.total, to: self.to });
    }

    fn tell(&self, state: State, reached: u32, is_first: bool, effects: &mut Effects<O>) {
        let frame = ToClient::Status { msg_id: self.msg_id, state, reached, total: self.total };
        let (origins, sender) = (self.origins.clone(), Arc::clone(&self.sender));
        effects.told.push(Told { number: self.number, origins, sender, frame, is_first, is_open: self.awaited > 0 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId([7; 16]);

    fn sent(to: Option<&str>, total: u32, awaited: u32) -> Sent {
        let sender = Arc::new("alice".parse().unwrap());
        Sent { sender, to: to.map(|name| Arc::new(name.parse().unwrap())), msg_id: ID, total, awaited }
    }

    /// One message with number 1 from session 9, and what its sender hears.
    struct Scene {
        receipts: Receipts<u32>,
        effects: Effects<u32>,
    }

    impl Scene {
        fn new(to: Option<&str>, total: u32, awaited: u32) -> Self {
            let mut receipts = Receipts::new(10);
            receipts.begin(1, 9, sent(to, total, awaited));
            Self { receipts, effects: Effects::default() }
        }

        #[track_caller]
        fn hears(&mut self, expected: &[(State, u32)]) {
            let told = std::mem::take(&mut self.effects.told);
            let heard: Vec<_> = told
                .iter()
                .map(|told| match told.frame {
                    ToClient::Status { state, reached, .. } => (state, reached),
                    ref other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(heard, expected);
        }

        #[track_caller]
        fn is_refused(&mut self) {
            let reason = Reason::new(Code::Storage);
            let frames: Vec<_> = self.effects.told.drain(..).map(|told| told.frame).collect();
            assert_eq!(frames, [ToClient::Refused { msg_id: ID, reason }]);
        }

        fn kept(&mut self) {
            self.receipts.kept(1, &mut self.effects);
        }

        fn failed(&mut self) {
            self.receipts.failed(1, &mut self.effects);
        }

        fn reached(&mut self, is_awaited: bool) {
            self.receipts.reached(1, is_awaited, &mut self.effects);
        }

        fn left(&mut self) {
            self.receipts.left(1, &mut self.effects);
        }
    }

    #[test]
    fn nothing_is_told_before_the_disk_has_it() {
        let mut scene = Scene::new(Some("bob"), 1, 1);
        scene.reached(true);
        scene.hears(&[]);
        scene.kept();
        scene.hears(&[(State::Accepted, 0), (State::Delivered, 1)]);
    }

    #[test]
    fn someone_away_gets_it_queued_and_later_delivered() {
        let mut scene = Scene::new(Some("bob"), 1, 0);
        scene.kept();
        scene.hears(&[(State::Queued, 0)]);
        scene.reached(false);
        scene.hears(&[(State::Delivered, 1)]);
    }

    #[test]
    fn a_recipient_that_leaves_first_has_it_queued() {
        let mut scene = Scene::new(Some("bob"), 1, 1);
        scene.kept();
        scene.left();
        scene.hears(&[(State::Accepted, 0), (State::Queued, 0)]);
    }

    #[test]
    fn group_news_come_when_nobody_connected_is_outstanding_and_again_later() {
        let mut scene = Scene::new(None, 5, 3);
        scene.kept();
        scene.hears(&[(State::Accepted, 0)]);
        scene.reached(true);
        scene.left();
        scene.hears(&[]);
        scene.reached(true);
        scene.hears(&[(State::Delivered, 2)]);
        scene.reached(false);
        scene.hears(&[(State::Delivered, 3)]);
    }

    #[test]
    fn a_group_message_with_nobody_there_is_queued() {
        let mut scene = Scene::new(None, 5, 0);
        scene.kept();
        scene.hears(&[(State::Queued, 0)]);
        let mut alone = Scene::new(None, 0, 0);
        alone.kept();
        alone.hears(&[(State::Accepted, 0)]);
    }

    #[test]
    fn what_the_disk_refused_is_a_success_only_if_all_have_it() {
        let mut all_have_it = Scene::new(Some("bob"), 1, 1);
        all_have_it.failed();
        all_have_it.hears(&[]);
        all_have_it.reached(true);
        all_have_it.hears(&[(State::Accepted, 0), (State::Delivered, 1)]);

        let mut some_have_it = Scene::new(None, 3, 1);
        some_have_it.failed();
        some_have_it.reached(true);
        some_have_it.hears(&[(State::Unconfirmed, 1)]);
        assert_eq!(some_have_it.effects.lost, [Lost { number: 1, to: None, is_open: true }]);

        let mut nobody_is_there = Scene::new(Some("bob"), 1, 0);
        nobody_is_there.failed();
        nobody_is_there.is_refused();

        let mut it_left = Scene::new(Some("bob"), 1, 1);
        it_left.failed();
        it_left.left();
        it_left.is_refused();
    }

    #[test]
    fn a_resend_is_answered_as_before() {
        let mut scene = Scene::new(Some("bob"), 1, 1);
        assert!(scene.receipts.again(1, 10, &mut scene.effects));
        scene.kept();
        assert_eq!(scene.effects.told.iter().map(|told| told.origins.to_vec()).collect::<Vec<_>>(), [[9, 10]]);
        scene.effects.told.clear();
        assert!(scene.receipts.again(1, 11, &mut scene.effects));
        scene.hears(&[(State::Accepted, 0)]);
        scene.reached(true);
        assert_eq!(scene.effects.told[0].origins.as_slice(), [11]);
        scene.effects.told.clear();
        assert!(!scene.receipts.again(1, 12, &mut scene.effects), "it is complete and forgotten");
    }

    #[test]
    fn the_oldest_receipts_go_first_but_never_one_without_its_answer() {
        let mut receipts = Receipts::new(2);
        let mut effects = Effects::default();
        receipts.begin(1, 9, sent(None, 1, 0));
        receipts.kept(1, &mut effects);
        for number in 2..6 {
            receipts.begin(number, 9, sent(None, 1, 0));
        }
        assert!(!receipts.again(1, 9, &mut effects));
        assert!((2..6).all(|number| receipts.again(number, 9, &mut effects)));
    }
}
