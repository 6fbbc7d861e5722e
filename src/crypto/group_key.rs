//! The group key file: the pre-shared key of DES or AES-256, as text that people hand to each other.
//!
//! ```text
//! topchat-group-key v1
//! # comment
//! <id: 32 hex digits> <key: 16 hex digits of DES, or 64 of AES-256>
//! ```
//!
//! The first entry writes, all read, so that a new key can be put in front of the old one. The server never opens it.

use std::fmt;

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::random;
use crate::limits::GROUP_KEYS_MAX;

const VERSION: &str = "topchat-group-key v1";
/// What this program writes behind the first line, and then what `scripts/gen-des-key.sh` and `gen-group-key.sh` do.
const HEADER: [&str; 7] = [
    "# Give this file to every member by a safe way; keep it from everybody else, the server included.",
    "# The key that seals messages to ALL, the same for every member.",
    "# Give this file to members by a safe way only: on a stick, by scp, never by open mail.",
    "# DES is weak (56 bits): good against a curious look, not against a lab.",
    "# An entry: 32 hex digits of id, 16 hex digits of key. The first one writes, all of them read.",
    "# A key of AES-256, for the modern suites.",
    "# An entry: 32 hex digits of id, 64 hex digits of key. The first one writes, all of them read.",
];
const ID_DIGITS: usize = 32;
const DES_DIGITS: usize = 16;
const AES_DIGITS: usize = 64;

/// Why a text is no group key file. Lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupKeyError {
    /// A character that is no hex digit.
    #[error("line {line}: the {part} contains {}, which is no hex digit", crate::text::visible_char(*.found))]
    Digit {
        /// Where.
        line: usize,
        /// In the id or in the key.
        part: Part,
        /// The first such character.
        found: char,
    },
    /// Two entries with one id.
    #[error("line {line}: this id stands in an earlier line too")]
    DuplicateId {
        /// Where the second one stands.
        line: usize,
    },
    /// Not two words.
    #[error("line {line}: an entry is an id and a key with one space between")]
    Entry {
        /// Where.
        line: usize,
    },
    /// Too few or too many digits.
    #[error("line {line}: the {part} has {found} hex digits, {} are needed", .part.wanted())]
    Length {
        /// Where.
        line: usize,
        /// The id or the key.
        part: Part,
        /// How many characters there are.
        found: usize,
    },
    /// No entry at all.
    #[error("no key in it")]
    NoEntry,
    /// No room for one more.
    #[error("{GROUP_KEYS_MAX} keys already")]
    Full,
    /// More than [`GROUP_KEYS_MAX`] entries.
    #[error("line {line}: more than {GROUP_KEYS_MAX} keys")]
    TooMany {
        /// Where the first one over the limit stands.
        line: usize,
    },
    /// The first line is another one.
    #[error("line 1: not \"{VERSION}\"")]
    Version,
    /// One of the 64 keys that DES must not be used with.
    #[error("line {line}: a weak DES key")]
    Weak {
        /// Where.
        line: usize,
    },
}

/// The two words of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The random id, 32 digits.
    Id,
    /// The key, 16 digits or 64.
    Key,
}

impl Part {
    fn wanted(self) -> &'static str {
        match self {
            Self::Id => "exactly 32",
            Self::Key => "16 (DES) or 64 (AES-256)",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Key => "key",
        })
    }
}

/// The entries of a group key file, at least one. No `Debug`: it would show keys.
pub struct GroupKeys {
    writer: GroupKey,
    readers: Vec<GroupKey>,
}

impl GroupKeys {
    /// Reads the file's text. Parity bits are set to odd, so that spellings of one key that differ there are one key.
    pub fn parse(text: &str) -> Result<Self, GroupKeyError> {
        let mut lines = (1..).zip(without_mark(text).lines());
        if lines.next().is_none_or(|(_, first)| first != VERSION) {
            return Err(GroupKeyError::Version);
        }
        let mut entries: Vec<GroupKey> = Vec::new();
        for (line, content) in lines.filter(|(_, content)| !is_comment(content)) {
            let entry = parse_entry(line, content)?;
            if entries.iter().any(|earlier| earlier.id == entry.id) {
                return Err(GroupKeyError::DuplicateId { line });
            }
            if entries.len() == GROUP_KEYS_MAX {
                return Err(GroupKeyError::TooMany { line });
            }
            entries.push(entry);
        }
        let mut entries = entries.into_iter();
        let writer = entries.next().ok_or(GroupKeyError::NoEntry)?;
        Ok(Self { writer, readers: entries.collect() })
    }

