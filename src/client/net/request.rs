//! Requests and answers on a connection that one thread has for itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::connection::{Link, Reading};
use crate::client::error::Error;
use crate::client::error::cause::ProtocolError;
use crate::client::error::server::ServerError;
use crate::client::model::deadline::Deadline;
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::state::seen::Reached;
use crate::limits::{ANSWER_WITHIN, LAST_WORDS_WITHIN};
use crate::wire::{ToClient, ToServer};

/// Whoever can put a numbered question to the server and wait for its answer.
pub(crate) trait Ask {
    /// Sends the frame that `question` makes of a new number, and gives the answer with that number.
    /// A refusal is an error; so is silence.
    fn ask(&mut self, question: &dyn Fn(u32) -> ToServer) -> Result<ToClient, Error>;
}

/// A connection and what came on it that nobody has asked for yet.
pub(crate) struct Dialogue {
    link: Arc<Link>,
    reading: Reading,
    waiting: VecDeque<ToClient>,
    address: String,
    last_request: u32,
    /// What a refusal without a number is about.
    asked: Asked,
    /// What the server said at the login.
    reached: Reached,
    /// When all of the command must be done.
    until: Option<Deadline>,
}

impl Dialogue {
    /// A dialogue with the server at `address`.
    pub(crate) fn new(link: Link, address: String) -> Self {
        let (reading, waiting) = (link.reading(), VecDeque::new());
        Self {
            link: Arc::new(link),
            reading,
            waiting,
            address,
            last_request: 0,
            asked: Asked::Session,
            reached: Reached::default(),
            until: None,
        }
    }

    /// Every answer is waited for until then only.
    pub(crate) fn over_at(self, until: Option<Deadline>) -> Self {
        Self { until, ..self }
    }

    /// The connection.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// A second handle on it.
    pub(crate) fn shared_link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Names what refusals from now on are about.
    pub(crate) fn asks(&mut self, asked: Asked) {
        self.asked = asked;
    }

    /// It is logged in: so far the server is.
    pub(crate) fn logged_in(&mut self, reached: Reached) {
        self.reached = reached;
    }

    /// What the server said at the login.
    pub(crate) fn reached(&self) -> Reached {
        self.reached
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &ToServer) -> Result<(), Error> {
        match self.link.send(frame) {
            // A server that closed has said why, unless it crashed: its words are better than "connection lost".
            Err(lost @ Error::Server(ServerError::Lost { .. })) => Err(self.last_words().unwrap_or(lost)),
            result => result,
        }
    }

    /// The next frame, within the time of an answer. A goodbye is an error.
    pub(crate) fn next(&mut self) -> Result<ToClient, Error> {
        let step = Deadline::step(ANSWER_WITHIN, self.until);
        let frame = self.next_within(step.left())?;
        frame.ok_or_else(|| self.timed_out(step))
    }

    /// The next frame, or nothing when the time is over. A goodbye is an error.
    pub(crate) fn next_within(&mut self, time: Duration) -> Result<Option<ToClient>, Error> {
        let deadline = Instant::now() + time;
        loop {
            match self.waiting.pop_front() {
                Some(ToClient::Bye(reason)) => {
                    return Err(Error::Refused(Refusal { asked: self.asked.clone(), reason }));
                }
                Some(frame) => return Ok(Some(frame)),
                None if Instant::now() >= deadline => return Ok(None),
                None => self.waiting.extend(self.link.receive(&mut self.reading, Some(deadline))?),
            }
        }
    }

    /// An answer other than the `expected` one: the server's refusal, or a breach of the protocol.
    pub(crate) fn unexpected(&self, found: ToClient, expected: &'static str) -> Error {
        match found {
            ToClient::Error { reason, .. } | ToClient::Refused { reason, .. } => {
                Error::Refused(Refusal { asked: self.asked.clone(), reason })
            }
            found => ProtocolError::Unexpected { found: found.field(), expected }.into(),
        }
    }

    /// The connection, what the receiving thread needs, and the frames that have come already.
    pub(crate) fn into_parts(self) -> (Arc<Link>, Reading, VecDeque<ToClient>) {
        (self.link, self.reading, self.waiting)
    }

    fn timed_out(&self, step: Deadline) -> Error {
        Error::Server(ServerError::TimedOut { address: self.address.clone(), secs: step.secs() })
    }

    fn last_words(&mut self) -> Option<Error> {
        match self.next_within(LAST_WORDS_WITHIN) {
            Ok(Some(frame @ (ToClient::Error { .. } | ToClient::Refused { .. }))) => {
                Some(self.unexpected(frame, "an answer"))
            }
            Err(error @ Error::Refused(_)) => Some(error),
            _ => None,
        }
    }
}

impl Ask for Dialogue {
    fn ask(&mut self, question: &dyn Fn(u32) -> ToServer) -> Result<ToClient, Error> {
        self.last_request += 1;
        let request = self.last_request;
        self.send(&question(request))?;
        let step = Deadline::step(ANSWER_WITHIN, self.until);
        while Instant::now() < step.at {
            let frame = self.next()?;
            if answered(&frame) == Some(request) {
                return refused(frame);
            }
        }
        Err(self.timed_out(step))
    }
}

/// The request that a frame answers.
pub(crate) fn answered(frame: &ToClient) -> Option<u32> {
    match frame {
        ToClient::Done { request }
        | ToClient::Error { request, .. }
        | ToClient::Found { request, .. }
        | ToClient::Page { request, .. } => Some(*request),
        _ => None,
    }
}

/// An answer; one that refuses is an error.
pub(crate) fn refused(answer: ToClient) -> Result<ToClient, Error> {
    match answer {
        ToClient::Error { reason, .. } => Err(Error::Refused(Refusal { asked: Asked::Request, reason })),
        answer => Ok(answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::peer_tests::{next, pair, say};
    use crate::wire::Code;
    use crate::wire::to_client::Reason;

    /// What becomes of a request that the server says this to.
    fn asked(answer: impl FnOnce(u32) -> ToClient) -> Asked {
        let (mut server, link) = pair();
        // The first request has the number 1.
        say(&mut server, &answer(1));
        let mut dialogue = Dialogue::new(link, "test".to_owned());
        let result = dialogue.ask(&|request| ToServer::DeleteAccount { request });
        assert_eq!(next(&mut server), ToServer::DeleteAccount { request: 1 });
        match result {
            Err(Error::Refused(refusal)) => refusal.asked,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_goodbye_is_no_answer_to_a_request() {
        assert_eq!(asked(|_| ToClient::Bye(Reason::new(Code::ShuttingDown))), Asked::Session);
        let refused = |request| ToClient::Error { request, reason: Reason::new(Code::Storage) };
        assert_eq!(asked(refused), Asked::Request);
    }
}
