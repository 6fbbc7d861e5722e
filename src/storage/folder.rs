//! Folders that nobody else can write to.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Once;

use super::FileError;
use super::error::{is_unsupported, own_uid};
use super::lock::{Lock, LockError};
use super::private::{self, UNFINISHED};
use crate::machine::fs::{self, File, OpenOptions};
use crate::text::visible_path;

/// Name of the lock file within a [`LockedFolder`].
pub const LOCK_NAME: &str = "lock";

/// A data folder that no other process uses meanwhile.
///
/// Holding one is what entitles a process to change the files within.
#[derive(Debug)]
pub struct LockedFolder {
    path: PathBuf,
    _lock: Lock,
}

impl LockedFolder {
    /// Makes the folder where it is missing (see [`ensure_folder`]) and locks it.
    pub fn open(path: &Path) -> Result<Self, LockError> {
        ensure_folder(path)?;
        Self::lock(path)
    }

    /// Locks a folder that must be there already.
    pub fn open_existing(path: &Path) -> Result<Self, LockError> {
        check_folder(path)?;
        Self::lock(path)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn lock(path: &Path) -> Result<Self, LockError> {
        let lock = Lock::try_acquire(&path.join(LOCK_NAME))?;
        sweep(path);
        Ok(Self { path: path.to_owned(), _lock: lock })
    }
}

/// Makes a folder and those above it where they are missing, mode 0700, and fsyncs their names.
///
/// One that exists must be a real folder of this user that nobody else can write to; a link is refused.
pub fn ensure_folder(path: &Path) -> Result<(), FileError> {
    let path = without_trailing_slash(path);
    make(&path)?;
    check_folder(&path)
}

/// Whether a folder is there and follows the rule of [`ensure_folder`].
pub fn check_folder(path: &Path) -> Result<(), FileError> {
    let path = without_trailing_slash(path);
    let found = fs::symlink_metadata(&path).map_err(FileError::io("looking at", &path))?;
    if !found.is_dir() {
        return Err(FileError::NotFolder { path, found: (&found).into() });
    }
    if found.uid() != own_uid() {
        return Err(FileError::OtherOwner { path, uid: found.uid() });
    }
    match found.mode() & 0o7777 {
        mode if mode & 0o022 != 0 => Err(FileError::LooseFolder { path, mode }),
        _ => Ok(()),
    }
}

/// Puts the names within a folder on disk: new, renamed and removed files are safe only after this.
///
/// Where a file system has no such thing for folders (SMB, 9p, some of FUSE), its names are safe at the other machine or not at all;
/// the contents of files are synced there as anywhere. That is told once, and nothing is refused because of it.
pub fn sync_folder(path: &Path) -> Result<(), FileError> {
    match try_sync_folder(path) {
        Err(FileError::Io { source, .. }) if is_unsupported(&source) => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                log::warn!(
                    "the file system of {} can't put a folder on disk by itself ({source}): \
                     a crash of the machine may take new files back; better is a local disk",
                    visible_path(path)
                );
            });
            Ok(())
        }
        result => result,
    }
}

/// The same, which fails where the file system does not do it.
pub fn try_sync_folder(path: &Path) -> Result<(), FileError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(FileError::io("syncing the folder", path))
}

/// The folder that holds this file.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn make(path: &Path) -> Result<(), FileError> {
    let make_last = || fs::create_private_dir(path);
    let mut made = make_last();
    let above = parent(path);
    if matches!(&made, Err(error) if error.kind() == io::ErrorKind::NotFound) && above != Path::new(".") {
        make(above)?;
        made = make_last();
    }
    match made {
        Ok(()) => sync_folder(above),
        // One that holds nothing yet may have been made by a process that was killed before it was safe.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match fs::names(path) {
            Ok(names) if names.is_empty() => sync_folder(above),
            _ => Ok(()),
        },
        Err(error) => Err(FileError::io("making the folder", path)(error)),
    }
}

