//! Deadline when all of a command must be done, whatever it waits for.

use std::time::{Duration, Instant};

/// The end of a wait, and how long that is in all.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// Then it is over.
    pub at: Instant,
    limit: Duration,
}

impl Deadline {
    /// So long from now on.
    pub fn within(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// A step that may take so long, as part of a command that is over at `whole`.
    pub fn step(limit: Duration, whole: Option<Self>) -> Self {
        let step = Self::within(limit);
        whole.filter(|whole| whole.at < step.at).unwrap_or(step)
    }

    /// What is left of the time.
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// The time that there was, in seconds.
    pub fn secs(&self) -> u64 {
        self.limit.as_secs()
    }
}
