//! Frames from server to client.

use super::reader::Reader;
use super::writer::Writer;
use super::{Code, DeliveryId, Error, MessageId, Predecessor, frame};
use crate::limits::{FRAME_MAX, PAGE_NAMES, PRESENCE_NAMES, REASON_MAX, SCRAM_MESSAGE_MAX};
use crate::names::UserName;

/// Why something was refused or closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// From the closed list; `None` for a number that this version doesn't know.
    pub code: Option<Code>,
    /// The code's number.
    pub number: u16,
    /// When to try again, in seconds; 0 for no such advice.
    pub retry_secs: u32,
    /// For people, if the code is not known. A stranger's words: make them safe before showing them.
    pub text: String,
}

impl Reason {
    /// A reason with the server's standard words.
    pub fn new(code: Code) -> Self {
        Self { code: Some(code), number: code as u16, retry_secs: 0, text: code.words().to_owned() }
    }

    /// The same with advice when to try again.
    pub fn retry_after(code: Code, secs: u32) -> Self {
        Self { retry_secs: secs, ..Self::new(code) }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let number = reader.u16("code")?;
        let retry_secs = reader.u32("retry_secs")?;
        let text = reader.str16("text", REASON_MAX)?.to_owned();
        Ok(Self { code: Code::from_number(number), number, retry_secs, text })
    }

    fn write(&self, writer: &mut Writer) {
        writer.u16(self.number);
        writer.u32(self.retry_secs);
        writer.bytes16(self.text.as_bytes());
    }
}

/// What became of a message that the server took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// The server has it and passes it on.
    Accepted = 1,
    /// The server keeps it until the recipient comes.
    Queued = 2,
    /// Recipients' clients acknowledged it.
    Delivered = 3,
    /// The server could not keep it. Those who are counted have it, the others may have it or not.
    Unconfirmed = 4,
}

/// Who may make an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Admission {
    /// Whoever connects.
    Open = 0,
    /// Whoever has an invite code.
    Invite = 1,
    /// Nobody.
    Closed = 2,
}

/// One name in a page of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub name: UserName,
    /// Whether it has a receiving session.
    pub online: bool,
}

/// One frame from server to client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// The connection ends now, and why.
    Bye(Reason),
    /// SCRAM's server-first-message.
    Challenge {
        /// RFC 5802, section 7, `server-first-message`.
        server_first: String,
    },
    /// A message.
    Deliver {
        /// To be acknowledged with.
        delivery: DeliveryId,
        /// Whether it waited for this client, rather than being passed on live.
        backlog: bool,
        /// An encoded [`Envelope`](super::Envelope), byte for byte as it was sent.
        envelope: Vec<u8>,
    },
    /// What was asked for is done.
    Done {
        /// From the request.
        request: u32,
    },
    /// What was asked for is refused.
    Error {
        /// From the request; 0 for frames that carry none.
        request: u32,
        /// Why.
        reason: Reason,
    },
    /// The key bundle that was asked for.
    Found {
        /// From the request.
        request: u32,
        /// An encoded [`Bundle`](super::Bundle).
        bundle: Vec<u8>,
        /// The identity keys before that of the bundle, the newest first.
        lineage: Vec<Predecessor>,
    },
    /// Names that were asked for.
    Page {
        /// From the request.
        request: u32,
        /// Whether names follow after the last of these.
        more: bool,
        /// In alphabetical order.
        entries: Vec<Entry>,
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
    /// Who may make an account here.
    Policy {
        /// As the server's owner set it.
        admission: Admission,
    },
    /// Who came and who left since the last frame of this type. Only for those who asked for it.
    Presence {
        /// How many more came than are named.
        more_came: u32,
        /// How many more left than are named.
        more_left: u32,
        /// Some of them, in alphabetical order.
        entries: Vec<Entry>,
    },
    /// A message was not taken; nothing of it was passed on or kept.
    Refused {
        /// Which message.
        msg_id: MessageId,
        /// Why.
        reason: Reason,
    },
    /// The account exists, on disk.
    Registered,
    /// The account was there with these very keys. Nothing was changed.
    RegisteredBefore,
    /// So many messages waited too long for this client, or too many others came after them: they won't come any more.
    Skipped {
        /// How many.
        count: u64,
    },
    /// What became of a message; a later one overrides an earlier.
    Status {
        /// Which message.
        msg_id: MessageId,
        /// How far it came.
        state: State,
        /// Recipients who are in that state.
        reached: u32,
        /// Recipients in all.
        total: u32,
    },
    /// Logged in.
    Welcome {
        /// RFC 5802, section 7, `server-final-message`.
        server_final: String,
        /// Seats taken, this session's included.
        seats_taken: u32,
        /// Seats in all.
        seats: u32,
        /// Number of the account's key bundle.
        bundle: u64,
        /// Number of the last message that is safe on the server's disk.
        kept: u64,
    },
}

