//! Keys, envelopes and logins over OpenSSL. No input or output.
//!
//! Every primitive comes from OpenSSL; this module only decides what is accepted and in which order it is put together.
//! Its error stack is a thread's global state: every call here leaves it empty, so that a failure is never blamed on
//! the next caller (TLS above all).

pub mod bundle;
pub mod certificate;
pub mod curve;
pub mod digest;
mod direct;
pub mod envelope;
mod group;
pub mod group_key;
pub mod history;
pub mod keys;
pub mod modern;
mod pkcs8;
pub mod primitives;
pub mod random;
pub mod safety;
pub mod scram;

#[cfg(test)]
pub(crate) mod test_keys;

/// The OpenSSL that this process uses, in its own words.
pub fn openssl_version() -> &'static str {
    openssl::version::version()
}
