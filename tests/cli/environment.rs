//! Foreign environments: an openssl.cnf that somebody else wrote, a key log that can't be written, variables that say nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::home::Home;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{self, Finished, SERVER, ServerProcess};
use crate::support::raw::RawClient;

/// What an openssl.cnf says of TLS, for every program of the machine.
const TLS: [(&str, &str); 5] = [
    ("an older version", "MaxProtocol = TLSv1.2\n"),
    ("no TLS 1.3", "Protocol = -TLSv1.3\nGroups = P-521\nCiphersuites = TLS_CHACHA20_POLY1305_SHA256\n"),
    ("a high level", "CipherString = DEFAULT@SECLEVEL=5\n"),
    ("RSA alone", "SignatureAlgorithms = RSA+SHA256:RSA-PSS+SHA256\nClientSignatureAlgorithms = RSA+SHA256\n"),
    ("certificates of clients", "VerifyMode = Require\nOptions = ServerPreference\n"),
];
/// What it says of algorithms.
const PROVIDERS: [(&str, &str); 3] = [
    ("legacy", "openssl_conf = init\n[init]\nproviders = p\n[p]\nlegacy = a\n[a]\nactivate = 1\n"),
    ("base", "openssl_conf = init\n[init]\nproviders = p\n[p]\nbase = a\n[a]\nactivate = 1\n"),
    (
        "fips",
        "openssl_conf = init\n[init]\nproviders = p\nalg_section = q\n[p]\ndefault = a\n[a]\nactivate = 1\n\
         [q]\ndefault_properties = fips=yes\n",
    ),
];

fn tls_configuration(folder: &Path, lines: &str) -> PathBuf {
    let path = folder.join("openssl.cnf");
    let head = "openssl_conf = init\n[init]\nssl_conf = ssl\nproviders = p\n[ssl]\nsystem_default = s\n\
                [p]\ndefault = a\n[a]\nactivate = 1\n[s]\n";
    fs::write(&path, format!("{head}{lines}")).unwrap();
    path
}

fn server(folder: &Path, variable: &str, value: &Path) -> Command {
    let mut command = process::command(SERVER, folder);
    command.args(["--listen", "127.0.0.1:0", "--data-dir", "data"]).env(variable, value);
    command
}

fn with(home: &Home, words: &[&str], variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Finished {
    let mut command = home.topchat(words);
    process::run(command.args(["--password-file", "password"]).env(variable, value), b"")
}

#[test]
fn what_openssl_cnf_says_of_tls_changes_nothing() {
    for (what, lines) in TLS {
        let folder = tempfile::tempdir().unwrap();
        let configuration = tls_configuration(folder.path(), lines);
        let server = ServerProcess::run(&mut server(folder.path(), "OPENSSL_CONF", &configuration));
        // A client without it, and one with it.
        RawClient::connect(server.address).register(&BOB);
        let home = Home::of_member(server.address, &ALICE);
        let finished = with(&home, &["send", "bob", "hi"], "OPENSSL_CONF", &configuration);
        assert_eq!(finished.code, Some(0), "{what}: {finished:?}");
        assert!(finished.stdout.ends_with(" queued\n"), "{what}: {finished:?}");
    }
}

#[test]
fn an_algorithm_that_openssl_cnf_leaves_out_is_told_with_that_file_and_nothing_is_blamed_on_another() {
    let running = tempfile::tempdir().unwrap();
    let good = ServerProcess::start(running.path());
    for (what, lines) in PROVIDERS {
        let home = Home::with_keys(good.address, &ALICE);
        let configuration = home.path("openssl.cnf");
        fs::write(&configuration, lines).unwrap();
        let server = process::run(&mut server(home.folder.path(), "OPENSSL_CONF", &configuration), b"");
        let client = with(&home, &["users"], "OPENSSL_CONF", &configuration);
        for (finished, code) in [(server, 78), (client, 3)] {
            assert_eq!(finished.code, Some(code), "{what}: {finished:?}");
            assert!(finished.stderr.starts_with("error: OpenSSL "), "{what}: {finished:?}");
            assert!(finished.stderr.contains(" here, which TopChat needs: "), "{what}: {finished:?}");
            assert!(finished.stderr.contains(&format!("hint: {} sets ", configuration.display())), "{finished:?}");
        }
        assert!(!home.path("data").exists(), "nothing is made for a server that can't be");
    }
}

#[test]
fn a_key_log_that_can_not_be_written_is_told_by_its_variable_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let first = ServerProcess::start(folder.path());
    let identity = fs::read(folder.path().join("data/tls.pem")).unwrap();
    drop(first);
    for (name, path) in [("no folder", folder.path().join("nowhere/keys.log")), ("a pipe", fifo)] {
        let mut server = ServerProcess::run(&mut server(folder.path(), "SSLKEYLOGFILE", &path));
        let told = format!("SSLKEYLOGFILE names {}, which can't be written: ", path.display());
        assert!(server.running.seen.iter().any(|line| line.contains(&told)), "{name}: {:?}", server.running.seen);
        let home = Home::with_keys(server.address, &ALICE);
        if name == "no folder" {
            RawClient::connect(server.address).register(&ALICE);
        }
        let finished = with(&home, &["users", "--timeout", "20"], "SSLKEYLOGFILE", &path);
        assert_eq!(finished.code, Some(0), "{name}: {finished:?}");
        assert!(finished.stderr.contains(&told), "{name}: {finished:?}");
        server.running.signal("TERM");
        assert_eq!(server.running.wait().code(), Some(0), "{name}");
    }
    assert_eq!(fs::read(folder.path().join("data/tls.pem")).unwrap(), identity);
}

