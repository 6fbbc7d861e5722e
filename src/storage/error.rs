//! What can be wrong with a file, and the remedy.

use std::fmt;
use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::machine::fs::Metadata;
use crate::text::{quoted, visible_path};

/// Why a file or folder is not usable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It exists, and nothing is overwritten.
    #[error("{} exists already", visible_path(.path))]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{doing} {}: {source}", visible_path(.path))]
    Io {
        /// What was tried, as "writing".
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may put files into the folder, or take them away.
    #[error("the folder {} can be written by others (mode {mode:04o})", visible_path(.path))]
    LooseFolder {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others may read or write the file.
    #[error("{} is open to others (mode {mode:04o})", visible_path(.path))]
    LooseMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It does not exist.
    #[error("{}: no such file or folder", visible_path(.path))]
    Missing {
        /// The file or folder.
        path: PathBuf,
    },
    /// Something else stands where a folder should be.
    #[error("{} is {found}, not a folder", visible_path(.path))]
    NotFolder {
        /// The place.
        path: PathBuf,
        /// What stands there.
        found: FileKind,
    },
    /// Something else stands where a file should be.
    #[error("{} is {found}, not a regular file", visible_path(.path))]
    NotRegular {
        /// The place.
        path: PathBuf,
        /// What stands there.
        found: FileKind,
    },
    /// It belongs to somebody else.
    #[error("{} belongs to user id {uid}, not to this user (id {})", visible_path(.path), own_uid())]
    OtherOwner {
        /// The file or folder.
        path: PathBuf,
        /// Who it belongs to.
        uid: u32,
    },
    /// It is longer than a file of its sort can be.
    #[error("{} is longer than {limit} bytes", visible_path(.path))]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read, in bytes.
        limit: u64,
    },
}

impl FileError {
    /// The file or folder that it is about.
    pub fn path(&self) -> &Path {
        match self {
            Self::Exists { path }
            | Self::Io { path, .. }
            | Self::LooseFolder { path, .. }
            | Self::LooseMode { path, .. }
            | Self::Missing { path }
            | Self::NotFolder { path, .. }
            | Self::NotRegular { path, .. }
            | Self::OtherOwner { path, .. }
            | Self::TooLarge { path, .. } => path,
        }
    }

    /// For `map_err`: the system's error with what was tried, as "writing", on which path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { path: path.to_owned() },
            _ => Self::Io { doing, path: path.to_owned(), source },
        }
    }
}

impl Explain for FileError {
    fn hint(&self) -> Option<Hint> {
        let path = quoted(&self.path().to_string_lossy());
        match self {
            Self::Exists { .. } => {
                Some(Hint::from("keep it under another name first: ").typed(format!("mv -i {path} {path}.old")))
            }
            Self::Io { source, doing, .. } if is_unsupported(source) => Some(unsupported_hint(doing)),
            Self::Io { source, .. } => io_hint(source, &path),
            Self::LooseFolder { .. } => Some(Hint::default().typed(format!("chmod go-w {path}"))),
            Self::LooseMode { .. } => Some(Hint::default().typed(format!("chmod 600 {path}"))),
            Self::Missing { .. } | Self::TooLarge { .. } => None,
            Self::NotFolder { .. } => Some("name the folder itself".into()),
            Self::NotRegular { found: FileKind::Symlink, .. } => {
                Some(format!("links are not followed: put the file itself at {path}").into())
            }
            Self::NotRegular { .. } => {
                Some(Hint::from("keep it under another name: ").typed(format!("mv -i {path} {path}.old")))
            }
            // Given to somebody else, it would be out of its owner's reach.
            Self::OtherOwner { uid, .. } => {
                Some(Hint::from("run this as its owner: ").typed(format!("sudo -u '#{uid}' COMMAND")))
            }
        }
    }

    fn exit(&self) -> Exit {
        Exit::Local
    }
}

/// What stands at a path, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileKind {
    /// A block or character device.
    Device,
    /// A named pipe.
    Fifo,
    /// A folder.
    Folder,
    /// A regular file.
    Regular,
    /// A Unix socket.
    Socket,
    /// A symbolic link.
    Symlink,
}

