//! Whole files that belong to this user alone.
//!
//! What is read must be a regular file of this user that nobody else can read or write, found without
//! following a link at its name. What is written is mode 0600 from its first moment, whatever the umask,
//! and is there whole or not at all, also after a crash.

use std::io::{self, BufWriter, IntoInnerError, Read, Write};
use std::path::Path;

use rustix::fs::OFlags;

use super::error::own_uid;
use super::folder::parent;
pub use super::folder::{ensure_folder, sweep, sync_folder};
pub use super::{FileError, FileKind};
use crate::machine::fs::{self, File, Metadata, OpenOptions, Unfinished};

/// Permission bits of every file that is made here.
pub(super) const FILE_MODE: u32 = 0o600;
/// Names of unfinished files begin and end so; a crash can leave one behind.
pub(super) const UNFINISHED: (&str, &str) = (".unfinished-", ".tmp");

/// The whole file, if it is at most `max_bytes` long.
///
/// A named pipe or a device is refused without waiting for it.
pub fn read(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    read_whole(open(path, OpenOptions::new().read(true))?, path, max_bytes)
}

/// The same for a file that holds no secret: others may read it, but not write it.
pub fn read_public(path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let file = open_itself(path, OpenOptions::new().read(true))?;
    check(&file, path, 0o022)?;
    read_whole(file, path, max_bytes)
}

/// Opens a file that this program did not make, to be read, and tells whether others may read or write it.
///
/// It must be a regular file, but may be anybody's; links are not followed and named pipes not waited for.
pub fn open_given(path: &Path) -> Result<(File, bool), FileError> {
    let file = open_itself(path, OpenOptions::new().read(true))?;
    let found = regular(&file, path)?;
    Ok((file, found.mode() & 0o077 != 0))
}

fn read_whole(file: File, path: &Path, max_bytes: u64) -> Result<Vec<u8>, FileError> {
    let size = file.metadata().map_err(FileError::io("reading", path))?.len();
    let too_large = || FileError::TooLarge { path: path.to_owned(), limit: max_bytes };
    if size > max_bytes {
        return Err(too_large());
    }
    // With room for all of it at once, no half-read copy of a secret is left behind in memory.
    let mut bytes = Vec::with_capacity(usize::try_from(size).map_err(|_| too_large())?.saturating_add(1));
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(FileError::io("reading", path))?;
    if bytes.len() as u64 > max_bytes { Err(too_large()) } else { Ok(bytes) }
}

/// Makes a file that does not exist yet; [`FileError::Exists`] if anything has its name, a link included.
///
/// When this returns, the file and its name are on disk. When it fails, there is no such file.
pub fn create_new(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let unfinished = write_unfinished(path, |file| file.write_all(bytes))?;
    unfinished.persist_noclobber(path).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists { path: path.to_owned() },
        _ => FileError::io("making", path)(error),
    })?;
    sync_folder(parent(path)).inspect_err(|_| {
        // Best effort: without its name on disk the file must not look as if it were safe.
        let _ = fs::remove_file(path);
    })
}

/// Whether [`create_new`] can make this file, as far as that can be known before: asked before work that would be in vain.
pub fn check_new(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(FileError::Exists { path: path.to_owned() }),
        Err(_) => check_room(parent(path)),
    }
}

/// The same of [`replace`].
pub fn check_replaced(path: &Path) -> Result<(), FileError> {
    check_replaceable(path)?;
    check_room(parent(path))
}

/// Whether files can be made in this folder.
pub fn check_room(folder: &Path) -> Result<(), FileError> {
    make_unfinished(folder).map(drop)
}

/// Puts new content in a file's place, or makes it; readers and crashes see the old or the new, never a mixture.
///
/// Refuses to take the place of anything but a regular file.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace_with(path, |file| file.write_all(bytes))
}

/// Like [`replace`], for content that is too long to be held in memory.
pub fn replace_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    check_replaceable(path)?;
    let unfinished = write_unfinished(path, write)?;
    unfinished.persist(path).map_err(FileError::io("replacing", path))?;
    sync_folder(parent(path))
}

/// Deletes a file for good.
pub fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(FileError::io("removing", path))?;
    sync_folder(parent(path))
}

/// Opens a file for reading it in parts, if it follows this module's rules.
pub fn open_to_read(path: &Path) -> Result<File, FileError> {
    open(path, OpenOptions::new().read(true))
}

