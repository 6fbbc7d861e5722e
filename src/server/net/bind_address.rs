//! The address that should be listened on: what is wrong with it, found before anything is made for it, and the sockets at it.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};

use crate::server::error::{Lacks, ServerError};

/// Refuses what can't be `HOST:PORT`, without asking anybody.
pub(crate) fn check(listen: &str) -> Result<(), ServerError> {
    match lacking(listen) {
        Some((lacks, better)) => Err(ServerError::Address { address: listen.to_owned(), lacks, better }),
        None => Ok(()),
    }
}

/// What the address lacks, and how it was probably meant.
fn lacking(listen: &str) -> Option<(Lacks, String)> {
    if let Ok(ip) = listen.parse::<IpAddr>() {
        return Some((Lacks::Port, SocketAddr::new(ip, PORT).to_string()));
    }
    // A bare IPv6 number with a zone.
    if listen.split_once('%').is_some_and(|(ip, zone)| ip.parse::<Ipv6Addr>().is_ok() && !zone.contains(':')) {
        return Some((Lacks::Port, format!("[{listen}]:{PORT}")));
    }
    let Some((host, port)) = listen.rsplit_once(':').filter(|_| !listen.ends_with(']')) else {
        return Some(match listen.parse::<u16>() {
            Ok(port) => (Lacks::Host, format!("{HOST}:{port}")),
            Err(_) => (Lacks::Port, format!("{}:{PORT}", if listen.is_empty() { HOST } else { listen })),
        });
    };
    match (host.is_empty(), port.parse::<u16>()) {
        (false, Ok(_)) => None,
        (true, Ok(port)) => Some((Lacks::Host, format!("{HOST}:{port}"))),
        (true, Err(_)) => Some((Lacks::Port, format!("{HOST}:{PORT}"))),
        (false, Err(_)) => Some((Lacks::Port, format!("{host}:{PORT}"))),
    }
}

/// Takes every address of the host, all with the same port. One that this machine does not have (no IPv6, say) is left out, if there is
/// another one.
pub(crate) fn bind(listen: &str) -> Result<Vec<TcpListener>, ServerError> {
    let failed = |source| ServerError::Listen { address: listen.to_owned(), source };
    let addresses = addresses(listen).map_err(failed)?;
    // The port that the system gives for one address may be in use at another.
    let mut tries = if addresses.len() > 1 && addresses[0].port() == 0 { PORT_TRIES } else { 1 };
    loop {
        match bind_each(&addresses) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries > 1 => tries -= 1,
            result => return result.map_err(failed),
        }
    }
}

fn bind_each(addresses: &[SocketAddr]) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut missing = Vec::new();
    for address in addresses {
        let mut address = *address;
        if let Some(first) = listeners.first() {
            address.set_port(first.local_addr()?.port());
        }
        match TcpListener::bind(address) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_not_here(&error) => missing.push((address, error)),
            Err(error) => return Err(error),
        }
    }
    let nothing = || io::Error::new(ErrorKind::NotFound, "that host has no address");
    if listeners.is_empty() {
        return Err(missing.pop().map_or_else(nothing, |(_, error)| error));
    }
    for (address, error) in missing {
        log::warn!("not listening on {address}: {error}");
    }
    Ok(listeners)
}

/// `localhost` is both loopback addresses, whatever the file of hosts says (RFC 6761, section 6.3). A zone of an IPv6 address is known by
/// its name or its number.
fn addresses(listen: &str) -> io::Result<Vec<SocketAddr>> {
    let (host, port) = listen.rsplit_once(':').unwrap_or((listen, ""));
    let port = port.parse().map_err(|_| ErrorKind::InvalidInput)?;
    if host.eq_ignore_ascii_case("localhost") {
        let both: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return Ok(both.map(|ip| SocketAddr::new(ip, port)).to_vec());
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let mut seen = BTreeSet::new();
    Ok((host, port).to_socket_addrs()?.filter(|address| seen.insert(*address)).collect())
}

/// Whether the machine does not have the address, or no such addresses at all (`EAFNOSUPPORT`).
fn is_not_here(error: &io::Error) -> bool {
    let no_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(no_family)
}

/// A server on every address of the machine is on the loopback one, too, and a client knows it there already if others
/// could not connect so far.
pub(crate) fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        _ => return address,
    };
    SocketAddr::new(ip, address.port())
}

