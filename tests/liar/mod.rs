//! The real client before a server that lies: no lie reaches the screen as truth, and none makes the client talk.

mod changes;
mod deliveries;
mod lies;
mod login;
mod lookups;
mod oracle;
mod order;
mod peers;
mod refusals;
pub mod server;
mod stage;
mod tampering;
mod terminal;
mod unasked;
