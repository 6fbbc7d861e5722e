//! `topchat-server`: what keeps it from starting, and the accounts of a stopped server.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, symlink};

use topchat::wire::ToClient;
use topchat::wire::to_server::Mode;

use super::home::{Home, printed, refused};
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::{self, CLIENT, Finished, SERVER, ServerProcess, signal};
use crate::support::raw::RawClient;

fn home() -> Home {
    Home::at("127.0.0.1:1")
}

/// Starts a server that does not come to serve.
fn start(home: &Home) -> Finished {
    run(home, &["--listen", "127.0.0.1:0"])
}

pub fn run(home: &Home, words: &[&str]) -> Finished {
    process::run(process::command(SERVER, home.folder.path()).args(["--data-dir", "data"]).args(words), b"")
}

/// What the Makefile of a clone says about how its programs are started.
const CLONE: [(&str, &str); 3] = [
    ("TOPCHAT_SERVER_COMMAND", "make run-server"),
    ("TOPCHAT_CLIENT_COMMAND", "make run-client"),
    ("TOPCHAT_DATA_DIR", "my data"),
];

#[test]
fn the_start_lines_name_commands_as_they_are_typed_there() {
    for (told, others, client) in [
        (&[][..], "--listen 0.0.0.0:PORT", "topchat --server 127.0.0.1:PORT"),
        (&CLONE[..], "make run-server ARGS='--listen 0.0.0.0:PORT'", "make run-client ARGS='--server 127.0.0.1:PORT'"),
        (
            &[("TOPCHAT_SERVER_COMMAND", ""), ("TOPCHAT_CLIENT_COMMAND", "a\u{1b}[2Jb")],
            "--listen 0.0.0.0:PORT",
            "a^[[2Jb ARGS='--server 127.0.0.1:PORT'",
        ),
    ] {
        let home = home();
        let mut command = process::command(SERVER, home.folder.path());
        command.args(["--listen", "127.0.0.1:0", "--data-dir", "data"]).envs(told.iter().copied());
        let server = ServerProcess::run(&mut command);
        let port = format!(":{}", server.address.port());
        let [head, listening, identity, rest @ ..] = &server.running.seen[..] else { panic!("{told:?}") };
        assert_eq!(head, concat!("topchat-server ", env!("CARGO_PKG_VERSION")));
        let address = format!("{:14}", server.address);
        assert_eq!(
            *listening,
            format!("listening   {address}   this machine only (open to others: {others})").replace(":PORT", &port)
        );
        let fingerprint = identity.strip_prefix("identity    SHA256:").unwrap();
        assert_eq!(fingerprint[64..], *"   clients pin this at first contact");
        assert_eq!(
            rest,
            [
                "clients     0 of 10          change with --max-clients",
                "data        data             0 accounts, registration open, since only this machine can connect (change with --registration invite or closed)",
                "messages    wait on disk until they are delivered",
                "The server passes on sealed messages and cannot read them. \
                 It does see who writes to whom, when, and how much.",
                &format!("ready. Next, in another terminal:  {client}        (Ctrl-C stops the server)")
                    .replace(":PORT", &port),
            ]
        );
    }
}

#[test]
fn the_owners_commands_are_told_as_they_are_typed_there() {
    let home = home();
    for (told, invite, list) in [
        (&[][..], "SERVER --data-dir 'my data' user invite", "SERVER --data-dir 'my data' user list"),
        (&CLONE[..], "make run-server ARGS='user invite'", "make run-server ARGS='user list'"),
        // Another folder than the one that the Makefile names.
        (&CLONE[..2], "SERVER --data-dir 'my data' user invite", "SERVER --data-dir 'my data' user list"),
    ] {
        let command = |words: &[&str]| {
            let mut command = process::command(SERVER, home.folder.path());
            command.args(["--data-dir", "my data"]).args(words).envs(told.iter().copied());
            command
        };
        let server = ServerProcess::run(&mut command(&["--listen", "127.0.0.1:0", "--registration", "invite"]));
        let invite = invite.replace("SERVER", SERVER);
        let line = format!("data        my data          0 accounts, registration by invite (make a code: {invite})");
        assert!(server.running.seen.contains(&line), "no {line:?} in {:?}", server.running.seen);
        refused(
            &process::run(&mut command(&["user", "delete", "bob"]), b""),
            7,
            &format!(
                "error: no user \"bob\" here. Nothing was changed.\nhint: the names are in: {}\n",
                list.replace("SERVER", SERVER)
            ),
        );
    }
}