/// Opens a file by these options, if it follows this module's rules; one that the options make is mode 0600.
pub(super) fn open(path: &Path, options: OpenOptions) -> Result<File, FileError> {
    let file = open_itself(path, options)?;
    check(&file, path, 0o077)?;
    Ok(file)
}

/// Follows no link and waits for no pipe.
fn open_itself(path: &Path, options: OpenOptions) -> Result<File, FileError> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
    options.mode(FILE_MODE).custom_flags(flags).open(path).map_err(|error| why_not_open(path, error))
}

fn regular(file: &File, path: &Path) -> Result<Metadata, FileError> {
    let found = file.metadata().map_err(FileError::io("looking at", path))?;
    match found.is_file() {
        true => Ok(found),
        false => Err(FileError::NotRegular { path: path.to_owned(), found: (&found).into() }),
    }
}

/// The rules, asked of the open file, so that nothing can be exchanged between question and use. Others may have none of
/// the `forbidden` permissions.
fn check(file: &File, path: &Path, forbidden: u32) -> Result<(), FileError> {
    let found = regular(file, path)?;
    let path = path.to_owned();
    if found.uid() != own_uid() {
        return Err(FileError::OtherOwner { path, uid: found.uid() });
    }
    match found.mode() & 0o7777 {
        mode if mode & forbidden != 0 => Err(FileError::LooseMode { path, mode }),
        _ => Ok(()),
    }
}

/// `open` answers a link, a socket or a folder with an error of its own each: say what stands there instead.
fn why_not_open(path: &Path, error: io::Error) -> FileError {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => FileError::NotRegular { path: path.to_owned(), found: (&found).into() },
        _ => FileError::io("opening", path)(error),
    }
}

