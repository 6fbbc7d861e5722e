//! One client's thread.
//!
//! The loop sends what waits, takes what came, and sleeps on the socket and the outbox's wake-up. While it sleeps, others may send
//! by its [`line`](super::net::line).
//! What frames mean is decided elsewhere: [`phase`](state) says whether a frame has its place,
//! and one module per API handles it.

pub(crate) mod chat;
pub(crate) mod close;
pub(crate) mod directory;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod register;
pub(crate) mod state;
pub(crate) mod wait;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::log::Submissions;
use super::net::SessionId;
use super::net::end::End;
use super::net::line::{Held, Line};
use super::net::preauth::GuestPass;
use super::net::rate_limit::Pace;
use super::net::send_queue::{Outbox, Sleep};
use super::registry::seat::Seat;
use super::shared::Shared;
use crate::limits;
use crate::transport::{Connection, Liveness, Received, Watch};
use crate::wire::to_client::{self, Reason};
use crate::wire::{Code, ToClient, ToServer};
use login::{Challenge, Slowed};
use state::{Phase, Tries, Verdict, verdict};

/// One connection, from accept to end.
pub(crate) struct Session<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) id: SessionId,
    pub(crate) source: IpAddr,
    pub(crate) line: Held,
    /// To wait on while others have the line.
    pub(crate) watch: Watch,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) tries: Tries,
    pub(crate) state: State<'a>,
    pub(crate) pace: Pace,
    /// Messages of the client that came and did not go to the log yet.
    pub(crate) submissions: Submissions,
    /// Something may have come that was not taken yet.
    pub(crate) readable: bool,
    /// It grows with the login and stays so to the end.
    frame_limit: usize,
    pub(crate) deadline: Option<Instant>,
    pub(crate) liveness: Liveness,
    /// Until then no answer waits for the news behind it.
    pub(crate) hurries_until: Option<Instant>,
}

/// How far the session has come, with what belongs to that.
pub(crate) enum State<'a> {
    Challenged(Challenge, GuestPass),
    Guest(GuestPass),
    /// Between two states only.
    Leaving,
    Member(Seat<'a>),
    /// A login whose challenge waits.
    Slowed(Slowed, GuestPass),
}

