//! Sessions that are logged in: hub, seats, handles, presence broadcast.

pub(crate) mod handle;
pub(crate) mod hub;
mod online;
pub(crate) mod presence;
pub(crate) mod seat;
