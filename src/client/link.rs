//! The connection as two threads share it: one receives, any may send.
//!
//! Waiting happens on a second handle of the socket, without the lock; the lock is held for the TLS calls alone,
//! which never block, and is given out [fairly](super::fair).

use std::time::Instant;

use super::Error;
use super::fair::Fair;
use crate::limits::{ANSWER_WITHIN, FRAME_MAX, PING_AFTER, PONG_WITHIN, REPLY_BACKLOG};
use crate::transport::{Connection, Interest, Liveness, Pulse, Received, TransportError, Wakeup, Watch, wait};
use crate::wire::{ToClient, ToServer};

/// A connection after its handshake.
pub struct Link {
    connection: Fair<Connection>,
    watch: Watch,
    wakeup: Wakeup,
}

/// What the one thread that receives keeps between two calls.
pub struct Reading {
    liveness: Liveness,
    /// More may have come than one call took.
    more: bool,
    /// How the connection ended, once everything before the end was given out.
    ended: Option<TransportError>,
}

impl Reading {
    /// The server was heard just now.
    pub fn new() -> Self {
        Self { liveness: Liveness::new(PING_AFTER, PONG_WITHIN, Instant::now()), more: true, ended: None }
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::new()
    }
}

impl Link {
    /// Shares a connection.
    pub fn new(connection: Connection) -> Result<Self, Error> {
        let watch = connection.watch()?;
        let wakeup = Wakeup::new().map_err(Error::system("making a wake-up"))?;
        Ok(Self { connection: Fair::new(connection), watch, wakeup })
    }

    /// The channel binding of this connection.
    pub fn exporter(&self) -> Result<[u8; 32], Error> {
        Ok(self.connection.turn().exporter()?)
    }

    /// Ends the wait of the thread that receives.
    pub fn wake(&self) {
        self.wakeup.wake();
    }

    /// Sends a frame, or leaves what the socket doesn't take to the thread that receives.
    /// A server that takes nothing any more holds the caller up, for [`ANSWER_WITHIN`] at most.
    pub fn send(&self, frame: &ToServer) -> Result<(), Error> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut unsent = self.queue(&frame.encode())?;
        if unsent > 0 {
            self.wake();
        }
        while unsent > REPLY_BACKLOG {
            let own = Wakeup::new().map_err(Error::system("making a wake-up"))?;
            let writable = Interest { read: false, write: true };
            wait(&self.watch, writable, &own, Some(deadline)).map_err(Error::system("waiting"))?;
            if Instant::now() >= deadline {
                return Err(Error::Silent { secs: ANSWER_WITHIN.as_secs() });
            }
            unsent = self.queue(&[])?;
        }
        Ok(())
    }

    /// The frames that have come, after waiting for some until `deadline` or a [wake-up](Self::wake); none is possible.
    /// Answers pings, pings a silent server, and sends what waits to be sent.
    pub fn receive(&self, reading: &mut Reading, deadline: Option<Instant>) -> Result<Vec<ToClient>, Error> {
        if let Some(ended) = reading.ended.take() {
            return Err(ended.into());
        }
        let quiet_until = self.check_silence(reading)?;
        if !reading.more {
            let interest = self.connection.turn().interest();
            let until = deadline.map_or(quiet_until, |deadline| deadline.min(quiet_until));
            wait(&self.watch, interest, &self.wakeup, Some(until)).map_err(Error::system("waiting"))?;
        }
        let mut frames = self.take(reading)?;
        if !frames.is_empty() {
            reading.liveness.heard(Instant::now());
        }
        for frame in &frames {
            if let ToClient::Ping { token } = frame {
                self.queue(&ToServer::Pong { token: *token }.encode())?;
            }
        }
        frames.retain(|frame| !matches!(frame, ToClient::Ping { .. } | ToClient::Pong { .. }));
        match reading.ended.take() {
            Some(ended) if frames.is_empty() => Err(ended.into()),
            ended => {
                reading.ended = ended;
                Ok(frames)
            }
        }
    }

    /// Says goodbye, as far as the socket takes it.
    pub fn finish(&self) {
        let mut connection = self.connection.turn();
        connection.queue(&ToServer::Bye.encode());
        // The person leaves either way.
        let _ = connection.flush();
        connection.finish();
    }

    fn queue(&self, bytes: &[u8]) -> Result<usize, Error> {
        let mut connection = self.connection.turn();
        connection.queue(bytes);
        connection.flush()?;
        Ok(connection.unsent())
    }

    /// Until when there is nothing to do about a silent server.
    fn check_silence(&self, reading: &mut Reading) -> Result<Instant, Error> {
        let now = Instant::now();
        match reading.liveness.check(now) {
            Pulse::Fine(until) => Ok(until),
            Pulse::Dead => Err(Error::Silent { secs: (PING_AFTER + PONG_WITHIN).as_secs() }),
            Pulse::Ping => {
                self.queue(&ToServer::Ping { token: 0 }.encode())?;
                Ok(now + PONG_WITHIN)
            }
        }
    }

    /// One turn on the connection.
    fn take(&self, reading: &mut Reading) -> Result<Vec<ToClient>, Error> {
        let mut connection = self.connection.turn();
        match connection.receive() {
            Ok(received) => reading.more = received == Received::More,
            Err(ended) => reading.ended = Some(ended),
        }
        let mut frames = Vec::new();
        while let Some((kind, body)) = connection.next_frame(FRAME_MAX)? {
            frames.push(ToClient::decode(kind, body)?);
        }
        if reading.ended.is_none() {
            connection.flush()?;
        }
        Ok(frames)
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
