//! The scripts that make keys and prepare the machine, run as people run them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::pty::Terminal;

const PASSWORD: &str = "correct horse, b\u{e4}ttery";

#[test]
fn a_group_key_file_has_its_format_and_is_for_its_owner_alone() {
    let place = Place::new();
    let output = place.run("gen-des-key.sh", &[]);

    let text = place.read("keys/group.key");
    let (id, key) = entry(&text);
    assert_eq!(
        said(&output),
        format!(
            "group key   keys/group.key   made now, id {}; \
             give this file to every member by a safe way (the server never opens it)\n",
            &id[..4]
        )
    );
    assert_eq!(text.lines().next(), Some("topchat-group-key v1"));
    assert!(is_hex(id, 32) && is_hex(key, 16), "{text}");
    for byte in data_encoding::HEXLOWER.decode(key.as_bytes()).unwrap() {
        assert_eq!(byte.count_ones() % 2, 1, "parity of {key}");
    }
    assert_eq!(place.mode("keys/group.key"), 0o600);
    assert_eq!(place.mode("keys"), 0o700);
    assert_eq!(place.list("keys"), ["group.key"]);
}

/// The same script in a clone of its own, whose keys it makes.
#[test]
fn in_a_clone_the_next_command_is_the_one_of_the_clone() {
    let place = Place::clone_with(&["gen-user-keys.sh", "topchat"]);
    fs::write(place.path("pw"), PASSWORD).unwrap();
    let next = |folder: &str| {
        let mut command = Command::new("scripts/gen-user-keys.sh");
        command.args(["--bits", "2048", "--password-file", "pw", "--keys-dir", folder, "alice"]);
        said(&command.current_dir(place.0.path()).output().unwrap()).lines().last().unwrap().to_owned()
    };
    assert_eq!(next("keys"), "next                scripts/topchat register alice");
    assert_eq!(next("elsewhere"), "next                topchat register alice --keys-dir elsewhere");
}

#[test]
fn a_group_key_for_the_modern_suites_is_one_of_aes() {
    let place = Place::new();
    said(&place.run("gen-group-key.sh", &[]));
    let text = place.read("keys/group.key");
    let (id, key) = entry(&text);
    assert!(is_hex(id, 32) && is_hex(key, 64), "{text}");
    assert!(text.contains("\n# A key of AES-256, for the modern suites.\n") && !text.contains("DES"), "{text}");
    assert_eq!(place.mode("keys/group.key"), 0o600);
    let keys = topchat::crypto::group_key::GroupKeys::parse(&text).unwrap();
    assert_eq!(keys.writer().cipher(), topchat::crypto::group_key::Cipher::Aes);
    refused_with(&place.run("gen-group-key.sh", &[]), 3);
    said(&place.run("gen-group-key.sh", &["--force"]));
    assert_ne!(place.read("keys/group.key"), text);
}

#[test]
fn every_group_key_and_id_is_new() {
    let place = Place::new();
    for file in ["one.key", "two.key"] {
        said(&place.run("gen-des-key.sh", &[file]));
    }
    let (one, two) = (place.read("one.key"), place.read("two.key"));
    assert_ne!(entry(&one).0, entry(&two).0);
    assert_ne!(entry(&one).1, entry(&two).1);
}

#[test]
fn an_existing_group_key_is_replaced_only_by_force() {
    let place = Place::new();
    let old = format!("topchat-group-key v1\n# ours\n3f2a{}\n", "0".repeat(28) + " 133457799bbcdff1");
    fs::create_dir(place.path("keys")).unwrap();
    fs::write(place.path("keys/group.key"), &old).unwrap();

    let output = place.run("gen-des-key.sh", &["keys/group.key"]);
    refused(
        &output,
        3,
        "error: keys/group.key exists (id 3f2a). Everyone who has it would be cut off. Use --force to replace it.\n",
    );
    assert_eq!(place.read("keys/group.key"), old);

    said(&place.run("gen-des-key.sh", &["--force", "keys/group.key"]));
    assert_ne!(place.read("keys/group.key"), old);
    assert_eq!(place.mode("keys/group.key"), 0o600);
    assert_eq!(place.list("keys"), ["group.key"]);
}

