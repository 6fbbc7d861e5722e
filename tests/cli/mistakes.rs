//! Mistakes on the command line: names, texts, passwords, flags. Nothing is sent because of any of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use clap::CommandFactory;
use topchat::client::cli::options::Options;
use topchat::limits::TEXT_MAX;
use topchat::server::options::Options as Owner;
use topchat::wire::to_server::Mode;

use super::home::{Home, keys_made, refused};
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// Nobody listens there: port 1 is for root, and what is tested here ends before a connection is tried.
const NOWHERE: &str = "127.0.0.1:1";
const NAME_HINT: &str = "hint: names are a-z, 0-9, _ and -, begin with a letter and have at most 32 characters\n";
const ALL_HINT: &str = "hint: take another name; to write to everybody, write ALL in capitals\n";
const TEXT_HINT: &str = "hint: topchat send NAME TEXT, or: echo TEXT | topchat send NAME\n";

#[test]
fn a_bad_name_is_told_with_the_rule() {
    let home = Home::at(NOWHERE);
    let long = "a".repeat(33);
    for (name, why) in [
        ("Alice", "a name begins with a letter from a to z. Did you mean alice?"),
        ("al\u{e9}X", "a name can't contain \u{e9}"),
        ("", "a name can't be empty"),
        ("1st", "a name begins with a letter from a to z"),
        ("al ice", "a name can't contain a space"),
        ("al\u{1b}[2Jice", "a name can't contain ^["),
        (&long, "a name has at most 32 characters, this one has 33"),
    ] {
        let shown = name.replace('\u{1b}', "^[");
        let stderr = format!("error: \"{shown}\" can't be a name: {why}\n{NAME_HINT}");
        for words in [&["register", name][..], &["login", name], &["send", name, "hi"], &["fingerprint", name]] {
            refused(&home.run(words), 2, &stderr);
        }
        refused(&home.run(&["users", "--user", name]), 2, &stderr);
    }
}

#[test]
fn all_is_no_name_however_it_is_written() {
    let home = Home::at(NOWHERE);
    for name in ["ALL", "all", "All"] {
        let stderr = format!("error: \"{name}\" can't be a name: ALL means everybody and can't be a name\n{ALL_HINT}");
        refused(&home.run(&["register", name]), 2, &stderr);
        refused(&home.run(&["fingerprint", name]), 2, &stderr);
    }
    refused(
        &home.run(&["send", "all", "hi"]),
        2,
        &format!("error: \"all\" can't be a name: ALL means everybody and can't be a name\n{ALL_HINT}"),
    );
}

/// Nobody has to type a password, or to wait, for what can't come to anything.
#[test]
fn what_can_not_be_written_or_read_is_told_before_the_password_is_asked_for() {
    let home = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    home.file("file", b"");
    for (words, code, why) in [
        (&["listen", "--export", "file/messages"][..], 3, "file/messages"),
        (&["listen", "--export", "file"], 3, "file is "),
        (&["listen", "--export", "/proc/nothing"], 3, "/proc/nothing"),
        (&["keys", "export", "file"], 3, "file exists already"),
        (&["keys", "export", "keys", "--force"], 3, "keys is "),
        (&["keys", "export", "nowhere/alice"], 3, "nowhere"),
        (&["keys", "export", "--force", "/proc/alice"], 3, "/proc"),
        (&["keys", "export", "--with-group-key", "--group-key", "nowhere"], 3, "nowhere"),
        (&["keys", "import", "nowhere"], 3, "nowhere"),
        (&["send", "bob", "--file", "nowhere"], 3, "nowhere"),
        (&["send", "ALL", "hi", "--group-key", "nowhere"], 3, "nowhere"),
        (&["passwd", "--new-password-file", "nowhere"], 3, "nowhere"),
        (&["register", "carol", "--invite-file", "nowhere"], 3, "nowhere"),
        (&["register", "carol", "--group-key", "nowhere"], 3, "nowhere"),
        (&["trust", "bob", "xyz"], 2, "\"xyz\""),
        (&["verify", "bob", "--fingerprint", "xyz"], 2, "\"xyz\""),
        (&["history", "--since", "when"], 2, "when"),
    ] {
        let finished = home.run(&[words, &["--password-command", "touch asked; echo password1"]].concat());
        assert_eq!(finished.code, Some(code), "{words:?}: {}", finished.stderr);
        assert!(finished.stderr.contains(why), "{words:?}: {}", finished.stderr);
        assert!(!home.path("asked").exists(), "{words:?}: {}", finished.stderr);
    }
}

