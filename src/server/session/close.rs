//! How a session ends: its seat is free at once, and the client gets a moment to read why.

use std::time::Instant;

use super::{Session, State};
use crate::limits::LINGER;
use crate::server::net::end::End;
use crate::transport::wait;
use crate::wire::{Code, ToClient, ToServer};

impl Session<'_> {
    /// Frees the seat, sends what still waits and why it ends, and takes the last acknowledgements.
    pub(crate) fn leave(mut self, end: End) {
        self.outbox.close(Code::ShuttingDown);
        // A member's seat is free now; a guest's place only with the thread, which it stands for.
        let _place = match std::mem::replace(&mut self.state, State::Leaving) {
            State::Challenged(_, pass) | State::Guest(pass) | State::Slowed(_, pass) => Some(pass),
            State::Leaving | State::Member(_) => None,
        };
        match &mut self.line.receiver {
            // Whoever writes to this account from now on hears that it is away.
            receiver if matches!(end, End::Gone) => *receiver = None,
            Some(receiver) => receiver.finish(),
            None => {}
        }
        let until = Instant::now() + LINGER;
        if let End::Because(reason) = end {
            if self.send_the_rest(until).is_err() {
                return;
            }
            self.reply(&ToClient::Bye(reason));
        }
        while let Ok(false) = self.line.connection.flush() {
            if self.linger(until).is_err() {
                return;
            }
        }
        self.line.connection.finish();
        while self.take_last_acknowledgements().is_ok() && self.linger(until).is_ok() {}
    }

    fn send_the_rest(&mut self, until: Instant) -> Result<(), End> {
        loop {
            self.send_waiting()?;
            if self.line.connection.unsent() > 0 {
                self.linger(until)?;
            } else if self.outbox.is_empty() {
                return Ok(());
            }
        }
    }

    /// Unread bytes would make the kernel reset the connection, and the client might never see the last frame.
    fn take_last_acknowledgements(&mut self) -> Result<(), End> {
        self.line.connection.receive()?;
        loop {
            match self.next_frame() {
                Ok(None) => {
                    self.submit();
                    return Ok(());
                }
                Ok(Some(ToServer::Ack(delivery))) => {
                    // One that fits nothing has nobody left to be told.
                    let _ = self.line.receiver.as_mut().map(|receiver| receiver.acknowledge(delivery));
                }
                Ok(Some(_)) => {}
                Err(_) => self.line.connection.forget_received(),
            }
        }
    }

    fn linger(&mut self, until: Instant) -> Result<(), End> {
        if Instant::now() >= until {
            return Err(End::Gone);
        }
        let ready = wait(&self.line.connection, self.line.connection.interest(), self.outbox.wakeup(), Some(until));
        ready.map(|_| ()).map_err(|_| End::Gone)
    }
}
