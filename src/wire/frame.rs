//! Frames: `u32` length (big-endian, of what follows), `u8` type, body.

use byteorder::{BigEndian, ByteOrder};

use super::writer::Writer;

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// Why the received bytes are no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A length of zero: not even a type.
    #[error("a frame of length zero")]
    Empty,
    /// A length over the limit of this state.
    #[error("a frame of {length} bytes, at most {limit} are allowed now")]
    TooLong {
        /// The announced length in bytes.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },
}

/// One frame as bytes: prefix, type, body.
pub fn encode(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(PREFIX + 1 + body.len());
    append(&mut frame, kind, |writer| writer.bytes(body));
    frame
}

/// Adds a frame to others. `write` writes its body.
pub(super) fn append(frames: &mut Vec<u8>, kind: u8, write: impl FnOnce(&mut Writer)) {
    let begin = frames.len();
    let mut writer = Writer::behind(std::mem::take(frames));
    writer.bytes(&[0; PREFIX]);
    writer.u8(kind);
    write(&mut writer);
    *frames = writer.into_bytes();
    let length = u32::try_from(frames.len() - begin - PREFIX).expect("bodies are limited to 16 KiB");
    BigEndian::write_u32(&mut frames[begin..], length);
}

/// Collects received bytes and gives whole frames.
///
/// The prefix never allocates: room is made for one read at a time, and a frame over its limit is refused
/// before its body comes, so the buffer holds at most one frame and one read.
#[derive(Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl FrameBuffer {
    /// Room for `size` bytes to be read into; [`filled`](Self::filled) says how many came.
    pub fn room(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < self.end + size {
            self.bytes.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.bytes.len() < self.end + size {
            self.bytes.resize(self.end + size, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// `count` bytes were read into the room.
    pub fn filled(&mut self, count: usize) {
        self.end = self.bytes.len().min(self.end + count);
    }

    /// The next whole frame as type and body, if it is complete.
    pub fn next_frame(&mut self, limit: usize) -> Result<Option<(u8, &[u8])>, FrameError> {
        let waiting = &self.bytes[self.start..self.end];
        let Some((prefix, after)) = waiting.split_at_checked(PREFIX) else { return Ok(None) };
        let length = usize::try_from(BigEndian::read_u32(prefix)).unwrap_or(usize::MAX);
        if length == 0 {
            return Err(FrameError::Empty);
        }
        if length > limit {
            return Err(FrameError::TooLong { length, limit });
        }
        let Some((kind, body)) = after.get(..length).and_then(<[u8]>::split_first) else { return Ok(None) };
        self.start += PREFIX + length;
        Ok(Some((*kind, body)))
    }

    /// Whether a frame has begun that is not complete.
    pub fn is_partial(&self) -> bool {
        self.start < self.end
    }

    /// Gives memory over `keep` bytes back when nothing waits, so that an idle session holds little.
    pub fn release(&mut self, keep: usize) {
        if !self.is_partial() && self.bytes.len() > keep {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn receive(buffer: &mut FrameBuffer, bytes: &[u8]) {
        buffer.room(bytes.len().max(64))[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    fn frames(buffer: &mut FrameBuffer) -> Vec<(u8, Vec<u8>)> {
        std::iter::from_fn(|| buffer.next_frame(100).unwrap().map(|(kind, body)| (kind, body.to_vec()))).collect()
    }

    #[test]
    fn length_counts_the_type_byte() {
        assert_eq!(encode(0x0a, &[1, 2]), [0, 0, 0, 3, 0x0a, 1, 2]);
    }

    #[test]
    fn refuses_lengths_before_the_body_came() {
        let mut buffer = FrameBuffer::default();
        receive(&mut buffer, &[0xff; 4]);
        assert_eq!(buffer.next_frame(100), Err(FrameError::TooLong { length: 0xffff_ffff, limit: 100 }));
        let mut buffer = FrameBuffer::default();
        receive(&mut buffer, &[0; 4]);
        assert_eq!(buffer.next_frame(100), Err(FrameError::Empty));
    }

    #[test]
    fn an_idle_buffer_holds_no_memory() {
        let mut buffer = FrameBuffer::default();
        receive(&mut buffer, &encode(1, &[0; 50]));
        assert_eq!(frames(&mut buffer).len(), 1);
        buffer.release(10);
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_frames(
            sent in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..99)), 0..8),
            cuts in prop::collection::vec(1_usize..40, 1..50),
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|(kind, body)| encode(*kind, body)).collect();
            let mut buffer = FrameBuffer::default();
            let mut received = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                receive(&mut buffer, now);
                received.extend(frames(&mut buffer));
                rest = later;
            }
            prop_assert_eq!(received, sent);
            prop_assert!(!buffer.is_partial());
        }
    }
}
