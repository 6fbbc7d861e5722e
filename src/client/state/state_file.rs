//! Small files of what this client knows, shared by all of its processes.
//!
//! Each is one JSON object, whose last member is a checksum of all that stands before it: a changed digit of a counter or of a
//! pinned key is not believed.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::error::Error;
use crate::client::model::state_folder;
use crate::crypto::digest::sha256;
use crate::limits::{LOCK_WITHIN, SMALL_FILE_MAX};
use crate::machine::fs;
use crate::storage::FileError;
use crate::storage::lock::Lock;
use crate::storage::manifest::Manifest;
use crate::storage::private;

/// What such a file holds.
pub trait Document: Default + DeserializeOwned + Serialize {
    /// The format's version.
    const VERSION: u32 = VERSION;
    /// The longest such file, in bytes.
    const LONGEST: u64 = SMALL_FILE_MAX;

    /// The version that stands in the file.
    fn version(&self) -> u32;
}

/// The version of most files.
pub const VERSION: u32 = 2;

/// One file and its lock.
pub struct StateFile {
    path: PathBuf,
    parts: Manifest,
    name: String,
}

/// Tells two contents of a file apart without reading it: every change makes a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    /// Inodes are used again, and two changes may fall into one tick of the clock.
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// That of the file at `path`; `None` if there is none.
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { inode: found.ino(), length: found.len(), changed: found.modified() })
    }
}

impl StateFile {
    /// The file with this name in `folder`, which is made if it is missing.
    pub fn new(folder: &Path, name: &str) -> Result<Self, Error> {
        private::ensure_folder(folder)?;
        Ok(Self { path: folder.join(name), parts: state_folder::parts(folder), name: name.to_owned() })
    }

    /// What the file holds; one that never was holds nothing. One that is gone, or holds something else, is an error, and
    /// stays as it is.
    pub fn read<D: Document>(&self) -> Result<D, Error> {
        let bytes = match private::read(&self.path, D::LONGEST) {
            Ok(bytes) => bytes,
            // Another process may have made it meanwhile.
            Err(FileError::Missing { .. }) if self.parts.is_there(&self.name)? => {
                private::read(&self.path, D::LONGEST)?
            }
            Err(FileError::Missing { .. }) => return Ok(D::default()),
            Err(error) => return Err(error.into()),
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| self.malformed(error.to_string()))?;
        let json = match unsealed(text) {
            Some(json) => json,
            None => return Err(self.malformed(why_not_sealed(text, D::VERSION))),
        };
        let document: D = serde_json::from_str(&json).map_err(|error| self.malformed(error.to_string()))?;
        match document.version() {
            version if version == D::VERSION => Ok(document),
            version => Err(self.malformed(other_version(version.into(), D::VERSION))),
        }
    }

    /// Changes what the file holds, as one step for all processes, on disk when this returns.
    pub fn change<D: Document, R>(&self, change: impl FnOnce(&mut D) -> Result<R, Error>) -> Result<R, Error> {
        let _lock = Lock::acquire_within(&self.path.with_extension("lock"), LOCK_WITHIN)?;
        let mut document = self.read()?;
        let result = change(&mut document)?;
        let text = sealed(&document).map_err(|error| self.malformed(error.to_string()))?;
        // What could not be read again must not be written.
        if text.len() as u64 > D::LONGEST {
            return Err(FileError::TooLarge { path: self.path.clone(), limit: D::LONGEST }.into());
        }
        self.parts.begin()?;
        private::replace(&self.path, text.as_bytes())?;
        self.parts.made(&self.name)?;
        Ok(result)
    }

    /// Makes the file, if there is none. Whether there was none.
    pub fn create<D: Document>(&self, document: D) -> Result<bool, Error> {
        if fs::exists(&self.path) {
            return Ok(false);
        }
        self.change(|now: &mut D| {
            *now = document;
            Ok(true)
        })
    }

