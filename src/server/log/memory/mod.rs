//! What the log keeps in memory of single messages: frames, ids, and a map for numbers that only grow.

pub(crate) mod cache;
pub(crate) mod dedup;
pub(crate) mod frames;
pub(crate) mod sequence_map;