/// `lstat("link/")` would look behind the link.
fn without_trailing_slash(path: &Path) -> PathBuf {
    let path: PathBuf = path.components().collect();
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path }
}

/// Removes the unfinished files that killed processes left. Those of processes that are alive are locked and stay; so does
/// what only has such a name.
pub fn sweep(path: &Path) {
    let Ok(names) = fs::names(path) else { return };
    for name in names {
        if name.to_str().is_some_and(|name| name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1)) {
            // What can't be removed takes room, but harms nothing.
            let _ = remove_abandoned(&path.join(name));
        }
    }
}

fn remove_abandoned(path: &Path) -> Result<(), FileError> {
    let file = private::open(path, OpenOptions::new().read(true))?;
    // The lock is held while the name is taken away: whoever waits for it sees that the file is gone.
    match file.try_lock() {
        Ok(()) => fs::remove_file(path).map_err(FileError::io("removing", path)),
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;
    use crate::error::Explain;

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn makes_every_missing_folder_private() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a/b/c/");
        ensure_folder(&path).unwrap();
        ensure_folder(&path).unwrap();
        for made in ["a", "a/b", "a/b/c"] {
            assert_eq!(mode_of(&place.path().join(made)), 0o700, "{made}");
        }
    }

    #[test]
    fn refuses_a_folder_that_others_can_write() {
        let place = tempfile::tempdir().unwrap();
        for mode in [0o777, 0o770, 0o702, 0o1777] {
            fs::set_permissions(place.path(), Permissions::from_mode(mode)).unwrap();
            let error = ensure_folder(place.path()).unwrap_err();
            assert!(matches!(error, FileError::LooseFolder { mode: found, .. } if found == mode), "{error}");
            assert_eq!(error.hint().unwrap().to_string(), format!("chmod go-w {}", place.path().display()));
        }
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        ensure_folder(place.path()).unwrap();
    }

    #[test]
    fn refuses_a_link_and_a_file_in_its_place() {
        let place = tempfile::tempdir().unwrap();
        let real = place.path().join("real");
        ensure_folder(&real).unwrap();
        symlink(&real, place.path().join("link")).unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        for name in ["link", "link/", "file"] {
            let error = ensure_folder(&place.path().join(name)).unwrap_err();
            assert!(matches!(error, FileError::NotFolder { .. }), "{name}: {error}");
        }
        let below = ensure_folder(&place.path().join("file/below")).unwrap_err();
        assert!(matches!(below, FileError::Io { .. }), "{below}");
    }

    #[test]
    fn a_file_system_that_can_not_sync_folders_is_put_up_with() {
        // proc(5) answers EINVAL, as SMB and 9p do.
        let refused = try_sync_folder(Path::new("/proc")).unwrap_err();
        assert!(matches!(&refused, FileError::Io { source, .. } if is_unsupported(source)), "{refused}");
        sync_folder(Path::new("/proc")).unwrap();
        assert!(sync_folder(Path::new("/nowhere")).is_err());
    }

    #[test]
    fn a_locked_folder_is_swept_of_unfinished_files_only() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("data");
        ensure_folder(&path).unwrap();
        for name in [".unfinished-a1b2.tmp", "accounts.jsonl", ".unfinished", "x.tmp"] {
            fs::write(path.join(name), "").unwrap();
            fs::set_permissions(path.join(name), Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir(path.join(".unfinished-folder.tmp")).unwrap();
        let folder = LockedFolder::open(&path).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".unfinished", ".unfinished-folder.tmp", "accounts.jsonl", LOCK_NAME, "x.tmp"]);
    }

    #[test]
    fn an_existing_folder_is_not_made_by_mistake() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("mistyped");
        assert!(matches!(LockedFolder::open_existing(&path), Err(LockError::File(FileError::Missing { .. }))));
        assert!(!path.exists());
    }
}