    /// A new random key of DES with a new random id.
    ///
    /// Can't fail today; the signature leaves room for sources of randomness that can.
    pub fn generate() -> Result<Self, GroupKeyError> {
        Ok(Self { writer: GroupKey::generate(Cipher::Des), readers: Vec::new() })
    }

    /// A new random key of this cipher with a new random id.
    pub fn generate_for(cipher: Cipher) -> Self {
        Self { writer: GroupKey::generate(cipher), readers: Vec::new() }
    }

    /// The file's text, with a comment that says what it is.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(256 + GROUP_KEYS_MAX * (ID_DIGITS + AES_DIGITS + 2)));
        for line in [VERSION, HEADER[0]] {
            text.push_str(line);
            text.push('\n');
        }
        self.entries().for_each(|entry| entry.write(&mut text));
        text
    }

    /// The text of a file that was read, with these entries in it and no others: what people wrote stays where it is.
    /// Entries that it did not have come before all others, below what every such file begins with.
    pub fn rewrite(&self, before: &str) -> Zeroizing<String> {
        let before = without_mark(before);
        let has = |text: &str, entry: &GroupKey| entries_of(text).any(|id| id == entry.id_hex());
        let mut text =
            Zeroizing::new(String::with_capacity(before.len() + GROUP_KEYS_MAX * (ID_DIGITS + AES_DIGITS + 2)));
        let mut lines = before.lines().peekable();
        while let Some(line) = lines.next_if(|line| *line == VERSION || HEADER.contains(line)) {
            push_line(&mut text, line);
        }
        self.entries().filter(|entry| !has(before, entry)).for_each(|entry| entry.write(&mut text));
        for line in lines {
            if is_comment(line) || self.entries().any(|entry| has(line, entry)) {
                push_line(&mut text, line);
            }
        }
        text
    }

    /// Puts a new random key first, of the cipher that writes now; the ones before still read.
    pub fn rekey(&mut self) -> Result<(), GroupKeyError> {
        self.rekey_for(self.writer.cipher())
    }

    /// The same with a key of this cipher.
    pub fn rekey_for(&mut self, cipher: Cipher) -> Result<(), GroupKeyError> {
        if self.readers.len() + 1 >= GROUP_KEYS_MAX {
            return Err(GroupKeyError::Full);
        }
        let before = std::mem::replace(&mut self.writer, GroupKey::generate(cipher));
        self.readers.insert(0, before);
        Ok(())
    }

    /// Takes the key with that id out, unless it is the only one; the next one writes if it was the one that did. False
    /// if nothing was changed.
    pub fn remove(&mut self, id: &[u8; 16]) -> bool {
        let before = self.readers.len();
        if self.writer.id != *id {
            self.readers.retain(|key| key.id != *id);
            return self.readers.len() < before;
        }
        if self.readers.is_empty() {
            return false;
        }
        self.writer = self.readers.remove(0);
        true
    }

    /// The key that seals new messages.
    pub fn writer(&self) -> &GroupKey {
        &self.writer
    }

    /// The key with that id.
    pub fn find(&self, id: &[u8; 16]) -> Option<&GroupKey> {
        self.entries().find(|entry| entry.id == *id)
    }

    /// All of them, the one that writes first.
    pub fn entries(&self) -> impl Iterator<Item = &GroupKey> {
        std::iter::once(&self.writer).chain(&self.readers)
    }
}

/// What a group key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cipher {
    /// Single DES.
    Des,
    /// AES-256 in GCM.
    Aes,
}

/// One entry: a key and its id. No `Debug`: it would show the key.
pub struct GroupKey {
    /// Random; stands in every envelope sealed with the key.
    pub id: [u8; 16],
    secret: Secret,
}

enum Secret {
    /// With odd parity, and not weak.
    Des(Zeroizing<[u8; 8]>),
    Aes(Zeroizing<[u8; 32]>),
}

