//! Sending: from a text to a sealed envelope and the truth about its delivery.

pub(crate) mod compose;
pub(crate) mod deliver;
pub(crate) mod text;
