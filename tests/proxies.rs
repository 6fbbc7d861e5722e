//! A server behind a proxy that speaks version 2 of the PROXY protocol: whoever the proxy connects for counts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use topchat::server::Settings;
use topchat::server::net::throttle::Slowness;
use topchat::transport::TransportError;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, ToClient, ToServer};

use crate::cli::home::{Home, refused};
use crate::support::PATIENCE;
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::{self, SERVER, ServerProcess, command};
use crate::support::proxy::Proxy;
use crate::support::raw::{RawClient, error_code, socket_from};
use crate::support::server::TestServer;

/// A header for whoever is at this address (proxy-protocol.txt, section 2.2).
fn header(source: &str) -> Vec<u8> {
    let source: SocketAddr = source.parse().unwrap();
    let (family, mut rest) = match source {
        SocketAddr::V4(source) => (0x11, [source.ip().octets(), Ipv4Addr::LOCALHOST.octets()].concat()),
        SocketAddr::V6(source) => (0x21, [source.ip().octets(), Ipv6Addr::LOCALHOST.octets()].concat()),
    };
    rest.extend([source.port().to_be_bytes(), 7777_u16.to_be_bytes()].concat());
    // What a proxy tells of itself beyond that: PP2_TYPE_NOOP.
    rest.extend([0x04, 0, 2, 0, 0]);
    start(0x21, family, &rest)
}

fn start(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, rest].concat()
}

/// The proxy's own connection, as for a look whether the server lives.
fn by_itself() -> Vec<u8> {
    start(0x20, 0, &[])
}

fn trusting() -> Settings {
    Settings { trust_proxy: vec!["127.0.0.1".parse().unwrap()], ..Settings::default() }
}

/// Where anybody may register, behind a proxy.
fn open_to_all() -> TestServer {
    TestServer::with(Settings { registration: Some(topchat::server::Registration::Open), ..trusting() })
}

#[test]
fn behind_a_proxy_each_source_has_a_budget_of_its_own() {
    let server = open_to_all();
    let from = |source: &str| RawClient::try_connect_behind(&header(source), server.address);
    let held: Vec<_> = (0..8).map(|port| from(&format!("203.0.113.1:{}", 1000 + port)).unwrap()).collect();
    assert!(from("203.0.113.1:2000").is_err(), "its eight are taken");
    let mut neighbour = from("203.0.113.2:1000").unwrap();
    assert_eq!(neighbour.register(&ALICE), ToClient::Registered);
    assert!(matches!(neighbour.login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
    assert!(from("[2001:db8::1]:1000").is_ok());
    drop(held);
}

#[test]
fn behind_a_proxy_wrong_logins_and_registrations_of_one_source_harm_no_other() {
    let slow = Slowness { first: Duration::from_millis(300), most: PATIENCE };
    let server = TestServer::with(Settings {
        registration: Some(topchat::server::Registration::Open),
        slowness: slow,
        ..trusting()
    });
    let from = |source: &str| RawClient::try_connect_behind(&header(source), server.address).unwrap();
    for number in 0..20 {
        let name = format!("bulk{number}").parse().unwrap();
        assert_eq!(from("203.0.113.1:1").register_as(&CAROL, &name), ToClient::Registered);
    }
    assert_eq!(error_code(&from("203.0.113.1:1").register(&CAROL)), Code::Throttled);
    assert_eq!(from("203.0.113.2:1").register(&ALICE), ToClient::Registered);
    // Nobody has Bob's key here.
    let refused_after = |source: &str| {
        let begun = Instant::now();
        assert_eq!(error_code(&from(source).login(&BOB, Mode::Errand)), Code::LoginRefused);
        begun.elapsed()
    };
    let first = [refused_after("203.0.113.1:2"), refused_after("203.0.113.1:3"), refused_after("203.0.113.1:4")];
    assert!(first[2] >= slow.first * 4, "{first:?}");
    let other = refused_after("203.0.113.2:2");
    assert!(other >= slow.first && other < slow.first * 4, "{other:?}");
}

/// What a proxy can't tell, or does for itself, counts as one source: this machine has no privilege behind a proxy.
#[test]
fn what_a_proxy_does_for_itself_counts_as_one_source_without_exemption() {
    for header in
        [by_itself(), start(0x21, 0, &[]), header("127.0.0.1:9"), header("[::1]:9"), header("[::ffff:127.0.0.1]:9")]
    {
        let server = open_to_all();
        let connect = || RawClient::try_connect_behind(&header, server.address);
        let held: Vec<_> = (0..8).map(|_| connect().unwrap()).collect();
        assert!(connect().is_err(), "its eight are taken");
        drop(held);
    }
}

#[test]
fn from_a_trusted_proxy_nothing_is_taken_without_a_header_and_the_log_says_why() {
    let version_1 = "it speaks version 1 of the PROXY protocol; version 2 is needed (haproxy: send-proxy-v2)";
    for (first, why) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], "no PROXY header came"),
        (b"PROXY TCP4 203.0.113.1 127.0.0.1 1000 7777\r\n", version_1),
        (&start(0x21, 0x12, &[0; 12]), "its family and transport 0x12 is not one of version 2 over TCP"),
        (&start(0x21, 0x11, &[0; 4]), "its PROXY header is shorter than the addresses in it"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = ServerProcess::with(folder.path(), &["--trust-proxy", "127.0.0.0/24"]);
        for _ in 0..5 {
            let mut socket = TcpStream::connect(server.address).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket.write_all(first).unwrap();
            let mut answer = Vec::new();
            // Unread bytes make the end a reset.
            let _ = socket.read_to_end(&mut answer);
            assert!(answer.is_empty(), "{answer:?}");
        }
        server.running.signal("TERM");
        assert!(server.running.wait().success());
        let told: Vec<_> = server.running.seen.iter().filter(|line| line.contains("trusted proxy")).collect();
        assert_eq!(told.len(), 1, "one line, however many come: {told:?}");
        let words = format!("a connection of the trusted proxy 127.0.0.1 was closed: {why}");
        assert!(told[0].ends_with(&words), "{told:?}");
    }
}

