//! The key bundle: what others need to know to write to an account and to check what it wrote.

use super::Error;
use super::reader::Reader;
use super::writer::Writer;
use crate::limits::{FORMER_SIGNERS_MAX, HANDOVER_MAX, LINEAGE_MAX, SIGNATURE_MAX, SPKI_MAX};
use crate::names::UserName;

/// A key bundle as it is passed around. Parsing says nothing about its keys or signature:
/// `crypto::bundle` checks those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Whose keys these are.
    pub name: UserName,
    /// DER SubjectPublicKeyInfo of the RSA key that signs: the identity.
    pub identity: Vec<u8>,
    /// DER SubjectPublicKeyInfo of the RSA key that decrypts.
    pub encryption: Vec<u8>,
    /// DER SubjectPublicKeyInfo of the Ed25519 key that signs modern messages.
    pub ed25519: Vec<u8>,
    /// DER SubjectPublicKeyInfo of the X25519 key that opens them.
    pub x25519: Vec<u8>,
    /// Ed25519 keys before that one, the newest first.
    pub former: Vec<FormerSigner>,
    /// What others are to send to this account.
    pub prefers: Prefers,
    /// Grows with every new bundle of the same identity, from 1.
    pub number: u64,
    /// RSASSA-PKCS1-v1_5-SHA256 by the identity key over [`signed::bundle`](super::signed::bundle).
    pub signature: Vec<u8>,
    /// Ed25519 by that key over the same: whoever made the bundle holds it.
    pub possession: [u8; 64],
}

/// An Ed25519 key that was replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormerSigner {
    /// DER SubjectPublicKeyInfo.
    pub key: Vec<u8>,
    /// When, as Unix time in milliseconds.
    pub retired_ms: u64,
}

/// What an account asks others to send to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Prefers {
    /// Suite 0x01, unless the sender wants 0x02.
    #[default]
    Classic = 0,
    /// Suite 0x02 and no other.
    Modern = 1,
}

/// An identity key that an account had before, and the words that both it and the next one signed.
///
/// A list of these, the newest first, is an identity's *lineage*. Parsing says nothing about the signatures:
/// `crypto::bundle` checks those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predecessor {
    /// DER SubjectPublicKeyInfo of the older identity key.
    pub identity: Vec<u8>,
    /// RSASSA-PKCS1-v1_5-SHA256 over [`signed::handover`](super::signed::handover) by that key, and behind it by the next one.
    pub handover: Vec<u8>,
}

impl Prefers {
    /// In one word, for people and for scripts.
    pub fn word(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Modern => "modern",
        }
    }
}

impl Predecessor {
    pub(super) fn read_lineage(reader: &mut Reader<'_>) -> Result<Vec<Self>, Error> {
        let count = usize::from(reader.u8("lineage")?);
        if count > LINEAGE_MAX {
            return Err(Error::TooMany { field: "lineage", count, limit: LINEAGE_MAX });
        }
        let read = |_| {
            Ok(Self {
                identity: reader.bytes16("former identity", SPKI_MAX)?.to_vec(),
                handover: reader.bytes16("handover", HANDOVER_MAX)?.to_vec(),
            })
        };
        (0..count).map(read).collect()
    }

    pub(super) fn write_lineage(lineage: &[Self], writer: &mut Writer) {
        writer.u8(lineage.len().try_into().expect("a lineage is limited to 8 keys"));
        for predecessor in lineage {
            writer.bytes16(&predecessor.identity);
            writer.bytes16(&predecessor.handover);
        }
    }
}