impl GroupKey {
    /// The first four hex digits of the id, for people.
    pub fn short_id(&self) -> String {
        self.id.iter().take(2).map(|byte| format!("{byte:02x}")).collect()
    }

    /// All digits of the id.
    pub fn id_hex(&self) -> String {
        HEXLOWER.encode(&self.id)
    }

    /// What it is for.
    pub fn cipher(&self) -> Cipher {
        match self.secret {
            Secret::Des(_) => Cipher::Des,
            Secret::Aes(_) => Cipher::Aes,
        }
    }

    fn generate(cipher: Cipher) -> Self {
        match cipher {
            Cipher::Aes => Self { id: random::bytes(), secret: Secret::Aes(random::secret()) },
            Cipher::Des => loop {
                if let Some(key) = Self::des(random::bytes(), random::secret()) {
                    return key;
                }
            },
        }
    }

    /// `None` if the key is weak.
    fn des(id: [u8; 16], mut secret: Zeroizing<[u8; 8]>) -> Option<Self> {
        secret.iter_mut().for_each(|byte| *byte = odd_parity(*byte));
        (!is_weak(&secret)).then_some(Self { id, secret: Secret::Des(secret) })
    }

    /// Adds the entry's line.
    fn write(&self, text: &mut String) {
        HEXLOWER.encode_append(&self.id, text);
        text.push(' ');
        match &self.secret {
            Secret::Des(secret) => HEXLOWER.encode_append(&secret[..], text),
            Secret::Aes(secret) => HEXLOWER.encode_append(&secret[..], text),
        }
        text.push('\n');
    }

    /// The key, if it is one of DES.
    pub(super) fn des_secret(&self) -> Option<&[u8; 8]> {
        match &self.secret {
            Secret::Des(secret) => Some(secret),
            Secret::Aes(_) => None,
        }
    }

    /// The key, if it is one of AES.
    pub(super) fn aes_secret(&self) -> Option<&[u8; 32]> {
        match &self.secret {
            Secret::Aes(secret) => Some(secret),
            Secret::Des(_) => None,
        }
    }
}

fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.trim_ascii().is_empty()
}

/// The ids of the entries in a text that was read, in lower case.
fn entries_of(text: &str) -> impl Iterator<Item = String> {
    let entries = text.lines().filter(|line| !is_comment(line));
    entries.filter_map(|line| line.split_once(' ')).map(|(id, _)| id.to_ascii_lowercase())
}

/// Some editors put a byte order mark first, which is none of the text (and write CR LF, which `lines` takes).
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn parse_entry(line: usize, content: &str) -> Result<GroupKey, GroupKeyError> {
    let (id, key) = content.trim_ascii_end().split_once(' ').ok_or(GroupKeyError::Entry { line })?;
    let mut id_bytes = [0; ID_DIGITS / 2];
    decode(line, Part::Id, id, &mut id_bytes)?;
    // A wrong digit is told before a wrong number of them.
    if key.len() == AES_DIGITS {
        let mut secret = Zeroizing::new([0; AES_DIGITS / 2]);
        decode(line, Part::Key, key, secret.as_mut())?;
        return Ok(GroupKey { id: id_bytes, secret: Secret::Aes(secret) });
    }
    let mut secret = Zeroizing::new([0; DES_DIGITS / 2]);
    decode(line, Part::Key, key, secret.as_mut())?;
    GroupKey::des(id_bytes, secret).ok_or(GroupKeyError::Weak { line })
}

/// Reads exactly as many hex digits as `bytes` takes.
fn decode(line: usize, part: Part, digits: &str, bytes: &mut [u8]) -> Result<(), GroupKeyError> {
    if let Some(found) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
        return Err(GroupKeyError::Digit { line, part, found });
    }
    let length = GroupKeyError::Length { line, part, found: digits.len() };
    if digits.len() != 2 * bytes.len() {
        return Err(length);
    }
    HEXLOWER_PERMISSIVE.decode_mut(digits.as_bytes(), bytes).map(|_| ()).map_err(|_| length)
}

/// The lowest bit of each byte of a DES key makes its number of ones odd (FIPS 46-3, section "Algorithm").
fn odd_parity(byte: u8) -> u8 {
    let key_bits = byte & 0xfe;
    key_bits | u8::from(key_bits.count_ones().is_multiple_of(2))
}

