//! What two people compare: a fingerprint, their safety number, and that as a QR code. Pure.

use super::qr;
use crate::crypto::safety::{SafetyNumber, Side};
use crate::names::UserName;
use crate::wire::Fingerprint;

/// A contact's key as it is shown to be compared.
pub struct Comparison {
    own: UserName,
    name: UserName,
    fingerprint: Fingerprint,
    number: SafetyNumber,
}

impl Comparison {
    /// Of one's own key and a contact's.
    pub fn new(own: Side<'_>, contact: Side<'_>) -> Self {
        let (name, fingerprint) = contact;
        Self { own: own.0.clone(), name: name.clone(), fingerprint, number: SafetyNumber::of(own, contact) }
    }

    /// The number alone, without gaps.
    pub fn digits(&self) -> &str {
        self.number.digits()
    }

    /// The fingerprint, and the number below it.
    pub fn lines(&self) -> Vec<String> {
        vec![
            format!("{}  {}", self.name, self.fingerprint.grouped()),
            format!("safety number with {}  {}", self.name, self.number.grouped()),
        ]
    }

    /// The number as a QR code.
    pub fn code(&self, colour: bool) -> Vec<String> {
        qr::lines(&self.number.payload(), colour)
    }

    /// All of it, and how it is compared. The code is as high as many a terminal: what is to be read stands below it.
    pub fn whole(&self, colour: bool) -> Vec<String> {
        let mut lines = self.code(colour);
        let Self { own, name, .. } = self;
        lines.push(format!("{name} sees the same number with /verify {own} in the chat."));
        lines.push(format!("Compare them by voice, or scan the code on {name}'s screen."));
        lines.push("If they differ, somebody stands between you.".to_owned());
        lines.extend(self.lines());
        lines
    }
}
