//! Servers that are not there, not what they should be, not what they were, or full.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use topchat::server::{Registration, Settings};
use topchat::storage::lock::Lock;
use topchat::wire::to_server::Mode;

use super::home::{Home, printed, refused};
use crate::liar::server::Liar;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{Running, ServerProcess};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const IS_IT_RUNNING: &str = "hint: is the server running there? (topchat-server, or make run-server; \
                             the address is set by --server)\n";

fn users(home: &Home) -> crate::support::process::Finished {
    home.run_in(&["users"])
}

fn not_topchat(address: SocketAddr) -> String {
    format!(
        "error: {address} is not a TopChat server\n\
         hint: see --server HOST:PORT; its start lines name the server's address\n"
    )
}

/// Answers every connection on a port with these bytes as long as the test lives.
fn answers(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            if !bytes.is_empty() {
                // The client speaks first.
                let _ = socket.read(&mut [0; 1024]);
                let _ = socket.write_all(bytes);
            }
        }
    });
    address
}

#[test]
fn a_server_that_is_not_there_is_told_with_its_address() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = Home::with_keys(address, &ALICE);
    let stderr = format!("error: no connection to {address}: connection refused\n{IS_IT_RUNNING}");
    refused(&users(&home), 3, &stderr);
    refused(&home.run_in(&["send", "bob", "hi"]), 3, &stderr);
    let finished = home.run_in(&["users", "--server", "nowhere.invalid:7777"]);
    refused(&finished, 3, "error: no connection to nowhere.invalid:7777: no such host\nhint: see --server HOST:PORT\n");
}

#[test]
fn another_program_on_the_port_is_no_topchat_server() {
    let http = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for bytes in [&http[..], b"220 mail.example.org ESMTP\r\n", b"\0\0\0\x05\x8d\0\x01\x02\x03", &[0xff; 64]] {
        let address = answers(bytes);
        refused(&users(&Home::with_keys(address, &ALICE)), 3, &not_topchat(address));
    }
}

#[test]
fn a_tls_server_of_something_else_is_no_topchat_server() {
    let home = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    home.openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout key.pem -out cert.pem",
    );
    for alpn in [&[][..], &["-alpn", "h2,http/1.1"], &["-alpn", "topchat/1"]] {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-cert", "cert.pem", "-key", "key.pem"]).args(alpn);
        command.current_dir(home.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::start(&mut command);
        let stdout = running.child().stdout.take().expect("stdout is piped");
        let address = accepting_at(stdout);
        let finished = home.run_in(&["users", "--server", &address.to_string()]);
        let words = if alpn.is_empty() { not_topchat(address) } else { other_version(address) };
        refused(&finished, 3, &words);
    }
}

fn other_version(address: SocketAddr) -> String {
    format!(
        "error: {address} is not a TopChat server, or one of another version (this client speaks topchat/2)\n\
         hint: see --server HOST:PORT; if it is the right one, compare the versions of both programs (--version), \
         and update the older one\n"
    )
}

/// Reads `ACCEPT 127.0.0.1:PORT`, which s_server prints once it listens.
fn accepting_at(stdout: impl Read) -> SocketAddr {
    use std::io::{BufRead, BufReader};
    let lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let address = lines.filter_map(|line| line.strip_prefix("ACCEPT ")?.trim().parse().ok()).next();
    address.expect("s_server must tell where it listens")
}

#[test]
fn a_server_that_closes_every_connection_at_once_is_busy() {
    let address = answers(b"");
    let stderr =
        format!("error: the server at {address} is busy\nhint: try again in a moment, or run with --wait to queue\n");
    refused(&users(&Home::with_keys(address, &ALICE)), 5, &stderr);
}

#[test]
fn a_changed_server_is_refused_with_both_identities_before_anything_is_sent() {
    let server = TestServer::start();
    let address = server.address;
    let home = Home::of_member(address, &ALICE);
    let was = pinned(&home, &server);
    drop(server.stop());

    let other = TestServer::on(&address.to_string(), Settings::default());
    let fresh = Home::of_member(address, &ALICE);
    let now = pinned(&fresh, &other);
    assert_ne!(was, now);
    let stderr = format!(
        "error: THE SERVER'S IDENTITY HAS CHANGED ({address}). Nothing was sent.\n  was SHA256:{was}\n  now SHA256:{now}\n\
         hint: someone may stand between you and the server. If its owner confirms the new identity: \
         topchat users --server {address} --server-fingerprint SHA256:{now}\n"
    );
    for words in [
        &["users"][..],
        &["send", "ALL", "hi"],
        &["listen"],
        &["register", "alice"],
        &["passwd", "--new-password-file", "password"],
    ] {
        refused(&home.run_in(words), 4, &stderr);
    }
    // Also before anybody is asked for a password.
    refused(&home.run(&["users"]), 4, &stderr);
    // What the owner confirms takes the place of what was pinned; what is given must be there.
    let given = format!("SHA256:{now}");
    assert_eq!(home.run_in(&["users", "--server-fingerprint", &given]).code, Some(0));
    assert_eq!(users(&home).code, Some(0));
    let finished = home.run_in(&["users", "--server-fingerprint", &was]);
    refused(&finished, 4, &stderr);
}

