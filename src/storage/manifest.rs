//! Which files a folder must have: each is noted when it comes into being.
//!
//! So a file that is gone is never taken for one that was not made yet. The notes are a [journal](super::journal) named `manifest`. It is the first file of a folder, and a file is noted when it
//! is on disk; so a crash at any moment leaves at most a file that is there and not noted, which is noted then.
//!
//! Who has no copy of a file that is gone says so by an empty file beside its place, `NAME.lost`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::disk::RealDisk;
use super::journal::{Format, Journal, JournalError, Stored};
use super::lock::{Lock, LockError};
use super::{FileError, private};
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::LOCK_WITHIN;
use crate::machine::fs;
use crate::text::{quoted, visible_path};

/// A sort of folder.
#[derive(Debug)]
pub struct Layout {
    /// That of the manifest.
    pub format: Format,
    /// What it can hold.
    pub parts: &'static [Part],
}

/// A file, or a folder, that stays once it was made.
#[derive(Debug)]
pub struct Part {
    /// Its name.
    pub name: &'static str,
    /// What is so without it, as `all accounts are gone`.
    pub without: &'static str,
}

/// The notes of one folder, as they are on disk now.
#[derive(Clone, Debug)]
pub struct Manifest {
    folder: PathBuf,
    layout: &'static Layout,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Note {
    /// The file was made.
    Has(String),
    /// It was removed on purpose.
    Removed(String),
}

impl Manifest {
    /// The manifest of this folder.
    pub fn of(folder: &Path, layout: &'static Layout) -> Self {
        Self { folder: folder.to_owned(), layout }
    }

    /// Makes sure of a part: it is there, or made if it never was.
    pub fn ready<E: From<ManifestError>>(
        &self,
        name: &str,
        make: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.folder.join(name);
        if !self.is_there(name)? {
            self.begin()?;
            make(&path)?;
        }
        self.made(name)?;
        Ok(())
    }

    /// Whether a part is there. An error if it is not, though it was, unless somebody said that it is lost.
    pub fn is_there(&self, name: &str) -> Result<bool, ManifestError> {
        let noted = self.noted()?;
        let path = self.folder.join(name);
        match exists(&path)? {
            false if noted.contains(name) && !exists(&lost(&path))? => Err(self.gone(name, path)),
            is_there => Ok(is_there),
        }
    }

    /// Whether every part that was made is there, or said to be lost. Changes nothing.
    pub fn check(&self) -> Result<(), ManifestError> {
        self.layout.parts.iter().try_for_each(|part| self.is_there(part.name).map(drop))
    }

    /// The folder has a manifest from now on: to be called before the first part is made.
    pub fn begin(&self) -> Result<(), ManifestError> {
        if exists(&self.path())? {
            return Ok(());
        }
        let _lock = self.lock()?;
        // Another process may have made it meanwhile.
        self.noted()?;
        match Journal::create::<Note>(&self.path(), &self.layout.format, Box::new(RealDisk), &[]) {
            Ok(_) | Err(FileError::Exists { .. }) => Ok(()),
            Err(error) => Err(JournalError::from(error).into()),
        }
    }

    /// A part is on disk.
    pub fn made(&self, name: &str) -> Result<(), ManifestError> {
        if !self.noted()?.contains(name) {
            self.note(Note::Has(name.to_owned()))?;
        }
        let lost = lost(&self.folder.join(name));
        if exists(&lost)? {
            private::remove(&lost).map_err(JournalError::from)?;
        }
        Ok(())
    }

    /// A part is about to be removed on purpose.
    pub fn removing(&self, name: &str) -> Result<(), ManifestError> {
        match self.noted()?.contains(name) {
            true => self.note(Note::Removed(name.to_owned())),
            false => Ok(()),
        }
    }

