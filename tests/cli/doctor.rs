//! `topchat doctor` and `topchat-server doctor`: every check on a line, and the first that fails decides the exit code.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::home::Home;
use crate::support::people::ALICE;
use crate::support::process::{self, Finished, SERVER, ServerProcess};
use crate::support::server::TestServer;

fn owner(home: &Home, words: &[&str]) -> std::process::Command {
    let mut command = process::command(SERVER, home.folder.path());
    command.args(["--data-dir", "data"]).args(words).arg("doctor");
    command
}

#[track_caller]
fn failed(finished: &Finished, code: i32) -> Vec<&str> {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    assert!(finished.stderr.starts_with("error: ") && finished.stderr.ends_with(" checks failed\n"), "{finished:?}");
    finished.stdout.lines().filter(|line| line.starts_with("failed  ")).collect()
}

#[test]
fn where_all_is_well_every_check_is_told_and_nothing_changes() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    fs::create_dir(home.path("state")).unwrap();
    fs::set_permissions(home.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    let finished = home.run(&["doctor", "--timeout", "20"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.lines().all(|line| line.starts_with("ok      ")), "{finished:?}");
    for part in
        ["OpenSSL", "TOPCHAT_", "SSLKEYLOGFILE", "zone", "alice has all key files", "group.key", "(not seen before"]
    {
        assert!(finished.stdout.contains(part), "{part}: {finished:?}");
    }
    assert_eq!(fs::read_dir(home.path("state")).unwrap().count(), 0, "no server is pinned by a look");

    let finished = process::run(&mut owner(&home, &["--listen", "127.0.0.1:0"]), b"");
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.stdout.contains("ok      127.0.0.1:0 can be listened on\n"), "{finished:?}");
    assert!(!home.path("data").exists(), "no folder is made by a look");
}

#[test]
fn a_server_that_runs_is_told_and_its_address_is_no_fault() {
    let home = Home::at("127.0.0.1:1");
    let server = ServerProcess::start(home.folder.path());
    let address = server.address.to_string();
    let finished = process::run(&mut owner(&home, &["--listen", &address]), b"");
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains(&format!("as process {}", server.running.id())), "{finished:?}");
    assert!(finished.stdout.contains("ok      the data folder has every part that was made\n"), "{finished:?}");
    drop(server);
    fs::remove_file(home.path("data/accounts.jsonl")).unwrap();
    let finished = process::run(&mut owner(&home, &["--listen", "127.0.0.1:0"]), b"");
    assert_eq!(failed(&finished, 78), ["failed  data/accounts.jsonl is gone"]);
}

#[test]
fn an_openssl_cnf_that_leaves_algorithms_out_is_told_among_the_checks() {
    let home = Home::at("127.0.0.1:1");
    let lines = "openssl_conf = init\n[init]\nproviders = p\n[p]\nlegacy = a\n[a]\nactivate = 1\n";
    fs::write(home.path("openssl.cnf"), lines).unwrap();
    let configuration = home.path("openssl.cnf");
    let server = process::run(owner(&home, &["--listen", "127.0.0.1:0"]).env("OPENSSL_CONF", &configuration), b"");
    let client = process::run(home.topchat(&["doctor"]).env("OPENSSL_CONF", &configuration), b"");
    for (finished, code) in [(server, 78), (client, 3)] {
        let told = failed(&finished, code);
        assert!(told.len() == 1 && told[0].contains(" here, which TopChat needs: "), "{finished:?}");
        assert!(finished.stdout.contains(&format!("        hint: {} sets ", configuration.display())), "{finished:?}");
        assert!(finished.stdout.lines().any(|line| line.starts_with("ok      ")), "the others are told, too");
    }
}

#[test]
fn loose_folders_and_variables_that_mean_nothing_fail_with_a_hint() {
    let home = Home::with_keys(TestServer::start().address, &ALICE);
    fs::create_dir(home.path("data")).unwrap();
    for folder in ["keys", "data"] {
        fs::set_permissions(home.path(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let server = process::run(owner(&home, &["--listen", "127.0.0.1:0"]).env("TOPCHAT_LISTN", "x"), b"");
    let client = process::run(home.topchat(&["doctor"]).env("TOPCHAT_SERVR", "x"), b"");
    for (finished, code, variable, folder) in [
        (server, 78, "TOPCHAT_LISTN means nothing here. Did you mean TOPCHAT_LISTEN?", "data"),
        (client, 3, "TOPCHAT_SERVR", "keys"),
    ] {
        let told = failed(&finished, code);
        for part in [variable, folder] {
            assert!(told.iter().any(|line| line.contains(part)), "{part}: {finished:?}");
        }
        assert!(finished.stdout.matches("\n        hint: ").count() >= 2, "{finished:?}");
    }
}

#[test]
fn an_address_that_is_in_use_and_a_server_that_is_away_fail_and_programs_can_read_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = Home::at("127.0.0.1:1");
    let server = process::run(owner(&home, &["--listen", &address]).arg("--json"), b"");
    let client = home.run(&["doctor", "--json", "--timeout", "20"]);
    for (finished, name, begin) in [(server, "address", "can't listen on "), (client, "server", "")] {
        assert_eq!(finished.code, Some(3), "{finished:?}");
        let lines: Vec<Value> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let failed: Vec<_> = lines.iter().filter(|line| line["ok"] == false).collect();
        assert_eq!(failed.len(), 1, "{finished:?}");
        assert_eq!((failed[0]["type"].as_str(), failed[0]["name"].as_str()), (Some("check"), Some(name)));
        assert!(
            failed[0]["words"].as_str().unwrap().starts_with(begin) && failed[0]["hint"].is_string(),
            "{finished:?}"
        );
    }
}