/// The identity that is pinned after a first contact.
fn pinned(home: &Home, server: &TestServer) -> String {
    assert_eq!(users(home).code, Some(0));
    let pins: serde_json::Value = serde_json::from_str(&home.read("state/servers.json")).unwrap();
    pins["servers"][server.address.to_string()]["identity"].as_str().unwrap().to_owned()
}

#[test]
fn a_full_server_says_so_and_a_queue_waits_for_the_seat() {
    let server = TestServer::with(Settings { max_clients: 1, ..Settings::default() });
    let home = Home::of_member(server.address, &ALICE);
    let seated = RawClient::member(server.address, &BOB, Mode::Receiving);
    let stderr = "error: the server is full: 1 of 1 clients. Try again in about 30 s, or run with --wait to queue.\n";
    refused(&users(&home), 5, stderr);
    refused(&home.run_in(&["send", "bob", "hi"]), 5, stderr);

    let mut queue = Running::start(home.topchat(&["users", "--wait"]).args(["--password-file", "password"]));
    queue.wait_for("the server is full. Waiting...");
    drop(seated);
    assert_eq!(queue.wait().code(), Some(0));
}

#[test]
fn a_server_that_takes_no_accounts_says_so() {
    let server = TestServer::with(Settings { registration: Some(Registration::Closed), ..Settings::default() });
    refused(
        &Home::with_keys(server.address, &ALICE).run_in(&["register", "alice"]),
        6,
        "error: this server takes no new accounts\n\
         hint: ask the server's owner to open it (--registration open)\n",
    );
    let server = TestServer::with(Settings { max_accounts: 1, ..Settings::default() });
    let _first = Home::of_member(server.address, &BOB);
    refused(
        &Home::with_keys(server.address, &ALICE).run_in(&["register", "alice"]),
        5,
        "error: this server takes no more accounts\n",
    );
}

#[test]
fn a_state_file_that_holds_something_else_is_refused_and_left_alone() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    assert_eq!(users(&home).code, Some(0));
    let folder = format!("state/{}/alice", server.address);
    for (path, words) in [
        ("state/servers.json".to_owned(), &["users"][..]),
        (format!("{folder}/contacts.json"), &["users"]),
        (format!("{folder}/sequence.json"), &["send", "ALL", "hi"]),
    ] {
        for (content, why) in [
            ("", "the checksum does not hold"),
            ("{\"v\":2", "the checksum does not hold"),
            ("{\"v\":1}", "it is of version 1 of its format, and this program reads version"),
        ] {
            let good = std::fs::read(home.path(&path)).ok();
            topchat::client::model::state_folder::parts(home.path(&path).parent().unwrap()).begin().unwrap();
            home.file(&path, content.as_bytes());
            let finished = home.run_in(words);
            assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{finished:?}");
            let hint = "\nhint: nothing was changed: put the file back from a backup; without it ";
            assert!(finished.stderr.starts_with(&format!("error: {path}: {why}")), "{finished:?}");
            assert!(finished.stderr.contains(hint), "{finished:?}");
            assert_eq!(home.read(&path), content);
            match good {
                Some(good) => drop(home.file(&path, &good)),
                None => std::fs::remove_file(home.path(&path)).unwrap(),
            }
        }
    }
    printed(&users(&home), &format!("{:<32} away\n", "alice"));
}

#[test]
fn a_held_lock_is_waited_for_two_seconds_and_its_holder_named() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    std::fs::create_dir(home.path("state")).unwrap();
    std::fs::set_permissions(home.path("state"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let _lock = Lock::try_acquire(&home.path("state/servers.lock")).unwrap();
    let own = std::process::id();
    let stderr = format!("error: state is in use by process {own}\nhint: stop process {own} first\n");
    refused(&users(&home), 3, &stderr);
}

/// Connecting, TLS and the login are in the time, too.
#[test]
fn all_of_a_send_ends_with_its_timeout_wherever_the_server_stops() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(folder.path());
    let home = Home::of_member(server.address, &ALICE);
    assert_eq!(users(&home).code, Some(0));
    let send = |home: &Home| {
        let begun = Instant::now();
        let finished = home.run_in(&["send", "alice", "hi", "--timeout", "2"]);
        // Above it only what a busy machine takes to open two keys.
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        finished
    };
    server.running.signal("STOP");
    let stderr = format!("error: no connection to {}: no answer within 2 s\n{IS_IT_RUNNING}", server.address);
    refused(&send(&home), 3, &stderr);
    server.running.kill();

    let liar = Liar::start();
    let address = liar.address();
    let home = Home::with_keys(address, &ALICE);
    let finished = std::thread::scope(|scope| {
        let finished = scope.spawn(|| send(&home));
        let _silent = liar.accept();
        finished.join().unwrap()
    });
    let stderr =
        format!("error: no answer from {address} within 2 s\nhint: try again, or wait longer with --timeout SECONDS\n");
    refused(&finished, 3, &stderr);
}

#[test]
fn the_time_that_a_password_takes_is_nobodys() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let slow = "sleep 6; cat password";
    let finished = home.run(&["send", "alice", "hi", "--timeout", "5", "--password-command", slow]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}
