//! The header by which a proxy tells for whom it connects: version 2 of the PROXY protocol.
//!
//! By proxy-protocol.txt of HAProxy, section 2.2. It stands before TLS, so its reader takes exactly its bytes and none of what follows.

use super::reader::{self, Reader};
use crate::limits::PROXY_HEADER_MAX;

/// What a header says, or that more of it must come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// So many bytes are missing at least, and none beyond them may be read.
    Missing(usize),
    /// The proxy connects for whoever is at this IPv4 address.
    FromV4([u8; 4]),
    /// The same with an IPv6 address.
    FromV6([u8; 16]),
    /// The proxy connects for itself, or for somebody whose address it can't tell.
    ByItself,
}

/// Why bytes are no such header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForwardedError {
    /// A command, a family or a transport that can't be over TCP.
    #[error("its {field} {value:#04x} is not one of version 2 over TCP")]
    BadValue {
        /// What it says.
        field: &'static str,
        /// How.
        value: u8,
    },
    /// Something else, TLS for example.
    #[error("no PROXY header came")]
    Missing,
    /// Too short for its addresses.
    #[error("its PROXY header is shorter than the addresses in it")]
    Short,
    /// Longer than any that a proxy needs.
    #[error("its PROXY header announces {length} bytes, at most {PROXY_HEADER_MAX} are allowed")]
    TooLong {
        /// The announced length in bytes.
        length: usize,
    },
    /// The older text form.
    #[error("it speaks version 1 of the PROXY protocol; version 2 is needed (haproxy: send-proxy-v2)")]
    Version1,
}

/// Reads a header as far as it has come.
pub fn read(bytes: &[u8]) -> Result<Forwarded, ForwardedError> {
    if !bytes.iter().zip(SIGNATURE).all(|(byte, expected)| byte == expected) {
        let is_text = bytes.iter().zip(VERSION_1).all(|(byte, expected)| byte == expected);
        return Err(if is_text { ForwardedError::Version1 } else { ForwardedError::Missing });
    }
    if let Some(missing) = START.checked_sub(bytes.len()).filter(|missing| *missing > 0) {
        return Ok(Forwarded::Missing(missing));
    }
    let mut reader = Reader::new(bytes);
    let start = read_start(&mut reader).map_err(|_| ForwardedError::Missing)?;
    let family = match start.command {
        // What a proxy says of a connection of its own must not be looked at.
        LOCAL => Family::Unknown,
        PROXY => family(start.family)?,
        value => return Err(ForwardedError::BadValue { field: "version and command", value }),
    };
    let length = usize::from(start.length);
    if length > PROXY_HEADER_MAX {
        return Err(ForwardedError::TooLong { length });
    }
    if let Some(missing) = length.checked_sub(reader.remaining()).filter(|missing| *missing > 0) {
        return Ok(Forwarded::Missing(missing));
    }
    // Whatever else stands in it is skipped.
    let from = match family {
        Family::Unknown => Ok(Forwarded::ByItself),
        Family::V4 => read_source(&mut reader).map(Forwarded::FromV4),
        Family::V6 => read_source(&mut reader).map(Forwarded::FromV6),
    };
    from.map_err(|_| ForwardedError::Short)
}

/// What comes first, whatever it says.
struct Start {
    command: u8,
    family: u8,
    length: u16,
}

enum Family {
    /// None, or a path: no address on a network.
    Unknown,
    V4,
    V6,
}

fn read_start(reader: &mut Reader<'_>) -> Result<Start, reader::Error> {
    reader.array::<12>("signature")?;
    Ok(Start { command: reader.u8("command")?, family: reader.u8("family")?, length: reader.u16("length")? })
}

fn family(value: u8) -> Result<Family, ForwardedError> {
    match value {
        UNSPECIFIED | UNIX_STREAM => Ok(Family::Unknown),
        TCP_V4 => Ok(Family::V4),
        TCP_V6 => Ok(Family::V6),
        value => Err(ForwardedError::BadValue { field: "family and transport", value }),
    }
}