#[test]
fn a_port_in_use_is_told_with_another_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    refused(
        &run(&home(), &["--listen", &address.to_string()]),
        3,
        &format!(
            "error: can't listen on {address}: another program uses that port\n\
             hint: give another one, for example --listen 127.0.0.1:7778\n"
        ),
    );
    refused(
        // It may come later, as that of an interface that is not up yet.
        &run(&home(), &["--listen", "192.0.2.1:7777"]),
        3,
        "error: can't listen on 192.0.2.1:7777: Cannot assign requested address (os error 99)\n\
         hint: give an address of this machine as --listen HOST:PORT, for example --listen 127.0.0.1:7777\n",
    );
}

#[test]
fn an_address_without_a_port_is_bad_configuration_and_nothing_is_made_for_it() {
    let home = home();
    for (listen, lacks, better) in [
        ("0.0.0.0", "port from 0 to 65535", "0.0.0.0:7777"),
        ("localhost:http", "port from 0 to 65535", "localhost:7777"),
        (":7000", "host", "127.0.0.1:7000"),
    ] {
        refused(
            &run(&home, &["--listen", listen]),
            78,
            &format!(
                "error: can't listen on \"{listen}\": it has no {lacks}\n\
                 hint: give both: {SERVER} --data-dir data --listen {better}\n"
            ),
        );
        assert!(!home.path("data").exists());
    }
}

#[test]
fn more_clients_than_the_machine_can_hold_are_refused_with_the_most_that_it_can() {
    let home = home();
    let limited = "ulimit -n 200 && exec \"$0\" --data-dir data --listen 127.0.0.1:0 --max-clients 100";
    let finished = process::run(process::command("sh", home.folder.path()).args(["-c", limited, SERVER]), b"");
    refused(
        &finished,
        78,
        "error: 100 clients are more than this machine can hold: the files that a process may open are enough for 68\n\
         hint: raise the limit (ulimit -n), or --max-clients 68\n",
    );
    assert!(!home.folder.path().join("data").exists());
}

#[test]
fn a_folder_in_use_names_its_holder_to_a_second_server_which_leaves_the_first_alone() {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    let id = server.running.id();
    let stderr = format!(
        "error: data is in use by process {id}\nhint: stop process {id} first; --data-dir DIR names another folder\n"
    );
    refused(&start(&home), 3, &stderr);
    assert_eq!(run(&home, &["status"]).code, Some(0));
}

#[test]
fn a_damaged_account_file_is_refused_with_its_line_and_left_alone() {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    for person in [&ALICE, &BOB] {
        RawClient::connect(server.address).register(person);
    }
    drop(server);
    let good = home.read("data/accounts.jsonl");
    let [title, alice, bob] = good.lines().collect::<Vec<_>>()[..] else { panic!("two accounts: {good}") };
    for (content, line) in [
        (String::new(), 1),
        ("\n".to_owned(), 1),
        (format!("{alice}\n{bob}\n"), 1),
        (format!("{title}\n{title}\n{alice}\n{bob}\n"), 2),
        (format!("{title}\n{alice}\n\n{bob}\n"), 3),
        (format!("{title}\n{alice}\n{bob}\n\n"), 4),
        (format!("{title}\n{alice}\n{alice}\n"), 3),
        (format!("{title}\n{bob}\n{alice}\n"), 2),
        (format!("{title}\n{bob}\n"), 2),
        (format!("{title}\nhello\n{bob}\n"), 2),
        (format!("{title}\n{}\n{bob}\n", &alice[..alice.len() / 2]), 2),
        (format!("{title}\n{}\n{bob}\n", alice.replace("AAAA", "AAAB")), 2),
    ] {
        home.file("data/accounts.jsonl", content.as_bytes());
        for finished in [start(&home), run(&home, &["user", "list"])] {
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(78), ""), "{content}: {}", finished.stderr);
            let named = format!("error: data/accounts.jsonl, line {line}: ");
            assert!(finished.stderr.starts_with(&named), "{content}: {}", finished.stderr);
            assert!(finished.stderr.contains("\nhint: "), "{content}: {}", finished.stderr);
        }
        assert_eq!(home.read("data/accounts.jsonl"), content, "the file stays as it is");
    }
    // A crash can leave the last line torn, and only that one: it is cut off, kept and told.
    for torn in [bob[..bob.len() / 2].to_owned(), format!("{}\n", bob.replace("\"name\":\"bob\"", "\"name\":\"bab\""))]
    {
        let whole = format!("{title}\n{alice}\n");
        home.file("data/accounts.jsonl", format!("{whole}{torn}").as_bytes());
        let finished = run(&home, &["user", "list"]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        assert!(finished.stdout.starts_with("alice ") && finished.stdout.lines().count() == 1, "{}", finished.stdout);
        let copy = format!("data/accounts.jsonl.torn-{}", whole.len());
        assert!(finished.stderr.contains(&format!("kept in {copy}")), "{}", finished.stderr);
        assert_eq!((home.read(&copy), home.read("data/accounts.jsonl")), (torn, whole));
    }
}