#[test]
fn a_variable_that_is_set_to_nothing_is_one_that_is_not_set() {
    let server = crate::support::server::TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut command = home.topchat(&["users", "--password-file", "password"]);
    for name in
        ["USER", "KEYS_DIR", "STATE_DIR", "GROUP_KEY", "SERVER_FINGERPRINT", "ACCEPT_NEW_KEYS", "HISTORY", "COMMAND"]
    {
        command.env(format!("TOPCHAT_{name}"), "");
    }
    let stated = ["--keys-dir", "keys", "--state-dir", "state"];
    let finished = process::run(command.args(stated), b"");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    // The default, and not the empty word.
    let finished = with(&Home::at("127.0.0.1:1"), &["users", "--user", "alice"], "TOPCHAT_SERVER", "");
    assert!(!finished.stderr.contains("is no server address"), "{finished:?}");

    let folder = tempfile::tempdir().unwrap();
    let mut command = process::command(SERVER, folder.path());
    command.args(["--data-dir", "data", "--listen", "127.0.0.1:0"]);
    for name in ["MAX_CLIENTS", "REGISTRATION", "RATE", "DURABILITY", "LISTEN", "DATA_DIR", "MAILBOX_DAYS"] {
        command.env(format!("TOPCHAT_{name}"), "");
    }
    ServerProcess::run(&mut command);
}

#[test]
fn an_unknown_variable_is_told_and_what_is_wrong_in_a_known_one_is_told_with_its_name() {
    let home = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    let finished = with(&home, &["contacts", "--user", "alice"], "TOPCHAT_SERVR", "x:1");
    assert!(
        finished.stderr.contains("the variable TOPCHAT_SERVR means nothing here. Did you mean TOPCHAT_SERVER?\n"),
        "{finished:?}"
    );
    for (variable, value, code) in [
        ("TOPCHAT_SERVER", "nowhere:port", 2),
        ("TOPCHAT_SERVER", "nowhere.invalid:7777", 3),
        ("TOPCHAT_SERVER_FINGERPRINT", "12", 2),
        ("TOPCHAT_USER", "Alice", 2),
        ("TOPCHAT_ACCEPT_NEW_KEYS", "sometimes", 2),
    ] {
        let mut command = process::command(process::CLIENT, home.folder.path());
        let words = "users --no-input --password-file password --keys-dir keys --state-dir state";
        let finished = process::run(command.args(words.split(' ')).env(variable, value), b"");
        assert_eq!(finished.code, Some(code), "{variable}: {finished:?}");
        assert!(finished.stderr.contains(variable), "{variable}: {finished:?}");
    }
    for (variable, value, code) in
        [("TOPCHAT_LISTEN", "7777", 78), ("TOPCHAT_MAX_CLIENTS", "many", 2), ("TOPCHAT_DATA_DIR", "/proc/nowhere", 3)]
    {
        let finished = process::run(&mut server_at(&home, variable, value), b"");
        assert_eq!(finished.code, Some(code), "{variable}: {finished:?}");
        assert!(finished.stderr.contains(variable), "{variable}: {finished:?}");
    }
}

fn server_at(home: &Home, variable: &str, value: &str) -> Command {
    let mut command = process::command(SERVER, home.folder.path());
    if variable != "TOPCHAT_DATA_DIR" {
        command.args(["--data-dir", "data"]);
    }
    command.env(variable, value);
    command
}

#[test]
fn a_time_zone_that_is_not_known_is_told_once_where_times_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::run(&mut server(folder.path(), "TZ", Path::new("Nowhere/Land")));
    let told = "warning: the time zone is not known, so times are UTC: TZ=Nowhere/Land";
    let times = |lines: &[String]| lines.iter().filter(|line| line.ends_with(told)).count();
    assert_eq!(times(&server.running.seen), 1, "{:?}", server.running.seen);
    let home = Home::of_member(server.address, &ALICE);
    assert_eq!(home.run_in(&["history", "on"]).code, Some(0));
    for (words, expected) in [
        (&["login"][..], 1),
        (&["listen", "--timeout", "0"], 1),
        (&["history"], 1),
        (&["listen", "--timeout", "0", "--json"], 0),
        (&["users"], 0),
    ] {
        let finished = with(&home, words, "TZ", "Nowhere/Land");
        let lines: Vec<_> = finished.stderr.lines().map(str::to_owned).collect();
        assert_eq!(times(&lines), expected, "{words:?}: {finished:?}");
        assert!(!with(&home, words, "TZ", "UTC").stderr.contains("time zone"), "{words:?}");
    }
    let mut owners = process::command(SERVER, folder.path());
    owners.args(["--data-dir", "data", "doctor"]);
    for mut doctor in [home.topchat(&["doctor", "--timeout", "20"]), owners] {
        let finished = process::run(doctor.env("TZ", "Nowhere/Land"), b"");
        let lines = "failed  the time zone is not known, so times are UTC: TZ=Nowhere/Land\n        \
                     hint: set TZ, for example TZ=Europe/Berlin, or install the system's time zones (tzdata)\n";
        assert!(finished.code == Some(3) && finished.stdout.contains(lines), "{finished:?}");
    }
}
