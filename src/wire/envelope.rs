//! The envelope's layout: what the sender makes, the server passes on byte for byte, and the recipient checks.

use std::fmt;

use data_encoding::HEXLOWER;

use super::reader::Reader;
use super::writer::Writer;
use super::{Error, Fingerprint, signed};
use crate::limits::{CIPHERTEXT_MAX, NAME_MAX, PADDED_MAX, PADDING_STEP, RSA_BITS_MIN, SIGNATURE_MAX};
use crate::names::{Recipient, UserName};

/// `S` of the modern suites: the fingerprint of the key, and its signature.
const MODERN_SIGNATURE: usize = 32 + 64;
const MAGIC: [u8; 4] = *b"TCE2";

/// How an envelope is sealed and signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Suite {
    /// RSAES-PKCS1-v1_5 for the recipient, RSASSA-PKCS1-v1_5-SHA256 by the sender.
    Direct = 0x01,
    /// HPKE for the recipient's X25519 key, Ed25519 by the sender.
    DirectModern = 0x02,
    /// DES-CBC with PKCS#7 padding under the group key, same signature.
    GroupCbc = 0x11,
    /// DES-ECB, same signature: equal blocks show, so it is used by explicit wish only.
    GroupEcb = 0x12,
    /// AES-256-GCM under the group key, Ed25519 by the sender.
    GroupModern = 0x13,
}

impl Suite {
    /// What it is for.
    pub fn kind(self) -> Kind {
        match self {
            Self::Direct | Self::DirectModern => Kind::Direct,
            Self::GroupCbc | Self::GroupEcb | Self::GroupModern => Kind::Group,
        }
    }

    /// In one word, for people and for scripts.
    pub fn word(self) -> &'static str {
        if self.is_modern() { "modern" } else { "classic" }
    }

    /// Whether it is one of those that RSA PKCS#1 v1.5 and DES have no part in.
    pub fn is_modern(self) -> bool {
        matches!(self, Self::DirectModern | Self::GroupModern)
    }
}

/// Direct or group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// To one account.
    Direct = 1,
    /// To everybody.
    Group = 2,
}

/// A message's random id.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub [u8; 16]);

impl MessageId {
    /// Its 32 hex digits.
    pub fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The first four hex digits, for people.
    pub fn short(self) -> String {
        HEXLOWER.encode(&self.0[..2])
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.to_hex())
    }
}

/// The clear part `hdr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// How it is sealed and signed.
    pub suite: Suite,
    /// Who wrote it.
    pub sender: UserName,
    /// Identity key of the sender.
    pub sender_fp: Fingerprint,
    /// Number of the sender's present key bundle.
    pub sender_bundle: u64,
    /// Who it is for.
    pub recipient: Recipient,
    /// Direct: the recipient's key that the suite seals for. Group: the group key's 16-byte id, then 16 zero bytes.
    pub recipient_fp: Fingerprint,
    /// Random.
    pub msg_id: MessageId,
    /// Strictly increasing per sender key and recipient.
    pub seq: u64,
    /// `seq` of the last message to that recipient that the server accepted, 0 if none.
    pub prev: u64,
    /// When it was sent, as Unix time in milliseconds by the sender's clock.
    pub sent_ms: u64,
}

impl Header {
    /// The kind follows from the recipient.
    pub fn kind(&self) -> Kind {
        match self.recipient {
            Recipient::All => Kind::Group,
            Recipient::User(_) => Kind::Direct,
        }
    }

    /// `hdr` as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(180);
        writer.bytes(&MAGIC);
        writer.u8(self.suite as u8);
        writer.u8(self.kind() as u8);
        writer.bytes8(self.sender.as_str().as_bytes());
        writer.bytes(&self.sender_fp.0);
        writer.u64(self.sender_bundle);
        writer.bytes8(self.recipient.as_str().as_bytes());
        writer.bytes(&self.recipient_fp.0);
        writer.bytes(&self.msg_id.0);
        writer.u64(self.seq);
        writer.u64(self.prev);
        writer.u64(self.sent_ms);
        writer.into_bytes()
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let magic = reader.array::<4>("magic")?;
        if magic != MAGIC {
            return Err(Error::BadValue { field: "magic", value: u32::from_be_bytes(magic).into() });
        }
        let suite = read_suite(reader)?;
        let kind = reader.u8("kind")?;
        let sender = reader.name("sender")?;
        let sender_fp = Fingerprint(reader.array("sender_fp")?);
        let sender_bundle = reader.u64("sender_bundle")?;
        let recipient = read_recipient(reader)?;
        let header = Self {
            suite,
            sender,
            sender_fp,
            sender_bundle,
            recipient,
            recipient_fp: Fingerprint(reader.array("recipient_fp")?),
            msg_id: MessageId(reader.array("msg_id")?),
            seq: reader.u64("seq")?,
            prev: reader.u64("prev")?,
            sent_ms: reader.u64("sent_ms")?,
        };
        header.check(kind)?;
        Ok(header)
    }

    /// Fields that depend on each other: kind, suite and recipient say the same; a group key id is followed by zeros;
    /// numbers count upwards from 1.
    fn check(&self, kind: u8) -> Result<(), Error> {
        if kind != self.kind() as u8 {
            return Err(Error::BadValue { field: "kind", value: kind.into() });
        }
        if self.suite.kind() != self.kind() {
            return Err(Error::BadValue { field: "suite", value: (self.suite as u8).into() });
        }
        if let (Kind::Group, Some(byte)) = (self.kind(), self.recipient_fp.0.iter().skip(16).find(|byte| **byte != 0)) {
            return Err(Error::BadValue { field: "recipient_fp", value: (*byte).into() });
        }
        if self.sender_bundle == 0 {
            return Err(Error::BadValue { field: "sender_bundle", value: 0 });
        }
        if self.seq == 0 {
            return Err(Error::BadValue { field: "seq", value: 0 });
        }
        if self.prev >= self.seq {
            return Err(Error::BadValue { field: "prev", value: self.prev });
        }
        Ok(())
    }
}

