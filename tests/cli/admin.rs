//! The owner's commands: the same on the files of a stopped server and over the socket of a running one.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Instant;

use serde_json::Value;
use topchat::names::UserName;
use topchat::storage::folder::LockedFolder;
use topchat::wire::to_client::{Reason, State};
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, ToClient, ToServer};

use super::home::{Home, keys_made, printed, refused};
use super::server::run;
use crate::support::PATIENCE;
use crate::support::people::{ALICE, BOB, CAROL, PASSWORD};
use crate::support::process::{self, Finished, SERVER, ServerProcess};
use crate::support::raw::{RawClient, error_code};

const SOCKET: &str = "data/admin.sock";

fn home() -> Home {
    Home::at("127.0.0.1:1")
}

/// A place where alice and bob have accounts and the server runs, or ran.
fn place(running: bool) -> (Home, Option<ServerProcess>) {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    for person in [&ALICE, &BOB] {
        assert_eq!(RawClient::connect(server.address).register(person), ToClient::Registered);
    }
    (home, running.then_some(server))
}

/// What was printed, with the times and the signs that are made at random in place of themselves.
fn steady(finished: &Finished) -> (Option<i32>, String, String) {
    let steady = |text: &str| {
        let words = text.split_inclusive([' ', '\n', ',', ';']).map(|word| {
            let (bare, end) = word.split_at(word.trim_end_matches([' ', '\n', ',', ';']).len());
            let is_time = bare.len() == 20 && bare.ends_with('Z');
            let is_code = bare.len() == 29 && bare.split('-').count() == 6;
            let is_id = bare.len() == 8 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
            let bare = if is_time {
                "TIME"
            } else if is_code {
                "CODE"
            } else if is_id {
                "ID"
            } else {
                bare
            };
            format!("{bare}{end}")
        });
        words.collect::<String>()
    };
    (finished.code, steady(&finished.stdout), steady(&finished.stderr))
}

