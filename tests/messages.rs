//! What was accepted arrives: through restarts, kills, full disks and silent clients.

use std::collections::{BTreeSet, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use topchat::server::{Quotas, Settings};
use topchat::wire::to_client::{Reason, State, ToClient};
use topchat::wire::to_server::{Mode, ToServer};
use topchat::wire::{Code, Envelope, MessageId};

use crate::durability::rounds;
use crate::support::people::{ALICE, BOB, CAROL, Person};
use crate::support::process::{Running, SERVER, ServerProcess, command, run, signal};
use crate::support::raw::{RawClient, error_code};
use crate::support::server::TestServer;

fn status(id: u8, state: State, reached: u32, total: u32) -> ToClient {
    ToClient::Status { msg_id: MessageId([id; 16]), state, reached, total }
}

#[test]
fn what_waits_survives_a_restart_and_comes_as_backlog_before_what_is_live() {
    let folder = tempfile::tempdir().unwrap();
    let sent: Vec<Envelope> = {
        let server = ServerProcess::start(folder.path());
        register(&server, &BOB);
        let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
        let sent = (1..=3).map(|id| ALICE.seal_to(&BOB, "hi", id));
        sent.inspect(|sent| assert!(matches!(alice.send_envelope(sent), ToClient::Status { state: State::Queued, .. })))
            .collect()
    };
    let server = ServerProcess::start(folder.path());
    let mut alice = RawClient::again(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    alice.send(&ToServer::Send { envelope: ALICE.seal_to_all("live", 4).encode() });
    for expected in &sent {
        let (delivery, backlog, envelope) = bob.next_delivery();
        assert_eq!((backlog, &envelope), (true, expected));
        bob.send(&ToServer::Ack(delivery));
    }
    let (delivery, backlog, envelope) = bob.next_delivery();
    assert_eq!((backlog, BOB.open(&envelope).as_str()), (false, "live"));
    bob.send(&ToServer::Ack(delivery));
    bob.expect_nothing();
}

/// "accepted" may wait for "delivered", but not for ever.
#[test]
fn a_sender_is_answered_although_the_recipient_never_acknowledges() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::with(folder.path(), &["--durability", "memory"]);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    for id in 1..=20 {
        assert_eq!(alice.send_envelope(&ALICE.seal_to(&BOB, "hi", id)), status(id, State::Accepted, 0, 1));
    }
    let deliveries: Vec<_> = (1..=20).map(|_| bob.next_delivery().0).collect();
    bob.send(&ToServer::Ack(deliveries[19]));
    (1..=20).for_each(|id| assert_eq!(alice.next(), status(id, State::Delivered, 1, 1)));
}

/// Cursors may know more messages than a log that was taken away; new ones must not be taken for those.
#[test]
fn what_comes_after_the_log_was_lost_is_delivered() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = ServerProcess::start(folder.path());
        let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
        let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
        for id in 1..=9 {
            alice.send(&ToServer::Send { envelope: ALICE.seal_to_all("before", id).encode() });
            bob.take_delivery();
            assert_eq!(alice.next(), status(id, State::Accepted, 0, 1));
            assert_eq!(alice.next(), status(id, State::Delivered, 1, 1));
        }
        // An orderly stop writes the cursors.
        server.running.signal("TERM");
        let mut running = server.running;
        assert_eq!(running.wait().code(), Some(0));
    }
    std::fs::remove_dir_all(folder.path().join("data/messages")).unwrap();
    // Its owner said that there is no copy of it.
    std::fs::write(folder.path().join("data/messages.lost"), "").unwrap();
    let server = ServerProcess::start(folder.path());
    let mut alice = RawClient::again(server.address, &ALICE, Mode::Errand);
    for id in 11..=13 {
        assert_eq!(alice.send_envelope(&ALICE.seal_to_all("after", id)), status(id, State::Queued, 0, 1));
    }
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    for _ in 11..=13 {
        assert_eq!(BOB.open(&bob.take_delivery()), "after");
    }
    bob.expect_nothing();
}

#[test]
fn a_group_message_tells_its_sender_how_many_have_it_also_later() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    assert_eq!(RawClient::connect(server.address).register(&CAROL), ToClient::Registered);
    assert_eq!(alice.send_envelope(&ALICE.seal_to_all("hello", 1)), status(1, State::Accepted, 0, 2));
    bob.take_delivery();
    assert_eq!(alice.next(), status(1, State::Delivered, 1, 2));
    let mut carol = RawClient::again(server.address, &CAROL, Mode::Receiving);
    carol.take_delivery();
    assert_eq!(alice.next(), status(1, State::Delivered, 2, 2));
}

