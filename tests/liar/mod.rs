//! The real client before a server that lies: no lie reaches the screen as truth, and none makes the client talk.

mod deliveries;
mod login;
mod lookups;
pub mod server;