impl ToClient {
    /// Strict: unknown types, trailing bytes and lengths over their limit are errors.
    pub fn decode(kind: u8, body: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(body);
        let message = match kind {
            REGISTERED => Self::Registered,
            REGISTERED_BEFORE => Self::RegisteredBefore,
            CHALLENGE => Self::Challenge { server_first: reader.str16("server_first", SCRAM_MESSAGE_MAX)?.to_owned() },
            WELCOME => Self::Welcome {
                server_final: reader.str16("server_final", SCRAM_MESSAGE_MAX)?.to_owned(),
                seats_taken: reader.u32("seats_taken")?,
                seats: reader.u32("seats")?,
                bundle: reader.u64("bundle")?,
                kept: reader.u64("kept")?,
            },
            STATUS => read_status(&mut reader)?,
            REFUSED => Self::Refused { msg_id: MessageId(reader.array("msg_id")?), reason: Reason::read(&mut reader)? },
            DELIVER => Self::Deliver {
                delivery: DeliveryId::read(&mut reader)?,
                backlog: reader.flag("backlog")?,
                envelope: reader.rest().to_vec(),
            },
            FOUND => Self::Found {
                request: reader.u32("request")?,
                bundle: reader.bytes16("bundle", FRAME_MAX)?.to_vec(),
                lineage: Predecessor::read_lineage(&mut reader)?,
            },
            PAGE => read_page(&mut reader)?,
            DONE => Self::Done { request: reader.u32("request")? },
            PING => Self::Ping { token: reader.u64("token")? },
            PONG => Self::Pong { token: reader.u64("token")? },
            ERROR => Self::Error { request: reader.u32("request")?, reason: Reason::read(&mut reader)? },
            BYE => Self::Bye(Reason::read(&mut reader)?),
            SKIPPED => Self::Skipped { count: reader.u64("count")? },
            PRESENCE => Self::Presence {
                more_came: reader.u32("more_came")?,
                more_left: reader.u32("more_left")?,
                entries: read_entries(&mut reader, PRESENCE_NAMES)?,
            },
            POLICY => read_policy(&mut reader)?,
            unknown => return Err(Error::BadValue { field: "frame type", value: unknown.into() }),
        };
        reader.end(message.field())?;
        Ok(message)
    }

    /// The whole frame as bytes, length prefix included.
    pub fn encode(&self) -> Vec<u8> {
        let room = if let Self::Deliver { envelope, .. } = self { envelope.len() } else { 0 };
        let mut frame = Vec::with_capacity(SHORT + room);
        self.append_to(&mut frame);
        frame
    }

    /// Adds the whole frame to others.
    pub fn append_to(&self, frames: &mut Vec<u8>) {
        frame::append(frames, self.kind(), |writer| self.write(writer));
    }

    fn write(&self, writer: &mut Writer) {
        match self {
            Self::Bye(reason) => reason.write(writer),
            Self::Challenge { server_first } => writer.bytes16(server_first.as_bytes()),
            Self::Deliver { delivery, backlog, envelope } => {
                delivery.write(writer);
                writer.flag(*backlog);
                writer.bytes(envelope);
            }
            Self::Done { request } => writer.u32(*request),
            Self::Error { request, reason } => {
                writer.u32(*request);
                reason.write(writer);
            }
            Self::Found { request, bundle, lineage } => {
                writer.u32(*request);
                writer.bytes16(bundle);
                Predecessor::write_lineage(lineage, writer);
            }
            Self::Page { request, more, entries } => {
                writer.u32(*request);
                writer.flag(*more);
                write_entries(writer, entries);
            }
            Self::Ping { token } | Self::Pong { token } => writer.u64(*token),
            Self::Policy { admission } => writer.u8(*admission as u8),
            Self::Presence { more_came, more_left, entries } => {
                writer.u32(*more_came);
                writer.u32(*more_left);
                write_entries(writer, entries);
            }
            Self::Refused { msg_id, reason } => {
                writer.bytes(&msg_id.0);
                reason.write(writer);
            }
            Self::Registered | Self::RegisteredBefore => {}
            Self::Skipped { count } => writer.u64(*count),
            Self::Status { msg_id, state, reached, total } => {
                writer.bytes(&msg_id.0);
                writer.u8(*state as u8);
                writer.u32(*reached);
                writer.u32(*total);
            }
            Self::Welcome { server_final, seats_taken, seats, bundle, kept } => {
                writer.bytes16(server_final.as_bytes());
                writer.u32(*seats_taken);
                writer.u32(*seats);
                writer.u64(*bundle);
                writer.u64(*kept);
            }
        }
    }

