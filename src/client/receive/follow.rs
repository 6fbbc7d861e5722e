//! Listening over any number of connections: what is lost is got back, and said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::feed;
use super::listen_loop::{Audience, Receiving, listen};
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::model::refusal::Refusal;
use crate::client::net::connection::Circuit;
use crate::client::net::reconnect::{Again, Pauses, attempt, is_lost};
use crate::client::net::request::Dialogue;
use crate::limits::RECONNECT_STEADY;
use crate::transport::{Stop, wait_input};

/// Who is told about the connection.
pub(crate) trait Follower: Audience {
    /// There is a connection: the first one, or one that came back.
    fn connected(&mut self, is_back: bool) -> Result<(), Error>;

    /// It is lost, in these words.
    fn lost(&mut self, words: &str) -> Result<(), Error>;
}

/// Listens over any number of connections, until the audience has enough, `over` is asked, or something happens that
/// no reconnect can or may mend.
pub(crate) fn listen_on(
    config: &Config,
    again: &Again,
    mut dialogue: Dialogue,
    circuit: &Circuit,
    receiving: &mut Receiving<'_>,
    follower: &mut dyn Follower,
    over: &Stop,
) -> Result<(), Error> {
    let mut pauses = Pauses::default();
    let mut is_back = false;
    loop {
        let begun = Instant::now();
        receiving.inbox.logged_in(dialogue.reached(), receiving.receiver.ledger_mut());
        let (link, reading, waiting) = dialogue.into_parts();
        circuit.set(Some(Arc::clone(&link)));
        follower.connected(is_back)?;
        if is_back {
            receiving.tell(|| feed::status("online", None));
        }
        let mut why = match listen(&link, reading, waiting, receiving, follower, over) {
            Err(why) if is_lost(&why) => why,
            result => {
                tell_of_the_end(&result, receiving);
                return result;
            }
        };
        circuit.set(None);
        // What is left of it is closed before another one is tried.
        drop(link);
        if begun.elapsed() >= RECONNECT_STEADY {
            pauses = Pauses::default();
        }
        dialogue = loop {
            let pause = pauses.next();
            if pauses.is_news() {
                let words = lost(&why, pause);
                follower.lost(&words)?;
                receiving.tell(|| feed::status("offline", Some(&words)));
            }
            if !rest(pause, follower, over)? {
                return Ok(());
            }
            match attempt(config, again, follower.deadline(), over)? {
                Some(Ok(dialogue)) => break dialogue,
                Some(Err(error)) if is_lost(&error) => why = error,
                Some(Err(error)) => return Err(error),
                None if over.is_asked() || !follower.due(Instant::now())? => return Ok(()),
                None => {}
            }
        };
        is_back = true;
    }
}

/// Whoever reads the feed does not come back either: that would put out the client that took over elsewhere.
fn tell_of_the_end(result: &Result<(), Error>, receiving: &mut Receiving<'_>) {
    if let Err(Error::Refused(refusal)) = result
        && let Some(why) = refusal.code()
    {
        receiving.tell(|| feed::sent_away(why));
    }
}

/// `connection lost (no answer for 80 s). Trying again in 1 s...`
fn lost(why: &Error, pause: Duration) -> String {
    let why = match why {
        Error::Refused(refusal) => format!("connection lost ({})", trimmed(refusal)),
        Error::Server(ServerError::Connect { why, .. }) => format!("no connection ({why})"),
        why => why.to_string().trim_end_matches('.').to_owned(),
    };
    format!("{why}. Trying again in {} s...", pause.as_secs_f64().ceil())
}

fn trimmed(refusal: &Refusal) -> String {
    refusal.to_string().trim_end_matches('.').to_owned()
}

/// False if the listening is to end.
fn rest(pause: Duration, follower: &mut dyn Follower, over: &Stop) -> Result<bool, Error> {
    let never = Stop::new().map_err(Error::system("making a wake-up"))?;
    let until = Instant::now() + pause;
    loop {
        let now = Instant::now();
        if over.is_asked() || !follower.due(now)? {
            return Ok(false);
        }
        if now >= until {
            return Ok(true);
        }
        let next = follower.deadline().map_or(until, |deadline| deadline.min(until));
        wait_input(never.wakeup(), over.wakeup(), Some(next)).map_err(Error::system("waiting"))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::model::refusal::Asked;
    use crate::wire::Code;
    use crate::wire::to_client::Reason;

    fn bye(code: Code) -> Error {
        Error::Refused(Refusal { asked: Asked::Session, reason: Reason::new(code) })
    }

    #[test]
    fn a_lost_connection_is_told_in_one_line() {
        let words = lost(&Error::Server(ServerError::Silent { secs: 80 }), Duration::from_millis(700));
        assert_eq!(words, "connection lost (no answer for 80 s). Trying again in 1 s...");
        assert_eq!(
            lost(&bye(Code::ShuttingDown), Duration::from_secs(2)),
            "connection lost (the server is stopping). Trying again in 2 s..."
        );
    }
}
