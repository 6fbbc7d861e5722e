//! The proxies whose word counts: those who connect from their addresses must say for whom, and nobody else can.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Mutex;
use std::time::Instant;

use crate::limits::SHORTAGE_TOLD_EVERY;
use crate::sync::lock;
use crate::transport::ForwardError;

/// An address or a network, as `192.0.2.7`, `10.0.0.0/8` or `fd00::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// Why a text is no [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address, or no number of bits behind the slash.
    #[error("it is written ADDRESS or ADDRESS/BITS, as 127.0.0.1 or 10.0.0.0/8")]
    Form,
    /// All addresses there are.
    #[error("that is everybody, so everybody could choose an address")]
    Everybody,
    /// Bits are set behind those that count.
    #[error("bits behind the first {bits} are set; the network is {better}")]
    Loose {
        bits: u8,
        /// The network's own address.
        better: Network,
    },
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u8>().map_err(|_| NetworkError::Form)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NetworkError::Form)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        match bits {
            0 => return Err(NetworkError::Everybody),
            bits if bits > most => return Err(NetworkError::Form),
            _ => {}
        }
        let network = masked(address, bits);
        if network != address {
            return Err(NetworkError::Loose { bits, better: Self { address: network, bits } });
        }
        match (address.to_canonical(), bits) {
            (IpAddr::V4(mapped), 128) => Ok(Self { address: mapped.into(), bits: 32 }),
            _ => Ok(Self { address, bits }),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.bits) {
            (IpAddr::V4(address), 32) => address.fmt(f),
            (IpAddr::V6(address), 128) => address.fmt(f),
            (address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}

/// The address with all bits behind the first `bits` cleared.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

/// All that are trusted, and when the log was told of one that said nothing usable.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    networks: Vec<Network>,
    told: Mutex<Option<Instant>>,
}

impl Proxies {
    pub(crate) fn new(networks: Vec<Network>) -> Self {
        Self { networks, told: Mutex::default() }
    }

    /// Whether who connects from there must say for whom.
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    /// Tells why a proxy's connection was closed, once in a while: a health check must not fill the log.
    pub(crate) fn tell(&self, proxy: IpAddr, why: &ForwardError) {
        if matches!(why, ForwardError::Ended) {
            return log::debug!("a connection of the proxy {proxy} ended before its PROXY header");
        }
        let now = Instant::now();
        let mut told = lock(&self.told);
        if told.is_none_or(|told| now.saturating_duration_since(told) >= SHORTAGE_TOLD_EVERY) {
            *told = Some(now);
            drop(told);
            log::warn!("a connection of the trusted proxy {proxy} was closed: {why}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted(networks: &[&str], address: &str) -> bool {
        let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        Proxies::new(networks).trust(address.parse().unwrap())
    }

    #[test]
    fn addresses_and_networks_are_trusted_and_their_neighbours_are_not() {
        for (networks, inside, outside) in [
            (&["127.0.0.1"][..], &["127.0.0.1", "::ffff:127.0.0.1"][..], &["127.0.0.2", "::1"][..]),
            (&["10.0.0.0/8"], &["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3"], &["11.0.0.0", "9.255.255.255"]),
            (&["192.0.2.128/25"], &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]),
            (&["fd00:1::/32", "::1"], &["fd00:1:ffff::1", "::1"], &["fd00:2::1", "::2", "127.0.0.1", "0.0.0.1"]),
            (&["::ffff:192.0.2.7"], &["192.0.2.7"], &["192.0.2.8"]),
            (&[], &[], &["127.0.0.1", "::1"]),
        ] {
            for address in inside {
                assert!(trusted(networks, address), "{address} of {networks:?}");
            }
            for address in outside {
                assert!(!trusted(networks, address), "{address} of {networks:?}");
            }
        }
    }

    #[test]
    fn what_is_no_network_is_refused_in_words() {
        let parse = |text: &str| text.parse::<Network>();
        for text in
            ["", "localhost", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/8/8", "10.0.0/8", "::1%lo", "1/-1"]
        {
            assert_eq!(parse(text), Err(NetworkError::Form), "{text}");
        }
        assert_eq!([parse("0.0.0.0/0"), parse("::/0")], [Err(NetworkError::Everybody); 2]);
        let loose = parse("10.1.2.3/8").unwrap_err().to_string();
        assert_eq!(loose, "bits behind the first 8 are set; the network is 10.0.0.0/8");
        for text in ["192.0.2.7", "10.0.0.0/8", "fd00::/64", "::1"] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }
}
