//! The server against clients that lie, flood, stall and send junk.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use topchat::crypto::{bundle, scram};
use topchat::limits::UNACKNOWLEDGED;
use topchat::server::Settings;
use topchat::server::net::throttle::Slowness;
use topchat::wire::to_client::Reason;
use topchat::wire::to_server::{Mode, Scope};
use topchat::wire::{Bundle, Code, Envelope, MessageId, ToClient, ToServer, frame, signed};

use crate::cli::home::{Home, lines};
use crate::durability::rounds;
use crate::support::people::{ALICE, BOB, CAROL, VERIFIER, password};
use crate::support::process::{Running, ServerProcess};
use crate::support::raw::{RawClient, error_code};
use crate::support::server::TestServer;
use crate::support::{PATIENCE, Random};

#[test]
fn oversized_and_empty_frames_are_refused_before_and_after_login() {
    let server = TestServer::start();
    for (before, length) in
        [(true, 4097_u32), (true, u32::MAX), (true, 0), (false, 16385), (false, 0x7fff_ffff), (false, 0)]
    {
        let mut client = RawClient::connect(server.address);
        if !before {
            client = RawClient::member(server.address, &ALICE, Mode::Errand);
        }
        client.send_bytes(&[&length.to_be_bytes()[..], &[0x0a, 0, 0]].concat());
        client.expect_bye(Code::Malformed);
    }
}

#[test]
fn malformed_frames_end_the_session_and_reach_nobody() {
    let server = TestServer::start();
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let envelope = ALICE.seal_to(&BOB, "hi", 1).encode();
    let with_trailing_byte = ToServer::Send { envelope: [envelope.as_slice(), &[0]].concat() }.encode();
    let cut_short = ToServer::Send { envelope: envelope[..envelope.len() - 1].to_vec() }.encode();
    let server_only_type = ToClient::Ping { token: 1 }.encode();
    for bytes in
        [frame::encode(0x7f, b""), frame::encode(0x0a, b"short"), with_trailing_byte, cut_short, server_only_type]
    {
        let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
        alice.send_bytes(&bytes);
        alice.expect_bye(Code::Malformed);
    }
    bob.expect_nothing();
}

#[test]
fn one_byte_at_a_time_and_all_at_once_mean_the_same() {
    let server = TestServer::start();
    let frames: Vec<u8> = [3, 4].into_iter().flat_map(|token| ToServer::Ping { token }.encode()).collect();
    let mut slow = RawClient::connect(server.address);
    for byte in &frames {
        slow.send_bytes(&[*byte]);
    }
    let mut fast = RawClient::connect(server.address);
    fast.send_bytes(&frames);
    for client in [&mut slow, &mut fast] {
        assert_eq!([client.next(), client.next()], [3, 4].map(|token| ToClient::Pong { token }));
    }
}

/// T02: from the registration to the list of names.
#[test]
fn a_whole_session_byte_by_byte_and_in_one_write_is_the_same() {
    let whole = session(|client, bytes| client.send_bytes(bytes));
    let by_byte = session(|client, bytes| bytes.iter().for_each(|byte| client.send_bytes(&[*byte])));
    assert_eq!(whole, by_byte);
}

