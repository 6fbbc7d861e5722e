//! The client: from the command line to what a person sees.
//!
//! The folders import only from those before them: `model`, `error`, `config`, `ui`, `state`, `keys`, `trust`, `net`, `receive`,
//! `send`, `chat`, `rpc`, `commands`, `cli`. Decisions are pure and stand apart from input and output: what a typed line
//! means (`chat/commands/parse`), what a received message is (`receive`), how it is shown (`ui/render`).
//!
//! Public are the parts that are fed by strangers' bytes, so that the fuzz targets reach them (`fuzz/src/properties`).

mod chat;
pub mod cli;
mod commands;
mod config;
pub mod error;
pub mod keys;
#[cfg(test)]
mod message_tests;
pub mod model;
mod net;
#[cfg(test)]
mod peer_tests;
pub mod receive;
mod rpc;
mod send;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod state;
pub mod trust;
pub mod ui;

pub use cli::dispatch::run;
pub use error::Error;
pub use error::cause::{ConnectError, ProtocolError};
pub use error::server::ServerError;
pub use error::trust::TrustError;
pub use model::refusal::{Asked, Refusal};
pub use ui::output::words;
