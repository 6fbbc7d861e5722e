//! The key bundle: what others need to know to write to an account and to check what it wrote.

use super::Error;
use super::reader::Reader;
use super::writer::Writer;
use crate::limits::{HANDOVER_MAX, LINEAGE_MAX, SIGNATURE_MAX, SPKI_MAX};
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
    /// Grows with every new bundle of the same identity, from 1.
    pub number: u64,
    /// RSASSA-PKCS1-v1_5-SHA256 by the identity key over [`signed::bundle`](super::signed::bundle).
    pub signature: Vec<u8>,
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
            number: read_number(&mut reader)?,
            signature: reader.bytes16("bundle signature", SIGNATURE_MAX)?.to_vec(),
        };
        reader.end("bundle")?;
        Ok(bundle)
    }

    /// The bundle as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(2048);
        self.write_unsigned(&mut writer);
        writer.bytes16(&self.signature);
        writer.into_bytes()
    }

    /// Everything before the signature, as it is signed.
    pub(super) fn write_unsigned(&self, writer: &mut Writer) {
        writer.bytes8(self.name.as_str().as_bytes());
        writer.bytes16(&self.identity);
        writer.bytes16(&self.encryption);
        writer.u64(self.number);
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
}
