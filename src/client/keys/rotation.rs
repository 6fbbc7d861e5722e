//! Key files of an account beside the ones that count: those that are about to, and those that no longer do.
//!
//! New keys wait as `PART.pem.next`, locked with the same password, while the server is asked to take them. Whatever
//! happens meanwhile, the files that the server knows are there; the next login asks it which ones these are. Encryption
//! keys that were replaced stay in `retired/`, for messages that were sealed before, and identities in `former/`: their public halves
//! for notes to oneself, the private ones for a server that is set back (`before.rs`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::folder::{KeyFolder, MODERN, PARTS, pem_key};
use super::password::Secret;
use crate::client::error::Error;
use crate::client::model::pin::Former;
use crate::client::ui::output::now_ms;
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::crypto::keys::{PrivateKey, PublicKey};
use crate::limits::{BEFORE_MAX, FORMER_KEYS, FORMER_MS, RETIRED_KEYS_MAX};
use crate::storage::lock::FolderLock;
use crate::storage::{FileError, private};

/// Keys that wait to be taken by the server.
pub(crate) struct NextKeys {
    pub identity: Option<PrivateKey>,
    pub encryption: Option<PrivateKey>,
}

impl KeyFolder {
    /// Whether new keys wait: somebody is asking the server to take them, or a crash came between.
    pub(crate) fn has_next(&self) -> bool {
        PARTS.iter().any(|part| self.has(part, NEXT))
    }

    /// Writes keys that the server is to take; on disk when this returns.
    pub(crate) fn write_next(&self, next: &NextKeys, secret: &Secret) -> Result<(), Error> {
        for (part, key) in next.parts() {
            if let Some(key) = key {
                self.write(part, NEXT, key, secret)?;
            }
        }
        Ok(())
    }

    /// The keys that wait.
    pub(crate) fn load_next(&self, secret: &Secret) -> Result<NextKeys, Error> {
        let load = |part| match self.has(part, NEXT) {
            true => self.open(&self.file(part, NEXT), secret).map(Some),
            false => Ok(None),
        };
        Ok(NextKeys { identity: load(PARTS[0])?, encryption: load(PARTS[1])? })
    }

    /// The server has this bundle of the account: keys that stand in it take the place of those before, the others are
    /// dropped. The encryption key that does not count stays to be read with. Each step leaves a whole account.
    pub(crate) fn settle_next(&self, next: &NextKeys, account: &VerifiedBundle, secret: &Secret) -> Result<(), Error> {
        let old = PARTS.map(|part| self.open::<PrivateKey>(&self.file(part, "pem"), secret));
        let [identity, encryption] = old;
        let (old_identity, old_encryption) = (identity?, encryption?);
        self.remember(next, &old_identity, account, secret)?;
        // Opened before: that takes long, and nobody reads meanwhile.
        let _alone = FolderLock::alone(self.path())?;
        if let Some(encryption) = &next.encryption {
            if *encryption.public() == account.encryption {
                self.retire("pem", &old_encryption, account.number.saturating_sub(1))?;
                self.take_next(PARTS[1], encryption.public())?;
            } else {
                // Whoever the server told of this key meanwhile has sealed for it.
                self.retire(NEXT, encryption, account.number.saturating_add(1))?;
                self.drop_next(PARTS[1], old_encryption.public())?;
            }
        }
        if let Some(identity) = &next.identity {
            if *identity.public() == account.identity {
                self.keep_former(&old_identity)?;
                self.take_next(PARTS[0], identity.public())?;
            } else {
                self.drop_next(PARTS[0], old_identity.public())?;
            }
        }
        self.drop_oldest(&self.retired(), "pem", RETIRED_KEYS_MAX)
    }

