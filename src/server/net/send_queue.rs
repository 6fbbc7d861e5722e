//! What waits to go to one client: filled by any thread, drained by the client's own, or while that sleeps by whoever fills it.
//!
//! Answers, news of its messages, and that there are messages for it in the log.

use std::io;
use std::sync::{Mutex, MutexGuard};

use super::line::Line;
use crate::limits::{OUTBOX_FRAMES, OUTBOX_KEPT, SENDS_FOR_OWNER, SENDS_UNANSWERED};
use crate::server::log::{Handle, MustWake, Saying};
use crate::sync::lock;
use crate::transport::Wakeup;
use crate::wire::Code;

/// A client's queue.
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    wakeup: Wakeup,
    /// What it goes out by, while the owner sleeps.
    parked: Mutex<Option<Box<Line>>>,
}

#[derive(Default)]
struct Queue {
    /// Frames, one behind the other, and how many.
    waiting: Vec<u8>,
    frames: usize,
    /// There is more among them than [`Saying::Accepted`].
    is_pressing: bool,
    /// Messages of this client whose answer is to come.
    unanswered: usize,
    /// There may be messages for it.
    has_mail: bool,
    closing: Option<Code>,
    sleep: Sleep,
}

/// What the owner waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// It is busy and will look here by itself.
    #[default]
    Awake,
    /// For its socket to take bytes: new frames don't interest it now.
    Blocked,
    Idle,
    /// For anything that is pressing, or for an alarm: it has something that may go out with the next.
    Lingering,
}

impl Outbox {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { queue: Mutex::default(), wakeup: Wakeup::new()?, parked: Mutex::default() })
    }

    /// Whether mail was announced since the last call.
    pub(crate) fn take_mail(&self) -> bool {
        std::mem::take(&mut self.lock().has_mail)
    }

    /// Whether the client's next frame may be taken: not if too many of its messages wait for their answer, `more` that
    /// are not announced yet included, and not behind the moment from which it counts as gone.
    pub(crate) fn may_take(&self, more: usize) -> bool {
        let queue = self.lock();
        queue.closing.is_none() && queue.unanswered + more < SENDS_UNANSWERED
    }

    /// Asks the owner to send what waits, say why, and end. The first reason counts.
    pub(crate) fn close(&self, why: Code) {
        let mut queue = self.lock();
        queue.closing.get_or_insert(why);
        let must_wake = queue.rouse(&[Sleep::Blocked, Sleep::Idle, Sleep::Lingering]);
        drop(queue);
        if must_wake.0 {
            self.wake();
        }
    }

    /// Moves all that waits to `frames`.
    pub(crate) fn take(&self, frames: &mut Vec<u8>) {
        let mut queue = self.lock();
        frames.extend_from_slice(&queue.waiting);
        queue.frames = 0;
        queue.is_pressing = false;
        match queue.waiting.capacity() > OUTBOX_KEPT {
            true => queue.waiting = Vec::new(),
            false => queue.waiting.clear(),
        }
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    /// Whether what waits may wait for more.
    pub(crate) fn may_linger(&self) -> bool {
        let queue = self.lock();
        !queue.waiting.is_empty() && !queue.is_urgent()
    }

    /// Why the owner should end, if it should.
    pub(crate) fn closing(&self) -> Option<Code> {
        self.lock().closing
    }

    /// Announces what the owner is about to wait for. False if there is something to do first.
    pub(crate) fn fall_asleep(&self, sleep: Sleep) -> bool {
        let mut queue = self.lock();
        let nothing_to_do = match sleep {
            Sleep::Awake => false,
            Sleep::Blocked => true,
            Sleep::Idle => queue.waiting.is_empty() && !queue.has_mail,
            Sleep::Lingering => !queue.is_urgent(),
        };
        let may_sleep = nothing_to_do && queue.closing.is_none();
        queue.sleep = if may_sleep { sleep } else { Sleep::Awake };
        may_sleep
    }

    /// The owner waits no more.
    pub(crate) fn awake(&self) {
        self.lock().sleep = Sleep::Awake;
    }

    /// Whether all is sent and the owner may go on sleeping. A client that takes its bytes slowly is left to its owner.
    fn send(&self) -> bool {
        let Ok(mut parked) = self.parked.try_lock() else { return false };
        let Some(line) = parked.as_mut() else { return false };
        for _ in 0..SENDS_FOR_OWNER {
            if !line.send_for_owner(self) {
                return false;
            }
            if self.fall_asleep(Sleep::Idle) {
                return true;
            }
        }
        false
    }

    /// Lets others send while the owner sleeps.
    pub(crate) fn park(&self, line: Option<Box<Line>>) {
        *lock(&self.parked) = line;
    }

    /// The owner is awake and has its line again, once nobody sends by it any more.
    pub(crate) fn unpark(&self) -> Option<Box<Line>> {
        lock(&self.parked).take()
    }

    /// What the owner waits on.
    pub(crate) fn wakeup(&self) -> &Wakeup {
        &self.wakeup
    }

    /// Whether the owner waits for anything.
    #[cfg(test)]
    pub(crate) fn is_asleep(&self) -> bool {
        self.lock().sleep == Sleep::Idle
    }

    /// Whether others may send.
    #[cfg(test)]
    pub(crate) fn is_lent(&self) -> bool {
        lock(&self.parked).is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // No code that can panic runs under this lock.
        lock(&self.queue)
    }
}

