//! Keys, envelopes and logins over OpenSSL. No input or output.

pub mod bundle;
pub mod certificate;
pub mod digest;
pub mod direct;
pub mod envelope;
pub mod group;
pub mod group_key;
pub mod keys;
mod pkcs8;
pub mod random;
pub mod scram;
pub mod signature;
