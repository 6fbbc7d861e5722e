//! The key files of an account: `KEYS_DIR/users/NAME/{identity,encryption,ed25519,x25519}.pem`, locked with the account's password.
//!
//! `scripts/gen-user-keys.sh` makes the same files. During a change of the password each key lies there twice, once
//! under either password, so that a crash at any moment locks nobody out: after the next login the file that opened
//! stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;

use data_encoding::BASE64;
use zeroize::Zeroizing;

use super::password::Secret;
use super::rotation::{NEXT, PUBLIC};
use crate::client::error::Error;
use crate::client::state::state_file::Stamp;
use crate::crypto::curve::{OpeningKey, SigningKey};
use crate::crypto::keys::{KeyError, KeyPair, PrivateKey, PublicHalf, PublicKey};
use crate::crypto::scram::Salted;
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::limits::{CHANGED_WITHIN, LOCK_WITHIN, RSA_BITS_MAX, RSA_BITS_MIN, SMALL_FILE_MAX};
use crate::names::UserName;
use crate::storage::FileError;
use crate::storage::lock::{FolderLock, Lock, LockError};
use crate::storage::private;
use crate::text::visible_path;

/// The folder of one account's key files.
#[derive(Clone, Debug)]
pub(crate) struct KeyFolder {
    name: UserName,
    folder: PathBuf,
}

/// The opened keys of an account, and which files they came from.
pub(crate) struct AccountKeys {
    pub identity: PrivateKey,
    pub encryption: PrivateKey,
    /// Signs modern messages.
    pub ed25519: SigningKey,
    /// Opens modern direct messages.
    pub x25519: OpeningKey,
    from_new: bool,
    made: [bool; 4],
}

/// Names of the two files of RSA keys, without their ending.
pub(crate) const PARTS: [&str; 2] = ["identity", "encryption"];
/// The same of the keys under that identity.
pub(crate) const MODERN: [&str; 2] = ["ed25519", "x25519"];
/// All of them, in the order in which they are made.
pub(crate) const ALL: [&str; 4] = [PARTS[0], PARTS[1], MODERN[0], MODERN[1]];

impl KeyFolder {
    /// The folder of `name` among those of all accounts.
    pub(crate) fn new(users_dir: &Path, name: &UserName) -> Self {
        Self { name: name.clone(), folder: users_dir.join(name.as_str()) }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }

    /// Whether the account's identity is here.
    pub(crate) fn exists(&self) -> bool {
        self.has(PARTS[0], "pem")
    }

    /// A key file that is not here, though it was: what is written behind it is here, or what only an account has whose keys
    /// were used. So it is none that is yet to be made.
    pub(crate) fn gone(&self) -> Option<PathBuf> {
        let is_used = fs::symlink_metadata(self.before_file()).is_ok() || !self.kept().is_empty();
        let was = |part: &&str| {
            let later = ALL.iter().skip_while(|one| *one != part).skip(1);
            let is_skipped = later.into_iter().any(|part| self.has(part, "pem"));
            is_used || is_skipped || [PUBLIC, NEW, NEXT].iter().any(|ending| self.has(part, ending))
        };
        let missing = ALL.iter().filter(|part| !self.has(part, "pem"));
        missing.copied().find(was).map(|part| self.file(part, "pem"))
    }

    /// An account needs all of its key files: one that is gone is told, and never made anew.
    pub(crate) fn is_whole(&self) -> Result<(), Error> {
        match self.gone() {
            Some(path) => Err(self.without(&path)),
            None => Ok(()),
        }
    }

    /// What an account on this machine must have is not there any more: this file, or the folder of all.
    pub(crate) fn without(&self, path: &Path) -> Error {
        let words = format!("{} is gone, of the keys of {}", visible_path(path), self.name);
        let hint = format!(
            "nothing was changed: put it back from a backup, or name the folder of its keys with --keys-dir; without it \
             nobody can log in as {}, and the name stays taken on its server",
            self.name
        );
        Failure::new(Exit::Local, words).hint(hint).into()
    }

    /// An account of that name with another identity is here.
    pub(crate) fn of_others(&self) -> Error {
        let shown = visible_path(&self.folder);
        let words = format!("{} has other keys on this machine, in {shown}. Nothing was changed.", self.name);
        let hint = format!("import it under another --keys-dir; the keys in {shown} stay as they are");
        Failure::new(Exit::Local, words).hint(hint).into()
    }

