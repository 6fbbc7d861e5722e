//! Why a history can't be had.

use std::path::PathBuf;

use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::text::visible;

/// Why a history can't be had.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Entries that were changed, moved or taken from elsewhere.
    #[error("{}: {} can't be opened; the others are shown", visible(&.path.to_string_lossy()), lines_in_words(.lines))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Their lines, from 1.
        lines: Vec<u64>,
    },
    /// None was kept.
    #[error("there is no history of {name}")]
    None {
        /// Whose.
        name: String,
    },
    /// The key is sealed for an encryption key that is not here.
    #[error("{} is sealed for another encryption key than those on this machine", visible(&.path.to_string_lossy()))]
    OtherKey {
        /// The file with the key.
        path: PathBuf,
    },
    /// Something that is no time.
    #[error("\"{}\" is no time", visible(.text))]
    Since {
        /// As typed.
        text: String,
    },
}

impl Explain for HistoryError {
    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::Damaged { .. } => {
                "take history.sealed from a backup; what is not damaged stays in it, and is shown".into()
            }
            Self::None { .. } => Hint::from("keep one from now on: ").topchat(&["history", "on"]),
            Self::OtherKey { .. } => "take the account's key files from a backup".into(),
            Self::Since { .. } => "write it as 2026-11-23, \"2026-11-23 12:00\", or how long ago: 2d, 3h".into(),
        })
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Since { .. } => Exit::Usage,
            Self::Damaged { .. } | Self::None { .. } | Self::OtherKey { .. } => Exit::Local,
        }
    }
}

/// `lines 3, 7`, `lines 3, 7, 8, 9, 10 and 12 more`.
fn lines_in_words(lines: &[u64]) -> String {
    let shown: Vec<_> = lines.iter().take(LINES_SHOWN).map(u64::to_string).collect();
    match (shown.as_slice(), lines.len() - shown.len()) {
        ([one], 0) => format!("line {one}"),
        (_, 0) => format!("lines {}", shown.join(", ")),
        (_, more) => format!("lines {} and {more} more", shown.join(", ")),
    }
}

/// More would fill the terminal.
const LINES_SHOWN: usize = 5;
