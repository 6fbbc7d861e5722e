//! How fast a session is read: a bucket of tokens that fills with the time. Pure: the time is passed in.
//!
//! A client over the rate is refused nothing and not cut. Its frames stay where they are, at last in its own machine:
//! TCP lets it send no more than the server reads.

use std::time::{Duration, Instant};

use crate::limits::{BURST_SECS, SECOND};

/// How one session is read.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    bucket: Option<Bucket>,
    held_until: Option<Instant>,
}

impl Pace {
    /// `rate` frames a second, and twice as many at once; 0 for no limit.
    pub fn new(rate: u32, now: Instant) -> Self {
        Self { bucket: Bucket::new(rate, now), held_until: None }
    }

    /// Whether another frame may be read. If not, [`Self::held_until`] tells when.
    pub fn has_room(&mut self, now: Instant) -> bool {
        let Some(wait) = self.bucket.as_ref().and_then(|bucket| bucket.empty_until(now)) else { return true };
        self.held_until = Some(wait);
        false
    }

    /// A frame made work: it takes a token, in advance if there is none.
    pub fn take(&mut self, now: Instant) {
        if let Some(bucket) = &mut self.bucket {
            bucket.take(now);
        }
    }

    /// The end of the last time that the session was not read, which may be over.
    pub fn held_until(&self) -> Option<Instant> {
        self.held_until
    }
}

/// Tokens that come back with the time.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    /// One token comes back in this time.
    interval: Duration,
    /// In this time an empty bucket fills.
    filling: Duration,
    /// When it is full (again).
    full_at: Instant,
}

impl Bucket {
    fn new(rate: u32, now: Instant) -> Option<Self> {
        let interval = SECOND.checked_div(rate)?;
        Some(Self { interval, filling: interval * rate.saturating_mul(BURST_SECS), full_at: now })
    }

    /// When the next token is there; `None` if there is one now.
    fn empty_until(&self, now: Instant) -> Option<Instant> {
        let missing = self.full_at.saturating_duration_since(now) + self.interval;
        let wait = missing.checked_sub(self.filling).filter(|wait| !wait.is_zero())?;
        Some(now + wait)
    }

    fn take(&mut self, now: Instant) {
        self.full_at = self.full_at.max(now) + self.interval;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many tokens there are at `now`.
    fn drain(bucket: &mut Bucket, now: Instant) -> u32 {
        (0..)
            .find(|_| {
                bucket.empty_until(now).is_some() || {
                    bucket.take(now);
                    false
                }
            })
            .unwrap()
    }

    #[test]
    fn a_burst_of_two_seconds_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, start).unwrap();
        assert_eq!(drain(&mut bucket, start), 200);
        assert_eq!(bucket.empty_until(start), Some(start + SECOND / 100));
        assert_eq!(drain(&mut bucket, start + SECOND / 100), 1);
        assert_eq!(drain(&mut bucket, start + SECOND), 99);
        assert_eq!(drain(&mut bucket, start + SECOND * 2), 100);
        assert_eq!(drain(&mut bucket, start + SECOND * 3600), 200, "never more than a burst");
    }

    #[test]
    fn no_rate_is_no_bucket_and_any_other_lets_something_through() {
        let now = Instant::now();
        assert!(Bucket::new(0, now).is_none());
        for rate in [1, 3, 7, 1_000_000] {
            let mut bucket = Bucket::new(rate, now).unwrap();
            assert_eq!(drain(&mut bucket, now), 2 * rate);
        }
    }

    #[test]
    fn a_token_in_advance_is_waited_for() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1, now).unwrap();
        for _ in 0..3 {
            bucket.take(now);
        }
        assert_eq!(bucket.empty_until(now), Some(now + SECOND * 2));
    }

    #[test]
    fn a_moment_before_the_last_one_gives_nothing_and_breaks_nothing() {
        let start = Instant::now() + SECOND;
        let mut bucket = Bucket::new(1, start).unwrap();
        assert_eq!(drain(&mut bucket, start), 2);
        assert_eq!(bucket.empty_until(start - SECOND), Some(start + SECOND));
    }

    #[test]
    fn a_session_without_a_rate_is_never_held() {
        let now = Instant::now();
        let mut pace = Pace::new(0, now);
        assert!((0..10_000).all(|_| pace.has_room(now) && {
            pace.take(now);
            true
        }));
        assert_eq!(pace.held_until(), None);
    }

    #[test]
    fn a_session_is_held_until_the_next_token() {
        let now = Instant::now();
        let mut pace = Pace::new(10, now);
        assert_eq!(
            (0..99).find(|_| !pace.has_room(now) || {
                pace.take(now);
                false
            }),
            Some(20)
        );
        let until = now + SECOND / 10;
        assert_eq!(pace.held_until(), Some(until));
        assert!(pace.has_room(until));
    }

    proptest! {
        /// Whoever takes a token whenever there is one never gets more than the burst and the rate.
        #[test]
        fn no_pattern_gets_more_than_the_rate(
            rate in 1_u32..500,
            pauses in prop::collection::vec(0_u64..300, 1..100),
        ) {
            let start = Instant::now();
            let mut bucket = Bucket::new(rate, start).unwrap();
            let (mut now, mut taken) = (start, 0);
            for pause in pauses {
                now += Duration::from_millis(pause);
                taken += u64::from(drain(&mut bucket, now));
                let filled = (now - start).as_secs_f64() * f64::from(rate);
                prop_assert!(taken as f64 <= f64::from(2 * rate) + filled + 0.001);
            }
        }
    }
}
