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
}

impl Liveness {
    /// A peer that was heard just now.
    pub fn new(ping_after: Duration, pong_within: Duration, now: Instant) -> Self {
        Self { ping_after, pong_within, heard: now, pinged: None }
    }

    /// The peer sent something: any frame shows that it lives.
    pub fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = None;
    }

    /// What to do at `now`. A `Ping` is said once per silence.
    pub fn check(&mut self, now: Instant) -> Pulse {
        match self.pinged {
            Some(pinged) if now >= pinged + self.pong_within => Pulse::Dead,
            Some(pinged) => Pulse::Fine(pinged + self.pong_within),
            None if now >= self.heard + self.ping_after => {
                self.pinged = Some(now);
                Pulse::Ping
            }
            None => Pulse::Fine(self.heard + self.ping_after),
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
    fn an_answer_starts_a_new_silence() {
        let start = Instant::now();
        let mut peer = Liveness::new(SECOND * 60, SECOND * 20, start);
        assert_eq!(peer.check(start + SECOND * 60), Pulse::Ping);
        peer.heard(start + SECOND * 70);
        assert_eq!(peer.check(start + SECOND * 80), Pulse::Fine(start + SECOND * 130));
    }
}