/// A whole envelope, parsed and kept as the bytes that it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The clear part.
    pub header: Header,
    /// `hdr` as it came.
    pub header_bytes: Vec<u8>,
    /// `H`, the commitment to header and plaintext.
    pub commitment: [u8; 32],
    /// `C`.
    pub ciphertext: Vec<u8>,
    /// `S`.
    pub signature: Vec<u8>,
}

impl Envelope {
    /// Strict: one canonical encoding, no trailing bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Parts { header, commitment, ciphertext, signature } = Parts::read(bytes)?;
        let header_bytes = header.encode();
        debug_assert!(bytes.starts_with(&header_bytes));
        Ok(Self { header, header_bytes, commitment, ciphertext: ciphertext.to_vec(), signature: signature.to_vec() })
    }

    /// The clear part of an envelope, checked as strictly as [`parse`](Self::parse) does, without copies of the rest.
    pub fn check(bytes: &[u8]) -> Result<Header, Error> {
        Parts::read(bytes).map(|parts| parts.header)
    }

    /// The clear part of an envelope that was parsed before: what comes behind it is not looked at.
    pub fn peek(bytes: &[u8]) -> Result<Header, Error> {
        Header::read(&mut Reader::new(bytes))
    }

    /// The envelope as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let size = self.header_bytes.len() + 38 + self.ciphertext.len() + self.signature.len();
        let mut writer = Writer::with_capacity(size);
        writer.bytes(&self.header_bytes);
        writer.bytes(&self.commitment);
        writer.bytes32(&self.ciphertext);
        writer.bytes16(&self.signature);
        writer.into_bytes()
    }

    /// What the signature is over.
    pub fn signed_bytes(&self) -> Vec<u8> {
        match self.signer() {
            Some(key) => signed::modern_envelope(key, &self.header_bytes, &self.commitment, &self.ciphertext),
            None => signed::envelope(&self.header_bytes, &self.commitment, &self.ciphertext),
        }
    }

    /// The Ed25519 key that a modern signature says is its own. It stands in a bundle of the sender's identity, or says nothing.
    pub fn signer(&self) -> Option<Fingerprint> {
        let named = self.signature.first_chunk().filter(|_| self.header.suite.is_modern());
        named.map(|bytes| Fingerprint(*bytes))
    }
}

/// An envelope's fields where they came.
struct Parts<'a> {
    header: Header,
    commitment: [u8; 32],
    ciphertext: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let parts = Self {
            header: Header::read(&mut reader)?,
            commitment: reader.array("H")?,
            ciphertext: reader.bytes32("C", CIPHERTEXT_MAX)?,
            signature: reader.bytes16("S", SIGNATURE_MAX)?,
        };
        reader.end("envelope")?;
        parts.check_lengths()?;
        Ok(parts)
    }

    /// What can be said of the sealed parts from outside: RSA blocks of at least 2048 bits; whole DES blocks that hold
    /// at least the 17 bytes of an empty text, padded; whole steps of padding between what AES-GCM puts before and behind.
    fn check_lengths(&self) -> Result<(), Error> {
        let block = (RSA_BITS_MIN / 8) as usize;
        let length = self.ciphertext.len();
        let padded = |around: usize| {
            let steps = length.checked_sub(around).filter(|padded| padded.is_multiple_of(PADDING_STEP));
            steps.is_some_and(|padded| (PADDING_STEP..=PADDED_MAX).contains(&padded))
        };
        let suite = self.header.suite;
        let fits = match suite {
            Suite::Direct => length >= block,
            Suite::DirectModern => padded(32 + 16),
            Suite::GroupModern => padded(12 + 16),
            Suite::GroupCbc => length >= 32 && length.is_multiple_of(8),
            Suite::GroupEcb => length >= 24 && length.is_multiple_of(8),
        };
        if !fits {
            return Err(Error::BadLength { field: "C", length });
        }
        let signature = self.signature.len();
        if (suite.is_modern() && signature != MODERN_SIGNATURE) || (!suite.is_modern() && signature < block) {
            return Err(Error::BadLength { field: "S", length: self.signature.len() });
        }
        Ok(())
    }
}