#[test]
fn a_damaged_certificate_or_secret_is_refused() {
    let home = home();
    drop(ServerProcess::start(home.folder.path()));
    let good = home.read("data/tls.pem");
    for damaged in ["", "hello\n", &good[..good.len() / 2]] {
        home.file("data/tls.pem", damaged.as_bytes());
        let finished = start(&home);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(78), ""), "{}", finished.stderr);
        let named = finished.stderr.starts_with("error: data/tls.pem, line 1: the checksum does not hold\n");
        let remedy = "\nhint: nothing was changed: put data/tls.pem back from a backup; without it every client refuses \
                      this server until its user trusts the new identity\n";
        assert!(named && finished.stderr.ends_with(remedy), "{}", finished.stderr);
        assert_eq!(home.read("data/tls.pem"), damaged);
    }
}

/// What was made at the first start and is gone is never made anew without a word, and a new one only for who asks for it.
#[test]
fn a_part_of_the_data_folder_that_is_gone_stops_the_start() {
    let home = home();
    let server = ServerProcess::start(home.folder.path());
    RawClient::connect(server.address).register(&ALICE);
    drop(server);
    for (part, without) in [
        ("accounts.jsonl", "all accounts are gone, and their names are free for whoever comes first"),
        ("tls.pem", "every client refuses this server until its user trusts the new identity"),
        ("secret.key", "strangers can tell, once, which names have no account"),
        ("messages", "all messages that wait for somebody are lost"),
    ] {
        let (path, away) = (home.path(&format!("data/{part}")), home.path("away"));
        fs::rename(&path, &away).unwrap();
        for _ in 0..2 {
            let stderr = format!(
                "error: data/{part} is gone\n\
                 hint: put it back from a backup; only if there is none: touch data/{part}.lost; \
                 then a new one is made, and {without}\n"
            );
            refused(&start(&home), 78, &stderr);
        }
        home.file(&format!("data/{part}.lost"), b"");
        drop(ServerProcess::start(home.folder.path()));
        assert!(path.exists() && !home.path(&format!("data/{part}.lost")).exists());
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap()
        }
        fs::rename(&away, &path).unwrap();
        drop(ServerProcess::start(home.folder.path()));
    }
    fs::remove_file(home.path("data/manifest")).unwrap();
    let stderr = "error: data has accounts.jsonl, but no manifest: either that file is gone, or all are of version 1, \
                  and this program reads version 2\n\
                  hint: nothing was changed: put data/manifest back from a backup; what is of version 1, \
                  the older program that wrote it reads\n";
    refused(&start(&home), 78, stderr);
}