/// Alice's session with a server of its own, and that Bob gets what she sends: what she is answered apart from the login.
fn session(send: impl Fn(&mut RawClient, &[u8])) -> Vec<Vec<u8>> {
    let server = TestServer::with(Settings { login_deadline: PATIENCE, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    let mut alice = RawClient::connect(server.address);
    let first = scram::ClientFirst::new(&ALICE.name, &alice.exporter());
    let start = alice.login_start(&ALICE, &ALICE.name, Mode::Receiving, first.message());
    let registration = alice.registration(&ALICE, &ALICE.name);
    send(&mut alice, &[registration.encode(), start.encode()].concat());
    assert_eq!(alice.next(), ToClient::Registered);
    let ToClient::Challenge { server_first } = alice.next() else { panic!("no challenge") };
    let last = first.answer(&server_first, &password()).unwrap();
    let signature = ALICE.identity.sign(&signed::login(last.auth_message())).unwrap();
    let envelope = ALICE.seal_to(&BOB, "hi", 1);
    let frames = [
        ToServer::LoginProof { client_final: last.message().to_owned(), signature },
        ToServer::Ping { token: 1 },
        ToServer::Lookup { request: 2, name: BOB.name.clone(), fingerprint: None },
        ToServer::Send { envelope: envelope.encode() },
        ToServer::List { request: 3, scope: Scope::All, after: None },
        ToServer::Ping { token: 4 },
    ];
    send(&mut alice, &frames.iter().flat_map(ToServer::encode).collect::<Vec<_>>());
    let ToClient::Welcome { server_final, seats_taken: 1, .. } = alice.next() else { panic!("no welcome") };
    last.verify(&server_final).unwrap();
    // The status waits for the disk, the others do not.
    let mut answers: Vec<_> = (0..5).map(|_| alice.next().encode()).collect();
    answers.sort();
    assert_eq!(RawClient::again(server.address, &BOB, Mode::Receiving).take_delivery(), envelope);
    answers
}

#[test]
fn unknown_name_wrong_password_and_wrong_key_get_the_same_answer() {
    let server = TestServer::start();
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    let wrong_key = RawClient::connect(server.address).login_as(&BOB, &ALICE.name, Mode::Errand);
    let unknown = RawClient::connect(server.address).login(&BOB, Mode::Errand);
    let wrong_password = login_with_password(&server, "wrong password");
    assert_eq!(error_code(&wrong_key), Code::LoginRefused);
    assert_eq!(unknown.encode(), wrong_key.encode());
    assert_eq!(wrong_password.encode(), wrong_key.encode());
}

#[test]
fn an_unknown_name_has_a_steady_salt() {
    let server = TestServer::start();
    let salts = [(), ()].map(|()| {
        let mut client = RawClient::connect(server.address);
        let first = scram::ClientFirst::new(&BOB.name, &client.exporter());
        let start = client.login_start(&BOB, &BOB.name, Mode::Errand, first.message());
        let ToClient::Challenge { server_first } = client.ask(&start) else { panic!("no challenge") };
        server_first.split(',').find(|part| part.starts_with("s=")).unwrap().to_owned()
    });
    assert_eq!(salts[0], salts[1]);
}

#[test]
fn the_third_wrong_password_ends_the_connection() {
    let server = TestServer::start();
    let mut client = RawClient::connect(server.address);
    for _ in 0..3 {
        assert_eq!(error_code(&client.login(&ALICE, Mode::Errand)), Code::LoginRefused);
    }
    client.expect_bye(Code::LoginRefused);
}

/// Whoever has the key and guesses the password waits longer each time, but never so long that its owner could not get in.
#[test]
fn after_wrong_passwords_the_right_one_waits_for_seconds_and_ends_the_waiting() {
    let slowness = Slowness { first: Duration::from_millis(200), most: Duration::from_secs(2) };
    let server = TestServer::with(Settings { slowness, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    for _ in 0..5 {
        assert_eq!(error_code(&login_with_password(&server, "wrong password")), Code::LoginRefused);
    }
    let login = |client: &mut RawClient| {
        let begun = Instant::now();
        assert!(matches!(client.login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
        begun.elapsed()
    };
    let mut elsewhere = RawClient::try_connect_from(Ipv4Addr::new(127, 0, 0, 2), server.address).unwrap();
    let (elsewhere, slowed) = (login(&mut elsewhere), login(&mut RawClient::connect(server.address)));
    assert!(slowed >= slowness.most && elsewhere < slowness.most, "{slowed:?}, and {elsewhere:?} elsewhere");
    assert!(login(&mut RawClient::connect(server.address)) < slowness.most, "it was the right one");
    let mut bob = RawClient::connect(server.address);
    assert_eq!(bob.register(&BOB), ToClient::Registered);
    let begun = Instant::now();
    assert!(matches!(bob.login(&BOB, Mode::Errand), ToClient::Welcome { .. }));
    assert!(begun.elapsed() < slowness.most, "others have nothing to do with it");
}

#[test]
fn a_recorded_login_is_worth_nothing_on_another_connection() {
    let server = TestServer::start();
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    let (mut victim, mut thief) = (RawClient::connect(server.address), RawClient::connect(server.address));
    let first = scram::ClientFirst::new(&ALICE.name, &victim.exporter());
    let start = victim.login_start(&ALICE, &ALICE.name, Mode::Errand, first.message());
    // The thief relays: its own challenge is answered by the victim, who binds the answer to the other connection.
    let ToClient::Challenge { server_first } = thief.ask(&start) else { panic!("no challenge") };
    let last = first.answer(&server_first, &password()).unwrap();
    let signature = ALICE.identity.sign(&signed::login(last.auth_message())).unwrap();
    let proof = ToServer::LoginProof { client_final: last.message().to_owned(), signature };
    assert_eq!(error_code(&thief.ask(&proof)), Code::LoginRefused);
    assert!(matches!(victim.login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
}

#[test]
fn a_registration_replayed_on_another_connection_is_refused() {
    let server = TestServer::start();
    let victim = RawClient::connect(server.address);
    let bundle = ALICE.bundle();
    let proof = bundle::prove(&ALICE.identity, &victim.exporter(), &bundle).unwrap();
    let register = ToServer::Register { bundle, verifier: VERIFIER.clone(), invite: String::new(), proof };
    assert_eq!(error_code(&RawClient::connect(server.address).ask(&register)), Code::BadSignature);
}

#[test]
fn bundles_that_are_not_acceptable_are_refused() {
    let server = TestServer::start();
    let genuine = Bundle::parse(&ALICE.bundle()).unwrap();
    let anothers_key = Bundle { identity: BOB.identity.public().to_der().to_vec(), ..genuine.clone() };
    let same_key_twice = ALICE.bundle_with(ALICE.identity.public(), 1);
    let mut trailing = genuine.clone();
    trailing.encryption.push(0);
    let zero_number = ALICE.bundle_with(ALICE.encryption.public(), 0);
    for (bundle, code) in [
        (zero_number, Code::Malformed),
        (anothers_key, Code::BadSignature),
        (same_key_twice, Code::BadKey),
        (trailing, Code::BadKey),
        (Bundle { encryption: vec![0x30, 0x00], ..genuine }, Code::BadKey),
    ] {
        let mut client = RawClient::connect(server.address);
        let bytes = bundle.encode();
        let proof = bundle::prove(&ALICE.identity, &client.exporter(), &bytes).unwrap();
        let register = ToServer::Register { bundle: bytes, verifier: VERIFIER.clone(), invite: String::new(), proof };
        assert_eq!(error_code(&client.ask(&register)), code);
    }
}

#[test]
fn a_weak_password_verifier_is_refused() {
    let server = TestServer::start();
    let mut client = RawClient::connect(server.address);
    let bundle = ALICE.bundle();
    let proof = bundle::prove(&ALICE.identity, &client.exporter(), &bundle).unwrap();
    let mut verifier = VERIFIER.clone();
    verifier.iterations = 599_999;
    let register = ToServer::Register { bundle, verifier, invite: String::new(), proof };
    assert_eq!(error_code(&client.ask(&register)), Code::BadVerifier);
}

#[test]
fn plain_tcp_and_tls_without_our_protocol_get_no_answer() {
    let server = TestServer::start();
    let mut plain = TcpStream::connect(server.address).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    // A TLS alert record (type 21) may come, a frame of ours must not.
    let _ = plain.read_to_end(&mut answer);
    assert!(answer.is_empty() || (answer.len() == 7 && answer[0] == 21), "{answer:?}");
    for (arguments, expected) in [
        (vec!["-alpn", "topchat/2", "-tls1_2"], "alert protocol version"),
        (vec!["-alpn", "http/1.1"], "no application protocol"),
    ] {
        let output = openssl_client(&server, &arguments);
        assert!(output.to_lowercase().contains(expected), "{arguments:?}: {output}");
    }
}

/// As far as TLS lets the two talk: what an older client shows are the server's own words.
#[test]
fn a_client_of_the_version_before_is_told_to_update() {
    let server = TestServer::start();
    let mut client = std::process::Command::new("openssl");
    client.args(["s_client", "-connect", &server.address.to_string(), "-alpn", "topchat/1", "-quiet"]);
    let output = client.stdin(Stdio::null()).output().expect("the openssl command must be there");
    let mut expected = b"\0\0\0\x50\x8d\0\x1f\0\0\0\0\0\x47".to_vec();
    expected.extend_from_slice(Code::Outdated.words().as_bytes());
    assert_eq!(output.stdout, expected);
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(words.ends_with("this server speaks a newer version of the protocol: update this program"), "{words:?}");
}

/// T11: what comes before the handshake is done is thrown away, even from somebody who has a ticket for it.
#[test]
fn early_data_gets_no_answer() {
    let settings = Settings { login_deadline: Duration::from_secs(3), ..Settings::default() };
    let server = TestServer::with(settings);
    let home = Home::new(server.address);
    let ticket = ticket_of_another_server(&home);
    home.file("early", &ToServer::Ping { token: 1 }.encode());
    let mut command = home.program("openssl");
    command.args(["s_client", "-connect", &server.address.to_string(), "-alpn", "topchat/2", "-ign_eof"]);
    let output = command.args(["-sess_in", &ticket, "-early_data", "early"]).output().unwrap();
    let holds = |bytes: &[u8]| output.stdout.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(b"Early data was rejected"), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(
        holds(&ToClient::Bye(Reason::new(Code::TimedOut)).encode()),
        "the server must have gone on as if nothing came"
    );
    assert!(!holds(&ToClient::Pong { token: 1 }.encode()));
}

/// The name of a file with a session of a server that does take early data.
fn ticket_of_another_server(home: &Home) -> String {
    home.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout key.pem -out cert.pem",
    );
    let mut other = home.program("openssl");
    other.args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem"]);
    let mut other = Running::start(other.args(["-alpn", "topchat/2", "-early_data"]).stdin(Stdio::piped()));
    let accepting = lines(other.child().stdout.take().expect("stdout is piped"));
    let address = std::iter::from_fn(|| accepting.recv_timeout(PATIENCE).ok())
        .find_map(|line| Some(line.strip_prefix("ACCEPT ")?.trim().to_owned()))
        .expect("s_server must tell where it listens");
    let mut client = home.program("openssl");
    client.args(["s_client", "-connect", &address, "-alpn", "topchat/2", "-sess_out", "ticket"]);
    let mut client = Running::start(client.stdin(Stdio::piped()));
    let told = lines(client.child().stdout.take().expect("stdout is piped"));
    // The server's first words come behind its ticket.
    other.child().stdin.as_mut().expect("stdin is piped").write_all(b"hi\n").unwrap();
    assert!(std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).any(|line| line == "hi"));
    drop(client.child().stdin.take());
    assert!(client.wait().success());
    "ticket".to_owned()
}

#[test]
fn the_login_deadline_ends_silent_connections() {
    let server = TestServer::with(Settings { login_deadline: Duration::from_secs(2), ..Settings::default() });
    RawClient::connect(server.address).expect_bye(Code::TimedOut);
    let mut dripping = RawClient::connect(server.address);
    dripping.send_bytes(&ToServer::Ping { token: 1 }.encode()[..3]);
    dripping.expect_bye(Code::TimedOut);
    let mut no_tls = TcpStream::connect(server.address).unwrap();
    no_tls.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(matches!(no_tls.read(&mut [0; 9]), Ok(0) | Err(_)));
}

#[test]
fn a_silent_member_is_pinged_and_then_given_up() {
    let settings =
        Settings { ping_after: Duration::from_secs(1), pong_within: Duration::from_secs(2), ..Settings::default() };
    let server = TestServer::with(settings);
    let mut silent = RawClient::member(server.address, &ALICE, Mode::Receiving);
    assert_eq!(silent.next(), ToClient::Ping { token: 0 });
    silent.send(&ToServer::Pong { token: 0 });
    assert_eq!(silent.next(), ToClient::Ping { token: 0 });
    silent.expect_bye(Code::TimedOut);
}

/// Somebody who reads nothing fills the own mailbox, and nobody else's; what was accepted comes in the end.
#[test]
fn a_reader_that_stalls_harms_only_itself_and_loses_nothing() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
    let mut to_bob = ALICE.seal_to(&BOB, &"x".repeat(4096), 1);
    let mut accepted = 0;
    let full = loop {
        number(&mut to_bob, accepted);
        match alice.send_envelope(&to_bob) {
            ToClient::Status { .. } => accepted += 1,
            refused => break error_code(&refused),
        }
        assert!(accepted < 20_000, "a mailbox must have an end");
    };
    assert_eq!((full, accepted), (Code::MailboxFull, 250));
    assert!(matches!(alice.send_envelope(&ALICE.seal_to(&CAROL, "hi", 1)), ToClient::Status { .. }));
    assert_eq!(CAROL.open(&carol.take_delivery()), "hi");
    for expected in 0..accepted {
        assert_eq!(bob.take_delivery().header.msg_id, MessageId(u128::from(expected).to_be_bytes()));
    }
    bob.expect_nothing();
}

#[test]
fn a_member_that_acknowledges_nothing_gets_no_more_until_it_does() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut to_all = ALICE.seal_to_all("hi", 1);
    for count in 0..UNACKNOWLEDGED as u32 + 44 {
        number(&mut to_all, count);
        assert!(matches!(alice.send_envelope(&to_all), ToClient::Status { .. }));
    }
    let deliveries: Vec<_> = (0..UNACKNOWLEDGED).map(|_| bob.next_delivery().0).collect();
    bob.expect_nothing();
    bob.send(&ToServer::Ack(deliveries[9]));
    let more: Vec<_> = (0..10).map(|_| bob.next_delivery().0).collect();
    bob.expect_nothing();
    bob.send(&ToServer::Ack(more[9]));
    (0..34).for_each(|_| drop(bob.next_delivery()));
    bob.expect_nothing();
}

/// The same message under another id; the server checks no signatures.
fn number(envelope: &mut Envelope, number: u32) {
    envelope.header.msg_id = MessageId(u128::from(number).to_be_bytes());
    envelope.header_bytes = envelope.header.encode();
}

#[test]
fn mutated_frames_never_stop_the_server() {
    let server = TestServer::start();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let golden: Vec<Vec<u8>> = vec![
        ToServer::Send { envelope: ALICE.seal_to(&BOB, "hi", 1).encode() }.encode(),
        ToServer::Lookup { request: 1, name: BOB.name.clone(), fingerprint: None }.encode(),
        ToServer::Ping { token: 1 }.encode(),
        ToServer::SetPassword { request: 1, verifier: VERIFIER.clone() }.encode(),
    ];
    // Four frames each: a hundred thousand of them with TOPCHAT_STORM_ROUNDS=4200.
    for round in 0..rounds() * 6 {
        let mut client = match round % 2 {
            0 => RawClient::connect(server.address),
            _ => {
                let name = format!("alice{round}").parse().unwrap();
                RawClient::member_as(server.address, &ALICE, &name, Mode::Errand)
            }
        };
        for frame in &golden {
            client.send_bytes(&mutated(frame, &mut random));
        }
        client.send(&ToServer::Bye);
        while client.try_next().is_ok() {}
    }
    while let ToClient::Deliver { .. } = bob.ask(&ToServer::Ping { token: 9 }) {}
}

/// A page costs a few bytes to ask for and kilobytes to answer: whoever does not read answers gets no more made.
#[test]
fn requests_whose_answers_are_not_read_are_not_answered_without_bound() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(folder.path(), &["--rate", "0"]);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    for number in 0..300 {
        let name = format!("a-name-as-long-as-they-come-{number}").parse().unwrap();
        assert_eq!(RawClient::connect(server.address).register_as(&BOB, &name), ToClient::Registered);
    }
    let list = ToServer::List { request: 1, scope: Scope::All, after: None }.encode();
    let before = server.peak_kib();
    alice.send_bytes(&list.repeat(6000));
    for _ in 0..6000 {
        assert!(matches!(alice.next(), ToClient::Page { more: true, .. }));
    }
    // 6000 pages of 256 names would take 50 MB at once.
    let grown = server.peak_kib().saturating_sub(before);
    assert!(grown < 20_000, "memory grew by {grown} KiB");
}

/// A challenge that is still open when the account goes must not let the old owner in as the new one.
#[test]
fn an_account_deleted_during_the_login_lets_nobody_in() {
    let server = TestServer::start();
    let mut owner = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut late = RawClient::connect(server.address);
    let first = scram::ClientFirst::new(&ALICE.name, &late.exporter());
    let start = late.login_start(&ALICE, &ALICE.name, Mode::Receiving, first.message());
    let ToClient::Challenge { server_first } = late.ask(&start) else { panic!("no challenge") };
    assert_eq!(owner.ask(&ToServer::DeleteAccount { request: 1 }), ToClient::Done { request: 1 });
    assert_eq!(RawClient::connect(server.address).register_as(&BOB, &ALICE.name), ToClient::Registered);
    let last = first.answer(&server_first, &password()).unwrap();
    let signature = ALICE.identity.sign(&signed::login(last.auth_message())).unwrap();
    let proof = ToServer::LoginProof { client_final: last.message().to_owned(), signature };
    assert_eq!(error_code(&late.ask(&proof)), Code::LoginRefused);
}

/// One to three bytes of the frame's body changed; the length stays true, so that decoding is reached.
fn mutated(frame: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    for _ in 0..=random.below(3) {
        let position = 4 + random.below(bytes.len() - 4);
        bytes[position] = random.below(256) as u8;
    }
    bytes
}

fn login_with_password(server: &TestServer, typed: &str) -> ToClient {
    let mut client = RawClient::connect(server.address);
    let first = scram::ClientFirst::new(&ALICE.name, &client.exporter());
    let start = client.login_start(&ALICE, &ALICE.name, Mode::Errand, first.message());
    let ToClient::Challenge { server_first } = client.ask(&start) else { panic!("no challenge") };
    let last = first.answer(&server_first, &scram::Password::new(typed).unwrap()).unwrap();
    let signature = ALICE.identity.sign(&signed::login(last.auth_message())).unwrap();
    client.ask(&ToServer::LoginProof { client_final: last.message().to_owned(), signature })
}

fn openssl_client(server: &TestServer, arguments: &[&str]) -> String {
    let output = std::process::Command::new("openssl")
        .args(["s_client", "-connect", &server.address.to_string()])
        .args(arguments)
        .stdin(std::process::Stdio::null())
        .output()
        .expect("the openssl command must be there");
    String::from_utf8_lossy(&output.stderr).into_owned()
}
