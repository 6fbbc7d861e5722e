//! The safety number: what two people compare to know that each has the other's true key.

use super::digest::sha512;
use crate::names::UserName;
use crate::wire::{Fingerprint, signed};

/// Sixty digits that both sides compute alike from their two names and identity keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SafetyNumber {
    digits: String,
}

/// A name and its identity key's fingerprint.
pub type Side<'a> = (&'a UserName, Fingerprint);

impl SafetyNumber {
    /// The number of these two: whoever comes first makes no difference.
    pub fn of(one: Side<'_>, other: Side<'_>) -> Self {
        let mut halves = [one, other].map(|(name, fingerprint)| half(name, fingerprint));
        halves.sort();
        Self { digits: halves.concat() }
    }

    /// The 60 digits without a gap.
    pub fn digits(&self) -> &str {
        &self.digits
    }

    /// Twelve groups of five digits, for people to read to each other.
    pub fn grouped(&self) -> String {
        let groups = self.digits.as_bytes().chunks(GROUP_DIGITS).map(String::from_utf8_lossy);
        groups.collect::<Vec<_>>().join(" ")
    }

    /// The same in two rows of six groups.
    pub fn rows(&self) -> [String; 2] {
        let grouped = self.grouped();
        let (upper, lower) = grouped.split_at(grouped.len() / 2);
        [upper, lower].map(|row| row.trim().to_owned())
    }

    /// What stands in the QR code.
    pub fn payload(&self) -> String {
        format!("TOPCHAT1:{}", self.digits)
    }
}

/// Thirty digits for one side: 99 bits, so that nobody finds another key with the same ones.
fn half(name: &UserName, fingerprint: Fingerprint) -> String {
    let hash = sha512(&signed::safety(name, fingerprint));
    let groups = hash.chunks(GROUP_BYTES).take(GROUPS);
    groups
        .map(|bytes| format!("{:05}", bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) % 100_000))
        .collect()
}

/// Groups of one side.
const GROUPS: usize = 6;
/// Bytes of the hash that one group is made of: so many that no digit is likelier than another.
const GROUP_BYTES: usize = 5;
const GROUP_DIGITS: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Fingerprint = Fingerprint([0xa1; 32]);
    const BOB: Fingerprint = Fingerprint([0xb0; 32]);

    fn number(one: (&str, Fingerprint), other: (&str, Fingerprint)) -> SafetyNumber {
        SafetyNumber::of((&one.0.parse().unwrap(), one.1), (&other.0.parse().unwrap(), other.1))
    }

    #[test]
    fn both_sides_see_the_same_sixty_digits() {
        let number_of_alice = number(("alice", ALICE), ("bob", BOB));
        assert_eq!(number_of_alice, number(("bob", BOB), ("alice", ALICE)));
        assert_eq!(number_of_alice.digits().len(), 60);
        assert!(number_of_alice.digits().bytes().all(|digit| digit.is_ascii_digit()));
        assert_eq!(number_of_alice.grouped().replace(' ', ""), number_of_alice.digits());
        assert_eq!(number_of_alice.grouped().split(' ').count(), 12);
    }

    #[test]
    fn another_name_or_key_on_either_side_gives_another_number() {
        let first = number(("alice", ALICE), ("bob", BOB));
        for other in [
            number(("alice", BOB), ("bob", BOB)),
            number(("alice", ALICE), ("bob", ALICE)),
            number(("alice", BOB), ("bob", ALICE)),
            number(("alicia", ALICE), ("bob", BOB)),
            number(("alice", ALICE), ("carol", BOB)),
        ] {
            assert_ne!(first, other);
        }
    }
}
