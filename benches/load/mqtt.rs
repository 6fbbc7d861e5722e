//! MQTT 3.1.1 (OASIS), with QoS 0 or 1.

use std::io;
use std::net::SocketAddr;

use super::dialect::{Conn, Dialect, STAMP, Seen, Stamp, To};
use super::pipe::{Pipe, TlsClient};

/// Connects and subscribes. `is_kept`: QoS 1 and a session that outlives the connection.
pub(crate) fn connect(
    address: SocketAddr,
    member: usize,
    size: usize,
    tls: Option<&TlsClient>,
    is_kept: bool,
) -> io::Result<Conn> {
    let mut pipe = Pipe::connect(address)?;
    if let Some(tls) = tls {
        pipe = pipe.secured(tls)?;
    }
    let mut hello = b"\0\x04MQTT\x04".to_vec();
    // A new session, or one that is kept; no keep-alive.
    hello.extend_from_slice(&[if is_kept { 0x00 } else { 0x02 }, 0, 0]);
    string(&format!("m{member}"), &mut hello);
    packet(CONNECT, &[&hello], &mut pipe.outgoing);
    let qos = u8::from(is_kept);
    let mut wish = vec![0, 1];
    for topic in ["chat/all".to_owned(), format!("chat/{member}")] {
        string(&topic, &mut wish);
        wish.push(qos);
    }
    packet(SUBSCRIBE, &[&wish], &mut pipe.outgoing);
    pipe.flush()?;
    let mut answers = 0;
    while answers < 2 {
        match first(pipe.received()) {
            Some((kind, body, length)) => {
                let is_refused = kind == CONNACK && body.get(1) != Some(&0);
                if is_refused {
                    return Err(io::Error::other("the broker refuses the connection"));
                }
                answers += 1;
                pipe.consume(length);
            }
            None => drop(pipe.read()?),
        }
    }
    pipe.unblock()?;
    let dialect = Box::new(Mqtt { payload: vec![b'x'; size], is_kept, last_id: 0 });
    Ok(Conn { pipe, dialect, sender: Some(member), receiver: Some(member), echoes: true })
}

struct Mqtt {
    payload: Vec<u8>,
    is_kept: bool,
    last_id: u16,
}

impl Dialect for Mqtt {
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>) {
        let mut head = Vec::with_capacity(16);
        match to {
            To::Group => string("chat/all", &mut head),
            To::Member(member) => string(&format!("chat/{member}"), &mut head),
        }
        if self.is_kept {
            // Zero is no id.
            self.last_id = self.last_id % u16::MAX + 1;
            head.extend_from_slice(&self.last_id.to_be_bytes());
        }
        self.payload[..STAMP].copy_from_slice(stamp);
        packet(PUBLISH | u8::from(self.is_kept) << 1, &[&head, &self.payload], out);
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize {
        let mut taken = 0;
        while let Some((kind, body, length)) = first(&bytes[taken..]) {
            taken += length;
            match kind & 0xf0 {
                PUBLISH => {
                    let topic = body.get(..2).map_or(0, |size| usize::from(u16::from_be_bytes([size[0], size[1]])));
                    let qos = kind >> 1 & 3;
                    let at = 2 + topic + if qos > 0 { 2 } else { 0 };
                    seen.extend(body.get(at..at + STAMP).and_then(|stamp| stamp.try_into().ok()).map(Seen::Message));
                    if let Some(id) = body.get(2 + topic..at).filter(|_| qos > 0) {
                        packet(PUBACK, &[id], out);
                    }
                }
                PUBACK => seen.push(Seen::Answer),
                _ => {}
            }
        }
        taken
    }
}

/// One control packet: type, remaining length in 7-bit groups, what remains.
fn packet(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    out.push(kind);
    let mut length: usize = parts.iter().map(|part| part.len()).sum();
    loop {
        let group = (length % 128) as u8;
        length /= 128;
        out.push(if length > 0 { group | 0x80 } else { group });
        if length == 0 {
            break;
        }
    }
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn string(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&u16::try_from(text.len()).expect("topics are short").to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Type, body and whole length of the first packet, if it is there.
fn first(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let kind = *bytes.first()?;
    let (mut length, mut at) = (0, 1);
    loop {
        let group = *bytes.get(at)?;
        length |= usize::from(group & 0x7f) << (7 * (at - 1));
        at += 1;
        if group & 0x80 == 0 || at > 4 {
            break;
        }
    }
    Some((kind, bytes.get(at..at + length)?, at + length))
}

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;

#[cfg(test)]
mod tests {
    use super::super::dialect::stamp;
    use super::*;

    fn published(is_kept: bool, size: usize) -> Vec<u8> {
        let mut out = Vec::new();
        Mqtt { payload: vec![b'x'; size], is_kept, last_id: 0 }.publish(To::Group, &stamp(1, 2, 3), &mut out);
        out
    }

    #[test]
    fn a_packet_has_its_length_in_groups_of_seven_bits() {
        assert_eq!(published(false, 16), b"\x30\x1a\0\x08chat/all0100020000000003");
        let long = published(true, 600);
        // 2 + 8 of the topic, 2 of the id, 600 of the payload: 612 is 4 · 128 + 100.
        assert_eq!(&long[..15], b"\x32\xe4\x04\0\x08chat/all\0\x01");
    }

    #[test]
    fn takes_whole_packets_only_and_acknowledges_those_that_ask_for_it() {
        let bytes = [published(true, 200), published(false, 20), b"\x40\x02\0\x07".to_vec()].concat();
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let mut mqtt = Mqtt { payload: Vec::new(), is_kept: true, last_id: 0 };
        assert_eq!(mqtt.take(&bytes, &mut out, &mut seen), bytes.len());
        let message = Seen::Message(stamp(1, 2, 3));
        assert_eq!(
            (seen.as_slice(), out.as_slice()),
            ([message, message, Seen::Answer].as_slice(), b"\x40\x02\0\x01".as_slice())
        );
        for cut in 0..bytes.len() {
            assert!(mqtt.take(&bytes[..cut], &mut out, &mut seen) <= cut);
        }
    }
}
