//! Connections before a session: accept, pre-auth limits, throttle, rate limit, TLS identity.

pub(crate) mod bind_address;
pub(crate) mod capacity;
pub(crate) mod end;
pub(crate) mod identity;
pub(crate) mod line;
pub(crate) mod preauth;
pub mod proxies;
pub mod rate_limit;
pub mod scheduling;
pub(crate) mod send_queue;
pub mod surroundings;
pub mod throttle;

/// Tells sessions apart, also those of one account.
pub(crate) type SessionId = u64;
