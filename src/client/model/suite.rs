//! What a person says of suites.

use crate::wire::Prefers;

/// Which suites are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// RSA PKCS#1 v1.5; DES for the group.
    #[default]
    Classic,
    /// X25519 and AES-256, signed with Ed25519.
    Modern,
}

impl From<Wanted> for Prefers {
    fn from(wanted: Wanted) -> Self {
        match wanted {
            Wanted::Classic => Self::Classic,
            Wanted::Modern => Self::Modern,
        }
    }
}
