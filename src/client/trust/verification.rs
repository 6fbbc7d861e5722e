//! What two people compare: a fingerprint, their safety number, and that as a QR code. Pure.

use crate::client::ui::qr;
use crate::crypto::safety::{SafetyNumber, Side};
use crate::names::UserName;
use crate::wire::Fingerprint;

/// A contact's key as it is shown to be compared.
pub(crate) struct Comparison {
    own: UserName,
    name: UserName,
    fingerprint: Fingerprint,
    number: SafetyNumber,
}

impl Comparison {
    /// Of one's own key and a contact's.
    pub(crate) fn new(own: Side<'_>, contact: Side<'_>) -> Self {
        let (name, fingerprint) = contact;
        Self { own: own.0.clone(), name: name.clone(), fingerprint, number: SafetyNumber::of(own, contact) }
    }

    /// The number alone, without gaps.
    pub(crate) fn digits(&self) -> &str {
        self.number.digits()
    }

    /// The fingerprint, and the number below it.
    pub(crate) fn lines(&self) -> Vec<String> {
        vec![
            format!("{}  {}", self.name, self.fingerprint.grouped()),
            format!("safety number with {}  {}", self.name, self.number.grouped()),
        ]
    }

    /// The same for eyes: the number in two rows of six groups, which fit any terminal.
    pub(crate) fn rows(&self) -> Vec<String> {
        let label = format!("safety number with {}", self.name);
        let [upper, lower] = self.number.rows();
        let mut rows = vec![format!("{}  {}", self.name, self.fingerprint.grouped())];
        match label.len() <= LABEL_MAX {
            true => rows.extend([format!("{label}  {upper}"), format!("{:1$}  {lower}", "", label.len())]),
            false => rows.extend([label, format!("  {upper}"), format!("  {lower}")]),
        }
        rows
    }

    /// The number as a QR code.
    pub(crate) fn code(&self, colour: bool) -> Vec<String> {
        qr::lines(&self.number.payload(), colour)
    }

    /// All of it, and how it is compared. With a question below it the code and the number fit 24 rows; where there are fewer,
    /// the code would be scrolled away when the question comes, and is left out.
    pub(crate) fn whole(&self, colour: bool, height: Option<usize>) -> Vec<String> {
        let Self { own, name, .. } = self;
        let code = self.code(colour);
        let has_room = height.is_none_or(|height| code.len() + BESIDE_CODE <= height);
        let how = match has_room {
            true => format!("Compare them by voice, or scan the code on {name}'s screen."),
            false => "Compare them by voice (too few rows here for a code to scan).".to_owned(),
        };
        let mut lines = vec![
            format!("{name} sees the same number with /verify {own} in the chat."),
            how,
            "If they differ, somebody stands between you.".to_owned(),
            format!("If it is the same for {name}, the answer yes marks the key as verified."),
        ];
        lines.extend(self.rows());
        if has_room {
            lines.extend(code);
        }
        lines
    }
}

/// Columns before the number, so that six groups and a time fit 80.
const LABEL_MAX: usize = 34;
/// Rows that must be seen together with the code: the number and the question.
const BESIDE_CODE: usize = 3;

/// What was done about a contact whose key is to be no longer verified.
pub(crate) fn unverified(name: &UserName, was: bool) -> String {
    match was {
        true => format!("{name}'s key is no longer verified. It stays pinned."),
        false => format!("{name}'s key was not verified. Nothing was changed."),
    }
}

/// What was done about a contact whose classic messages were held.
pub(crate) fn accepted(name: &UserName, asks_for_more: bool) -> String {
    match asks_for_more {
        true => format!("what {name} has sent classic so far is shown, marked. What you send stays modern"),
        false => format!("what {name} has sent classic is shown, and what you send goes as {name} asks for now"),
    }
}
