//! Key files that can't be used: each is refused by its path, with the remedy, before anything reaches a server.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::home::{Home, refused};
use crate::support::people::ALICE;
use crate::support::process::{self, CLIENT};

const IDENTITY: &str = "keys/users/alice/identity.pem";
const ENCRYPTION: &str = "keys/users/alice/encryption.pem";
const GROUP: &str = "keys/group.key";
const AS_MADE: &str = "it should be as scripts/gen-user-keys.sh or topchat register make it; \
                       keys/users/alice/identity.pem was left as it is";
const NEW_KEYS: &str = "make new keys in another folder (--keys-dir); keys/users/alice/identity.pem was left as it is";

/// Alice, whose server is nowhere: keys are looked at first.
fn alice() -> Home {
    Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE)
}

#[track_caller]
fn refuses_the_keys(home: &Home, code: i32, stderr: &str) {
    refused(&home.run_in(&["users"]), code, stderr);
}

#[test]
fn a_missing_key_file_is_named() {
    let home = alice();
    fs::remove_file(home.path(ENCRYPTION)).unwrap();
    let gone = |file| {
        format!(
            "error: {file} is gone, of the keys of alice\n\
             hint: nothing was changed: put it back from a backup, or name the folder of its keys with --keys-dir; \
             without it nobody can log in as alice, and the name stays taken on its server\n"
        )
    };
    refuses_the_keys(&home, 3, &gone(ENCRYPTION));
    fs::remove_file(home.path(IDENTITY)).unwrap();
    refuses_the_keys(&home, 3, &gone(IDENTITY));
    fs::remove_dir_all(home.path("keys/users/alice")).unwrap();
    let stderr = "error: no keys of alice on this machine (looked in keys/users/alice)\n\
                  hint: make the account with: topchat register alice    \
                  or name the folder of its keys with --keys-dir\n";
    refused(&home.run_in(&["users", "--user", "alice"]), 3, stderr);
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let home = alice();
    for path in [IDENTITY, ENCRYPTION] {
        fs::set_permissions(home.path(path), Permissions::from_mode(0o644)).unwrap();
        let stderr = format!("error: {path} is open to others (mode 0644)\nhint: chmod 600 {path}\n");
        refuses_the_keys(&home, 3, &stderr);
        fs::set_permissions(home.path(path), Permissions::from_mode(0o600)).unwrap();
    }
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    let home = alice();
    let path = home.path(IDENTITY);
    fs::rename(&path, home.path("elsewhere.pem")).unwrap();
    symlink(home.path("elsewhere.pem"), &path).unwrap();
    let link = format!(
        "error: {IDENTITY} is a symbolic link, not a regular file\n\
         hint: links are not followed: put the file itself at {IDENTITY}\n"
    );
    refuses_the_keys(&home, 3, &link);

    for (kind, make) in [("a folder", "mkdir"), ("a named pipe", "mkfifo")] {
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new(make).arg(&path).status().unwrap().success());
        let stderr = format!(
            "error: {IDENTITY} is {kind}, not a regular file\nhint: keep it under another name: mv -i {IDENTITY} {IDENTITY}.old\n"
        );
        refuses_the_keys(&home, 3, &stderr);
        if kind == "a folder" {
            fs::remove_dir(&path).unwrap();
            fs::write(&path, "").unwrap();
        }
    }
}

#[test]
fn a_key_file_that_may_not_be_read_is_refused() {
    let home = alice();
    fs::set_permissions(home.path(IDENTITY), Permissions::from_mode(0o000)).unwrap();
    let mut command = home.bound_by_modes(CLIENT);
    command.env("TOPCHAT_KEYS_DIR", "keys").env("TOPCHAT_STATE_DIR", "state").env("TOPCHAT_SERVER", "127.0.0.1:1");
    let finished = process::run(command.args(["users", "--password-file", "password"]), b"");
    let stderr = format!(
        "error: opening {IDENTITY}: Permission denied (os error 13)\n\
         hint: see who may do that: ls -ld {IDENTITY} (keys is from TOPCHAT_KEYS_DIR)\n"
    );
    refused(&finished, 3, &stderr);
}

