//! Hashes, and comparing them.

use openssl::sha::Sha256;
use zeroize::Zeroizing;

/// Bytes that SHA-256 takes at once.
const BLOCK: usize = 64;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    // OpenSSL 3 looks the algorithm up for every hash made in one call, which takes longer than hashing a message.
    let mut hash = Sha256::new();
    hash.update(bytes);
    hash.finish()
}

/// SHA-512 (FIPS 180-4).
pub fn sha512(bytes: &[u8]) -> [u8; 64] {
    openssl::sha::sha512(bytes)
}

/// HMAC-SHA-256 (RFC 2104).
pub fn hmac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    hmac_of(key, &[bytes])
}

/// The same over several pieces, one behind the other. Over the hash itself: OpenSSL 3 takes longer to set its own up than to compute it.
pub(super) fn hmac_of(key: &[u8], pieces: &[&[u8]]) -> [u8; 32] {
    let digest = (key.len() > BLOCK).then(|| Zeroizing::new(sha256(key)));
    let key = digest.as_ref().map_or(key, |digest| &digest[..]);
    let keyed = |pad: u8| {
        let mut block = Zeroizing::new([pad; BLOCK]);
        block.iter_mut().zip(key).for_each(|(byte, of_key)| *byte ^= of_key);
        let mut hash = Sha256::new();
        hash.update(&block[..]);
        hash
    };
    let mut inner = keyed(0x36);
    pieces.iter().for_each(|piece| inner.update(piece));
    let mut outer = keyed(0x5c);
    outer.update(&inner.finish());
    outer.finish()
}

/// Compares in a time that depends on the lengths only.
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && openssl::memcmp::eq(a, b)
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    #[test]
    fn sha256_gives_the_known_answer_of_fips_180() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(HEXLOWER.encode(&sha256(b"abc")), expected);
    }

    #[test]
    fn sha512_gives_the_known_answer_of_fips_180() {
        let expected = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                        2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
        assert_eq!(HEXLOWER.encode(&sha512(b"abc")), expected);
    }

    #[test]
    fn hmac_gives_the_known_answers_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(HEXLOWER.encode(&hmac(b"Jefe", b"what do ya want for nothing?")), expected);
        let long_key = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(HEXLOWER.encode(&hmac(&[0xaa; 131], text)), long_key);
    }

    #[test]
    fn an_empty_key_is_a_key() {
        let expected = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
        assert_eq!(HEXLOWER.encode(&hmac(b"", b"")), expected);
    }

    #[test]
    fn equal_means_same_length_and_same_bytes() {
        assert!(equal(b"", b""));
        assert!(equal(b"ab", b"ab"));
        assert!(!equal(b"ab", b"ac"));
        assert!(!equal(b"ab", b"abc"));
    }
}