#[test]
fn whatever_stands_in_the_group_keys_place_is_left_alone() {
    let place = Place::new();
    fs::write(place.path("notes"), "not a key").unwrap();
    refused(
        &place.run("gen-des-key.sh", &["notes"]),
        3,
        "error: notes exists. Everyone who has it would be cut off. Use --force to replace it.\n",
    );
    assert_eq!(place.read("notes"), "not a key");

    std::os::unix::fs::symlink(place.path("elsewhere"), place.path("link")).unwrap();
    refused_with(&place.run("gen-des-key.sh", &["link"]), 3);
    assert!(!place.path("elsewhere").exists());

    fs::create_dir(place.path("folder")).unwrap();
    refused_with(&place.run("gen-des-key.sh", &["--force", "folder"]), 3);
    assert_eq!(place.list("folder"), [""; 0]);
}

#[test]
fn weak_group_keys_are_drawn_again() {
    // A weak key, a semi-weak one, a possibly weak one and a weak one in other parity; then a good one.
    const DRAWS: &str = "0101010101010101 01fe01fe01fe01fe 1f1f01010e0e0101 0000000000000000 123456789abcdef0";
    let place = Place::new();
    place.fake(
        "openssl",
        &format!(
            r#"case $3 in 16) exec {} "$@" ;; esac
               draws=$(cat draws 2>/dev/null || echo 0)
               echo $((draws + 1)) >draws
               set -- {DRAWS}
               shift "$draws"
               echo "$1""#,
            openssl_tool().display()
        ),
    );
    said(&place.run("gen-des-key.sh", &["group.key"]));
    assert_eq!(place.read("draws"), "5\n");
    assert_eq!(entry(&place.read("group.key")).1, "133457799bbcdff1");
}

#[test]
fn a_generator_that_fails_leaves_no_group_key() {
    for broken in ["exit 1", "echo 00", "echo 0123456789abcdeg", "echo 0101010101010101", "true"] {
        let place = Place::new();
        place.fake("openssl", broken);
        refused_with(&place.run("gen-des-key.sh", &["keys/group.key"]), 1);
        assert_eq!(place.list("keys"), [""; 0], "{broken}");
    }
}

#[test]
fn group_keys_made_at_the_same_moment_end_as_one_whole_file() {
    let place = Place::new();
    let runs: Vec<Child> = (0..6).map(|_| place.start("gen-des-key.sh", &[])).collect();
    let outputs: Vec<Output> = runs.into_iter().map(|run| run.wait_with_output().unwrap()).collect();

    let text = place.read("keys/group.key");
    let (id, key) = entry(&text);
    assert!(is_hex(id, 32) && is_hex(key, 16), "{text}");
    let (made, late): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
    assert_eq!(made.len(), 1);
    assert!(said(made[0]).contains(&format!("id {};", &id[..4])));
    for output in late {
        let words = refused_with(output, 3);
        assert!(words.contains(&format!("exists (id {})", &id[..4])), "{words}");
    }
    assert_eq!(place.list("keys"), ["group.key"]);
}

#[test]
fn options_that_do_not_exist_are_usage_errors() {
    let place = Place::new();
    for (script, args) in [
        ("gen-des-key.sh", &["--frce"][..]),
        ("gen-des-key.sh", &["a.key", "b.key"]),
        ("gen-user-keys.sh", &["--frce", "alice"]),
        ("gen-user-keys.sh", &["alice", "bob"]),
        ("gen-user-keys.sh", &["alice", "--bits"]),
        ("gen-user-keys.sh", &[]),
        ("bootstrap.sh", &["--frce"]),
        ("build.sh", &["--frce"]),
        ("test-fresh.sh", &["--frce"]),
    ] {
        refused_with(&place.run(script, args), 2);
    }
    assert_eq!(place.list("."), [""; 0]);
}

#[test]
fn every_script_tells_its_usage() {
    let place = Place::new();
    let keys = ["gen-des-key.sh", "gen-group-key.sh", "gen-user-keys.sh"];
    for script in ["bootstrap.sh", "build.sh", "install.sh", "test-fresh.sh"].into_iter().chain(keys) {
        for flag in ["-h", "--help"] {
            let usage = said(&place.run(script, &[flag]));
            assert!(usage.starts_with(&format!("usage: scripts/{script}")), "{usage}");
        }
    }
}

