//! The exit codes that scripts rely on: a real process for each of them, and no code that is not in the README's table.

use std::collections::BTreeSet;
use std::fs;

use topchat::server::Settings;
use topchat::wire::to_server::Mode;
use topchat::wire::{ToClient, ToServer};

use super::home::{Home, refused};
use super::server::run;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{self, CLIENT, Finished, Running, SERVER, ServerProcess};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const README: &str = include_str!("../../README.md");

/// Had in typing.rs, by a panic that is asked for.
const OF_A_PANIC: i32 = 101;

/// A code, and how a program that ends with it came to that.
type Ending = (i32, Finished);

/// Of the client, by what goes right or wrong.
fn endings_of_the_client() -> Vec<Ending> {
    let server = TestServer::with(Settings { max_clients: 1, ..Settings::default() });
    let alice = Home::of_member(server.address, &ALICE);
    let nowhere = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    alice.file("wrong", b"wrong horse\n");
    let other = format!("SHA256:{}", "9f".repeat(32));
    let mut endings = vec![
        (0, alice.run_in(&["users"])),
        (1, without_descriptors(&alice)),
        (2, alice.run_in(&["send", "bob", ""])),
        (2, alice.run_in(&["users", "--no-such-flag"])),
        (3, nowhere.run_in(&["users"])),
        (3, alice.run_in(&["listen", "--count", "1", "--timeout", "1"])),
        (0, alice.run_in(&["listen", "--timeout", "1"])),
        (4, alice.run_in(&["users", "--server-fingerprint", &other])),
        (6, alice.run(&["users", "--password-file", "wrong"])),
        (7, alice.run_in(&["send", "nobody", "hi"])),
        (0, alice.run_in(&["send", "ALL", "nobody is here"])),
    ];
    let mut listening = alice.listen(&[]).running;
    listening.signal("INT");
    endings.push((130, ended(&mut listening)));
    let _seated = RawClient::member(server.address, &BOB, Mode::Errand);
    endings.push((5, alice.run_in(&["users"])));
    endings
}

/// Something that should not happen: not one more file can be opened, once the libraries are loaded.
fn without_descriptors(home: &Home) -> Finished {
    let mut shell = process::command("sh", home.folder.path());
    process::run(shell.args(["-c", &format!("ulimit -n 4 && exec {CLIENT} users 3<&-")]), b"")
}

fn ended(running: &mut Running) -> Finished {
    let code = running.wait().code();
    Finished { code, stdout: String::new(), stderr: running.seen.join("\n") }
}

/// Of the server.
fn endings_of_the_server() -> Vec<Ending> {
    let home = Home::at("127.0.0.1:1");
    let mut server = ServerProcess::start(home.folder.path());
    let taken = server.address.to_string();
    let second = Home::at("127.0.0.1:1");
    let mut endings = vec![(2, run(&home, &["--no-such-flag"])), (3, run(&second, &["--listen", &taken]))];
    server.running.signal("TERM");
    endings.push((0, ended(&mut server.running)));
    home.file("data/accounts.jsonl", b"hello\n");
    endings.push((78, run(&home, &["--listen", "127.0.0.1:0"])));
    endings
}

#[test]
fn every_exit_code_of_the_readme_is_had_and_no_other() {
    let mut had = BTreeSet::from([OF_A_PANIC]);
    for (code, finished) in endings_of_the_client().into_iter().chain(endings_of_the_server()) {
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert_eq!(finished.stderr.contains("error: "), !matches!(code, 0 | 130), "{code}: {finished:?}");
        had.insert(code);
    }
    let table = README.split("| Exit code | Meaning |").nth(1).unwrap().split("\n\n").next().unwrap();
    let told: BTreeSet<i32> = table.lines().filter_map(|line| line.split('|').nth(1)?.trim().parse().ok()).collect();
    assert_eq!(had, told);
}

/// The codes in the help are those of the README.
#[test]
fn the_help_tells_the_same_codes() {
    let help = process::run(process::command(CLIENT, &std::env::temp_dir()).arg("--help"), b"").stdout;
    let codes = help.split("Exit codes:").nth(1).unwrap().split("\n\n").next().unwrap();
    let told: BTreeSet<_> = codes.split_whitespace().filter_map(|word| word.parse::<i32>().ok()).collect();
    assert_eq!(told, BTreeSet::from([0, 1, 2, 3, 4, 5, 6, 7, 130]));
    assert!(process::run(process::command(SERVER, &std::env::temp_dir()).arg("--help"), b"").code == Some(0));
}

/// Each file of a server that is damaged keeps it from starting, and is told with what is lost without it.
#[test]
fn damaged_files_of_the_server_are_bad_configuration_with_a_remedy() {
    let home = Home::at("127.0.0.1:1");
    let server = ServerProcess::start(home.folder.path());
    RawClient::connect(server.address).register(&BOB);
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    alice.send(&ToServer::Send { envelope: ALICE.seal_to(&BOB, "hi", 1).encode() });
    assert!(matches!(alice.next(), ToClient::Status { .. }));
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    let ToClient::Deliver { delivery, .. } = bob.next() else { panic!("no message") };
    bob.send(&ToServer::Ack(delivery));
    assert!(matches!(alice.next(), ToClient::Status { .. }));
    let mut server = server.running;
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    let segment = fs::read_dir(home.path("data/messages")).unwrap().next().unwrap().unwrap().path();
    let log = format!("data/messages/{}", segment.file_name().unwrap().to_string_lossy());
    for (file, damage, stderr) in [
        (
            "data/accounts.jsonl",
            &b"hello\n"[..],
            "error: data/accounts.jsonl, line 1: this is no file of accounts\n\
             hint: nothing was changed, and this file holds all accounts, without which everybody's name is free for \
             whoever comes first: put it back from a backup\n"
                .to_owned(),
        ),
        (
            "data/secret.key",
            b"short",
            "error: data/secret.key, line 1: the checksum does not hold\n\
             hint: nothing was changed: put data/secret.key back from a backup; without it strangers can tell, once, \
             which names have no account\n"
                .to_owned(),
        ),
        (
            "data/cursors.jsonl",
            b"hello\nhello\n",
            "error: data/cursors.jsonl, line 1: this is no file of cursors\n\
             hint: nothing was changed, and this file holds how far everybody has read, without which messages are delivered \
             again: put it back from a backup\n"
                .to_owned(),
        ),
        (
            &log,
            &[0xff; 4096],
            format!(
                "error: {log}, byte 0: the message log is damaged\n\
                 hint: nothing was changed: put it back from a backup, or if there is none: touch {log}.lost \
                 (then all messages in it that wait for somebody are lost)\n"
            ),
        ),
    ] {
        let good = fs::read(home.path(file)).unwrap();
        home.file(file, damage);
        refused(&run(&home, &["--listen", "127.0.0.1:0"]), 78, &stderr);
        assert_eq!(fs::read(home.path(file)).unwrap(), damage, "{file} is left alone");
        home.file(file, &good);
    }
}
