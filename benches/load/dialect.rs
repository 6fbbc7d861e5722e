//! What the load generator says to a server and understands of it, whatever its protocol.

use std::ops::Range;

use super::pipe::Pipe;

/// Tells one message from all others, in text that every protocol carries: sender, run and number in hex.
pub(crate) type Stamp = [u8; STAMP];

/// Bytes of a stamp: those of a message id.
pub(crate) const STAMP: usize = 16;

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// Everybody.
    Group,
    /// One member.
    Member(usize),
}

/// Something that a server said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A message came.
    Message(Stamp),
    /// A message of this connection was accepted.
    Answer,
}

/// One connection's protocol, after its login.
pub(crate) trait Dialect: Send {
    /// Adds a message to what goes out.
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>);

    /// Understands what came, whole units only; gives how many bytes it took. Answers that the protocol asks for are added
    /// to what goes out.
    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize;
}

/// A connection that is logged in.
pub(crate) struct Conn {
    /// Its bytes.
    pub pipe: Pipe,
    /// Its protocol.
    pub dialect: Box<dyn Dialect>,
    /// Who sends by it.
    pub sender: Option<usize>,
    /// Who receives by it.
    pub receiver: Option<usize>,
    /// Group messages come back to their sender, too.
    pub echoes: bool,
}

/// The stamp of a sender's message.
pub(crate) fn stamp(sender: usize, run: u64, number: u64) -> Stamp {
    let mut stamp = [0; STAMP];
    let fields = [(0..2, sender as u64), (2..6, run), (6..STAMP, number)];
    for (range, mut rest) in fields {
        for digit in stamp[range].iter_mut().rev() {
            *digit = HEX[(rest & 15) as usize];
            rest >>= 4;
        }
    }
    stamp
}

/// Sender, run and number of a stamp.
pub(crate) fn unstamp(stamp: &[u8]) -> Option<(usize, u64, u64)> {
    let stamp: &Stamp = stamp.try_into().ok()?;
    let field =
        |range: Range<usize>| stamp[range].iter().try_fold(0, |value, digit| Some(value << 4 | digit_of(*digit)?));
    Some((field(0..2)? as usize, field(2..6)?, field(6..STAMP)?))
}

fn digit_of(byte: u8) -> Option<u64> {
    match byte {
        b'0'..=b'9' => Some(u64::from(byte - b'0')),
        b'a'..=b'f' => Some(u64::from(byte - b'a' + 10)),
        _ => None,
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_tells_who_and_which() {
        for fields in [(0, 0, 1), (9, 0xfffe, 0xff_ffff_fffe), (255, 7, 1_000_000)] {
            assert_eq!(unstamp(&stamp(fields.0, fields.1, fields.2)), Some(fields));
        }
        assert_eq!(unstamp(b"no hex at all..."), None);
        assert_eq!(unstamp(b"00"), None);
    }
}
