//! A contact's keys as the server gives them: pinned, compared, verified and trusted in one way for command, chat and rpc.

use super::directory::look_up;
use super::request::Ask;
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::model::event::{KeyChange, Notice};
use crate::client::model::pin::{Found, Met};
use crate::client::trust::contacts::Contacts;
use crate::client::trust::pins::Choice;
use crate::client::trust::verification::Comparison;
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::safety::Side;
use crate::limits::{FINGERPRINT_DIGITS_MIN, VERIFIED_DIGITS_MIN};
use crate::names::UserName;
use crate::wire::Fingerprint;

/// The keys of a contact that may be written to.
pub(crate) struct Contacted {
    pub bundle: VerifiedBundle,
    /// What the person is to be told, if there is anything.
    pub notice: Option<Notice>,
}

/// The keys of `name`, if its identity is the pinned one, one that it has handed over to, or seen for the first time.
pub(crate) fn contact(server: &mut impl Ask, contacts: &Contacts, name: &UserName) -> Result<Contacted, Error> {
    let found = look_up(server, name)?;
    let met = contacts.check(&found)?;
    Ok(Contacted { notice: told(met, &found), bundle: found.bundle })
}

/// The key of a contact, to be shown.
pub(crate) struct ContactKey {
    pub fingerprint: Fingerprint,
    /// The other one that was seen, while the person has not chosen.
    pub change: Option<KeyChange>,
    /// Nothing was pinned so far.
    pub is_first: bool,
}

/// The key that is pinned for `name`, or the one that `contact` gives if none is.
pub(crate) fn key_of(
    contacts: &Contacts,
    name: &UserName,
    contact: impl FnOnce() -> Result<Contacted, Error>,
) -> Result<ContactKey, Error> {
    Ok(match contacts.pinned(name)? {
        Some(pin) => ContactKey { fingerprint: pin.key.fingerprint(), change: pin.change(name), is_first: false },
        None => ContactKey { fingerprint: contact()?.bundle.identity.fingerprint(), change: None, is_first: true },
    })
}

/// The keys that a contact has now, to be compared by the person, whatever is pinned.
pub(crate) struct Verification {
    bundle: VerifiedBundle,
    /// What the person is to be told before, if there is anything.
    pub notice: Option<Notice>,
}

impl Verification {
    /// Of the keys that the server gives for `name`. A change that shows is recorded: it stays open if the person says no.
    pub(crate) fn begin(server: &mut impl Ask, contacts: &Contacts, name: &UserName) -> Result<Self, Error> {
        let found = look_up(server, name)?;
        let notice = match contacts.meet(&found) {
            Ok(met) => told(met, &found),
            Err(Error::Trust(TrustError::NotPinned { .. })) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { bundle: found.bundle, notice })
    }

    /// Whose keys.
    pub(crate) fn name(&self) -> &UserName {
        &self.bundle.name
    }

    /// The key that is compared.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.bundle.identity.fingerprint()
    }

    /// What both compare.
    pub(crate) fn comparison(&self, own: Side<'_>) -> Comparison {
        Comparison::new(own, (self.name(), self.fingerprint()))
    }

    /// The contact's key is the one whose digits were typed.
    pub(crate) fn check(&self, digits: &Digits) -> Result<(), Error> {
        digits.check(self.name(), self.fingerprint())
    }

    /// They are the same: the key is verified from now on.
    pub(crate) fn confirm(&self, contacts: &Contacts) -> Result<(), Error> {
        contacts.choose(&self.bundle, Choice::Verified)
    }
}

fn told(met: Met, found: &Found) -> Option<Notice> {
    let bundle = &found.bundle;
    match met {
        Met::Moved => Some(Notice::NewKeys { name: bundle.name.clone(), now: bundle.identity.fingerprint() }),
        Met::Changed(change) => Some(Notice::KeyChanged(change)),
        Met::TookBack { stays } => Some(Notice::TookBack { name: bundle.name.clone(), stays }),
        Met::First | Met::Stays => None,
    }
}

/// How the person names the key that they trust.
#[derive(Clone, Debug)]
pub(crate) enum Meant {
    /// By its fingerprint or the beginning of it.
    Digits(Digits),
    /// As the changed key of which they were shown the fingerprint, if they were shown any.
    Shown(Option<Fingerprint>),
}

impl Meant {
    /// By the digits that they typed.
    pub(crate) fn typed(digits: &str) -> Result<Self, Error> {
        Digits::typed(digits, FINGERPRINT_DIGITS_MIN).map(Self::Digits)
    }
}

/// Pins the key that `name` has now in place of the one before, if it is the one that the person means. Without its digits,
/// that is the changed key only as long as it is the one that was shown to them: others may have come since, in any process.
pub(crate) fn trust(
    server: &mut impl Ask,
    contacts: &Contacts,
    name: &UserName,
    meant: Meant,
) -> Result<Fingerprint, Error> {
    let (digits, shown, choice) = match meant {
        Meant::Digits(digits) => (Some(digits), None, Choice::Named),
        Meant::Shown(shown) => (None, Some(changed_as_shown(contacts, name, shown)?), Choice::Trusted),
    };
    let bundle = look_up(server, name)?.bundle;
    let now = bundle.identity.fingerprint();
    if let Some(digits) = digits {
        digits.check(name, now)?;
    }
    if let Some(told) = shown.filter(|told| *told != now) {
        return Err(Error::Trust(TrustError::Gone { name: name.clone(), told, now }));
    }
    contacts.choose(&bundle, choice)?;
    Ok(now)
}

fn changed_as_shown(contacts: &Contacts, name: &UserName, shown: Option<Fingerprint>) -> Result<Fingerprint, Error> {
    let change = contacts.pinned(name)?.and_then(|pin| pin.change(name));
    let change = change.ok_or_else(|| Error::Trust(TrustError::NotChanged { name: name.clone() }))?;
    match shown == Some(change.now) {
        true => Ok(change.now),
        false => Err(Error::Trust(TrustError::NotShown(Box::new(change)))),
    }
}

/// The hex digits of a fingerprint or of its beginning, in lower case; enough of them that nobody finds another key with the
/// same ones.
#[derive(Clone, Debug)]
pub(crate) struct Digits(String);

impl Digits {
    /// As a contact tells them, to be compared.
    pub(crate) fn to_verify(typed: &str) -> Result<Self, Error> {
        Self::typed(typed, VERIFIED_DIGITS_MIN)
    }

    fn typed(typed: &str, least: usize) -> Result<Self, Error> {
        let text = typed.trim();
        let text = text.strip_prefix("SHA256:").unwrap_or(text);
        let digits: String = text.chars().filter(|c| !matches!(c, ' ' | ':')).map(|c| c.to_ascii_lowercase()).collect();
        let hex = digits.chars().all(|c| c.is_ascii_hexdigit());
        match hex && (least..=64).contains(&digits.len()) {
            true => Ok(Self(digits)),
            false => Err(Error::Trust(TrustError::Fingerprint { least, text: typed.to_owned() })),
        }
    }

    /// An error unless the key's fingerprint begins with these digits.
    fn check(&self, name: &UserName, now: Fingerprint) -> Result<(), Error> {
        match now.to_hex().starts_with(&self.0) {
            true => Ok(()),
            false => Err(Error::Trust(TrustError::Mismatch { name: name.clone(), now })),
        }
    }
}

#[cfg(test)]
mod tests;
