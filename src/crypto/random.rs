//! Random bytes.

use zeroize::Zeroizing;

/// Random bytes from OpenSSL's generator.
///
/// Panics if the operating system gives no randomness: nothing that follows could be trusted.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    #[cfg(feature = "simulation")]
    if crate::machine::world::ask(|world| world.random(&mut bytes)).is_some() {
        return bytes;
    }
    openssl::rand::rand_bytes(&mut bytes).expect("the operating system gives randomness");
    bytes
}

/// The same for key material: from OpenSSL's generator for private values, and wiped after use.
pub(super) fn secret<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    openssl::rand::rand_priv_bytes(bytes.as_mut()).expect("the operating system gives randomness");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_values_are_the_same() {
        assert_ne!(bytes::<16>(), bytes::<16>());
        assert_ne!(*secret::<16>(), *secret::<16>());
    }
}