fn rows(finished: &Finished) -> Vec<Value> {
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_command_has_the_same_output_and_effect_on_the_files_and_over_the_socket() {
    let command = format!("{SERVER} --data-dir data user");
    let no_such_user =
        &format!("error: no user \"zoe\" here. Nothing was changed.\nhint: the names are in: {command} list\n");
    let no_such_invite =
        &format!("error: no invite \"ID\" here. Nothing was changed.\nhint: they are in: {command} invites\n");
    let fingerprints = [&ALICE, &BOB].map(|person| person.identity.public().fingerprint().grouped());
    let listed = format!(
        "{:<32}  disabled  TIME  {}\n{:<32}  enabled   TIME  {}\n",
        "alice", fingerprints[0], "bob", fingerprints[1]
    );
    let handed_out =
        "it is not shown again. Used with: topchat register NAME --invite-file FILE, or typed when asked for\n";
    let (one, many) =
        (format!("for one account, until TIME; {handed_out}"), format!("for 30 accounts, until TIME; {handed_out}"));
    let script: &[(&str, i32, &str, &str)] = &[
        ("user disable alice", 0, "", "disabled alice; no session of it was here\n"),
        ("user disable alice", 0, "", "disabled alice; no session of it was here\n"),
        ("user list", 0, &listed, ""),
        ("user enable alice", 0, "", "enabled alice\n"),
        ("kick bob", 0, "", "kicked bob; no session of it was here\n"),
        ("user delete bob", 0, "", "deleted bob; no session of it was here\n"),
        ("user delete zoe", 7, "", no_such_user),
        ("user disable zoe", 7, "", no_such_user),
        ("user enable zoe", 7, "", no_such_user),
        ("kick zoe", 7, "", no_such_user),
        ("user invites", 0, "", ""),
        ("user invite", 0, "CODE\n", &one),
        ("user invite --uses 30 --days 365", 0, "CODE\n", &many),
        ("user revoke 0000000g", 7, "", &no_such_invite.replace("ID", "0000000g")),
        (
            "user invites",
            0,
            "ID  open      0 of 1 used  made TIME  good until TIME\nID  open      0 of 30 used  made TIME  good until TIME\n",
            "",
        ),
    ];
    let mut ends = Vec::new();
    for running in [false, true] {
        let (home, server) = place(running);
        for (words, code, stdout, stderr) in script {
            let words: Vec<&str> = words.split(' ').collect();
            let (found_code, found, mut said) = steady(&run(&home, &words));
            // Only a running server knows whether its codes count.
            said = said.replace("registration is open: nobody needs a code. To let people in by code only, start the server with --registration invite\n", "");
            assert_eq!(
                (found_code, found.as_str(), said.as_str()),
                (Some(*code), *stdout, *stderr),
                "{words:?} {running}"
            );
        }
        let ids: Vec<_> = rows(&run(&home, &["user", "invites", "--json"]));
        let id = ids[0]["id"].as_str().unwrap().to_owned();
        refused(&run(&home, &["user", "revoke", &id]), 0, &format!("revoked {id}; accounts that it made stay\n"));
        assert_eq!(rows(&run(&home, &["user", "invites", "--json"])).len(), 1);
        drop(server);
        let ops = home.read("data/accounts.jsonl");
        ends.push(
            ops.lines()
                .skip(1)
                .map(|line| serde_json::from_str::<Value>(&line[26..]).unwrap()["op"].clone())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(ends[0], ends[1], "the same records");
    assert_eq!(ends[0], ["register", "register", "disable", "enable", "delete", "invite", "invite", "revoke"]);
}

#[test]
fn every_command_speaks_json() {
    for running in [false, true] {
        let (home, _server) = place(running);
        let changed = |change: &str| serde_json::json!({"v": 1, "type": "changed", "name": "alice", "change": change, "sessions": 0});
        for (words, change) in [
            ("user disable alice", "disabled"),
            ("user enable alice", "enabled"),
            ("kick alice", "kicked"),
            ("user delete alice", "deleted"),
        ] {
            let words: Vec<&str> = words.split(' ').chain(["--json"]).collect();
            assert_eq!(rows(&run(&home, &words)), [changed(change)]);
        }
        let made = rows(&run(&home, &["user", "invite", "--json"])).swap_remove(0);
        let code = made["code"].as_str().unwrap().to_owned();
        assert_eq!(code.split('-').map(str::len).collect::<Vec<_>>(), [4; 6]);
        assert_eq!(
            (made["uses"].as_u64(), made["used"].as_u64(), made["state"].as_str()),
            (Some(1), Some(0), Some("open"))
        );
        let [created, expires] =
            ["created", "expires"].map(|key| made[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap());
        assert_eq!(expires.as_second() - created.as_second(), 7 * 86_400);
        let listed = run(&home, &["user", "invites", "--json"]);
        assert!(!listed.stdout.contains(&code) && !listed.stdout.contains("code"), "{}", listed.stdout);
        assert!(!home.read("data/accounts.jsonl").contains(&code));
        let id = made["id"].as_str().unwrap();
        let revoked = rows(&run(&home, &["user", "revoke", id, "--json"]));
        assert_eq!(revoked, [serde_json::json!({"v": 1, "type": "revoked", "id": id})]);
        let finished = run(&home, &["status", "--json"]);
        let stopped = "error: no server runs on data\nhint: start it with the same --data-dir\n";
        assert_eq!((finished.code, finished.stderr.as_str()), if running { (Some(0), "") } else { (Some(3), stopped) });
        let status: Value = serde_json::from_str(&finished.stdout).unwrap();
        assert_eq!((&status["v"], &status["type"]), (&1.into(), &"status".into()));
        assert_eq!((status["accounts"].as_u64(), status["running"].is_object()), (Some(1), running));
        let account = rows(&run(&home, &["user", "list", "--json"])).swap_remove(0);
        assert_eq!(account["name"], "bob");
    }
}

#[test]
fn the_status_tells_how_the_server_is_and_who_is_here() {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    let address = server.address;
    let mut alice = RawClient::member(address, &ALICE, Mode::Errand);
    let mut bob = RawClient::member(address, &BOB, Mode::Receiving);
    RawClient::connect(address).register(&CAROL);
    for number in 1..=2 {
        alice.send_envelope(&ALICE.seal_to(&BOB, "hi", number));
        bob.next_delivery();
    }
    alice.send_envelope(&ALICE.seal_to(&CAROL, "hi", 3));
    run(&home, &["user", "disable", "carol"]);
    let (code, stdout, stderr) = steady(&run(&home, &["status"]));
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let lines: Vec<_> = stdout.lines().collect();
    let (pid, version) = (server.running.id(), env!("CARGO_PKG_VERSION"));
    assert!(lines[0].starts_with(&format!("topchat-server {version}   process {pid}, running for ")), "{}", lines[0]);
    assert_eq!(lines[1], format!("listening      {address}"));
    assert!(lines[2].starts_with("identity       SHA256:"), "{}", lines[2]);
    assert_eq!(
        lines[3..8],
        [
            "clients        2 of 10, and 0 connections that have not logged in",
            "registration   open",
            "accounts       3, 1 of them disabled",
            "invites        0 open",
            "messages       3 direct ones wait, 0 to ALL are kept",
        ]
    );
    assert!(lines[8].starts_with("message log    ") && lines[8].ends_with(" bytes"), "{}", lines[8]);
    assert_eq!(
        lines[9..],
        [
            "session        alice  errand  since TIME  from 127.0.0.1",
            "session        bob  receiving  since TIME  from 127.0.0.1  2 not acknowledged",
        ]
    );
    let [status, first, second] = &rows(&run(&home, &["status", "--json"]))[..] else { panic!("three rows") };
    let running = &status["running"];
    for (key, expected) in [("clients", 2), ("seats", 10), ("guests", 0), ("waiting_direct", 3), ("waiting_group", 0)] {
        assert_eq!(running[key].as_u64(), Some(expected), "{key}");
    }
    assert_eq!(running["addresses"], serde_json::json!([address.to_string()]));
    assert_eq!(
        (first["name"].as_str(), first["mode"].as_str(), first.get("waiting")),
        (Some("alice"), Some("errand"), None)
    );
    assert_eq!((second["mode"].as_str(), second["waiting"].as_u64()), (Some("receiving"), Some(2)));
    drop(server);
    let (code, stdout, stderr) = steady(&run(&home, &["status"]));
    assert_eq!(stdout.lines().next(), Some(format!("topchat-server {version}   not running").as_str()));
    let words = "error: no server runs on data\nhint: start it with the same --data-dir\n";
    assert_eq!((code, stderr.as_str()), (Some(3), words));
}

#[test]
fn what_failed_logins_slow_is_told_and_lifted_by_address_by_name_or_all() {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    RawClient::connect(server.address).register(&ALICE);
    assert_eq!(rows(&run(&home, &["status", "--json"])).len(), 1, "nothing is slowed");
    // Bob's key for Alice's name, and Alice's key without her password.
    let fail = || {
        let stranger = RawClient::connect(server.address).login_as(&BOB, &ALICE.name, Mode::Errand);
        let mut guesser = RawClient::connect(server.address);
        let ToServer::LoginProof { client_final, .. } = guesser.begin_login(&ALICE, Mode::Errand) else {
            panic!("no proof")
        };
        let guess = guesser.ask(&ToServer::LoginProof { client_final, signature: vec![7; 256] });
        [stranger, guess].iter().for_each(|refused| assert_eq!(error_code(refused), Code::LoginRefused));
    };
    fail();
    let (_, stdout, _) = steady(&run(&home, &["status"]));
    assert_eq!(
        stdout.lines().filter(|line| line.starts_with("slowed")).collect::<Vec<_>>(),
        [
            "slowed         2 because of failed logins or many registrations; topchat-server unlock lifts it",
            "slowed         logins without the key from 127.0.0.1: 1 failed, the next is answered after 2 s",
            "slowed         logins of alice from 127.0.0.1: 1 wrong passwords, the next is answered after 1 s",
        ]
    );
    let json = rows(&run(&home, &["status", "--json"]));
    assert_eq!(json[0]["running"]["slowed"], 2);
    let slowed = serde_json::json!({
        "v": 1, "type": "slowed", "what": "passwords", "source": "127.0.0.1", "name": "alice", "count": 1, "secs": 1
    });
    assert_eq!(json[2], slowed);
    let lift = |words: &[&str], said: &str| refused(&run(&home, words), 0, &format!("{said}\n"));
    lift(&["unlock", "bob"], "nothing of bob was slowed");
    lift(&["unlock", "alice"], "unlocked alice; 1 was slowed");
    lift(&["unlock", "127.0.0.1"], "unlocked 127.0.0.1; 1 was slowed");
    lift(&["unlock"], "nothing was slowed");
    fail();
    let unlocked = serde_json::json!({"v": 1, "type": "unlocked", "lifted": 2});
    assert_eq!(rows(&run(&home, &["unlock", "--json"])), [unlocked]);
    assert_eq!(rows(&run(&home, &["status", "--json"])).len(), 1);
    let finished = run(&home, &["unlock", "10.0.0.0/8"]);
    assert_eq!(finished.code, Some(2));
    assert!(
        finished.stderr.contains("it is an address or an account's name, as status shows them"),
        "{}",
        finished.stderr
    );
    drop(server);
    lift(&["unlock"], "nothing was slowed");
}

#[test]
fn who_is_kicked_disabled_or_deleted_is_out_at_once() {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    let address = server.address;
    let mut carol = RawClient::member(address, &CAROL, Mode::Receiving);
    RawClient::connect(address).register(&ALICE);
    for (command, word, code) in [
        (&["kick", "alice"][..], "kicked", Code::Kicked),
        (&["user", "disable", "alice"], "disabled", Code::Disabled),
        (&["user", "delete", "alice"], "deleted", Code::Deleted),
    ] {
        let mut sessions = [Mode::Receiving, Mode::Errand].map(|mode| RawClient::again(address, &ALICE, mode));
        refused(&run(&home, command), 0, &format!("{word} alice; 2 sessions ended\n"));
        // Their seats are free when the command returns.
        let here = rows(&run(&home, &["status", "--json"]));
        assert_eq!(here.iter().filter(|row| row["name"] == "alice").count(), 0, "{here:?}");
        sessions.iter_mut().for_each(|session| left(session, code));
        if code == Code::Disabled {
            assert_eq!(error_code(&RawClient::connect(address).login(&ALICE, Mode::Errand)), Code::Disabled);
            // A group message is not for her any more: nobody else is there.
            let sent = carol.send_envelope(&CAROL.seal_to_all("hi", 1));
            assert!(matches!(sent, ToClient::Status { state: State::Accepted, total: 0, .. }), "{sent:?}");
            refused(&run(&home, &["user", "enable", "alice"]), 0, "enabled alice\n");
            // Her former session may still be ending, and count as one that is to be given the message.
            let sent = carol.send_envelope(&CAROL.seal_to_all("hi", 2));
            assert!(
                matches!(sent, ToClient::Status { state: State::Accepted | State::Queued, total: 1, .. }),
                "{sent:?}"
            );
        }
    }
    assert_eq!(RawClient::connect(address).register_as(&BOB, &ALICE.name), ToClient::Registered, "the name is free");
    let here = rows(&run(&home, &["status", "--json"]));
    assert_eq!(
        here.iter().filter(|row| row["type"] == "session").map(|row| &row["name"]).collect::<Vec<_>>(),
        ["carol"]
    );
}

/// What was on its way comes, then the goodbye.
#[track_caller]
fn left(session: &mut RawClient, code: Code) {
    loop {
        match session.next() {
            ToClient::Deliver { .. } => {}
            other => return assert_eq!(other, ToClient::Bye(Reason::new(code))),
        }
    }
}

#[test]
fn a_kicked_client_says_so_and_does_not_come_back_by_itself() {
    let place = home();
    let server = ServerProcess::start(place.folder.path());
    let alice = Home::of_member(server.address, &ALICE);
    let listening = alice.listen(&[]);
    refused(&run(&place, &["kick", "alice"]), 0, "kicked alice; 1 session ended\n");
    let finished = listening.finish();
    assert_eq!(finished.code, Some(6), "{}", finished.stderr);
    let end =
        "error: the server's owner ended this session\nhint: ask the server's owner; you can log in again: topchat";
    assert!(finished.stderr.ends_with(end), "{}", finished.stderr);
    let _again = alice.listen(&[]);
}

#[test]
fn an_invite_code_makes_an_account_from_the_command_line() {
    let place = home();
    let server = ServerProcess::with(place.folder.path(), &["--registration", "invite"]);
    let seen = server.running.seen.join("\n");
    let how = &format!("registration by invite (make a code: {} --data-dir ", crate::support::process::SERVER);
    assert!(seen.contains(how.as_str()), "{seen}");
    let made = run(&place, &["user", "invite"]);
    assert!(made.stderr.starts_with("for one account, until ") && made.stderr.lines().count() == 1, "{}", made.stderr);
    let code = made.stdout;

    let alice = Home::with_keys(server.address, &ALICE);
    let by_invite = "error: this server takes new accounts by invite, and the code is missing, unknown, used or too old\n\
                     hint: ask the server's owner for a code, then: topchat register alice --invite-file FILE\n";
    refused(&alice.run_in(&["register", "alice"]), 6, by_invite);
    alice.file("wrong", b"7K3M-Q9XT-2B8D-WF4N-H6JP-5RZC\n");
    refused(&alice.run_in(&["register", "alice", "--invite-file", "wrong"]), 6, by_invite);
    for (content, what) in [(&b""[..], "code"), (b"\xff\n", "code"), (&[b'x'; 65], "code")] {
        alice.file(what, content);
        refused(
            &alice.run_in(&["register", "alice", "--invite-file", what]),
            2,
            "error: code holds no invite code\n\
             hint: the code belongs into its first line, as the server's owner gave it\n",
        );
    }
    alice.file("code", code.to_lowercase().as_bytes());
    let finished = alice.run_in(&["register", "alice", "--invite-file", "code"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    // Again, as after a lost answer: the code is used, and it is not needed.
    assert_eq!(alice.run_in(&["register", "alice"]).code, Some(0));
    let bob = Home::with_keys(server.address, &BOB);
    refused(
        &bob.run_with(&["register", "bob", "--invite-file", "-"], code.as_bytes()),
        6,
        &by_invite.replace("alice", "bob"),
    );

    // The password and the code behind one another. Without one, not even keys are made.
    let carol = Home::new(server.address);
    refused(&carol.run_in(&["register", "carol"]), 6, &by_invite.replace("alice", "carol"));
    assert!(!carol.path("keys/users/carol").exists());
    let code = run(&place, &["user", "invite"]).stdout;
    let words = ["register", "carol", "--bits", "2048", "--password-file", "-", "--invite-file", "-"];
    let input = format!("{}\n{code}", PASSWORD);
    let finished = process::run(&mut carol.topchat(&words), input.as_bytes());
    assert!(keys_made(finished).stderr.contains("registered carol."));
    let states = rows(&run(&place, &["user", "invites", "--json"]));
    assert!(states.iter().all(|row| row["state"] == "used" && row["used"] == 1), "{states:?}");
}

#[test]
fn the_start_line_tells_who_may_register_and_how_that_is_changed() {
    for (arguments, words) in [
        (
            &[][..],
            "registration open, since only this machine can connect (change with --registration invite or closed)",
        ),
        (&["--registration", "open"], "registration open (change with --registration invite or closed)"),
        (&["--registration", "closed"], "registration closed (let people in with --registration invite or open)"),
    ] {
        let home = home();
        let server = ServerProcess::with(home.folder.path(), arguments);
        assert!(server.running.seen.iter().any(|line| line.ends_with(words)), "{:?}", server.running.seen);
    }
}

#[test]
fn the_socket_is_private_goes_with_its_server_and_one_left_by_a_crash_is_replaced() {
    let home = home();
    let mut server = ServerProcess::start(home.folder.path());
    assert_eq!(fs::symlink_metadata(home.path(SOCKET)).unwrap().mode() & 0o7777, 0o600);
    server.running.kill();
    assert!(home.path(SOCKET).exists(), "a killed server leaves it");
    printed(&run(&home, &["user", "list"]), "");
    let mut server = ServerProcess::start(home.folder.path());
    let status = rows(&run(&home, &["status", "--json"]));
    assert_eq!(status[0]["running"]["pid"].as_u64(), Some(server.running.id().into()));
    server.running.signal("TERM");
    assert_eq!(server.running.wait().code(), Some(0));
    assert!(!home.path(SOCKET).exists());
    let names: Vec<_> = fs::read_dir(home.path("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name != "admin.new"), "{names:?}");
}

#[test]
fn what_is_no_socket_is_neither_used_nor_removed() {
    let home = home();
    drop(ServerProcess::start(home.folder.path()));
    let _ = fs::remove_file(home.path(SOCKET));
    home.file(SOCKET, b"precious");
    let stderr = "error: data/admin.sock is a regular file, not a socket\nhint: keep it under another name: mv -i data/admin.sock data/admin.sock.old\n";
    refused(&run(&home, &["--listen", "127.0.0.1:0"]), 3, stderr);
    let _lock = LockedFolder::open(&home.path("data")).unwrap();
    refused(&run(&home, &["status"]), 3, stderr);
    assert_eq!(home.read(SOCKET), "precious");
}

#[test]
fn a_path_that_is_too_long_for_a_socket_is_told() {
    let home = home();
    let folder = "d".repeat(100);
    let path = format!("{folder}/admin.sock");
    let stderr = format!(
        "error: the path {path} has 111 bytes, and a socket's can have 107\n\
         hint: name the folder by a shorter path, for example from within: --data-dir .\n"
    );
    let mut command = process::command(SERVER, home.folder.path());
    refused(&process::run(command.args(["--listen", "127.0.0.1:0", "--data-dir", &folder]), b""), 3, &stderr);
    // Within it there is no such limit.
    let mut command = process::command(SERVER, &home.path(&folder));
    let finished = process::run(command.args(["--data-dir", ".", "user", "list"]), b"");
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn a_folder_whose_holder_does_not_answer_is_told_with_the_holder() {
    let home = home();
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), Permissions::from_mode(0o700)).unwrap();
    let _lock = LockedFolder::open(&home.path("data")).unwrap();
    let id = std::process::id();
    refused(
        &run(&home, &["user", "list"]),
        3,
        &format!(
            "error: data is in use by process {id}\nhint: stop process {id} first; --data-dir DIR names another folder\n"
        ),
    );
}

#[test]
fn commands_on_the_files_wait_for_each_other() {
    let (home, _) = place(false);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| assert_eq!(run(&home, &["user", "invite", "--json"]).code, Some(0)));
        }
    });
    assert_eq!(rows(&run(&home, &["user", "invites", "--json"])).len(), 6);
}

/// A server of the test's own on the socket: it takes one request and answers with these bytes, then closes.
fn answering(home: &Home, answer: &[u8], words: &[&str]) -> Finished {
    fs::create_dir_all(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), Permissions::from_mode(0o700)).unwrap();
    let _lock = LockedFolder::open(&home.path("data")).unwrap();
    let _ = fs::remove_file(home.path(SOCKET));
    let listener = UnixListener::bind(home.path(SOCKET)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            assert!(request.starts_with("{\"v\":1,\"do\":\""), "{request}");
            // The command may have seen enough and be gone.
            let _ = stream.write_all(answer);
        });
        run(home, words)
    })
}

