//! Durable state of an account: inbox, outbox, counters, replay ledger, history, chat settings.

pub(crate) mod archive;
pub(crate) mod chat_settings;
pub(crate) mod history;
pub mod inbox;
pub(crate) mod journal;
pub(crate) mod outbox;
pub mod seen;
pub(crate) mod sequence;
pub mod state_file;