    fn note(&self, note: Note) -> Result<(), ManifestError> {
        let _lock = self.lock()?;
        let mut stored = Stored::open(&self.path(), &self.layout.format)?;
        stored.replay(|_: Note| Ok::<_, String>(()))?;
        let (mut journal, cut) = stored.settle(Box::new(RealDisk))?;
        if let Some(cut) = cut {
            log::warn!("{cut}. What it noted is noted again when it is used");
        }
        Ok(journal.append(&[note])?)
    }

    /// Which parts were made. A folder that has parts, but no manifest, is one of before there were any.
    fn noted(&self) -> Result<BTreeSet<String>, ManifestError> {
        let mut noted = BTreeSet::new();
        let mut stored = match Stored::open(&self.path(), &self.layout.format) {
            Err(JournalError::File(FileError::Missing { .. })) => return self.is_new().map(|()| noted),
            stored => stored?,
        };
        stored.replay(|note| {
            match note {
                Note::Has(name) => noted.insert(name),
                Note::Removed(name) => noted.remove(&name),
            };
            Ok::<_, String>(())
        })?;
        Ok(noted)
    }

    fn is_new(&self) -> Result<(), ManifestError> {
        for part in self.layout.parts {
            // The manifest may have been made, and then the part, since it was looked for.
            if exists(&self.folder.join(part.name))? && !exists(&self.path())? {
                let (folder, known) = (self.folder.clone(), self.layout.format.version);
                return Err(ManifestError::Missing { folder, part: part.name, known });
            }
        }
        Ok(())
    }

    fn gone(&self, name: &str, path: PathBuf) -> ManifestError {
        let part = self.layout.parts.iter().find(|part| part.name == name);
        ManifestError::Gone { path, without: part.map_or("what it held is lost", |part| part.without) }
    }

    fn lock(&self) -> Result<Lock, ManifestError> {
        private::ensure_folder(&self.folder).map_err(JournalError::from)?;
        Ok(Lock::acquire_within(&self.folder.join("manifest.lock"), LOCK_WITHIN)?)
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }
}

fn exists(path: &Path) -> Result<bool, ManifestError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(JournalError::from(FileError::io("looking at", path)(error)).into()),
    }
}

/// Where somebody says that a file is lost for good.
fn lost(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lost");
    path.with_file_name(name)
}

/// Why the files of a folder can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// A part is not there any more.
    #[error("{} is gone", visible_path(.path))]
    Gone {
        /// The part.
        path: PathBuf,
        /// What is so without it.
        without: &'static str,
    },
    /// The manifest.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Another process holds the manifest.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// There are parts, but no manifest.
    #[error(
        "{} has {part}, but no {NAME}: either that file is gone, or all are of version 1, and this program reads version {known}",
        visible_path(.folder)
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// One of the parts.
        part: &'static str,
        /// The version that is read.
        known: u32,
    },
}

impl Explain for ManifestError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::Gone { path, without } => {
                let lost = lost(path);
                Some(
                    Hint::from("put it back from a backup; only if there is none: ")
                        .typed(format!("touch {}", quoted(&lost.to_string_lossy())))
                        .then(format!("; then a new one is made, and {without}")),
                )
            }
            Self::Journal(error) => error.hint(),
            Self::Lock(error) => error.hint(),
            Self::Missing { folder, .. } => Some(
                format!(
                    "nothing was changed: put {} back from a backup; what is of version 1, the older program that wrote it reads",
                    visible_path(folder.join(NAME))
                )
                .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Journal(error) => error.exit(),
            Self::Lock(error) => error.exit(),
            Self::Gone { .. } | Self::Missing { .. } => Exit::Local,
        }
    }
}