#[test]
fn a_text_that_can_not_be_sent_is_refused_before_anything_else() {
    let home = Home::at(NOWHERE);
    let long = "x".repeat(TEXT_MAX + 1);
    let too_long = "error: the text is longer than 4096 bytes. Nothing was sent.\n\
                    hint: split it, or send a file some other way\n";
    refused(&home.run(&["send", "bob", &long]), 2, too_long);
    for input in [&long, &format!("{long}\n"), &"x".repeat(1_000_000)] {
        refused(&home.run_with(&["send", "bob"], input.as_bytes()), 2, too_long);
        refused(&home.run_with(&["send", "bob", "-"], input.as_bytes()), 2, too_long);
    }
    let empty = format!("error: the text is empty\n{TEXT_HINT}");
    refused(&home.run(&["send", "bob", ""]), 2, &empty);
    refused(&home.run_with(&["send", "bob"], b""), 2, &empty);
    refused(&home.run_with(&["send", "bob"], b"\n"), 2, &empty);

    let not_utf8 = "error: the text is not UTF-8. Nothing was sent.\n";
    refused(&home.run_with(&["send", "bob"], b"caf\xe9\n"), 2, not_utf8);
    let mut command = home.topchat(&["send", "bob"].map(OsStr::new));
    let finished = process::run(command.arg(OsStr::from_bytes(b"caf\xe9")), b"");
    refused(
        &finished,
        2,
        "error: invalid UTF-8 was detected in one or more arguments\n\n\
         Usage: topchat send [OPTIONS] <TO> [TEXT]\n\nFor more information, try '--help'.\n",
    );
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_flag_is_named() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let stderr = "error: the password is needed and there is no terminal to ask for it\n\
                  hint: give it with --password-file FILE or --password-command COMMAND\n";
    for words in [&["send", "bob", "hi"][..], &["users"], &["listen"], &["login"], &[], &["listen", "--no-input"]] {
        refused(&home.run(words), 2, stderr);
    }
    refused(
        &home.run(&["register", "bob"]),
        2,
        "error: the new password is needed and there is no terminal to ask for it\n\
         hint: give it with --password-file FILE or --password-command COMMAND\n",
    );
    refused(
        &home.run_in(&["passwd"]),
        2,
        "error: the new password is needed and there is no terminal to ask for it\n\
         hint: give it with --new-password-file FILE\n",
    );
    refused(
        &home.run_in(&["delete-account"]),
        2,
        "error: a confirmation is needed and there is no terminal to ask for it\nhint: give it with --yes\n",
    );
}

#[test]
fn a_password_source_without_a_password_is_named() {
    let home = Home::at(NOWHERE);
    home.file("empty", b"");
    home.file("short", b"hunter2\n");
    let first_line = "hint: the first line of the file, or of the command's output, is the password\n";
    for (words, code, stderr) in [
        (["--password-file", "empty"], 2, format!("error: empty holds no password\n{first_line}")),
        (
            ["--password-file", "/dev/stdin"],
            2,
            "error: /dev/stdin is no file that holds a password\n\
             hint: give it as input with --password-file -, or with --password-command COMMAND\n"
                .to_owned(),
        ),
        (["--password-file", "none"], 3, "error: none: no such file or folder\n".to_owned()),
        (
            ["--password-command", "exit 3"],
            3,
            format!("error: the password command failed with exit code 3\n{first_line}"),
        ),
        (
            ["--password-file", "short"],
            2,
            "error: a password has at least 8 bytes, this one has 7\n\
             hint: take a longer or shorter one: 8 to 128 bytes, without NUL\n"
                .to_owned(),
        ),
    ] {
        let words = [&["register", "alice"], &words[..]].concat();
        refused(&home.run(&words), code, &stderr);
    }
}

#[test]
fn a_new_password_is_asked_for_by_its_own_flag() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    refused(
        &home.run_in(&["passwd", "--new-password-file", "/dev/stdin"]),
        2,
        "error: /dev/stdin is no file that holds a password\nhint: give it as input with --new-password-file -\n",
    );
}

#[test]
fn a_wrong_password_is_refused_before_and_by_the_server() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    home.file("wrong", b"wrong horse\n");
    refused(
        &home.run(&["users", "--password-file", "wrong"]),
        6,
        "error: wrong name or password: it does not open keys/users/alice/identity.pem\n\
         hint: the password of the account also locks its key files\n",
    );
    // The password opens the keys, but the server knows no such account: the same words as for a wrong password.
    let stranger = Home::with_keys(server.address, &BOB);
    refused(
        &stranger.run_in(&["users"]),
        6,
        "error: wrong name or password.\n\
         hint: is bob an account of this server? If not: topchat register bob    \
         If its keys were renewed on another machine: topchat keys export there, then topchat keys import FILE here\n",
    );
}

