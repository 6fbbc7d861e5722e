//! Key files under `kill -9`: a renewal or a new password that is cut off anywhere leaves an account that logs in and
//! opens what was written to it before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use topchat::crypto::bundle;
use topchat::crypto::envelope::{SealWith, seal};
use topchat::wire::to_server::Mode;
use topchat::wire::{MessageId, ToClient, ToServer};

use crate::cli::home::Home;
use crate::durability::rounds;
use crate::support::Random;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{Running, Watch};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const FOLDER: &str = "keys/users/alice";
/// After which of the files that a command writes it is killed, if it gets there.
const MOMENTS: [&str; 4] = ["encryption.pem.next", "identity.pem.next", "identity.pem.new", "encryption.pem.new"];

#[test]
fn renewals_and_new_passwords_under_kill_dash_nine_lock_nobody_out() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    drop(RawClient::member(server.address, &BOB, Mode::Errand));
    let mut random = Random(0x5eed_0ce4);
    let mut password = String::from("password");
    // Making keys and locking them takes its time: each kind of change once, and more of them in a storm.
    for round in 0..u32::try_from(rounds().div_ceil(3)).unwrap() {
        write(&server, round);
        let next = format!("password{round}");
        home.file(&next, format!("correct horse {round}\n").as_bytes());
        let renew = ["keys", "renew", "--key-bits", "2048"];
        let identity = ["keys", "renew", "--key-bits", "2048", "--identity"];
        let passwd = ["passwd", "--new-password-file", &next];
        let words: &[&str] = [&renew[..], &identity[..], &passwd[..]][round as usize % 3];
        let watch = Watch::on(&home.path(FOLDER));
        let mut running = Running::start(home.topchat(words).args(["--password-file", &password]));
        let moment = MOMENTS[random.below(MOMENTS.len())];
        watch.wait_for(moment, &running);
        std::thread::sleep(Duration::from_millis(random.below(12) as u64));
        running.kill();
        let tried: Vec<_> =
            [&password, &next].into_iter().map(|file| (file.clone(), hears(&home, file, round))).collect();
        let [counts] = &tried.iter().filter(|(_, heard)| *heard).collect::<Vec<_>>()[..] else {
            panic!("round {round}, {words:?} killed after {moment}: {tried:?}")
        };
        password.clone_from(&counts.0);
    }
}

#[test]
fn whoever_reads_beside_renewals_and_new_passwords_finds_keys_that_log_in() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    drop(RawClient::member(server.address, &BOB, Mode::Errand));
    let over = AtomicBool::new(false);
    let mut counts = [0; 3];
    std::thread::scope(|scope| {
        let reads = [&["users"][..], &["fingerprint"], &["send", "ALL", "hi"]];
        let readers = reads.map(|words| {
            let (home, over) = (&home, &over);
            scope.spawn(move || {
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let finished = home.run_in(words);
                    assert_eq!(finished.code, Some(0), "{words:?}, number {count}: {finished:?}");
                    count += 1;
                }
                count
            })
        });
        let written: Result<(), String> = (0..rounds().div_ceil(3)).try_for_each(|_| {
            // The same password under a new salt, so that readers need no other one.
            let passwd = ["passwd", "--new-password-file", "password"];
            for words in [&["keys", "renew", "--identity", "--key-bits", "2048"][..], &passwd] {
                let finished = home.run_in(words);
                if finished.code != Some(0) {
                    return Err(format!("{words:?}: {finished:?}"));
                }
            }
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        counts = readers.map(|reader| reader.join().unwrap());
        written.unwrap();
    });
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
}

/// Whether this password logs in; if so, what Bob wrote before the kill is read.
fn hears(home: &Home, password: &str, round: u32) -> bool {
    let heard = home.run(&["listen", "--count", "1", "--json", "--quiet", "--password-file", password]);
    match heard.code {
        Some(6) => false,
        Some(0) => {
            let line: serde_json::Value = serde_json::from_str(heard.stdout.lines().last().unwrap()).unwrap();
            assert_eq!(line["text"], round.to_string(), "{heard:?}");
            true
        }
        _ => panic!("round {round}: {heard:?}"),
    }
}

/// Seals for the key that the server has of Alice now.
fn write(server: &TestServer, round: u32) {
    let mut bob = RawClient::again(server.address, &BOB, Mode::Errand);
    let found = bob.ask(&ToServer::Lookup { request: 1, name: ALICE.name.clone(), fingerprint: None });
    let ToClient::Found { bundle, .. } = found else { panic!("{found:?}") };
    let key = bundle::verify(&bundle).unwrap().encryption;
    let mut header = BOB.header("alice", key.fingerprint(), 0);
    (header.msg_id, header.seq) = (MessageId(u128::from(round + 1).to_be_bytes()), u64::from(round) + 1);
    header.prev = u64::from(round);
    bob.send_envelope(&seal(header, &round.to_string(), SealWith::Direct(&key), &BOB.identity).unwrap());
}
