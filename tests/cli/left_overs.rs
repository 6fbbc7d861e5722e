//! What earlier accounts and killed processes left on a machine.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::home::{Home, refused};
use crate::support::people::{ALICE, BOB};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// Names in a folder, without those of locks.
fn names(home: &Home, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(home.path(folder)).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.ends_with("lock"));
    names.sort();
    names
}

/// Alice, whose contact Bob is, and her folder of state.
fn alice_who_knows_bob(server: &TestServer) -> (Home, String) {
    assert_eq!(RawClient::connect(server.address).register(&BOB), topchat::wire::ToClient::Registered);
    let home = Home::of_member(server.address, &ALICE);
    assert_eq!(home.run_in(&["send", "bob", "hi"]).code, Some(0));
    let state = format!("state/{}", server.address);
    assert!(names(&home, &format!("{state}/alice")).contains(&"contacts.json".to_owned()));
    (home, state)
}

#[test]
fn a_new_account_takes_over_nothing_of_an_earlier_one_with_its_name() {
    let server = TestServer::start();
    let (home, state) = alice_who_knows_bob(&server);
    let mut before = names(&home, &format!("{state}/alice"));
    assert_eq!(home.run_in(&["delete-account", "--yes"]).code, Some(0));
    // That the server had the account goes with the account.
    before.retain(|name| name != "known.json");

    // The same keys are the same account: so it is after an answer that was lost.
    let again = home.run_in(&["register", "alice"]);
    assert_eq!(again.code, Some(0));
    assert!(!again.stderr.contains("set aside"), "{}", again.stderr);
    assert_eq!((names(&home, &state), names(&home, &format!("{state}/alice"))), (vec!["alice".into()], before.clone()));

    assert_eq!(home.run_in(&["delete-account", "--yes"]).code, Some(0));
    fs::remove_dir_all(home.path("keys/users/alice")).unwrap();
    let finished = home.run_in(&["register", "alice", "--bits", "2048"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let aside =
        names(&home, &state).into_iter().find(|name| name.starts_with("alice.before-")).expect("a folder aside");
    let told = format!("contacts and messages of an earlier alice on this machine are set aside in {state}/{aside}\n");
    assert!(finished.stderr.contains(&told), "{}", finished.stderr);
    assert_eq!(names(&home, &format!("{state}/{aside}")), before);
    assert_eq!(home.run_in(&["contacts"]).stdout, "");
    assert!(!home.path(&format!("{state}/alice/contacts.json")).exists());
}

/// What is missing of an account's keys is told, by whatever is asked for, and is no reason to make an account.
#[test]
fn a_key_file_that_is_gone_is_told_and_never_made_anew() {
    let server = TestServer::start();
    let (home, _) = alice_who_knows_bob(&server);
    let users = home.run_in(&["users"]).stdout;
    for gone in ["keys/users/alice/identity.pem", "keys/users/alice/ed25519.pem", "keys/users/alice"] {
        fs::rename(home.path(gone), home.path("aside")).unwrap();
        let told = format!(
            "error: {gone} is gone, of the keys of alice\n\
             hint: nothing was changed: put it back from a backup, or name the folder of its keys with --keys-dir; \
             without it nobody can log in as alice, and the name stays taken on its server\n"
        );
        for words in [&["users"][..], &["users", "--user", "alice"], &["keys", "export"], &["passwd"], &["listen"]] {
            refused(&home.run_in(words), 3, &told);
        }
        if gone.ends_with(".pem") {
            refused(&home.run_in(&["register", "alice"]), 3, &told);
            // What is behind it shows that it was there; and so does what only an account has that was used.
            let public = gone.replace(".pem", ".pub.pem");
            fs::rename(home.path(&public), home.path("public")).unwrap();
            home.file("keys/users/alice/before.json", b"");
            refused(&home.run_in(&["register", "alice"]), 3, &told);
            fs::remove_file(home.path("keys/users/alice/before.json")).unwrap();
            fs::rename(home.path("public"), home.path(&public)).unwrap();
        }
        assert!(!home.path(gone).exists());
        fs::rename(home.path("aside"), home.path(gone)).unwrap();
        assert_eq!(home.run_in(&["users"]).stdout, users, "{gone}");
    }
    for public in ["keys/users/alice/identity.pub.pem", "keys/users/alice/encryption.pub.pem"] {
        fs::remove_file(home.path(public)).unwrap();
        let told = format!("{public} was gone and is made again from its private half");
        let again = home.run_in(&["users"]);
        assert!(again.stdout == users && again.stderr.contains(&told), "{}", again.stderr);
        assert_eq!(home.run_in(&["users"]).stderr, "");
    }
}

#[test]
fn a_registration_that_is_refused_leaves_everything_where_it_was() {
    let server = TestServer::start();
    let (home, state) = alice_who_knows_bob(&server);
    let before = names(&home, &format!("{state}/alice"));
    fs::remove_dir_all(home.path("keys/users/alice")).unwrap();
    let finished = home.run_in(&["register", "alice", "--bits", "2048"]);
    assert_eq!(finished.code, Some(6), "{}", finished.stderr);
    assert!(!finished.stderr.contains("set aside"), "{}", finished.stderr);
    assert_eq!((names(&home, &state), names(&home, &format!("{state}/alice"))), (vec!["alice".into()], before));
}

#[test]
fn unfinished_files_of_killed_processes_go_and_those_of_others_stay() {
    let server = TestServer::start();
    let (home, state) = alice_who_knows_bob(&server);
    let own = format!("{state}/alice");
    let folders = ["keys", "keys/users/alice", "keys/users/alice/retired", "keys/users/alice/former", "state", &own];
    let abandoned = folders.map(|folder| {
        fs::create_dir_all(home.path(folder)).unwrap();
        fs::set_permissions(home.path(folder), Permissions::from_mode(0o700)).unwrap();
        home.file(&format!("{folder}/.unfinished-Ab12Cd.tmp"), b"half")
    });
    let alive = File::open(home.file(&format!("{own}/.unfinished-alive1.tmp"), b"half")).unwrap();
    alive.lock().unwrap();
    symlink(home.path("password"), home.path(&format!("{own}/.unfinished-link00.tmp"))).unwrap();
    fs::create_dir(home.path(&format!("{own}/.unfinished-folder.tmp"))).unwrap();
    home.file(&format!("{own}/unfinished-Ab12Cd.tmp"), b"somebody's");

    refused_nothing(&home);
    assert!(abandoned.iter().all(|path| !path.exists()), "{abandoned:?}");
    for stays in [".unfinished-alive1.tmp", ".unfinished-folder.tmp", ".unfinished-link00.tmp", "unfinished-Ab12Cd.tmp"]
    {
        assert!(fs::symlink_metadata(home.path(&format!("{own}/{stays}"))).is_ok(), "{stays}");
    }
    drop(alive);
    refused_nothing(&home);
    assert!(!home.path(&format!("{own}/.unfinished-alive1.tmp")).exists());
}

fn refused_nothing(home: &Home) {
    let finished = home.run_in(&["users", "--quiet"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_is_no_file_is_no_exported_account_and_is_not_waited_for() {
    let home = Home::new("127.0.0.1:1".parse().unwrap());
    fs::create_dir(home.path("folder")).unwrap();
    symlink(home.path("password"), home.path("link")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(home.path("fifo")).status().unwrap();
    assert!(fifo.success());
    for (name, found, code, hint) in [
        (
            "fifo",
            "a named pipe, not a file that topchat keys export wrote",
            2,
            "give it as input: topchat keys import - < PIPE",
        ),
        ("/dev/zero", "a device, not a file that topchat keys export wrote", 2, "name the file, or - for stdin"),
        ("folder", "a folder, not a file that topchat keys export wrote", 2, "name a file in it"),
        ("link", "a symbolic link, not a regular file", 3, "links are not followed: put the file itself at link"),
    ] {
        let told = format!("error: {name} is {found}\nhint: {hint}\n");
        refused(&home.run_in(&["keys", "import", name]), code, &told);
    }
    // Without end.
    let mut endless = home.topchat(&["keys", "import", "-", "--password-file", "password"]);
    let endless = endless.stdin(File::open("/dev/zero").unwrap()).output().unwrap();
    assert_eq!(
        (endless.status.code(), String::from_utf8_lossy(&endless.stderr).as_ref()),
        (Some(3), "error: stdin is longer than 16777216 bytes\n")
    );
    assert!(!home.path("keys").exists() && !home.path("state").exists());
}
