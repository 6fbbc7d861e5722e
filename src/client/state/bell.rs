//! What the terminal rings for: kept for each account.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::state_file::{Document, StateFile, VERSION};
use crate::client::error::Error;

/// What the terminal rings for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bell {
    /// Nothing.
    Off,
    /// Messages to oneself alone, and those that name one.
    #[default]
    Direct,
    /// Every message.
    All,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    v: u32,
    bell: Bell,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { v: VERSION, bell: Bell::default() }
    }
}

impl Document for Chosen {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Bell {
    /// What was chosen last for the account of this folder.
    pub(crate) fn of(folder: &Path) -> Result<Self, Error> {
        Ok(StateFile::new(folder, FILE)?.read::<Chosen>()?.bell)
    }

    /// Chooses this from now on.
    pub(crate) fn keep(self, folder: &Path) -> Result<(), Error> {
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
    use crate::client::state::state_file::sealed;

    #[test]
    fn what_was_chosen_holds_in_the_next_run() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(Bell::of(place.path()).unwrap(), Bell::Direct);
        for bell in [Bell::All, Bell::Off] {
            bell.keep(place.path()).unwrap();
            assert_eq!(Bell::of(place.path()).unwrap(), bell);
        }
    }

    #[test]
    fn a_file_of_another_form_is_refused_and_stays() {
        let place = tempfile::tempdir().unwrap();
        Bell::Off.keep(place.path()).unwrap();
        let path = place.path().join(FILE);
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept.starts_with("{\n  \"v\": 2,\n  \"bell\": \"off\",\n  \"sum\": \""), "{kept}");
        let shown = path.display();
        let other = sealed(&serde_json::json!({"v": 2, "bell": "off", "sound": "loud"})).unwrap();
        for (text, why) in [
            (r#"{"version":1,"bell":"off"}"#, "the checksum does not hold"),
            (r#"{"v":1,"bell":"off"}"#, "it is of version 1 of its format, and this program reads version 2"),
            (&other, "unknown field `sound`, expected `v` or `bell` at line 3 column 9"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Bell::of(place.path()).unwrap_err();
            assert_eq!(error.to_string(), format!("{shown}: {why}"));
            let hint = crate::error::Explain::hint(&error).unwrap().to_string();
            assert_eq!(
                hint,
                "nothing was changed: put the file back from a backup; without it the terminal rings as at the beginning"
            );
            assert!(Bell::All.keep(place.path()).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
