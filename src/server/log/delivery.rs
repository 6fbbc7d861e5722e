//! From the log to a session: how far it has got, and copying frames from memory or disk, without the log's lock.

use std::io;
use std::sync::Arc;

use super::files::segment::{Place, Segment};
use super::mail::Unreadable;
use super::memory::frames::Frames;
use crate::machine::fs::File;
use crate::names::UserName;
use crate::wire::{DeliveryId, deliver};

/// A receiving session's place in its account's mailbox: which session it is, and what it has got so far.
pub(crate) struct Attachment {
    pub(super) name: UserName,
    pub(super) term: u64,
    pub(super) number: u64,
    /// How many group messages there were up to there.
    pub(super) group: u64,
    /// What came up to here waited for the session.
    pub(super) backlog_until: u64,
    /// The last message that the account had acknowledged before it, 0 if there is none.
    pub(super) acknowledged: u64,
    /// Messages that it will not get any more, and was not told of yet.
    pub(super) skipped: u64,
    pub(super) opened: Option<(Arc<Segment>, File)>,
}

/// Where the bytes of messages are, and whether they waited for the session.
pub(super) enum Source {
    /// One message.
    Disk { number: u64, place: Place, has_waited: bool },
    /// One, or if they did not wait, several.
    Memory { frames: Frames, has_waited: bool },
}

impl Source {
    /// Adds what it stands for. The file that was read last stays open for the next.
    pub(super) fn append(
        self,
        opened: &mut Option<(Arc<Segment>, File)>,
        frames: &mut Vec<u8>,
    ) -> Result<(), Unreadable> {
        match self {
            Self::Memory { frames: more, has_waited } => {
                let begin = frames.len();
                frames.extend_from_slice(more.bytes());
                if has_waited {
                    deliver::set_backlog(&mut frames[begin..]);
                }
            }
            Self::Disk { number, place, has_waited } => {
                let envelope = read(&place, opened).map_err(|error| {
                    log::error!("reading message {number} from {}: {error}", place.segment.path().display());
                    Unreadable
                })?;
                deliver::append(frames, DeliveryId::default(), has_waited, &envelope);
            }
        }
        Ok(())
    }
}

fn read(place: &Place, opened: &mut Option<(Arc<Segment>, File)>) -> io::Result<Vec<u8>> {
    let file = match opened.take() {
        Some((segment, file)) if Arc::ptr_eq(&segment, &place.segment) => file,
        _ => place.segment.open().map_err(io::Error::other)?,
    };
    let envelope = place.read(&file);
    *opened = Some((Arc::clone(&place.segment), file));
    envelope
}