/// The content, on disk under a random name in the same folder, where no planted link is followed.
fn write_unfinished(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<Unfinished, FileError> {
    let mut buffer = BufWriter::new(make_unfinished(parent(path))?);
    let written = write(&mut buffer).and_then(|()| buffer.into_inner().map_err(IntoInnerError::into_error));
    let unfinished = written.map_err(FileError::io("writing", path))?;
    unfinished.sync_all().map_err(FileError::io("writing", path))?;
    Ok(unfinished)
}

/// Nothing or a regular file stands there.
fn check_replaceable(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => Err(FileError::NotRegular { path: path.to_owned(), found: (&found).into() }),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::io("replacing", path)(error)),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// An empty file that is locked: it belongs to a process that is alive, so nobody [sweeps](sweep) it away.
fn make_unfinished(folder: &Path) -> Result<Unfinished, FileError> {
    loop {
        let unfinished =
            Unfinished::make(folder, UNFINISHED, FILE_MODE).map_err(FileError::io("making a file in", folder))?;
        unfinished.lock().map_err(FileError::io("locking a file in", folder))?;
        // Somebody who sweeps may have had it first.
        if unfinished.metadata().map_err(FileError::io("looking at a file in", folder))?.nlink() > 0 {
            return Ok(unfinished);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;

    use rustix::fs::{CWD, Mode};

    use super::*;
    use crate::error::Explain;

    struct Place {
        folder: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn file(&self, name: &str, mode: u32) -> PathBuf {
            let path = self.path(name);
            fs::write(&path, "content").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            path
        }

        fn names(&self) -> Vec<String> {
            let mut names: Vec<_> = fs::read_dir(self.folder.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    fn mode_of(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn reads_its_own_private_file() {
        let place = Place::new();
        for mode in [0o600, 0o400] {
            assert_eq!(read(&place.file("key", mode), 7).unwrap(), b"content");
            fs::remove_file(place.path("key")).unwrap();
        }
    }

    #[test]
    fn refuses_what_others_could_read_or_write() {
        let place = Place::new();
        for mode in [0o644, 0o660, 0o640, 0o604, 0o601, 0o666] {
            let path = place.file("key", mode);
            let error = read(&path, 100).unwrap_err();
            assert!(matches!(error, FileError::LooseMode { mode: found, .. } if found == mode), "{error}");
            assert_eq!(error.hint().unwrap().to_string(), format!("chmod 600 {}", path.display()));
        }
    }

    #[test]
    fn refuses_what_is_no_regular_file_without_waiting() {
        let place = Place::new();
        let target = place.file("target", 0o600);
        symlink(&target, place.path("link")).unwrap();
        symlink("/nowhere/at/all", place.path("dangling")).unwrap();
        fs::create_dir(place.path("folder")).unwrap();
        drop(UnixListener::bind(place.path("socket")).unwrap());
        rustix::fs::mknodat(CWD, place.path("fifo"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        let planted = [
            ("link", FileKind::Symlink),
            ("dangling", FileKind::Symlink),
            ("folder", FileKind::Folder),
            ("socket", FileKind::Socket),
            ("fifo", FileKind::Fifo),
        ];
        for (name, kind) in planted {
            let path = place.path(name);
            let results = [
                read(&path, 100).map(|_| ()),
                read_public(&path, 100).map(|_| ()),
                open_given(&path).map(|_| ()),
                replace(&path, b"new"),
            ];
            for result in results {
                let error = result.unwrap_err();
                assert!(matches!(error, FileError::NotRegular { found, .. } if found == kind), "{name}: {error}");
                assert!(error.hint().unwrap().to_string().contains(name));
            }
            assert!(matches!(create_new(&path, b"new"), Err(FileError::Exists { .. })), "{name}");
        }
        assert_eq!(fs::read(&target).unwrap(), b"content");
    }

    #[test]
    fn public_and_given_files_may_be_read_by_others() {
        let place = Place::new();
        let path = place.file("public", 0o644);
        assert_eq!(read_public(&path, 7).unwrap(), b"content");
        assert!(open_given(&path).unwrap().1);
        assert!(!open_given(&place.file("secret", 0o600)).unwrap().1);
        for mode in [0o664, 0o646, 0o620] {
            let refused = read_public(&place.file("public", mode), 7);
            assert!(matches!(refused, Err(FileError::LooseMode { mode: found, .. }) if found == mode));
        }
    }

    #[test]
    fn refuses_a_file_of_another_user() {
        let path = Path::new("/proc/1/comm");
        let uid = fs::metadata(path).unwrap().uid();
        let place = Place::new();
        let own = place.file("key", 0o600);
        // Only root can give a file away; for everybody else, files of process 1 are another user's.
        if own_uid() == 0 {
            std::os::unix::fs::chown(&own, Some(4242), None).unwrap();
            assert!(matches!(read(&own, 100), Err(FileError::OtherOwner { uid: 4242, .. })));
        } else {
            assert!(matches!(read(path, 100), Err(FileError::OtherOwner { uid: found, .. }) if found == uid));
        }
    }

    #[test]
    fn refuses_what_is_too_long_and_what_is_not_there() {
        let place = Place::new();
        let path = place.file("key", 0o600);
        assert!(matches!(read(&path, 6), Err(FileError::TooLarge { limit: 6, .. })));
        assert!(matches!(read(&place.path("none"), 6), Err(FileError::Missing { .. })));
        assert!(matches!(create_new(&place.path("none/file"), b""), Err(FileError::Missing { .. })));
    }

    #[test]
    fn a_new_file_is_private_and_never_overwrites() {
        let place = Place::new();
        let path = place.path("key");
        create_new(&path, b"first").unwrap();
        assert_eq!(mode_of(&path), 0o600);
        assert!(matches!(create_new(&path, b"second"), Err(FileError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(place.names(), ["key"]);
    }

    #[test]
    fn a_replaced_file_is_whole_and_private() {
        let place = Place::new();
        let path = place.file("pins", 0o644);
        replace(&path, b"new").unwrap();
        assert_eq!(read(&path, 100).unwrap(), b"new");
        assert_eq!(mode_of(&path), 0o600);
        assert_eq!(place.names(), ["pins"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let place = Place::new();
        let path = place.file("pins", 0o600);
        let full = |file: &mut dyn Write| {
            file.write_all(&[b'x'; 100_000])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        };
        let error = replace_with(&path, full).unwrap_err();
        assert!(error.hint().unwrap().to_string().starts_with("make room"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(place.names(), ["pins"]);
    }

    #[test]
    fn a_removed_file_is_gone() {
        let place = Place::new();
        let path = place.file("key", 0o600);
        remove(&path).unwrap();
        assert!(matches!(remove(&path), Err(FileError::Missing { .. })));
    }
}
