//! A server's refusals, in this program's own words.

use std::fmt;

use crate::error::Exit;
use crate::hint::Hint;
use crate::names::UserName;
use crate::text::visible;
use crate::wire::Code;
use crate::wire::to_client::Reason;

/// What was asked for when the server refused: the same code asks for other remedies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A login with this name.
    Login(UserName),
    /// A registration of this name.
    Register(UserName),
    /// What a request with a number asked for: this is the answer to it.
    Request,
    /// Something within a session.
    Session,
}

/// A refusal, or a goodbye with a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked for.
    pub asked: Asked,
    /// What the server said.
    pub reason: Reason,
}

impl Refusal {
    /// The code, if this version knows it.
    pub fn code(&self) -> Option<Code> {
        self.reason.code
    }

    /// Whether what was asked for was not done, for sure. A failure of the server's disk, or one that this program does not know,
    /// may have come after it was.
    pub fn tells_that_nothing_was_done(&self) -> bool {
        self.asked == Asked::Request && self.reason.code.is_some_and(|code| code != Code::Storage)
    }

    /// How the program ends because of it.
    pub fn exit(&self) -> Exit {
        match self.reason.code {
            Some(Code::Full | Code::TooManySessions | Code::Throttled | Code::AccountsFull) => Exit::Busy,
            Some(
                Code::LoginRefused
                | Code::NameTaken
                | Code::BadName
                | Code::BadKey
                | Code::BadSignature
                | Code::BadVerifier
                | Code::RegistrationClosed
                | Code::Disabled
                | Code::InviteRefused
                | Code::Kicked
                | Code::Deleted
                | Code::StaleBundle,
            ) => Exit::Refused,
            Some(Code::NoSuchUser | Code::Away | Code::MailboxFull | Code::NotYours | Code::IdReused) => {
                Exit::Undelivered
            }
            Some(Code::NoSuchKey | Code::KeysReplaced) => Exit::Identity,
            _ => Exit::Local,
        }
    }

    /// What the person can do about it.
    pub fn hint(&self) -> Option<Hint> {
        Some(match (self.reason.code?, &self.asked) {
            (Code::LoginRefused, Asked::Login(name)) => {
                Hint::from(format!("is {name} an account of this server? If not: "))
                    .topchat(&["register", name.as_str()])
                    .then("    If its keys were renewed on another machine: ")
                    .and(carried_over())
            }
            (Code::RegistrationClosed, _) => "ask the server's owner to open it (--registration open)".into(),
            (Code::Disabled, _) => "ask the server's owner".into(),
            (Code::InviteRefused, Asked::Register(name)) => Hint::from("ask the server's owner for a code, then: ")
                .topchat(&["register", name.as_str(), "--invite-file", "FILE"]),
            (Code::Kicked, _) => Hint::from("ask the server's owner; you can log in again: ").topchat(&[]),
            (Code::BadKey, _) => "make new keys in another folder (--keys-dir)".into(),
            (Code::Replaced, _) => {
                Hint::from("what comes now goes to that session only; log in again to take it back: ").topchat(&[])
            }
            (Code::KeysReplaced, _) => Hint::from("start again: ").topchat(&[]),
            (Code::Storage, _) => "ask the server's owner (disk full?); it may have been done all the same".into(),
            (Code::TooSlow, _) => "connect again: messages that came meanwhile wait for you".into(),
            _ => return None,
        })
    }

    /// What is said once while a seat is waited for; `None` if it is no seat that is missing.
    pub fn waited_for(&self) -> Option<String> {
        match self.reason.code? {
            Code::Full => Some("the server is full".to_owned()),
            Code::TooManySessions => Some(format!("you are connected {} times already", self.reason.limit)),
            _ => None,
        }
    }

    fn retry(&self, otherwise: &str) -> String {
        match self.reason.retry_secs {
            0 => otherwise.to_owned(),
            secs => format!("Try again in about {secs} s"),
        }
    }
}

