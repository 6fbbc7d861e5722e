//! Keeps a second process away from files that one process changes.

use std::fs::TryLockError;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{FileError, private};
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::limits::{LOCK_PAUSE_FIRST, LOCK_PAUSE_MAX, LOCK_WITHIN};
use crate::machine::fs::{File, OpenOptions};
use crate::machine::time;
use crate::text::visible_path;

/// A process id and a line end are shorter.
const PID_MAX: u64 = 16;

/// An exclusive lock, held until it is dropped or its process ends, however it ends.
///
/// The lock is on the open file (`flock(2)`), not its existence, so nothing has to be cleaned up after a crash.
/// The file stays, and holds the holder's process id for messages only.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Locks this file, made where it is missing, or says at once who holds it.
    pub fn try_acquire(path: &Path) -> Result<Self, LockError> {
        let mut file = private::open(path, OpenOptions::new().read(true).write(true).create(true))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { path: path.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(FileError::io("locking", path)(error).into()),
        }
        write_pid(&mut file).map_err(FileError::io("writing", path))?;
        Ok(Self { file })
    }

    /// Like [`Self::try_acquire`], but gives the holder some time to finish.
    pub fn acquire_within(path: &Path, limit: Duration) -> Result<Self, LockError> {
        let begun = time::now();
        let mut pause = LOCK_PAUSE_FIRST;
        loop {
            match Self::try_acquire(path) {
                Err(LockError::Held { .. }) if time::since(begun) < limit => {
                    time::sleep(pause.min(limit.saturating_sub(time::since(begun))));
                    pause = LOCK_PAUSE_MAX.min(pause * 2);
                }
                result => return result,
            }
        }
    }
}

impl Drop for Lock {
    /// Takes the process id out first, so that the next holder is never mistaken for this one. Closing alone would not do: a
    /// child that another thread is just starting has the same open file until it runs its program.
    fn drop(&mut self) {
        // A stale number is only a wrong word in a message.
        let _ = self.file.set_len(0);
        if let Err(error) = self.file.unlock() {
            log::warn!("unlocking: {error}");
        }
    }
}

/// A lock on a folder itself: whoever reads several of its files has a share of it, whoever changes more than one has all of it. So readers
/// see all of a change or nothing. Held for a moment only.
///
/// `flock(2)` takes a folder that is open for reading, so readers need no file to be made. Where a file system can't lock one, they go
/// without.
#[derive(Debug)]
pub struct FolderLock {
    folder: File,
}

impl FolderLock {
    /// Among readers. `None` if there is no such folder, or none that can be locked.
    pub fn shared(path: &Path) -> Result<Option<Self>, LockError> {
        Self::acquire(path, File::try_lock_shared)
    }

    /// Alone.
    pub fn alone(path: &Path) -> Result<Option<Self>, LockError> {
        Self::acquire(path, File::try_lock)
    }

    fn acquire(path: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<Option<Self>, LockError> {
        let Ok(folder) = File::open(path) else { return Ok(None) };
        let (begun, mut pause) = (time::now(), LOCK_PAUSE_FIRST);
        loop {
            match lock(&folder) {
                Ok(()) => return Ok(Some(Self { folder })),
                Err(TryLockError::WouldBlock) if time::since(begun) < LOCK_WITHIN => {
                    time::sleep(pause);
                    pause = LOCK_PAUSE_MAX.min(pause * 2);
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Held { path: path.join("lock"), pid: None }),
                Err(TryLockError::Error(error)) => {
                    log::debug!("{} can't be locked: {error}", visible_path(path));
                    return Ok(None);
                }
            }
        }
    }
}

impl Drop for FolderLock {
    /// As with [`Lock`].
    fn drop(&mut self) {
        if let Err(error) = self.folder.unlock() {
            log::warn!("unlocking: {error}");
        }
    }
}

/// Why a lock was not acquired.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// The lock file or its folder is not usable.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another process holds it.
    #[error("{} is in use{}", visible_path(.path.parent().unwrap_or(.path)), by(*.pid))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The holder, if it has written its process id.
        pid: Option<u32>,
    },
}

impl Explain for LockError {
    fn hint(&self) -> Option<Hint> {
        match self {
            Self::File(error) => error.hint(),
            Self::Held { pid: Some(pid), .. } => Some(format!("stop process {pid} first").into()),
            Self::Held { path, .. } => Some(format!("stop the process that holds {} first", visible_path(path)).into()),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Local
    }
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(|| " by another process".to_owned(), |pid| format!(" by process {pid}"))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_MAX).read_to_string(&mut text).ok()?;
    text.trim_end().parse().ok()
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_second_holder_is_refused_and_told_the_first() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let lock = Lock::try_acquire(&path).unwrap();
        let error = Lock::try_acquire(&path).unwrap_err();
        let own = std::process::id();
        assert!(matches!(error, LockError::Held { pid: Some(pid), .. } if pid == own), "{error:?}");
        assert_eq!(error.to_string(), format!("{} is in use by process {own}", place.path().display()));
        drop(lock);
        Lock::try_acquire(&path).unwrap();
    }

    #[test]
    fn readers_share_a_folder_and_whoever_changes_it_is_alone() {
        let place = tempfile::tempdir().unwrap();
        let readers = [(), ()].map(|()| FolderLock::shared(place.path()).unwrap().unwrap());
        let error = FolderLock::alone(place.path()).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is in use by another process", place.path().display()));
        drop(readers);
        let alone = FolderLock::alone(place.path()).unwrap().unwrap();
        assert!(FolderLock::shared(place.path()).is_err());
        drop(alone);
        assert!(FolderLock::shared(&place.path().join("missing")).unwrap().is_none());
    }

    #[test]
    fn a_holder_that_has_no_number_yet_is_named_by_its_file() {
        let held = LockError::Held { path: "state/lock".into(), pid: None };
        assert_eq!(held.to_string(), "state is in use by another process");
        assert_eq!(
            held.hint().map(|hint| hint.to_string()).as_deref(),
            Some("stop the process that holds state/lock first")
        );
    }

    #[test]
    fn what_a_killed_holder_left_is_taken_over() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        fs::write(&path, "99999999\nand more than a number").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let _lock = Lock::try_acquire(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
    }

    #[test]
    fn the_lock_file_is_private_and_no_link() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let lock = Lock::try_acquire(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        drop(lock);
        symlink(&path, place.path().join("link")).unwrap();
        let error = Lock::try_acquire(&place.path().join("link")).unwrap_err();
        assert!(matches!(error, LockError::File(FileError::NotRegular { .. })), "{error}");
    }

    #[test]
    fn waiting_for_a_lock_ends_with_its_release_or_at_the_limit() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let first = Lock::try_acquire(&path).unwrap();
        let held = Lock::acquire_within(&path, Duration::from_millis(5));
        assert!(matches!(held, Err(LockError::Held { .. })));

        let (waits, waiting) = mpsc::channel();
        let second = thread::spawn(move || {
            waits.send(()).unwrap();
            Lock::acquire_within(&path, Duration::from_secs(60))
        });
        waiting.recv().unwrap();
        drop(first);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn a_lock_that_is_let_go_is_free_even_while_a_starting_child_has_its_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let lock = Lock::try_acquire(&path).unwrap();
        let inherited = match &lock.file {
            File::Real(file) => file.try_clone().unwrap(),
            #[cfg(feature = "simulation")]
            File::Simulated(_) => unreachable!("this thread is in no world"),
        };
        drop(lock);
        Lock::try_acquire(&path).unwrap();
        drop(inherited);
    }
}
