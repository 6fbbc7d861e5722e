//! The server as a process under floods, stalls and shortages: those who are logged in notice nothing.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use topchat::crypto::scram::ClientFirst;
use topchat::limits::{FRAME_MAX_BEFORE_LOGIN, GROUP_MESSAGES, SENDS_UNANSWERED, UNACKNOWLEDGED};
use topchat::names::UserName;
use topchat::server::Settings;
use topchat::server::net::throttle::Slowness;
use topchat::wire::to_server::{Mode, Scope, ToServer};
use topchat::wire::{Code, DeliveryId, Envelope, MessageId, ToClient};

use crate::cli::home::Home;
use crate::durability::rounds;
use crate::support::people::{ALICE, BOB, CAROL, VERIFIER};
use crate::support::process::{self, SERVER, ServerProcess, command};
use crate::support::raw::{RawClient, error_code, socket_from};
use crate::support::server::TestServer;
use crate::support::{PATIENCE, Random, storm_rounds};

const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Alice and Bob, who go on talking.
struct Talk {
    alice: RawClient,
    bob: RawClient,
    sent: u128,
    slowest: Duration,
}

impl Talk {
    fn start(address: SocketAddr) -> Self {
        let alice = RawClient::member(address, &ALICE, Mode::Receiving);
        Self { alice, bob: RawClient::member(address, &BOB, Mode::Receiving), sent: 0, slowest: Duration::ZERO }
    }

    /// One message there, and what becomes of it.
    fn say_something(&mut self) {
        self.sent += 1;
        let mut envelope = ALICE.seal_to(&BOB, "hi", 0);
        envelope.header.msg_id = MessageId(self.sent.to_be_bytes());
        envelope.header_bytes = envelope.header.encode();
        let begin = Instant::now();
        self.alice.send(&ToServer::Send { envelope: envelope.encode() });
        assert_eq!(self.bob.take_delivery().header.msg_id, envelope.header.msg_id);
        self.slowest = self.slowest.max(begin.elapsed());
        while !matches!(self.alice.next(), ToClient::Status { reached: 1, .. }) {}
    }

    /// Talks as long as `others` does what it does.
    fn during(&mut self, others: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            let others = scope.spawn(others);
            while !others.is_finished() {
                self.say_something();
            }
        });
        self.say_something();
    }
}

/// Connects as long as the server is busy.
fn connect_patiently(address: SocketAddr) -> RawClient {
    connect_patiently_from(Ipv4Addr::LOCALHOST, address)
}

fn connect_patiently_from(source: Ipv4Addr, address: SocketAddr) -> RawClient {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match RawClient::try_connect_from(source, address) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

#[test]
fn announced_lengths_take_no_memory_and_end_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path());
    let mut talk = Talk::start(server.address);
    talk.say_something();
    let before = server.peak_kib();
    talk.during(|| {
        for length in [u32::MAX, 0x7fff_ffff, 4097].into_iter().cycle().take(50) {
            let mut client = connect_patiently(server.address);
            let begin = Instant::now();
            client.send_bytes(&length.to_be_bytes());
            // The server may be gone before all of it is.
            client.send_bytes(&vec![0xaa; 1024 * 1024]);
            while client.try_next().is_ok() {}
            assert!(begin.elapsed() < Duration::from_secs(2), "{length}: {:?}", begin.elapsed());
        }
    });
    let grown = server.peak_kib() - before;
    assert!(grown < 5 * 1024, "memory grew by {grown} KiB");
    assert!(talk.slowest < Duration::from_secs(1), "{:?}", talk.slowest);
}

/// CVE-2021-32918: frames that begin and never end, from four places; ten minutes of it under `make storm`.
#[test]
fn partial_frames_from_many_places_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path());
    let mut talk = Talk::start(server.address);
    // What 16 guests at once take is taken.
    begin_frames_beside(&mut talk, server.address, Duration::from_secs(2));
    let (before, said) = (server.peak_kib(), talk.sent);
    let time = Duration::from_secs(u64::from(storm_rounds(1)) * 3);
    let begun = begin_frames_beside(&mut talk, server.address, time);
    let (grown, said) = (server.peak_kib() - before, u64::try_from(talk.sent - said).unwrap());
    eprintln!("{begun} partial frames, {said} messages: memory grew by {grown} KiB");
    // The latest messages of the talk stay in memory, each with its id less than a KiB; of a partial frame it would be four.
    assert!(begun >= 32 && grown < 5 * 1024 + said, "memory grew by {grown} KiB with {begun} partial frames");
    assert!(talk.slowest < Duration::from_secs(1), "{:?}", talk.slowest);
}

