//! stub
#![allow(missing_docs)]
use super::keys::*;
use crate::{names::UserName, wire};
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum BundleError {
    #[error("{0}")] Layout(#[from] wire::Error),
    #[error("the {which} key: {why}")] Key { which: &'static str, why: KeyError },
    #[error("one key for both signing and decrypting")] SameKey,
    #[error("the bundle's signature does not hold")] Signature,
}
/// A bundle whose keys and signature were checked.
#[derive(Clone)]
pub struct VerifiedBundle { pub name: UserName, pub number: u64, pub identity: PublicKey, pub encryption: PublicKey }
pub fn make(_name: &UserName, _identity: &PrivateKey, _encryption: &PublicKey, _number: u64) -> Result<wire::Bundle, KeyError> { todo!() }
pub fn verify(_bytes: &[u8]) -> Result<VerifiedBundle, BundleError> { todo!() }
/// Proof of possession for a registration on this connection.
pub fn prove(_identity: &PrivateKey, _exporter: &[u8; 32], _bundle: &[u8]) -> Result<Vec<u8>, KeyError> { todo!() }
pub fn check_proof(_identity: &PublicKey, _exporter: &[u8; 32], _bundle: &[u8], _proof: &[u8]) -> bool { todo!() }