#[test]
fn keys_of_another_kind_or_size_are_refused() {
    let home = alice();
    for (made, why) in [
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out plain.pem", "not an RSA key"),
        ("genpkey -algorithm ED25519 -out plain.pem", "not an RSA key"),
        (
            "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out plain.pem",
            "an RSA key of 1024 bits, at least 2048 are needed",
        ),
        (
            "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out plain.pem",
            "an RSA key whose public exponent is not 65537",
        ),
    ] {
        home.openssl(made);
        home.openssl("pkcs8 -topk8 -scrypt -in plain.pem -passout file:password -out locked.pem");
        home.file(IDENTITY, home.read("locked.pem").as_bytes());
        let stderr = format!("error: the key file {IDENTITY}: {why}\nhint: {NEW_KEYS}\n");
        refuses_the_keys(&home, 3, &stderr);
        // Registering does not take them either, nor does it replace them.
        refused(&home.run_in(&["register", "alice"]), 3, &stderr);
        assert_eq!(home.read(IDENTITY), home.read("locked.pem"));
    }
}

/// Locked and well-formed, but made for another use than its name says.
#[test]
fn a_key_file_of_the_wrong_kind_for_its_name_is_refused() {
    const PARTS: [(&str, &str); 4] =
        [("identity", "RSA"), ("encryption", "RSA"), ("ed25519", "Ed25519"), ("x25519", "X25519")];
    let home = alice();
    home.openssl("genpkey -algorithm ED448 -out plain.pem");
    home.openssl("pkcs8 -topk8 -in plain.pem -passout file:password -out keys/users/alice/ed448.pem");
    let path = |part: &str, ending: &str| format!("keys/users/alice/{part}.{ending}");
    for (part, wanted) in PARTS {
        let [private, public] = ["pem", "pub.pem"].map(|ending| path(part, ending));
        let [good, good_public] = [&private, &public].map(|file| home.read(file));
        for (other, kind) in PARTS.into_iter().chain([("ed448", "Ed448")]).filter(|(_, kind)| *kind != wanted) {
            let hint = format!("make new keys in another folder (--keys-dir); {private} was left as it is");
            let content = home.read(&path(other, "pem"));
            home.file(&private, content.as_bytes());
            let stderr = format!("error: the key file {private}: not an {wanted} key\nhint: {hint}\n");
            refuses_the_keys(&home, 3, &stderr);
            refused(&home.run_in(&["register", "alice"]), 3, &stderr);
            assert_eq!(home.read(&private), content, "{kind} as {part}");
            home.file(&private, good.as_bytes());
            if kind == "Ed448" {
                continue;
            }
            home.file(&public, home.read(&path(other, "pub.pem")).as_bytes());
            let hint = format!("make new keys in another folder (--keys-dir); {public} was left as it is");
            refuses_the_keys(&home, 3, &format!("error: the key file {public}: not an {wanted} key\nhint: {hint}\n"));
            home.file(&public, good_public.as_bytes());
        }
    }
    // Both of RSA, but a pair belongs to one name.
    let encryption = home.read(ENCRYPTION);
    home.file(IDENTITY, encryption.as_bytes());
    let swapped = "error: keys/users/alice/identity.pub.pem: not the public half of identity.pem\n\
                   hint: nothing was changed: put the file back from a backup; without it what it holds is lost\n";
    refuses_the_keys(&home, 3, swapped);
}

#[test]
fn a_key_file_that_holds_something_else_is_refused() {
    let home = alice();
    let good = home.read(IDENTITY);
    home.openssl("genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out plain.pem");
    for (content, why) in [
        (home.read("plain.pem"), "not an encrypted PKCS#8 private key"),
        (String::new(), "not a well-formed key"),
        ("hello\n".to_owned(), "not a well-formed key"),
        (home.read("keys/users/alice/identity.pub.pem"), "not a well-formed key"),
    ] {
        home.file(IDENTITY, content.as_bytes());
        refuses_the_keys(&home, 3, &format!("error: the key file {IDENTITY}: {why}\nhint: {AS_MADE}\n"));
    }
    home.file(IDENTITY, &good.as_bytes()[..good.len() / 2]);
    let finished = home.run_in(&["users"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(3), ""), "{}", finished.stderr);
    assert!(finished.stderr.starts_with(&format!("error: the key file {IDENTITY}: ")), "{}", finished.stderr);
}

