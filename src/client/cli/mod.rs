//! Command line: options and dispatch.

pub(crate) mod dispatch;
pub mod options;