#[test]
fn user_keys_are_two_locked_rsa_pairs_for_their_owner_alone() {
    let place = Place::with_password(PASSWORD);
    let output = said(&place.make_user_keys(&["alice"]));

    place.assert_whole_set("alice", PASSWORD);
    assert_eq!(place.list("keys/users"), ["alice"]);
    for folder in ["keys", "keys/users", "keys/users/alice"] {
        assert_eq!(place.mode(folder), 0o700, "{folder}");
    }
    let fingerprint = place.grouped_fingerprint("keys/users/alice/identity.pub.pem");
    assert!(output.contains(&format!("fingerprint         {fingerprint}\n")), "{output}");
    assert!(output.contains("keys/users/alice"), "{output}");
    assert!(output.ends_with("next                topchat register alice --keys-dir keys\n"), "{output}");
    assert_ne!(
        place.read("keys/users/alice/identity.pub.pem"),
        place.read("keys/users/alice/encryption.pub.pem"),
        "one key must never do both"
    );
}

#[test]
fn user_keys_have_the_size_that_was_asked_for() {
    let place = Place::with_password(PASSWORD);
    said(&place.run("gen-user-keys.sh", &["--password-file", "pw", "--keys-dir", "elsewhere", "bob"]));
    said(&place.run("gen-user-keys.sh", &["--password-file=pw", "--keys-dir=elsewhere", "--bits=2056", "carol"]));
    for (name, bits) in [("bob", "(3072 bit)"), ("carol", "(2056 bit)")] {
        let key = format!("elsewhere/users/{name}/encryption.pub.pem");
        let text = place.openssl(&["pkey", "-pubin", "-in", &key, "-noout", "-text"]);
        assert!(String::from_utf8_lossy(&text.stdout).contains(bits), "{text:?}");
    }
}

#[test]
fn private_keys_are_locked_with_scrypt_and_aes() {
    let place = Place::with_password(PASSWORD);
    said(&place.make_user_keys(&["alice"]));
    let output = place.openssl(&["asn1parse", "-in", "keys/users/alice/identity.pem"]);
    let structure = String::from_utf8_lossy(&output.stdout);
    for part in [":PBES2", ":scrypt", ":aes-256-cbc"] {
        assert!(structure.contains(part), "{part} in {structure}");
    }
}

