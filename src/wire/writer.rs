//! Writes the protocol's fields into a growing buffer.

use byteorder::{BigEndian, WriteBytesExt};

/// A buffer that fields are appended to.
///
/// Lengths are the caller's invariant: values come from types that hold their limits,
/// and a length that does not fit its prefix is a bug, not an input.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// An empty buffer with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { bytes: Vec::with_capacity(capacity) }
    }

    /// Writes behind what is there.
    pub fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// A big-endian 16-bit number.
    pub fn u16(&mut self, value: u16) {
        self.bytes.write_u16::<BigEndian>(value).expect("writing to a Vec can't fail");
    }

    /// A big-endian 32-bit number.
    pub fn u32(&mut self, value: u32) {
        self.bytes.write_u32::<BigEndian>(value).expect("writing to a Vec can't fail");
    }

    /// A big-endian 64-bit number.
    pub fn u64(&mut self, value: u64) {
        self.bytes.write_u64::<BigEndian>(value).expect("writing to a Vec can't fail");
    }

    /// A flag as 0 or 1.
    pub fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    /// Bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes behind an 8-bit length.
    pub fn bytes8(&mut self, bytes: &[u8]) {
        self.u8(bytes.len().try_into().expect("the field is limited to 255 bytes"));
        self.bytes(bytes);
    }

    /// Bytes behind a 16-bit length.
    pub fn bytes16(&mut self, bytes: &[u8]) {
        self.u16(bytes.len().try_into().expect("the field is limited to 65535 bytes"));
        self.bytes(bytes);
    }

    /// Bytes behind a 32-bit length.
    pub fn bytes32(&mut self, bytes: &[u8]) {
        self.u32(bytes.len().try_into().expect("the field is limited to 2^32 - 1 bytes"));
        self.bytes(bytes);
    }

    /// What was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
