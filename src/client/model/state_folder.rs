//! What the folders of this client's state must hold: what is gone is told, and stops what would be unsafe without it.

use std::path::Path;

use crate::crypto::digest;
use crate::storage::journal::Format;
use crate::storage::manifest::{Layout, Manifest, Part};

/// The parts of this folder: of one account on one server, or of them all.
pub fn parts(folder: &Path) -> Manifest {
    Manifest::of(folder, &LAYOUT)
}

/// What to do about a part that holds something else than was written.
pub(crate) fn remedy(path: &Path) -> String {
    let part = LAYOUT.parts.iter().find(|part| path.ends_with(part.name));
    let without = part.map_or("what it holds is lost", |part| part.without);
    format!("nothing was changed: put the file back from a backup; without it {without}")
}

const LAYOUT: Layout = Layout {
    format: Format {
        name: "state",
        version: 2,
        stake: "the list of what this folder must have, without which a missing file goes unnoticed",
        digest: digest::sha256,
    },
    parts: &[
        Part { name: "bell.json", without: "the terminal rings as at the beginning" },
        Part { name: "blocked.json", without: "nobody is blocked any more" },
        Part {
            name: "contacts.json",
            without: "every contact counts as new: whatever key the server gives is believed until you compare it",
        },
        Part { name: "history.json", without: "the history that was kept can never be opened again" },
        Part { name: "history.sealed", without: "the history that was kept is lost" },
        Part {
            name: "inbox",
            without: "messages that were not shown yet are lost, and copies of old ones are shown as new",
        },
        Part { name: "known.json", without: "it is not noticed if the server was set back before the next login" },
        Part { name: "outbox", without: "messages of yours that were not sent yet are lost" },
        Part {
            name: "sequence.json",
            without: "what you write next may be taken for a copy by those you wrote to, or told as a gap",
        },
        Part {
            name: "servers.json",
            without: "whatever server answers is believed to be the one that you know, until you compare its identity",
        },
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_with_a_file_is_told() {
        let begin = "nothing was changed: put the file back from a backup; without it ";
        assert_eq!(remedy(Path::new("a/blocked.json")), format!("{begin}nobody is blocked any more"));
        assert_eq!(remedy(Path::new("a/else")), format!("{begin}what it holds is lost"));
    }
}