#[test]
fn a_resend_is_answered_and_not_delivered_again() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let sent = ALICE.seal_to(&BOB, "once", 1);
    assert_eq!(alice.send_envelope(&sent), status(1, State::Accepted, 0, 1));
    assert_eq!(alice.send_envelope(&sent), status(1, State::Accepted, 0, 1));
    bob.take_delivery();
    assert_eq!(alice.next(), status(1, State::Delivered, 1, 1));
    assert_eq!(alice.send_envelope(&sent), status(1, State::Accepted, 0, 1));
    assert_eq!(alice.next(), status(1, State::Delivered, 1, 1));
    assert_eq!(error_code(&alice.send_envelope(&ALICE.seal_to(&BOB, "twice", 1))), Code::IdReused);
    bob.expect_nothing();
}

#[test]
fn a_mailbox_has_its_limit_and_what_is_refused_is_not_kept() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    for id in 1..=50 {
        assert_eq!(alice.send_envelope(&ALICE.seal_to(&BOB, "hi", id)), status(id, State::Queued, 0, 1));
    }
    for id in 51..=60 {
        assert_eq!(error_code(&alice.send_envelope(&ALICE.seal_to(&BOB, "hi", id))), Code::MailboxFull);
    }
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    for id in 1..=50 {
        assert_eq!(bob.take_delivery().header.msg_id, MessageId([id; 16]));
    }
    bob.expect_nothing();
}

#[test]
fn whoever_was_away_for_long_is_told_how_much_was_passed_over() {
    let quotas = Quotas { group: 5, ..Quotas::default() };
    let server = TestServer::with(Settings { quotas, ..Settings::default() });
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    for id in 1..=12 {
        alice.send(&ToServer::Send { envelope: ALICE.seal_to_all("hi", id).encode() });
        assert_eq!(alice.next(), status(id, State::Queued, 0, 1));
    }
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    assert_eq!(bob.next(), ToClient::Skipped { count: 7 });
    for id in 8..=12 {
        assert_eq!(bob.take_delivery().header.msg_id, MessageId([id; 16]));
    }
    bob.expect_nothing();
}

/// As after SIGSTOP: the connection stays, nothing comes from it.
#[test]
fn a_silent_client_is_given_up_and_its_messages_wait_for_the_next() {
    let settings = Settings {
        ping_after: Duration::from_millis(200),
        pong_within: Duration::from_millis(200),
        ..Settings::default()
    };
    let server = TestServer::with(settings);
    let silent = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    alice.send(&ToServer::Send { envelope: ALICE.seal_to(&BOB, "hi", 1).encode() });
    let queued = loop {
        match alice.next() {
            ToClient::Ping { token } => alice.send(&ToServer::Pong { token }),
            ToClient::Status { state: State::Accepted, .. } => {}
            other => break other,
        }
    };
    assert_eq!(queued, status(1, State::Queued, 0, 1));
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    assert_eq!(BOB.open(&bob.take_delivery()), "hi");
    drop(silent);
}

#[test]
fn a_disabled_account_keeps_its_messages_and_a_deleted_one_does_not() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = ServerProcess::start(folder.path());
        register(&server, &BOB);
        register(&server, &CAROL);
        let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
        for (person, id) in [(&*BOB, 1), (&*CAROL, 2)] {
            assert_eq!(alice.send_envelope(&ALICE.seal_to(person, "hi", id)), status(id, State::Queued, 0, 1));
        }
    }
    administer(folder.path(), &["disable", "bob"]);
    administer(folder.path(), &["delete", "carol"]);
    {
        let server = ServerProcess::start(folder.path());
        let mut alice = RawClient::again(server.address, &ALICE, Mode::Errand);
        assert_eq!(alice.send_envelope(&ALICE.seal_to_all("hi", 3)), status(3, State::Accepted, 0, 0));
        let mut carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
        carol.expect_nothing();
    }
    administer(folder.path(), &["enable", "bob"]);
    let server = ServerProcess::start(folder.path());
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    assert_eq!(bob.take_delivery().header.msg_id, MessageId([1; 16]));
}

#[test]
fn the_start_line_says_what_accepted_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path());
    assert!(server.running.seen.iter().any(|line| line.starts_with("messages") && line.contains("on disk")));
    drop(server);
    let server = ServerProcess::with(folder.path(), &["--durability", "memory"]);
    assert!(server.running.seen.iter().any(|line| line.contains("a crash may take accepted messages back")));
}