    /// Whether files beside those that count wait for a login to put them in order.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.has_next() || self.has_new()
    }

    /// A locked encryption key from elsewhere: it counts if the server knows it, at the next login.
    pub(crate) fn add_next_encryption(&self, pem: &[u8]) -> Result<(), Error> {
        Ok(private::create_new(&self.file(PARTS[1], NEXT), pem)?)
    }

    /// A retired key or a former identity from elsewhere, under its name there.
    pub(crate) fn add_kept(&self, name: &str, pem: &[u8]) -> Result<(), Error> {
        let path = self.path().join(name);
        path.parent().map_or(Ok(()), private::ensure_folder)?;
        match private::create_new(&path, pem) {
            Err(FileError::Exists { .. }) => Ok(()),
            made => Ok(made?),
        }
    }

    /// Removes keys that the server has refused.
    pub(crate) fn remove_next(&self) -> Result<(), Error> {
        PARTS.iter().try_for_each(|part| self.remove_if_there(part, NEXT))
    }

    /// Encryption keys that were replaced, the newest first. One that can't be opened is told and left out: the account does
    /// not depend on it.
    pub(crate) fn load_retired(&self, secret: &Secret) -> Vec<PrivateKey> {
        let open = |part: &String| {
            let opened = self.load_part(part, secret);
            opened.inspect_err(|error| log::warn!("a retired key is left out: {error}")).ok().map(|(key, _)| key)
        };
        self.retired().iter().rev().filter_map(open).collect()
    }

    /// The retired keys' files without their ending, below the account's folder, the oldest first.
    pub(crate) fn retired(&self) -> Vec<String> {
        self.list(RETIRED, "pem")
    }

    /// What would bring the change to a server again that is set back to before it.
    fn remember(
        &self,
        next: &NextKeys,
        old: &PrivateKey,
        account: &VerifiedBundle,
        secret: &Secret,
    ) -> Result<(), Error> {
        let key_error = Error::key(self.path());
        let is_theirs = |key: &&PrivateKey| *key.public() == account.identity;
        let identity = next.identity.as_ref().filter(is_theirs);
        let is_taken = next.encryption.as_ref().is_some_and(|key| *key.public() == account.encryption);
        if identity.is_none() && !is_taken {
            return Ok(());
        }
        let (name, number) = (&account.name, account.number);
        let ed25519 = self.open(&self.file(MODERN[0], "pem"), secret)?;
        let bytes = bundle::again(account, identity.unwrap_or(old), &ed25519).map_err(key_error)?.encode();
        let handover = identity.map(|new| bundle::hand_over(name, old, new)).transpose().map_err(key_error)?;
        let mut before = self.before()?;
        before.add_bundle(number, &bytes, &handover.unwrap_or_default());
        self.keep_before(&before)?;
        self.keep_bundle(&bytes)
    }

    /// A copy of this file, locked as it is, among the retired ones. `number`: of the bundle that the key stood in.
    fn retire(&self, ending: &str, key: &PrivateKey, number: u64) -> Result<(), Error> {
        private::ensure_folder(&self.path().join(RETIRED))?;
        let bytes = self.read(&self.file(PARTS[1], ending))?;
        let part = retired_part(number, key.public());
        match private::create_new(&self.file(&part, "pem"), &bytes) {
            // From a try that was interrupted.
            Err(FileError::Exists { .. }) => Ok(()),
            made => Ok(made?),
        }
    }

    /// The public half comes first, and each step is whole: who is interrupted in between leaves that of the key which the server has,
    /// and that key beside it.
    fn take_next(&self, part: &str, public: &PublicKey) -> Result<(), Error> {
        private::replace(&self.file(part, PUBLIC), public.to_pem().as_bytes())?;
        self.rename(part, NEXT)?;
        Ok(private::sync_folder(self.path())?)
    }

    /// The server does not have it, after all: `public` is what stays.
    fn drop_next(&self, part: &str, public: &PublicKey) -> Result<(), Error> {
        private::replace(&self.file(part, PUBLIC), public.to_pem().as_bytes())?;
        Ok(private::remove(&self.file(part, NEXT))?)
    }

    fn drop_oldest(&self, parts: &[String], ending: &str, most: usize) -> Result<(), Error> {
        let excess = parts.len().saturating_sub(most);
        parts.iter().take(excess).try_for_each(|part| self.remove_if_there(part, ending))
    }

    /// The public half of an identity that is about to be replaced: what it has signed to its own account may still wait.
    /// Only this machine can know it: whoever has a key of their own could say that it handed over to this one.
    /// The key itself stays as long as a server may be set back to it.
    fn keep_former(&self, key: &PrivateKey) -> Result<(), Error> {
        let key = key.public();
        let is_key = |part: &String| part.ends_with(&short_hex(key));
        // From a try that was interrupted.
        if self.former().iter().any(is_key) {
            return Ok(());
        }
        private::ensure_folder(&self.path().join(FORMER))?;
        let part = format!("{FORMER}/{:013}-{}", now_ms(), short_hex(key));
        private::replace(&self.file(&part, "pem"), &self.read(&self.file(PARTS[0], "pem"))?)?;
        private::create_new(&self.file(&part, PUBLIC), key.to_pem().as_bytes())?;
        self.drop_oldest(&self.former_identities(), "pem", BEFORE_MAX)?;
        self.drop_oldest(&self.former(), PUBLIC, FORMER_KEYS)
    }

    /// Former identities that are kept with their private half, the newest first, opened one by one.
    pub(crate) fn load_former_identities(&self, secret: &Secret) -> impl Iterator<Item = PrivateKey> {
        let parts: Vec<_> = self.former_identities().into_iter().rev().collect();
        let open = |part: String| {
            let opened = self.load_part(&part, secret);
            opened.inspect_err(|error| log::warn!("a former identity is left out: {error}")).ok().map(|(key, _)| key)
        };
        parts.into_iter().filter_map(open)
    }

    /// Whether there is one, which is kept only as long as `before.json` tells what it is good for.
    pub(crate) fn has_former_identities(&self) -> bool {
        !self.former_identities().is_empty()
    }

    /// No server is set back as far as that any more.
    pub(crate) fn drop_former_identities(&self) -> Result<(), Error> {
        self.drop_oldest(&self.former_identities(), "pem", 0)
    }

    /// Their files without the ending, the oldest first.
    fn former_identities(&self) -> Vec<String> {
        self.list(FORMER, "pem")
    }

    /// What is here of keys that were replaced.
    pub(crate) fn kept(&self) -> Vec<String> {
        [self.side_parts(), self.former()].concat()
    }

    /// Key files beside those that log in, all of them locked with the same password.
    pub(crate) fn side_parts(&self) -> Vec<String> {
        [self.retired(), self.former_identities()].concat()
    }

    /// Identities that were replaced on this machine, and until when what they signed counts. One that can't be read is told
    /// and left out.
    pub(crate) fn load_former(&self) -> Vec<Former> {
        let read = |part: &String| {
            let since = part.strip_prefix(FORMER)?.strip_prefix('/')?.split_once('-')?.0.parse::<i64>().ok()?;
            let key =
                self.public(part).inspect_err(|error| log::warn!("a former identity is left out: {error}")).ok()?;
            Some(Former { key: Arc::new(key), until_ms: since.saturating_add(FORMER_MS), signers: Vec::new() })
        };
        self.former().iter().rev().filter_map(read).collect()
    }

    /// The same as files, by their names below the account's folder.
    pub(crate) fn former_files(&self) -> BTreeMap<String, String> {
        let read = |part: &String| {
            let key = self
                .public::<PublicKey>(part)
                .inspect_err(|error| log::warn!("a former identity is left out: {error}"))
                .ok()?;
            Some((format!("{part}.{PUBLIC}"), key.to_pem()))
        };
        self.former().iter().filter_map(read).collect()
    }

    /// The account's folder and those in it.
    pub(crate) fn places(&self) -> [PathBuf; 3] {
        [self.path().to_owned(), self.path().join(RETIRED), self.path().join(FORMER)]
    }

    /// Their files without the ending, the oldest first.
    fn former(&self) -> Vec<String> {
        self.list(FORMER, PUBLIC)
    }

    /// The files of this folder that look as this program names them, without their ending, in order.
    fn list(&self, folder: &str, ending: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path().join(folder)) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut parts: Vec<String> = names.filter_map(|name| part_of(folder, &name, ending)).collect();
        parts.sort();
        parts
    }
}

