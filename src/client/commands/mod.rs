//! Commands of `topchat`, one module each.

pub(crate) mod account;
pub(crate) mod admission;
pub(crate) mod chat;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod invite;
pub(crate) mod keys;
pub(crate) mod listen;
pub(crate) mod register;
pub(crate) mod transfer;
pub(crate) mod trust;
pub(crate) mod users;