impl From<&Metadata> for FileKind {
    fn from(found: &Metadata) -> Self {
        match found.other_type() {
            Some(found) => found.into(),
            None if found.is_dir() => Self::Folder,
            None => Self::Regular,
        }
    }
}

impl From<FileType> for FileKind {
    fn from(found: FileType) -> Self {
        match found {
            found if found.is_symlink() => Self::Symlink,
            found if found.is_dir() => Self::Folder,
            found if found.is_fifo() => Self::Fifo,
            found if found.is_socket() => Self::Socket,
            found if found.is_file() => Self::Regular,
            _ => Self::Device,
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "a device",
            Self::Fifo => "a named pipe",
            Self::Folder => "a folder",
            Self::Regular => "a regular file",
            Self::Socket => "a socket",
            Self::Symlink => "a symbolic link",
        })
    }
}

/// The effective user id: who this process's files belong to.
pub(super) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// What file systems in a network answer that can't do it (flock(2), fsync(2)).
pub(crate) fn is_unsupported(source: &io::Error) -> bool {
    [Errno::NOLCK, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL]
        .iter()
        .any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
}

fn unsupported_hint(doing: &str) -> Hint {
    let what =
        if doing.contains("lock") { "that file system can't lock files" } else { "that file system can't do it" };
    format!(
        "{what} (NFS, SMB, 9p?): name a folder on a local disk, the server's by --data-dir, a client's by --state-dir and --keys-dir"
    )
    .into()
}

fn io_hint(source: &io::Error, path: &str) -> Option<Hint> {
    match source.kind() {
        io::ErrorKind::PermissionDenied => Some(Hint::from("see who may do that: ").typed(format!("ls -ld {path}"))),
        io::ErrorKind::ReadOnlyFilesystem => Some("that file system can't be written: choose another folder".into()),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(format!("make room on the disk that holds {path}").into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_can_be_pasted_into_a_shell() {
        let error = FileError::LooseMode { path: "keys/alice's key".into(), mode: 0o644 };
        assert_eq!(error.to_string(), "keys/alice's key is open to others (mode 0644)");
        assert_eq!(error.hint().unwrap().to_string(), r"chmod 600 'keys/alice'\''s key'");
    }

    #[test]
    fn each_trouble_has_its_own_remedy() {
        let path = PathBuf::from("a/b");
        let refused = |kind: io::ErrorKind| FileError::io("writing", &path)(kind.into());
        for (error, hint) in [
            (
                FileError::Exists { path: path.clone() },
                "keep it under another name first: mv -i a/b a/b.old".to_owned(),
            ),
            (
                FileError::OtherOwner { path: path.clone(), uid: 7 },
                "run this as its owner: sudo -u '#7' COMMAND".to_owned(),
            ),
            (
                refused(io::ErrorKind::ReadOnlyFilesystem),
                "that file system can't be written: choose another folder".to_owned(),
            ),
            (refused(io::ErrorKind::StorageFull), "make room on the disk that holds a/b".to_owned()),
        ] {
            assert_eq!(error.hint().unwrap().to_string(), hint, "{error}");
        }
    }

    #[test]
    fn a_file_system_that_can_not_lock_is_told_with_the_way_around_it() {
        let refused =
            |errno: Errno| FileError::io("locking", Path::new("state/lock"))(errno.into()).hint().unwrap().to_string();
        for errno in [Errno::NOLCK, Errno::OPNOTSUPP, Errno::NOSYS] {
            assert_eq!(
                refused(errno),
                "that file system can't lock files (NFS, SMB, 9p?): name a folder on a local disk, the server's by --data-dir, \
                 a client's by --state-dir and --keys-dir"
            );
        }
        let other = FileError::io("syncing", Path::new("data/log"))(Errno::INVAL.into()).hint().unwrap().to_string();
        assert!(
            other.starts_with("that file system can't do it (NFS, SMB, 9p?): name a folder on a local disk"),
            "{other}"
        );
    }

    #[test]
    fn paths_are_shown_safely() {
        let error = FileError::Missing { path: "a\u{1b}[2J".into() };
        assert_eq!(error.to_string(), "a^[[2J: no such file or folder");
    }
}
