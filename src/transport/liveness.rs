//! When to ask a silent peer whether it is there, and when to give it up. A function of times, without a clock.

use std::time::{Duration, Instant};

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulse {
    /// The peer did not answer in time.
    Dead,
    /// Nothing before this moment.
    Fine(Instant),
    /// Send a ping.
    Ping,
}

/// Keeps track of one peer's silence.
#[derive(Clone, Copy, Debug)]
pub struct Liveness {
    ping_after: Duration,
    pong_within: Duration,
    heard: Instant,
    pinged: Option<Instant>,
    /// Something waits for its answer since then, which shows sooner whether the peer is there: it is pinged after the first
    /// of these times, and given up after the second one.
    owed: Option<(Instant, Duration, Duration)>,
}

impl Liveness {
    /// A peer that was heard just now.
    pub fn new(ping_after: Duration, pong_within: Duration, now: Instant) -> Self {
        Self { ping_after, pong_within, heard: now, pinged: None, owed: None }
    }

    /// The peer sent something: any frame shows that it lives.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// The peer owes an answer since then, or nothing. If nothing at all is heard of it, it is pinged after `ping_after`, and given
    /// up `pong_within` later.
    pub fn owes(&mut self, since: Option<Instant>, ping_after: Duration, pong_within: Duration) {
        self.owed = since.map(|since| (since, ping_after, pong_within));
    }

    /// How long nothing was heard.
    pub fn silence(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard)
    }

    /// What to do at `now`. A `Ping` is said once per silence.
    pub fn check(&mut self, now: Instant) -> Pulse {
        let (ping, dead) = self.deadlines();
        match self.pinged {
            Some(_) if now >= dead => Pulse::Dead,
            Some(_) => Pulse::Fine(dead),
            None if now >= ping => {
                self.pinged = Some(now);
                Pulse::Ping
            }
            None => Pulse::Fine(ping),
        }
    }

    /// When it is to be pinged, and when to be given up.
    fn deadlines(&self) -> (Instant, Instant) {
        let ping = self.heard + self.ping_after;
        let dead = self.pinged.unwrap_or(ping) + self.pong_within;
        match self.owed {
            None => (ping, dead),
            Some((since, ping_after, pong_within)) => {
                let soon = since.max(self.heard) + ping_after;
                (ping.min(soon), dead.min(self.pinged.unwrap_or(soon).max(soon) + pong_within))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_silent_peer_is_pinged_once_and_then_given_up() {
        let start = Instant::now();
        let mut peer = Liveness::new(SECOND * 60, SECOND * 20, start);
        assert_eq!(peer.check(start), Pulse::Fine(start + SECOND * 60));
        assert_eq!(peer.check(start + SECOND * 60), Pulse::Ping);
        assert_eq!(peer.check(start + SECOND * 61), Pulse::Fine(start + SECOND * 80));
        assert_eq!(peer.check(start + SECOND * 80), Pulse::Dead);
    }

    #[test]
    fn a_peer_that_owes_an_answer_is_pinged_and_given_up_sooner() {
        let start = Instant::now();
        let mut peer = Liveness::new(SECOND * 60, SECOND * 20, start);
        peer.owes(Some(start + SECOND * 10), SECOND * 3, SECOND * 7);
        assert_eq!(peer.check(start + SECOND * 10), Pulse::Fine(start + SECOND * 13));
        assert_eq!(peer.check(start + SECOND * 13), Pulse::Ping);
        assert_eq!(peer.check(start + SECOND * 14), Pulse::Fine(start + SECOND * 20));
        assert_eq!(peer.check(start + SECOND * 20), Pulse::Dead);
        // Something was heard: it is there, but slow.
        peer.heard(start + SECOND * 15);
        assert_eq!(peer.check(start + SECOND * 16), Pulse::Fine(start + SECOND * 18));
        peer.owes(None, SECOND * 3, SECOND * 7);
        assert_eq!(peer.check(start + SECOND * 20), Pulse::Fine(start + SECOND * 75));
        // It was pinged already when something was sent.
        assert_eq!(peer.check(start + SECOND * 75), Pulse::Ping);
        peer.owes(Some(start + SECOND * 76), SECOND * 3, SECOND * 7);
        assert_eq!(peer.check(start + SECOND * 77), Pulse::Fine(start + SECOND * 86));
    }

    #[test]
    fn an_answer_starts_a_new_silence() {
        let start = Instant::now();
        let mut peer = Liveness::new(SECOND * 60, SECOND * 20, start);
        assert_eq!(peer.check(start + SECOND * 60), Pulse::Ping);
        peer.heard(start + SECOND * 70);
        assert_eq!(peer.check(start + SECOND * 80), Pulse::Fine(start + SECOND * 130));
    }
}
