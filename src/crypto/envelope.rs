//! stub
#![allow(missing_docs)]
use super::{group_key::*, keys::*};
use crate::wire::{Envelope, Header};
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum SealError { #[error("{0}")] Key(#[from] KeyError), #[error("too long: {bytes}")] TooLong { bytes: usize } }
/// Opening failed: one opaque error, whatever the cause.
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone, Copy)]
#[error("could not be opened")]
pub struct OpenError;
pub enum SealWith<'a> { Direct(&'a PublicKey), Group(&'a GroupKey) }
pub enum OpenWith<'a> { Direct(&'a PrivateKey), Group(&'a GroupKey) }
pub fn seal(_header: Header, _text: &str, _with: SealWith<'_>, _identity: &PrivateKey) -> Result<Envelope, SealError> { todo!() }
/// Step 5 of the receiver.
pub fn verify(_envelope: &Envelope, _sender: &PublicKey) -> bool { todo!() }
/// Steps 7 and 8: decrypts, recomputes H, compares in constant time.
pub fn open(_envelope: &Envelope, _with: OpenWith<'_>) -> Result<zeroize::Zeroizing<String>, OpenError> { todo!() }