/// Whether this key, with odd parity, is one of the 4 weak, 12 semi-weak and 48 possibly weak ones
/// (NIST SP 800-67 rev. 2, section 3.3.2), which give one, two or four different round keys instead of sixteen.
///
/// All 64 have one shape: in each half of the round key register four bits repeat, an even number of them ones.
/// The key's bytes then take four values only, one per pair of bits, and the fourth pair is the sum of the others.
fn is_weak(key: &[u8; 8]) -> bool {
    weak_keys().any(|weak| super::digest::equal(&weak, key))
}

fn weak_keys() -> impl Iterator<Item = [u8; 8]> {
    /// A byte of the key's first half, and the byte in the same place of the second, for a pair of bits.
    fn halves(pair: usize) -> (u8, u8) {
        match pair & 3 {
            0 => (0x01, 0x01),
            1 => (0x1f, 0x0e),
            2 => (0xe0, 0xf1),
            _ => (0xfe, 0xfe),
        }
    }
    (0..64).map(|number| {
        let (a, b, c) = (number, number >> 2, number >> 4);
        let [a, b, c, d] = [a, b, c, a ^ b ^ c].map(halves);
        [a.0, b.0, c.0, d.0, a.1, b.1, c.1, d.1]
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const ID: &str = "3f2a0102030405060708090a0b0c0d0e";
    const OTHER_ID: &str = "91cc0102030405060708090a0b0c0d0e";
    const KEY: &str = "0123456789abcdef";

    /// As NIST SP 800-67 prints them.
    const WEAK: [&str; 4] = ["0101010101010101", "fefefefefefefefe", "e0e0e0e0f1f1f1f1", "1f1f1f1f0e0e0e0e"];
    const SEMI_WEAK: [&str; 12] = [
        "011f011f010e010e",
        "1f011f010e010e01",
        "01e001e001f101f1",
        "e001e001f101f101",
        "01fe01fe01fe01fe",
        "fe01fe01fe01fe01",
        "1fe01fe00ef10ef1",
        "e01fe01ff10ef10e",
        "1ffe1ffe0efe0efe",
        "fe1ffe1ffe0efe0e",
        "e0fee0fef1fef1fe",
        "fee0fee0fef1fef1",
    ];

    fn file(entries: &str) -> String {
        format!("topchat-group-key v1\n# made for a test\n{entries}")
    }

    #[track_caller]
    fn refused(text: &str, why: GroupKeyError) {
        assert_eq!(GroupKeys::parse(text).err(), Some(why), "{text:?}");
    }

    fn bytes(digits: &str) -> [u8; 8] {
        HEXLOWER.decode(digits.as_bytes()).unwrap().try_into().unwrap()
    }

    #[test]
    fn the_first_entry_writes_and_all_read() {
        let keys = GroupKeys::parse(&file(&format!("{ID} {KEY}\n\n# older\n{OTHER_ID} fedcba9876543210\n"))).unwrap();
        assert_eq!(keys.writer().short_id(), "3f2a");
        assert_eq!(keys.writer().des_secret(), Some(&bytes(KEY)));
        let older = HEXLOWER.decode(OTHER_ID.as_bytes()).unwrap().try_into().unwrap();
        assert_eq!(keys.find(&older).unwrap().des_secret(), Some(&bytes("fedcba9876543210")));
        assert!(keys.find(&[0; 16]).is_none());
    }

    #[test]
    fn keys_of_both_ciphers_stand_in_one_file() {
        let mut keys = GroupKeys::generate().unwrap();
        keys.rekey_for(Cipher::Aes).unwrap();
        keys.rekey().unwrap();
        let ciphers = |keys: &GroupKeys| keys.entries().map(GroupKey::cipher).collect::<Vec<_>>();
        assert_eq!(ciphers(&keys), [Cipher::Aes, Cipher::Aes, Cipher::Des], "a new key is of the present cipher");
        let read = GroupKeys::parse(&keys.to_text()).unwrap();
        assert_eq!(ciphers(&read), ciphers(&keys));
        assert_eq!(read.writer().aes_secret(), keys.writer().aes_secret());
        assert!(read.writer().aes_secret().is_some() && read.writer().des_secret().is_none());
        let digits = "0123456789ABCDEF".repeat(4);
        let upper = GroupKeys::parse(&file(&format!("{ID} {digits}\n"))).unwrap();
        assert_eq!(upper.writer().aes_secret().unwrap()[..8], bytes(KEY));
    }

    #[test]
    fn what_is_generated_is_read_back() {
        let made = GroupKeys::generate().unwrap();
        let read = GroupKeys::parse(&made.to_text()).unwrap();
        assert_eq!(read.writer().id, made.writer().id);
        assert_eq!(read.writer().des_secret(), made.writer().des_secret());
        assert_ne!(GroupKeys::generate().unwrap().writer().id, made.writer().id);
    }

    #[test]
    fn a_file_that_an_editor_wrote_in_its_own_way_is_the_same_file() {
        let text = file(&format!("{ID} {KEY}\n"));
        for edited in
            [format!("\u{feff}{text}"), text.replace('\n', "\r\n"), format!("\u{feff}{}", text.replace('\n', "\r\n"))]
        {
            let keys = GroupKeys::parse(&edited).unwrap();
            assert_eq!(keys.writer().id_hex(), ID);
            assert_eq!(*keys.rewrite(&edited), text);
        }
    }

    #[test]
    fn what_people_wrote_in_the_file_stays_when_its_keys_change() {
        let text = format!(
            "{VERSION}\n{}\n# made in May, Carol has it too\n{} {KEY}  \r\n\n# the one of April\n{OTHER_ID} fedcba9876543210",
            HEADER[1],
            ID.to_uppercase()
        );
        let mut keys = GroupKeys::parse(&text).unwrap();
        assert_eq!(*keys.rewrite(&text), text.replace('\r', "") + "\n", "nothing changed");
        keys.rekey().unwrap();
        let rekeyed = keys.rewrite(&text);
        let new: Vec<_> = rekeyed.lines().enumerate().filter(|(_, line)| !text.contains(line)).collect();
        let [(2, entry)] = new[..] else { panic!("{} new lines", new.len()) };
        assert!(entry.starts_with(&keys.writer().id_hex()));
        assert_eq!(rekeyed.lines().count(), text.lines().count() + 1);
        let again = GroupKeys::parse(&rekeyed).unwrap();
        assert!(again.entries().map(|key| key.id).eq(keys.entries().map(|key| key.id)));
        let old = keys.entries().nth(1).unwrap().id;
        assert!(keys.remove(&old));
        let forgotten = keys.rewrite(&rekeyed);
        let gone: Vec<_> = rekeyed.lines().filter(|line| !forgotten.lines().any(|left| left == *line)).collect();
        assert_eq!(gone, [format!("{} {KEY}  ", ID.to_uppercase())]);
    }

    #[test]
    fn spellings_that_differ_in_parity_are_one_key() {
        let odd = GroupKeys::parse(&file(&format!("{ID} {KEY}\n"))).unwrap();
        let even = GroupKeys::parse(&file(&format!("{ID} 0022446688AACCEE\r\n"))).unwrap();
        assert_eq!(odd.writer().des_secret(), even.writer().des_secret());
        assert!(odd.writer().des_secret().unwrap().iter().all(|byte| byte.count_ones() % 2 == 1));
    }

    #[test]
    fn another_version_is_refused_first() {
        refused("", GroupKeyError::Version);
        refused("topchat-group-key v2\n", GroupKeyError::Version);
        refused(&format!("{ID} {KEY}\n"), GroupKeyError::Version);
    }

    #[test]
    fn a_wrong_digit_is_shown_with_its_line() {
        let expected = GroupKeyError::Digit { line: 3, part: Part::Key, found: 'g' };
        refused(&file(&format!("{ID} 0123456789abcdeg\n")), expected.clone());
        assert_eq!(expected.to_string(), "line 3: the key contains g, which is no hex digit");
        let space = GroupKeyError::Digit { line: 3, part: Part::Key, found: ' ' };
        refused(&file(&format!("{ID} 01234567 89abcdef\n")), space);
        let escape = GroupKeyError::Digit { line: 3, part: Part::Id, found: '\u{1b}' };
        refused(&file(&format!("\u{1b}{ID} {KEY}\n")), escape);
    }

    #[test]
    fn a_wrong_number_of_digits_is_told() {
        for length in [2, 15, 17, 32, 63, 65, 128] {
            let expected = GroupKeyError::Length { line: 3, part: Part::Key, found: length };
            refused(&file(&format!("{ID} {}\n", "1".repeat(length))), expected.clone());
            let words = format!("line 3: the key has {length} hex digits, 16 (DES) or 64 (AES-256) are needed");
            assert_eq!(expected.to_string(), words);
        }
        let short_id = GroupKeyError::Length { line: 3, part: Part::Id, found: 4 };
        assert_eq!(short_id.to_string(), "line 3: the id has 4 hex digits, exactly 32 are needed");
        refused(&file(&format!("3f2a {KEY}\n")), short_id);
    }

    #[test]
    fn an_entry_is_two_words() {
        refused(&file(&format!("{KEY}\n")), GroupKeyError::Entry { line: 3 });
        refused(&file(""), GroupKeyError::NoEntry);
        refused(&file(&format!("{ID} {KEY}\n{ID} fedcba9876543210\n")), GroupKeyError::DuplicateId { line: 4 });
    }

    #[test]
    fn the_number_of_entries_is_limited() {
        let entries =
            |count: usize| (0..count).map(|number| format!("{number:032x} {KEY}\n")).collect::<Vec<_>>().concat();
        assert!(GroupKeys::parse(&file(&entries(GROUP_KEYS_MAX))).is_ok());
        refused(&file(&entries(GROUP_KEYS_MAX + 1)), GroupKeyError::TooMany { line: 3 + GROUP_KEYS_MAX });
    }

    #[test]
    fn weak_keys_are_refused_in_every_parity() {
        for weak in weak_keys() {
            let even = weak.map(|byte| byte ^ 1);
            let mixed = [weak[0], even[1], weak[2], even[3], weak[4], even[5], even[6], weak[7]];
            for spelling in [weak, even, mixed] {
                let digits = HEXLOWER.encode(&spelling);
                refused(&file(&format!("{ID} {digits}\n")), GroupKeyError::Weak { line: 3 });
            }
        }
    }

    #[test]
    fn the_weak_keys_are_those_of_the_standard() {
        let all: HashSet<_> = weak_keys().collect();
        assert_eq!(all.len(), 64);
        assert!(WEAK.iter().chain(&SEMI_WEAK).all(|digits| all.contains(&bytes(digits))));
        // A sample of the 48, as printed.
        for digits in
            ["01011f1f01010e0e", "e0fe011ff1fe010e", "1ffefe1f0efefe0e", "fee01f01fef10e01", "e01f01fef10e01fe"]
        {
            assert!(all.contains(&bytes(digits)), "{digits}");
        }
    }

    #[test]
    fn weak_keys_have_one_two_or_four_round_keys() {
        for key in weak_keys() {
            let digits = HEXLOWER.encode(&key);
            let expected = match digits.as_str() {
                digits if WEAK.contains(&digits) => 1,
                digits if SEMI_WEAK.contains(&digits) => 2,
                _ => 4,
            };
            assert_eq!(round_keys(&key), expected, "{digits}");
            assert!(key.iter().all(|byte| odd_parity(*byte) == *byte), "{digits}");
        }
        assert_eq!(round_keys(&bytes(KEY)), 16);
    }

    /// How many different round keys DES makes of a key (FIPS 46-3, "Key schedule calculation"). The last selection
    /// (PC-2) is left out: it takes nearly all of the register and can't make two of these states one.
    fn round_keys(key: &[u8; 8]) -> usize {
        let bit = |number: usize| key[(number - 1) / 8] >> (7 - (number - 1) % 8) & 1;
        let left = [57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3];
        let right = [63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5];
        let mut c: Vec<u8> = left.into_iter().chain([60, 52, 44, 36]).map(bit).collect();
        let mut d: Vec<u8> = right.into_iter().chain([28, 20, 12, 4]).map(bit).collect();
        let mut states = HashSet::new();
        for shift in [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1] {
            c.rotate_left(shift);
            d.rotate_left(shift);
            states.insert((c.clone(), d.clone()));
        }
        states.len()
    }
}
