//! What goes out to one client: its connection and its way through the log. Whoever has it may send.
//!
//! A session's thread has its line, but puts it into the outbox while it sleeps: so the thread that has something for it can send
//! it at once, which is faster than waking another thread and waiting for it.

use std::ops::{Deref, DerefMut};

use super::end::End;
use super::send_queue::Outbox;
use crate::limits;
use crate::server::log::{Log, Receiver};
use crate::transport::Connection;
use crate::wire::Code;

/// One client's connection, and for a receiving session its way through the log.
pub(crate) struct Line {
    pub(crate) connection: Connection,
    pub(crate) receiver: Option<Receiver<Log<Outbox>>>,
    /// Sending for the session's thread went wrong: it has to end.
    failed: Option<End>,
}

impl Line {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, receiver: None, failed: None }
    }

    /// Moves what waits in the outbox and in the log into TLS, some records at a time, as long as the socket takes it; but
    /// only so many, so that a client's own frames are read however much is sent to it.
    pub(crate) fn send_waiting(&mut self, outbox: &Outbox) -> Result<(), End> {
        for _ in 0..limits::RECORDS_AT_ONCE {
            if !self.send_batch(outbox)? {
                break;
            }
        }
        Ok(())
    }

    /// Whether [`Self::send_waiting`] left something that could go out at once.
    pub(crate) fn has_more_mail(&self) -> bool {
        self.connection.unsent() == 0 && self.receiver.as_ref().is_some_and(Receiver::is_ready)
    }

    /// Sends for the thread that sleeps. False if that thread must wake: there is more than one batch, the socket takes no more,
    /// or from now on it has something to wait for.
    pub(crate) fn send_for_owner(&mut self, outbox: &Outbox) -> bool {
        match self.send_batch(outbox) {
            Ok(_) => self.is_settled(),
            Err(end) => {
                self.failed = Some(end);
                false
            }
        }
    }

    /// What went wrong while the thread slept.
    pub(crate) fn failure(&mut self) -> Option<End> {
        self.failed.take()
    }

    /// Sends what waits, up to some records. False if there was nothing, or the socket takes no more.
    fn send_batch(&mut self, outbox: &Outbox) -> Result<bool, End> {
        if !self.connection.flush()? {
            return Ok(false);
        }
        outbox.take(self.connection.outgoing());
        self.take_mail(outbox)?;
        Ok(self.connection.unsent() > 0 && self.connection.flush()?)
    }

    fn take_mail(&mut self, outbox: &Outbox) -> Result<(), End> {
        let has_mail = outbox.take_mail();
        let Some(receiver) = &mut self.receiver else { return Ok(()) };
        if has_mail {
            receiver.announce();
        }
        receiver.take(self.connection.outgoing()).map_err(|_| End::because(Code::Storage))
    }

    /// Whether nothing is left that could go out, or has a deadline.
    pub(crate) fn is_settled(&self) -> bool {
        self.connection.unsent() == 0
            && self.receiver.as_ref().is_none_or(|receiver| !receiver.is_ready() && receiver.deadline().is_none())
    }
}

/// A line in the hands of its session's thread.
pub(crate) struct Held(Option<Box<Line>>);

impl Held {
    pub(crate) fn new(line: Line) -> Self {
        Self(Some(Box::new(line)))
    }

    /// Lets others have it while `wait` waits.
    pub(crate) fn lend<T>(&mut self, outbox: &Outbox, wait: impl FnOnce() -> T) -> T {
        outbox.park(self.0.take());
        let result = wait();
        self.0 = outbox.unpark();
        result
    }
}

impl Deref for Held {
    type Target = Line;

    fn deref(&self) -> &Line {
        self.0.as_deref().expect("it is lent only while its thread waits")
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Line {
        self.0.as_deref_mut().expect("it is lent only while its thread waits")
    }
}
