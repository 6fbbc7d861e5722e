//! What the chat remembers of people: who was seen, who wrote last, and for whom the terminal rings.

use std::collections::BTreeSet;
use std::sync::MutexGuard;

use super::Chat;
use crate::client::error::Error;
use crate::client::model::event::Opened;
use crate::client::state::chat_settings::Bell;
use crate::client::ui::render::named;
use crate::limits::CONTACTS_MAX;
use crate::names::{Recipient, UserName};
use crate::sync::lock;

/// What the one thread tells the other about people.
#[derive(Default)]
pub(super) struct Manners {
    bell: Bell,
    /// Who wrote to oneself alone last.
    wrote_last: Option<UserName>,
    /// Who was seen here.
    met: BTreeSet<UserName>,
}

impl Manners {
    /// Nobody was seen yet.
    pub(super) fn new(bell: Bell) -> Self {
        Self { bell, ..Self::default() }
    }
}

impl Chat<'_> {
    /// Who wrote to oneself alone last.
    pub(crate) fn wrote_last(&self) -> Option<UserName> {
        self.manners().wrote_last.clone()
    }

    /// Names that are known here, to be completed: contacts, and those that were met in this run.
    pub(crate) fn names(&self) -> Vec<UserName> {
        let mut names = self.manners().met.clone();
        // Without the contacts there is less to complete, no more.
        names.extend(self.contacts.list().unwrap_or_default().into_iter().map(|(name, _)| name));
        names.into_iter().filter(|name| *name != self.member.name).collect()
    }

    /// These people are there.
    pub(crate) fn met(&self, names: impl IntoIterator<Item = UserName>) {
        let mut manners = self.manners();
        manners.met.extend(names);
        while manners.met.len() > CONTACTS_MAX {
            manners.met.pop_last();
        }
    }

    /// When the terminal rings from now on, also in later runs.
    pub(crate) fn ring(&self, bell: Bell) -> Result<(), Error> {
        self.manners().bell = bell;
        bell.keep(&self.config.account_state(&self.member.name))
    }

    /// When the terminal rings.
    pub(crate) fn bell(&self) -> Bell {
        self.manners().bell
    }

    /// Whether the terminal rings for this message, which is shown now.
    pub(crate) fn rings_for(&self, opened: &Opened) -> bool {
        let header = &opened.envelope.header;
        let is_direct = header.recipient != Recipient::All;
        let mut manners = self.manners();
        if is_direct {
            manners.wrote_last = Some(header.sender.clone());
        }
        match manners.bell {
            Bell::Off => false,
            Bell::Direct => is_direct || !named(&opened.text, self.member.name.as_str()).is_empty(),
            Bell::All => true,
        }
    }

    fn manners(&self) -> MutexGuard<'_, Manners> {
        lock(&self.manners)
    }
}
