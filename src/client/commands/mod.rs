//! Commands of `topchat`, one module each.

pub(crate) mod account;
pub(crate) mod chat;
pub(crate) mod doctor;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod register;
pub(crate) mod suite;
pub(crate) mod trust;
pub(crate) mod users;