impl NextKeys {
    fn parts(&self) -> [(&'static str, Option<&PrivateKey>); 2] {
        [(PARTS[0], self.identity.as_ref()), (PARTS[1], self.encryption.as_ref())]
    }
}

/// `retired/0000000002-91cc04d1e5f6a7b8`: names in the order of the bundles.
fn retired_part(number: u64, key: &PublicKey) -> String {
    format!("{RETIRED}/{number:010}-{}", short_hex(key))
}

fn short_hex(key: &PublicKey) -> String {
    key.fingerprint().to_hex().chars().take(16).collect()
}

/// Only files that look as this program names them.
fn part_of(folder: &str, file: &str, ending: &str) -> Option<String> {
    let name = Path::new(file).file_name()?.to_str()?.strip_suffix(ending)?.strip_suffix('.')?;
    let (number, key) = name.split_once('-')?;
    let is_ours = number.bytes().all(|c| c.is_ascii_digit()) && key.bytes().all(|c| c.is_ascii_hexdigit());
    (is_ours && number.len() >= 10 && key.len() == 16).then(|| format!("{folder}/{name}"))
}

/// Whether this could be the name of a retired key's file, below the account's folder.
pub(crate) fn is_retired(name: &str) -> bool {
    let part = name
        .strip_prefix(RETIRED)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|name| part_of(RETIRED, name, "pem"));
    part.is_some_and(|part| format!("{part}.pem") == name)
}

/// Whether this is the file of a former identity, with that name below the account's folder.
pub(crate) fn is_former(name: &str, pem: &str) -> bool {
    let part = name.strip_prefix(FORMER).and_then(|rest| rest.strip_prefix('/'));
    let part = part.and_then(|name| part_of(FORMER, name, PUBLIC));
    let key = pem_key(pem.as_bytes());
    part.zip(key).is_some_and(|(part, key)| format!("{part}.{PUBLIC}") == name && part.ends_with(&short_hex(&key)))
}

/// Ending of a key file that waits for the server to take it.
pub(crate) const NEXT: &str = "pem.next";
/// Folder of encryption keys that were replaced.
pub(crate) const RETIRED: &str = "retired";
/// Folder of the public halves of identities that were replaced.
const FORMER: &str = "former";
/// Ending of a public half.
pub(crate) const PUBLIC: &str = "pub.pem";
