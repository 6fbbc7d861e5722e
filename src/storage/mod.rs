//! Files that survive a crash and that nobody else can read.
//!
//! [`private`] reads and writes whole files, [`append`] grows a file and [`journal`] has checked records in it, [`disk`] stands between a store of
//! several files and the file system, so that tests can make it fail; [`folder`] makes and checks
//! folders, [`manifest`] knows which files they must have, [`lock`] keeps a second process out. All of them take only what belongs to this user alone,
//! follow no symbolic link, and answer "done" only for what a crash can't take back.

pub mod append;
pub mod disk;
mod error;
#[cfg(test)]
pub(crate) mod failing;
pub mod folder;
pub mod journal;
pub mod lock;
pub mod manifest;
pub mod private;

pub(crate) use error::is_unsupported;
pub use error::{FileError, FileKind};
