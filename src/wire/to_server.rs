//! Frames from client to server.

use super::reader::Reader;
use super::writer::Writer;
use super::{DeliveryId, Error, Fingerprint, Verifier, frame};
use crate::limits::{FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, HANDOVER_MAX, INVITE_MAX, SCRAM_MESSAGE_MAX, SIGNATURE_MAX};
use crate::names::UserName;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Gets deliveries; one per account, a newer one replaces the older.
    Receiving = 1,
    /// Gets no deliveries and replaces nobody.
    Errand = 2,
}

/// Which names a [`ToServer::List`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// Every account.
    All = 0,
    /// Those with a receiving session.
    Online = 1,
}

/// One frame from client to server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToServer {
    /// Everything up to and including this delivery is safe with the client.
    Ack(DeliveryId),
    /// Who may make an account here? And with this code?
    AskPolicy {
        /// As somebody typed it; empty if there is none.
        invite: String,
    },
    /// The client is leaving.
    Bye,
    /// Delete the account of this session.
    DeleteAccount {
        /// Comes back in the answer.
        request: u32,
    },
    /// Names of accounts, in alphabetical order, a page at a time.
    List {
        /// Comes back in the answer.
        request: u32,
        /// Which names.
        scope: Scope,
        /// Begin after this name; `None` begins at the first.
        after: Option<UserName>,
    },
    /// SCRAM's client-final-message, with the identity signature over [`signed::login`](super::signed::login).
    LoginProof {
        /// RFC 5802, section 7, `client-final-message`.
        client_final: String,
        /// By the account's identity key.
        signature: Vec<u8>,
    },
    /// SCRAM's client-first-message, with the proof that its sender holds the account's identity key.
    LoginStart {
        /// What the session is for.
        mode: Mode,
        /// RFC 5802, section 7, `client-first-message`, bound to the TLS exporter.
        client_first: String,
        /// By the account's identity key over [`signed::login_start`](super::signed::login_start).
        signature: Vec<u8>,
    },
    /// The key bundle of an account.
    Lookup {
        /// Comes back in the answer.
        request: u32,
        /// Whose.
        name: UserName,
        /// Only if it has this identity key.
        fingerprint: Option<Fingerprint>,
    },
    /// Are you there?
    Ping {
        /// Comes back in the answer.
        token: u64,
    },
    /// I am here.
    Pong {
        /// From the ping.
        token: u64,
    },
    /// A new account.
    Register {
        /// An encoded [`Bundle`](super::Bundle).
        bundle: Vec<u8>,
        /// Of the account's password.
        verifier: Verifier,
        /// Empty if there is none.
        invite: String,
        /// By the identity key over [`signed::register`](super::signed::register).
        proof: Vec<u8>,
    },
    /// How far the server's log went when this account was last here: further than it says now.
    Seen {
        /// From that Welcome.
        kept: u64,
    },
    /// A message.
    Send {
        /// An encoded [`Envelope`](super::Envelope).
        envelope: Vec<u8>,
    },
    /// A new password for the account of this session.
    SetPassword {
        /// Comes back in the answer.
        request: u32,
        /// Of the new password.
        verifier: Verifier,
    },
    /// New keys for the account of this session.
    UpdateKeys {
        /// Comes back in the answer.
        request: u32,
        /// An encoded [`Bundle`](super::Bundle).
        bundle: Vec<u8>,
        /// Over [`signed::handover`](super::signed::handover) by the old identity key, and behind it by the new one; empty if
        /// the identity stays.
        handover: Vec<u8>,
        /// By the bundle's identity key over [`signed::update`](super::signed::update).
        proof: Vec<u8>,
    },
    /// Whether this session is told who comes and who leaves.
    Watch {
        /// It is, from now on.
        on: bool,
    },
}

