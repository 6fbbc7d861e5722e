//! What the server's data folder must hold: a part that is gone stops the start.

use std::path::Path;

use crate::crypto::digest;
use crate::error::{Exit, Explain};
use crate::storage::journal::{Format, JournalError};
use crate::storage::manifest::{Layout, Manifest, ManifestError, Part};

/// The parts of this data folder.
pub fn parts(folder: &Path) -> Manifest {
    Manifest::of(folder, &LAYOUT)
}

/// How the server ends because of its folder.
pub(crate) fn exit(error: &ManifestError) -> Exit {
    match error {
        ManifestError::Gone { .. } | ManifestError::Missing { .. } => Exit::Configuration,
        ManifestError::Journal(JournalError::Damaged { .. } | JournalError::Version { .. }) => Exit::Configuration,
        error => error.exit(),
    }
}

/// What is so without this part.
pub(crate) fn without(path: &Path) -> &'static str {
    let part = LAYOUT.parts.iter().find(|part| path.ends_with(part.name));
    part.map_or("what it held is lost", |part| part.without)
}

/// Name of the account database.
pub(crate) const ACCOUNTS: &str = "accounts.jsonl";
/// Name of the file of cursors.
pub(crate) const CURSORS: &str = "cursors.jsonl";
/// Name of the folder of the message log.
pub(crate) const MESSAGES: &str = "messages";
/// Name of the server's secret.
pub(crate) const SECRET: &str = "secret.key";
/// Name of the file with the TLS certificate and its key.
pub(crate) const TLS: &str = "tls.pem";

const LAYOUT: Layout = Layout {
    format: Format {
        name: "server",
        version: 2,
        stake: "the list of what this folder must have, without which a missing file goes unnoticed",
        digest: digest::sha256,
    },
    parts: &[
        Part { name: ACCOUNTS, without: "all accounts are gone, and their names are free for whoever comes first" },
        Part { name: CURSORS, without: "messages that people have already are delivered again" },
        Part { name: MESSAGES, without: "all messages that wait for somebody are lost" },
        Part { name: SECRET, without: "strangers can tell, once, which names have no account" },
        Part { name: TLS, without: "every client refuses this server until its user trusts the new identity" },
    ],
};