impl Handle for Outbox {
    fn say(&self, frame: &[u8], saying: Saying) -> MustWake {
        let mut queue = self.lock();
        match saying {
            Saying::Answer | Saying::Accepted => queue.unanswered = queue.unanswered.saturating_sub(1),
            Saying::News if queue.frames >= OUTBOX_FRAMES => return MustWake(false),
            Saying::News => {}
        }
        queue.waiting.extend_from_slice(frame);
        queue.frames += 1;
        queue.is_pressing |= saying != Saying::Accepted;
        match saying {
            Saying::Accepted => queue.rouse(&[Sleep::Idle]),
            Saying::Answer | Saying::News => queue.rouse(&[Sleep::Idle, Sleep::Lingering]),
        }
    }

    fn announce_mail(&self) -> MustWake {
        let mut queue = self.lock();
        queue.has_mail = true;
        queue.rouse(&[Sleep::Idle, Sleep::Lingering])
    }

    fn expect_answer(&self) {
        self.lock().unanswered += 1;
    }

    fn is_closing(&self) -> bool {
        self.closing().is_some()
    }

    fn send_or_wake(&self) {
        if !self.send() {
            self.wake();
        }
    }

    fn wake(&self) {
        self.wakeup.wake();
    }
}

impl Queue {
    fn is_urgent(&self) -> bool {
        self.is_pressing || self.has_mail
    }

    fn rouse(&mut self, from: &[Sleep]) -> MustWake {
        let sleeps = from.contains(&self.sleep);
        if sleeps {
            self.sleep = Sleep::Awake;
        }
        MustWake(sleeps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox() -> Outbox {
        Outbox::new().unwrap()
    }

    /// How many bytes waited.
    fn taken(outbox: &Outbox) -> usize {
        let mut frames = Vec::new();
        outbox.take(&mut frames);
        frames.len()
    }

    #[test]
    fn news_are_left_out_when_too_much_waits_but_answers_never() {
        let outbox = outbox();
        outbox.expect_answer();
        for _ in 0..OUTBOX_FRAMES + 9 {
            let _ = outbox.say(b"x", Saying::News);
        }
        let _ = outbox.say(b"x", Saying::Answer);
        assert_eq!((taken(&outbox), outbox.lock().unanswered), (OUTBOX_FRAMES + 1, 0));
    }

    #[test]
    fn a_closing_client_keeps_what_waits_and_the_first_reason_counts() {
        let outbox = outbox();
        let _ = outbox.say(b"x", Saying::News);
        outbox.close(Code::Replaced);
        outbox.close(Code::ShuttingDown);
        assert_eq!(outbox.closing(), Some(Code::Replaced));
        assert_eq!(taken(&outbox), 1);
    }

    #[test]
    fn frames_wait_in_order_and_a_flood_keeps_no_memory() {
        let outbox = outbox();
        let _ = outbox.say(b"one", Saying::News);
        let _ = outbox.say(b"two", Saying::News);
        let mut frames = b"and ".to_vec();
        outbox.take(&mut frames);
        assert_eq!(frames, b"and onetwo");
        let _ = outbox.say(&vec![0; OUTBOX_KEPT + 1], Saying::News);
        assert_eq!([taken(&outbox), taken(&outbox)], [OUTBOX_KEPT + 1, 0]);
        assert_eq!(outbox.lock().waiting.capacity(), 0);
    }

    #[test]
    fn an_answer_that_news_will_follow_lets_its_owner_sleep_and_goes_with_them() {
        let outbox = outbox();
        assert!(!outbox.may_linger());
        let _ = outbox.say(b"accepted", Saying::Accepted);
        assert!(outbox.may_linger() && outbox.fall_asleep(Sleep::Lingering));
        assert_eq!(outbox.say(b"accepted", Saying::Accepted), MustWake(false));
        assert_eq!(outbox.say(b"delivered", Saying::News), MustWake(true));
        assert!(!outbox.may_linger() && !outbox.fall_asleep(Sleep::Lingering));
        taken(&outbox);
        let _ = outbox.say(b"accepted", Saying::Accepted);
        let _ = outbox.announce_mail();
        assert!(!outbox.may_linger() && !outbox.fall_asleep(Sleep::Lingering));
        taken(&outbox);
        assert!(outbox.take_mail() && !outbox.may_linger(), "nothing waits");
    }

    #[test]
    fn nothing_waits_for_one_who_has_set_no_alarm() {
        let outbox = outbox();
        let _ = outbox.say(b"accepted", Saying::Accepted);
        assert!(!outbox.fall_asleep(Sleep::Idle));
        taken(&outbox);
        assert!(outbox.fall_asleep(Sleep::Idle));
        assert_eq!(outbox.say(b"accepted", Saying::Accepted), MustWake(true));
    }

    #[test]
    fn only_an_idle_owner_falls_asleep() {
        let outbox = outbox();
        assert!(outbox.fall_asleep(Sleep::Idle));
        assert_eq!(outbox.say(b"x", Saying::News), MustWake(true));
        assert_eq!(outbox.say(b"x", Saying::News), MustWake(false));
        assert!(!outbox.fall_asleep(Sleep::Idle));
        assert!(outbox.fall_asleep(Sleep::Blocked));
        assert_eq!(outbox.announce_mail(), MustWake(false));
        taken(&outbox);
        assert!(!outbox.fall_asleep(Sleep::Idle), "there is mail");
        assert!(outbox.take_mail() && !outbox.take_mail());
        assert!(outbox.fall_asleep(Sleep::Idle));
        outbox.close(Code::Deleted);
        assert!(!outbox.fall_asleep(Sleep::Idle));
        assert!(!outbox.fall_asleep(Sleep::Blocked));
    }
}
