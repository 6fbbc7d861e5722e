//! Redis: RESP 2 (redis.io, "Redis serialization protocol"). A connection that subscribes can't publish, so a member has two.

use std::io;
use std::net::SocketAddr;

use super::dialect::{Conn, Dialect, STAMP, Seen, Stamp, To};
use super::pipe::{Pipe, TlsClient};

/// Both connections of a member.
pub(crate) fn connect(
    address: SocketAddr,
    member: usize,
    size: usize,
    tls: Option<&TlsClient>,
) -> io::Result<[Conn; 2]> {
    let begin = |command: &[&str], answers: usize| -> io::Result<Pipe> {
        let mut pipe = Pipe::connect(address)?;
        if let Some(tls) = tls {
            pipe = pipe.secured(tls)?;
        }
        array(command.iter().map(|word| word.as_bytes()), &mut pipe.outgoing);
        pipe.flush()?;
        while pipe.received().windows(2).filter(|pair| pair == b"\r\n").count() < answers {
            pipe.read()?;
        }
        pipe.consume(pipe.received().len());
        pipe.unblock()?;
        Ok(pipe)
    };
    // Each of the two channels is answered by six lines.
    let receives = begin(&["SUBSCRIBE", "all", &member.to_string()], 12)?;
    let sends = begin(&["CLIENT", "REPLY", "OFF"], 0)?;
    let dialect = || Box::new(Resp { payload: vec![b'x'; size] });
    Ok([
        Conn { pipe: receives, dialect: dialect(), sender: None, receiver: Some(member), echoes: true },
        Conn { pipe: sends, dialect: dialect(), sender: Some(member), receiver: None, echoes: true },
    ])
}

struct Resp {
    payload: Vec<u8>,
}

impl Dialect for Resp {
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>) {
        let channel = match to {
            To::Group => "all".to_owned(),
            To::Member(member) => member.to_string(),
        };
        self.payload[..STAMP].copy_from_slice(stamp);
        array([b"PUBLISH", channel.as_bytes(), &self.payload].into_iter(), out);
    }

    fn take(&mut self, bytes: &[u8], _: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize {
        let mut taken = 0;
        while let Some((message, length)) = push(&bytes[taken..]) {
            seen.extend(message.get(..STAMP).and_then(|stamp| stamp.try_into().ok()).map(Seen::Message));
            taken += length;
        }
        taken
    }
}

/// An array of bulk strings.
fn array<'a>(words: impl ExactSizeIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// The last of the three strings of a pushed message, and the length of all.
fn push(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut at = bytes.strip_prefix(b"*3\r\n").map(|_| 4)?;
    let mut last: &[u8] = &[];
    for _ in 0..3 {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|byte| *byte == b'\r')?;
        let size: usize = std::str::from_utf8(rest.get(1..end)?).ok()?.parse().ok()?;
        last = rest.get(end + 2..end + 2 + size)?;
        rest.get(end + 3 + size)?;
        at += end + 4 + size;
    }
    Some((last, at))
}

#[cfg(test)]
mod tests {
    use super::super::dialect::stamp;
    use super::*;

    #[test]
    fn publishes_an_array_of_bulk_strings() {
        let mut out = Vec::new();
        Resp { payload: vec![b'x'; 18] }.publish(To::Member(12), &stamp(1, 2, 3), &mut out);
        assert_eq!(out, b"*3\r\n$7\r\nPUBLISH\r\n$2\r\n12\r\n$18\r\n0100020000000003xx\r\n");
    }

    #[test]
    fn takes_whole_messages_only() {
        let one = b"*3\r\n$7\r\nmessage\r\n$3\r\nall\r\n$18\r\n0100020000000003xx\r\n";
        let bytes = [one.as_slice(), one].concat();
        for cut in 0..=bytes.len() {
            let mut seen = Vec::new();
            let taken = Resp { payload: Vec::new() }.take(&bytes[..cut], &mut Vec::new(), &mut seen);
            assert_eq!((taken, seen.len()), (cut / one.len() * one.len(), cut / one.len()));
        }
    }
}
