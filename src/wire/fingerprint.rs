//! Fingerprints of public keys.

use std::fmt;

use data_encoding::HEXLOWER;

/// SHA-256 of a key's DER SubjectPublicKeyInfo.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Its 64 hex digits.
    pub fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Reads 64 hex digits; spaces, colons and a leading `SHA256:` are ignored, as are capitals.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digits: String = text
            .strip_prefix("SHA256:")
            .unwrap_or(text)
            .chars()
            .filter(|c| !matches!(c, ' ' | ':'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let bytes = HEXLOWER.decode(digits.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// All of it for people to compare: 16 groups of four hex digits, a wide gap in the middle of each half.
    pub fn grouped(self) -> String {
        let hex = self.to_hex();
        let mut grouped = String::with_capacity(84);
        for (index, digit) in hex.chars().enumerate() {
            match index {
                0 => {}
                _ if index % 16 == 0 => grouped.push_str("  "),
                _ if index % 4 == 0 => grouped.push(' '),
                _ => {}
            }
            grouped.push(digit);
        }
        grouped
    }

    /// The first four hex digits: enough to recognise, too few to trust.
    pub fn short(self) -> String {
        HEXLOWER.encode(&self.0[..2])
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", self.to_hex())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({})", self.to_hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shown_form_is_read_back() {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(0..).for_each(|(byte, value)| *byte = value * 8);
        let fingerprint = Fingerprint(bytes);
        for shown in [fingerprint.to_hex(), fingerprint.to_string(), fingerprint.grouped()] {
            assert_eq!(Fingerprint::from_hex(&shown), Some(fingerprint), "{shown}");
        }
        assert_eq!(fingerprint.short(), "0008");
        assert_eq!(Fingerprint::from_hex("00"), None);
    }
}
