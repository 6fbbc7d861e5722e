//! Keys of an account on disk: key folder, rotation, export file, group key file, password.

pub(crate) mod before;
pub(crate) mod export_file;
pub(crate) mod folder;
pub mod group_file;
pub mod member;
pub(crate) mod own_bundle;
pub(crate) mod password;
pub(crate) mod rotation;
