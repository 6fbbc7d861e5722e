//! Deliver frames in memory that all who get them share. Pure.

use std::ops::Range;
use std::sync::Arc;

use crate::wire::deliver;

/// One frame, or several that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Frames {
    memory: Arc<[u8]>,
    range: Range<usize>,
}

impl Frames {
    pub(crate) fn new(memory: &Arc<[u8]>, range: Range<usize>) -> Self {
        Self { memory: Arc::clone(memory), range }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.range.clone()]
    }

    /// Of one frame.
    pub(crate) fn envelope(&self) -> &[u8] {
        deliver::envelope(self.bytes())
    }

    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    /// Takes in the frame behind the last one. False if `next` stands elsewhere.
    pub(crate) fn join(&mut self, next: &Self) -> bool {
        let follows = Arc::ptr_eq(&self.memory, &next.memory) && self.range.end == next.range.start;
        if follows {
            self.range.end = next.range.end;
        }
        follows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_join() {
        let (memory, other): (Arc<[u8]>, Arc<[u8]>) = ([1, 2, 3, 4, 5].into(), [1, 2, 3, 4, 5].into());
        let mut frames = Frames::new(&memory, 0..2);
        assert!(!frames.join(&Frames::new(&memory, 3..4)));
        assert!(!frames.join(&Frames::new(&other, 2..4)));
        assert!(frames.join(&Frames::new(&memory, 2..4)));
        assert_eq!((frames.bytes(), frames.len()), ([1, 2, 3, 4].as_slice(), 4));
    }
}
