//! What the targets in `targets/` run: the properties, and the people and servers that the tests have.

pub mod properties;

/// What `tests/` shares, as far as the properties need it.
#[path = "../../tests/support"]
pub mod support {
    use std::time::Duration;

    /// As in `tests/support/mod.rs`.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    pub mod people;
    pub mod raw;
    pub mod receiver;
    pub mod scram;
    pub mod server;
}