/// A file size limit stands for a full disk; lifting it for space that returns.
#[test]
fn a_full_disk_promises_nothing_keeps_the_chat_going_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    {
        let server = ServerProcess::start(folder.path());
        for person in [&*ALICE, &BOB, &CAROL] {
            register(&server, person);
        }
    }
    let mut shell = command("sh", folder.path());
    shell.args(["-c", &format!("ulimit -S -f 2; exec {SERVER} --listen 127.0.0.1:0 --data-dir data")]);
    let mut running = Running::start(&mut shell);
    let address = running.wait_for("listening").split_whitespace().nth(1).unwrap().parse().unwrap();
    running.wait_for("ready");
    let mut alice = RawClient::again(address, &ALICE, Mode::Receiving);
    let mut queued = Vec::new();
    let refused = loop {
        let id = queued.len() as u8 + 1;
        match alice.send_envelope(&ALICE.seal_to(&CAROL, "hi", id)) {
            ToClient::Status { state: State::Queued, .. } => queued.push(number_of(MessageId([id; 16]))),
            refused => break refused,
        }
    };
    let (last, reason) = (queued.len() as u8 + 1, Reason::new(Code::Storage));
    assert_eq!(refused, ToClient::Refused { msg_id: MessageId([last; 16]), reason });

    let mut bob = RawClient::again(address, &BOB, Mode::Receiving);
    alice.send(&ToServer::Send { envelope: ALICE.seal_to(&BOB, "live", 100).encode() });
    assert_eq!(BOB.open(&bob.take_delivery()), "live");
    let delivered = [status(100, State::Accepted, 0, 1), status(100, State::Delivered, 1, 1)];
    assert_eq!([alice.next(), alice.next()], delivered);
    alice.send(&ToServer::Send { envelope: ALICE.seal_to_all("live", 101).encode() });
    assert_eq!(BOB.open(&bob.take_delivery()), "live");
    assert_eq!(alice.next(), status(101, State::Unconfirmed, 1, 2));

    let limit = Rlimit { current: None, maximum: None };
    prlimit(Pid::from_raw(running.id() as i32), Resource::Fsize, limit).unwrap();
    assert_eq!(alice.send_envelope(&ALICE.seal_to(&CAROL, "hi", last)), status(last, State::Queued, 0, 1));
    queued.push(number_of(MessageId([last; 16])));
    running.kill();

    let server = ServerProcess::start(folder.path());
    // Before these, Carol is told that she missed the unconfirmed one, if it was written before the kill that Bob has it.
    assert_eq!(collect(server.address, &CAROL), queued);
}

#[test]
fn kill_dash_nine_loses_no_accepted_message_and_keeps_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut story = Story::default();
    {
        let server = storm_server(folder.path());
        for person in [&*ALICE, &BOB, &CAROL] {
            register(&server, person);
        }
    }
    for round in 0..rounds() {
        let server = storm_server(folder.path());
        let (address, answered) = (server.address, AtomicUsize::new(0));
        story.carol.extend(collect(address, &CAROL));
        let (again, last) = (std::mem::take(&mut story.unanswered), story.last);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| read_until_the_end(address, &BOB));
            let sender = scope.spawn(|| send_until_the_end(address, &again, last, &answered));
            while answered.load(Ordering::Acquire) < 5 + (round * 7) % 40 && !sender.is_finished() {
                std::thread::yield_now();
            }
            signal(server.running.id(), "KILL");
            let (accepted, unanswered, last) = sender.join().unwrap();
            story.accepted.extend(accepted);
            (story.unanswered, story.last) = (unanswered, last);
            story.bob.extend(reader.join().unwrap());
        });
    }
    let server = storm_server(folder.path());
    story.carol.extend(collect(server.address, &CAROL));
    story.bob.extend(collect(server.address, &BOB));
    story.check();
}

/// No mailbox is ever full: a refusal whose news the kill takes would be tried again later, behind newer messages.
fn storm_server(folder: &Path) -> ServerProcess {
    let roomy = ["--mailbox-messages", "100000", "--mailbox-per-sender", "100000", "--mailbox-kib", "1048576"];
    ServerProcess::with(folder, &roomy)
}

/// What a storm leaves.
#[derive(Default)]
struct Story {
    accepted: BTreeSet<u64>,
    /// Sent, but the answer never came: to be sent again.
    unanswered: Vec<u64>,
    /// The last number.
    last: u64,
    bob: Vec<u64>,
    carol: Vec<u64>,
}

