//! What must hold for any bytes at all. Each property is a function of bytes that panics when it is broken: libFuzzer calls it
//! from `fuzz/targets`, and `tests/fuzz.rs` replays the corpus and mutates it on stable Rust.

mod files;
mod interaction;
mod parsing;
mod sealed;
mod session;

pub use files::{db_load, groupkey_load, inbox_load, mailbox_load, pins_load};
pub use interaction::interaction;
pub use parsing::{bundle_parse, envelope_parse, forwarded_parse, frame_decode, name_canonical, sanitize};
pub use sealed::{envelope_open, unpad_v15};
pub use session::state_machine;

/// A property.
pub type Property = fn(&[u8]);

/// All of them, by the name of their target and corpus.
pub const ALL: &[(&str, Property)] = &[
    ("bundle_parse", bundle_parse),
    ("db_load", db_load),
    ("envelope_open", envelope_open),
    ("envelope_parse", envelope_parse),
    ("forwarded_parse", forwarded_parse),
    ("frame_decode", frame_decode),
    ("groupkey_load", groupkey_load),
    ("inbox_load", inbox_load),
    ("interaction", interaction),
    ("mailbox_load", mailbox_load),
    ("name_canonical", name_canonical),
    ("pins_load", pins_load),
    ("sanitize", sanitize),
    ("state_machine", state_machine),
    ("unpad_v15", unpad_v15),
];

/// The bytes of an input as choices; when they are used up, every choice is 0.
struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        let number = u16::from_be_bytes([self.byte(), self.byte()]);
        usize::from(number) % bound.max(1)
    }

    /// At most so many bytes.
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Changes some bytes: each step flips bits, sets a byte, cuts, inserts, or copies a piece over another place.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(8) {
            let at = self.below(bytes.len());
            match self.byte() % 6 {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.byte()),
                2 if at < bytes.len() => drop(bytes.remove(at)),
                3 => {
                    let (from, length) = (self.below(bytes.len()), usize::from(self.byte()));
                    let piece: Vec<u8> = bytes.iter().copied().skip(from).take(length).collect();
                    bytes.iter_mut().skip(at).zip(piece).for_each(|(to, from)| *to = from);
                }
                4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= self.byte() | 1),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.byte()),
            }
        }
    }
}