/// Name of the manifest within its folder.
pub const NAME: &str = "manifest";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LAYOUT: Layout = Layout {
        format: Format {
            name: "drawer",
            version: 2,
            stake: "the list of its files",
            digest: |bytes| {
                let sum = bytes.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
                let mut digest = [0; 32];
                digest[..8].copy_from_slice(&sum.to_be_bytes());
                digest
            },
        },
        parts: &[Part { name: "spoon", without: "nobody can eat" }, Part { name: "knife", without: "nobody can cut" }],
    };

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn put(&self, name: &str) {
            private::create_new(&self.path(name), b"").unwrap();
        }

        fn remove(&self, name: &str) {
            fs::remove_file(self.path(name)).unwrap();
        }

        fn manifest(&self) -> Manifest {
            Manifest::of(self.0.path(), &LAYOUT)
        }

        /// Makes both, or fails at the `step`th one.
        fn start(&self, fails_at: Option<usize>) -> Result<usize, ManifestError> {
            let mut made = 0;
            for name in ["spoon", "knife"] {
                self.manifest().ready(name, |path| {
                    made += 1;
                    if fails_at == Some(made) {
                        return Err(ManifestError::from(JournalError::from(FileError::Missing { path: path.into() })));
                    }
                    private::create_new(path, b"new").map_err(|error| JournalError::from(error).into())
                })?;
            }
            Ok(made)
        }
    }

    #[test]
    fn what_was_never_made_is_made_and_what_is_gone_stops_the_start() {
        let place = Place::new();
        assert_eq!(place.start(None).unwrap(), 2);
        assert_eq!(place.start(None).unwrap(), 0);
        place.remove("knife");
        for _ in 0..2 {
            let error = place.start(None).unwrap_err();
            assert_eq!(error.to_string(), format!("{} is gone", place.path("knife").display()));
            let hint = format!(
                "put it back from a backup; only if there is none: touch {}.lost; then a new one is made, and nobody can cut",
                place.path("knife").display()
            );
            assert_eq!(error.hint().unwrap().to_string(), hint);
        }
        fs::write(place.path("knife.lost"), "").unwrap();
        assert_eq!(place.start(None).unwrap(), 1);
        assert!(!place.path("knife.lost").exists());
        place.remove("knife");
        assert!(place.start(None).is_err());
    }

    #[test]
    fn a_first_start_that_was_ended_anywhere_is_resumed() {
        for step in [1, 2] {
            let place = Place::new();
            assert!(place.start(Some(step)).is_err());
            assert_eq!(place.start(None).unwrap(), 3 - step);
        }
        // Between the file and its note.
        let place = Place::new();
        place.manifest().begin().unwrap();
        place.put("spoon");
        assert_eq!(place.start(None).unwrap(), 1);
        place.remove("spoon");
        assert!(place.start(None).is_err());
    }

    #[test]
    fn a_folder_of_before_manifests_is_refused_by_its_version() {
        let place = Place::new();
        place.put("other");
        assert!(!place.manifest().is_there("spoon").unwrap());
        place.put("knife");
        let error = place.start(None).unwrap_err();
        let folder = place.0.path().display();
        let words = "either that file is gone, or all are of version 1, and this program reads version 2";
        assert_eq!(error.to_string(), format!("{folder} has knife, but no manifest: {words}"));
        assert!(error.hint().unwrap().to_string().contains("the older program"), "{error}");
        assert!(!place.path("spoon").exists() && !place.path(NAME).exists());
    }

    #[test]
    fn what_is_removed_on_purpose_is_not_missed() {
        let place = Place::new();
        place.start(None).unwrap();
        place.manifest().removing("knife").unwrap();
        place.remove("knife");
        assert!(!place.manifest().is_there("knife").unwrap());
        assert_eq!(place.start(None).unwrap(), 1);
    }

    /// One flipped bit in the manifest is an error, or forgets the last note, which is taken anew from the file that is there.
    #[test]
    fn a_damaged_manifest_makes_no_file_anew() {
        let place = Place::new();
        place.start(None).unwrap();
        let whole = fs::read(place.path(NAME)).unwrap();
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            fs::write(place.path(NAME), &bytes).unwrap();
            assert!(matches!(place.start(None), Ok(0) | Err(ManifestError::Journal(JournalError::Damaged { .. }))));
        }
        place.remove(NAME);
        assert!(matches!(place.start(None), Err(ManifestError::Missing { .. })));
    }
}