#[test]
fn the_password_reaches_no_argument_and_no_environment() {
    let place = Place::with_password(PASSWORD);
    place.fake("openssl", &format!(r#"{{ echo "$@"; env; }} >>witness; exec {} "$@""#, openssl_tool().display()));
    said(
        &place
            .command("gen-user-keys.sh", &["--bits", "2048", "--password-file", "pw", "alice"])
            .env("password", "exported by the caller")
            .output()
            .unwrap(),
    );
    let witness = place.read("witness");
    assert!(witness.contains("pkcs8 -topk8"), "the witness saw nothing: {witness}");
    assert!(!witness.contains(PASSWORD), "{witness}");
}

#[test]
fn existing_user_keys_are_replaced_only_by_force() {
    let place = Place::with_password(PASSWORD);
    said(&place.make_user_keys(&["alice"]));
    let old = place.user_files("alice");

    refused(
        &place.make_user_keys(&["alice"]),
        3,
        "error: keys/users/alice exists. What was sent to its keys could never be opened again. \
         Use --force to replace it.\n",
    );
    assert_eq!(place.user_files("alice"), old);

    said(&place.make_user_keys(&["--force", "alice"]));
    place.assert_whole_set("alice", PASSWORD);
    assert_eq!(place.list("keys/users"), ["alice"]);
    for (new, old) in place.user_files("alice").iter().zip(&old) {
        assert_ne!(new, old);
    }
}

#[test]
fn a_failure_leaves_no_new_key_and_keeps_the_old_ones() {
    for failing in ["genpkey", "pkcs8", "dgst"] {
        let place = Place::with_password(PASSWORD);
        said(&place.make_user_keys(&["alice"]));
        let old = place.user_files("alice");

        place.fake("openssl", &format!(r#"[ "$1" != {failing} ] && exec {} "$@""#, openssl_tool().display()));
        refused_with(&place.make_user_keys(&["--force", "alice"]), 1);
        refused_with(&place.make_user_keys(&["bob"]), 1);
        assert_eq!(place.user_files("alice"), old, "{failing}");
        assert_eq!(place.list("keys/users"), ["alice"], "{failing}");
    }
}

#[test]
fn user_keys_made_at_the_same_moment_end_as_one_whole_set() {
    let place = Place::with_password(PASSWORD);
    let runs: Vec<Child> = (0..2)
        .map(|_| place.start("gen-user-keys.sh", &["--bits", "2048", "--password-file", "pw", "alice"]))
        .collect();
    let outputs: Vec<Output> = runs.into_iter().map(|run| run.wait_with_output().unwrap()).collect();

    place.assert_whole_set("alice", PASSWORD);
    assert_eq!(place.list("keys/users"), ["alice"]);
    let (made, late): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
    assert_eq!(made.len(), 1, "{outputs:?}");
    assert!(said(made[0]).contains(&place.grouped_fingerprint("keys/users/alice/identity.pub.pem")));
    assert!(refused_with(late[0], 3).contains("exists"));
}

#[test]
fn bad_names_are_refused() {
    let place = Place::with_password(PASSWORD);
    let long = "a".repeat(33);
    for name in ["", "ALL", "all", "All", "Alice", "1alice", "al ice", "al/ice", "../alice", "al\u{ef}ce", "a\n", &long]
    {
        refused_with(&place.make_user_keys(&[name]), 2);
    }
    assert_eq!(place.list("."), ["pw"]);
}

#[test]
fn bad_key_sizes_are_refused() {
    let place = Place::with_password(PASSWORD);
    for bits in ["1024", "2047", "2050", "4097", "4104", "16384", "-3072", "0x800", "3072.", "many"] {
        refused_with(&place.make_user_keys(&["--bits", bits, "alice"]), 2);
    }
    assert_eq!(place.list("."), ["pw"]);
}

#[test]
fn bad_passwords_are_refused() {
    for bad in ["", "sevenby", "tab\tinside", "carriage return\r", "nul\0inside", "escape\u{1b}[31m", &"x".repeat(129)]
    {
        let place = Place::with_password(bad);
        refused_with(&place.make_user_keys(&["alice"]), 2);
        assert_eq!(place.list("."), ["pw"], "{bad:?}");
    }
    let place = Place::new();
    refused_with(&place.make_user_keys(&["alice"]), 3);
}

#[test]
fn passwords_of_the_shortest_and_longest_length_work() {
    for length in [8, 128] {
        let password = "p".repeat(length);
        let place = Place::with_password(&format!("{password}\nthe second line is not the password\n"));
        said(&place.make_user_keys(&["alice"]));
        place.assert_whole_set("alice", &password);
    }
}

#[test]
fn bootstrap_says_nothing_when_all_is_there() {
    // A folder of what was built that is not the one this test runs from.
    let target = TempDir::new().unwrap();
    for args in [&[][..], &["--tests"]] {
        let mut bootstrap = Command::new(script("bootstrap.sh"));
        let output = bootstrap.args(args).env("CARGO_TARGET_DIR", target.path()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    }
}

/// openssl-sys reads them once, so a build would go on with what it knows of the old ones.
#[test]
fn other_headers_of_openssl_than_at_the_last_build_are_noticed_once() {
    const ANEW: &str = "OpenSSL has other headers than at the last build: what depends on them is built anew\n";
    let machine = Machine::with_all();
    fs::create_dir_all(machine.0.path("target/debug")).unwrap();
    fs::create_dir_all(machine.0.path("target/release")).unwrap();
    let says = |headers: &str| {
        let headers: String = headers.lines().map(|header| format!("echo '#define OPENSSL_{header}'\n")).collect();
        machine.install("cc", &headers);
        for file in ["target/release/.built-topchat", "asked"] {
            fs::write(machine.0.path(file), "").unwrap();
        }
        let output = machine.bootstrap();
        assert!(output.status.success(), "{output:?}");
        let cleaned = machine.0.read("asked").lines().count();
        assert_eq!(machine.0.path("target/release/.built-topchat").exists(), cleaned == 0);
        (String::from_utf8(output.stderr).unwrap(), cleaned)
    };
    // What was built before there was a note of it may be of any headers.
    assert_eq!(says("VERSION_STR \"3.0.19\""), (String::new(), 2));
    assert_eq!(says("VERSION_STR \"3.0.19\""), (String::new(), 0));
    assert_eq!(says("VERSION_STR \"3.5.9\""), (ANEW.to_owned(), 2));
    assert_eq!(says("VERSION_STR \"3.5.9\"\nNO_DES"), (ANEW.to_owned(), 2));
    assert_eq!(says("VERSION_STR \"3.5.9\"\nNO_DES"), (String::new(), 0));
    fs::remove_dir_all(machine.0.path("target")).unwrap();
    fs::create_dir_all(machine.0.path("target/release")).unwrap();
    assert_eq!(says("VERSION_STR \"3.5.9\"\nNO_DES").1, 1);
}

#[test]
fn bootstrap_tells_how_to_get_rust() {
    let bare = Machine::bare();
    let words = refused_with(&bare.bootstrap(), 1);
    assert!(words.starts_with("error: Rust is missing (1.89 or later is needed)\nhint: curl "), "{words}");
    // A minimal Debian has no curl, and no lists of packages at first; with them, newer ones have rustup itself.
    bare.install("apt-get", "exit 1");
    let words = refused_with(&bare.bootstrap(), 1);
    let curl = "\nhint: apt-get update && apt-get install -y --no-install-recommends curl ca-certificates && curl ";
    assert!(words.contains(curl), "{words}");
    bare.install("apt-cache", r#"[ "$*" = "show rustup" ]"#);
    let words = refused_with(&bare.bootstrap(), 1);
    let rustup = "\nhint: apt-get install -y --no-install-recommends rustup && rustup default stable    then";
    assert!(words.contains(rustup), "{words}");

    let old = Machine::bare();
    old.install("cargo", "true");
    old.install("rustc", "echo 'rustc 1.88.1 (0123456 2025-06-23)'");
    let words = refused_with(&old.bootstrap(), 1);
    assert!(words.starts_with("error: Rust 1.88.1 is too old (1.89 or later is needed)\nhint: curl "), "{words}");

    old.install("rustup", "true");
    let words = refused_with(&old.bootstrap(), 1);
    assert!(words.ends_with("hint: rustup update stable && rustup default stable\n"), "{words}");
}

#[test]
fn bootstrap_prints_the_command_where_it_may_not_install() {
    let machine = Machine::with_rust();
    machine.install("id", "echo 1000");
    machine.install("apt-get", "touch installed");
    refused(
        &machine.bootstrap(),
        1,
        "error: missing for the build: C-compiler pkg-config OpenSSL-headers openssl make\n\
         hint: su -c 'apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev pkg-config libssl-dev openssl make'\n",
    );
    assert!(!machine.0.path("installed").exists());
}

#[test]
fn bootstrap_installs_as_root_and_fetches_the_lists_when_they_lack() {
    let machine = Machine::with_rust();
    machine.install("id", "echo 0");
    for tool in ["cc", "make"] {
        machine.install(tool, "true");
    }
    machine.install("openssl", "echo 'OpenSSL 3.0.19 27 Jan 2026'");
    machine.install(
        "apt-get",
        r#"echo "$@" >>asked
           case $1 in update) echo >lists; exit ;; esac
           [ -e lists ] || exit 100
           { echo '#!/bin/sh'; echo true; } >bin/pkg-config
           chmod +x bin/pkg-config"#,
    );
    let output = machine.bootstrap();
    assert!(output.status.success(), "{output:?}");
    let install = "install -y --no-install-recommends pkg-config libssl-dev\n";
    assert_eq!(machine.0.read("asked"), format!("{install}update\n{install}"));
}

#[test]
fn bootstrap_brings_what_only_the_tests_need_where_they_are_asked_for() {
    let machine = Machine::with_all();
    machine.install("id", "echo 1000");
    machine.install("apt-get", "true");
    assert!(machine.bootstrap().status.success());
    refused(
        &machine.bootstrap_for(&["--tests"]),
        1,
        "error: missing for the build: bash util-linux faketime\n\
         hint: su -c 'apt-get update && apt-get install -y --no-install-recommends bash util-linux faketime'\n",
    );
    for tool in ["bash", "setsid", "prlimit", "faketime"] {
        machine.install(tool, "true");
    }
    assert!(machine.bootstrap_for(&["--tests"]).status.success());
}

/// What a test starts is a program of this project, of a minimal Debian, or of what bootstrap.sh brings: a machine of tomorrow may lack
/// any other.
#[test]
fn tests_and_scripts_start_no_program_that_a_fresh_machine_lacks() {
    // coreutils, util-linux, dash and bash are part of every Debian; openssl, make and faketime are what bootstrap.sh looks for.
    const THERE: [&str; 11] = [
        "/bin/sh",
        "bash",
        "chown",
        "cp",
        "date",
        "faketime",
        "mkfifo",
        "openssl",
        "prlimit",
        "scripts/gen-user-keys.sh",
        "setsid",
    ];
    let begin = concat!("Command::new", "(\"");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")];
    let mut started = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                for part in fs::read_to_string(&entry).unwrap().split(begin).skip(1) {
                    let (program, _) = part.split_once('"').unwrap();
                    assert!(THERE.contains(&program), "{} starts {program}", entry.display());
                    started += 1;
                }
            }
        }
    }
    assert!(started > 5, "{started}");
}

#[test]
fn bootstrap_does_not_claim_success_when_the_packages_are_too_old() {
    let machine = Machine::with_rust();
    machine.install("id", "echo 0");
    for tool in ["cc", "make", "pkg-config", "dnf"] {
        machine.install(tool, "true");
    }
    machine.install("openssl", "echo 'OpenSSL 1.1.1w  11 Sep 2023'");
    let words = refused_with(&machine.bootstrap(), 1);
    assert!(words.contains("+ dnf install -y --setopt=install_weak_deps=False openssl\n"), "{words}");
    assert!(words.contains("error: still missing for the build after the installation: openssl\n"), "{words}");
}

#[test]
fn the_client_of_a_clone_takes_the_clones_folders_from_wherever_it_is_started() {
    let clone = Place::clone_with(&["topchat"]);
    let folders = "$TOPCHAT_KEYS_DIR|$TOPCHAT_STATE_DIR|$TOPCHAT_GROUP_KEY";
    clone.fake("topchat", &format!(r#"echo "$TOPCHAT_COMMAND"; echo "{folders}"; printf '%s|' "$@""#));
    fs::create_dir_all(clone.path("target/release")).unwrap();
    fs::rename(clone.path("bin/topchat"), clone.path("target/release/topchat")).unwrap();
    fs::create_dir(clone.path("elsewhere")).unwrap();
    let whole = clone.path("scripts/topchat").to_str().unwrap().to_owned();
    let root = format!("{}/", clone.0.path().display());
    for (from, typed, folder) in [
        (".", "scripts/topchat", ""),
        (".", "./scripts/topchat", "./"),
        ("elsewhere", "../scripts/topchat", "../"),
        ("scripts", "./topchat", "./../"),
        ("/", &whole, &root),
    ] {
        let mut command = Command::new(typed);
        command.args(["send", "bob", "two words", ""]).current_dir(clone.path(from)).env_remove("CARGO_TARGET_DIR");
        assert_eq!(
            said(&command.output().unwrap()),
            format!("{typed}\n{folder}keys|{folder}data/client|{folder}keys/group.key\nsend|bob|two words||")
        );
    }
}

#[test]
fn the_client_of_a_clone_that_is_not_built_says_how_to_build_it() {
    let clone = Place::clone_with(&["topchat"]);
    fs::create_dir(clone.path("elsewhere")).unwrap();
    for (from, typed, folder, make) in
        [(".", "scripts/topchat", "", "make build"), ("elsewhere", "../scripts/topchat", "../", "make -C ../ build")]
    {
        let output = Command::new(typed).current_dir(clone.path(from)).env_remove("CARGO_TARGET_DIR").output();
        refused(&output.unwrap(), 1, &format!("error: {folder}target/release/topchat is missing\nhint: {make}\n"));
    }
}

#[test]
fn a_build_is_told_only_where_there_is_something_to_do() {
    const FIRST: &str = "building topchat: the first time takes some minutes\n";
    let clone = Place::clone_to_build();
    let says = || {
        let output = clone.builds().output().unwrap();
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert_eq!(says(), FIRST);
    assert_eq!([says(), says()], ["", ""]);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    fs::File::open(clone.path("src/lib.rs")).unwrap().set_modified(later).unwrap();
    assert_eq!(says(), "building topchat\n");
    fs::remove_dir_all(clone.path("target")).unwrap();
    assert_eq!(says(), FIRST);
    let asked = clone.read("asked");
    assert_eq!(asked, "build --release --locked --quiet --bins --package topchat\n".repeat(5));
}

#[test]
fn a_build_shows_its_progress_on_a_terminal_alone_and_nothing_once_it_is_there() {
    let clone = Place::clone_to_build();
    for quiet in ["", " --quiet"] {
        let shown = String::from_utf8(Terminal::start(&clone.builds()).finish()).unwrap();
        let asked = format!("build --release --locked{quiet} --bins --package topchat\n");
        assert!(clone.read("asked").ends_with(&asked), "{}", clone.read("asked"));
        assert_eq!(shown.is_empty(), !quiet.is_empty(), "{shown}");
    }
}

#[test]
fn a_build_that_fails_keeps_cargos_code_and_is_begun_again() {
    let clone = Place::clone_to_build();
    clone.fake("cargo", "exit 101");
    for _ in 0..2 {
        let output = clone.builds().output().unwrap();
        assert_eq!(output.status.code(), Some(101), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("building topchat"), "{output:?}");
    }
}

/// A folder of its own that scripts run in, with room for programs that stand in for the real ones.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A place with `text` as the file `pw`.
    fn with_password(text: &str) -> Self {
        let place = Self::new();
        fs::write(place.path("pw"), text).unwrap();
        place
    }

    /// A clone that has these scripts.
    fn clone_with(scripts: &[&str]) -> Self {
        let place = Self::new();
        fs::create_dir(place.path("scripts")).unwrap();
        for name in scripts {
            std::os::unix::fs::symlink(script(name), place.path("scripts").join(name)).unwrap();
        }
        place
    }

    /// A clone whose cargo notes what it is asked for and makes an empty program.
    fn clone_to_build() -> Self {
        let place = Self::clone_with(&["build.sh"]);
        for folder in ["src", "scripts/pages"] {
            fs::create_dir(place.path(folder)).unwrap();
        }
        for file in ["src/lib.rs", "Cargo.toml", "Cargo.lock"] {
            fs::write(place.path(file), "").unwrap();
        }
        fs::create_dir_all(place.path("rust/lib/rustlib")).unwrap();
        place.fake("rustc", "echo rust");
        place.fake("cargo", r#"echo "$@" >>asked; mkdir -p target/release; : >target/release/topchat"#);
        place
    }

    /// `scripts/build.sh` there.
    fn builds(&self) -> Command {
        let mut path = self.path("bin").into_os_string();
        path.push(":/usr/bin:/bin");
        let mut command = Command::new(self.path("scripts/build.sh"));
        command.env_remove("CARGO_TARGET_DIR").env("PATH", path).stdin(Stdio::null());
        command.current_dir("/");
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn mode(&self, name: &str) -> u32 {
        fs::symlink_metadata(self.path(name)).unwrap().permissions().mode() & 0o7777
    }

    /// Everything in a folder, hidden files included, but not the folder of the stand-ins.
    fn list(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "bin")
            .collect();
        names.sort();
        names
    }

    /// Puts a shell script before everything else in `PATH`.
    ///
    /// Another process writes it: were the file open for writing here while another test forks,
    /// running it could fail with "text file busy".
    fn fake(&self, name: &str, body: &str) {
        fs::create_dir_all(self.path("bin")).unwrap();
        let mut writer = Command::new("/bin/sh")
            .args(["-c", r#"cat >"$1" && chmod +x "$1""#, "sh"])
            .arg(self.path("bin").join(name))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let program = format!("#!/bin/sh\n{body}\n");
        writer.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
    }

    /// A script in this folder, under the loosest umask.
    fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut path = self.path("bin").into_os_string();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", r#"umask 000; exec "$@""#, "sh"])
            .arg(script(name))
            .args(args)
            .current_dir(self.0.path())
            .env("PATH", path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, name: &str, args: &[&str]) -> Output {
        self.command(name, args).output().unwrap()
    }

    fn start(&self, name: &str, args: &[&str]) -> Child {
        self.command(name, args).spawn().unwrap()
    }

    /// Runs `gen-user-keys.sh` with the password file and the fastest allowed keys.
    fn make_user_keys(&self, args: &[&str]) -> Output {
        self.run("gen-user-keys.sh", &[&["--bits", "2048", "--password-file", "pw"], args].concat())
    }

    fn user_files(&self, user: &str) -> Vec<String> {
        let folder = format!("keys/users/{user}");
        self.list(&folder).iter().map(|name| self.read(&format!("{folder}/{name}"))).collect()
    }

    fn openssl(&self, args: &[&str]) -> Output {
        Command::new(openssl_tool()).args(args).current_dir(self.0.path()).output().unwrap()
    }

    /// The files of a user's four key pairs: complete, closed to others, locked with this password and no other, matching.
    #[track_caller]
    fn assert_whole_set(&self, user: &str, password: &str) {
        let folder = format!("keys/users/{user}");
        let pairs = ["ed25519", "encryption", "identity", "x25519"];
        let files = pairs.map(|pair| [format!("{pair}.pem"), format!("{pair}.pub.pem")]);
        assert_eq!(self.list(&folder), files.concat());
        for pair in pairs {
            let (private, public) = (format!("{folder}/{pair}.pem"), format!("{folder}/{pair}.pub.pem"));
            assert_eq!((self.mode(&private), self.mode(&public)), (0o600, 0o600));
            let pem = self.read(&private);
            assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{private}");
            assert_eq!(pem.matches("-----BEGIN").count(), 1, "{private}");

            let opened = self.opened_public(&private, password);
            assert!(opened.status.success(), "{opened:?}");
            assert_eq!(String::from_utf8(opened.stdout).unwrap(), self.read(&public));
            let shut = self.opened_public(&private, "another password");
            assert!(!shut.status.success() && shut.stdout.is_empty(), "{shut:?}");
        }
    }

    fn opened_public(&self, private: &str, password: &str) -> Output {
        self.openssl(&["pkey", "-in", private, "-passin", &format!("pass:{password}"), "-pubout"])
    }

    /// The fingerprint of a public key file as people compare it.
    fn grouped_fingerprint(&self, public: &str) -> String {
        let pem = self.read(public);
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = data_encoding::BASE64.decode(base64.as_bytes()).unwrap();
        let digest = data_encoding::HEXLOWER.encode(&openssl::sha::sha256(&der));
        let groups: Vec<&str> = (0..16).map(|i| &digest[4 * i..4 * i + 4]).collect();
        groups.chunks(4).map(|four| four.join(" ")).collect::<Vec<_>>().join("  ")
    }
}

/// A machine where `PATH` leads only to what a test has put there.
struct Machine(Place);

impl Machine {
    fn bare() -> Self {
        Self(Place::new())
    }

    fn with_rust() -> Self {
        let machine = Self::bare();
        machine.install("cargo", "true");
        machine.install("rustc", "echo 'rustc 1.89.0 (29483883e 2025-08-04)'");
        machine
    }

    /// One with Rust that can build, and notes what cargo is asked for.
    fn with_all() -> Self {
        let machine = Self::with_rust();
        for tool in ["make", "pkg-config"] {
            machine.install(tool, "true");
        }
        machine.install("cargo", &format!(r#"echo "$@" >>'{}'"#, machine.0.path("asked").display()));
        machine.install("cc", "echo");
        machine.install("openssl", "echo 'OpenSSL 3.5.9'");
        for tool in ["mkdir", "rm"] {
            machine.install(tool, &format!(r#"exec {tool} "$@""#));
        }
        machine
    }

    fn install(&self, name: &str, body: &str) {
        // The stand-ins may use the real machine's tools; the script itself may not.
        self.0.fake(name, &format!("PATH=/usr/bin:/bin\n{body}"));
    }

    fn bootstrap(&self) -> Output {
        self.bootstrap_for(&[])
    }

    fn bootstrap_for(&self, args: &[&str]) -> Output {
        self.0
            .command("bootstrap.sh", args)
            .env("PATH", self.0.path("bin"))
            .env("HOME", self.0.0.path())
            .env("CARGO_TARGET_DIR", self.0.path("target"))
            .env_remove("OPENSSL_DIR")
            .output()
            .unwrap()
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}

/// The real `openssl` command, also where a test puts another one before it.
#[track_caller]
fn openssl_tool() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join("openssl"))
        .find(|tool| tool.is_file())
        .expect("these tests need the openssl command: run scripts/bootstrap.sh")
}

/// The id and the key of a group key file's only entry.
#[track_caller]
fn entry(text: &str) -> (&str, &str) {
    let mut entries = text.lines().skip(1).filter(|line| !line.starts_with('#'));
    let entry = entries.next().expect("an entry").split_once(' ').expect("an id and a key");
    assert_eq!(entries.next(), None);
    entry
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// What a successful run said on stdout; it must have said nothing else.
#[track_caller]
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &str) {
    assert_eq!(refused_with(output, code), words);
}

/// The words on stderr of a run that ended with `code` and left stdout empty.
#[track_caller]
fn refused_with(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    let words = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(words.contains("error: "), "{words}");
    words
}
