//! The connection as two threads share it: one receives, any may send.
//!
//! Waiting happens on a second handle of the socket, without the lock; the lock is held for the TLS calls alone,
//! which never block, and is given out [fairly](fair).

mod fair;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::limits::{
    ANSWER_WITHIN, ANSWERED_WITHIN, ASKED_AFTER, FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, PING_AFTER, PONG_WITHIN,
    REPLY_BACKLOG,
};
use crate::sync::lock;
use crate::transport::{Connection, Interest, Liveness, Pulse, Received, Wakeup, Watch, wait};
use crate::wire::{ToClient, ToServer};
use fair::Fair;

/// A connection after its handshake.
pub(crate) struct Link {
    connection: Fair<Connection>,
    watch: Watch,
    wakeup: Wakeup,
    ping_after: Duration,
}

/// What the one thread that receives keeps between two calls.
pub(crate) struct Reading {
    liveness: Liveness,
    /// More may have come than one call took.
    more: bool,
    /// The longest frame that may come: more after the Welcome.
    limit: usize,
    /// How the connection ended, once everything before the end was given out.
    ended: Option<Error>,
}

impl Reading {
    /// The server was heard just now, and is pinged after so long a silence.
    pub(crate) fn pinging(after: Duration) -> Self {
        let liveness = Liveness::new(after, PONG_WITHIN, Instant::now());
        Self { liveness, more: true, limit: FRAME_MAX_BEFORE_LOGIN, ended: None }
    }
}

impl Reading {
    /// The server owes an answer since then, or nothing.
    pub(crate) fn owed(&mut self, since: Option<Instant>) {
        self.liveness.owes(since, ASKED_AFTER, ANSWERED_WITHIN);
    }
}

impl Default for Reading {
    fn default() -> Self {
        Self::pinging(PING_AFTER)
    }
}

impl Link {
    /// Shares a connection.
    pub(crate) fn new(connection: Connection) -> Result<Self, Error> {
        let watch = connection.watch();
        let wakeup = Wakeup::new().map_err(Error::system("making a wake-up"))?;
        Ok(Self { connection: Fair::new(connection), watch, wakeup, ping_after: PING_AFTER })
    }

    /// The same, whose server is pinged after so long a silence.
    pub(crate) fn pinging(self, after: Duration) -> Self {
        Self { ping_after: after, ..self }
    }

    /// What the thread that receives keeps.
    pub(crate) fn reading(&self) -> Reading {
        Reading::pinging(self.ping_after)
    }

    /// The channel binding of this connection.
    pub(crate) fn exporter(&self) -> Result<[u8; 32], Error> {
        Ok(self.connection.turn().exporter()?)
    }

    /// Ends the wait of the thread that receives.
    pub(crate) fn wake(&self) {
        self.wakeup.wake();
    }

    /// Sends a frame, or leaves what the socket doesn't take to the thread that receives.
    /// A server that takes nothing any more holds the caller up, for [`ANSWER_WITHIN`] at most.
    pub(crate) fn send(&self, frame: &ToServer) -> Result<(), Error> {
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
                return Err(Error::Server(ServerError::Silent { secs: ANSWER_WITHIN.as_secs() }));
            }
            unsent = self.queue(&[])?;
        }
        Ok(())
    }

    /// The frames that have come, after waiting for some until `deadline` or a [wake-up](Self::wake); none is possible.
    /// Answers pings, pings a silent server, and sends what waits to be sent.
    pub(crate) fn receive(&self, reading: &mut Reading, deadline: Option<Instant>) -> Result<Vec<ToClient>, Error> {
        if let Some(ended) = reading.ended.take() {
            return Err(ended);
        }
        let quiet_until = self.check_silence(reading)?;
        if !reading.more {
            let interest = self.connection.turn().interest();
            let until = deadline.map_or(quiet_until, |deadline| deadline.min(quiet_until));
            wait(&self.watch, interest, &self.wakeup, Some(until)).map_err(Error::system("waiting"))?;
        }
        let mut frames = self.take(reading);
        if !frames.is_empty() {
            reading.liveness.heard(Instant::now());
        }
        for frame in &frames {
            if let ToClient::Ping { token } = frame
                && let Err(error) = self.queue(&ToServer::Pong { token: *token }.encode())
            {
                reading.ended.get_or_insert(error);
            }
        }
        frames.retain(|frame| !matches!(frame, ToClient::Ping { .. } | ToClient::Pong { .. }));
        match reading.ended.take() {
            Some(ended) if frames.is_empty() => Err(ended),
            ended => {
                reading.ended = ended;
                Ok(frames)
            }
        }
    }

    /// Says goodbye, as far as the socket takes it.
    pub(crate) fn finish(&self) {
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

    /// Deadline when there is nothing to do about a silent server.
    fn check_silence(&self, reading: &mut Reading) -> Result<Instant, Error> {
        let now = Instant::now();
        match reading.liveness.check(now) {
            Pulse::Fine(until) => Ok(until),
            Pulse::Dead => Err(Error::Server(ServerError::Silent { secs: reading.liveness.silence(now).as_secs() })),
            Pulse::Ping => {
                self.queue(&ToServer::Ping { token: 0 }.encode())?;
                match reading.liveness.check(now) {
                    Pulse::Fine(until) => Ok(until),
                    Pulse::Ping | Pulse::Dead => Ok(now),
                }
            }
        }
    }

    /// One turn on the connection. Whatever ends it, the frames before that count.
    fn take(&self, reading: &mut Reading) -> Vec<ToClient> {
        let mut connection = self.connection.turn();
        match connection.receive() {
            Ok(received) => reading.more = received == Received::More,
            Err(ended) => reading.ended = Some(ended.into()),
        }
        let mut frames = Vec::new();
        loop {
            match next_frame(&mut connection, reading.limit) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if matches!(frame, ToClient::Welcome { .. }) {
                        reading.limit = FRAME_MAX;
                    }
                    frames.push(frame);
                }
                Err(junk) => {
                    reading.ended = Some(junk);
                    break;
                }
            }
        }
        if reading.ended.is_none() {
            reading.ended = connection.flush().err().map(Error::from);
        }
        frames
    }
}

fn next_frame(connection: &mut Connection, limit: usize) -> Result<Option<ToClient>, Error> {
    match connection.next_frame(limit)? {
        Some((kind, body)) => Ok(Some(ToClient::decode(kind, body)?)),
        None => Ok(None),
    }
}

/// Replaced at every reconnect, and empty in between.
#[derive(Default)]
pub(crate) struct Circuit {
    link: Mutex<Option<Arc<Link>>>,
}

impl Circuit {
    /// The connection, unless there is none now.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.current().clone()
    }

    /// Whether this one is still the connection.
    pub(crate) fn is(&self, link: &Arc<Link>) -> bool {
        self.current().as_ref().is_some_and(|current| Arc::ptr_eq(current, link))
    }

    /// From now on this one, or none.
    pub(crate) fn set(&self, link: Option<Arc<Link>>) {
        *self.current() = link;
    }

    /// Ends the wait of the thread that receives.
    pub(crate) fn wake(&self) {
        if let Some(link) = self.link() {
            link.wake();
        }
    }

    /// Says goodbye, as far as the socket takes it.
    pub(crate) fn finish(&self) {
        if let Some(link) = self.link() {
            link.finish();
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        lock(&self.link)
    }
}

#[cfg(test)]
mod tests;
