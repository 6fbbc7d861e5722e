//! Invite codes: made once, shown once, and kept as their hashes only.

use std::fmt;

use data_encoding::{Encoding, HEXLOWER, Specification};
use serde::{Deserialize, Serialize};

use crate::crypto::{digest, random};
use crate::limits::{INVITE_BYTES, INVITE_GROUP};

/// A code that lets somebody make an account: 24 signs of Crockford's base32, in groups. No `Debug`: it is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteCode([u8; INVITE_BYTES]);

impl InviteCode {
    /// A new one. Nobody guesses 120 random bits.
    pub fn new() -> Self {
        Self(random::bytes())
    }

    /// A code as somebody typed it: in any case, with or without its hyphens, with O for 0 and I or L for 1.
    pub fn parse(typed: &str) -> Option<Self> {
        let bytes = base32().decode(typed.trim().as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// What is kept of it.
    pub fn hash(&self) -> InviteHash {
        InviteHash(digest::sha256(&self.0))
    }
}

impl Default for InviteCode {
    fn default() -> Self {
        Self::new()
    }
}

/// As it is handed out: `7K3M-Q9XT-2B8D-WF4N-H6JP-5RZC`.
impl fmt::Display for InviteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, sign) in base32().encode(&self.0).chars().enumerate() {
            if at > 0 && at.is_multiple_of(INVITE_GROUP) {
                f.write_str("-")?;
            }
            write!(f, "{sign}")?;
        }
        Ok(())
    }
}

/// SHA-256 of a code's 15 bytes: whoever reads it learns no code that could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub struct InviteHash(#[serde(with = "super::record::base64")] [u8; 32]);

impl InviteHash {
    /// What the owner calls the invite by: the hash's first 8 hex digits.
    pub fn id(&self) -> String {
        HEXLOWER.encode(&self.0[..4])
    }
}

/// An invite: who has its code may make so many accounts, up to some day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invite {
    pub(super) hash: InviteHash,
    pub(super) created_ms: u64,
    pub(super) expires_run_ms: u64,
    pub(super) uses: u32,
    pub(super) used: u32,
}

/// What can be done with an invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InviteState {
    Open,
    /// All accounts that it was for are made.
    Used,
    /// Its time is over.
    Expired,
}

impl Invite {
    /// An invite of this code for `uses` accounts. `created_ms` is Unix time, to be shown; it expires when the server has
    /// run for `expires_run_ms`.
    pub fn new(code: &InviteCode, uses: u32, created_ms: u64, expires_run_ms: u64) -> Self {
        Self { hash: code.hash(), created_ms, expires_run_ms, uses, used: 0 }
    }

    /// What is kept of its code.
    pub fn hash(&self) -> InviteHash {
        self.hash
    }

    /// When it was made, as Unix time in milliseconds.
    pub fn created_ms(&self) -> u64 {
        self.created_ms
    }

    /// When the server has run for so long, in milliseconds, it makes no more accounts: no clock that leaps ends it, and none that goes
    /// back prolongs it.
    pub fn expires_run_ms(&self) -> u64 {
        self.expires_run_ms
    }

    /// For how many accounts it is.
    pub fn uses(&self) -> u32 {
        self.uses
    }

    /// How many accounts it has made.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// What can be done with it when the server has run for so long.
    pub fn state(&self, run_ms: u64) -> InviteState {
        if self.used >= self.uses {
            InviteState::Used
        } else if run_ms >= self.expires_run_ms {
            InviteState::Expired
        } else {
            InviteState::Open
        }
    }
}

/// Crockford's alphabet: no sign looks like another one, and no I, L, O or U.
fn base32() -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    specification.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    specification.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    specification.ignore.push_str("- ");
    specification.encoding().expect("32 different signs, and no sign has two meanings")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it_down() {
        let code = InviteCode([0x08; INVITE_BYTES]);
        let shown = code.to_string();
        assert_eq!(shown, "1040-G208-1040-G208-1040-G208");
        let spellings = [
            shown.to_lowercase(),
            shown.replace('-', ""),
            shown.replace('1', "l").replace('0', "o"),
            format!(" {shown}\r\n"),
        ];
        for spelling in spellings {
            assert!(InviteCode::parse(&spelling) == Some(code.clone()), "{spelling}");
        }
    }

    #[test]
    fn what_is_no_code_is_none() {
        let good = InviteCode::new().to_string();
        for bad in
            ["", "-", &good[1..], &format!("{good}0"), &good.replace('-', "_"), &good.replacen(&good[..1], "U", 1), "é"]
        {
            assert!(InviteCode::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn no_two_codes_are_the_same_and_their_hashes_tell_them_apart() {
        let (one, other) = (InviteCode::new(), InviteCode::new());
        assert!(one != other && one.hash() != other.hash() && one.hash().id() != other.hash().id());
        assert_eq!(one.hash().id().len(), 8);
    }

    #[test]
    fn an_invite_is_open_until_it_is_used_up_or_too_old() {
        let invite = Invite::new(&InviteCode::new(), 2, 1000, 2000);
        assert_eq!(invite.state(1999), InviteState::Open);
        assert_eq!(invite.state(2000), InviteState::Expired);
        assert_eq!(Invite { used: 1, ..invite }.state(1999), InviteState::Open);
        assert_eq!(Invite { used: 2, ..invite }.state(2000), InviteState::Used);
    }
}
