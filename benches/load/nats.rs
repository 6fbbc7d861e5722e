//! The protocol of NATS (docs.nats.io, "Client protocol"), and as much of JetStream as a durable chat needs.

use std::io;
use std::net::SocketAddr;

use super::dialect::{Conn, Dialect, STAMP, Seen, Stamp, To};
use super::pipe::{Pipe, TlsClient};

/// How messages are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// Not at all.
    None,
    /// In a JetStream stream of files; every member has a consumer of its own.
    JetStream,
}

/// Connects and subscribes.
///
/// A consumer of JetStream hears one subject: that of what is sent `to` somebody.
pub(crate) fn connect(
    address: SocketAddr,
    member: usize,
    size: usize,
    tls: Option<&TlsClient>,
    keeping: Keeping,
    to: To,
) -> io::Result<Conn> {
    let mut pipe = Pipe::connect(address)?;
    while line(pipe.received()).is_none() {
        pipe.read()?;
    }
    let info = line(pipe.received()).map_or(0, <[u8]>::len);
    pipe.consume(info);
    if let Some(tls) = tls {
        pipe = pipe.secured(tls)?;
    }
    let mut dialect = Nats { member, payload: vec![b'x'; size], keeping, last_reply: Vec::new() };
    pipe.outgoing
        .extend_from_slice(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":false,\"protocol\":1}\r\n");
    match keeping {
        Keeping::None => pipe.outgoing.extend(format!("SUB chat.all 1\r\nSUB chat.{member} 2\r\n").into_bytes()),
        Keeping::JetStream => {
            pipe.outgoing.extend(format!("SUB ack.{member} 1\r\nSUB made.{member} 2\r\n").into_bytes());
            settle(&mut pipe)?;
            keep(&mut pipe, member, to)?;
        }
    }
    settle(&mut pipe)?;
    pipe.unblock()?;
    dialect.last_reply.clear();
    let echoes = keeping == Keeping::JetStream;
    Ok(Conn { pipe, dialect: Box::new(dialect), sender: Some(member), receiver: Some(member), echoes })
}

/// Waits until the server has done what it was told.
fn settle(pipe: &mut Pipe) -> io::Result<()> {
    pipe.outgoing.extend_from_slice(b"PING\r\n");
    pipe.flush()?;
    loop {
        while let Some(line) = line(pipe.received()) {
            let (length, is_pong, is_error) = (line.len(), line == b"PONG\r\n", line.starts_with(b"-ERR"));
            if is_error {
                return Err(io::Error::other(String::from_utf8_lossy(line).into_owned()));
            }
            pipe.consume(length);
            if is_pong {
                return Ok(());
            }
        }
        pipe.read()?;
    }
}

/// Makes the stream, if it is not there, and a consumer that pushes to this connection.
fn keep(pipe: &mut Pipe, member: usize, to: To) -> io::Result<()> {
    let heard = if to == To::Group { "all".to_owned() } else { member.to_string() };
    let stream = r#"{"name":"chat","subjects":["chat.*"],"storage":"file","retention":"limits","max_bytes":536870912,"discard":"old"}"#;
    let consumer = format!(
        r#"{{"stream_name":"chat","config":{{"durable_name":"m{member}","deliver_subject":"to.{member}","filter_subject":"chat.{heard}","deliver_policy":"new","ack_policy":"all","max_ack_pending":20000}}}}"#
    );
    let calls = [
        ("$JS.API.STREAM.CREATE.chat".to_owned(), stream.to_owned()),
        (format!("$JS.API.CONSUMER.DURABLE.CREATE.chat.m{member}"), consumer),
    ];
    for (subject, body) in calls {
        pipe.outgoing.extend(format!("PUB {subject} made.{member} {}\r\n{body}\r\n", body.len()).into_bytes());
        pipe.flush()?;
        loop {
            if let Some((_, body, length)) = message(pipe.received()) {
                let answer = String::from_utf8_lossy(body).into_owned();
                pipe.consume(length);
                if answer.contains("\"error\"") {
                    return Err(io::Error::other(answer));
                }
                break;
            }
            pipe.read()?;
        }
    }
    pipe.outgoing.extend(format!("SUB to.{member} 3\r\n").into_bytes());
    Ok(())
}

struct Nats {
    member: usize,
    payload: Vec<u8>,
    keeping: Keeping,
    /// Where the last delivery is acknowledged.
    last_reply: Vec<u8>,
}

