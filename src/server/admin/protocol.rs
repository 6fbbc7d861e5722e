//! What is asked of the administration and what it answers: JSON lines, on the socket and as `--json`.
//!
//! A request is one line, `{"v":1,"do":"disable","name":"alice"}`. The answer is a line for each row,
//! `{"row":{"v":1,"type":"account",…}}`, and a last one: `"done"`, or `{"refused":…}` if nothing was changed.

use serde::{Deserialize, Serialize};

use crate::server::error::Refusal;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "do", rename_all = "lowercase")]
pub(super) enum Request {
    /// An account and all that waits for it are to go.
    Delete {
        name: String,
    },
    /// An account's logins are to be refused.
    Disable {
        name: String,
    },
    /// They are to be allowed again.
    Enable {
        name: String,
    },
    /// A new invite.
    Invite {
        days: u32,
        uses: u32,
    },
    Invites,
    /// The sessions of an account are to end.
    Kick {
        name: String,
    },
    List,
    /// An invite is to be taken back.
    Revoke {
        id: String,
    },
    /// How the server is.
    Status,
    /// What is slowed is to be forgotten: of an address, of an account, or all.
    Unlock {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whose: Option<String>,
    },
}

/// A request with the version of its layout.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Asked {
    pub(super) v: u32,
    #[serde(flatten)]
    pub(super) request: Request,
}

/// One line of an answer.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Answer {
    /// All rows came; what was asked for is done.
    Done,
    /// Nothing was changed.
    Refused(Refusal),
    /// A part of what was asked for.
    Row(Versioned),
}

/// A row with the version of its layout, as `--json` prints it.
#[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Versioned {
    pub(super) v: u32,
    #[serde(flatten)]
    pub(super) row: Row,
}

/// A piece of an answer. Times are in UTC (RFC 3339).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Row {
    /// One account.
    Account { name: String, created: String, disabled: bool, fingerprint: String },
    /// What was done to an account, and how many of its sessions that ended.
    Changed { name: String, change: Change, sessions: usize },
    /// One invite; its code only when it is made, and what new accounts need, if a server runs.
    Invite {
        id: String,
        state: String,
        created: String,
        expires: String,
        uses: u32,
        used: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        registration: Option<String>,
    },
    /// An invite that was taken back.
    Revoked { id: String },
    Session {
        name: String,
        mode: String,
        since: String,
        source: String,
        /// Messages that its account has not acknowledged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        waiting: Option<usize>,
    },
    /// Something that is slowed or held back.
    Slowed {
        what: Slow,
        source: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        count: u32,
        secs: u64,
    },
    /// The server as a whole.
    Status(Box<Status>),
    /// How much of what was slowed is not any more.
    Unlocked {
        lifted: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        whose: Option<String>,
    },
}

/// What was done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    Deleted,
    Disabled,
    Enabled,
    Kicked,
}

/// What is slowed or held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Slow {
    Logins,
    Passwords,
    Registrations,
}

/// How the server is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Status {
    pub(super) version: String,
    /// If a server runs.
    pub(super) running: Option<Running>,
    pub(super) accounts: usize,
    pub(super) disabled: usize,
    /// Invites that are good.
    pub(super) invites: usize,
    pub(super) log_bytes: u64,
}

/// What only a running server knows of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Running {
    pub(super) pid: u32,
    pub(super) addresses: Vec<String>,
    pub(super) identity: String,
    pub(super) since: String,
    pub(super) uptime_secs: u64,
    pub(super) clients: usize,
    pub(super) seats: usize,
    pub(super) guests: usize,
    pub(super) registration: String,
    /// Addresses and accounts that are slowed or held back.
    pub(super) slowed: usize,
    /// Direct messages that were not acknowledged.
    pub(super) waiting_direct: usize,
    /// Group messages that are kept for those who are away.
    pub(super) waiting_group: usize,
}

/// The version of these lines.
pub(super) const VERSION: u32 = 1;

impl Request {
    /// Strict about the version, so that a newer program is not misunderstood.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let asked: Asked = serde_json::from_slice(line).ok()?;
        (asked.v == VERSION).then_some(asked.request)
    }

    /// The request as a line, line end included.
    pub(super) fn to_line(&self) -> Vec<u8> {
        line(&Asked { v: VERSION, request: self.clone() })
    }
}

impl From<Row> for Answer {
    fn from(row: Row) -> Self {
        Self::Row(Versioned { v: VERSION, row })
    }
}

/// A value as a line of JSON, line end included.
pub(crate) fn line(value: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(value).expect("plain fields, and a Vec takes every byte");
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_back_and_nothing_else_is_read() {
        let name = "alice".to_owned();
        for request in [
            Request::Delete { name: name.clone() },
            Request::Invite { days: 7, uses: 1 },
            Request::Invites,
            Request::Kick { name },
            Request::Status,
            Request::Unlock { whose: None },
            Request::Unlock { whose: Some("192.0.2.1".to_owned()) },
        ] {
            assert_eq!(Request::parse(&request.to_line()), Some(request));
        }
        assert_eq!(Request::Status.to_line(), b"{\"v\":1,\"do\":\"status\"}\n");
        for bad in [
            &b""[..],
            b"\n",
            b"status",
            b"[]",
            b"{}",
            b"{\"v\":1}",
            b"{\"v\":2,\"do\":\"status\"}",
            b"{\"do\":\"status\"}",
            b"{\"v\":1,\"do\":\"format\"}",
            b"{\"v\":1,\"do\":\"kick\"}",
            b"{\"v\":1,\"do\":\"kick\",\"name\":7}",
            b"{\"v\":1,\"do\":\"invite\",\"days\":-1,\"uses\":1}",
            b"{\"v\":1,\"do\":\"status\"}{",
            b"\xff\xfe",
        ] {
            assert_eq!(Request::parse(bad), None, "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn answers_are_read_back() {
        let row = Row::Revoked { id: "1a2b3c4d".to_owned() };
        for answer in [Answer::Done, Answer::from(row), Answer::Refused(Refusal::Storage)] {
            assert_eq!(serde_json::from_slice::<Answer>(&line(&answer)).unwrap(), answer);
        }
        assert_eq!(line(&Answer::Done), b"\"done\"\n");
    }
}