#[test]
fn a_server_that_ends_or_talks_nonsense_while_a_command_runs_is_told() {
    let home = home();
    let command = format!("{SERVER} --data-dir data user");
    let lost = &format!(
        "error: the server that runs on data did not answer: it ended before\n\
         hint: whether it was done is not known; look: {command} list, or status\n"
    );
    refused(&answering(&home, b"", &["user", "delete", "alice"]), 3, lost);
    refused(&answering(&home, b"\"do", &["kick", "alice"]), 3, lost);
    let junk = "error: the server that runs on data answers what this program does not understand\n\
                hint: use the topchat-server of the same version\n";
    for answer in
        [&b"hello\n"[..], b"{}\n", b"\n", b"{\"row\":{\"v\":2,\"type\":\"revoked\",\"id\":\"x\"}}\n", b"\xff\n"]
    {
        refused(&answering(&home, answer, &["status"]), 3, junk);
    }
    refused(&answering(&home, &vec![b'x'; 10_000_000], &["status"]), 3, junk);
    let evil = "{\"refused\":{\"no_such_user\":{\"name\":\"\\u001b[2J\"}}}\n";
    refused(
        &answering(&home, evil.as_bytes(), &["kick", "alice"]),
        7,
        &format!("error: no user \"^[[2J\" here. Nothing was changed.\nhint: the names are in: {command} list\n"),
    );
}

