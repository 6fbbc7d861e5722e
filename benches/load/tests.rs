//! The load generator of the benchmarks speaks every protocol rightly, and counts rightly: what it says of others and of
//! this project rests on that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use ::topchat::crypto::certificate;
use ::topchat::transport::ServerTls;

use super::dialect::Conn;
use super::drive::{self, Case, Pattern};
use super::process::TopChatServer;
use super::topchat::{self, Keys};
use super::{bare, bare_relay, relay};

/// Every pattern for a moment: what is sent comes, once and in order, by one thread and by two.
#[test]
fn a_short_run_of_every_pattern_loses_and_doubles_nothing() {
    let keys = Keys::new(2048, 10).unwrap();
    let server = TopChatServer::start(&server_program(), &keys, 4, &relay::SETTINGS).unwrap();
    drive_every_pattern(&mut relay::gather(&server, &keys, 4).unwrap(), true, server.running.id());
}

/// The floors that others are compared with, with TLS and without.
#[test]
fn the_bare_relay_loses_and_doubles_nothing() {
    for (is_secured, acknowledges) in [(true, false), (true, true), (false, false)] {
        let address = start_bare_relay(is_secured, usize::MAX);
        let client = topchat::tls().unwrap();
        let tls = is_secured.then_some(&client);
        let connect = |member| bare::connect(address, member, 200, tls, acknowledges).unwrap();
        let mut members: Vec<_> = (0..4).map(connect).collect();
        drive_every_pattern(&mut members, false, std::process::id());
    }
}

/// Its memory has a bound.
#[test]
fn the_bare_relay_cuts_off_who_does_not_read() {
    let address = start_bare_relay(false, 1 << 20);
    let [mut talker, mut idler] = [0, 1].map(|member| {
        let mut socket = TcpStream::connect(address).unwrap();
        let mut hello = Vec::new();
        bare::append(member, b"", &mut hello);
        socket.write_all(&hello).unwrap();
        socket.read_exact(&mut hello).unwrap();
        socket
    });
    // More than the buffers of two sockets and the relay's own hold together.
    let (mut frame, mut received) = (Vec::new(), Vec::new());
    bare::append(1, &[7; 10_000], &mut frame);
    (0..6400).for_each(|_| talker.write_all(&frame).unwrap());
    idler.set_read_timeout(Some(PATIENCE)).unwrap();
    idler.read_to_end(&mut received).unwrap();
    assert!(received.len() < 6400 * frame.len());
}

/// The program that `cargo test --workspace` has built beside this one.
fn server_program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("topchat-server");
    assert!(program.exists(), "{} is not there: cargo build", program.display());
    program
}

fn start_bare_relay(is_secured: bool, waiting_max: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pem = certificate::self_signed().unwrap();
    let tls = is_secured.then(|| ServerTls::new(pem.certificate.as_bytes(), pem.key.as_bytes()).unwrap());
    std::thread::spawn(move || bare_relay::serve(&listener, tls, waiting_max));
    address
}

fn drive_every_pattern(members: &mut [Conn], awaits_answers: bool, server: u32) {
    // A slow reader last: what waits for it would come into the next run.
    let cases = [
        (Pattern::Group { senders: 4 }, None),
        (Pattern::Group { senders: 4 }, Some(3)),
        (Pattern::Direct { senders: 4 }, None),
        (Pattern::PingPong, None),
        (Pattern::Beside { is_slow: false }, None),
        (Pattern::Beside { is_slow: true }, None),
    ];
    let (warm_up, time) = (Duration::ZERO, Duration::from_millis(100));
    for (index, (pattern, burst)) in cases.into_iter().enumerate() {
        for threads in [1, 2] {
            let case = Case { pattern, window: 5, burst, awaits_answers, warm_up, time, threads };
            let run = (2 * index + threads) as u64;
            let outcome = drive::run(members, 4, &case, run, server).unwrap();
            assert!(outcome.rate > 0.0, "{pattern:?}: {outcome:?}");
            assert_eq!((outcome.missing, outcome.disorder), (0, 0), "{pattern:?}: {outcome:?}");
            assert!(outcome.delays.iter().all(|delay| *delay > 0.0), "{pattern:?}: {outcome:?}");
        }
    }
}

/// How long the idle one waits for its end.
const PATIENCE: Duration = Duration::from_secs(30);
