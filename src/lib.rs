//! TopChat: a small self-hosted chat whose messages are encrypted and signed on the sender's machine.
//!
//! # Layout
//!
//! Two programs, `topchat` (the client) and `topchat-server`, are thin shells over this library.
//! Each layer imports only from those below it; siblings on one line never import each other.
//!
//! ```text
//! client            server               what happens
//! transport   crypto   storage           TLS and frames · keys, envelopes, SCRAM · durable files
//! wire                                   pure: bytes <-> values
//! limits  names  sync  text  hint  error  std only, but for the distance of words and what Unicode calls a mark
//! ```
//!
//! `ARCHITECTURE.md` tells what each part is for and which invariants hold between them;
//! `docs/PROTOCOL.md` is the normative description of every byte on the wire.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

#[allow(missing_docs, reason = "the inside of a program: what a field is stands in its name and type")]
pub mod client;
pub mod crypto;
pub mod doctor;
pub mod environment;
pub mod error;
pub mod hint;
pub mod limits;
pub mod logging;
pub mod machine;
pub mod names;
#[allow(missing_docs, reason = "as with the client")]
pub mod server;
pub mod storage;
mod sync;
pub mod text;
pub mod transport;
pub mod usage;
pub mod version;
pub mod wire;