impl ToServer {
    /// Strict: unknown types, trailing bytes and lengths over their limit are errors.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let message = match kind {
            REGISTER => read_register(&mut reader)?,
            LOGIN_START => read_login_start(&mut reader)?,
            LOGIN_PROOF => Self::LoginProof {
                client_final: reader.str16("client_final", SCRAM_MESSAGE_MAX)?.to_owned(),
                signature: reader.bytes16("signature", SIGNATURE_MAX)?.to_vec(),
            },
            SEND => Self::Send { envelope: reader.rest().to_vec() },
            ACK => Self::Ack(DeliveryId::read(&mut reader)?),
            LOOKUP => read_lookup(&mut reader)?,
            LIST => read_list(&mut reader)?,
            SET_PASSWORD => {
                Self::SetPassword { request: reader.u32("request")?, verifier: Verifier::read(&mut reader)? }
            }
            DELETE_ACCOUNT => Self::DeleteAccount { request: reader.u32("request")? },
            PING => Self::Ping { token: reader.u64("token")? },
            PONG => Self::Pong { token: reader.u64("token")? },
            BYE => Self::Bye,
            UPDATE_KEYS => Self::UpdateKeys {
                request: reader.u32("request")?,
                bundle: reader.bytes16("bundle", FRAME_MAX)?.to_vec(),
                handover: reader.bytes16("handover", HANDOVER_MAX)?.to_vec(),
                proof: reader.bytes16("proof", SIGNATURE_MAX)?.to_vec(),
            },
            WATCH => Self::Watch { on: reader.flag("on")? },
            ASK_POLICY => Self::AskPolicy { invite: reader.str8("invite", INVITE_MAX)?.to_owned() },
            SEEN => Self::Seen { kept: reader.u64("kept")? },
            unknown => return Err(Error::BadValue { field: "frame type", value: unknown.into() }),
        };
        reader.end(message.field())?;
        Ok(message)
    }

    /// The whole frame as bytes, length prefix included.
    pub fn encode(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        frame::append(&mut frame, self.kind(), |writer| self.write(writer));
        frame
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Ack(delivery) => delivery.write(writer),
            Self::AskPolicy { invite } => writer.bytes8(invite.as_bytes()),
            Self::Bye => {}
            Self::DeleteAccount { request } => writer.u32(*request),
            Self::List { request, scope, after } => {
                writer.u32(*request);
                writer.u8(*scope as u8);
                writer.bytes8(after.as_ref().map_or("", UserName::as_str).as_bytes());
            }
            Self::LoginProof { client_final, signature } => {
                writer.bytes16(client_final.as_bytes());
                writer.bytes16(signature);
            }
            Self::LoginStart { mode, client_first, signature } => {
                writer.u8(*mode as u8);
                writer.bytes16(client_first.as_bytes());
                writer.bytes16(signature);
            }
            Self::Lookup { request, name, fingerprint } => {
                writer.u32(*request);
                writer.bytes8(name.as_str().as_bytes());
                writer.flag(fingerprint.is_some());
                writer.bytes(fingerprint.as_ref().map_or(&[], |fingerprint| &fingerprint.0));
            }
            Self::Ping { token } | Self::Pong { token } => writer.u64(*token),
            Self::Register { bundle, verifier, invite, proof } => {
                writer.bytes16(bundle);
                verifier.write(writer);
                writer.bytes8(invite.as_bytes());
                writer.bytes16(proof);
            }
            Self::Send { envelope } => writer.bytes(envelope),
            Self::SetPassword { request, verifier } => {
                writer.u32(*request);
                verifier.write(writer);
            }
            Self::UpdateKeys { request, bundle, handover, proof } => {
                writer.u32(*request);
                writer.bytes16(bundle);
                writer.bytes16(handover);
                writer.bytes16(proof);
            }
            Self::Seen { kept } => writer.u64(*kept),
            Self::Watch { on } => writer.flag(*on),
        }
    }

    /// The frame's name in `docs/PROTOCOL.md`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Ack(_) => "Ack",
            Self::AskPolicy { .. } => "AskPolicy",
            Self::Bye => "Bye",
            Self::DeleteAccount { .. } => "DeleteAccount",
            Self::List { .. } => "List",
            Self::LoginProof { .. } => "LoginProof",
            Self::LoginStart { .. } => "LoginStart",
            Self::Lookup { .. } => "Lookup",
            Self::Ping { .. } => "Ping",
            Self::Pong { .. } => "Pong",
            Self::Register { .. } => "Register",
            Self::Seen { .. } => "Seen",
            Self::Send { .. } => "Send",
            Self::SetPassword { .. } => "SetPassword",
            Self::UpdateKeys { .. } => "UpdateKeys",
            Self::Watch { .. } => "Watch",
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Ack(_) => ACK,
            Self::AskPolicy { .. } => ASK_POLICY,
            Self::Bye => BYE,
            Self::DeleteAccount { .. } => DELETE_ACCOUNT,
            Self::List { .. } => LIST,
            Self::LoginProof { .. } => LOGIN_PROOF,
            Self::LoginStart { .. } => LOGIN_START,
            Self::Lookup { .. } => LOOKUP,
            Self::Ping { .. } => PING,
            Self::Pong { .. } => PONG,
            Self::Register { .. } => REGISTER,
            Self::Seen { .. } => SEEN,
            Self::Send { .. } => SEND,
            Self::SetPassword { .. } => SET_PASSWORD,
            Self::UpdateKeys { .. } => UPDATE_KEYS,
            Self::Watch { .. } => WATCH,
        }
    }
}

