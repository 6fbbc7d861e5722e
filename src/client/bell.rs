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

    #[test]
    fn a_file_of_another_form_is_refused_and_stays() {
        let place = tempfile::tempdir().unwrap();
        Bell::Off.keep(place.path()).unwrap();
        let path = place.path().join(FILE);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\n  \"v\": 1,\n  \"bell\": \"off\"\n}\n");
        let shown = path.display();
        for (text, why) in [
            (r#"{"version":1,"bell":"off"}"#, "unknown field `version`, expected `v` or `bell` at line 1 column 10"),
            (r#"{"v":2,"bell":"off"}"#, "version 2, this program knows 1"),
            (
                r#"{"v":1,"bell":"off","sound":"loud"}"#,
                "unknown field `sound`, expected `v` or `bell` at line 1 column 27",
            ),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Bell::of(place.path()).unwrap_err();
            assert_eq!(error.to_string(), format!("{shown}: {why}"));
            let hint = crate::error::Explain::hint(&error).unwrap();
            assert_eq!(hint, format!("the file was left as it is; look at it, or move it away: {shown}"));
            assert!(Bell::All.keep(place.path()).is_err());
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}
