//! `topchat group rekey`, `list` and `forget`: the keys of the group, in the file that its members share.

use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use crate::client::config::{Config, default_group_key};
use crate::client::error::Error;
use crate::client::keys::group_file;
use crate::client::model::suite::Wanted;
use crate::client::ui::{json, output};
use crate::crypto::group_key::{Cipher, GroupKey, GroupKeys};
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::limits::LOCK_WITHIN;
use crate::storage::lock::Lock;
use crate::storage::{FileError, private};
use crate::text::{visible, visible_path};

/// A new key that writes from now on; those before it still read. Makes the file if there is none.
pub(crate) fn rekey(config: &Config, wanted: Option<Wanted>) -> Result<(), Error> {
    let path = path(config);
    private::ensure_folder(path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    let _lock = lock(&path)?;
    let key_error = group_file::bad(&path);
    let keys = match group_file::read_text(&path) {
        Ok((mut keys, text)) => {
            let cipher = wanted.map_or(keys.writer().cipher(), cipher);
            keys.rekey_for(cipher).map_err(key_error)?;
            private::replace(&path, keys.rewrite(&text).as_bytes())?;
            keys
        }
        Err(Error::File(FileError::Missing { .. })) => {
            let keys = GroupKeys::generate_for(wanted.map_or(Cipher::Des, cipher));
            private::create_new(&path, keys.to_text().as_bytes())?;
            config.say(format!(
                "there was no group key in {}: this is a first one. If the group has one already, take a member's file instead",
                visible_path(&path)
            ));
            keys
        }
        Err(error) => return Err(error),
    };
    let (shown, new) = (visible_path(&path), keys.writer().short_id());
    let older = match keys.entries().count() - 1 {
        0 => String::new(),
        1 => "; the one before still reads".to_owned(),
        count => format!("; {count} older ones still read"),
    };
    config.say(format!("group key {new} in {shown} writes from now on{older}"));
    config.say(format!("give {shown} to every member by a safe way: without it they can't read what you write to ALL"));
    if config.json { print(config, &keys) } else { Ok(()) }
}

fn cipher(wanted: Wanted) -> Cipher {
    match wanted {
        Wanted::Classic => Cipher::Des,
        Wanted::Modern => Cipher::Aes,
    }
}

/// The ids of all keys, the one that writes first.
pub(crate) fn list(config: &Config) -> Result<(), Error> {
    print(config, &read(&path(config))?.0)
}

/// Removes the key whose id begins with these digits: what was sealed with it can't be read any more.
pub(crate) fn forget(config: &Config, digits: &str, force: bool) -> Result<(), Error> {
    let path = path(config);
    let _lock = lock(&path)?;
    let (mut keys, text) = read(&path)?;
    let shown = visible_path(&path);
    let id = one_of(&keys, digits).ok_or_else(|| {
        let words = format!("\"{}\" is not the beginning of one key's id in {shown}", visible(digits));
        Failure::new(Exit::Usage, words).hint(Hint::from("give at least 4 digits; see ").topchat(&["group", "list"]))
    })?;
    let is_only = keys.entries().count() == 1;
    if !force && (is_only || keys.writer().id == id) {
        let what = if is_only { "only one" } else { "one that writes" };
        let words = format!("group key {} is the {what} in {shown}. Nothing was changed.", short(id));
        let hint = match is_only {
            true => Hint::from("--force removes the whole file; make a new key first: "),
            false => Hint::from("--force lets the next one write; make a new key first: "),
        };
        let hint = hint.topchat(&["group", "rekey"]);
        return Err(Failure::new(Exit::Usage, words).hint(hint).into());
    }
    match keys.remove(&id) {
        true => {
            private::replace(&path, keys.rewrite(&text).as_bytes())?;
            let writer = keys.writer().short_id();
            config.say(format!("group key {} is gone from {shown}; {writer} writes", short(id)));
        }
        false => {
            private::remove(&path)?;
            config.say(format!("group key {} is gone, and with it {shown}", short(id)));
        }
    }
    Ok(())
}

fn print(config: &Config, keys: &GroupKeys) -> Result<(), Error> {
    #[derive(Serialize)]
    struct Listed {
        r#type: &'static str,
        id: String,
        writes: bool,
    }
    let line = |key: &GroupKey| {
        let (id, writes) = (key.id_hex(), key.id == keys.writer().id);
        match config.json {
            true => json::line(&Listed { r#type: "group-key", id, writes }) + "\n",
            false => format!("{id}  {}\n", if writes { "writes" } else { "reads" }),
        }
    };
    output::write(&keys.entries().map(line).collect::<String>())
}

fn path(config: &Config) -> PathBuf {
    config.group_key.clone().unwrap_or_else(|| default_group_key(&config.keys_dir))
}

fn read(path: &Path) -> Result<(GroupKeys, Zeroizing<String>), Error> {
    group_file::read_text(path).map_err(|error| match error {
        Error::File(FileError::Missing { .. }) => group_file::missing(path),
        error => error,
    })
}

fn lock(path: &Path) -> Result<Lock, Error> {
    Ok(Lock::acquire_within(&path.with_extension("lock"), LOCK_WITHIN)?)
}

/// The one id that begins with these digits, if they are enough to mean one.
fn one_of(keys: &GroupKeys, digits: &str) -> Option<[u8; 16]> {
    let digits = digits.to_ascii_lowercase();
    let mut fitting = keys.entries().filter(|key| digits.len() >= SHORT && key.id_hex().starts_with(&digits));
    match (fitting.next(), fitting.next()) {
        (Some(key), None) => Some(key.id),
        _ => None,
    }
}

fn short(id: [u8; 16]) -> String {
    id.iter().take(SHORT / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Digits of an id that are shown everywhere, and the fewest that name one.
const SHORT: usize = 4;
