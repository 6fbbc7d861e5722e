//! When a session's thread sleeps, until when, and what wakes it.

use std::io;
use std::time::Instant;

use super::Session;
use crate::limits;
use crate::server::log::{Receiver, Submissions};
use crate::server::net::end::End;
use crate::server::net::send_queue::Sleep;
use crate::transport::{Interest, Pulse, Ready, wait};
use crate::wire::{Code, ToClient};

impl Session<'_> {
    /// Until when there is nothing to do: the login deadline, or the next ping.
    pub(crate) fn next_moment(&mut self) -> Result<Option<Instant>, End> {
        let now = Instant::now();
        if let Some(deadline) = self.deadline {
            return if now < deadline { Ok(Some(deadline)) } else { Err(End::because(Code::TimedOut)) };
        }
        let acknowledge_until = self.acknowledge_until();
        if acknowledge_until.is_some_and(|until| now >= until) {
            return Err(End::because(Code::TooSlow));
        }
        match self.liveness.check(now) {
            Pulse::Dead => Err(End::because(Code::TimedOut)),
            Pulse::Fine(until) => Ok(Some(acknowledge_until.map_or(until, |sooner| until.min(sooner)))),
            Pulse::Ping => {
                self.reply(&ToClient::Ping { token: 0 });
                self.line.connection.flush()?;
                Ok(Some(now + self.shared.settings.pong_within))
            }
        }
    }

    /// Until when an acknowledgement must come. While the session is held back it may be among what is not read.
    fn acknowledge_until(&self) -> Option<Instant> {
        let until = self.line.receiver.as_ref().and_then(Receiver::deadline)?;
        Some(self.pace.held_until().map_or(until, |held| until.max(held + limits::ACKNOWLEDGE_WITHIN)))
    }

    /// Not at all if something can be taken from the client, or waits in the outbox and a client takes it; but what is there may
    /// linger, for a moment.
    pub(crate) fn sleep(&mut self, sleep: Sleep, until: Option<Instant>) -> Result<(), End> {
        let held_until = self.held_until();
        let may_read = !self.is_congested() && held_until.is_none();
        // One that is not read from is waiting for just these answers.
        let lingers = may_read && self.may_linger();
        let sleep = if lingers { Sleep::Lingering } else { sleep };
        if (self.readable && may_read) || !self.outbox.fall_asleep(sleep) {
            return Ok(());
        }
        let interest = Interest { read: may_read, ..self.line.connection.interest() };
        let lingers_until = lingers.then(|| Instant::now() + limits::ANSWER_LINGERS);
        let until = [until, held_until, lingers_until].into_iter().flatten().min();
        let ready = self.wait(interest, until);
        self.outbox.awake();
        if let Some(end) = self.line.failure() {
            return Err(end);
        }
        let ready = ready.map_err(|error| {
            log::error!("waiting for a client: {error}");
            End::Gone
        })?;
        self.readable |= ready.readable;
        let is_over = |until: Instant| until <= Instant::now();
        if lingers_until.is_some_and(is_over) && self.outbox.may_linger() {
            self.hurries_until = Some(Instant::now() + limits::HURRIES_FOR);
        }
        Ok(())
    }

    /// Whether all that is to be sent may wait for what comes next. Not soon after such a wait was in vain: whoever is to
    /// acknowledge takes its time.
    pub(crate) fn may_linger(&self) -> bool {
        self.line.is_settled()
            && self.outbox.may_linger()
            && self.hurries_until.is_none_or(|until| until <= Instant::now())
    }

    /// Buffers that have grown are kept for a moment, since in a flood the next bytes come soon.
    fn wait(&mut self, interest: Interest, until: Option<Instant>) -> io::Result<Ready> {
        if self.line.connection.is_grown() || self.submissions.is_grown() {
            let moment = Instant::now() + limits::REST_AFTER;
            let soon = until.map_or(moment, |until| until.min(moment));
            let ready = self.wait_until(interest, Some(soon))?;
            if ready != Ready::default() || Instant::now() < moment {
                return Ok(ready);
            }
            self.line.connection.rest();
            self.submissions = Submissions::default();
        }
        self.wait_until(interest, until)
    }

    /// Others may send meanwhile, unless it is what is sent that lets the client be read again.
    fn wait_until(&mut self, interest: Interest, until: Option<Instant>) -> io::Result<Ready> {
        let Self { line, watch, outbox, .. } = self;
        match interest.read {
            true => line.lend(outbox, || wait(watch, interest, outbox.wakeup(), until)),
            false => wait(watch, interest, outbox.wakeup(), until),
        }
    }

    /// Until when the client's next frame must wait because of its rate, or because its login is slowed.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.pace.held_until().max(self.slowed_until()).filter(|until| Instant::now() < *until)
    }
}
