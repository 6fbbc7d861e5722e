//! TLS 1.3 over TCP, frames in and out, and waiting for either side without holding anything.
//!
//! A [`Connection`] never blocks: the thread that owns it (or briefly locks it) takes what is there,
//! then waits with [`wait`] on a [`Watch`] of the socket and on a [`Wakeup`].

mod connection;
mod error;
mod forwarded;
mod gathered;
mod liveness;
mod stop;
mod tls;
mod wait;

pub use connection::{Connection, Received};
pub use error::TransportError;
pub use forwarded::{ForwardError, forwarded_for};
pub use liveness::{Liveness, Pulse};
pub use stop::{Hangup, Stop};
pub use tls::{ClientTls, ServerTls, check_handshake, check_key_log};
pub use wait::{Interest, Ready, Wakeup, Watch, has_hung_up, wait, wait_any, wait_input, wait_output};