#[test]
fn an_unknown_user_is_told_with_the_nearest_name() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&CAROL);
    for (words, stderr) in [
        (&["send", "carl", "hi"][..], "error: no user \"carl\" here. Did you mean carol? Nothing was sent.\n"),
        (&["send", "zacharias", "hi"], "error: no user \"zacharias\" here. Nothing was sent.\n"),
        (&["fingerprint", "carl"], "error: no user \"carl\" here. Did you mean carol?\n"),
        (&["fingerprint", "caorl"], "error: no user \"caorl\" here. Did you mean carol?\n"),
        (&["trust", "carl", "77aa0e5193c24b1d"], "error: no user \"carl\" here. Did you mean carol?\n"),
    ] {
        refused(&home.run_in(words), 7, &format!("{stderr}hint: see who there is: topchat users\n"));
    }
}

#[test]
fn a_taken_name_names_the_way_in_and_leaves_no_keys_behind() {
    let server = TestServer::start();
    let _taken = RawClient::member(server.address, &ALICE, Mode::Errand);
    let home = Home::new(server.address);
    refused(
        &keys_made(home.run_in(&["register", "alice", "--bits", "2048"])),
        6,
        "error: the name \"alice\" is taken on this server. Log in with: topchat login alice\n",
    );
    assert!(!home.path("keys/users/alice").exists(), "keys of no account are only in the way");
}

#[test]
fn the_account_must_be_clear() {
    let home = Home::at(NOWHERE);
    refused(
        &home.run_in(&["users"]),
        3,
        "error: no account on this machine yet (looked in keys/users)\nhint: make one with: topchat register NAME\n",
    );
    refused(
        &home.run_in(&["users", "--user", "bob"]),
        3,
        "error: no keys of bob on this machine (looked in keys/users/bob)\n\
         hint: make the account with: topchat register bob    or name the folder of its keys with --keys-dir\n",
    );
    for name in ["alice", "bob"] {
        std::fs::create_dir_all(home.path("keys/users").join(name)).unwrap();
        home.file(&format!("keys/users/{name}/identity.pem"), b"");
    }
    refused(
        &home.run_in(&["users"]),
        2,
        "error: several accounts on this machine: alice, bob\nhint: choose one with --user NAME\n",
    );
}

#[test]
fn values_that_can_not_be_are_refused_by_name() {
    let home = Home::at(NOWHERE);
    let address = "hint: write it as HOST:PORT, as in --server 127.0.0.1:7777\n";
    for (words, stderr) in [
        (
            &["users", "--server", "a b"][..],
            format!("error: \"a b\" is no server address: that is no host name\n{address}"),
        ),
        (
            &["users", "--server", "a:0"],
            format!("error: \"a:0\" is no server address: a port is a number from 1 to 65535\n{address}"),
        ),
        (
            &["users", "--server-fingerprint", "SHA256:9f"],
            "error: \"SHA256:9f\" is no fingerprint of a server\n\
             hint: give all of its 64 hex digits, as the server's start lines show them\n"
                .to_owned(),
        ),
        (
            &["register", "alice", "--bits", "1024", "--password-file", "password"],
            "error: keys of 1024 bits are not possible, 2048 to 4096 are\n\
             hint: leave the size out for keys of 3072 bits\n"
                .to_owned(),
        ),
    ] {
        refused(&home.run(words), 2, &stderr);
    }
}

#[test]
fn unknown_flags_and_commands_are_told_with_the_nearest_one() {
    let home = Home::at(NOWHERE);
    let more = "For more information, try '--help'.\n";
    refused(
        &home.run(&["regster", "alice"]),
        2,
        &format!(
            "error: unrecognized subcommand 'regster'\n\n  tip: a similar subcommand exists: 'register'\n\n\
             Usage: topchat [OPTIONS] [COMMAND]\n\n{more}"
        ),
    );
    refused(
        &home.run(&["users", "--jsn"]),
        2,
        &format!(
            "error: unexpected argument '--jsn' found\n\n  tip: a similar argument exists: '--json'\n\n\
             Usage: topchat users [OPTIONS]\n\n{more}"
        ),
    );
    refused(
        &home.run(&["users", "--password", "secret"]),
        2,
        &format!(
            "error: unexpected argument '--password' found\n\n  tip: a similar argument exists: '--password-file'\n\n\
             Usage: topchat users [OPTIONS]\n\n{more}"
        ),
    );
}

