//! stub
#![allow(missing_docs)]
use zeroize::Zeroizing;
use crate::wire::Fingerprint;
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum KeyError {
    #[error("not an RSA key")] NotRsa,
    #[error("an RSA key of {bits} bits, at least 2048 are needed")] TooSmall { bits: u32 },
    #[error("an RSA key of {bits} bits, at most 4096 are allowed")] TooLarge { bits: u32 },
    #[error("an RSA key whose public exponent is not 65537")] Exponent,
    #[error("the passphrase does not open the key")] Passphrase,
    #[error("not a private key in PKCS#8 PEM")] Malformed,
    #[error("OpenSSL failed while {doing}")] OpenSsl { doing: &'static str },
}
/// RSA private key (identity or encryption).
pub struct PrivateKey;
impl PrivateKey {
    pub fn generate(_bits: u32) -> Result<Self, KeyError> { todo!() }
    /// Encrypted PKCS#8 PEM.
    pub fn to_pem(&self, _passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> { todo!() }
    pub fn from_pem(_pem: &[u8], _passphrase: &[u8]) -> Result<Self, KeyError> { todo!() }
    pub fn public(&self) -> &PublicKey { todo!() }
    /// RSASSA-PKCS1-v1_5-SHA256 over EVP.
    pub fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, KeyError> { todo!() }
}
/// RSA public key.
#[derive(Clone)]
pub struct PublicKey;
impl PublicKey {
    /// Strict DER SubjectPublicKeyInfo.
    pub fn from_der(_der: &[u8]) -> Result<Self, KeyError> { todo!() }
    pub fn to_der(&self) -> &[u8] { todo!() }
    pub fn to_pem(&self) -> String { todo!() }
    pub fn fingerprint(&self) -> Fingerprint { todo!() }
    pub fn bits(&self) -> u32 { todo!() }
    pub fn verify(&self, _message: &[u8], _signature: &[u8]) -> bool { todo!() }
    /// A key that nobody holds, so that refusing an unknown name takes the time of refusing a known one.
    pub fn decoy() -> Result<Self, KeyError> { todo!() }
}
