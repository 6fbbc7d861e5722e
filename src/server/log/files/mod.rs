//! The log on disk: segments of records, and the file of cursors.

pub(crate) mod cursors;
pub(crate) mod record;
pub(crate) mod segment;