/// What is suggested to whoever names none: as without `--listen`.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 7777;

/// How often a port is asked for that is free at all addresses.
const PORT_TRIES: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_told_with_the_one_that_was_probably_meant() {
        for (listen, expected) in [
            ("127.0.0.1:7777", None),
            ("localhost:0", None),
            ("[::1]:7777", None),
            ("[fe80::1%wlanUplink]:7777", None),
            ("fe80::1%eth0", Some((Lacks::Port, "[fe80::1%eth0]:7777"))),
            ("0.0.0.0", Some((Lacks::Port, "0.0.0.0:7777"))),
            ("::1", Some((Lacks::Port, "[::1]:7777"))),
            ("[::1]", Some((Lacks::Port, "[::1]:7777"))),
            ("localhost", Some((Lacks::Port, "localhost:7777"))),
            ("localhost:", Some((Lacks::Port, "localhost:7777"))),
            ("localhost:http", Some((Lacks::Port, "localhost:7777"))),
            ("localhost:70000", Some((Lacks::Port, "localhost:7777"))),
            ("7000", Some((Lacks::Host, "127.0.0.1:7000"))),
            (":7000", Some((Lacks::Host, "127.0.0.1:7000"))),
            ("", Some((Lacks::Port, "127.0.0.1:7777"))),
            (":", Some((Lacks::Port, "127.0.0.1:7777"))),
        ] {
            let expected = expected.map(|(lacks, better)| (lacks, better.to_owned()));
            assert_eq!(lacking(listen), expected, "{listen}");
            if let Some((_, better)) = expected {
                assert_eq!(lacking(&better), None, "{listen}");
            }
        }
    }

    fn shown(listen: &str) -> Vec<String> {
        addresses(listen).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_stands_for_all_its_addresses_and_a_number_for_itself() {
        assert_eq!(shown("localhost:7777"), ["127.0.0.1:7777", "[::1]:7777"]);
        assert_eq!(shown("LocalHost:0"), ["127.0.0.1:0", "[::1]:0"]);
        assert_eq!(shown("0.0.0.0:7777"), ["0.0.0.0:7777"]);
        assert_eq!(shown("[::1]:7777"), ["[::1]:7777"]);
        // The loopback interface has the number 1 everywhere.
        assert_eq!(shown("[fe80::1%lo]:7777"), ["[fe80::1%1]:7777"]);
        assert_eq!(shown("[fe80::1%1]:7777"), ["[fe80::1%1]:7777"]);
    }

    #[test]
    fn an_address_that_is_not_here_is_left_out_and_all_have_one_port() {
        let listeners = bind_each(&["192.0.2.1:0", "127.0.0.1:0", "127.0.0.2:0"].map(|text| text.parse().unwrap()));
        let bound: Vec<_> = listeners.unwrap().iter().map(|listener| listener.local_addr().unwrap()).collect();
        assert_eq!(
            bound.iter().map(|address| address.ip().to_string()).collect::<Vec<_>>(),
            ["127.0.0.1", "127.0.0.2"]
        );
        assert_eq!(bound[0].port(), bound[1].port());
        let error = bind_each(&["192.0.2.1:0".parse().unwrap()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        let taken = TcpListener::bind("127.0.0.2:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error =
            bind_each(&["127.0.0.1", "127.0.0.2"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "another program would be taken for this one");
    }

    #[test]
    fn a_server_on_every_address_is_found_on_the_loopback_one() {
        for (listens, found) in [
            ("0.0.0.0:7777", "127.0.0.1:7777"),
            ("[::]:7000", "[::1]:7000"),
            ("192.0.2.1:7777", "192.0.2.1:7777"),
            ("127.0.0.1:7777", "127.0.0.1:7777"),
        ] {
            assert_eq!(from_here(listens.parse().unwrap()).to_string(), found);
        }
    }
}
