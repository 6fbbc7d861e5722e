//! TopChat's protocol, spoken with envelopes that were made before: only their message id changes.

use std::io;
use std::net::SocketAddr;

use data_encoding::BASE64;
use topchat::crypto::digest;
use topchat::crypto::keys::PrivateKey;
use topchat::crypto::scram::ClientFirst;
use topchat::names::{Recipient, UserName};
use topchat::wire::to_server::Mode;
use topchat::wire::{
    ALPN, Bundle, Envelope, Fingerprint, Header, MessageId, Prefers, Suite, ToClient, ToServer, Verifier, signed,
};

use super::dialect::{Conn, Dialect, STAMP, Seen, Stamp, To};
use super::pipe::{Pipe, TlsClient};

/// The keys that all members of a benchmark share, so that there are few to make.
pub(crate) struct Keys {
    identity: PrivateKey,
    client_key: [u8; 32],
    /// Bytes of text in each message, if nothing else is said.
    pub text: usize,
}

impl Keys {
    /// New ones. `text`: how long the messages are.
    pub(crate) fn new(bits: u32, text: usize) -> io::Result<Self> {
        let identity = PrivateKey::generate(bits).map_err(io::Error::other)?;
        Ok(Self { identity, client_key: [0x42; 32], text })
    }

    /// An account's bundle. Its signature is none: nobody here looks it up.
    pub(crate) fn bundle(&self, name: &UserName) -> Bundle {
        let key = self.identity.public().to_der().to_vec();
        let signature = vec![0x5a; self.block()];
        let (identity, encryption, curve) = (key.clone(), key, vec![0x30; 44]);
        let (ed25519, x25519, former, prefers) = (curve.clone(), curve, Vec::new(), Prefers::Classic);
        let (name, number, possession) = (name.clone(), 1, [0x5a; 64]);
        Bundle { name, identity, encryption, ed25519, x25519, former, prefers, number, signature, possession }
    }

    /// What the server keeps of every account's password. The rounds are never gone through here.
    pub(crate) fn verifier(&self) -> Verifier {
        let stored_key = digest::sha256(&self.client_key);
        Verifier { salt: [7; 16], iterations: 600_000, stored_key, server_key: [8; 32] }
    }

    /// An envelope of the usual size, with nothing in it.
    pub(crate) fn envelope(&self, from: usize, to: To, text: usize) -> Envelope {
        let (recipient, suite, sealed) = match to {
            // IV, salt, type and text, padded.
            To::Group => (Recipient::All, Suite::GroupCbc, 8 + (16 + 1 + text + 8) / 8 * 8),
            To::Member(member) => {
                let chunks = (16 + 1 + text).div_ceil(self.block() - 11);
                (Recipient::User(name(member)), Suite::Direct, chunks * self.block())
            }
        };
        let recipient_fp = if to == To::Group { [0; 32] } else { [0x33; 32] };
        let header = Header {
            suite,
            sender: name(from),
            sender_fp: self.identity.public().fingerprint(),
            sender_bundle: 1,
            recipient,
            recipient_fp: Fingerprint(recipient_fp),
            msg_id: MessageId([0; 16]),
            seq: 1,
            prev: 0,
            sent_ms: 1_795_000_000_000,
        };
        let header_bytes = header.encode();
        let (ciphertext, signature) = (vec![0xa5; sealed], vec![0x5a; self.block()]);
        Envelope { header, header_bytes, commitment: [0x77; 32], ciphertext, signature }
    }

    /// Connects and logs in.
    pub(crate) fn connect(&self, address: SocketAddr, member: usize, tls: &TlsClient) -> io::Result<Conn> {
        let mut pipe = Pipe::connect(address)?.secured(tls)?;
        self.login(&mut pipe, member)?;
        pipe.unblock()?;
        let dialect = self.dialect(member, self.text);
        Ok(Conn { pipe, dialect, sender: Some(member), receiver: Some(member), echoes: false })
    }

    /// The protocol of a member, with texts of this length.
    pub(crate) fn dialect(&self, member: usize, text: usize) -> Box<dyn Dialect> {
        Box::new(TopChat::new(self, member, text))
    }

    fn login(&self, pipe: &mut Pipe, member: usize) -> io::Result<()> {
        let name = name(member);
        let mut exporter = [0; 32];
        let tls = pipe.tls().ok_or(io::ErrorKind::NotConnected)?;
        tls.export_keying_material(&mut exporter, "EXPORTER-Channel-Binding", Some(b""))?;
        let first = ClientFirst::new(&name, &exporter).message().to_owned();
        let sign = |bytes: &[u8]| self.identity.sign(bytes).map_err(io::Error::other);
        let signature = sign(&signed::login_start(&exporter, &name))?;
        let start = ToServer::LoginStart { mode: Mode::Receiving, client_first: first.clone(), signature };
        let ToClient::Challenge { server_first } = ask(pipe, &start)? else { return Err(refused("LoginStart")) };
        let (client_final, auth_message) = self.prove(&first, &server_first, &exporter);
        let signature = sign(&signed::login(&auth_message))?;
        match ask(pipe, &ToServer::LoginProof { client_final, signature })? {
            ToClient::Welcome { .. } => Ok(()),
            other => Err(refused(&format!("{other:?}"))),
        }
    }

