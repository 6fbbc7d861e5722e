//! What the [bare relay](super::bare_relay) is told and says: frames of `wire::frame` whose body begins with who gets it (`u16`),
//! then the payload.
//!
//! A connection's first frame names its own member and comes back once that one is known to the others; nothing else is ever
//! answered.

use std::io;
use std::net::SocketAddr;

use topchat::wire::frame::PREFIX;

use super::dialect::{Conn, Dialect, STAMP, Seen, Stamp, To};
use super::pipe::{Pipe, TlsClient};

/// Everybody but the sender. No member has this number.
pub(crate) const ALL: u16 = u16::MAX;
/// The relay itself, which does nothing with it: whoever acknowledges tells it what has come. No member has this number.
pub(crate) const RELAY: u16 = u16::MAX - 1;
/// Bytes before the payload: length, type, who gets it.
const HEAD: usize = PREFIX + 1 + 2;

/// Connects and waits until the others reach this member.
pub(crate) fn connect(
    address: SocketAddr,
    member: usize,
    size: usize,
    tls: Option<&TlsClient>,
    acknowledges: bool,
) -> io::Result<Conn> {
    let own = u16::try_from(member).ok().filter(|own| *own < RELAY).ok_or(io::ErrorKind::InvalidInput)?;
    let mut pipe = Pipe::connect(address)?;
    if let Some(tls) = tls {
        pipe = pipe.secured(tls)?;
    }
    append(own, b"", &mut pipe.outgoing);
    pipe.flush()?;
    while frame(pipe.received()).is_none() {
        pipe.read()?;
    }
    pipe.consume(HEAD);
    pipe.unblock()?;
    let dialect = Box::new(Bare { payload: vec![b'x'; size], acknowledges });
    Ok(Conn { pipe, dialect, sender: Some(member), receiver: Some(member), echoes: false })
}

/// Adds a frame to others.
pub(crate) fn append(to: u16, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(HEAD - PREFIX + payload.len()).expect("payloads are shorter than an envelope");
    out.extend_from_slice(&length.to_be_bytes());
    out.push(KIND);
    out.extend_from_slice(&to.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The other way round, of a frame's body.
pub(crate) fn split(body: &[u8]) -> Option<(u16, &[u8])> {
    let (to, payload) = body.split_first_chunk()?;
    Some((u16::from_be_bytes(*to), payload))
}

struct Bare {
    payload: Vec<u8>,
    /// What has come is acknowledged as TopChat's protocol does it: once for all that came together.
    acknowledges: bool,
}

impl Dialect for Bare {
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>) {
        let to = match to {
            To::Group => ALL,
            To::Member(member) => u16::try_from(member).expect("connecting took care of that"),
        };
        self.payload[..STAMP].copy_from_slice(stamp);
        append(to, &self.payload, out);
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize {
        let mut taken = 0;
        while let Some((payload, length)) = frame(&bytes[taken..]) {
            seen.extend(payload.get(..STAMP).and_then(|stamp| stamp.try_into().ok()).map(Seen::Message));
            taken += length;
        }
        if self.acknowledges && taken > 0 {
            append(RELAY, &[0; ACKNOWLEDGEMENT], out);
        }
        taken
    }
}

/// The payload and the whole length of a frame at the front.
fn frame(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (prefix, rest) = bytes.split_first_chunk()?;
    let length = u32::from_be_bytes(*prefix) as usize;
    Some((rest.get(HEAD - PREFIX..length)?, PREFIX + length))
}

/// Bytes of what TopChat acknowledges with: an epoch and a number.
const ACKNOWLEDGEMENT: usize = 16;
/// All frames are of one type.
const KIND: u8 = 0;

#[cfg(test)]
mod tests {
    use super::super::dialect::stamp;
    use super::*;

    fn bare(size: usize) -> Bare {
        Bare { payload: vec![b'x'; size], acknowledges: false }
    }

    #[test]
    fn acknowledges_once_for_what_came_together_and_only_whole_messages() {
        let (mut one, mut out) = (Vec::new(), Vec::new());
        append(ALL, b"0100020000000003xx", &mut one);
        let mut dialect = Bare { acknowledges: true, ..bare(0) };
        dialect.take(&one[..one.len() - 1], &mut out, &mut Vec::new());
        assert!(out.is_empty());
        dialect.take(&[one.as_slice(), &one].concat(), &mut out, &mut Vec::new());
        assert_eq!(split(&out[PREFIX + 1..]), Some((RELAY, [0; ACKNOWLEDGEMENT].as_slice())));
    }

    #[test]
    fn publishes_frames_that_name_who_gets_them() {
        let mut out = Vec::new();
        bare(17).publish(To::Member(7), &stamp(1, 2, 3), &mut out);
        assert_eq!(out, b"\0\0\0\x14\0\0\x070100020000000003x");
        assert_eq!(split(&out[PREFIX + 1..]), Some((7, b"0100020000000003x".as_slice())));
    }

    #[test]
    fn takes_whole_messages_only() {
        let mut one = Vec::new();
        append(ALL, b"0100020000000003xx", &mut one);
        let bytes = [one.as_slice(), &one].concat();
        for cut in 0..=bytes.len() {
            let mut seen = Vec::new();
            let taken = bare(0).take(&bytes[..cut], &mut Vec::new(), &mut seen);
            assert_eq!((taken, seen.len()), (cut / one.len() * one.len(), cut / one.len()));
        }
    }
}
