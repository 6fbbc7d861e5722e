//! A lost connection: whether it is tried again, one try, and the pauses between.

use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::connect::jittered;
use super::request::Dialogue;
use super::session;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::cause::ProtocolError;
use crate::client::error::server::ServerError;
use crate::client::keys::member::Member;
use crate::client::keys::password::Secret;
use crate::limits::{RECONNECT_PAUSE_FIRST, RECONNECT_PAUSE_MAX};
use crate::transport::{Stop, wait_input};
use crate::wire::Code;
use crate::wire::to_server::Mode;

/// What logs in once more. The password stays in memory for it, and is overwritten at the end.
#[derive(Clone)]
pub(crate) struct Again {
    pub member: Arc<Member>,
    pub secret: Arc<Secret>,
    /// What the session is for.
    pub mode: Mode,
}

/// Whether it may be better in a moment. Whoever was replaced, refused or deceived does not try again.
pub(crate) fn is_lost(error: &Error) -> bool {
    match error {
        Error::Server(ServerError::Busy { .. })
        | Error::Server(ServerError::Connect { .. })
        | Error::Inbox(_)
        | Error::Server(ServerError::Lost { .. })
        | Error::Server(ServerError::Offline)
        // What can't be read may be a fault of this one connection; a server that always sends it is asked less and less often.
        | Error::Server(ServerError::Protocol(ProtocolError::Frame(_)))
        | Error::Server(ServerError::Silent { .. })
        | Error::Server(ServerError::TimedOut { .. }) => true,
        Error::Refused(refusal) => matches!(
            refusal.code(),
            Some(Code::Full | Code::TooManySessions | Code::ShuttingDown | Code::Storage | Code::Throttled | Code::TimedOut | Code::TooSlow)
        ),
        _ => false,
    }
}

/// One try, on a thread of its own: nobody waits for it when `over` is asked or the time is over, which gives `None`.
pub(crate) fn attempt(
    config: &Config,
    again: &Again,
    deadline: Option<Instant>,
    over: &Stop,
) -> Result<Option<Result<Dialogue, Error>>, Error> {
    let ended = Stop::new().map_err(Error::system("making a wake-up"))?;
    let (answer, answers) = mpsc::channel();
    let at_end = AskAtEnd(ended.clone());
    let (config, again) = (config.clone(), again.clone());
    thread::Builder::new()
        .name("connecting".to_owned())
        .spawn(move || {
            let _at_end = at_end;
            // Nobody waits any more if this fails.
            let _ = answer.send(session::log_in_again(&config, &again));
        })
        .map_err(Error::system("starting a thread"))?;
    while !over.is_asked() && !ended.is_asked() {
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Ok(None);
        }
        wait_input(ended.wakeup(), over.wakeup(), deadline).map_err(Error::system("waiting"))?;
    }
    match over.is_asked() {
        true => Ok(None),
        false => Ok(Some(answers.recv().unwrap_or(Err(Error::Server(ServerError::Offline))))),
    }
}

/// Growing pauses between tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    next: Duration,
    /// How often the longest one was given.
    longest: u32,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: RECONNECT_PAUSE_FIRST, longest: 0 }
    }
}

impl Pauses {
    /// The next one: a random part of it is left out, so that not all clients of a server come back at once.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(RECONNECT_PAUSE_MAX);
        self.longest += u32::from(pause == RECONNECT_PAUSE_MAX);
        jittered(pause)
    }

    /// Whether the last one is worth a line: once they have become longest, nothing new happens.
    pub(crate) fn is_news(&self) -> bool {
        self.longest <= 1
    }
}

/// Asks when it is dropped, also by a panic.
struct AskAtEnd(Stop);

impl Drop for AskAtEnd {
    fn drop(&mut self) {
        self.0.ask();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::refusal::{Asked, Refusal};
    use crate::transport::TransportError;
    use crate::wire;
    use crate::wire::frame::FrameError;
    use crate::wire::to_client::Reason;

    fn bye(code: Code) -> Error {
        Error::Refused(Refusal { asked: Asked::Session, reason: Reason::new(code) })
    }

    #[test]
    fn whoever_was_replaced_refused_or_deceived_does_not_come_back() {
        let codes =
            [Code::Replaced, Code::Kicked, Code::KeysReplaced, Code::Deleted, Code::Disabled, Code::LoginRefused];
        for code in [&codes[..], &[Code::Malformed]].concat() {
            assert!(!is_lost(&bye(code)), "{code:?}");
        }
        let unexpected = ProtocolError::Unexpected { found: "Done", expected: "Welcome" };
        assert!(!is_lost(&Error::Server(ServerError::Protocol(unexpected))));
        let fingerprint = crate::wire::Fingerprint([1; 32]);
        assert!(!is_lost(&Error::Server(ServerError::Changed {
            address: "a:1".into(),
            pinned: fingerprint,
            now: fingerprint
        })));
    }

    #[test]
    fn an_end_that_may_pass_is_tried_again() {
        for code in [Code::ShuttingDown, Code::TimedOut, Code::TooSlow, Code::Full] {
            assert!(is_lost(&bye(code)), "{code:?}");
        }
        assert!(is_lost(&Error::Server(ServerError::Lost { why: TransportError::Closed })));
        assert!(is_lost(&Error::Server(ServerError::Silent { secs: 80 })));
        assert!(is_lost(&wire::Error::Truncated { field: "frame type" }.into()));
        assert!(is_lost(&TransportError::Frame(FrameError::Empty).into()));
    }

    #[test]
    fn pauses_grow_from_one_second_to_thirty_and_no_two_clients_have_the_same() {
        let mut pauses = Pauses::default();
        for most in [1, 2, 4, 8, 16, 30, 30, 30] {
            let pause = pauses.next().as_secs_f64();
            assert!(pause <= f64::from(most) && pause >= f64::from(most) / 2.0, "{pause} of {most}");
            assert_eq!(pauses.is_news(), pauses.longest <= 1);
        }
        assert!(!pauses.is_news(), "the same line for ever helps nobody");
    }
}
