//! The one strict reader for bytes that a stranger sent.

use std::io::Read;

use byteorder::{BigEndian, ReadBytesExt};

use crate::names::{NameError, UserName};

/// Why bytes are not what the protocol says. Every variant names the field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A field has a length that it can't have.
    #[error("{field} has {length} bytes, which can't be")]
    BadLength {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        length: usize,
    },
    /// A field holds a value that it can't have.
    #[error("{field}: {value:#x} is not a known value")]
    BadValue {
        /// The field.
        field: &'static str,
        /// What it held.
        value: u64,
    },
    /// A name that is no account name.
    #[error("{field}: {why}")]
    Name {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: NameError,
    },
    /// A text that is not UTF-8.
    #[error("{field} is not UTF-8")]
    NotUtf8 {
        /// The field.
        field: &'static str,
    },
    /// A length over the limit of its field.
    #[error("{field} announces {length} bytes, at most {limit} are allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// The announced length in bytes.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// More entries than a list may have.
    #[error("{field} announces {count} entries, at most {limit} are allowed")]
    TooMany {
        /// The field.
        field: &'static str,
        /// The announced number of entries.
        count: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Bytes after the last field.
    #[error("{count} bytes too many after {field}")]
    Trailing {
        /// What should have ended.
        field: &'static str,
        /// How many bytes are left.
        count: usize,
    },
    /// The bytes end within a field.
    #[error("the bytes end within {field}")]
    Truncated {
        /// The field.
        field: &'static str,
    },
}

/// A cursor over received bytes. Nothing is allocated before a length was compared with its limit.
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A cursor at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.rest.read_u8().map_err(|_| Error::Truncated { field })
    }

    /// A big-endian 16-bit number.
    pub fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.rest.read_u16::<BigEndian>().map_err(|_| Error::Truncated { field })
    }

    /// A big-endian 32-bit number.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        self.rest.read_u32::<BigEndian>().map_err(|_| Error::Truncated { field })
    }

    /// A big-endian 64-bit number.
    pub fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        self.rest.read_u64::<BigEndian>().map_err(|_| Error::Truncated { field })
    }

    /// A byte that is 0 or 1.
    pub fn flag(&mut self, field: &'static str) -> Result<bool, Error> {
        match self.u8(field)? {
            0 => Ok(false),
            1 => Ok(true),
            value => Err(Error::BadValue { field, value: value.into() }),
        }
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.rest.read_exact(&mut bytes).map_err(|_| Error::Truncated { field })?;
        Ok(bytes)
    }

    /// Bytes behind an 8-bit length.
    pub fn bytes8(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], Error> {
        let length = self.u8(field)?.into();
        self.limited(field, length, limit)
    }

    /// Bytes behind a 16-bit length.
    pub fn bytes16(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], Error> {
        let length = self.u16(field)?.into();
        self.limited(field, length, limit)
    }

    /// Bytes behind a 32-bit length.
    pub fn bytes32(&mut self, field: &'static str, limit: usize) -> Result<&'a [u8], Error> {
        let length = self.u32(field)?;
        self.limited(field, usize::try_from(length).unwrap_or(usize::MAX), limit)
    }

    /// UTF-8 behind an 8-bit length.
    pub fn str8(&mut self, field: &'static str, limit: usize) -> Result<&'a str, Error> {
        utf8(field, self.bytes8(field, limit)?)
    }

    /// UTF-8 behind a 16-bit length.
    pub fn str16(&mut self, field: &'static str, limit: usize) -> Result<&'a str, Error> {
        utf8(field, self.bytes16(field, limit)?)
    }

    /// An account name behind an 8-bit length.
    pub fn name(&mut self, field: &'static str) -> Result<UserName, Error> {
        let text = self.str8(field, u8::MAX.into())?;
        text.parse().map_err(|why| Error::Name { field, why })
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// How many bytes are left.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends the reading: bytes that are left are an error.
    pub fn end(self, field: &'static str) -> Result<(), Error> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(Error::Trailing { field, count }),
        }
    }

    fn limited(&mut self, field: &'static str, length: usize, limit: usize) -> Result<&'a [u8], Error> {
        if length > limit {
            return Err(Error::TooLong { field, length, limit });
        }
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(Error::Truncated { field })?;
        self.rest = rest;
        Ok(bytes)
    }
}

fn utf8<'a>(field: &'static str, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8 { field })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_big_endian() {
        let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(reader.u8("a"), Ok(0x01));
        assert_eq!(reader.u16("b"), Ok(0x0203));
        assert_eq!(reader.u32("c"), Ok(0x0405_0607));
        assert_eq!(reader.u64("d"), Ok(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(reader.end("all"), Ok(()));
    }

    #[test]
    fn a_length_is_compared_with_its_limit_before_the_bytes() {
        let mut reader = Reader::new(&[0xff, 0xff, 0xff, 0xff, 0]);
        let error = reader.bytes32("C", 10).unwrap_err();
        assert_eq!(error, Error::TooLong { field: "C", length: 0xffff_ffff, limit: 10 });
    }

    #[test]
    fn a_field_cut_short_is_named() {
        assert_eq!(Reader::new(&[0]).u16("code"), Err(Error::Truncated { field: "code" }));
        assert_eq!(Reader::new(&[3, 1, 2]).bytes8("salt", 9), Err(Error::Truncated { field: "salt" }));
        assert_eq!(Reader::new(&[1, 2]).array::<3>("id"), Err(Error::Truncated { field: "id" }));
    }

    #[test]
    fn trailing_bytes_are_an_error() {
        let reader = Reader::new(&[1, 2]);
        assert_eq!(reader.end("ping"), Err(Error::Trailing { field: "ping", count: 2 }));
    }

    #[test]
    fn a_flag_is_zero_or_one() {
        assert_eq!(Reader::new(&[1]).flag("more"), Ok(true));
        assert_eq!(Reader::new(&[2]).flag("more"), Err(Error::BadValue { field: "more", value: 2 }));
    }

    #[test]
    fn texts_are_utf8_and_names_are_names() {
        assert_eq!(Reader::new(&[1, 0xff]).str8("text", 9), Err(Error::NotUtf8 { field: "text" }));
        let error = Reader::new(&[2, b'A', b'l']).name("name").unwrap_err();
        assert_eq!(error, Error::Name { field: "name", why: NameError::FirstCharacter });
    }
}
