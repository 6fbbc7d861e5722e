//! Where the server is, as a person types it.

use std::fmt;
use std::str::FromStr;

/// The port that TopChat uses when none is given.
const PORT: u16 = 7777;

/// `HOST:PORT`, `HOST` or `[IPV6]:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

impl ServerAddress {
    /// Name or number of the host, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = split(text);
        if host.is_empty() || !host.chars().all(is_host_character) {
            return Err(AddressError::Host);
        }
        let port = match port {
            None => PORT,
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::Port)?,
        };
        // A zone is the name of an interface, which has capitals of its own (RFC 4007, section 11).
        let (name, zone) = host.find('%').map_or((host, ""), |at| host.split_at(at));
        Ok(Self { host: name.to_ascii_lowercase() + zone, port })
    }
}

/// Why a text is no server address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// No host, or a character that hosts don't have.
    #[error("that is no host name")]
    Host,
    /// Not from 1 to 65535.
    #[error("a port is a number from 1 to 65535")]
    Port,
}

fn split(text: &str) -> (&str, Option<&str>) {
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return (host, rest.strip_prefix(':'));
    }
    match text.rsplit_once(':') {
        // Two colons or more: a bare IPv6 number.
        Some((host, _)) if host.contains(':') => (text, None),
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    }
}

/// Also keeps the address fit to name a folder.
fn is_host_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, shown: &str) {
        assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), shown);
    }

    #[test]
    fn every_way_to_name_a_host_is_read() {
        reads("127.0.0.1:7777", "127.0.0.1:7777");
        reads("Chat.example.org", "chat.example.org:7777");
        reads("chat.example.org:1", "chat.example.org:1");
        reads("[::1]:7778", "[::1]:7778");
        reads("::1", "[::1]:7777");
        reads("[FE80::1%Eth0]:7778", "[fe80::1%Eth0]:7778");
        reads("fe80::1%wlanUplink", "[fe80::1%wlanUplink]:7777");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", ":7777", "a/b:1", "..\u{1b}:1", "a b:1"] {
            assert_eq!(text.parse::<ServerAddress>(), Err(AddressError::Host), "{text:?}");
        }
        for text in ["a:", "a:0", "a:65536", "a:b"] {
            assert_eq!(text.parse::<ServerAddress>(), Err(AddressError::Port), "{text:?}");
        }
    }
}