#[test]
fn what_is_no_folder_of_ones_own_is_refused() {
    let home = home();
    home.file("data", b"");
    refused(
        &start(&home),
        3,
        "error: data is a regular file, not a folder\nhint: name the folder itself; --data-dir DIR names another folder\n",
    );
    fs::remove_file(home.path("data")).unwrap();
    fs::create_dir(home.path("real")).unwrap();
    symlink("real", home.path("data")).unwrap();
    refused(
        &start(&home),
        3,
        "error: data is a symbolic link, not a folder\nhint: name the folder itself; --data-dir DIR names another folder\n",
    );
    fs::remove_file(home.path("data")).unwrap();
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), Permissions::from_mode(0o777)).unwrap();
    refused(
        &start(&home),
        3,
        "error: the folder data can be written by others (mode 0777)\nhint: chmod go-w data; --data-dir DIR names another folder\n",
    );
    refused(
        &run(&Home::at("127.0.0.1:1"), &["user", "list"]),
        3,
        "error: data: no such file or folder\nhint: name the server's folder with --data-dir DIR\n",
    );
}

#[test]
fn a_folder_that_can_not_be_written_is_refused() {
    let home = home();
    fs::create_dir(home.path("data")).unwrap();
    fs::set_permissions(home.path("data"), Permissions::from_mode(0o500)).unwrap();
    let mut command = home.bound_by_modes(SERVER);
    let finished = process::run(command.args(["--listen", "127.0.0.1:0", "--data-dir", "data"]), b"");
    refused(
        &finished,
        3,
        "error: opening data/lock: Permission denied (os error 13)\nhint: see who may do that: ls -ld data/lock; --data-dir DIR names another folder\n",
    );
    let mut command = home.bound_by_modes(SERVER);
    let finished = process::run(command.args(["--listen", "127.0.0.1:0", "--data-dir", "data/deeper"]), b"");
    refused(
        &finished,
        3,
        "error: making the folder data/deeper: Permission denied (os error 13)\n\
         hint: see who may do that: ls -ld data/deeper; --data-dir DIR names another folder\n",
    );
}

#[test]
fn accounts_of_a_stopped_server_are_listed_closed_opened_and_deleted() {
    let place = home();
    let server = ServerProcess::start(place.folder.path());
    let alice = Home::of_member(server.address, &ALICE);
    for person in [&BOB, &CAROL] {
        RawClient::connect(server.address).register(person);
    }
    drop(server);
    let listed = run(&place, &["user", "list"]);
    let fingerprint = ALICE.identity.public().fingerprint();
    let rows: Vec<_> = listed.stdout.lines().collect();
    assert_eq!(rows.len(), 3, "{}", listed.stdout);
    assert!(rows[0].starts_with("alice ") && rows[0].ends_with(&fingerprint.grouped()), "{}", rows[0]);
    assert!(rows[0].contains(" enabled "), "{}", rows[0]);

    for (words, code, stderr) in [
        (["user", "disable", "alice"], 0, "disabled alice; no session of it was here\n"),
        (["user", "delete", "bob"], 0, "deleted bob; no session of it was here\n"),
        (
            ["user", "delete", "bob"],
            7,
            &format!(
                "error: no user \"bob\" here. Nothing was changed.\nhint: the names are in: {SERVER} --data-dir data user list\n"
            ),
        ),
    ] {
        refused(&run(&place, &words), code, stderr);
    }
    let json = run(&place, &["user", "list", "--json"]).stdout;
    let rows: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = rows.iter().map(|row| (row["name"].as_str().unwrap(), row["disabled"].as_bool())).collect();
    assert_eq!(told, [("alice", Some(true)), ("carol", Some(false))]);
    assert_eq!((&rows[0]["v"], &rows[0]["type"]), (&1.into(), &"account".into()));
    assert_eq!(rows[0]["fingerprint"], fingerprint.to_hex());

    let server = ServerProcess::start(place.folder.path());
    let at = server.address.to_string();
    let users = |home: &Home| home.run_in(&["users", "--server", &at]);
    refused(
        &users(&alice),
        6,
        "error: this account was disabled by the server's owner\nhint: ask the server's owner\n",
    );
    drop(server);
    refused(&run(&place, &["user", "enable", "alice"]), 0, "enabled alice\n");
    let server = ServerProcess::start(place.folder.path());
    let finished = alice.run_in(&["users", "--server", &server.address.to_string()]);
    printed(&finished, &format!("{:<32} away\n{:<32} away\n", "alice", "carol"));
    // The name of a deleted account is free.
    let _bob = RawClient::member(server.address, &BOB, Mode::Errand);
}