    /// Which content the file has now; `None` if there is no file.
    pub fn stamp(&self) -> Option<Stamp> {
        Stamp::of(&self.path)
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file holds something that it must not.
    pub fn malformed(&self, why: String) -> Error {
        Error::State { path: self.path.clone(), why }
    }
}

/// The document as text, with the checksum in it.
pub fn sealed(document: &impl Serialize) -> Result<String, serde_json::Error> {
    let json = serde_json::to_string_pretty(document)?;
    let covered = json.strip_suffix("\n}").unwrap_or(&json);
    Ok(format!("{covered}{BEFORE}{}{BEHIND}", sum(covered)))
}

/// The document's JSON, if the checksum in the text holds.
fn unsealed(text: &str) -> Option<String> {
    let (covered, given) = text.strip_suffix(BEHIND)?.rsplit_once(BEFORE)?;
    (given == sum(covered)).then(|| format!("{covered}\n}}"))
}

fn sum(covered: &str) -> String {
    let mut sum = HEXLOWER.encode(&sha256(covered.as_bytes()));
    sum.truncate(16);
    sum
}

/// A file of an older version has no checksum, but says its version.
fn why_not_sealed(text: &str, known: u32) -> String {
    let found: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let found = found.filter(|found| found.get("sum").is_none());
    match found.as_ref().and_then(|found| found.get("v")).and_then(serde_json::Value::as_u64) {
        Some(version) if version != u64::from(known) => other_version(version, known),
        _ => "the checksum does not hold".to_owned(),
    }
}

fn other_version(found: u64, known: u32) -> String {
    format!("it is of version {found} of its format, and this program reads version {known}")
}

/// What stands around the checksum.
const BEFORE: &str = ",\n  \"sum\": \"";
const BEHIND: &str = "\"\n}\n";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize, Serialize)]
    #[serde(deny_unknown_fields)]
    struct Counts {
        v: u32,
        count: u64,
    }

    impl Document for Counts {
        fn version(&self) -> u32 {
            self.v
        }
    }

    fn counted() -> (tempfile::TempDir, StateFile) {
        let place = tempfile::tempdir().unwrap();
        let file = StateFile::new(place.path(), "bell.json").unwrap();
        file.change(|counts: &mut Counts| {
            *counts = Counts { v: VERSION, count: 70_000 };
            Ok(())
        })
        .unwrap();
        (place, file)
    }

    /// Every bit of every byte, and every length: refused, and the file stays.
    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let (_place, file) = counted();
        let whole = fs::read(file.path()).unwrap();
        let flipped = (0..whole.len() * 8).map(|bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        for bytes in flipped.chain((0..whole.len()).map(|length| whole[..length].to_vec())) {
            fs::write(file.path(), &bytes).unwrap();
            let error = file.read::<Counts>().unwrap_err();
            assert!(matches!(error, Error::State { .. }), "{error}");
            assert_eq!(fs::read(file.path()).unwrap(), bytes);
        }
    }

    #[test]
    fn a_file_that_is_gone_is_not_one_that_never_was() {
        let (place, file) = counted();
        assert_eq!(StateFile::new(place.path(), "blocked.json").unwrap().read::<Counts>().unwrap(), Counts::default());
        fs::remove_file(file.path()).unwrap();
        for error in [file.read::<Counts>().unwrap_err(), file.change(|_: &mut Counts| Ok(())).unwrap_err()] {
            assert_eq!(error.to_string(), format!("{} is gone", file.path().display()));
            assert!(
                crate::error::Explain::hint(&error).unwrap().to_string().contains("put it back from a backup"),
                "{error}"
            );
        }
        assert!(!file.path().exists());
        fs::write(place.path().join("bell.json.lost"), "").unwrap();
        file.change(|counts: &mut Counts| {
            counts.v = VERSION;
            Ok(())
        })
        .unwrap();
        assert!(!place.path().join("bell.json.lost").exists());
    }

    #[test]
    fn another_version_is_refused_by_its_number() {
        let (_place, file) = counted();
        for (text, version) in
            [("{\n  \"v\": 1,\n  \"count\": 3\n}\n".to_owned(), 1), (sealed(&Counts { v: 3, count: 3 }).unwrap(), 3)]
        {
            fs::write(file.path(), text).unwrap();
            let why = format!("it is of version {version} of its format, and this program reads version 2");
            assert_eq!(file.read::<Counts>().unwrap_err().to_string(), format!("{}: {why}", file.path().display()));
        }
    }
}
