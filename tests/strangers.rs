//! What strangers learn from a server, and what they leave behind in its log.

use std::time::{Duration, Instant};

use topchat::crypto::scram::{ClientFirst, Password};
use topchat::names::UserName;
use topchat::server::Settings;
use topchat::server::net::throttle::Slowness;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, ToClient, ToServer, frame, signed};

use crate::support::people::{ALICE, BOB, CAROL, password};
use crate::support::process::{Running, SERVER, command};
use crate::support::proxy::{Fault, Kind, Proxy, Side};
use crate::support::raw::{RawClient, error_code};
use crate::support::server::TestServer;
use crate::support::{about_the_same, storm_rounds};

/// A login up to its last answer, with Bob's key and this password, as bytes; and how long the server took for each answer.
fn refused_login(server: &TestServer, name: &UserName, typed: &Password) -> (Vec<u8>, [Duration; 2]) {
    let mut client = RawClient::connect(server.address);
    let first = ClientFirst::new(name, &client.exporter());
    let start = client.login_start(&BOB, name, Mode::Errand, first.message());
    let begun = Instant::now();
    let ToClient::Challenge { server_first } = client.ask(&start) else { panic!("no challenge") };
    let challenged = begun.elapsed();
    let last = first.answer(&server_first, typed).unwrap();
    let signature = BOB.identity.sign(&signed::login(last.auth_message())).unwrap();
    let proof = ToServer::LoginProof { client_final: last.message().to_owned(), signature };
    let begun = Instant::now();
    let answer = client.ask(&proof);
    (answer.encode(), [challenged, begun.elapsed()])
}

