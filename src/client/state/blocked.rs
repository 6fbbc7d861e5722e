//! Whose messages the chat does not show.

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
