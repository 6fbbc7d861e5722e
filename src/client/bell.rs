//! What the terminal rings for: kept for each account.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Error;
use super::state_file::{Document, StateFile, VERSION};

/// What the terminal rings for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bell {
    /// Nothing.
    Off,
    /// Messages to oneself alone, and those that name one.
    #[default]
    Direct,
    /// Every message.
    All,
}

#[derive(Deserialize, Serialize)]
struct Chosen {
    version: u32,
    bell: Bell,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { version: VERSION, bell: Bell::default() }
    }
}

impl Document for Chosen {
    fn version(&self) -> u32 {
        self.version
    }
}

impl Bell {
    /// What was chosen last for the account of this folder.
    pub(super) fn of(folder: &Path) -> Result<Self, Error> {
        Ok(StateFile::new(folder, FILE)?.read::<Chosen>()?.bell)
    }

    /// Chooses this from now on.
    pub(super) fn keep(self, folder: &Path) -> Result<(), Error> {
        StateFile::new(folder, FILE)?.change(|chosen: &mut Chosen| {
            chosen.bell = self;
            Ok(())
        })
    }
}

const FILE: &str = "bell.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_holds_in_the_next_run() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Bell::of(place.path()).unwrap(), Bell::Direct);
        for bell in [Bell::All, Bell::Off] {
            bell.keep(place.path()).unwrap();
            assert_eq!(Bell::of(place.path()).unwrap(), bell);
        }
    }
}