fn read_register(reader: &mut Reader<'_>) -> Result<ToServer, Error> {
    Ok(ToServer::Register {
        bundle: reader.bytes16("bundle", FRAME_MAX_BEFORE_LOGIN)?.to_vec(),
        verifier: Verifier::read(reader)?,
        invite: reader.str8("invite", INVITE_MAX)?.to_owned(),
        proof: reader.bytes16("proof", SIGNATURE_MAX)?.to_vec(),
    })
}

fn read_login_start(reader: &mut Reader<'_>) -> Result<ToServer, Error> {
    let mode = match reader.u8("mode")? {
        1 => Mode::Receiving,
        2 => Mode::Errand,
        value => return Err(Error::BadValue { field: "mode", value: value.into() }),
    };
    Ok(ToServer::LoginStart {
        mode,
        client_first: reader.str16("client_first", SCRAM_MESSAGE_MAX)?.to_owned(),
        signature: reader.bytes16("signature", SIGNATURE_MAX)?.to_vec(),
    })
}

fn read_lookup(reader: &mut Reader<'_>) -> Result<ToServer, Error> {
    Ok(ToServer::Lookup {
        request: reader.u32("request")?,
        name: reader.name("name")?,
        fingerprint: match reader.flag("has fingerprint")? {
            true => Some(Fingerprint(reader.array("fingerprint")?)),
            false => None,
        },
    })
}

fn read_list(reader: &mut Reader<'_>) -> Result<ToServer, Error> {
    let request = reader.u32("request")?;
    let scope = match reader.u8("scope")? {
        0 => Scope::All,
        1 => Scope::Online,
        value => return Err(Error::BadValue { field: "scope", value: value.into() }),
    };
    let after = match reader.str8("after", crate::limits::NAME_MAX)? {
        "" => None,
        name => Some(name.parse().map_err(|why| Error::Name { field: "after", why })?),
    };
    Ok(ToServer::List { request, scope, after })
}

const REGISTER: u8 = 0x01;
const LOGIN_START: u8 = 0x02;
const LOGIN_PROOF: u8 = 0x03;
const SEND: u8 = 0x04;
const ACK: u8 = 0x05;
const LOOKUP: u8 = 0x06;
const LIST: u8 = 0x07;
const SET_PASSWORD: u8 = 0x08;
const DELETE_ACCOUNT: u8 = 0x09;
const PING: u8 = 0x0a;
const PONG: u8 = 0x0b;
const BYE: u8 = 0x0c;
const UPDATE_KEYS: u8 = 0x0d;
const WATCH: u8 = 0x0e;
const ASK_POLICY: u8 = 0x0f;
const SEEN: u8 = 0x10;