    /// The frame's name in `docs/PROTOCOL.md`.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Bye(_) => "Bye",
            Self::Challenge { .. } => "Challenge",
            Self::Deliver { .. } => "Deliver",
            Self::Done { .. } => "Done",
            Self::Error { .. } => "Error",
            Self::Found { .. } => "Found",
            Self::Page { .. } => "Page",
            Self::Ping { .. } => "Ping",
            Self::Pong { .. } => "Pong",
            Self::Policy { .. } => "Policy",
            Self::Presence { .. } => "Presence",
            Self::Refused { .. } => "Refused",
            Self::Registered => "Registered",
            Self::RegisteredBefore => "RegisteredBefore",
            Self::Skipped { .. } => "Skipped",
            Self::Status { .. } => "Status",
            Self::Welcome { .. } => "Welcome",
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Bye(_) => BYE,
            Self::Challenge { .. } => CHALLENGE,
            Self::Deliver { .. } => DELIVER,
            Self::Done { .. } => DONE,
            Self::Error { .. } => ERROR,
            Self::Found { .. } => FOUND,
            Self::Page { .. } => PAGE,
            Self::Ping { .. } => PING,
            Self::Pong { .. } => PONG,
            Self::Policy { .. } => POLICY,
            Self::Presence { .. } => PRESENCE,
            Self::Refused { .. } => REFUSED,
            Self::Registered => REGISTERED,
            Self::RegisteredBefore => REGISTERED_BEFORE,
            Self::Skipped { .. } => SKIPPED,
            Self::Status { .. } => STATUS,
            Self::Welcome { .. } => WELCOME,
        }
    }
}

fn read_status(reader: &mut Reader<'_>) -> Result<ToClient, Error> {
    let msg_id = MessageId(reader.array("msg_id")?);
    let state = match reader.u8("state")? {
        1 => State::Accepted,
        2 => State::Queued,
        3 => State::Delivered,
        4 => State::Unconfirmed,
        value => return Err(Error::BadValue { field: "state", value: value.into() }),
    };
    Ok(ToClient::Status { msg_id, state, reached: reader.u32("reached")?, total: reader.u32("total")? })
}

fn read_policy(reader: &mut Reader<'_>) -> Result<ToClient, Error> {
    let admission = match reader.u8("admission")? {
        0 => Admission::Open,
        1 => Admission::Invite,
        2 => Admission::Closed,
        value => return Err(Error::BadValue { field: "admission", value: value.into() }),
    };
    Ok(ToClient::Policy { admission })
}

fn read_page(reader: &mut Reader<'_>) -> Result<ToClient, Error> {
    let request = reader.u32("request")?;
    let more = reader.flag("more")?;
    Ok(ToClient::Page { request, more, entries: read_entries(reader, PAGE_NAMES)? })
}

fn read_entries(reader: &mut Reader<'_>, limit: usize) -> Result<Vec<Entry>, Error> {
    let length = usize::from(reader.u16("count")?);
    if length > limit {
        return Err(Error::TooLong { field: "count", length, limit });
    }
    let entry =
        |reader: &mut Reader<'_>| Ok(Entry { name: reader.name("entry name")?, online: reader.flag("online")? });
    (0..length).map(|_| entry(reader)).collect()
}

fn write_entries(writer: &mut Writer, entries: &[Entry]) {
    writer.u16(entries.len().try_into().expect("no frame has more than 256 names"));
    for entry in entries {
        writer.bytes8(entry.name.as_str().as_bytes());
        writer.flag(entry.online);
    }
}

/// Room for most frames; others grow.
const SHORT: usize = 40;

const REGISTERED: u8 = 0x81;
const CHALLENGE: u8 = 0x82;
const WELCOME: u8 = 0x83;
const STATUS: u8 = 0x84;
const REFUSED: u8 = 0x85;
pub(super) const DELIVER: u8 = 0x86;
const FOUND: u8 = 0x87;
const PAGE: u8 = 0x88;
const DONE: u8 = 0x89;
const PING: u8 = 0x8a;
const PONG: u8 = 0x8b;
const ERROR: u8 = 0x8c;
const BYE: u8 = 0x8d;
const SKIPPED: u8 = 0x8e;
const PRESENCE: u8 = 0x90;
const POLICY: u8 = 0x91;
const REGISTERED_BEFORE: u8 = 0x92;