impl<'a> Session<'a> {
    /// A session that begins now.
    pub(crate) fn new(
        shared: &'a Shared,
        id: SessionId,
        source: IpAddr,
        connection: Connection,
        outbox: Arc<Outbox>,
        pass: GuestPass,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            id,
            source,
            watch: connection.watch(),
            line: Held::new(Line::new(connection)),
            outbox,
            tries: Tries::default(),
            state: State::Guest(pass),
            pace: Pace::new(shared.settings.rate, now),
            submissions: Submissions::default(),
            readable: false,
            frame_limit: limits::FRAME_MAX_BEFORE_LOGIN,
            deadline: Some(now + shared.settings.login_deadline),
            liveness: Liveness::new(shared.settings.ping_after, shared.settings.pong_within, now),
            hurries_until: None,
        }
    }

    /// The login's deadline counts from then.
    pub(crate) fn since(self, accepted: Instant) -> Self {
        Self { deadline: Some(accepted + self.shared.settings.login_deadline), ..self }
    }

    /// Serves the client until the end, then says goodbye.
    pub(crate) fn run(mut self) {
        let Err(end) = self.handshake().and_then(|()| self.serve());
        if let State::Member(seat) = &self.state {
            seat.say_left(&end);
        }
        self.leave(end);
    }

    /// The login took place: its deadline is over.
    pub(crate) fn logged_in(&mut self, seat: Seat<'a>) {
        self.deadline = None;
        self.frame_limit = limits::FRAME_MAX;
        self.pace = Pace::new(self.shared.settings.rate, Instant::now());
        self.state = State::Member(seat);
    }

    /// Queues a frame to this client, behind what is being sent.
    pub(crate) fn reply(&mut self, message: &ToClient) {
        message.append_to(self.line.connection.outgoing());
    }

    /// Answers a request with an error.
    pub(crate) fn refuse(&mut self, request: u32, reason: Reason) {
        self.reply(&ToClient::Error { request, reason });
    }

    fn handshake(&mut self) -> Result<(), End> {
        while !self.line.connection.handshake()? {
            // OpenSSL has taken all that came, and waits for more: so does this thread.
            self.readable = false;
            let until = self.next_moment()?;
            self.sleep(Sleep::Idle, until)?;
            if let Some(code) = self.outbox.closing() {
                return Err(End::because(code));
            }
        }
        if self.line.connection.is_outdated() {
            log::info!("a client from {} speaks an older version of the protocol: it must be updated", self.source);
            to_client::append_outdated(self.line.connection.outgoing());
            return Err(End::Gone);
        }
        // Bytes that came with the last of the handshake are inside TLS already.
        self.readable = true;
        Ok(())
    }

    fn serve(&mut self) -> Result<Infallible, End> {
        loop {
            self.challenge_if_due();
            self.send_waiting()?;
            if self.readable && self.may_read() {
                self.readable = self.take_received()? == Received::More;
                // What may linger goes out with what comes next, or when the sleep ends.
                if !self.may_linger() {
                    self.send_waiting()?;
                }
            }
            if let Some(code) = self.outbox.closing() {
                return Err(End::because(code));
            }
            let until = self.next_moment()?;
            if !self.line.has_more_mail() {
                let sleep = if self.line.connection.unsent() > 0 { Sleep::Blocked } else { Sleep::Idle };
                self.sleep(sleep, until)?;
            }
        }
    }

    pub(crate) fn send_waiting(&mut self) -> Result<(), End> {
        self.line.send_waiting(&self.outbox)
    }

    /// A client that lets its answers pile up is not read from, nor one that sends faster than the disk takes it, nor one
    /// that others were told is gone.
    pub(crate) fn is_congested(&self) -> bool {
        self.line.connection.unsent() > limits::REPLY_BACKLOG || !self.outbox.may_take(self.submissions.len())
    }

    /// Whether the client's next frame may be taken: it is neither congested nor over its rate, nor is its login slowed.
    fn may_read(&self) -> bool {
        !self.is_congested() && self.held_until().is_none()
    }

    /// Takes frames that came, those first that a congestion or the rate left.
    fn take_received(&mut self) -> Result<Received, End> {
        if self.handle_received()? == Received::More {
            return Ok(Received::More);
        }
        let received = self.line.connection.receive()?;
        Ok(if self.handle_received()? == Received::More { Received::More } else { received })
    }

    /// Tells whether frames may be left. Messages that came together go to the log together: one lock, and those who get
    /// them are woken once.
    fn handle_received(&mut self) -> Result<Received, End> {
        let handled = self.handle_frames();
        self.submit();
        handled
    }

    /// The clock is asked once for all that came together.
    fn handle_frames(&mut self) -> Result<Received, End> {
        let now = Instant::now();
        while !self.is_congested() && self.pace.has_room(now) && self.slowed_until().is_none() {
            let Some(frame) = self.next_frame()? else { return Ok(Received::All) };
            self.liveness.heard(now);
            // Acknowledgements come only for what was delivered, and may come as fast as that.
            if !matches!(frame, ToServer::Ack(_)) || self.line.receiver.is_none() {
                self.pace.take(now);
            }
            self.handle(frame)?;
        }
        Ok(Received::More)
    }

    pub(crate) fn next_frame(&mut self) -> Result<Option<ToServer>, End> {
        match self.line.connection.next_frame(self.frame_limit)? {
            Some((kind, body)) => Ok(Some(ToServer::decode(kind, body)?)),
            None => Ok(None),
        }
    }

    fn handle(&mut self, frame: ToServer) -> Result<(), End> {
        if !matches!(frame, ToServer::Send { .. } | ToServer::Ack(_)) {
            self.submit();
        }
        if verdict(self.phase(), &frame) == Verdict::NotNow {
            self.refuse(request_of(&frame), Reason::new(Code::NotNow));
            return Ok(());
        }
        match frame {
            ToServer::Ack(delivery) => self.acknowledge(delivery),
            ToServer::AskPolicy { invite } => self.tell_policy(&invite),
            ToServer::Bye => return Err(End::Gone),
            ToServer::DeleteAccount { request } => return self.delete_account(request),
            ToServer::List { request, scope, after } => self.list(request, scope, after.as_ref()),
            ToServer::LoginProof { client_final, signature } => return self.login_proof(&client_final, &signature),
            ToServer::LoginStart { mode, client_first, signature } => {
                return self.login_start(mode, &client_first, &signature);
            }
            ToServer::Lookup { request, name, fingerprint } => self.lookup(request, &name, fingerprint),
            ToServer::Ping { token } => self.reply(&ToClient::Pong { token }),
            ToServer::Pong { .. } => {}
            ToServer::Register { bundle, verifier, invite, proof } => {
                return self.register(bundle, verifier, &invite, &proof);
            }
            ToServer::Seen { kept } => self.seen(kept),
            ToServer::Send { envelope } => return self.send(&envelope),
            ToServer::SetPassword { request, verifier } => self.set_password(request, verifier),
            ToServer::UpdateKeys { request, bundle, handover, proof } => {
                return self.update_keys(request, bundle, handover, &proof);
            }
            ToServer::Watch { on } => self.shared.hub().watch(self.id, on),
        }
        Ok(())
    }

    fn phase(&self) -> Phase {
        match self.state {
            State::Challenged(..) | State::Slowed(..) => Phase::Challenged,
            State::Guest(_) | State::Leaving => Phase::Guest,
            State::Member(_) => Phase::Member,
        }
    }
}

/// The number that the answer to a frame carries.
fn request_of(frame: &ToServer) -> u32 {
    match frame {
        ToServer::DeleteAccount { request }
        | ToServer::List { request, .. }
        | ToServer::Lookup { request, .. }
        | ToServer::SetPassword { request, .. }
        | ToServer::UpdateKeys { request, .. } => *request,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
