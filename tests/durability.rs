//! What was answered "ok" stays, whatever happens to the server.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use topchat::names::UserName;
use topchat::wire::to_server::{Mode, Scope, ToServer};
use topchat::wire::{Code, ToClient};

use crate::support::people::{ALICE, BOB};
use crate::support::process::{SERVER, ServerProcess, command, run, signal};
use crate::support::raw::{RawClient, error_code};

/// `make storm` sets more.
pub fn rounds() -> usize {
    std::env::var("TOPCHAT_STORM_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(10)
}

#[test]
fn kill_dash_nine_takes_no_answered_registration_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered: Vec<UserName> = Vec::new();
    for round in 0..rounds() {
        let mut server = ServerProcess::start(folder.path());
        let (address, count) = (server.address, AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let registering = scope.spawn(|| register_until_the_end(address, round, &count));
            // Kill at a point that differs from round to round.
            while count.load(Ordering::Acquire) < 1 + round % 7 && !registering.is_finished() {
                std::thread::yield_now();
            }
            signal(server.running.id(), "KILL");
            answered.extend(registering.join().unwrap());
        });
        server.running.kill();
    }
    let server = ServerProcess::start(folder.path());
    let names = all_names(&server);
    for name in &answered {
        assert!(names.contains(name), "{name} was answered ok and is gone");
    }
    assert!(answered.len() >= rounds(), "the storm must have registered somebody");
}

#[test]
fn a_full_disk_refuses_registrations_and_the_chat_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // A file size limit of one unit of 1024 bytes: the database does not fit a single account.
    let limited = format!("ulimit -f 1; exec {SERVER} --listen 127.0.0.1:0 --data-dir data2");
    let prepared = ServerProcess::start(folder.path());
    let mut alice = RawClient::member(prepared.address, &ALICE, Mode::Errand);
    alice.send(&ToServer::Bye);
    drop(prepared);
    std::fs::rename(folder.path().join("data"), folder.path().join("data2")).unwrap();

    let mut shell = command("sh", folder.path());
    shell.args(["-c", &limited]);
    let mut running = crate::support::process::Running::start(&mut shell);
    let listening = running.wait_for("listening");
    let address = listening.split_whitespace().nth(1).unwrap().parse().unwrap();
    running.wait_for("ready");
    let before = std::fs::read(folder.path().join("data2/accounts.jsonl")).unwrap();
    assert_eq!(error_code(&RawClient::connect(address).register(&BOB)), Code::Storage);
    let welcome = RawClient::connect(address).login(&ALICE, Mode::Receiving);
    assert!(matches!(welcome, ToClient::Welcome { .. }), "{welcome:?}");
    assert_eq!(std::fs::read(folder.path().join("data2/accounts.jsonl")).unwrap(), before);
}

#[test]
fn a_second_server_on_the_same_folder_leaves_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = ServerProcess::start(folder.path());
    let second = run(
        command(SERVER, folder.path()).args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path().join("data")),
        b"",
    );
    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.stderr.contains(&first.running.id().to_string()), "{second:?}");
    assert_eq!(RawClient::connect(first.address).register(&ALICE), ToClient::Registered);
    first.running.kill();
    drop(first);
    let third = ServerProcess::start(folder.path());
    assert!(matches!(RawClient::connect(third.address).login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
}

#[test]
fn sigterm_stops_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(folder.path());
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    server.running.signal("TERM");
    alice.expect_bye(Code::ShuttingDown);
    assert_eq!(server.running.wait().code(), Some(0), "{:?}", server.running.seen);
}

#[test]
fn every_client_has_a_named_thread() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path());
    let clients: Vec<RawClient> = (0..3).map(|_| RawClient::connect(server.address)).collect();
    let mut names = thread_names(&server);
    names.retain(|name| name.starts_with("client-"));
    assert_eq!(names.len(), 3, "{names:?}");
    drop(clients);
}

fn register_until_the_end(address: SocketAddr, round: usize, count: &AtomicUsize) -> Vec<UserName> {
    let mut answered = Vec::new();
    for number in 0.. {
        let name: UserName = format!("r{round}n{number}").parse().unwrap();
        if !try_register(address, &name) {
            break;
        }
        answered.push(name);
        count.fetch_add(1, Ordering::Release);
    }
    answered
}

/// False when the server is gone.
fn try_register(address: SocketAddr, name: &UserName) -> bool {
    let Ok(mut client) = RawClient::try_connect(address) else { return false };
    client.send(&client.registration(&ALICE, name));
    matches!(client.try_next(), Ok(ToClient::Registered))
}

fn all_names(server: &ServerProcess) -> Vec<UserName> {
    let mut client = RawClient::member(server.address, &BOB, Mode::Errand);
    let mut names = Vec::new();
    loop {
        let after = names.last().cloned();
        match client.ask(&ToServer::List { request: 1, scope: Scope::All, after }) {
            ToClient::Page { more, entries, .. } => {
                names.extend(entries.into_iter().map(|entry| entry.name));
                if !more {
                    return names;
                }
            }
            other => panic!("no page but {other:?}"),
        }
    }
}

fn thread_names(server: &ServerProcess) -> Vec<String> {
    let tasks = Path::new("/proc").join(server.running.id().to_string()).join("task");
    let names = std::fs::read_dir(tasks).unwrap().map(|task| task.unwrap().path().join("comm"));
    names.map(|comm| std::fs::read_to_string(comm).unwrap().trim().to_owned()).collect()
}