/// Whoever copies a command copies what is hidden in it; and what stands in the environment is no less foreign.
#[test]
fn a_command_line_that_is_wrong_is_told_without_what_a_terminal_would_obey() {
    let home = Home::at(NOWHERE);
    const NASTY: &str = "\u{1b}[31mx\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}\u{200d}\n12:00 bob > you  hi";
    const SHOWN: &str = "^[[31mx^[]0;owned^G<U+009B>2J<U+202E><U+200D>^J12:00 bob > you  hi";
    let bad = OsStr::from_bytes(b"\xff\x1b[31m");
    for (program, words) in [
        (process::CLIENT, &[NASTY][..]),
        (process::CLIENT, &["users", &format!("--{NASTY}")]),
        (process::CLIENT, &["--timeout", NASTY, "users"]),
        (process::CLIENT, &["send", "bob", "hi", NASTY]),
        (process::SERVER, &[NASTY]),
        (process::SERVER, &["--max-clients", NASTY]),
        (process::SERVER, &["user", NASTY]),
        (process::SERVER, &["--registration", NASTY]),
    ] {
        let finished = process::run(process::command(program, home.folder.path()).args(words), b"");
        assert_eq!(finished.code, Some(2), "{words:?}");
        assert!(finished.stderr.starts_with("error: ") && finished.stderr.contains(SHOWN), "{:?}", finished.stderr);
        assert!(finished.stderr.lines().all(|line| topchat::text::visible(line) == line), "{:?}", finished.stderr);
    }
    for (program, word, variable, shown) in [
        (process::CLIENT, "users", "TOPCHAT_ACCEPT_NEW_KEYS", "'--accept-new-keys <WHEN>'"),
        (process::SERVER, "status", "TOPCHAT_MAX_CLIENTS", "'--max-clients <N>'"),
    ] {
        let mut command = process::command(program, home.folder.path());
        let finished = process::run(command.arg(word).env(variable, NASTY.replace('\n', "")), b"");
        assert_eq!(finished.code, Some(2), "{variable}");
        assert!(finished.stderr.contains(shown) && finished.stderr.contains("^[[31mx^[]0;"), "{:?}", finished.stderr);
        assert!(!finished.stderr.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}']), "{:?}", finished.stderr);
    }
    for program in [process::CLIENT, process::SERVER] {
        let finished = process::run(process::command(program, home.folder.path()).arg(bad), b"");
        assert_eq!(finished.code, Some(2));
        assert!(finished.stderr.contains("\u{fffd}^[[31m"), "{:?}", finished.stderr);
    }
}

/// Every usage line, of help and of mistakes, demands just what clap does.
#[test]
fn usage_lines_demand_what_is_demanded_and_nothing_else() {
    let mut seen = 0;
    for (program, mut command) in [(process::CLIENT, Options::command()), (process::SERVER, Owner::command())] {
        command.build();
        each_command(&command, &mut Vec::new(), &mut |path, command| {
            let usage = command.clone().render_usage().to_string();
            demands_what_it_shows(command, &usage);
            let folder = tempfile::tempdir().unwrap();
            for typed in [&["--no-such-flag"][..], &["--json", "--no-such-flag"]] {
                let finished = process::run(process::command(program, folder.path()).args(path).args(typed), b"");
                assert_eq!(finished.code, Some(2), "{path:?}: {finished:?}");
                assert!(finished.stderr.contains(&usage), "{path:?}: {usage} is not in {}", finished.stderr);
            }
            seen += 1;
        });
    }
    assert!(seen > 40, "{seen} commands");
}

fn each_command(command: &clap::Command, path: &mut Vec<String>, each: &mut dyn FnMut(&[String], &clap::Command)) {
    each(path, command);
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        path.push(below.get_name().to_owned());
        each_command(below, path, each);
        path.pop();
    }
}

#[track_caller]
fn demands_what_it_shows(command: &clap::Command, usage: &str) {
    let line = usage.lines().next().unwrap();
    assert!(!line.contains(" --"), "an option stands there as if it were demanded: {usage}");
    for argument in command.get_arguments() {
        assert!(argument.is_positional() || !argument.is_required_set(), "{usage}: {}", argument.get_id());
        if argument.is_positional() {
            let name = &argument.get_value_names().unwrap()[0];
            let shown = if argument.is_required_set() { format!("<{name}>") } else { format!("[{name}]") };
            assert!(line.contains(&format!(" {shown}")), "{usage}: {shown}");
        }
    }
    if command.has_subcommands() {
        let is_demanded = command.is_subcommand_required_set() || command.is_arg_required_else_help_set();
        let shown = if is_demanded { "<COMMAND>" } else { "COMMAND" };
        assert!(usage.contains(shown), "{usage}: {shown}");
    }
}
