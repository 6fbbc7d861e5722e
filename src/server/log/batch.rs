//! Messages that came together, on their way to the log.
//!
//! Their Deliver frames stand one behind the other from the beginning; only their ids are missing, which differ for each who gets them.

use std::ops::Range;

use crate::crypto::digest;
use crate::wire::{DeliveryId, Header, deliver};

/// Messages whose senders are who they say.
#[derive(Default)]
pub(crate) struct Submissions {
    pub(super) frames: Vec<u8>,
    pub(super) messages: Vec<Submission>,
}

/// One of them.
pub(super) struct Submission {
    pub(super) header: Header,
    /// Bytes of its envelope.
    pub(super) size: usize,
    /// Where its frame is.
    pub(super) frame: Range<usize>,
    /// The beginning of the envelope's SHA-256.
    pub(super) digest: [u8; 16],
}

impl Submissions {
    /// Adds a message.
    pub(crate) fn add(&mut self, header: Header, envelope: &[u8]) {
        let begin = self.frames.len();
        deliver::append(&mut self.frames, DeliveryId::default(), false, envelope);
        let mut short = [0; 16];
        short.copy_from_slice(&digest::sha256(envelope)[..16]);
        self.messages.push(Submission { header, size: envelope.len(), frame: begin..self.frames.len(), digest: short });
    }

    /// The messages are in the log. Their memory is kept for the next ones.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.messages.clear();
    }

    /// Whether it holds memory that an idle session doesn't need.
    pub(crate) fn is_grown(&self) -> bool {
        self.frames.capacity() > 0
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }
}