impl Story {
    fn check(&self) {
        assert!(self.accepted.len() > rounds() * 4, "the storm must have sent something");
        for (got, gets) in [(&self.bob, [0, 2]), (&self.carol, [1, 2])] {
            let mut seen = HashSet::new();
            let first_time: Vec<u64> = got.iter().copied().filter(|number| seen.insert(*number)).collect();
            let expected = self.accepted.iter().filter(|number| gets.contains(&(*number % 3)));
            let lost: Vec<_> = expected.filter(|number| !seen.contains(*number)).collect();
            assert_eq!(lost, [&0; 0], "accepted and lost");
            assert!(first_time.is_sorted(), "out of order");
        }
    }
}

/// Sealed once: a message that is sent again has the same bytes.
static TEMPLATES: LazyLock<[Envelope; 3]> =
    LazyLock::new(|| [ALICE.seal_to(&BOB, "hi", 1), ALICE.seal_to(&CAROL, "hi", 1), ALICE.seal_to_all("hi", 1)]);

/// Numbers tell to whom: 0 to bob, 1 to carol, 2 to all, modulo 3.
fn send_until_the_end(
    address: SocketAddr,
    again: &[u64],
    last: u64,
    answered: &AtomicUsize,
) -> (Vec<u64>, Vec<u64>, u64) {
    let (mut accepted, mut waiting, mut last) = (Vec::new(), BTreeSet::new(), last);
    let Some(mut alice) = try_again(address, &ALICE, Mode::Errand) else { return (accepted, again.to_vec(), last) };
    let mut numbers = again.iter().copied();
    loop {
        while waiting.len() < 8 {
            let number = numbers.next().unwrap_or_else(|| {
                last += 1;
                last
            });
            let mut envelope = TEMPLATES[(number % 3) as usize].clone();
            envelope.header.msg_id = MessageId(u128::from(number).to_be_bytes());
            envelope.header_bytes = envelope.header.encode();
            waiting.insert(number);
            alice.send(&ToServer::Send { envelope: envelope.encode() });
        }
        match alice.try_next() {
            Ok(ToClient::Status { msg_id, .. }) => {
                let number = number_of(msg_id);
                if waiting.remove(&number) {
                    accepted.push(number);
                    answered.fetch_add(1, Ordering::Release);
                }
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => {
                waiting.extend(numbers);
                return (accepted, waiting.into_iter().collect(), last);
            }
        }
    }
}

fn read_until_the_end(address: SocketAddr, person: &Person) -> Vec<u64> {
    let mut got = Vec::new();
    let Some(mut client) = try_again(address, person, Mode::Receiving) else { return got };
    while let Ok(frame) = client.try_next() {
        take(&mut client, frame, &mut got);
    }
    got
}

/// All that waits.
fn collect(address: SocketAddr, person: &Person) -> Vec<u64> {
    let mut got = Vec::new();
    let mut client = RawClient::again(address, person, Mode::Receiving);
    // An answer may overtake what the acknowledgements right before its question make room for, but the next one can't.
    let mut quiet = 0;
    while quiet < 2 {
        let before = got.len();
        let mut answer = client.ask(&ToServer::Ping { token: 1 });
        while answer != (ToClient::Pong { token: 1 }) {
            take(&mut client, answer, &mut got);
            answer = client.next();
        }
        quiet = if got.len() == before { quiet + 1 } else { 0 };
    }
    got
}

fn take(client: &mut RawClient, frame: ToClient, got: &mut Vec<u64>) {
    if let ToClient::Deliver { delivery, envelope, .. } = frame {
        let header = Envelope::parse(&envelope).unwrap().header;
        got.push(number_of(header.msg_id));
        client.send(&ToServer::Ack(delivery));
    }
}

fn number_of(id: MessageId) -> u64 {
    u128::from_be_bytes(id.0) as u64
}

/// `None` when the server is gone.
fn try_again(address: SocketAddr, person: &Person, mode: Mode) -> Option<RawClient> {
    let mut client = RawClient::try_connect(address).ok()?;
    matches!(client.try_login(person, mode), Ok(ToClient::Welcome { .. })).then_some(client)
}

fn register(server: &ServerProcess, person: &Person) {
    assert_eq!(RawClient::connect(server.address).register(person), ToClient::Registered);
}

fn administer(folder: &Path, arguments: &[&str]) {
    let mut command = command(SERVER, folder);
    let done = run(command.arg("--data-dir").arg(folder.join("data")).arg("user").args(arguments), b"");
    assert_eq!(done.code, Some(0), "{done:?}");
}