#[test]
fn a_group_key_file_that_can_not_be_used_is_refused_with_its_line() {
    let home = alice();
    let id = "3f2a0102030405060708090a0b0c0d0e";
    let hint = format!(
        "ask a member for the right file. If nobody has it, make another key, which everybody needs and under which what was sealed before \
         can't be read: mv -i {GROUP} {GROUP}.old && topchat group rekey --group-key {GROUP}"
    );
    let digits = |length: usize| format!("{id} {}", &"133457799bbcdff1".repeat(5)[..length]);
    for (entry, why) in [
        (digits(14), "line 3: the key has 14 hex digits, 16 (DES) or 64 (AES-256) are needed"),
        (digits(15), "line 3: the key has 15 hex digits, 16 (DES) or 64 (AES-256) are needed"),
        (digits(17), "line 3: the key has 17 hex digits, 16 (DES) or 64 (AES-256) are needed"),
        (digits(18), "line 3: the key has 18 hex digits, 16 (DES) or 64 (AES-256) are needed"),
        (digits(63), "line 3: the key has 63 hex digits, 16 (DES) or 64 (AES-256) are needed"),
        (digits(65), "line 3: the key has 65 hex digits, 16 (DES) or 64 (AES-256) are needed"),
        (format!("{id} 133457799bbcdfg1"), "line 3: the key contains g, which is no hex digit"),
        (format!("{id} 133457799bbcdf\u{1b}1"), "line 3: the key contains ^[, which is no hex digit"),
        (format!("{id} 0101010101010101"), "line 3: a weak DES key"),
        (format!("{id} 0000000000000000"), "line 3: a weak DES key"),
        (format!("{id} 01fe01fe01fe01fe"), "line 3: a weak DES key"),
        (format!("{id} 1f1f01010e0e0101"), "line 3: a weak DES key"),
        (format!("{} 133457799bbcdff1", &id[1..]), "line 3: the id has 31 hex digits, exactly 32 are needed"),
        ("133457799bbcdff1".to_owned(), "line 3: an entry is an id and a key with one space between"),
        (format!("{id} 133457799bbcdff1\n{id} 133457799bbcdff1"), "line 4: this id stands in an earlier line too"),
        (String::new(), "no key in it"),
    ] {
        home.file(GROUP, format!("topchat-group-key v1\n# ours\n{entry}\n").as_bytes());
        let stderr = format!("error: the group key file {GROUP}: {why}\nhint: {hint}\n");
        refused(&home.run(&["send", "ALL", "hi"]), 3, &stderr);
        assert!(!stderr.contains("133457799bbcdf"), "no part of a key is shown");
    }
    home.file(GROUP, b"\x89PNG\r\n\x1a\n\0\0");
    let stderr = format!("error: the group key file {GROUP}: line 1: not \"topchat-group-key v1\"\nhint: {hint}\n");
    refused(&home.run(&["send", "ALL", "hi"]), 3, &stderr);
    // So does whoever would get messages to all: better now than at the first one.
    refused(&home.run_in(&["listen"]), 3, &stderr);
    refused(&home.run_in(&["register", "alice"]), 3, &stderr);
}

#[test]
fn a_group_key_file_that_is_missing_or_open_is_refused_with_the_remedy() {
    let home = alice();
    fs::set_permissions(home.path(GROUP), Permissions::from_mode(0o644)).unwrap();
    let stderr = format!("error: {GROUP} is open to others (mode 0644)\nhint: chmod 600 {GROUP}\n");
    refused(&home.run(&["send", "ALL", "hi"]), 3, &stderr);
    for (words, path) in [
        (&["send", "ALL", "hi"][..], GROUP),
        (&["send", "ALL", "hi", "--group-key", "other.key"], "other.key"),
        (&["register", "alice", "--group-key", "other.key"], "other.key"),
    ] {
        let _ = fs::remove_file(home.path(GROUP));
        let stderr = format!(
            "error: the group key file {path}: no such file\n\
             hint: get the file from a member, who has the group's key, and put it there. Only a new group needs a new key: topchat group rekey --group-key {path}\n"
        );
        refused(&home.run(words), 3, &stderr);
    }
}