    /// Another process has changed the account's keys meanwhile.
    pub(crate) fn busy(&self) -> Error {
        let shown = visible_path(&self.folder);
        let words =
            format!("the keys in {shown} were changed by another program meanwhile. Nothing was changed by this one.");
        Failure::new(Exit::Local, words).hint("try again").into()
    }

    /// A change of the keys or of the password was interrupted, so it is not known which files count.
    pub(crate) fn interrupted(&self) -> Error {
        let words = format!("a change of the keys in {} was interrupted", visible_path(&self.folder));
        let hint = Hint::from("any command that logs in puts that in order, for example: ").topchat(&["users"]);
        Failure::new(Exit::Local, words).hint(hint).into()
    }

    /// Whether one of the key files is here, so that there is a password already.
    pub(crate) fn has_any(&self) -> bool {
        ALL.iter().any(|part| self.has(part, "pem"))
    }

    /// Whether there is nothing to be made.
    pub(crate) fn has_all(&self) -> bool {
        ALL.iter().all(|part| self.has(part, "pem"))
    }

    /// Opens all keys, as they were at one moment. Each must fit its public half; one that is missing is written again.
    pub(crate) fn load(&self, secret: &Secret) -> Result<AccountKeys, Error> {
        self.is_whole()?;
        let [identity, encryption, ed25519, x25519] = &self.look(ALL)?;
        // Each of them is locked so that a guess at the password takes long.
        let (identity, encryption, ed25519, x25519) = thread::scope(|scope| {
            let encryption = scope.spawn(|| self.load_found(encryption, secret));
            let modern = scope.spawn(|| (self.load_found(ed25519, secret), self.load_found(x25519, secret)));
            let identity = self.load_found(identity, secret);
            let (ed25519, x25519) = joined(modern);
            (identity, joined(encryption), ed25519, x25519)
        });
        let (identity, encryption, ed25519, x25519): (_, _, Loaded<SigningKey>, Loaded<OpeningKey>) =
            (identity?, encryption?, ed25519?, x25519?);
        Ok(AccountKeys {
            from_new: identity.1 || encryption.1 || ed25519.1 || x25519.1,
            identity: identity.0,
            encryption: encryption.0,
            ed25519: ed25519.0,
            x25519: x25519.0,
            made: [false; 4],
        })
    }

    /// Opens the keys that are there and makes those that are not. What was made is on disk when this returns.
    pub(crate) fn load_or_make(&self, secret: &Secret, bits: u32) -> Result<AccountKeys, Error> {
        check_size(bits)?;
        self.is_whole()?;
        private::ensure_folder(&self.folder)?;
        let made = ALL.map(|part| !self.has(part, "pem"));
        if made.contains(&false) {
            let rsa = || PrivateKey::generate(bits);
            let [identity, encryption] = PARTS;
            let [ed25519, x25519] = MODERN;
            self.make_if_missing(identity, rsa, secret)?;
            self.make_if_missing(encryption, rsa, secret)?;
            self.make_if_missing(ed25519, SigningKey::generate, secret)?;
            self.make_if_missing(x25519, OpeningKey::generate, secret)?;
            return Ok(AccountKeys { made, ..self.load(secret)? });
        }
        // What was just locked need not be opened again, which takes long.
        let [identity, encryption, ed25519, x25519] = ALL;
        let rsa = || PrivateKey::generate(bits);
        Ok(AccountKeys {
            identity: self.make(identity, rsa, secret)?,
            encryption: self.make(encryption, rsa, secret)?,
            ed25519: self.make(ed25519, SigningKey::generate, secret)?,
            x25519: self.make(x25519, OpeningKey::generate, secret)?,
            from_new: false,
            made,
        })
    }

    fn make<K: KeyPair>(
        &self,
        part: &str,
        generate: impl Fn() -> Result<K, KeyError>,
        secret: &Secret,
    ) -> Result<K, Error> {
        let path = self.file(part, "pem");
        let key = generate().map_err(Error::key(&path))?;
        self.write(part, "pem", &key, secret)?;
        private::replace(&self.file(part, PUBLIC), key.public().to_pem().as_bytes())?;
        Ok(key)
    }

    fn make_if_missing<K: KeyPair>(
        &self,
        part: &str,
        generate: impl Fn() -> Result<K, KeyError>,
        secret: &Secret,
    ) -> Result<(), Error> {
        match self.has(part, "pem") {
            true => Ok(()),
            false => self.make(part, generate, secret).map(drop),
        }
    }

