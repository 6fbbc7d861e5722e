//! What an account has chosen for the chat: what the terminal rings for, and whose messages are not shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use serde::{Deserialize, Serialize};

use super::state_file::{Document, StateFile, VERSION};
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::limits::CONTACTS_MAX;
use crate::names::UserName;
use crate::sync::lock;

/// What the terminal rings for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Bell {
    /// Nothing.
    Off,
    /// Messages to oneself alone, and those that name one.
    #[default]
    Direct,
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

/// The blocked names of one account on one server, and how much of theirs was not shown.
pub(crate) struct Blocked {
    file: StateFile,
    /// As in the file when this run last looked, with what was counted since.
    counts: Mutex<BTreeMap<UserName, u64>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Names {
    v: u32,
    blocked: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self { v: VERSION, blocked: Vec::new() }
    }
}

impl Document for Names {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Blocked {
    /// Those of this folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let file = StateFile::new(folder, "blocked.json")?;
        let names: Names = file.read()?;
        let named = |name: String| {
            let shown = crate::text::visible(&name).into_owned();
            name.parse().map_err(|_| file.malformed(format!("\"{shown}\" can't be a name")))
        };
        let counts = names.blocked.into_iter().map(|name| Ok((named(name)?, 0))).collect::<Result<_, Error>>()?;
        Ok(Self { file, counts: Mutex::new(counts) })
    }

    /// Blocks a name. False if it was blocked already.
    pub(crate) fn block(&self, name: &UserName) -> Result<bool, Error> {
        self.file.change(|names: &mut Names| {
            if names.blocked.len() >= CONTACTS_MAX {
                return Err(Error::Trust(TrustError::ContactsFull { path: self.file.path().to_owned() }));
            }
            if !names.blocked.iter().any(|blocked| blocked == name.as_str()) {
                names.blocked.push(name.to_string());
                names.blocked.sort_unstable();
            }
            Ok(())
        })?;
        let mut counts = self.counts();
        let is_new = !counts.contains_key(name);
        counts.entry(name.clone()).or_default();
        Ok(is_new)
    }

    /// Takes that back, and tells how much was not shown in this run; nothing if the name was not blocked.
    pub(crate) fn unblock(&self, name: &UserName) -> Result<Option<u64>, Error> {
        self.file.change(|names: &mut Names| {
            names.blocked.retain(|blocked| blocked != name.as_str());
            Ok(())
        })?;
        Ok(self.counts().remove(name))
    }

    /// Whether a message of this name is not to be shown; it is counted then.
    pub(crate) fn holds_back(&self, name: &UserName) -> Option<u64> {
        let mut counts = self.counts();
        let count = counts.get_mut(name)?;
        *count += 1;
        Some(*count)
    }

    /// All of them with what was not shown in this run.
    pub(crate) fn list(&self) -> Vec<(UserName, u64)> {
        self.counts().iter().map(|(name, count)| (name.clone(), *count)).collect()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<UserName, u64>> {
        lock(&self.counts)
    }
}

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