impl Dialect for Nats {
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PUB chat.");
        match to {
            To::Group => out.extend_from_slice(b"all"),
            To::Member(member) => out.extend_from_slice(member.to_string().as_bytes()),
        }
        if self.keeping == Keeping::JetStream {
            out.extend_from_slice(format!(" ack.{}", self.member).as_bytes());
        }
        out.extend_from_slice(format!(" {}\r\n", self.payload.len()).as_bytes());
        out.extend_from_slice(stamp);
        out.extend_from_slice(&self.payload[STAMP..]);
        out.extend_from_slice(b"\r\n");
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize {
        let mut taken = 0;
        self.last_reply.clear();
        loop {
            let rest = &bytes[taken..];
            if rest.starts_with(b"MSG ") {
                let Some((head, body, length)) = message(rest) else { break };
                let mut words = head.split(|byte| *byte == b' ').skip(1);
                let subject = words.next().unwrap_or_default();
                let reply = words.nth(1).filter(|_| head.iter().filter(|byte| **byte == b' ').count() == 4);
                if subject.starts_with(b"ack.") {
                    seen.push(Seen::Answer);
                } else {
                    seen.extend(body.get(..STAMP).and_then(|stamp| stamp.try_into().ok()).map(Seen::Message));
                    if let Some(reply) = reply {
                        self.last_reply.clear();
                        self.last_reply.extend_from_slice(reply);
                    }
                }
                taken += length;
            } else if let Some(line) = line(rest) {
                if line.starts_with(b"PING") {
                    out.extend_from_slice(b"PONG\r\n");
                } else if line.starts_with(b"-ERR") {
                    eprintln!("nats-server: {}", String::from_utf8_lossy(line));
                }
                taken += line.len();
            } else {
                break;
            }
        }
        // Acknowledges this one and all before it.
        if !self.last_reply.is_empty() {
            out.extend_from_slice(b"PUB ");
            out.extend_from_slice(&self.last_reply);
            out.extend_from_slice(b" 0\r\n\r\n");
        }
        taken
    }
}

/// The first line, its end included.
fn line(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    bytes.get(..=end)
}

/// Head, payload and whole length of a message at the front: `MSG subject sid [reply] size`.
fn message(bytes: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let head = line(bytes)?;
    let words = head.strip_suffix(b"\r\n")?;
    let size = words.rsplit(|byte| *byte == b' ').next()?;
    let size: usize = std::str::from_utf8(size).ok()?.parse().ok()?;
    let body = bytes.get(head.len()..head.len() + size)?;
    bytes.get(head.len() + size + 1)?;
    Some((words, body, head.len() + size + 2))
}

#[cfg(test)]
mod tests {
    use super::super::dialect::stamp;
    use super::*;

    fn nats(keeping: Keeping) -> Nats {
        Nats { member: 3, payload: vec![b'x'; 20], keeping, last_reply: Vec::new() }
    }

    #[test]
    fn publishes_with_the_size_of_the_payload() {
        let mut out = Vec::new();
        nats(Keeping::None).publish(To::Group, &stamp(1, 2, 3), &mut out);
        assert_eq!(out, b"PUB chat.all 20\r\n0100020000000003xxxx\r\n");
        out.clear();
        nats(Keeping::JetStream).publish(To::Member(7), &stamp(1, 2, 3), &mut out);
        assert_eq!(out, b"PUB chat.7 ack.3 20\r\n0100020000000003xxxx\r\n");
    }

    #[test]
    fn takes_whole_messages_only_and_acknowledges_the_last() {
        let bytes = b"MSG chat.all 1 20\r\n0100020000000003xxxx\r\nPING\r\nMSG to.3 3 $JS.ACK.x 16\r\n0100020000000004\r\nMSG to.3 3 $JS";
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let taken = nats(Keeping::JetStream).take(bytes, &mut out, &mut seen);
        assert_eq!(&bytes[taken..], b"MSG to.3 3 $JS");
        assert_eq!(seen, [3, 4].map(|number| Seen::Message(stamp(1, 2, number))));
        assert_eq!(out, b"PONG\r\nPUB $JS.ACK.x 0\r\n\r\n");
        for cut in 0..bytes.len() {
            assert!(nats(Keeping::None).take(&bytes[..cut], &mut Vec::new(), &mut Vec::new()) <= cut);
        }
    }
}
