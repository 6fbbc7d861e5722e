//! stub
#![allow(missing_docs)]
use zeroize::Zeroizing;
pub struct CertificatePem { pub certificate: String, pub key: Zeroizing<String> }
/// Self-signed ECDSA P-256 certificate.
pub fn self_signed() -> Result<CertificatePem, super::keys::KeyError> { todo!() }
