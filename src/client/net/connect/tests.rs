use std::io::Write;
use std::net::TcpListener;

use clap::Parser;

use super::*;
use crate::client::cli::options::Options;
use crate::crypto::certificate;
use crate::error::{Exit, Explain};
use crate::transport::ServerTls;

/// Settings for a server on this port, with a state folder of their own.
fn config(place: &tempfile::TempDir, listener: &TcpListener) -> Config {
    let server = listener.local_addr().unwrap().to_string();
    let state = place.path().to_str().unwrap();
    let line = ["topchat", "--server", &server, "--keys-dir", state, "--state-dir", state];
    let options = Options::try_parse_from(line).unwrap();
    Config::new(options.global, options.invocation).unwrap()
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// Serves one connection with what `serve` does.
fn answered(serve: impl FnOnce(TcpStream) + Send, connect: impl FnOnce(&Config)) {
    let (place, listener) = (tempfile::tempdir().unwrap(), listener());
    let config = config(&place, &listener);
    std::thread::scope(|scope| {
        scope.spawn(|| serve(listener.accept().unwrap().0));
        connect(&config);
    });
}

fn shake_hands(socket: TcpStream, tls: &ServerTls) {
    let deadline = Instant::now() + CONNECT_WITHIN;
    handshake(Connection::accept(socket, tls).unwrap(), deadline).unwrap().unwrap();
}

fn server_tls() -> ServerTls {
    let pem = certificate::self_signed().unwrap();
    ServerTls::new(pem.certificate.as_bytes(), pem.key.as_bytes()).unwrap()
}

#[test]
fn a_servers_identity_is_pinned_and_another_one_gets_no_byte_of_a_login() {
    let (place, listener) = (tempfile::tempdir().unwrap(), listener());
    let config = config(&place, &listener);
    let (first, second) = (server_tls(), server_tls());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            shake_hands(listener.accept().unwrap().0, &first);
            shake_hands(listener.accept().unwrap().0, &second);
        });
        let connected = connect(&config).unwrap();
        assert_eq!((connected.seen, connected.identity), (Seen::First, first.identity()));
        let Err(error) = connect(&config) else { panic!("another identity was taken") };
        assert_eq!(error.exit(), Exit::Identity);
        assert!(error.to_string().contains(&second.identity().to_string()), "{error}");
    });
}

#[test]
fn something_else_that_answers_is_not_a_topchat_server() {
    answered(
        |mut socket| socket.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap(),
        |config| {
            let Err(error) = connect(config) else { panic!("an SSH server was taken") };
            assert!(matches!(error, Error::Server(ServerError::NotTopChat { .. })), "{error}");
            assert_eq!(error.exit(), Exit::Local);
        },
    );
}

#[test]
fn a_port_where_nobody_listens_is_named() {
    let place = tempfile::tempdir().unwrap();
    let listener = listener();
    let config = config(&place, &listener);
    drop(listener);
    let Err(error) = connect(&config) else { panic!("nobody answered") };
    assert_eq!(error.to_string(), format!("no connection to {}: connection refused", config.server));
    assert_eq!(error.exit(), Exit::Local);
}

#[test]
fn a_busy_server_is_tried_again() {
    let (place, listener) = (tempfile::tempdir().unwrap(), listener());
    let config = config(&place, &listener);
    let tls = server_tls();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop(listener.accept().unwrap());
            drop(listener.accept().unwrap());
            shake_hands(listener.accept().unwrap().0, &tls);
        });
        assert_eq!(connect(&config).unwrap().identity, tls.identity());
    });
}

#[test]
fn every_address_is_tried_also_behind_one_that_accepts_and_closes_or_says_nothing() {
    let tls = server_tls();
    let (refused, closes, silent, good) = (listener(), listener(), listener(), listener());
    let addresses: Vec<_> =
        [&refused, &closes, &silent, &good].iter().map(|listener| listener.local_addr().unwrap()).collect();
    drop(refused);
    std::thread::scope(|scope| {
        scope.spawn(|| drop(closes.accept().unwrap()));
        scope.spawn(|| shake_hands(good.accept().unwrap().0, &tls));
        let until = Deadline::step(CONNECT_WITHIN, None);
        let reached = reach(&ClientTls::new().unwrap(), &addresses, until).unwrap();
        assert_eq!(reached.ok().and_then(|connection| connection.peer_identity()), Some(tls.identity()));
    });
    // Who closes may be a busy server: that tells more than that nobody listens elsewhere.
    std::thread::scope(|scope| {
        scope.spawn(|| drop(closes.accept().unwrap()));
        let reached = reach(&ClientTls::new().unwrap(), &addresses[..2], Deadline::step(CONNECT_WITHIN, None)).unwrap();
        assert!(matches!(reached, Err(Failed::Closed)));
    });
}

#[test]
fn a_jittered_pause_is_at_least_half_and_never_more() {
    let pause = Duration::from_millis(1000);
    for _ in 0..100 {
        assert!((pause / 2..=pause).contains(&jittered(pause)));
    }
}
