//! The client: from the command line to what a person sees.
//!
//! The decisions are pure and stand apart from input and output: what a typed line means (`typed`), what a received
//! message is (`receive`), how it is shown (`render`). Around them: the account's files (`account_keys`,
//! `contacts`, `sequence`, `inbox`, `outbox`), the connection (`connect`, `link`, `login`, `reconnect`), and one module per
//! command.
//!
//! Public are the parts that are fed by strangers' bytes, so that the fuzz targets reach them (`fuzz/src/properties`).

mod account;
mod account_error;
mod account_keys;
mod address;
mod admission;
mod backup;
mod before;
mod bell;
mod blocked;
mod cause;
mod chat;
mod choosing;
mod circuit;
mod commands;
mod comparing;
mod compose;
mod conduct;
mod config;
mod connect;
pub mod contacts;
mod dialogue;
mod directory;
mod earlier;
pub mod error;
pub mod event;
mod export;
mod fair;
mod feed;
mod group;
pub mod group_file;
mod group_file_error;
mod history;
mod history_error;
mod history_key;
mod history_view;
pub mod inbox;
mod invite;
mod journal;
mod json;
mod kept;
pub mod keyring;
mod left;
mod lines;
mod link;
mod listen;
mod listening;
mod login;
pub mod member;
#[cfg(test)]
mod message_tests;
mod next_keys;
mod notices;
pub mod options;
mod outbox;
mod output;
mod password;
#[cfg(test)]
mod peer_tests;
mod pending;
mod people;
mod performing;
mod pins;
mod presence;
mod progress;
mod prompt;
mod qr;
mod reason;
pub mod receive;
mod reconnect;
mod register;
mod remedy;
pub mod render;
mod renewal;
pub mod replay;
mod restored;
mod rpc;
mod run;
mod screen;
mod send;
mod sending;
mod sequence;
mod server_error;
pub mod servers;
mod session;
mod start;
pub mod state_file;
pub mod state_folder;
mod terminal;
mod text;
mod transfer;
mod trust_error;
mod typed;
mod until;

pub use account_error::AccountError;
pub use backup::BackupError;
pub use cause::{ConnectError, ProtocolError};
pub use error::Error;
pub use group_file_error::GroupFileError;
pub use history_error::HistoryError;
pub use output::words;
pub use reason::{Asked, Refusal};
pub use run::run;
pub use server_error::ServerError;
pub use trust_error::TrustError;
