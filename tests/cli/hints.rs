//! Hints are believed: what one tells to type is typed here, as printed, and helps. And none is in the sources without a test.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use topchat::server::Settings;
use topchat::wire::to_server::Mode;
use topchat::wire::{ToClient, ToServer};

use super::home::Home;
use super::server::run as administrate;
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::{self, CLIENT, Finished, SERVER, ServerProcess};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// A member's machine on which the commands of hints can be typed. The password is given wherever a person would be asked for it.
struct Place {
    home: Home,
}

impl Place {
    fn new(home: Home) -> Self {
        fs::create_dir(home.path("bin")).unwrap();
        let programs = [
            ("topchat", format!("exec {CLIENT} \"$@\" --password-file password")),
            ("topchat-server", format!("exec {SERVER} --data-dir data \"$@\"")),
        ];
        for (name, script) in programs {
            fs::write(home.path("bin").join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(home.path("bin").join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts"), home.path("scripts")).unwrap();
        Self { home }
    }

    /// The command as a person types it, who puts what they know in the place of the words in capitals.
    fn types(&self, command: &str, known: &[(&str, &str)]) -> Finished {
        let typed = known.iter().fold(command.to_owned(), |typed, (word, value)| typed.replace(word, value));
        let path = format!("{}:{}", self.home.path("bin").display(), std::env::var("PATH").unwrap());
        process::run(self.home.program("sh").env("PATH", path).args(["-c", &typed]), b"")
    }

    /// The hint of what went wrong; each command in it works.
    #[track_caller]
    fn follows(&self, wrong: &Finished, known: &[(&str, &str)]) {
        let commands = commands(&wrong.stderr);
        assert!(!commands.is_empty(), "no command in the hint: {wrong:?}");
        for command in commands {
            let finished = self.types(&command, known);
            assert_eq!(finished.code, Some(0), "{command}, as told by {wrong:?}, ends with {finished:?}");
        }
    }

    /// These words go wrong in this way, and no more once the hint was followed.
    #[track_caller]
    fn is_cured(&self, words: &[&str], code: i32, known: &[(&str, &str)]) {
        let wrong = self.home.run_in(words);
        assert_eq!(wrong.code, Some(code), "{wrong:?}");
        self.follows(&wrong, known);
        let again = self.home.run_in(words);
        assert_eq!(again.code, Some(0), "still, after {wrong:?}: {again:?}");
    }

    /// These words go wrong in this way, and what the hint names shows what one needs to know.
    #[track_caller]
    fn is_informed(&self, words: &[&str], code: i32, known: &[(&str, &str)]) {
        let wrong = self.home.run_in(words);
        assert_eq!(wrong.code, Some(code), "{wrong:?}");
        self.follows(&wrong, known);
    }
}

/// The commands in the hint behind an error: they stand behind a colon, a comma, a bracket, four spaces or a word as "see".
fn commands(stderr: &str) -> Vec<String> {
    let hint = stderr.split("hint: ").nth(1).unwrap_or_else(|| panic!("no hint: {stderr}")).lines().next().unwrap();
    let marked = ["    ", ": ", ", ", "; ", " ("].iter().fold(hint.to_owned(), |text, mark| text.replace(mark, "\n"));
    let parts = marked.lines().map(|part| part.trim().trim_end_matches([')', '.']));
    let parts =
        parts.map(|part| ["see ", "or "].iter().fold(part, |part, word| part.strip_prefix(word).unwrap_or(part)));
    let word = |part: &str| part.split(' ').next().unwrap_or_default().to_owned();
    let begins = |part: &&str| COMMANDS.contains(&word(part).as_str()) || word(part).ends_with("/topchat-server");
    parts.filter(begins).map(str::to_owned).collect()
}

const COMMANDS: [&str; 7] = ["topchat", "topchat-server", "echo", "chmod", "chown", "ls", "mv"];

/// Alice's machine; bob and carol have accounts, too.
fn alice() -> (TestServer, Place) {
    let server = TestServer::start();
    for person in [&BOB, &CAROL] {
        assert_eq!(RawClient::connect(server.address).register(person), ToClient::Registered);
    }
    let place = Place::new(Home::of_member(server.address, &ALICE));
    (server, place)
}

#[test]
fn commands_are_found_in_a_hint() {
    for (hint, expected) in [
        ("see who there is: topchat users", &["topchat users"][..]),
        ("give at least 4 digits; see topchat group list", &["topchat group list"]),
        (
            "someone may. If so: topchat users --server 127.0.0.1:7 --server-fingerprint SHA256:9f",
            &["topchat users --server 127.0.0.1:7 --server-fingerprint SHA256:9f"],
        ),
        (
            "choose first: topchat verify bob    or go on: topchat trust bob",
            &["topchat verify bob", "topchat trust bob"],
        ),
        ("send it again when they are here (topchat users --online)", &["topchat users --online"]),
        ("you can log in again: topchat", &["topchat"]),
        ("try again", &[]),
    ] {
        assert_eq!(commands(&format!("error: x\nhint: {hint}\n")), expected, "{hint}");
    }
}

#[test]
fn hints_about_people_and_texts_help() {
    let (_server, place) = alice();
    let bob = BOB.identity.public().fingerprint().to_hex();
    place.is_informed(&["send", "carl", "hi"], 7, &[]);
    place.is_informed(&["forget", "bob"], 2, &[]);
    place.is_cured(&["send", "bob", "hi", "--accept-new-keys", "never"], 4, &[]);
    place.is_informed(&["trust", "bob"], 2, &[("FINGERPRINT", &bob)]);
    place.is_informed(&["send", "bob", ""], 2, &[("NAME", "bob"), ("TEXT", "hi")]);
    let pipe = place.home.path("pipe");
    assert!(process::run(process::command("mkfifo", place.home.folder.path()).arg("pipe"), b"").code == Some(0));
    let wrong = place.home.run_in(&["send", "bob", "--file", "pipe"]);
    let writer = std::thread::spawn(move || fs::write(pipe, "through a pipe\n"));
    place.follows(&wrong, &[("NAME", "bob")]);
    writer.join().unwrap().unwrap();
}

#[test]
fn hints_about_a_changed_key_help_until_one_has_chosen() {
    let (server, place) = alice();
    assert_eq!(place.home.run_in(&["fingerprint", "bob"]).code, Some(0));
    let mut bob = RawClient::again(server.address, &BOB, Mode::Errand);
    assert_eq!(bob.ask(&ToServer::DeleteAccount { request: 1 }), ToClient::Done { request: 1 });
    assert_eq!(RawClient::connect(server.address).register_as(&CAROL, &BOB.name), ToClient::Registered);
    let new = CAROL.identity.public().fingerprint().to_hex();
    // What a person would answer when asked, and the fingerprint that they compared.
    let (verify, trust) = (format!("verify bob --fingerprint {new}"), format!("trust bob {new}"));
    let answers = [("verify bob", verify.as_str()), ("trust bob", trust.as_str())];
    let changed = place.home.run_in(&["send", "bob", "hi"]);
    assert_eq!((changed.code, commands(&changed.stderr).len()), (Some(4), 2), "{changed:?}");
    place.is_cured(&["forget", "bob"], 4, &answers);
    assert_eq!(place.home.run_in(&["send", "bob", "hi"]).code, Some(0));
}

#[test]
fn hints_about_the_group_key_help() {
    let (_server, place) = alice();
    let key = place.home.path("keys/group.key");
    let oldest = |home: &Home| home.run(&["group", "list"]).stdout.lines().last().unwrap()[..8].to_owned();
    place.is_informed(&["group", "forget", "ffff"], 2, &[]);
    place.is_cured(&["group", "forget", &oldest(&place.home)], 2, &[]);
    fs::remove_file(&key).unwrap();
    place.is_cured(&["send", "ALL", "hi"], 3, &[]);
    place.is_cured(&["send", "ALL", "hi", "--group-key", "it's my key"], 3, &[]);
    fs::write(&key, "no key at all\n").unwrap();
    place.is_cured(&["send", "ALL", "hi"], 3, &[]);
    while place.home.run(&["group", "rekey"]).code == Some(0) {}
    place.is_cured(&["group", "rekey"], 3, &[("ID", &oldest(&place.home))]);
}

#[test]
fn hints_about_files_help() {
    let (server, place) = alice();
    let home = &place.home;
    assert_eq!(home.run_in(&["users"]).code, Some(0));
    let mode = |name: &str, mode| fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
    mode("keys/users/alice/identity.pem", 0o644);
    place.is_cured(&["users"], 3, &[]);
    mode("state", 0o777);
    place.is_cured(&["users"], 3, &[]);
    assert_eq!(home.run_in(&["keys", "export"]).code, Some(0));
    place.is_cured(&["keys", "export"], 3, &[]);
    let pins = home.read("state/servers.json");
    let address = server.address.to_string();
    let known: serde_json::Value = serde_json::from_str(&pins).unwrap();
    let mut other = known.clone();
    other.as_object_mut().unwrap().remove("sum");
    other["servers"][&address]["identity"] = "9f".repeat(32).into();
    home.state("state/servers.json", &other);
    place.is_cured(&["users"], 4, &[]);
    fs::rename(home.path("keys/group.key"), home.path("group.key")).unwrap();
    fs::create_dir(home.path("keys/group.key")).unwrap();
    place.is_informed(&["send", "ALL", "hi"], 3, &[]);
    assert!(home.path("keys/group.key.old").is_dir());

    // An exported account that was changed: another export is taken.
    let second = Place::new(Home::new(server.address));
    let export = home.read("alice.topchat-keys");
    second.home.file("alice.topchat-keys", export.replacen('A', "B", 1).as_bytes());
    let wrong = second.home.run_in(&["keys", "import", "alice.topchat-keys"]);
    assert!(wrong.code != Some(0), "{wrong:?}");
    fs::remove_file(home.path("alice.topchat-keys")).unwrap();
    place.follows(&wrong, &[]);
    second.home.file("alice.topchat-keys", home.read("alice.topchat-keys").as_bytes());
    assert_eq!(second.home.run_in(&["keys", "import", "alice.topchat-keys"]).code, Some(0));
}

#[test]
fn hints_about_the_history_help() {
    let (server, place) = alice();
    let wrong = place.home.run_in(&["history"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    place.follows(&wrong, &[]);
    assert_eq!(place.home.run_in(&["send", "bob", "hi"]).code, Some(0));
    assert_eq!(place.home.run_in(&["history"]).code, Some(0));
    let sealed = format!("state/{}/alice/history.sealed", server.address);
    let text = place.home.read(&sealed);
    let mut lines: Vec<_> = text.lines().collect();
    lines.push(lines[1]);
    place.home.file(&sealed, (lines.join("\n") + "\n").as_bytes());
    let wrong = place.home.run_in(&["history"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    let hint = "\nhint: take history.sealed from a backup; what is not damaged stays in it, and is shown\n";
    assert!(wrong.stderr.ends_with(hint) && wrong.stdout.contains("hi"), "{wrong:?}");
}

#[test]
fn hints_about_accounts_help() {
    let server = TestServer::start();
    let newcomer = Place::new(Home::new(server.address));
    // Keys of 2048 bits, since they are made in no time.
    let small = ("topchat register", "topchat register --bits 2048");
    newcomer.is_cured(&["users"], 3, &[small, ("NAME", "dave")]);
    newcomer.is_cured(&["users", "--user", "erin"], 3, &[small]);
    let stranger = Place::new(Home::with_keys(server.address, &BOB));
    stranger.is_cured(&["users"], 6, &[]);

    let listening = stranger.home.listen(&[]);
    let _elsewhere = RawClient::again(server.address, &BOB, Mode::Receiving);
    let replaced = listening.finish();
    assert_eq!(replaced.code, Some(3), "{replaced:?}");
    stranger.follows(&replaced, &[]);
}

/// With two accounts on the machine no command finds its account by itself.
#[test]
fn hints_where_several_accounts_are_name_the_one_that_is_used() {
    let server = TestServer::start();
    let place = Place::new(Home::of_member(server.address, &ALICE));
    fs::create_dir(place.home.path("keys/users/bob")).unwrap();
    place.home.file("keys/users/bob/identity.pem", b"");
    let as_alice = |words: &[&'static str]| [words, &["--user", "alice"]].concat();
    place.is_informed(&as_alice(&["send", "carl", "hi"]), 7, &[]);
    place.is_cured(&as_alice(&["history"]), 3, &[]);
    let wrong = place.home.run_in(&as_alice(&["send", "carl", "hi"]));
    assert!(wrong.stderr.ends_with("hint: see who there is: topchat --user alice users\n"), "{wrong:?}");
    let mut named = place.home.topchat(&as_alice(&["send", "carl", "hi", "--password-file", "password"]));
    let wrong = process::run(named.env("TOPCHAT_COMMAND", "scripts/topchat"), b"");
    assert!(wrong.stderr.ends_with("see who there is: scripts/topchat --user alice users\n"), "{wrong:?}");
    let request = br#"{"jsonrpc":"2.0","id":1,"method":"send","params":{"to":"carl","text":"hi"}}"#;
    let answer = place.home.run_with(&as_alice(&["rpc"]), request).stdout;
    assert!(answer.contains(r#""hint":"see who there is: topchat --user alice users""#), "{answer}");
}

/// The environment leads elsewhere: only with what was typed the hint's command finds its server and files.
#[test]
fn hints_repeat_the_server_and_the_folders_that_were_typed() {
    let (server, mut place) = alice();
    place.home.server = "127.0.0.1:1".to_owned();
    fs::rename(place.home.path("keys"), place.home.path("other keys")).unwrap();
    let address = server.address.to_string();
    let typed = ["--server", &address, "--keys-dir", "other keys", "--state-dir", "other"];
    let repeated = format!("--server {address} --keys-dir 'other keys' --state-dir other");
    let wrong = place.home.run_in(&[&["send", "carl", "hi"], &typed[..]].concat());
    assert!(wrong.stderr.ends_with(&format!("hint: see who there is: topchat {repeated} users\n")), "{wrong:?}");
    place.follows(&wrong, &[]);
    let small = ["register", "dave", "--bits", "2048"];
    let finished = place.home.run_in(&[&typed[..], &small].concat());
    assert!(finished.stderr.ends_with(&format!("next: topchat {repeated} login dave\n")), "{finished:?}");
    let wrong = place.home.run_in(&[&["history", "--user", "alice"], &typed[..]].concat());
    assert!(wrong.stderr.ends_with(&format!(": topchat --user alice {repeated} history on\n")), "{wrong:?}");
    place.follows(&wrong, &[]);
}

/// However wide the terminal is: two accounts are here, and every setting that a command has to repeat was typed.
#[test]
fn commands_in_hints_work_at_every_width_as_they_are_printed() {
    let (server, mut place) = alice();
    fs::create_dir(place.home.path("keys/users/bob")).unwrap();
    place.home.file("keys/users/bob/identity.pem", b"");
    place.home.server = "127.0.0.1:1".to_owned();
    fs::rename(place.home.path("keys"), place.home.path("other keys")).unwrap();
    let address = server.address.to_string();
    let settings = ["--server", &address, "--keys-dir", "other keys", "--state-dir", "other"];
    let account = ["--user", "alice", "--password-file", "password"];
    let new_password = ("passwd", "passwd --new-password-file password");
    for columns in [60, 80, 100, 130, 200] {
        let mut command = place.home.topchat(&[&settings[..], &account[..]].concat());
        let mut chat = Terminal::with_size(command.env("TERM", "xterm-256color"), 24, columns);
        chat.wait_for("ALL> ");
        chat.types("/passwd\r");
        chat.wait_for("other passwd");
        chat.types("/quit\r");
        let mut told = chat.finish();
        let command = place.home.topchat(&[&settings[..], &account[..], &["send", "carl", "hi"]].concat());
        let mut send = Terminal::with_size(&command, 24, columns);
        send.wait_for("other users");
        told.extend(send.finish());
        let told = String::from_utf8_lossy(&told);
        for (end, known) in [("fingerprint", None), ("passwd", Some(new_password)), ("users", None)] {
            let whole = told.lines().find_map(|line| {
                let end = format!("--state-dir other {end}");
                let from = &line[line.find("topchat --user")?..];
                Some(from[..from.find(&end)? + end.len()].to_owned())
            });
            let whole = whole.unwrap_or_else(|| panic!("no whole command to {end} at {columns} columns: {told:?}"));
            let finished = place.types(&whole, &Vec::from_iter(known));
            assert_eq!(finished.code, Some(0), "{whole}, as told at {columns} columns, ends with {finished:?}");
        }
    }
}

#[test]
fn hints_about_invites_and_of_the_server_help() {
    let place = Place::new(Home::at("127.0.0.1:1"));
    let server = ServerProcess::with(place.home.folder.path(), &["--registration", "invite"]);
    let owner = &place.home;
    for words in [["user", "delete", "nobody"], ["user", "revoke", "00000000"]] {
        let wrong = administrate(owner, &words);
        assert_eq!(wrong.code, Some(7), "{wrong:?}");
        place.follows(&wrong, &[]);
    }
    let newcomer = Place::new(Home::new(server.address));
    let invite = administrate(owner, &["user", "invite"]).stdout;
    newcomer.home.file("code", invite.as_bytes());
    newcomer.home.file("wrong", b"aaaa-aaaa-aaaa-aaaa-aaaa-aaaa\n");
    let wrong = newcomer.home.run_in(&["register", "dave", "--bits", "2048", "--invite-file", "wrong"]);
    assert_eq!(wrong.code, Some(6), "{wrong:?}");
    newcomer.follows(&wrong, &[("FILE", "code --bits 2048")]);
    drop(server);

    let mode = |mode| fs::set_permissions(owner.path("data"), fs::Permissions::from_mode(mode)).unwrap();
    mode(0o777);
    let wrong = administrate(owner, &["status"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    place.follows(&wrong, &[]);
    assert_eq!(administrate(owner, &["user", "list"]).code, Some(0));
    // The server was killed: its socket is there.
    fs::remove_file(owner.path("data/admin.sock")).unwrap();
    owner.file("data/admin.sock", b"");
    let wrong = administrate(owner, &["--listen", "127.0.0.1:0"]);
    assert_eq!(wrong.code, Some(3), "{wrong:?}");
    place.follows(&wrong, &[]);
    assert_eq!(administrate(owner, &["user", "list"]).code, Some(0));
}

/// As many contacts as there may be, and one more.
#[test]
fn the_hint_about_too_many_contacts_helps() {
    let (server, place) = alice();
    assert_eq!(place.home.run_in(&["fingerprint", "bob"]).code, Some(0));
    let file = format!("state/{}/alice/contacts.json", server.address);
    let mut pins: serde_json::Value = serde_json::from_str(&place.home.read(&file)).unwrap();
    let contacts = pins["contacts"].as_object_mut().unwrap();
    let bob = contacts["bob"].clone();
    for number in contacts.len()..topchat::limits::CONTACTS_MAX {
        contacts.insert(format!("friend-{number}"), bob.clone());
    }
    pins.as_object_mut().unwrap().remove("sum");
    place.home.state(&file, &pins);
    place.is_cured(&["send", "carol", "hi"], 3, &[("NAME", "friend-7")]);
}

#[test]
fn a_full_server_is_worth_waiting_for() {
    let server = TestServer::with(Settings { max_clients: 1, ..Settings::default() });
    let alice = Home::of_member(server.address, &ALICE);
    let seated = RawClient::member(server.address, &BOB, Mode::Errand);
    let full = alice.run_in(&["users"]);
    assert_eq!(full.code, Some(5));
    assert!(full.stderr.contains("run with --wait to queue"), "{full:?}");
    let waiting = alice.start(&["users", "--wait"]);
    drop(seated);
    assert_eq!(waiting.finish().code, Some(0));
}

/// Every text that a `hint` of the sources can give stands in a test as well, so that nobody adds one that was never seen.
#[test]
fn every_hint_of_the_sources_stands_in_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut sources, mut tests) = (Vec::new(), String::new());
    collect(&root.join("src"), &mut |path, text| {
        let name = path.file_stem().unwrap().to_string_lossy();
        let is_test = name.ends_with("tests") || path.parent().unwrap().ends_with("tests");
        let (code, own) = text.split_once("#[cfg(test)]\nmod tests").unwrap_or((text, ""));
        match is_test {
            true => tests += text,
            false => (sources.push(code.to_owned()), tests += own).0,
        }
    });
    collect(&root.join("tests"), &mut |_, text| tests += text);
    let tests = unescaped(&tests);
    let hints: Vec<_> = sources.iter().flat_map(|source| hints(source)).collect();
    assert!(hints.len() > 80, "{} hints", hints.len());
    let longest = |hint: &String| hint.split(['{', '}']).step_by(2).max_by_key(|part| part.len()).unwrap().to_owned();
    let unseen: Vec<_> = hints.iter().filter(|hint| !tests.contains(&longest(hint))).collect();
    assert!(unseen.is_empty(), "hints without a test: {unseen:#?}");
}

/// A hint is believed, also by somebody who has no backup. So none tells to remove, replace or give away the only copy of something
/// without a word of what goes with it; those that do so with that word stand here, with the reason why it must be.
#[test]
fn no_hint_takes_the_only_copy_of_something_without_saying_what_is_lost() {
    const DANGERS: [&str; 12] = [
        "mv ",
        "rm ",
        "move ",
        "remove",
        "delete",
        "erase",
        "chown",
        "replace",
        "overwrite",
        "--force",
        "begin anew",
        "reset",
    ];
    /// What stands in the hint, and why that does no harm.
    const CONSIDERED: [(&str, &str); 9] = [
        ("keep it under another name", "it stays, under that name; -i asks before it would take the place of another"),
        ("which every client refuses until its owner confirms it", "it stays, and says what the new one costs"),
        ("who has asked for a name before can tell", "it stays, and says what the new one costs"),
        ("under which what was sealed before can't be read", "it stays, and says what another key costs"),
        ("messages are delivered again then", "it stays, and says what happens"),
        ("its messages are lost then", "it stays, and says what is lost"),
        ("--force removes the whole file; make a new key first", "says what would be lost, and the way without a loss"),
        ("--force lets the next one write; make a new key first", "nothing is lost but the key that was named"),
        ("remove it, or choose another --keys-dir", "a link is no copy"),
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join("src"), &mut |path, text| {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        found.extend(hints(code).into_iter().map(|hint| (path.display().to_string(), hint)));
    });
    for script in fs::read_dir(root.join("scripts")).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(text) = fs::read_to_string(&script) else { continue };
        // `fail CODE WHAT HINT`.
        let told = text.lines().filter(|line| line.contains("fail ")).filter_map(|line| {
            let (_, words) = line.split_once("fail ")?;
            words.split('"').nth(3)
        });
        found.extend(told.map(|hint| (script.display().to_string(), hint.to_owned())));
    }
    assert!(found.len() > 80, "{} hints", found.len());
    let dangerous = |hint: &str| DANGERS.iter().any(|word| hint.contains(word));
    let considered = |hint: &str| CONSIDERED.iter().any(|(words, _)| hint.contains(words));
    let careless: Vec<_> = found.iter().filter(|(_, hint)| dangerous(hint) && !considered(hint)).collect();
    assert!(careless.is_empty(), "what is lost by these? {careless:#?}");
}

fn collect(folder: &Path, each: &mut dyn FnMut(&Path, &str)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, each);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            each(&path, &fs::read_to_string(&path).unwrap());
        }
    }
}

/// The texts in functions that give hints, those of `Explain` and others whose names say so, and of the hints that are given where an
/// error arises.
fn hints(source: &str) -> Vec<String> {
    let is_hint =
        |name: &str| ["hint", "remedy"].iter().any(|word| name == *word || name.ends_with(&format!("_{word}")));
    let functions = source.split("fn ").skip(1).filter_map(|function| {
        let name = function.split(['(', '<']).next().unwrap_or_default();
        let gives_one = function.contains("-> ") && function.lines().next().unwrap().contains("Hint");
        let body = function.split("\n    }\n").next().unwrap().split("\n}\n").next().unwrap();
        (is_hint(name) && gives_one).then_some(body)
    });
    let named = source.split("let hint = ").skip(1).map(|rest| rest.split(";\n").next().unwrap());
    let given = source.split(".hint(").skip(1).map(argument);
    let mut found = Vec::<String>::new();
    for body in functions.chain(named).chain(given) {
        // The first piece is code, the next one a text, and so on: no text here has a quote in it that is not escaped.
        let pieces = body.replace("\\\"", "\u{1}");
        for (index, piece) in pieces.split('"').collect::<Vec<_>>().chunks_exact(2).enumerate() {
            let text = unescaped(&piece[1].replace('\u{1}', "\\\""));
            let begin = ["=>", ";", "Some("].iter().filter_map(|mark| piece[0].rfind(mark)).max();
            let text = joint(&piece[0][begin.unwrap_or(0)..]) + &text;
            match found.last_mut() {
                Some(last) if index > 0 && begin.is_none() && goes_on(piece[0]) => last.push_str(&text),
                _ => found.push(text),
            }
        }
    }
    found.retain(|text| text.len() > 8);
    found
}

/// What stands before the parenthesis that closes.
fn argument(source: &str) -> &str {
    let mut open = 1;
    let end = source.find(|c| {
        open += i32::from(c == '(') - i32::from(c == ')');
        open == 0
    });
    &source[..end.unwrap()]
}

/// Whether the text behind this code belongs to the same hint as the one before it.
fn goes_on(code: &str) -> bool {
    code.trim_start().starts_with(',') || [".then(", ".typed(", ".topchat"].iter().any(|call| code.contains(call))
}

/// What stands in a hint between two of its texts, for which the code says this; `{}` for what is not known here.
fn joint(code: &str) -> String {
    let argument = code.trim().strip_prefix(',').map(|rest| rest.trim_end_matches(','));
    if let Some(argument) = argument.filter(|argument| !argument.contains(')')) {
        return if argument.is_empty() { " ".to_owned() } else { " {} ".to_owned() };
    }
    let unknown = [".as_str()", ".to_string()", ".to_hex()", ".and("].iter().any(|call| code.contains(call));
    let program = [(".topchat(&[", "topchat "), (".topchat_server(&[", "topchat-server ")];
    let program = program.iter().find(|(call, _)| code.contains(call)).map_or("", |(_, name)| name);
    if unknown { format!("{{}}{program}") } else { program.to_owned() }
}

/// Texts of Rust as they are meant: lines that go on are one.
fn unescaped(text: &str) -> String {
    let mut parts = text.split("\\\n");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.trim_start()).replace("\\\"", "\"")
}