    /// RFC 5802, section 3, from the key on: its 600 000 rounds are what a benchmark of the server must not measure.
    fn prove(&self, first: &str, server_first: &str, exporter: &[u8; 32]) -> (String, String) {
        let bare = first.split_once(",,").map_or(first, |(_, bare)| bare);
        let nonce = server_first.split(',').next().unwrap_or_default();
        let binding = BASE64.encode(&[b"p=tls-exporter,,".as_slice(), exporter].concat());
        let without_proof = format!("c={binding},{nonce}");
        let auth_message = format!("{bare},{server_first},{without_proof}");
        let mut proof = digest::hmac(&digest::sha256(&self.client_key), auth_message.as_bytes());
        proof.iter_mut().zip(self.client_key).for_each(|(byte, key)| *byte ^= key);
        (format!("{without_proof},p={}", BASE64.encode(&proof)), auth_message)
    }

    fn block(&self) -> usize {
        (self.identity.public().bits() / 8) as usize
    }
}

/// TLS as TopChat's server wants it.
pub(crate) fn tls() -> io::Result<TlsClient> {
    TlsClient::new(Some(ALPN))
}

/// A member's account.
pub(crate) fn name(member: usize) -> UserName {
    format!("m{member:06}").parse().expect("a letter and digits are a name")
}

/// Sends a frame and waits for the next one.
fn ask(pipe: &mut Pipe, frame: &ToServer) -> io::Result<ToClient> {
    pipe.outgoing.extend(frame.encode());
    pipe.flush()?;
    loop {
        if let Some((kind, body, length)) = next_frame(pipe.received()) {
            let answer = ToClient::decode(kind, body).map_err(io::Error::other)?;
            pipe.consume(length);
            return Ok(answer);
        }
        pipe.read()?;
    }
}

fn refused(what: &str) -> io::Error {
    io::Error::other(format!("the login was refused: {what}"))
}

/// Type, body and whole length of the first frame, if it is there.
fn next_frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (prefix, rest) = bytes.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*prefix) as usize;
    let (kind, body) = rest.get(..length)?.split_first()?;
    Some((*kind, body, 4 + length))
}

/// A session in the chat.
struct TopChat {
    group: Vec<u8>,
    direct: Vec<u8>,
    id_in_group: usize,
    id_in_direct: usize,
    recipient_in_direct: usize,
}

impl TopChat {
    fn new(keys: &Keys, member: usize, text: usize) -> Self {
        let [group, direct] = [To::Group, To::Member(0)]
            .map(|to| ToServer::Send { envelope: keys.envelope(member, to, text).encode() }.encode());
        // Every name is as long as every other.
        let recipient_in_direct = FRAME + 6 + 1 + NAME + 32 + 8 + 1;
        let id_in_group = recipient_in_direct + "ALL".len() + 32;
        Self { group, direct, id_in_group, id_in_direct: recipient_in_direct + NAME + 32, recipient_in_direct }
    }
}

impl Dialect for TopChat {
    fn publish(&mut self, to: To, stamp: &Stamp, out: &mut Vec<u8>) {
        let begin = out.len();
        match to {
            To::Group => {
                out.extend_from_slice(&self.group);
                out[begin + self.id_in_group..][..STAMP].copy_from_slice(stamp);
            }
            To::Member(member) => {
                out.extend_from_slice(&self.direct);
                out[begin + self.recipient_in_direct..][..NAME].copy_from_slice(name(member).as_str().as_bytes());
                out[begin + self.id_in_direct..][..STAMP].copy_from_slice(stamp);
            }
        }
    }

    fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Vec<Seen>) -> usize {
        let mut taken = 0;
        let mut last = None;
        while let Some((kind, body, length)) = next_frame(&bytes[taken..]) {
            taken += length;
            match kind {
                DELIVER => {
                    last = body.get(..16);
                    seen.extend(id_of(&body[17..]).map(Seen::Message));
                }
                // The first status of a message says "accepted" or "queued".
                STATUS if body.get(16).is_some_and(|state| *state <= 2) => seen.push(Seen::Answer),
                STATUS => {}
                PING => out.extend(ToServer::Pong { token: 0 }.encode()),
                // Whatever is lost by a refusal shows as lost.
                _ => eprintln!("from the server: {:?}", ToClient::decode(kind, body)),
            }
        }
        if let Some(delivery) = last {
            out.extend_from_slice(&[0, 0, 0, 17, ACK]);
            out.extend_from_slice(delivery);
        }
        taken
    }
}

/// The message id of an envelope.
fn id_of(envelope: &[u8]) -> Option<Stamp> {
    let sender = 6;
    let recipient = sender + 1 + usize::from(*envelope.get(sender)?) + 32 + 8;
    let id = recipient + 1 + usize::from(*envelope.get(recipient)?) + 32;
    envelope.get(id..id + STAMP)?.try_into().ok()
}

/// Bytes of a frame before its body.
const FRAME: usize = 5;
/// Bytes of a member's name.
const NAME: usize = 7;
const ACK: u8 = 0x05;
const DELIVER: u8 = 0x86;
const STATUS: u8 = 0x84;
const PING: u8 = 0x8a;
