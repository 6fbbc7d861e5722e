//! Clocks: one that only goes on, and the one on the wall.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment of the clock that only goes on.
pub fn now() -> Instant {
    #[cfg(feature = "simulation")]
    if let Some(now) = super::world::ask(|world| world.now()) {
        return super::world::moment(now);
    }
    Instant::now()
}

/// How long ago that was.
pub fn since(moment: Instant) -> Duration {
    now().saturating_duration_since(moment)
}

/// What the wall shows: the time since 1970, which steps when somebody sets it. A clock before 1970 counts as 1970.
pub fn unix() -> Duration {
    #[cfg(feature = "simulation")]
    if let Some(unix) = super::world::ask(|world| world.unix()) {
        return unix;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Lets this thread rest.
pub fn sleep(pause: Duration) {
    #[cfg(feature = "simulation")]
    if super::world::ask(|world| world.sleep(pause)).is_some() {
        return;
    }
    std::thread::sleep(pause);
}