/// T07: a name that nobody has, a wrong password and a wrong key are answered by the same bytes in the same time, at each step. Nothing
/// is slowed, so that no difference hides behind a pause; the bounds are wide, since others use the machine.
#[test]
fn unknown_names_and_wrong_passwords_can_not_be_told_apart_by_bytes_or_time() {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut bytes = Vec::new();
    let server = TestServer::with(Settings { slowness: Slowness::NONE, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    for round in 0..4 * storm_rounds(2).min(20) {
        let stranger: UserName = format!("nobody{round}").parse().unwrap();
        for (name, times) in [(&ALICE.name, &mut known), (&stranger, &mut unknown)] {
            let (answer, took) = refused_login(&server, name, &Password::new("wrong password").unwrap());
            bytes.push(answer);
            times.push(took);
        }
    }
    bytes.dedup();
    assert_eq!(bytes.len(), 1, "{bytes:?}");
    for (step, what) in ["challenged", "refused"].into_iter().enumerate() {
        let [known, unknown] = [&known, &unknown].map(|times| median(times.iter().map(|steps| steps[step]).collect()));
        eprintln!("{what}: a known name in {known:?}, an unknown one in {unknown:?}");
        assert!(about_the_same(known, unknown), "{what}: known {known:?}, unknown {unknown:?}");
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// T07, odd passwords: a client-final-message as long as the frame takes it, without proof, with NUL.
#[test]
fn odd_proofs_are_answered_alike_for_known_and_unknown_names() {
    let server = TestServer::with(Settings { slowness: Slowness::NONE, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    let proofs = ["", "c=,r=,p=", "\0", "c=biws,r=x,p=\0", "n,,n=alice", "p=AAAA"].map(str::to_owned);
    for client_final in proofs.into_iter().chain([format!("c=biws,r=x,p={}", "A".repeat(1000)), "x".repeat(1025)]) {
        let answers = [&ALICE.name, &CAROL.name].map(|name| {
            let mut client = RawClient::connect(server.address);
            let first = ClientFirst::new(name, &client.exporter());
            let start = client.login_start(&BOB, name, Mode::Errand, first.message());
            assert!(matches!(client.ask(&start), ToClient::Challenge { .. }));
            let signature = vec![1; 256];
            client.ask(&ToServer::LoginProof { client_final: client_final.clone(), signature }).encode()
        });
        assert_eq!(answers[0], answers[1], "{client_final:?}");
    }
}

/// T09: every frame of a login that worked, sent again on another connection.
#[test]
fn a_login_recorded_whole_and_played_again_lets_nobody_in() {
    let server = TestServer::start();
    let mut victim = RawClient::connect(server.address);
    assert_eq!(victim.register(&ALICE), ToClient::Registered);
    let first = ClientFirst::new(&ALICE.name, &victim.exporter());
    let start = victim.login_start(&ALICE, &ALICE.name, Mode::Receiving, first.message());
    let ToClient::Challenge { server_first } = victim.ask(&start) else { panic!("no challenge") };
    let last = first.answer(&server_first, &password()).unwrap();
    let signature = ALICE.identity.sign(&signed::login(last.auth_message())).unwrap();
    let proof = ToServer::LoginProof { client_final: last.message().to_owned(), signature };
    assert!(matches!(victim.ask(&proof), ToClient::Welcome { .. }));
    let mut thief = RawClient::connect(server.address);
    assert!(matches!(thief.ask(&start), ToClient::Challenge { .. }));
    assert_eq!(error_code(&thief.ask(&proof)), Code::LoginRefused);
    // On the victim's own connection there is no second login.
    assert_eq!(error_code(&victim.ask(&start)), Code::NotNow);
    victim.expect_nothing();
}

/// From the first byte of TLS to the answer: the connection ends after each of them, in either direction.
#[test]
fn a_client_that_leaves_after_any_byte_harms_nobody() {
    let server = TestServer::start();
    let proxy = Proxy::start(server.address);
    let ping = |address| {
        let mut client = RawClient::try_connect(address)?;
        client.send(&PING);
        client.try_next()
    };
    // `make storm` takes every single byte.
    let step = if storm_rounds(0) > 0 { 1 } else { 4 };
    assert!(ping(proxy.address).is_ok());
    let mut cuts = 0;
    for side in [Side::ToServer, Side::ToClient] {
        for after in (0..).step_by(step) {
            proxy.plan(Fault { side, after, kind: Kind::Cut });
            cuts += 1;
            if ping(proxy.address).is_ok() {
                break;
            }
        }
    }
    assert!(cuts * step > 1000, "{cuts} cuts are less than TLS has bytes");
    assert!(matches!(ping(server.address), Ok(ToClient::Pong { token: 7 })));
}

const PING: ToServer = ToServer::Ping { token: 7 };

/// Whatever a client sends, a line of the log is one line, begins with a time, and holds nothing that a terminal obeys.
#[test]
fn no_string_of_a_client_reaches_the_log_raw() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = command(SERVER, folder.path());
    command.args(["--listen", "127.0.0.1:0", "--data-dir", "data"]).env("RUST_LOG", "trace");
    let mut running = Running::start(&mut command);
    let listening = running.wait_for("listening");
    let address = listening.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap();
    running.wait_for("ready");
    let nasty = "\u{1b}[2J\u{1b}]0;x\u{7}\n12:00:00 mallory signed in\r\u{9b}31m\u{202e}\u{2028}\u{85}\u{e0041}";
    for client_first in [
        format!("p=tls-exporter,,n={nasty},r=abc"),
        format!("p=tls-exporter,,n=alice,r={nasty}"),
        format!("p={nasty},,n=alice,r=abc"),
        format!("n,,n=alice,r=abc,{nasty}"),
        nasty.to_owned(),
    ] {
        let mut client = RawClient::connect(address);
        client.send(&client.login_start(&ALICE, &ALICE.name, Mode::Errand, &client_first));
        assert!(client.try_next().is_ok());
    }
    let mut client = RawClient::connect(address);
    let first = ClientFirst::new(&ALICE.name, &client.exporter());
    let start = client.login_start(&ALICE, &ALICE.name, Mode::Errand, first.message());
    assert!(matches!(client.ask(&start), ToClient::Challenge { .. }));
    client.ask(&ToServer::LoginProof { client_final: format!("c=biws,r={nasty},p=AA=="), signature: vec![7; 256] });
    // A name and an invite that are none, in fields of other frames.
    let mut bytes = client.registration(&ALICE, &ALICE.name).encode();
    let at = bytes.windows(5).position(|part| part == b"alice").unwrap();
    bytes[at..at + 5].copy_from_slice(b"\x1b[2J\n");
    client.send_bytes(&bytes);
    assert!(client.try_next().is_ok());
    for body in [&b"\0\0\0\x01\x05\x1b[2J\n"[..], b"\x1b[2J\n", b"\0\0\0\x01\x04al\xe9\x1b\0"] {
        for kind in 0..=255 {
            let mut client = RawClient::connect(address);
            client.send_bytes(&frame::encode(kind, body));
            client.send(&ToServer::Bye);
            if kind > 0x10 && kind < 0xf0 {
                break;
            }
        }
    }
    running.signal("TERM");
    running.wait();
    for line in &running.seen {
        let is_harmful = |c: char| c.is_control() || matches!(c, '\u{202e}' | '\u{2028}' | '\u{e0041}');
        assert!(!line.chars().any(is_harmful), "{line:?}");
        assert!(!line.contains("mallory signed in") || line.contains('^'), "{line:?}");
        let begins_with_time = line.as_bytes().get(2) == Some(&b':') && line.as_bytes().get(5) == Some(&b':');
        assert!(
            begins_with_time || line.starts_with("listening") || line.starts_with("ready") || !line.contains("mallory"),
            "{line:?}"
        );
    }
    assert!(running.seen.len() > 10, "{:?}", running.seen);
}
