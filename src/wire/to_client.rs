//! Frames from server to client.

use super::reader::Reader;
use super::table::{Bytes16, Coding, Plain, Rest, SHORT, Text16, choices, coding, frames};
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
    /// How many there may be of what there are too many of; 0 where that is not told.
    pub limit: u32,
    /// For people, if the code is not known. A stranger's words: make them safe before showing them.
    pub text: String,
}

impl Reason {
    /// A reason with the server's standard words.
    pub fn new(code: Code) -> Self {
        Self { code: Some(code), number: code as u16, retry_secs: 0, limit: 0, text: code.words().to_owned() }
    }

    /// The same with advice when to try again.
    pub fn retry_after(code: Code, secs: u32) -> Self {
        Self { retry_secs: secs, ..Self::new(code) }
    }
}

impl Coding<Reason> for Plain {
    fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<Reason, Error> {
        let number = reader.u16("code")?;
        let retry_secs = reader.u32("retry_secs")?;
        let limit = reader.u32("limit")?;
        let text = reader.str16("text", REASON_MAX)?.to_owned();
        Ok(Reason { code: Code::from_number(number), number, retry_secs, limit, text })
    }

    fn write(&self, writer: &mut Writer, reason: &Reason) {
        writer.u16(reason.number);
        writer.u32(reason.retry_secs);
        writer.u32(reason.limit);
        writer.bytes16(reason.text.as_bytes());
    }
}

/// Adds the `Bye` that tells a client of version 1 to update, in that version's form: a reason had no limit.
pub fn append_outdated(frames: &mut Vec<u8>) {
    frame::append(frames, 0x8d, |writer| {
        writer.u16(Code::Outdated as u16);
        writer.u32(0);
        writer.bytes16(Code::Outdated.words().as_bytes());
    });
}

choices! {
    /// What became of a message that the server took.
    pub enum State: "state" {
        /// The server has it and passes it on.
        Accepted = 1,
        /// The server keeps it until the recipient comes.
        Queued = 2,
        /// Recipients' clients acknowledged it.
        Delivered = 3,
        /// The server could not keep it. Those who are counted have it, the others may have it or not.
        Unconfirmed = 4,
    }
}

choices! {
    /// Who may make an account.
    pub enum Admission: "admission" {
        /// Whoever connects.
        Open = 0,
        /// Whoever has an invite code.
        Invite = 1,
        /// Nobody.
        Closed = 2,
    }
}

/// One name in a page of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub name: UserName,
    /// Whether it has a receiving session.
    pub online: bool,
}

frames! {
    /// One frame from server to client.
    pub enum ToClient {
        /// The account exists, on disk.
        Registered = 0x81;
        /// SCRAM's server-first-message.
        Challenge = 0x82 {
            /// RFC 5802, section 7, `server-first-message`.
            server_first: String as Text16(SCRAM_MESSAGE_MAX),
        };
        /// Logged in.
        Welcome = 0x83 {
            /// RFC 5802, section 7, `server-final-message`.
            server_final: String as Text16(SCRAM_MESSAGE_MAX),
            /// Seats taken, this session's included.
            seats_taken: u32,
            /// Seats in all.
            seats: u32,
            /// Number of the account's key bundle.
            bundle: u64,
            /// Number of the last message that is safe on the server's disk.
            kept: u64,
            /// Number of the last message that a session of this account acknowledged; 0 if none did, or for an errand.
            acknowledged: u64,
        };
        /// What became of a message; a later one overrides an earlier.
        Status = 0x84 {
            /// Which message.
            msg_id: MessageId,
            /// How far it came.
            state: State,
            /// Recipients who are in that state.
            reached: u32,
            /// Recipients in all.
            total: u32,
        };
        /// A message was not taken; nothing of it was passed on or kept.
        Refused = 0x85 {
            /// Which message.
            msg_id: MessageId,
            /// Why.
            reason: Reason,
        };
        /// A message.
        Deliver = 0x86 {
            /// To be acknowledged with.
            delivery: DeliveryId,
            /// Whether it waited for this client, rather than being passed on live.
            backlog: bool,
            /// An encoded [`Envelope`](super::Envelope), byte for byte as it was sent.
            envelope: Vec<u8> as Rest,
        };
        /// The key bundle that was asked for.
        Found = 0x87 {
            /// From the request.
            request: u32,
            /// An encoded [`Bundle`](super::Bundle).
            bundle: Vec<u8> as Bytes16(FRAME_MAX),
            /// The identity keys before that of the bundle, the newest first.
            lineage: Vec<Predecessor>,
        };
        /// Names that were asked for.
        Page = 0x88 {
            /// From the request.
            request: u32,
            /// Whether names follow after the last of these.
            more: bool,
            /// In alphabetical order.
            entries: Vec<Entry> as Names(PAGE_NAMES),
        };
        /// What was asked for is done.
        Done = 0x89 {
            /// From the request.
            request: u32,
        };
        /// Are you there?
        Ping = 0x8a {
            /// Comes back in the answer.
            token: u64,
        };
        /// I am here.
        Pong = 0x8b {
            /// From the ping.
            token: u64,
        };
        /// What was asked for is refused.
        Error = 0x8c {
            /// From the request; 0 for frames that carry none.
            request: u32,
            /// Why.
            reason: Reason,
        };
        /// The connection ends now, and why.
        Bye = 0x8d (reason: Reason);
        /// So many messages waited too long for this client, or too many others came after them: they won't come any more.
        Skipped = 0x8e {
            /// How many.
            count: u64,
        };
        /// Who came and who left since the last frame of this type. Only for those who asked for it.
        Presence = 0x90 {
            /// How many more came than are named.
            more_came: u32,
            /// How many more left than are named.
            more_left: u32,
            /// Some of them, in alphabetical order.
            entries: Vec<Entry> as Names(PRESENCE_NAMES),
        };
        /// Who may make an account here.
        Policy = 0x91 {
            /// As the server's owner set it.
            admission: Admission,
        };
        /// The account was there with these very keys. Nothing was changed.
        RegisteredBefore = 0x92;
    }
}

/// Names behind a 16-bit count, at most so many.
struct Names(usize);

impl Coding<Vec<Entry>> for Names {
    fn read(&self, reader: &mut Reader<'_>, _: &'static str) -> Result<Vec<Entry>, Error> {
        let length = usize::from(reader.u16("count")?);
        if length > self.0 {
            return Err(Error::TooLong { field: "count", length, limit: self.0 });
        }
        let read = |_| Ok(Entry { name: reader.name("entry name")?, online: reader.flag("online")? });
        (0..length).map(read).collect()
    }

    fn write(&self, writer: &mut Writer, entries: &Vec<Entry>) {
        writer.u16(entries.len().try_into().expect("no frame has more than 256 names"));
        for entry in entries {
            writer.bytes8(entry.name.as_str().as_bytes());
            writer.flag(entry.online);
        }
    }
}
