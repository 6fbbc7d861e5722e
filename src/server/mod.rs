//! x
pub mod accounts;
pub mod throttle;