#[test]
fn a_header_counts_from_nobody_who_is_not_trusted() {
    let server = open_to_all();
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    assert_eq!(RawClient::try_connect_from(elsewhere, server.address).unwrap().register(&ALICE), ToClient::Registered);
    let mut liar = socket_from(elsewhere, server.address).unwrap();
    liar.set_read_timeout(Some(PATIENCE)).unwrap();
    liar.write_all(&header("203.0.113.1:1")).unwrap();
    let mut answer = Vec::new();
    let _ = liar.read_to_end(&mut answer);
    // An alert of TLS at most.
    assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
}

#[test]
fn a_header_that_is_cut_or_dripped_keeps_nobody_there() {
    let deadline = Duration::from_secs(1);
    let server = TestServer::with(Settings { login_deadline: deadline, ..trusting() });
    let whole = header("[2001:db8::1]:1000");
    for cut in 0..whole.len() {
        let mut socket = TcpStream::connect(server.address).unwrap();
        socket.write_all(&whole[..cut]).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        assert_eq!(socket.read_to_end(&mut Vec::new()).unwrap_or_default(), 0, "{cut}");
    }
    let begun = Instant::now();
    let mut socket = TcpStream::connect(server.address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let mut bytes = whole.iter();
    while !matches!(socket.read(&mut [0]), Ok(0)) {
        if socket.write_all(&[*bytes.next().expect("the deadline comes before the last byte")]).is_err() {
            break;
        }
    }
    assert!(begun.elapsed() < deadline * 5, "{:?}", begun.elapsed());
    // The deadline of the login counts from the first moment, and the header is read byte by byte.
    let mut slow = TcpStream::connect(server.address).unwrap();
    whole.iter().for_each(|byte| slow.write_all(&[*byte]).unwrap());
    drop(slow);
    assert!(RawClient::try_connect_behind(&whole, server.address).is_ok());
}

/// With the real client, and a forwarder that says for whom it connects.
#[test]
fn the_real_client_behind_a_proxy_is_seen_where_it_is() {
    let place = tempfile::tempdir().unwrap();
    let mut server =
        ServerProcess::with(place.path(), &["--trust-proxy", "127.0.0.1,192.0.2.0/24", "--registration", "open"]);
    let proxies = "proxies     127.0.0.1, 192.0.2.0/24   must say for whom they connect (PROXY protocol, version 2)";
    assert!(server.running.seen.iter().any(|line| line == proxies), "{:?}", server.running.seen);
    let proxy = Proxy::with_header(server.address, header("203.0.113.77:40000"));
    let mut alice = RawClient::connect(proxy.address);
    assert_eq!(alice.register(&ALICE), ToClient::Registered);
    let listening = Home::with_keys(proxy.address, &ALICE).listen(&[]);
    server.running.wait_for("alice signed in");
    let mut status = command(SERVER, place.path());
    status.arg("--data-dir").arg(place.path().join("data")).arg("status");
    let status = process::run(&mut status, b"").stdout;
    assert!(
        status.lines().any(|line| line.contains("alice") && line.ends_with("from 203.0.113.77  0 not acknowledged")),
        "{status}"
    );
    assert!(server.running.seen.iter().any(|line| line.contains("alice registered from 203.0.113.77")));
    drop(listening);
    // Without a header the forwarder is worth nothing.
    let plain = Proxy::start(server.address);
    assert!(matches!(RawClient::try_connect(plain.address), Err(TransportError::Closed)));
    assert_eq!(alice.ask(&ToServer::Ping { token: 1 }), ToClient::Pong { token: 1 });
}

#[test]
fn networks_that_can_not_be_are_refused_with_the_reason() {
    let place = tempfile::tempdir().unwrap();
    for (network, why) in [
        ("0.0.0.0/0", "that is everybody, so everybody could choose an address"),
        ("10.0.0.1/8", "bits behind the first 8 are set; the network is 10.0.0.0/8"),
        ("haproxy", "it is written ADDRESS or ADDRESS/BITS, as 127.0.0.1 or 10.0.0.0/8"),
    ] {
        let mut server = command(SERVER, place.path());
        let finished = process::run(server.args(["--trust-proxy", network]), b"");
        let stderr = format!(
            "error: invalid value '{network}' for '--trust-proxy <ADDRESS[/BITS]>': {why}\n\nFor more information, try '--help'.\n"
        );
        refused(&finished, 2, &stderr);
    }
}

/// Without a word about registration it is open only where nobody else can come.
#[test]
fn where_others_may_come_registration_is_closed_and_the_start_line_says_why() {
    let place = tempfile::tempdir().unwrap();
    for (variables, arguments, words) in [
        (&[][..], &[][..], "registration open, since only this machine can connect (change with"),
        (&[("INVOCATION_ID", "3f2a")], &[], "registration closed, since systemd runs this (let people in with"),
        (&[("JOURNAL_STREAM", "8:1")], &[], "registration closed, since systemd runs this (let"),
        (&[("NOTIFY_SOCKET", "/run/x")], &[], "registration closed, since systemd runs this (let"),
        (&[("container", "podman")], &[], "registration closed, since this is a container (let"),
        (&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")], &[], "registration closed, since this is a container (let"),
        (&[], &["--trust-proxy", "10.0.0.0/8"], "registration closed, since others come by a proxy (let"),
        (&[], &["--listen", "0.0.0.0:0"], "registration closed, since others can connect (let"),
        // A word of the owner counts.
        (&[("container", "podman")], &["--registration", "open"], "registration open (change with"),
    ] {
        let mut server = command(SERVER, place.path());
        server.args(["--data-dir", "data"]).env("TOPCHAT_LISTEN", "127.0.0.1:0");
        server.args(arguments).envs(variables.iter().copied());
        let server = ServerProcess::run(&mut server);
        assert!(server.running.seen.iter().any(|line| line.contains(words)), "{words}: {:?}", server.running.seen);
        let mut client = match arguments {
            ["--listen", _] => RawClient::connect((Ipv4Addr::LOCALHOST, server.address.port()).into()),
            _ => RawClient::connect(server.address),
        };
        let policy = client.ask(&ToServer::AskPolicy { invite: String::new() }).encode();
        assert_eq!(policy.last() == Some(&0), words.starts_with("registration open"), "{words}");
    }
}