fn knock(home: &Home) -> UnixStream {
    let stream = UnixStream::connect(home.path(SOCKET)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn junk_on_the_socket_is_refused_and_the_server_goes_on() {
    let (home, _server) = place(true);
    for junk in [&b"\n"[..], b"hello\n", b"{\"v\":1,\"do\":\"halt\"}\n", b"{\"v\":9,\"do\":\"status\"}\n", b"\0\xff\n"]
    {
        let mut stream = knock(&home);
        stream.write_all(junk).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "{\"refused\":\"malformed\"}\n", "{}", String::from_utf8_lossy(junk));
    }
    // 10 MB without an end of line: read no further than a line can be, whatever the sender makes of it.
    let mut stream = knock(&home);
    let sent = stream.write_all(&vec![b'x'; 10_000_000]);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(sent.is_err() && (answer.is_empty() || answer == b"{\"refused\":\"malformed\"}\n"), "{sent:?}");
    assert_eq!(rows(&run(&home, &["user", "list", "--json"])).len(), 2);
}

#[test]
fn stuck_connections_to_the_socket_hold_up_nobody() {
    let (home, mut server) = place(true);
    let server = server.as_mut().unwrap();
    let mut stuck: Vec<UnixStream> = (0..30).map(|_| knock(&home)).collect();
    for stream in &mut stuck {
        stream.write_all(b"{\"v\":1,").unwrap();
    }
    let begun = Instant::now();
    assert_eq!(rows(&run(&home, &["user", "list", "--json"])).len(), 2);
    let _welcome = RawClient::again(server.address, &ALICE, Mode::Errand);
    assert!(begun.elapsed() < PATIENCE / 2, "{:?}", begun.elapsed());
    server.running.signal("TERM");
    assert_eq!(server.running.wait().code(), Some(0));
}

/// On a running server and on the files of a stopped one: what is reported as failed was not done, and nothing fails for want of room.
#[test]
fn requests_in_parallel_are_all_done_and_all_answered() {
    for running in [true, false] {
        let (home, mut server) = place(true);
        let address = server.as_ref().unwrap().address;
        let names: Vec<UserName> = (0..16).map(|number| format!("member{number}").parse().unwrap()).collect();
        for name in &names {
            let registered = RawClient::connect(address).register_as(&CAROL, name);
            assert_eq!(registered, ToClient::Registered);
        }
        if !running {
            let mut server = server.take().unwrap();
            server.running.signal("TERM");
            assert_eq!(server.running.wait().code(), Some(0));
        }
        // All but two are deleted, one of them several times; the rest is mixed in between.
        let mut tasks: Vec<String> = names[2..].iter().map(|name| format!("user delete {name}")).collect();
        tasks.extend(
            ["user disable member0", "user delete bob", "user delete bob", "user delete bob"].map(str::to_owned),
        );
        tasks.extend(["user invite", "user invite", "status", "status"].map(str::to_owned));
        tasks.extend(["user list", "user invites", "user enable alice", "user disable member1"].map(str::to_owned));
        tasks.extend(["kick alice", "user list", "kick member0", "kick member1"].map(str::to_owned));
        tasks.extend(["user invites", "user list"].map(str::to_owned));
        assert_eq!(tasks.len(), 32);
        let begun: Vec<_> = tasks.iter().map(|task| start(&home, &task.split(' ').collect::<Vec<_>>())).collect();
        let ended: Vec<_> = begun.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let mut refused = 0;
        for (task, output) in tasks.iter().zip(&ended) {
            let words = String::from_utf8_lossy(&output.stderr);
            if task == "user delete bob" && output.status.code() == Some(7) {
                refused += 1;
                assert!(words.contains("no user \"bob\" here"), "{words}");
            } else {
                let expected = if task == "status" && !running { 3 } else { 0 };
                assert_eq!(output.status.code(), Some(expected), "{task}: {words}");
            }
        }
        assert_eq!(refused, 2, "it can be deleted once");
        let accounts = rows(&run(&home, &["user", "list", "--json"]));
        let left: Vec<_> = accounts.iter().map(|row| (row["name"].as_str(), row["disabled"].as_bool())).collect();
        let expected = [("alice", false), ("member0", true), ("member1", true)];
        assert_eq!(left, expected.map(|(name, disabled)| (Some(name), Some(disabled))));
        assert_eq!(rows(&run(&home, &["user", "invites", "--json"])).len(), 2);
    }
}

fn start(home: &Home, words: &[&str]) -> std::process::Child {
    let mut command = process::command(SERVER, home.folder.path());
    command.args(["--data-dir", "data"]).args(words).spawn().unwrap()
}

#[test]
fn the_socket_of_another_user_is_not_used() {
    let (home, _server) = place(true);
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(home.path(SOCKET), Some(65534), Some(65534)).unwrap();
        let finished = run(&home, &["status"]);
        let words = "error: data/admin.sock belongs to user id 65534, not to this user (id 0)\n";
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""));
        assert!(finished.stderr.starts_with(words), "{}", finished.stderr);
    } else {
        // Nobody but root can give a socket away; the unit tests of the check do without.
        assert_eq!(fs::symlink_metadata(home.path(SOCKET)).unwrap().uid(), rustix::process::geteuid().as_raw());
    }
}