impl Refusal {
    /// What happened. The way in with a name that is taken is a command.
    pub fn message(&self) -> Hint {
        match (self.reason.code, &self.asked) {
            (Some(Code::NameTaken), Asked::Register(name)) => {
                Hint::from(format!("the name \"{name}\" is taken on this server. Log in with: "))
                    .topchat(&["login", name.as_str()])
            }
            _ => self.to_string().into(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(code) = self.reason.code else {
            return write!(f, "the server says: {} (code {})", visible(&self.reason.text), self.reason.number);
        };
        match (code, &self.asked) {
            (Code::Full | Code::TooManySessions, _) => {
                f.write_str(&self.waited_for().unwrap_or_default())?;
                match (code, self.reason.limit) {
                    (Code::Full, 0) => f.write_str(": all seats are taken")?,
                    (Code::Full, seats) => write!(f, ": {seats} of {seats} clients")?,
                    _ => {}
                }
                write!(f, ". {}, or run with --wait to queue.", self.retry("Try again later"))
            }
            (Code::NameTaken, Asked::Register(_)) => write!(f, "{}", self.message()),
            (Code::LoginRefused, _) => f.write_str("wrong name or password."),
            (Code::Throttled, _) => write!(f, "too many attempts. {}.", self.retry("Try again later")),
            (Code::RegistrationClosed, _) => f.write_str("this server takes no new accounts"),
            (Code::Disabled, _) => f.write_str("this account was disabled by the server's owner"),
            (Code::InviteRefused, _) => f.write_str(
                "this server takes new accounts by invite, and the code is missing, unknown, used or too old",
            ),
            (Code::Kicked, _) => f.write_str("the server's owner ended this session"),
            (Code::Replaced, _) => f.write_str("a newer session of this account took over"),
            (Code::KeysReplaced, _) => f.write_str("your keys were replaced by another program of yours"),
            (Code::StaleBundle, _) => f.write_str("the server knows newer keys of this account"),
            (Code::Deleted, _) => f.write_str("this account was deleted"),
            (Code::ShuttingDown, _) => f.write_str("the server is stopping"),
            (Code::TooSlow, _) => f.write_str("the server ended the connection: this client reads too slowly"),
            (Code::TimedOut, _) => f.write_str("the server ended the connection: it took too long"),
            (Code::AccountsFull, _) => f.write_str("this server takes no more accounts"),
            (Code::Storage, _) => f.write_str("the server can't store that now"),
            (Code::BadKey, _) => f.write_str("the server does not accept these keys"),
            (Code::MailboxFull, _) => f.write_str("not delivered: the mailbox is full"),
            (code, _) => write!(f, "the server says: {}", code.words()),
        }
    }
}

/// An account as it is on another machine comes to this one.
pub(crate) fn carried_over() -> Hint {
    Hint::default()
        .typed("topchat keys export")
        .then(" there, then ")
        .topchat(&["keys", "import", "FILE"])
        .then(" here")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(reason: Reason) -> Refusal {
        Refusal { asked: Asked::Login("alice".parse().unwrap()), reason }
    }

    #[test]
    fn a_full_server_tells_when_to_come_again() {
        let refusal = login(Reason { limit: 10, ..Reason::retry_after(Code::Full, 30) });
        assert_eq!(
            refusal.to_string(),
            "the server is full: 10 of 10 clients. Try again in about 30 s, or run with --wait to queue."
        );
        assert_eq!(refusal.exit(), Exit::Busy);
        let terse = login(Reason::retry_after(Code::Full, 30)).to_string();
        assert!(terse.starts_with("the server is full: all seats are taken. Try again in about 30 s"), "{terse}");
        let own = login(Reason { limit: 4, ..Reason::retry_after(Code::TooManySessions, 2) });
        assert_eq!(
            own.to_string(),
            "you are connected 4 times already. Try again in about 2 s, or run with --wait to queue."
        );
        assert_eq!(
            [own, refusal].map(|refusal| refusal.waited_for()),
            [Some("you are connected 4 times already"), Some("the server is full")].map(|told| told.map(str::to_owned))
        );
    }

    #[test]
    fn a_taken_name_names_the_way_in() {
        let asked = Asked::Register("alice".parse().unwrap());
        let refusal = Refusal { asked, reason: Reason::new(Code::NameTaken) };
        assert_eq!(refusal.to_string(), "the name \"alice\" is taken on this server. Log in with: topchat login alice");
        assert_eq!(refusal.exit(), Exit::Refused);
    }

    #[test]
    fn words_of_a_newer_server_are_shown_safely() {
        let reason = Reason { code: None, number: 999, retry_secs: 0, limit: 0, text: "new\u{1b}[2J\u{202e}".into() };
        assert_eq!(login(reason).to_string(), "the server says: new^[[2J<U+202E> (code 999)");
    }

    #[test]
    fn every_known_code_has_words_and_an_end_other_than_success() {
        for code in Code::ALL {
            let refusal = login(Reason::new(*code));
            assert!(!refusal.to_string().is_empty());
            assert_ne!(refusal.exit(), Exit::Done, "{code:?}");
        }
    }
}
