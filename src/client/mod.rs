//! The client: from the command line to what a person sees.
//!
//! The decisions are pure and stand apart from input and output: what a typed line means ([`typed`]), what a received
//! message is ([`receive`]), how it is shown ([`render`]). Around them: the account's files ([`account_keys`],
//! [`contacts`], [`sequence`]), the connection ([`connect`], [`link`], [`login`]), and one module per command.

use std::sync::LazyLock;

pub mod address;
pub mod error;
pub mod event;
pub mod json;
pub mod member;
pub mod options;
mod reason;
pub mod receive;
mod remedy;
pub mod render;
mod replay;
pub mod typed;

pub use error::Error;
pub use reason::{Asked, Refusal};

/// This program's version and that of the OpenSSL it uses.
pub fn version() -> &'static str {
    static VERSION: LazyLock<String> =
        LazyLock::new(|| format!("{} ({})", env!("CARGO_PKG_VERSION"), crate::crypto::openssl_version()));
    &VERSION
}