/// Source, destination, and the ports of both.
fn read_source<const N: usize>(reader: &mut Reader<'_>) -> Result<[u8; N], reader::Error> {
    let source = reader.array("source")?;
    reader.array::<N>("destination")?;
    reader.u16("source port")?;
    reader.u16("destination port")?;
    Ok(source)
}

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// How the text form begins.
const VERSION_1: &[u8; 6] = b"PROXY ";
/// Signature, version and command, family and transport, length.
const START: usize = 16;
/// Version 2 in the upper four bits, the command in the lower ones.
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP_V4: u8 = 0x11;
const TCP_V6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE_V4: [u8; 4] = [203, 0, 113, 9];
    const SOURCE_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn v4() -> Vec<u8> {
        header(PROXY, TCP_V4, &[&SOURCE_V4[..], &[192, 0, 2, 1, 0xd4, 0x31, 0x1e, 0x61]].concat())
    }

    fn v6() -> Vec<u8> {
        header(PROXY, TCP_V6, &[&SOURCE_V6[..], &[9; 16], &[0x30, 0x39, 0x1e, 0x61]].concat())
    }

    /// As a connection is read: never more than what is missing.
    fn read_all(mut bytes: &[u8]) -> (Result<Forwarded, ForwardedError>, usize) {
        let (mut taken, whole) = (Vec::new(), bytes.len());
        loop {
            match read(&taken) {
                Ok(Forwarded::Missing(missing)) if missing <= bytes.len() => {
                    let (next, rest) = bytes.split_at(missing);
                    taken.extend_from_slice(next);
                    bytes = rest;
                }
                result => return (result, whole - bytes.len()),
            }
        }
    }

    #[test]
    fn a_header_tells_who_connects_and_takes_no_byte_behind_it() {
        for (header, from) in [(v4(), Forwarded::FromV4(SOURCE_V4)), (v6(), Forwarded::FromV6(SOURCE_V6))] {
            let (read, taken) = read_all(&[&header[..], b"\x16\x03\x01 TLS"].concat());
            assert_eq!((read, taken), (Ok(from), header.len()));
        }
        // More values behind the addresses are nobody's business.
        let mut longer = v4();
        longer.extend([0x04, 0, 3, 1, 2, 3]);
        longer[15] += 6;
        assert_eq!(read_all(&longer).0, Ok(Forwarded::FromV4(SOURCE_V4)));
    }

    #[test]
    fn who_connects_without_an_address_on_a_network_is_the_proxy() {
        for header in [
            header(LOCAL, UNSPECIFIED, &[]),
            header(LOCAL, TCP_V4, &[9; 12]),
            header(LOCAL, 0xff, &[1; 99]),
            header(PROXY, UNSPECIFIED, &[]),
            header(PROXY, UNSPECIFIED, &[7; 12]),
            header(PROXY, UNIX_STREAM, &[b'/'; 216]),
        ] {
            assert_eq!(read_all(&header), (Ok(Forwarded::ByItself), header.len()));
        }
    }

    #[test]
    fn what_is_no_header_of_version_2_is_refused_at_once() {
        let refused = |bytes: &[u8]| read(bytes).unwrap_err();
        assert_eq!(refused(b"PROXY TCP4 203.0.113.9 192.0.2.1 54321 7777\r\n"), ForwardedError::Version1);
        assert_eq!(refused(b"PRO"), ForwardedError::Version1);
        for other in [&b"\x16\x03\x01\x02\x00"[..], b"GET / HTTP/1.1\r\n", b"P!", b"\r\n\r\n\0\r\nQUIT\r"] {
            assert_eq!(refused(other), ForwardedError::Missing);
        }
        for command in [0x00, 0x01, 0x10, 0x11, 0x22, 0x2f, 0x30, 0xff] {
            let field = "version and command";
            let expected = ForwardedError::BadValue { field, value: command };
            assert_eq!(refused(&header(command, TCP_V4, &[0; 12])), expected);
        }
        for family in [0x01, 0x10, 0x12, 0x13, 0x22, 0x32, 0x41, 0xff] {
            let expected = ForwardedError::BadValue { field: "family and transport", value: family };
            assert_eq!(refused(&header(PROXY, family, &[0; 12])), expected);
            assert_eq!(refused(&header(PROXY, family, &[0; 12])[..16]), expected, "before the rest has come");
        }
        for (family, rest) in [(TCP_V4, 0), (TCP_V4, 11), (TCP_V6, 12), (TCP_V6, 35)] {
            assert_eq!(refused(&header(PROXY, family, &vec![1; rest])), ForwardedError::Short);
        }
        let long = header(PROXY, TCP_V4, &[0; PROXY_HEADER_MAX + 1]);
        assert_eq!(refused(&long[..16]), ForwardedError::TooLong { length: PROXY_HEADER_MAX + 1 });
        assert!(read_all(&header(PROXY, TCP_V4, &[0; PROXY_HEADER_MAX])).0.is_ok());
    }

    #[test]
    fn cut_at_any_byte_the_rest_is_waited_for_and_no_flipped_bit_is_believed_to_be_another_kind() {
        for whole in [v4(), v6(), header(LOCAL, UNSPECIFIED, &[])] {
            let good = read_all(&whole).0.unwrap();
            for cut in 0..whole.len() {
                let Ok(Forwarded::Missing(missing)) = read(&whole[..cut]) else { panic!("{cut} of {whole:?}") };
                assert!((1..=whole.len() - cut).contains(&missing), "{cut} of {whole:?}: {missing}");
            }
            for bit in 0..whole.len() * 8 {
                let mut flipped = whole.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let (read, taken) = read_all(&[&flipped[..], &[0x16; 64]].concat());
                assert!(taken <= flipped.len() + 64);
                match read {
                    // Only the address itself can make another address, and only the command that there is none.
                    Ok(Forwarded::FromV4(_) | Forwarded::FromV6(_)) => assert!(bit / 8 >= 13, "{bit}"),
                    Ok(Forwarded::ByItself) => {
                        assert!(good == Forwarded::ByItself || bit / 8 == 12 || bit / 8 == 13, "{bit}");
                    }
                    Ok(Forwarded::Missing(_)) => assert!((14..16).contains(&(bit / 8)), "{bit}"),
                    Err(_) => {}
                }
            }
        }
    }
}
