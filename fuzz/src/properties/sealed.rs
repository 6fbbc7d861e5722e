//! Sealed parts: nothing opens but what was sealed, and PKCS#1 v1.5 padding is judged as RFC 8017 says.

use std::sync::LazyLock;

use openssl::rsa::{Padding, Rsa};
use topchat::crypto::digest::sha256;
use topchat::crypto::envelope::{self, OpenWith};
use topchat::wire::{Envelope, Fingerprint, Suite, signed};

use super::Choices;
use crate::support::people::{ALICE, BOB, GROUP, GROUP_MODERN};

/// What Alice sealed: short and long, direct and for the group.
static SEEDS: LazyLock<Vec<Envelope>> = LazyLock::new(|| {
    let ecb = {
        let fingerprint = envelope::group_fingerprint(&GROUP.writer().id);
        let header = topchat::wire::Header { suite: Suite::GroupEcb, ..ALICE.header("ALL", fingerprint, 5) };
        envelope::seal(header, "hi all", envelope::SealWith::Group(GROUP.writer()), &ALICE.identity).unwrap()
    };
    vec![
        ALICE.seal_to(&BOB, "hi bob", 1),
        ALICE.seal_to(&BOB, &"long ".repeat(100), 2),
        ALICE.seal_to_all("hi all", 3),
        ALICE.seal_to_all(&"long ".repeat(100), 4),
        ecb,
        ALICE.seal_modern_to(&BOB, "hi bob", 6),
        ALICE.seal_modern_to(&BOB, &"long ".repeat(100), 7),
        ALICE.seal_modern_to_all("hi all", 8),
    ]
});

/// An envelope of Alice's with changes: its signature holds for no other bytes than hers, and it opens, even if the
/// signature is not asked, only if header, H and C are hers.
pub fn envelope_open(data: &[u8]) {
    let mut choices = Choices::new(data);
    let seed = &SEEDS[choices.below(SEEDS.len())];
    let Some(changed) = changed(&mut choices, seed) else { return };
    let is_genuine = SEEDS.contains(&changed);
    let holds = envelope::verify(&changed, ALICE.identity.public())
        || envelope::verify_modern(&changed, ALICE.ed25519.public());
    assert_eq!(holds, is_genuine, "the signature of {changed:?}");
    let is_sealed_so = SEEDS.iter().any(|seed| without_signature(seed) == without_signature(&changed));
    let keys = [
        OpenWith::Direct(&BOB.encryption),
        OpenWith::Group(GROUP.writer()),
        OpenWith::DirectModern(&BOB.x25519),
        OpenWith::Group(GROUP_MODERN.writer()),
    ];
    let opens = keys.into_iter().any(|with| envelope::open(&changed, with).is_ok());
    assert_eq!(opens, is_sealed_so, "the text of {changed:?}");
}

/// Changes anywhere, or in one part, or parts of two envelopes put together.
fn changed(choices: &mut Choices<'_>, seed: &Envelope) -> Option<Envelope> {
    let mut envelope = seed.clone();
    match choices.byte() % 4 {
        0 => {
            let mut bytes = seed.encode();
            choices.change(&mut bytes);
            return Envelope::parse(&bytes).ok();
        }
        1 => choices.change(&mut envelope.ciphertext),
        2 => {
            let other = &SEEDS[choices.below(SEEDS.len())];
            let parts = choices.byte();
            if parts & 1 != 0 {
                envelope.commitment = other.commitment;
            }
            if parts & 2 != 0 {
                envelope.ciphertext.clone_from(&other.ciphertext);
            }
            if parts & 4 != 0 {
                envelope.signature.clone_from(&other.signature);
            }
            if parts & 8 != 0 {
                envelope.header.recipient_fp = other.header.recipient_fp;
            }
        }
        _ => {
            envelope.header.seq = u64::from(choices.byte()) + 1;
            envelope.header.prev = u64::from(choices.byte());
            envelope.header.sent_ms = u64::from(choices.byte());
            if choices.byte() & 1 != 0 {
                envelope.header.sender_fp = Fingerprint([choices.byte(); 32]);
            }
        }
    }
    envelope.header_bytes = envelope.header.encode();
    Envelope::parse(&envelope.encode()).ok()
}

fn without_signature(envelope: &Envelope) -> Envelope {
    Envelope { signature: Vec::new(), ..envelope.clone() }
}

/// One block of any content, encrypted without padding: it opens exactly if it is `00 02`, eight or more bytes that are not
/// zero, `00`, and a text whose commitment is the envelope's.
pub fn unpad_v15(data: &[u8]) {
    let mut choices = Choices::new(data);
    let block = block(&mut choices);
    let mut ciphertext = vec![0; BLOCK];
    // A number over the modulus can't be encrypted.
    if TO_BOB.public_encrypt(&block, &mut ciphertext, Padding::NONE).is_err() {
        return;
    }
    let seed = &SEEDS[0];
    // What a wrong reader could take for the text: everything behind the first zero byte that is not the first of all.
    let end = block.iter().skip(1).position(|byte| *byte == 0).map_or(BLOCK, |at| at + 2);
    let content = block.get(end..).unwrap_or_default();
    let commitment = sha256(&signed::commitment(&seed.header_bytes, content));
    let envelope = Envelope { commitment, ciphertext, ..seed.clone() };
    let opened = envelope::open(&envelope, OpenWith::Direct(&BOB.encryption)).ok();
    let expected = message(&block).and_then(text);
    assert_eq!(opened.as_ref().map(|text| text.as_str()), expected, "{block:02x?}");
}

/// A well-formed block with a few changes.
fn block(choices: &mut Choices<'_>) -> Vec<u8> {
    let length = choices.below(BLOCK - 11 + 4);
    let mut content = vec![0x73; 16];
    content.push(1);
    content.extend(choices.bytes(length.saturating_sub(17)).iter().copied());
    content.resize(length, b'x');
    let padding = (BLOCK - 3).saturating_sub(length);
    let mut block = [&[0, 2][..], &vec![0x55; padding], &[0], &content].concat();
    choices.change(&mut block);
    block.resize(BLOCK, 0);
    block
}

/// RFC 8017, section 7.2.2, step 3.
fn message(block: &[u8]) -> Option<&[u8]> {
    let padded = block.strip_prefix(&[0, 2])?;
    let zero = padded.iter().position(|byte| *byte == 0)?;
    (zero >= 8).then(|| padded.get(zero + 1..)).flatten()
}

/// `docs/PROTOCOL.md`, section 6: P.
fn text(plaintext: &[u8]) -> Option<&str> {
    let content = plaintext.get(16..)?;
    let text = content.strip_prefix(&[1])?;
    std::str::from_utf8(text).ok()
}

const BLOCK: usize = 256;

static TO_BOB: LazyLock<Rsa<openssl::pkey::Public>> =
    LazyLock::new(|| Rsa::public_key_from_der(BOB.encryption.public().to_der()).unwrap());
