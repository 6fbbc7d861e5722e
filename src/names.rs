//! Names of accounts, and who a message is for.

use std::fmt;
use std::str::FromStr;

use crate::limits::NAME_MAX;

/// The tag of group messages. It can never be an account: names are lower case.
pub const GROUP: &str = "ALL";

/// An account's name: `[a-z][a-z0-9_-]{0,31}`.
///
/// ASCII and lower case only, so that no two names fold into one or hide a character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.eq_ignore_ascii_case(GROUP) {
            return Err(NameError::Reserved);
        }
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_MAX {
            return Err(NameError::TooLong { bytes: text.len() });
        }
        if !text.starts_with(|first: char| first.is_ascii_lowercase()) {
            return Err(NameError::FirstCharacter);
        }
        match text.chars().find(|c| !is_allowed(*c)) {
            Some(found) => Err(NameError::Character { found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl UserName {
    /// The name that a text with capitals in it was probably meant to be.
    pub fn without_capitals(text: &str) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        if lower == text { None } else { lower.parse().ok() }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for UserName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Why a text is no account name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A character that names don't have.
    #[error("a name can't contain {}", shown(*.found))]
    Character {
        /// The first such character.
        found: char,
    },
    /// No character at all.
    #[error("a name can't be empty")]
    Empty,
    /// The first character is not a lower-case letter.
    #[error("a name begins with a letter from a to z")]
    FirstCharacter,
    /// `ALL`, in any case.
    #[error("ALL means everybody and can't be a name")]
    Reserved,
    /// More than [`NAME_MAX`] bytes.
    #[error("a name has at most {NAME_MAX} characters, this one has {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// Who a message is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recipient {
    /// Everybody: tag `ALL`, sealed with the group key.
    All,
    /// One account, sealed with its public key.
    User(UserName),
}

impl Recipient {
    /// The name or tag as it stands in an envelope.
    pub fn as_str(&self) -> &str {
        match self {
            Self::All => GROUP,
            Self::User(name) => name.as_str(),
        }
    }
}

impl FromStr for Recipient {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == GROUP { Ok(Self::All) } else { text.parse().map(Self::User) }
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-')
}

/// A space would not be seen.
fn shown(found: char) -> String {
    if found == ' ' { "a space".to_owned() } else { crate::text::visible_char(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, why: NameError) {
        assert_eq!(text.parse::<UserName>(), Err(why), "{text:?}");
    }

    #[test]
    fn accepts_every_allowed_character() {
        for text in ["a", "alice", "z9_-", "abcdefghijklmnopqrstuvwxyz012345"] {
            assert_eq!(text.parse::<UserName>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_could_be_mistaken_for_another_name() {
        refused("", NameError::Empty);
        refused("Alice", NameError::FirstCharacter);
        refused("1alice", NameError::FirstCharacter);
        refused("alIce", NameError::Character { found: 'I' });
        refused("al\u{200d}ice", NameError::Character { found: '\u{200d}' });
        refused("alic\u{435}", NameError::Character { found: '\u{435}' });
        refused("alice\n", NameError::Character { found: '\n' });
        refused(&"a".repeat(33), NameError::TooLong { bytes: 33 });
    }

    #[test]
    fn all_is_a_recipient_and_never_a_name() {
        refused("ALL", NameError::Reserved);
        refused("all", NameError::Reserved);
        assert_eq!("ALL".parse(), Ok(Recipient::All));
        assert_eq!("all".parse::<Recipient>(), Err(NameError::Reserved));
    }

    #[test]
    fn a_refused_character_is_shown_safely() {
        let error = "a\u{1b}".parse::<UserName>().unwrap_err();
        assert_eq!(error.to_string(), "a name can't contain ^[");
    }
}
