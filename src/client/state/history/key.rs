//! Whether an account keeps a history, and the key of it: `history.json` in the account's state folder.
//!
//! The key lies there sealed for the account's encryption key, so that the password, and a change of it, need no file of
//! their own here. When the encryption key is renewed, the history's key is sealed for the new one.

use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use crate::client::error::Error;
use crate::client::state::state_file::{Document, StateFile, VERSION};
use crate::crypto::history::HistoryKey;
use crate::crypto::keys::{PrivateKey, PublicKey};
use crate::error::{Exit, Failure};
use crate::text::visible_path;

/// The file.
pub(crate) struct Settings {
    file: StateFile,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Setting {
    v: u32,
    /// Whether every run keeps a history.
    on: bool,
    key: Option<Locked>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Locked {
    id: String,
    /// Fingerprint of the encryption key that opens it.
    for_key: String,
    sealed: String,
}

impl Default for Setting {
    fn default() -> Self {
        Self { v: VERSION, on: false, key: None }
    }
}

impl Document for Setting {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Settings {
    /// The settings of the account with this state folder.
    pub(crate) fn of(folder: &Path) -> Result<Self, Error> {
        Ok(Self { file: StateFile::new(folder, "history.json")? })
    }

    /// Whether every run keeps a history.
    pub(crate) fn is_on(&self) -> Result<bool, Error> {
        Ok(self.file.read::<Setting>()?.on)
    }

    /// Whether there ever was one.
    pub(crate) fn has_key(&self) -> Result<bool, Error> {
        Ok(self.file.read::<Setting>()?.key.is_some())
    }

    /// From now on every run keeps a history, or none. Gives what was so before.
    pub(crate) fn turn(&self, on: bool, key: &PublicKey) -> Result<bool, Error> {
        self.file.change(|kept: &mut Setting| {
            if on && kept.key.is_none() {
                kept.key = Some(self.locked(&HistoryKey::generate(), key)?);
            }
            Ok(std::mem::replace(&mut kept.on, on))
        })
    }

    /// The key, made if there is none, and sealed for the first of `own`, the present one, if it was for another.
    pub(crate) fn key(&self, own: &[&PrivateKey]) -> Result<HistoryKey, Error> {
        let Some(present) = own.first().map(|key| key.public()) else { return Err(self.shut()) };
        let locked = match self.file.read::<Setting>()?.key {
            Some(locked) => locked,
            None => self.file.change(|kept: &mut Setting| match &kept.key {
                Some(locked) => Ok(locked.clone()),
                None => {
                    let locked = self.locked(&HistoryKey::generate(), present)?;
                    Ok(kept.key.insert(locked).clone())
                }
            })?,
        };
        let key = self.opened(&locked, own)?;
        if locked.for_key != present.fingerprint().to_hex() {
            let locked = self.locked(&key, present)?;
            self.file.change(|kept: &mut Setting| {
                kept.key = Some(locked);
                Ok(())
            })?;
        }
        Ok(key)
    }

    fn opened(&self, locked: &Locked, own: &[&PrivateKey]) -> Result<HistoryKey, Error> {
        let fits = |key: &&&PrivateKey| key.public().fingerprint().to_hex() == locked.for_key;
        let with = own.iter().find(fits).ok_or_else(|| self.shut())?;
        let sealed = BASE64.decode(locked.sealed.as_bytes());
        let id = HEXLOWER.decode(locked.id.as_bytes());
        let opened = sealed.ok().zip(id.ok()).and_then(|(sealed, id)| HistoryKey::unlock(with, &sealed, &id));
        opened.ok_or_else(|| self.file.malformed("the key in it does not open".to_owned()))
    }

    fn locked(&self, key: &HistoryKey, present: &PublicKey) -> Result<Locked, Error> {
        let sealed = key.lock(present).map_err(Error::key(self.file.path()))?;
        Ok(Locked {
            id: HEXLOWER.encode(&key.id()),
            for_key: present.fingerprint().to_hex(),
            sealed: BASE64.encode(&sealed),
        })
    }

    fn shut(&self) -> Error {
        let path = visible_path(self.file.path());
        Failure::new(Exit::Local, format!("{path} is sealed for another encryption key than those on this machine"))
            .hint("take the account's key files from a backup")
            .into()
    }
}

/// After a renewal: the history's key is sealed for the new encryption key, the first of `own`. If that fails, the next
/// session that receives does it.
pub(crate) fn follow(folder: &Path, own: &[&PrivateKey]) {
    let followed = Settings::of(folder).and_then(|settings| match settings.has_key()? {
        true => settings.key(own).map(drop),
        false => Ok(()),
    });
    if let Err(error) = followed {
        log::warn!("{error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{BOB_ENCRYPTION, CAROL_ENCRYPTION};
    use crate::error::Explain;

    #[test]
    fn the_key_stays_the_same_and_follows_a_renewed_encryption_key() {
        let place = tempfile::tempdir().unwrap();
        let settings = || Settings::of(place.path()).unwrap();
        let key = settings().key(&[&BOB_ENCRYPTION]).unwrap();
        assert_eq!(settings().key(&[&BOB_ENCRYPTION]).unwrap().id(), key.id());
        assert_eq!(settings().key(&[&CAROL_ENCRYPTION, &BOB_ENCRYPTION]).unwrap().id(), key.id());
        assert_eq!(settings().key(&[&CAROL_ENCRYPTION]).unwrap().id(), key.id(), "sealed for the new one now");
        let refused = settings().key(&[&BOB_ENCRYPTION]).err().expect("it is sealed for the new one now");
        assert!(refused.to_string().ends_with(" is sealed for another encryption key than those on this machine"));
        assert_eq!(refused.hint(), Some("take the account's key files from a backup".into()));
    }

    #[test]
    fn it_is_off_until_it_is_turned_on_and_keeps_its_key_when_turned_off() {
        let place = tempfile::tempdir().unwrap();
        let settings = Settings::of(place.path()).unwrap();
        assert!(!settings.is_on().unwrap() && !settings.has_key().unwrap());
        assert!(!settings.turn(true, BOB_ENCRYPTION.public()).unwrap());
        let key = settings.key(&[&BOB_ENCRYPTION]).unwrap();
        assert!(settings.turn(false, BOB_ENCRYPTION.public()).unwrap());
        assert!(!settings.is_on().unwrap() && settings.has_key().unwrap());
        settings.turn(true, CAROL_ENCRYPTION.public()).unwrap();
        assert_eq!(settings.key(&[&BOB_ENCRYPTION]).unwrap().id(), key.id());
    }
}