fn begin_frames_beside(talk: &mut Talk, address: SocketAddr, time: Duration) -> usize {
    let begun = AtomicUsize::new(0);
    talk.during(|| begun.store(begin_frames(address, time), Ordering::Relaxed));
    begun.into_inner()
}

/// From four places, each of which holds two such connections at a time, and begins so long, but eight at least; gives how
/// many there were.
fn begin_frames(address: SocketAddr, time: Duration) -> usize {
    let deadline = Instant::now() + time;
    let longest = u32::try_from(FRAME_MAX_BEFORE_LOGIN).unwrap().to_be_bytes();
    let begin = |source: u8| {
        let (mut open, mut begun) = (VecDeque::new(), 0);
        while Instant::now() < deadline || (begun < 8 && Instant::now() < deadline + PATIENCE) {
            let Ok(mut client) = RawClient::try_connect_from(Ipv4Addr::new(127, 0, 0, source), address) else {
                continue;
            };
            client.send_bytes(&[&longest[..], &vec![0x01; FRAME_MAX_BEFORE_LOGIN - 1]].concat());
            begun += 1;
            open.push_front(client);
            // The oldest goes.
            open.truncate(2);
        }
        begun
    };
    std::thread::scope(|scope| {
        let places: Vec<_> = (2..6).map(|source| scope.spawn(move || begin(source))).collect();
        places.into_iter().map(|place| place.join().unwrap()).sum()
    })
}

/// One byte now and then keeps nobody there: the deadline is for all stages together.
#[test]
fn dripping_bytes_win_no_time_at_any_stage() {
    let deadline = Duration::from_secs(3);
    let server = TestServer::with(Settings { login_deadline: deadline, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    std::thread::scope(|scope| {
        for stage in ["no byte", "handshake", "frame", "LoginStart", "LoginProof"] {
            let address = server.address;
            scope.spawn(move || {
                let begin = Instant::now();
                drip(stage, address);
                let took = begin.elapsed();
                assert!(took >= deadline - Duration::from_millis(500), "{stage}: {took:?}");
                assert!(took < deadline + Duration::from_secs(5), "{stage}: {took:?}");
            });
        }
    });
}

/// Gets so far, then drips until the server ends it.
fn drip(stage: &str, address: SocketAddr) {
    let first = |client: &RawClient| ClientFirst::new(&ALICE.name, &client.exporter());
    let start = |client: &RawClient| client.login_start(&ALICE, &ALICE.name, Mode::Errand, first(client).message());
    let (mut client, bytes) = match stage {
        "no byte" => return drip_plainly(address, &[]),
        // A TLS record of 512 bytes with a ClientHello of 508.
        "handshake" => return drip_plainly(address, &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0, 0]),
        "frame" => (RawClient::connect(address), ToServer::Ping { token: 1 }.encode()),
        "LoginStart" => {
            let client = RawClient::connect(address);
            let bytes = start(&client).encode();
            (client, bytes)
        }
        _ => {
            let mut client = RawClient::connect(address);
            let start = start(&client);
            assert!(matches!(client.ask(&start), ToClient::Challenge { .. }));
            let proof = ToServer::LoginProof { client_final: "c=".repeat(50), signature: vec![0; 256] };
            (client, proof.encode())
        }
    };
    let mut bytes = bytes.iter();
    while client.poll_for(Duration::from_millis(400)).is_none() {
        client.send_bytes(&[*bytes.next().expect("the deadline must come before the last byte")]);
    }
}

fn drip_plainly(address: SocketAddr, bytes: &[u8]) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(400))).unwrap();
    let mut bytes = bytes.iter();
    loop {
        match socket.read(&mut [0; 64]) {
            Ok(0) => return,
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return,
            _ => {}
        }
        if let Some(byte) = bytes.next() {
            // It may be closed by now, which the next read tells.
            let _ = socket.write_all(&[*byte]);
        }
    }
}

