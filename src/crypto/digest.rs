//! stub
/// SHA-256 (FIPS 180-4).
pub fn sha256(_bytes: &[u8]) -> [u8; 32] { todo!() }
/// HMAC-SHA-256 (RFC 2104).
pub fn hmac(_key: &[u8], _bytes: &[u8]) -> [u8; 32] { todo!() }
/// Constant-time comparison.
pub fn equal(_a: &[u8], _b: &[u8]) -> bool { todo!() }