impl Bundle {
    /// Strict: one canonical encoding, no trailing bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let bundle = Self {
            name: reader.name("bundle name")?,
            identity: reader.bytes16("identity key", SPKI_MAX)?.to_vec(),
            encryption: reader.bytes16("encryption key", SPKI_MAX)?.to_vec(),
            ed25519: reader.bytes16("Ed25519 key", SPKI_MAX)?.to_vec(),
            x25519: reader.bytes16("X25519 key", SPKI_MAX)?.to_vec(),
            former: read_former(&mut reader)?,
            prefers: read_prefers(&mut reader)?,
            number: read_number(&mut reader)?,
            signature: reader.bytes16("bundle signature", SIGNATURE_MAX)?.to_vec(),
            possession: reader.array("possession")?,
        };
        reader.end("bundle")?;
        Ok(bundle)
    }

    /// Whether both say the same, whatever their signatures are.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let words = |bundle: &Self| {
            let mut writer = Writer::default();
            bundle.write_unsigned(&mut writer);
            writer.into_bytes()
        };
        words(self) == words(other)
    }

    /// The bundle as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(2048);
        self.write_unsigned(&mut writer);
        writer.bytes16(&self.signature);
        writer.bytes(&self.possession);
        writer.into_bytes()
    }

    /// Everything before the signatures, as it is signed.
    pub(super) fn write_unsigned(&self, writer: &mut Writer) {
        writer.bytes8(self.name.as_str().as_bytes());
        writer.bytes16(&self.identity);
        writer.bytes16(&self.encryption);
        writer.bytes16(&self.ed25519);
        writer.bytes16(&self.x25519);
        writer.u8(self.former.len().try_into().expect("former keys are limited to 3"));
        for former in &self.former {
            writer.bytes16(&former.key);
            writer.u64(former.retired_ms);
        }
        writer.u8(self.prefers as u8);
        writer.u64(self.number);
    }
}

fn read_former(reader: &mut Reader<'_>) -> Result<Vec<FormerSigner>, Error> {
    let count = usize::from(reader.u8("former Ed25519 keys")?);
    if count > FORMER_SIGNERS_MAX {
        return Err(Error::TooMany { field: "former Ed25519 keys", count, limit: FORMER_SIGNERS_MAX });
    }
    let read = |_| {
        let key = reader.bytes16("former Ed25519 key", SPKI_MAX)?.to_vec();
        Ok(FormerSigner { key, retired_ms: reader.u64("retired_ms")? })
    };
    (0..count).map(read).collect()
}

fn read_prefers(reader: &mut Reader<'_>) -> Result<Prefers, Error> {
    match reader.u8("prefers")? {
        0 => Ok(Prefers::Classic),
        1 => Ok(Prefers::Modern),
        value => Err(Error::BadValue { field: "prefers", value: value.into() }),
    }
}

fn read_number(reader: &mut Reader<'_>) -> Result<u64, Error> {
    match reader.u64("bundle number")? {
        0 => Err(Error::BadValue { field: "bundle number", value: 0 }),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lineage_of_nine_is_refused_as_nine_entries() {
        let error = Predecessor::read_lineage(&mut Reader::new(&[9])).unwrap_err();
        assert_eq!(error.to_string(), "lineage announces 9 entries, at most 8 are allowed");
    }

    #[test]
    fn a_bundle_has_at_most_three_former_keys_and_one_of_two_wishes() {
        let former = vec![FormerSigner { key: vec![3; 44], retired_ms: 7 }; 3];
        let bundle = Bundle {
            name: "bob".parse().unwrap(),
            identity: vec![1; 4],
            encryption: vec![2; 4],
            ed25519: vec![3; 44],
            x25519: vec![4; 44],
            former,
            prefers: Prefers::Modern,
            number: 1,
            signature: vec![5; 256],
            possession: [6; 64],
        };
        let bytes = bundle.encode();
        assert_eq!(Bundle::parse(&bytes), Ok(bundle.clone()));
        let count = 4 + 6 + 6 + 46 + 46;
        let four = [&bytes[..count], &[4], &bytes[count + 1..]].concat();
        assert!(matches!(Bundle::parse(&four), Err(Error::TooMany { count: 4, limit: 3, .. })));
        let prefers = count + 1 + 3 * 54;
        let other = [&bytes[..prefers], &[2], &bytes[prefers + 1..]].concat();
        assert_eq!(Bundle::parse(&other), Err(Error::BadValue { field: "prefers", value: 2 }));
    }
}
