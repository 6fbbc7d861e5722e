//! What is wrong with an address that should be listened on: found before anything is made for it

use std::net::{IpAddr, SocketAddr};

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

/// What is suggested to whoever names none: as without `--listen`.
const HOST: &str = "127.0.0.1";
const PORT: u16 = 7777;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_address_is_told_with_the_one_that_was_probably_meant() {
        for (listen, expected) in [
            ("127.0.0.1:7777", None),
            ("localhost:0", None),
            ("[::1]:7777", None),
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
}
