//! IRC (RFC 1459 and 2812): one channel for all, and messages to nicks.

use std::io;
use std::net::SocketAddr;

use super::dialect::{Conn, Dialect, STAMP, Seen, Stamp, To};
use super::pipe::{Pipe, TlsClient};

/// Bytes of text that fit into a line of 512, whatever the server puts before it.
pub(crate) const TEXT_MAX: usize = 400;

/// Connects, gets a nick and joins the channel.
pub(crate) fn connect(address: SocketAddr, member: usize, size: usize, tls: Option<&TlsClient>) -> io::Result<Conn> {
    let mut pipe = Pipe::connect(address)?;
    if let Some(tls) = tls {
        pipe = pipe.secured(tls)?;
    }
    pipe.outgoing.extend(format!("NICK m{member}\r\nUSER m{member} 0 * :load\r\nJOIN #all\r\n").into_bytes());
    pipe.flush()?;
    // 366 ends the list of names, after the join.
    while !pipe.received().windows(5).any(|window| window == b" 366 ") {
        if pipe.received().windows(6).any(|window| window == b"ERROR ") {
            return Err(io::Error::other(String::from_utf8_lossy(pipe.received()).into_owned()));
        }
        pipe.read()?;
    }
    pipe.consume(pipe.received().len());
    pipe.unblock()?;
    let dialect = Box::new(Irc { payload: vec![b'x'; size.clamp(STAMP, TEXT_MAX)] });
    Ok(Conn { pipe, dialect, sender: Some(member), receiver: Some(member), echoes: false })
}

struct Irc {
    payload: Vec<u8>,
}

impl Dialect for Irc {
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>) {
        match to {
            To::Group => out.extend_from_slice(b"PRIVMSG #all :"),
            To::Member(member) => out.extend_from_slice(format!("PRIVMSG m{member} :").as_bytes()),
        }
        self.payload[..STAMP].copy_from_slice(stamp);
        out.extend_from_slice(&self.payload);
        out.extend_from_slice(b"\r\n");
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize {
        let mut taken = 0;
        while let Some(end) = bytes[taken..].iter().position(|byte| *byte == b'\n') {
            let line = &bytes[taken..taken + end];
            taken += end + 1;
            if let Some(token) = line.strip_prefix(b"PING ") {
                out.extend_from_slice(&[b"PONG ", token, b"\n"].concat());
            } else if line.starts_with(b":") {
                // :nick!user@host PRIVMSG target :text
                let mut parts = line.splitn(4, |byte| *byte == b' ').skip(1);
                if parts.next() == Some(b"PRIVMSG") {
                    let stamp = parts.nth(1).and_then(|text| text.get(1..=STAMP)?.try_into().ok());
                    seen.extend(stamp.map(Seen::Message));
                }
            } else if line.starts_with(b"ERROR") {
                eprintln!("ngircd: {}", String::from_utf8_lossy(line));
            }
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::super::dialect::stamp;
    use super::*;

    #[test]
    fn a_message_is_a_line() {
        let mut irc = Irc { payload: vec![b'x'; 18] };
        let mut out = Vec::new();
        irc.publish(To::Group, &stamp(1, 2, 3), &mut out);
        irc.publish(To::Member(4), &stamp(1, 2, 4), &mut out);
        assert_eq!(out, b"PRIVMSG #all :0100020000000003xx\r\nPRIVMSG m4 :0100020000000004xx\r\n");
    }

    #[test]
    fn takes_whole_lines_only_and_answers_pings() {
        let bytes = b"PING :here\r\n:m1!~m1@host PRIVMSG #all :0100020000000003xx\r\n:irc 401 m1 :no\r\n:m1!~m1@ho";
        let (mut out, mut seen) = (Vec::new(), Vec::new());
        let taken = Irc { payload: Vec::new() }.take(bytes, &mut out, &mut seen);
        assert_eq!(&bytes[taken..], b":m1!~m1@ho");
        assert_eq!((seen, out), (vec![Seen::Message(stamp(1, 2, 3))], b"PONG :here\r\n".to_vec()));
    }
}
