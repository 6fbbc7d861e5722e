//! Time by which things age: how long the server has run, in all its runs; and watching the wall clock, which nothing hangs on.
//!
//! A wall clock can leap, go back or stand still while a machine is off. What waits for days would be gone at once, or
//! never, so its age is counted in milliseconds that the server ran. They are kept with what was written at them: a crash
//! takes a few minutes back at most, and they never go back behind anything that was written.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::limits::{CLOCK_AHEAD, CLOCK_BACK};
use crate::machine::time;

/// Counts the milliseconds that the server has run.
#[derive(Debug)]
pub struct RunClock {
    before: AtomicU64,
    began: Instant,
}

impl RunClock {
    /// Goes on behind so many milliseconds of earlier runs.
    pub fn after(before_ms: u64) -> Self {
        Self { before: AtomicU64::new(before_ms), began: time::now() }
    }

    /// How long the server has run, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.before.load(Ordering::Relaxed).saturating_add(milliseconds(time::since(self.began)))
    }

    /// Something was written when it had run for so long: it is not earlier now.
    pub(super) fn raise(&self, run_ms: u64) {
        self.before.fetch_max(run_ms, Ordering::Relaxed);
    }
}

/// Unix time in milliseconds; a clock before 1970 counts as 1970.
pub(crate) fn unix_ms() -> u64 {
    milliseconds(time::unix())
}

/// So many milliseconds.
pub fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What both clocks show at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// How long the server has run, in milliseconds.
    pub(super) run_ms: u64,
    /// Unix time in milliseconds, by the wall clock.
    pub(super) unix_ms: u64,
}

/// What the wall clock did between two readings that no clock does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Back(Duration),
    /// It went ahead, or the machine slept.
    Ahead(Duration),
}

impl Step {
    /// Between two readings of one run.
    pub(super) fn between(before: Reading, now: Reading) -> Option<Self> {
        let expected = before.unix_ms.saturating_add(now.run_ms.saturating_sub(before.run_ms));
        let ahead = Duration::from_millis(now.unix_ms.saturating_sub(expected));
        Self::back(expected, now.unix_ms).or_else(|| (ahead >= CLOCK_AHEAD).then_some(Self::Ahead(ahead)))
    }

    /// Between the last reading of an earlier run and the first of this one: any time may have passed.
    pub(super) fn since_last_run(before: Reading, now: Reading) -> Option<Self> {
        Self::back(before.unix_ms, now.unix_ms)
    }

    fn back(expected_ms: u64, now_ms: u64) -> Option<Self> {
        let back = Duration::from_millis(expected_ms.saturating_sub(now_ms));
        (back >= CLOCK_BACK).then_some(Self::Back(back))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (did, by) = match self {
            Self::Back(by) => ("went back by", by),
            Self::Ahead(by) => ("went ahead by", by),
        };
        write!(f, "this machine's clock {did} {} s", by.as_secs())?;
        if matches!(self, Self::Ahead(_)) {
            f.write_str(", or it slept so long")?;
        }
        f.write_str(": messages keep their order and their age, only the times in this log may mislead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(run_s: u64, unix_s: u64) -> Reading {
        Reading { run_ms: run_s * 1000, unix_ms: unix_s * 1000 }
    }

    #[test]
    fn a_clock_that_steps_is_told_and_one_that_goes_is_not() {
        let before = at(100, 1_000_000);
        for (now, step) in [
            (at(100, 1_000_000), None),
            (at(160, 1_000_060), None),
            (at(160, 1_000_100), None),
            (at(160, 1_000_060 + 3600), Some(Step::Ahead(Duration::from_secs(3600)))),
            (at(160, 1_000_058), Some(Step::Back(Duration::from_secs(2)))),
            (at(160, 0), Some(Step::Back(Duration::from_secs(1_000_060)))),
        ] {
            assert_eq!(Step::between(before, now), step, "{now:?}");
        }
    }

    #[test]
    fn between_two_runs_any_time_may_pass_but_backwards() {
        let before = at(100, 1_000_000);
        assert_eq!(Step::since_last_run(before, at(0, 9_000_000)), None);
        assert_eq!(Step::since_last_run(before, at(0, 999_990)), Some(Step::Back(Duration::from_secs(10))));
        assert_eq!(Step::since_last_run(Reading::default(), at(0, 5)), None);
    }

    #[test]
    fn time_that_the_server_ran_goes_on_behind_all_that_was_written() {
        let clock = RunClock::after(5000);
        assert!((5000..6000).contains(&clock.now_ms()));
        clock.raise(60_000);
        clock.raise(7000);
        assert!((60_000..61_000).contains(&clock.now_ms()));
    }
}
