//! How one message stands in the log.
//!
//! ```text
//! u32 length of all that follows the checksum   u32 CRC-32 of that length and all that follows
//! u64 number   u64 safe   u64 run_ms   u64 group   u32 total   [32] recipient   u64 joined   [16] digest   envelope
//! ```
//!
//! Big-endian. Numbers only grow; there may be gaps. `safe` is the last number that was on disk when this record was
//! written: it tells a torn write from damage.

use crate::limits::FRAME_MAX;
use crate::wire::Fingerprint;

/// What the server notes about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Its place in the order of all messages.
    pub(crate) number: u64,
    /// The last number that was on disk when this was written.
    pub(crate) safe: u64,
    /// How long the server had run when it came, in milliseconds.
    pub(crate) run_ms: u64,
    /// How many group messages there were so far, this one included.
    pub(crate) group: u64,
    /// How many recipients it has.
    pub(crate) total: u32,
    /// First identity of the recipient and where it began in the log, so that no later owner of the name gets it; zeros for the
    /// group.
    pub(crate) recipient: Fingerprint,
    pub(crate) joined: u64,
    /// Tells a resend from other bytes under the same id.
    pub(crate) digest: [u8; 16],
}

/// What stands at a position of the log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole record of so many bytes.
    Record { meta: Meta, envelope: &'a [u8], length: usize },
    /// No whole record.
    Nothing,
}

/// Adds a record.
pub(crate) fn write(meta: &Meta, envelope: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(FIELDS + envelope.len()).expect("an envelope fits a frame").to_be_bytes();
    let begin = out.len();
    out.extend(length);
    out.extend([0; 4]);
    for number in [meta.number, meta.safe, meta.run_ms, meta.group] {
        out.extend(number.to_be_bytes());
    }
    out.extend(meta.total.to_be_bytes());
    out.extend(meta.recipient.0);
    out.extend(meta.joined.to_be_bytes());
    out.extend(meta.digest);
    out.extend(envelope);
    let sum = checksum(length, &out[begin + HEAD..]).to_be_bytes();
    out[begin + length.len()..begin + HEAD].copy_from_slice(&sum);
}

/// Reads the record that begins here, if there is a whole and undamaged one.
pub(crate) fn read(bytes: &[u8]) -> Found<'_> {
    try_read(bytes).unwrap_or(Found::Nothing)
}

/// Whether what begins here has the length that it says, and is not cut short: its content is wrong then.
pub(crate) fn is_as_long_as_it_says(bytes: &[u8]) -> bool {
    let size = bytes.first_chunk::<4>().and_then(|length| usize::try_from(u32::from_be_bytes(*length)).ok());
    size.is_some_and(|size| (FIELDS..=FIELDS + FRAME_MAX).contains(&size) && HEAD + size <= bytes.len())
}

fn try_read(bytes: &[u8]) -> Option<Found<'_>> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (sum, rest) = rest.split_first_chunk::<4>()?;
    let size = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    if !(FIELDS..=FIELDS + FRAME_MAX).contains(&size) {
        return None;
    }
    let mut body = rest.get(..size)?;
    if checksum(*length, body) != u32::from_be_bytes(*sum) {
        return None;
    }
    let meta = Meta {
        number: u64::from_be_bytes(take(&mut body)?),
        safe: u64::from_be_bytes(take(&mut body)?),
        run_ms: u64::from_be_bytes(take(&mut body)?),
        group: u64::from_be_bytes(take(&mut body)?),
        total: u32::from_be_bytes(take(&mut body)?),
        recipient: Fingerprint(take(&mut body)?),
        joined: u64::from_be_bytes(take(&mut body)?),
        digest: take(&mut body)?,
    };
    Some(Found::Record { meta, envelope: body, length: HEAD + size })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (field, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*field)
}

fn checksum(length: [u8; 4], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length);
    hasher.update(body);
    hasher.finalize()
}

/// Length and checksum.
const HEAD: usize = 8;
/// All fields between checksum and envelope.
const FIELDS: usize = 4 * 8 + 4 + 32 + 8 + 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let (recipient, digest) = (Fingerprint([5; 32]), [6; 16]);
        Meta { number: 1, safe: 0, run_ms: 2, group: 3, total: 4, recipient, joined: 5, digest }
    }

    #[test]
    fn a_record_is_read_back() {
        let mut bytes = Vec::new();
        write(&meta(), b"first", &mut bytes);
        let length = bytes.len();
        write(&Meta { number: 2, ..meta() }, b"", &mut bytes);
        assert_eq!(read(&bytes), Found::Record { meta: meta(), envelope: b"first", length });
        assert!(matches!(read(&bytes[length..]), Found::Record { envelope: b"", .. }));
    }

    #[test]
    fn no_cut_and_no_changed_bit_passes() {
        let mut bytes = Vec::new();
        write(&meta(), b"an envelope", &mut bytes);
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), Found::Nothing, "cut to {length}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed), Found::Nothing, "bit {bit}");
        }
    }
}
