//! Frames from client to server.

use super::reader::Reader;
use super::table::{Bytes16, Coding, Plain, Rest, SHORT, Text8, Text16, choices, coding, frames};
use super::writer::Writer;
use super::{DeliveryId, Error, Fingerprint, Verifier, frame};
use crate::limits::{FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, HANDOVER_MAX, INVITE_MAX, SCRAM_MESSAGE_MAX, SIGNATURE_MAX};
use crate::names::UserName;

choices! {
    /// What a session is for.
    pub enum Mode: "mode" {
        /// Gets deliveries; one per account, a newer one replaces the older.
        Receiving = 1,
        /// Gets no deliveries and replaces nobody.
        Errand = 2,
    }
}

choices! {
    /// Which names a [`ToServer::List`] asks for.
    pub enum Scope: "scope" {
        /// Every account.
        All = 0,
        /// Those with a receiving session.
        Online = 1,
    }
}

frames! {
    /// One frame from client to server.
    pub enum ToServer {
        /// A new account.
        Register = 0x01 {
            /// An encoded [`Bundle`](super::Bundle).
            bundle: Vec<u8> as Bytes16(FRAME_MAX_BEFORE_LOGIN),
            /// Of the account's password.
            verifier: Verifier,
            /// Empty if there is none.
            invite: String as Text8(INVITE_MAX),
            /// By the identity key over [`signed::register`](super::signed::register).
            proof: Vec<u8> as Bytes16(SIGNATURE_MAX),
        };
        /// SCRAM's client-first-message, with the proof that its sender holds the account's identity key.
        LoginStart = 0x02 {
            /// What the session is for.
            mode: Mode,
            /// RFC 5802, section 7, `client-first-message`, bound to the TLS exporter.
            client_first: String as Text16(SCRAM_MESSAGE_MAX),
            /// By the account's identity key over [`signed::login_start`](super::signed::login_start).
            signature: Vec<u8> as Bytes16(SIGNATURE_MAX),
        };
        /// SCRAM's client-final-message, with the identity signature over [`signed::login`](super::signed::login).
        LoginProof = 0x03 {
            /// RFC 5802, section 7, `client-final-message`.
            client_final: String as Text16(SCRAM_MESSAGE_MAX),
            /// By the account's identity key.
            signature: Vec<u8> as Bytes16(SIGNATURE_MAX),
        };
        /// A message.
        Send = 0x04 {
            /// An encoded [`Envelope`](super::Envelope).
            envelope: Vec<u8> as Rest,
        };
        /// Everything up to and including this delivery is safe with the client.
        Ack = 0x05 (delivery: DeliveryId);
        /// The key bundle of an account.
        Lookup = 0x06 {
            /// Comes back in the answer.
            request: u32,
            /// Whose.
            name: UserName,
            /// Only if it has this identity key.
            fingerprint: Option<Fingerprint>,
        };
        /// Names of accounts, in alphabetical order, a page at a time.
        List = 0x07 {
            /// Comes back in the answer.
            request: u32,
            /// Which names.
            scope: Scope,
            /// Begin after this name; `None` begins at the first.
            after: Option<UserName>,
        };
        /// A new password for the account of this session.
        SetPassword = 0x08 {
            /// Comes back in the answer.
            request: u32,
            /// Of the new password.
            verifier: Verifier,
        };
        /// Delete the account of this session.
        DeleteAccount = 0x09 {
            /// Comes back in the answer.
            request: u32,
        };
        /// Are you there?
        Ping = 0x0a {
            /// Comes back in the answer.
            token: u64,
        };
        /// I am here.
        Pong = 0x0b {
            /// From the ping.
            token: u64,
        };
        /// The client is leaving.
        Bye = 0x0c;
        /// New keys for the account of this session.
        UpdateKeys = 0x0d {
            /// Comes back in the answer.
            request: u32,
            /// An encoded [`Bundle`](super::Bundle).
            bundle: Vec<u8> as Bytes16(FRAME_MAX),
            /// Over [`signed::handover`](super::signed::handover) by the old identity key, and behind it by the new one; empty if
            /// the identity stays.
            handover: Vec<u8> as Bytes16(HANDOVER_MAX),
            /// By the bundle's identity key over [`signed::update`](super::signed::update).
            proof: Vec<u8> as Bytes16(SIGNATURE_MAX),
        };
        /// Whether this session is told who comes and who leaves.
        Watch = 0x0e {
            /// It is, from now on.
            on: bool,
        };
        /// Who may make an account here? And with this code?
        AskPolicy = 0x0f {
            /// As somebody typed it; empty if there is none.
            invite: String as Text8(INVITE_MAX),
        };
        /// How far the server's log went when this account was last here: further than it says now.
        Seen = 0x10 {
            /// From that Welcome.
            kept: u64,
        };
    }
}