#[test]
fn signals_that_ask_for_nothing_here_are_a_line_in_the_log_and_nothing_else() {
    let home = home();
    let mut server = ServerProcess::start(home.folder.path());
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    for (signal, words) in [
        ("HUP", "SIGHUP: there is nothing to reload"),
        ("USR1", "a signal that means nothing here: SIGUSR1"),
        ("USR2", "a signal that means nothing here: SIGUSR2"),
        ("HUP", "SIGHUP: there is nothing to reload"),
    ] {
        server.running.signal(signal);
        server.running.wait_for(words);
    }
    alice.expect_nothing();
    drop(RawClient::again(server.address, &ALICE, Mode::Errand));
    server.running.signal("TERM");
    assert_eq!(server.running.wait().code(), Some(0));
}

/// What systemd starts again, and what it leaves (`RestartPreventExitStatus` of the unit).
#[test]
fn the_unit_tries_again_what_may_pass_and_nothing_else() {
    let unit =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/topchat-server.service")).unwrap();
    let value = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    let left: Vec<i32> = value("RestartPreventExitStatus").split(' ').map(|code| code.parse().unwrap()).collect();
    let settings = ["Restart", "StartLimitIntervalSec", "SystemCallErrorNumber"].map(value);
    assert_eq!(settings, ["on-failure", "0", "EPERM"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (words, is_tried_again) in [
        (&["--listen", &taken][..], true),
        (&["--listen", "192.0.2.1:7777"], true),
        (&["--listen", "127.0.0.1"], false),
        (&["--listen", "127.0.0.1:0", "--max-clients", "100000"], false),
        (&["--listn", "127.0.0.1:0"], false),
    ] {
        let finished = run(&home(), words);
        let code = finished.code.unwrap();
        assert_eq!(code != 0 && !left.contains(&code), is_tried_again, "{words:?}: {finished:?}");
    }
}

/// Words are lost then, and nothing else: no panic, and the code is the same.
#[test]
fn a_stderr_that_is_full_closed_or_read_by_nobody_changes_no_exit_code() {
    let home = home();
    for dead in DEAD {
        let ended = |program: &str, words: &[&str]| {
            let mut child = with_dead_stderr(&home, program, words, dead).spawn().unwrap();
            let mut stdout = String::new();
            std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut stdout).unwrap();
            (child.wait().unwrap().code(), stdout)
        };
        let data = ["--data-dir", "data"];
        let asks = |words: &[&str]| ended(SERVER, &[&data, words].concat());
        let serving = [&data[..], &["--listen", "127.0.0.1:0"]].concat();
        let mut server = with_dead_stderr(&home, SERVER, &serving, dead).env("RUST_LOG", "trace").spawn().unwrap();
        // Not asked before: a command that works on the files keeps a server from starting.
        let deadline = std::time::Instant::now() + crate::support::PATIENCE;
        while !home.path("data/admin.sock").exists() {
            assert!(std::time::Instant::now() < deadline, "{dead}: {:?}", server.try_wait());
            std::thread::yield_now();
        }
        let (code, stdout) = asks(&["status", "--json"]);
        assert_eq!(code, Some(0), "{dead}");
        let status: serde_json::Value = serde_json::from_str(&stdout).unwrap();
        let address: SocketAddr = status["running"]["addresses"][0].as_str().unwrap().parse().unwrap();
        let mut alice = RawClient::connect(address);
        assert_eq!(alice.register(&ALICE), ToClient::Registered);
        assert_eq!(asks(&["user", "disable", "alice"]), (Some(0), String::new()), "{dead}");
        assert_eq!(asks(&["user", "disable", "zoe"]).0, Some(7), "{dead}");
        assert_eq!(asks(&["user", "delete", "alice"]).0, Some(0), "{dead}");
        assert_eq!(asks(&["--listn"]).0, Some(2), "{dead}");
        assert_eq!(asks(&["--listen", "127.0.0.1"]).0, Some(78), "{dead}");
        signal(server.id(), "TERM");
        assert_eq!(server.wait().unwrap().code(), Some(0), "{dead}");

        for (words, code) in [
            (&["users", "--server", "127.0.0.1:1", "--user", "zoe", "--no-input"][..], 3),
            (&["--nonsense"], 2),
            (&["--version"], 0),
            (&["fingerprint"], 2),
        ] {
            let usual = process::run(process::command(CLIENT, home.folder.path()).args(words), b"");
            assert!(matches!(usual.code, Some(0..=78)), "{usual:?}");
            let found = ended(CLIENT, words);
            assert_eq!(found, (usual.code, usual.stdout), "{dead}: {words:?} is mostly {code}");
        }
    }
}

/// Nothing takes what is written to it: no room, no file, no reader.
const DEAD: [&str; 3] = ["2>/dev/full", "2>&-", "no reader"];

fn with_dead_stderr(home: &Home, program: &str, words: &[&str], dead: &str) -> std::process::Command {
    let mut command = process::command("/bin/sh", home.folder.path());
    let redirection = if dead == "no reader" { "" } else { dead };
    command.args(["-c", &format!("exec \"$@\" {redirection}"), "sh", program]).args(words);
    // Its other end is closed at once.
    let (_, writer) = std::io::pipe().unwrap();
    command.stderr(writer);
    command
}

#[test]
fn a_signal_ends_the_server_in_order() {
    for signal in ["TERM", "INT", "QUIT"] {
        let home = home();
        let mut server = ServerProcess::start(home.folder.path());
        server.running.signal(signal);
        assert_eq!(server.running.wait().code(), Some(0), "{signal}");
        assert_eq!(server.running.seen.last().map(String::as_str), Some("stopped"));
    }
}

#[test]
fn the_version_names_openssl_and_the_help_says_what_the_server_sees() {
    let home = home();
    let version = run(&home, &["--version"]);
    let expected = format!("topchat-server {} ({})\n", env!("CARGO_PKG_VERSION"), topchat::crypto::openssl_version());
    printed(&version, &expected);
    let help = run(&home, &["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for part in [
        "Examples:\n  topchat-server --data-dir data/server",
        "The server sees who writes to whom, when, and how much.",
        "DES (56 bits)",
    ] {
        assert!(help.stdout.contains(part), "no {part:?} in:\n{}", help.stdout);
    }
    assert!(!help.stdout.contains('\u{1b}'));
}

/// `localhost` is both loopback addresses, with one port, and a client finds the server at either.
#[test]
fn a_server_on_localhost_listens_on_both_loopback_addresses() {
    let home = home();
    let mut command = process::command(SERVER, home.folder.path());
    let mut running = process::Running::start(command.args(["--listen", "localhost:0", "--data-dir", "data"]));
    let listening = running.wait_for("listening");
    let addresses = listening.strip_prefix("listening   ").unwrap().split("   ").next().unwrap();
    let addresses: Vec<SocketAddr> = addresses.split(", ").map(|address| address.parse().unwrap()).collect();
    assert_eq!(addresses[0].ip().to_string(), "127.0.0.1");
    assert!(listening.contains("   this machine only (open to others: --listen 0.0.0.0:"), "{listening}");
    let data = running.wait_for("data  ");
    assert!(data.contains("registration open, since only this machine can connect"), "{data}");
    running.wait_for("ready");
    // A machine without IPv6 has the first one alone, which is told.
    match TcpListener::bind("[::1]:0") {
        Ok(_) => assert_eq!(addresses[1..], [SocketAddr::new("::1".parse().unwrap(), addresses[0].port())]),
        Err(_) => assert!(running.seen.iter().any(|line| line.contains("warning: not listening on [::1]:"))),
    }
    for (address, person) in addresses.iter().zip([&ALICE, &BOB]) {
        assert_eq!(RawClient::connect(*address).register(person), ToClient::Registered);
    }
    let status = run(&home, &["status"]);
    assert!(
        status.stdout.contains(&format!(
            "listening      {}",
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        )),
        "{status:?}"
    );
}

#[test]
fn an_address_of_ipv4_written_as_one_of_ipv6_is_this_machine_alone() {
    let home = home();
    let mut command = process::command(SERVER, home.folder.path());
    let mut running = process::Running::start(command.args(["--listen", "[::ffff:127.0.0.1]:0", "--data-dir", "data"]));
    let listening = running.wait_for("listening");
    assert!(listening.contains("   this machine only (open to others: "), "{listening}");
}
