//! stub
/// Random bytes from OpenSSL's CSPRNG.
pub fn bytes<const N: usize>() -> [u8; N] { todo!() }
