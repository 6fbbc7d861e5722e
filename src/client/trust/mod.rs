//! Pins of contacts and servers, and how two people compare keys.

pub mod contacts;
pub(crate) mod pins;
pub mod servers;
pub(crate) mod verification;