    fn load_found<K: KeyPair>(&self, found: &Found, secret: &Secret) -> Result<Loaded<K>, Error> {
        let loaded = self.open_found(found, secret)?;
        self.check_public(found, &loaded.0)?;
        Ok(loaded)
    }

    /// Keeps other processes from [settling](Self::settle) what this one is changing.
    pub(crate) fn lock(&self) -> Result<Lock, Error> {
        Ok(Lock::acquire_within(&self.lock_file(), LOCK_WITHIN)?)
    }

    /// Before a whole folder comes here: an empty one, or one with a lock that nobody holds, is in nobody's way. Keys of any kind
    /// are.
    pub(crate) fn make_way(&self) -> Result<(), Error> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Ok(()) };
        if entries.flatten().any(|entry| entry.path() != self.lock_file()) {
            return Err(self.of_others());
        }
        let _lock = self.lock()?;
        Ok(private::remove(&self.lock_file())?)
    }

    /// Writes all keys a second time, locked with a new password. The old files stay until [`Self::settle`].
    pub(crate) fn write_new(
        &self,
        keys: &AccountKeys,
        old: &Secret,
        secret: &Secret,
        salted: &Salted,
    ) -> Result<(), Error> {
        self.remove_new()?;
        let mut before = self.before()?;
        before.add_password(salted, keys.encryption.public())?;
        self.keep_before_new(&before)?;
        for part in self.side_parts() {
            match self.open::<PrivateKey>(&self.file(&part, "pem"), old) {
                Ok(key) => self.write(&part, NEW, &key, secret)?,
                Err(error) => log::warn!("a former key stays as it is: {error}"),
            }
        }
        self.write(MODERN[0], NEW, &keys.ed25519, secret)?;
        self.write(MODERN[1], NEW, &keys.x25519, secret)?;
        self.write(PARTS[0], NEW, &keys.identity, secret)?;
        self.write(PARTS[1], NEW, &keys.encryption, secret)
    }

    /// The new password counts: the second files take the place of the first. Those of the four that log in come last:
    /// as long as one of them is left, a login finds out that there is something to be put in order.
    pub(crate) fn promote_new(&self) -> Result<(), Error> {
        let _alone = FolderLock::alone(&self.folder)?;
        match fs::rename(self.before_new_file(), self.before_file()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(FileError::Io { doing: "renaming", path: self.before_new_file(), source: error }.into());
            }
            Ok(()) | Err(_) => {}
        }
        let side = self.side_parts();
        side.iter().filter(|part| self.has(part, NEW)).try_for_each(|part| self.rename(part, NEW))?;
        let places = side.iter().filter_map(|part| self.folder.join(part).parent().map(Path::to_owned));
        places.collect::<BTreeSet<_>>().iter().try_for_each(|place| private::sync_folder(place))?;
        ALL.iter().filter(|part| self.has(part, NEW)).try_for_each(|part| self.rename(part, NEW))?;
        Ok(private::sync_folder(&self.folder)?)
    }

    /// Removes the second files.
    pub(crate) fn remove_new(&self) -> Result<(), Error> {
        match private::remove(&self.before_new_file()) {
            Ok(()) | Err(FileError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.all_parts().iter().try_for_each(|part| self.remove_if_there(part, NEW))
    }

    /// Removes the key files that [`Self::load_or_make`] made, of an account that does not exist, the last one first: who is
    /// interrupted leaves what can go on. Others stay.
    pub(crate) fn remove_made(&self, keys: &AccountKeys) -> Result<(), Error> {
        for (part, _) in ALL.iter().zip(keys.made).rev().filter(|(_, made)| *made) {
            self.remove_if_there(part, PUBLIC)?;
            private::remove(&self.file(part, "pem"))?;
        }
        match fs::remove_dir(&self.folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => {
                removed.map_err(|source| FileError::Io { doing: "removing", path: self.folder.clone(), source }.into())
            }
        }
    }

    /// After a login with `keys`: what an interrupted change of the password left is put in order.
    ///
    /// The lock must have been held since before the login: what a login proves that began before somebody else's change
    /// was interrupted may be outdated by that change.
    pub(crate) fn settle(&self, keys: &AccountKeys, _lock: &Lock) -> Result<(), Error> {
        match self.has_new() {
            true if keys.from_new => self.promote_new(),
            true => self.remove_new(),
            false => Ok(()),
        }
    }

    /// Waits until no other process is changing the keys or the password. One that takes too long is not waited for, and where nothing
    /// can be locked nobody changes anything.
    pub(crate) fn wait_for_others(&self) {
        let _ = Lock::acquire_within(&self.lock_file(), CHANGED_WITHIN);
    }

    /// Which files of the keys there are: tells if they were changed.
    pub(crate) fn stamp(&self) -> Vec<(String, Option<Stamp>)> {
        let endings = ["pem", NEW, NEXT];
        let files = ALL.iter().flat_map(|part| endings.map(|ending| format!("{part}.{ending}")));
        files.map(|file| (file.clone(), Stamp::of(&self.folder.join(file)))).collect()
    }

    /// Whether second files are there.
    pub(crate) fn has_new(&self) -> bool {
        self.all_parts().iter().any(|part| self.has(part, NEW))
    }

    /// The lock, or `None` if another process has it.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>, Error> {
        match Lock::try_acquire(&self.lock_file()) {
            Ok(lock) => Ok(Some(lock)),
            Err(LockError::Held { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The public half of the identity, which needs no password.
    pub(crate) fn public_identity(&self) -> Result<PublicKey, Error> {
        self.public(PARTS[0])
    }

    /// The public half of the encryption key, which needs no password either.
    pub(crate) fn public_encryption(&self) -> Result<PublicKey, Error> {
        self.public(PARTS[1])
    }

    pub(crate) fn public<P: PublicHalf>(&self, part: &str) -> Result<P, Error> {
        let path = self.file(part, PUBLIC);
        let pem = private::read_public(&path, SMALL_FILE_MAX).map_err(|error| self.unreadable(error))?;
        read_pem(&pem).map_err(Error::key(&path))
    }

    fn check_public<K: KeyPair>(&self, found: &Found, key: &K) -> Result<(), Error> {
        let path = self.file(&found.part, PUBLIC);
        let public = match &found.public {
            Ok(pem) => read_pem::<K::Public>(pem).map_err(Error::key(&path))?,
            Err(FileError::Missing { .. }) => {
                // It was there, and its private half tells what it is.
                log::warn!("{} was gone and is made again from its private half", visible_path(&path));
                if let Err(error) = private::replace(&path, key.public().to_pem().as_bytes()) {
                    log::warn!("{error}");
                }
                return Ok(());
            }
            Err(_) => return self.public::<K::Public>(&found.part).map(drop),
        };
        match public == *key.public() {
            true => Ok(()),
            // It is that of the key which is about to take this one's place: somebody was interrupted in between.
            false if found.has_next => Ok(()),
            false => Err(Error::State { path, why: format!("not the public half of {}.pem", found.part) }),
        }
    }

    /// The files of these parts, all as they were at the same moment: nobody puts new keys in their place meanwhile. To open
    /// them takes long, and is done afterwards.
    fn look<const N: usize>(&self, parts: [&str; N]) -> Result<[Found; N], Error> {
        let _shared = FolderLock::shared(&self.folder)?;
        Ok(parts.map(|part| Found {
            part: part.to_owned(),
            pem: self.read(&self.file(part, "pem")),
            new: self.has(part, NEW).then(|| self.read(&self.file(part, NEW))),
            has_next: self.has(part, NEXT),
            public: private::read_public(&self.file(part, PUBLIC), SMALL_FILE_MAX),
        }))
    }

    /// Every key file without its ending, those that log in last.
    fn all_parts(&self) -> Vec<String> {
        let mut parts = self.side_parts();
        parts.extend(ALL.map(str::to_owned));
        parts
    }

    /// The key, and whether it came from the second file.
    pub(crate) fn load_part(&self, part: &str, secret: &Secret) -> Result<Loaded<PrivateKey>, Error> {
        let [found] = self.look([part])?;
        self.open_found(&found, secret)
    }

    fn open_found<K: KeyPair>(&self, found: &Found, secret: &Secret) -> Result<Loaded<K>, Error> {
        let open = |ending, pem: &Result<Bytes, Error>| match pem {
            Ok(pem) => unlock(&self.file(&found.part, ending), pem, secret),
            // For the error as it is now.
            Err(_) => self.open(&self.file(&found.part, ending), secret),
        };
        match (open("pem", &found.pem), &found.new) {
            (Err(Error::WrongPassphrase { .. }), Some(new)) => open(NEW, new).map(|key| (key, true)),
            (opened, _) => opened.map(|key| (key, false)),
        }
    }

    pub(crate) fn open<K: KeyPair>(&self, path: &Path, secret: &Secret) -> Result<K, Error> {
        unlock(path, &self.read(path)?, secret)
    }

    pub(crate) fn read(&self, path: &Path) -> Result<Bytes, Error> {
        let bytes = private::read(path, SMALL_FILE_MAX).map_err(|error| self.unreadable(error))?;
        Ok(Zeroizing::new(bytes))
    }

    fn unreadable(&self, error: FileError) -> Error {
        match error {
            FileError::Missing { .. } if !self.has_any() => {
                Error::KeysMissing { name: self.name.clone(), folder: self.folder.clone() }
            }
            error => error.into(),
        }
    }

    pub(crate) fn write(&self, part: &str, ending: &str, key: &impl KeyPair, secret: &Secret) -> Result<(), Error> {
        let path = self.file(part, ending);
        let pem = key.to_pem(secret.password().as_bytes()).map_err(Error::key(&path))?;
        Ok(private::create_new(&path, pem.as_bytes())?)
    }

    /// The file with this ending takes the place of the key file.
    pub(crate) fn rename(&self, part: &str, ending: &str) -> Result<(), Error> {
        let (new, path) = (self.file(part, ending), self.file(part, "pem"));
        match fs::rename(&new, &path) {
            // Somebody was faster.
            Err(error) if error.kind() == ErrorKind::NotFound && self.has(part, "pem") => Ok(()),
            renamed => renamed.map_err(|source| FileError::Io { doing: "renaming", path: new, source }.into()),
        }
    }

    pub(crate) fn remove_if_there(&self, part: &str, ending: &str) -> Result<(), Error> {
        match private::remove(&self.file(part, ending)) {
            Ok(()) | Err(FileError::Missing { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn has(&self, part: &str, ending: &str) -> bool {
        fs::symlink_metadata(self.file(part, ending)).is_ok()
    }

    fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    pub(crate) fn file(&self, part: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{part}.{ending}"))
    }
}

/// The files of one key as they were at one moment.
struct Found {
    part: String,
    pem: Result<Bytes, Error>,
    new: Option<Result<Bytes, Error>>,
    has_next: bool,
    public: Result<Vec<u8>, FileError>,
}

type Bytes = Zeroizing<Vec<u8>>;

/// A key, and whether it came from the second file.
type Loaded<K> = (K, bool);

/// What a thread that opened key files found.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn unlock<K: KeyPair>(path: &Path, pem: &[u8], secret: &Secret) -> Result<K, Error> {
    secret.unlock(pem).map_err(|why| match why {
        KeyError::Passphrase => Error::WrongPassphrase { path: path.to_owned() },
        why => Error::key(path)(why),
    })
}

/// Ending of a key file under the new password, while the password is being changed.
const NEW: &str = "pem.new";

/// Whether keys of that many bits are possible.
pub(crate) fn check_size(bits: u32) -> Result<(), Error> {
    match bits {
        RSA_BITS_MIN..=RSA_BITS_MAX => Ok(()),
        bits => {
            let words = format!("keys of {bits} bits are not possible, {RSA_BITS_MIN} to {RSA_BITS_MAX} are");
            Err(Failure::new(Exit::Usage, words).hint("leave the size out for keys of 3072 bits").into())
        }
    }
}

/// The accounts whose keys are on this machine, also if one of these is gone, in alphabetical order.
pub(crate) fn accounts(users_dir: &Path) -> Vec<UserName> {
    let Ok(entries) = fs::read_dir(users_dir) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut names: Vec<UserName> = names
        .filter(|name| {
            let folder = KeyFolder::new(users_dir, name);
            folder.exists() || folder.gone().is_some()
        })
        .collect();
    names.sort();
    names
}

/// The public key in a PEM text, if it is one.
pub(crate) fn pem_key(pem: &[u8]) -> Option<PublicKey> {
    read_pem(pem).ok()
}

fn read_pem<P: PublicHalf>(pem: &[u8]) -> Result<P, KeyError> {
    P::from_der(&pem_body(pem).ok_or(KeyError::Malformed)?)
}

/// What stands between the first and the last line of a PEM text (RFC 7468).
fn pem_body(pem: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(pem).ok()?;
    let body = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
    let digits: String = body.split_ascii_whitespace().collect();
    BASE64.decode(digits.as_bytes()).ok()
}

#[cfg(test)]
mod tests;