fn read_suite(reader: &mut Reader<'_>) -> Result<Suite, Error> {
    match reader.u8("suite")? {
        0x01 => Ok(Suite::Direct),
        0x02 => Ok(Suite::DirectModern),
        0x11 => Ok(Suite::GroupCbc),
        0x12 => Ok(Suite::GroupEcb),
        0x13 => Ok(Suite::GroupModern),
        value => Err(Error::BadValue { field: "suite", value: value.into() }),
    }
}

fn read_recipient(reader: &mut Reader<'_>) -> Result<Recipient, Error> {
    let text = reader.str8("recipient", NAME_MAX)?;
    text.parse().map_err(|why| Error::Name { field: "recipient", why })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Envelope {
        let header = Header {
            suite: Suite::GroupCbc,
            sender: "alice".parse().unwrap(),
            sender_fp: Fingerprint([1; 32]),
            sender_bundle: 3,
            recipient: Recipient::All,
            recipient_fp: Fingerprint([0; 32]),
            msg_id: MessageId([3; 16]),
            seq: 7,
            prev: 6,
            sent_ms: 1_700_000_000_000,
        };
        let header_bytes = header.encode();
        Envelope { header, header_bytes, commitment: [4; 32], ciphertext: vec![5; 32], signature: vec![6; 256] }
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut Envelope), field: &str) {
        let mut envelope = sample();
        change(&mut envelope);
        envelope.header_bytes = envelope.header.encode();
        let error = Envelope::parse(&envelope.encode()).unwrap_err();
        assert!(error.to_string().contains(field), "{error} does not name {field}");
    }

    #[test]
    fn parse_gives_back_what_was_encoded() {
        assert_eq!(Envelope::parse(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_an_error() {
        let bytes = sample().encode();
        for length in 0..bytes.len() {
            assert!(Envelope::parse(&bytes[..length]).is_err(), "cut at {length}");
        }
        assert_eq!(Envelope::parse(&[bytes, vec![0]].concat()), Err(Error::Trailing { field: "envelope", count: 1 }));
    }

    #[test]
    fn fields_that_contradict_each_other_are_refused() {
        refused(|e| e.header.suite = Suite::Direct, "suite");
        refused(|e| e.header.suite = Suite::DirectModern, "suite");
        refused(|e| e.header.sender_bundle = 0, "sender_bundle");
        refused(|e| e.header.recipient = "bob".parse().unwrap(), "suite");
        refused(|e| e.header.recipient_fp = Fingerprint([9; 32]), "recipient_fp");
        refused(|e| e.header.seq = 0, "seq");
        refused(|e| e.header.prev = 7, "prev");
        let mut bytes = sample().encode();
        bytes[5] = 1;
        assert_eq!(Envelope::parse(&bytes), Err(Error::BadValue { field: "kind", value: 1 }));
    }

    #[test]
    fn sealed_parts_of_impossible_lengths_are_refused() {
        for length in [0, 8, 24, 31, 33] {
            refused(|e| e.ciphertext = vec![5; length], "C has");
        }
        refused(|e| e.signature = vec![6; 255], "S has");
        refused(|e| e.header.suite = Suite::GroupModern, "C has");
        for padded in [0, 63, 65, 4161, 4224] {
            refused(|e| (e.header.suite, e.ciphertext) = (Suite::GroupModern, vec![5; 28 + padded]), "C has");
        }
        for length in [0, 64, 95, 97, 256] {
            refused(
                |e| {
                    e.header.suite = Suite::GroupModern;
                    (e.ciphertext, e.signature) = (vec![5; 28 + 64], vec![6; length]);
                },
                "S has",
            );
        }
    }

    #[test]
    fn a_modern_signature_names_its_key() {
        let mut envelope = sample();
        assert_eq!(envelope.signer(), None);
        envelope.header.suite = Suite::GroupModern;
        envelope.header_bytes = envelope.header.encode();
        (envelope.ciphertext, envelope.signature) = (vec![5; 28 + 4160], vec![6; 96]);
        assert_eq!(Envelope::parse(&envelope.encode()), Ok(envelope.clone()));
        assert_eq!(envelope.signer(), Some(Fingerprint([6; 32])));
    }

    #[test]
    fn suites_that_are_none_are_refused() {
        for suite in [0x00, 0x03, 0x10, 0x14, 0xff] {
            let mut bytes = sample().encode();
            bytes[4] = suite;
            assert_eq!(Envelope::parse(&bytes), Err(Error::BadValue { field: "suite", value: suite.into() }));
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_encodes_to_the_same_bytes(position in 0_usize..480, value in any::<u8>()) {
            let mut bytes = sample().encode();
            let position = position % bytes.len();
            bytes[position] = value;
            if let Ok(envelope) = Envelope::parse(&bytes) {
                prop_assert_eq!(envelope.encode(), bytes);
            }
        }

        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = Envelope::parse(&bytes);
            let _ = crate::wire::Bundle::parse(&bytes);
        }
    }
}
