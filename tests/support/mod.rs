//! What the tests share: a real server on a free port, and a client that sends whatever a test wants.

pub mod people;
pub mod process;
pub mod proxy;
pub mod pty;
pub mod raw;
pub mod receiver;
mod scram;
pub mod server;

use std::time::Duration;

/// Longer than anything takes on a busy machine; a test that waits for an event fails after it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Rounds of a test that is repeated: more of them under `make storm`.
pub fn storm_rounds(usual: u32) -> u32 {
    std::env::var("TOPCHAT_STORM_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Whether two times are the same for somebody who measures: twice as long under `make storm`, where nothing else runs;
/// among the other tests no more than a gross difference shows.
pub fn about_the_same(one: Duration, other: Duration) -> bool {
    let (factor, slack) = if storm_rounds(0) > 0 { (2, 2) } else { (4, 50) };
    one.max(other) < one.min(other) * factor + Duration::from_millis(slack)
}

/// Repeatable random numbers (xorshift64, Marsaglia 2003).
pub struct Random(pub u64);

impl Random {
    /// A number from 0 to `bound` − 1.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
