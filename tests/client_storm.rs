//! The client under `kill -9`: what it acknowledged is on the screen, and a repeat is marked.

use std::collections::HashMap;

use topchat::crypto::envelope::{self, SealWith};
use topchat::limits::HELD_MESSAGES;
use topchat::names::UserName;
use topchat::server::{Quotas, Settings};
use topchat::wire::to_client::{State, ToClient};
use topchat::wire::to_server::{Mode, ToServer};
use topchat::wire::{Header, MessageId};

use crate::cli::home::Home;
use crate::durability::rounds;
use crate::support::Random;
use crate::support::people::{ALICE, BOB};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// Messages of one round: enough for several turns of the client.
const BURST: u64 = 15;

/// One line that the client printed: the text, and whether it is marked as repeated.
type Shown = (String, bool);

#[test]
fn a_client_killed_at_any_moment_shows_everything_and_marks_what_it_repeats() {
    // A client that is killed before it acknowledges lets many wait.
    let quotas = Quotas { messages: 100_000, per_sender: 100_000, bytes: 100_000_000, ..Quotas::default() };
    let server = TestServer::with(Settings { quotas, ..Settings::default() });
    let home = Home::of_member(server.address, &BOB);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let mut random = Random(0x5eed_c11e);
    let mut shown = Vec::new();
    let mut sent = 0;
    for _ in 0..rounds() {
        let mut client = home.listen(&["--json"]);
        let kill_after = random.below(BURST as usize * 2);
        let mut heard = 0;
        for _ in 0..BURST {
            sent += 1;
            send(&mut alice, sent);
        }
        // Every message is accepted, and most are then acknowledged by the client: kill it somewhere among that.
        let mut accepted = 0;
        while accepted < BURST {
            match alice.next() {
                ToClient::Status { state, .. } => {
                    accepted += u64::from(matches!(state, State::Accepted | State::Queued))
                }
                other => panic!("no status but {other:?}"),
            }
            heard += 1;
            if heard == kill_after {
                client.running.kill();
            }
        }
        client.running.kill();
        shown.extend(client.finish().stdout.lines().map(read));
    }
    let last = home.listen(&["--json"]);
    sent += 1;
    send(&mut alice, sent);
    while shown.last().is_none_or(|(text, _)| *text != sent.to_string()) {
        shown.push(read(&last.line()));
    }
    judge(&shown, sent);
}

/// More than the client holds while it asks for a key, all before the answer can come.
#[test]
fn a_long_backlog_of_somebody_new_is_shown_whole() {
    let quotas = Quotas { messages: 100_000, per_sender: 100_000, bytes: 100_000_000, ..Quotas::default() };
    let server = TestServer::with(Settings { quotas, ..Settings::default() });
    let home = Home::of_member(server.address, &BOB);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    let count = 3 * HELD_MESSAGES as u64;
    for seq in 1..=count {
        send(&mut alice, seq);
        assert!(matches!(alice.next(), ToClient::Status { state: State::Queued, .. }));
    }
    let shown = home.listen(&["--json", "--count", &count.to_string()]).finish();
    judge(&shown.stdout.lines().map(read).collect::<Vec<_>>(), count);
}

fn send(alice: &mut RawClient, seq: u64) {
    let name: UserName = BOB.name.clone();
    let key = BOB.encryption.public();
    let mut id = [0; 16];
    id[..8].copy_from_slice(&seq.to_be_bytes());
    let header =
        Header { msg_id: MessageId(id), seq, prev: seq - 1, ..ALICE.header(name.as_str(), key.fingerprint(), 0) };
    let envelope = envelope::seal(header, &seq.to_string(), SealWith::Direct(key), &ALICE.identity).unwrap();
    alice.send(&ToServer::Send { envelope: envelope.encode() });
}

#[track_caller]
fn read(line: &str) -> Shown {
    let object: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(object["type"], "message", "nothing is missing, a copy or an alarm: {line}");
    (object["text"].as_str().unwrap().to_owned(), object["repeated"].as_bool().unwrap_or(false))
}

/// Each message is there; without a mark once at most; for the first time in the order of sending.
fn judge(shown: &[Shown], sent: u64) {
    let mut times: HashMap<&str, (u32, u32)> = HashMap::new();
    let mut order: Vec<u64> = Vec::new();
    for (text, repeated) in shown {
        let (new, again) = times.entry(text).or_default();
        if *new + *again == 0 {
            order.push(text.parse().unwrap());
        }
        *(if *repeated { again } else { new }) += 1;
    }
    assert_eq!(order, (1..=sent).collect::<Vec<_>>(), "all, in order");
    let twice: Vec<_> = times.iter().filter(|(_, (new, _))| *new > 1).collect();
    assert!(twice.is_empty(), "shown twice without a mark: {twice:?}");
}