/// Behind the login a frame that never ends is silence: whoever sends one can't answer the ping.
#[test]
fn a_member_whose_frame_never_ends_is_given_up() {
    let (ping_after, pong_within) = (Duration::from_secs(1), Duration::from_secs(2));
    let server = TestServer::with(Settings { ping_after, pong_within, ..Settings::default() });
    let mut member = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut bytes = [0, 0, 0x30, 0, 4].into_iter().chain(std::iter::repeat(0xaa));
    let begin = Instant::now();
    loop {
        match member.poll_for(Duration::from_millis(200)) {
            Some(ToClient::Bye(reason)) => break assert_eq!(reason.code, Some(Code::TimedOut)),
            Some(other) => assert_eq!(other, ToClient::Ping { token: 0 }),
            None => member.send_bytes(&[bytes.next().unwrap()]),
        }
        assert!(begin.elapsed() < PATIENCE);
    }
}

#[test]
fn a_client_that_is_stopped_loses_its_seat_and_another_gets_it() {
    let (ping_after, pong_within) = (Duration::from_secs(1), Duration::from_secs(1));
    let server = TestServer::with(Settings { max_clients: 1, ping_after, pong_within, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    let home = Home::of_member(server.address, &ALICE);
    let client = home.listen(&[]);
    assert_eq!(error_code(&RawClient::connect(server.address).login(&BOB, Mode::Errand)), Code::Full);
    client.running.signal("STOP");
    let stopped = Instant::now();
    while let ToClient::Error { .. } = connect_patiently(server.address).login(&BOB, Mode::Errand) {
        assert!(stopped.elapsed() < Duration::from_secs(10), "the seat is still taken");
    }
    client.running.signal("CONT");
}

/// Twenty wrong logins under made-up names, all at this very address: each is answered, late, and who has the key is let in at once.
#[test]
fn who_fails_is_slowed_and_whose_key_is_right_is_never_kept_out() {
    let (first, most) = (Duration::from_millis(100), Duration::from_secs(2));
    let server = TestServer::with(Settings { slowness: Slowness { first, most }, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    let fails = |number: usize| {
        let name: UserName = format!("made-up{}", number % 4).parse().unwrap();
        let begun = Instant::now();
        let answer = RawClient::connect(server.address).login_as(&BOB, &name, Mode::Errand);
        assert_eq!(error_code(&answer), Code::LoginRefused);
        begun.elapsed()
    };
    let mut times: Vec<_> = (0..5).map(fails).collect();
    for batch in 1..=3_usize {
        let at_once = |number| move || fails(5 * batch + number);
        times.extend(std::thread::scope(|scope| {
            let threads: Vec<_> = (0..5).map(|number| scope.spawn(at_once(number))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
        }));
    }
    // Another person's key for a name that is there counts the same.
    let wrong_key = RawClient::connect(server.address).login_as(&BOB, &ALICE.name, Mode::Errand);
    assert_eq!(error_code(&wrong_key), Code::LoginRefused);
    assert!(times[0] >= first && times[5..].iter().all(|time| *time >= most), "{times:?}");
    let begun = Instant::now();
    assert!(matches!(RawClient::connect(server.address).login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
    assert!(begun.elapsed() < most, "{:?}", begun.elapsed());
}

/// Those who wait for an answer that comes late give way to whoever comes, also from their own address.
#[test]
fn those_who_are_slowed_keep_nobody_out() {
    let forever = Slowness { first: PATIENCE * 2, most: PATIENCE * 2 };
    let server = TestServer::with(Settings { slowness: forever, login_deadline: PATIENCE * 3, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    for source in [ELSEWHERE, Ipv4Addr::LOCALHOST] {
        let mut slowed: Vec<_> = (0..40)
            .map(|_| {
                // The one before gives way from the moment at which its frame was read.
                let mut client = connect_patiently_from(source, server.address);
                client.send(&client.login_start(&BOB, &ALICE.name, Mode::Errand, "p=tls-exporter,,n=alice,r=x"));
                client
            })
            .collect();
        assert_eq!(error_code(&slowed[0].next()), Code::Full, "the oldest one had to go");
        let mut owner = connect_patiently_from(source, server.address);
        assert!(matches!(owner.login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
    }
}

#[test]
fn registrations_in_bulk_end_at_twenty_and_logins_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path());
    let mut talk = Talk::start(server.address);
    let (tries, taken) = (if rounds() > 10 { 1000 } else { 60 }, AtomicUsize::new(0));
    talk.during(|| {
        for number in 0..tries {
            let name: UserName = format!("bulk{number}").parse().unwrap();
            let mut client = connect_patiently_from(ELSEWHERE, server.address);
            match client.register_as(&CAROL, &name) {
                ToClient::Registered => drop(taken.fetch_add(1, Ordering::SeqCst)),
                refused => assert_eq!(error_code(&refused), Code::Throttled),
            }
            client.send(&ToServer::Bye);
            while client.try_next().is_ok() {}
        }
        let mut old = connect_patiently_from(ELSEWHERE, server.address);
        let welcome = old.login_as(&CAROL, &"bulk0".parse().unwrap(), Mode::Errand);
        assert!(matches!(welcome, ToClient::Welcome { .. }), "a login is another matter: {welcome:?}");
    });
    assert_eq!(taken.into_inner(), 20);
    let accounts = std::fs::read_to_string(folder.path().join("data/accounts.jsonl")).unwrap();
    assert_eq!(accounts.lines().count(), 23, "a title and as many records");
}

/// Whoever was invited pays for nobody else's tries at the same address.
#[test]
fn a_good_invite_registers_where_others_have_used_up_the_hour() {
    let place = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(place.path(), &["--registration", "invite"]);
    let mut owner = command(SERVER, place.path());
    let invite = process::run(owner.args(["--data-dir", "data", "user", "invite"]), b"").stdout;
    let from_there = || connect_patiently_from(ELSEWHERE, server.address);
    for _ in 0..20 {
        assert_eq!(error_code(&from_there().register_by(&BOB, "no-such-code")), Code::InviteRefused);
    }
    assert_eq!(error_code(&from_there().register_by(&BOB, "no-such-code")), Code::Throttled);
    assert_eq!(from_there().register_by(&ALICE, invite.trim()), ToClient::Registered);
    assert_eq!(error_code(&from_there().register_by(&BOB, invite.trim())), Code::Throttled, "it is used up");
}

/// Who sends more than may be underway is not read from for a while, and again as soon as the answers have gone out.
#[test]
fn a_client_that_sends_without_waiting_is_answered_to_the_last() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(
        folder.path(),
        &["--rate", "0", "--mailbox-messages", "9000", "--mailbox-per-sender", "9000", "--mailbox-kib", "9000"],
    );
    let mut bob = RawClient::member(server.address, &BOB, Mode::Errand);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut envelope = ALICE.seal_to(&BOB, "hi", 1);
    let count = 3 * SENDS_UNANSWERED;
    let frames = (0..count).flat_map(|number| {
        envelope.header.msg_id = MessageId((number as u128).to_be_bytes());
        envelope.header_bytes = envelope.header.encode();
        ToServer::Send { envelope: envelope.encode() }.encode()
    });
    alice.send_bytes(&frames.collect::<Vec<_>>());
    for number in 0..count {
        match alice.next() {
            ToClient::Status { msg_id, .. } => assert_eq!(msg_id, MessageId((number as u128).to_be_bytes())),
            other => panic!("{other:?}"),
        }
    }
    bob.send(&ToServer::Ping { token: 1 });
    assert_eq!(bob.next(), ToClient::Pong { token: 1 });
}

/// A recipient that acknowledges nothing: what waits for it waits on the disk, and comes again when it does.
#[test]
fn deliveries_that_nobody_acknowledges_take_no_memory_and_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(folder.path(), &["--rate", "0", "--durability", "memory"]);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let (before, count) = (server.peak_kib(), if rounds() > 10 { 100_000 } else { 4000_u128 });
    let mut envelope = ALICE.seal_to_all("hi", 0);
    for batch in 0..count / 100 {
        for number in 0..100 {
            envelope.header.msg_id = MessageId((batch * 100 + number).to_be_bytes());
            envelope.header_bytes = envelope.header.encode();
            alice.send(&ToServer::Send { envelope: envelope.encode() });
        }
        (0..100).for_each(|_| assert!(matches!(alice.next(), ToClient::Status { .. })));
    }
    let first: Vec<MessageId> = (0..UNACKNOWLEDGED).map(|_| bob.next_delivery().2.header.msg_id).collect();
    bob.expect_nothing();
    let grown = server.peak_kib() - before;
    assert!(grown < 40 * 1024, "memory grew by {grown} KiB");
    bob.reset();
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    // A session that is gone has no more waiting for it than those who are away.
    let again = match bob.next() {
        ToClient::Skipped { count: skipped } => u64::try_from(count).unwrap() - skipped,
        ToClient::Deliver { envelope, .. } => {
            assert_eq!(Envelope::parse(&envelope).unwrap().header.msg_id, first[0]);
            GROUP_MESSAGES as u64
        }
        other => panic!("no delivery but {other:?}"),
    };
    assert!(again >= GROUP_MESSAGES as u64, "{again}");
}

/// Every frame in every state, cut off somewhere: those who stay notice nothing, and the server lives.
#[test]
fn peers_that_close_in_the_middle_of_any_frame_end_only_themselves() {
    let server = TestServer::start();
    let mut random = Random(0xc0ff_ee00);
    let mut talk = Talk::start(server.address);
    assert_eq!(RawClient::connect(server.address).register(&CAROL), ToClient::Registered);
    let name = CAROL.name.clone();
    let verifier = VERIFIER.clone();
    let registration = RawClient::connect(server.address).registration(&CAROL, &name);
    let start = |client: &RawClient| {
        let first = ClientFirst::new(&CAROL.name, &client.exporter());
        client.login_start(&CAROL, &CAROL.name, Mode::Receiving, first.message())
    };
    let frames = [
        registration,
        start(&RawClient::connect(server.address)),
        ToServer::LoginProof { client_final: "c=,r=,p=".to_owned(), signature: vec![0; 256] },
        ToServer::Send { envelope: CAROL.seal_to_all("hi", 1).encode() },
        ToServer::Ack(DeliveryId { epoch: 1, number: 1 }),
        ToServer::Lookup { request: 1, name: name.clone(), fingerprint: None },
        ToServer::List { request: 1, scope: Scope::All, after: None },
        ToServer::SetPassword { request: 1, verifier },
        ToServer::UpdateKeys { request: 1, bundle: vec![1; 99], handover: vec![], proof: vec![2; 256] },
        ToServer::DeleteAccount { request: 1 },
        ToServer::Watch { on: true },
        ToServer::AskPolicy { invite: "7K3M-Q9XT".to_owned() },
        ToServer::Ping { token: 1 },
        ToServer::Bye,
    ];
    for _ in 0..rounds().min(60) / 10 {
        for frame in &frames {
            let bytes = frame.encode();
            for state in ["guest", "challenged", "member"] {
                let mut client = match state {
                    "member" => RawClient::again(server.address, &CAROL, Mode::Errand),
                    _ => connect_patiently(server.address),
                };
                if state == "challenged" {
                    let start = start(&client);
                    assert!(matches!(client.ask(&start), ToClient::Challenge { .. }));
                }
                client.send_bytes(&bytes[..random.below(bytes.len())]);
                client.reset();
            }
            talk.say_something();
        }
    }
    assert!(matches!(RawClient::connect(server.address).login(&CAROL, Mode::Errand), ToClient::Welcome { .. }));
}

/// The server's part of fifty logins at the same moment; theirs, the stretching of the password, would be the test's own load.
#[test]
fn fifty_logins_at_once_take_bounded_memory_and_nobodys_time() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(folder.path(), &["--max-clients", "60"]);
    let mut talk = Talk::start(server.address);
    talk.say_something();
    let (before, together) = (server.peak_kib(), Barrier::new(50));
    talk.during(|| {
        std::thread::scope(|scope| {
            for host in 2..52 {
                let (address, together) = (server.address, &together);
                scope.spawn(move || {
                    let client = RawClient::try_connect_from([127, 0, 0, host].into(), address);
                    together.wait();
                    let mut client = client.unwrap();
                    let first = ClientFirst::new(&ALICE.name, &client.exporter());
                    let start = client.login_start(&ALICE, &ALICE.name, Mode::Errand, first.message());
                    assert!(matches!(client.ask(&start), ToClient::Challenge { .. }));
                    let proof = ToServer::LoginProof { client_final: "c=,r=,p=".to_owned(), signature: vec![0; 256] };
                    assert_eq!(error_code(&client.ask(&proof)), Code::LoginRefused);
                });
            }
        });
    });
    let grown = server.peak_kib() - before;
    assert!(grown < 50 * 512, "memory grew by {grown} KiB");
    assert!(talk.slowest < Duration::from_secs(2), "{:?}", talk.slowest);
}

#[test]
fn connections_without_end_leave_those_who_talk_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path());
    let mut talk = Talk::start(server.address);
    talk.during(|| {
        for number in 0..5000_u32 {
            let source = Ipv4Addr::from(0x7f00_0002 + number % 4);
            let Ok(mut socket) = socket_from(source, server.address) else { continue };
            if number % 3 == 0 {
                let _ = socket.write_all(b"\x16\x03\x01");
            }
        }
    });
    assert!(talk.slowest < Duration::from_secs(2), "{:?}", talk.slowest);
    let begin = Instant::now();
    drop(connect_patiently(server.address));
    assert!(begin.elapsed() < Duration::from_secs(5));
}

/// Sets the server's soft limit, or without a figure the hard one's. By the `prlimit` command, since only the same user may.
fn set_limit(server: &ServerProcess, resource: &str, soft: &str) {
    let process = format!("/proc/{}", server.running.id());
    let owner = std::fs::metadata(&process).unwrap();
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let line = if resource == "nproc" { "Max processes" } else { "Max open files" };
    let hard = limits.lines().find_map(|found| found.strip_prefix(line)?.split_whitespace().nth(1)).unwrap();
    let soft = if soft.is_empty() { hard } else { soft };
    let mut command = Command::new("prlimit");
    command.args(["--pid", &server.running.id().to_string(), &format!("--{resource}={soft}:{hard}")]);
    assert!(command.uid(owner.uid()).gid(owner.gid()).status().expect("this test needs the prlimit command").success());
}

/// What is short is given back at the end; until then the server must neither end nor run in circles.
fn survives_shortage(server: &ServerProcess, resource: &str, scarce: &str) {
    let mut talk = Talk::start(server.address);
    talk.say_something();
    set_limit(server, resource, scarce);
    let processor = server.processor_time();
    let begin = Instant::now();
    let mut held = Vec::new();
    while begin.elapsed() < Duration::from_secs(3) {
        if held.len() < 20 {
            held.push(TcpStream::connect(server.address).unwrap());
        }
        talk.say_something();
        assert!(talk.bob.poll_for(Duration::from_millis(20)).is_none());
    }
    let used = server.processor_time() - processor;
    assert!(used < Duration::from_millis(1500), "{used:?} of processor time in three seconds");
    assert!(talk.slowest < Duration::from_secs(2), "{:?}", talk.slowest);
    assert!(RawClient::try_connect(server.address).is_err(), "it must be short of it");
    drop(held);
    set_limit(server, resource, "");
    let begin = Instant::now();
    drop(connect_patiently(server.address));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    talk.say_something();
}

#[test]
fn a_server_short_of_descriptors_goes_on_for_those_who_are_there() {
    let folder = tempfile::tempdir().unwrap();
    survives_shortage(&ServerProcess::start(folder.path()), "nofile", "40");
}

/// The limit on threads does not bind root, so the server runs as somebody else then.
#[test]
fn a_server_short_of_threads_goes_on_for_those_who_are_there() {
    let home = Home::at("127.0.0.1:1");
    let mut command = home.bound_by_modes(SERVER);
    command.args(["--listen", "127.0.0.1:0", "--data-dir", "data"]);
    survives_shortage(&ServerProcess::run(&mut command), "nproc", "1");
}
