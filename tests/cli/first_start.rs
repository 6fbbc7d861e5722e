//! The first start at a terminal: what is asked, what is checked at once, what is shown while it takes a while.

use topchat::server::{Registration, Settings};

use super::home::{Home, printed, refused};
use super::server::run;
use crate::support::people::ALICE;
use crate::support::process::{self, ServerProcess};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

fn at_terminal(home: &Home, words: &[&str]) -> Terminal {
    Terminal::with_size(home.topchat(words).env("TERM", "xterm").env("NO_COLOR", "1"), 40, 140)
}

/// Waits for a question and answers it.
#[track_caller]
fn answers(terminal: &mut Terminal, question: &str, answer: &str) {
    terminal.wait_for(question);
    terminal.seen.clear();
    terminal.types(&format!("{answer}\r"));
}

#[test]
fn a_newcomer_is_led_to_the_chat_and_every_slip_is_told_at_once() {
    let server = TestServer::start();
    RawClient::connect(server.address).register(&ALICE);
    let home = Home::new(server.address);
    let mut terminal = at_terminal(&home, &[]);
    terminal.wait_for("seen for the first time,");
    answers(&mut terminal, "(r)egister or (l)og in? [r] ", "what?");
    answers(&mut terminal, "(r)egister or (l)og in? [r] ", "");
    answers(&mut terminal, "name: ", "Alice");
    terminal.wait_for("\"Alice\" can't be a name: a name begins with a letter from a to z");
    answers(&mut terminal, "name: ", "alice");
    terminal.wait_for("classic is RSA PKCS#1 v1.5,");
    terminal.wait_for("modern is X25519 and AES-256,");
    answers(&mut terminal, "(c)lassic or (m)odern? [c] ", "none");
    answers(&mut terminal, "(c)lassic or (m)odern? [c] ", "m");
    answers(&mut terminal, "password (8 or more): ", "short");
    terminal.wait_for("Once more, please.");
    answers(&mut terminal, "password (8 or more): ", "correct horse");
    answers(&mut terminal, "again: ", "correct house");
    terminal.wait_for("the two passwords are not the same. Once more, please.");
    answers(&mut terminal, "password (8 or more): ", "correct horse");
    answers(&mut terminal, "again: ", "correct horse");
    terminal.wait_for("making your keys (two of RSA 3072)...");
    terminal.wait_for("the name alice is taken on this server. Another one, please.");
    assert!(!home.path("keys/users/alice").exists(), "keys of no account are only in the way");
    answers(&mut terminal, "name: ", "bob");
    for part in [
        " done in ",
        "registered bob.   keys in keys/users/bob, locked with your password",
        "your fingerprint    ",
        "Enter sends to ALL.  @bob hi  writes to bob alone.",
        "ALL> ",
    ] {
        terminal.wait_for(part);
    }
    terminal.types("/quit\r");
    let shown = String::from_utf8(terminal.finish()).unwrap();
    assert!(!shown.contains("correct h"), "{shown}");
    printed(&home.run_in(&["suite"]), "bob prefers modern\n");
}

#[test]
fn where_a_code_is_needed_it_is_asked_for_before_a_password_and_keys() {
    let owner = Home::at("127.0.0.1:1");
    let server = ServerProcess::with(owner.folder.path(), &["--registration", "invite"]);
    let code = run(&owner, &["user", "invite"]).stdout;
    let home = Home::new(server.address);
    let mut terminal = at_terminal(&home, &["login", "bob"]);
    answers(&mut terminal, "Register bob as a new account? (y)es or (n)o? [y] ", "");
    terminal.wait_for("This server takes new accounts by invite: its owner gives out the codes.");
    answers(&mut terminal, "invite code: ", "");
    answers(&mut terminal, "invite code: ", "7K3M-Q9XT-2B8D-WF4N-H6JP-5RZC");
    terminal.wait_for("That invite code is unknown, used or too old.");
    answers(&mut terminal, "invite code: ", code.trim_end());
    answers(&mut terminal, "(c)lassic or (m)odern? [c] ", "");
    answers(&mut terminal, "password (8 or more): ", "correct horse");
    answers(&mut terminal, "again: ", "correct horse");
    terminal.wait_for("making your keys (two of RSA 3072)...");
    terminal.wait_for("registered bob.");
    terminal.wait_for("ALL> ");
    terminal.types("/quit\r");
    terminal.finish();

    let mut terminal = at_terminal(&home, &["register", "carol"]);
    terminal.wait_for("invite code: ");
    assert!(!terminal.seen.windows(8).any(|shown| shown == b"password"));
    terminal.types("\u{3}");
    terminal.finish();
    assert!(!home.path("keys/users/carol").exists());
}

#[test]
fn a_closed_server_says_so_before_a_password_and_keys() {
    let server = TestServer::with(Settings { registration: Some(Registration::Closed), ..Settings::default() });
    let home = Home::new(server.address);
    for words in [&["login", "bob"][..], &["register", "bob"]] {
        let mut terminal = at_terminal(&home, words);
        if words[0] == "login" {
            answers(&mut terminal, "Register bob as a new account? (y)es or (n)o? [y] ", "");
        }
        assert_eq!(terminal.end().code(), Some(6), "{words:?}");
        let shown = terminal.rows().join("\n");
        assert!(shown.contains("error: this server takes no new accounts") && !shown.contains("password"), "{shown}");
    }
    assert_eq!(home.run_in(&["register", "bob"]).code, Some(6));
    assert!(!home.path("keys/users/bob").exists());
}

#[test]
fn leaving_a_question_open_ends_the_program_and_makes_nothing() {
    let server = TestServer::start();
    let home = Home::new(server.address);
    let mut terminal = at_terminal(&home, &["login", "bob"]);
    answers(&mut terminal, "Register bob as a new account? (y)es or (n)o? [y] ", "");
    answers(&mut terminal, "(c)lassic or (m)odern? [c] ", "");
    terminal.wait_for("password (8 or more): ");
    terminal.types("\u{3}");
    terminal.finish();
    assert!(!home.path("keys/users/bob").exists());
}

/// Plain `topchat` is for the one account that is here, and goes to where it was made, whatever listens at the usual address.
#[test]
fn with_one_account_nothing_is_asked_but_its_password_and_with_several_a_slip_makes_none() {
    let (server, other) = (TestServer::start(), TestServer::start());
    let home = Home::with_keys(server.address, &ALICE);
    RawClient::connect(server.address).register(&ALICE);
    assert_eq!(home.run_in(&["users"]).code, Some(0));
    let plain = |words: &[&str]| {
        let mut command = home.topchat(words);
        command.env_remove("TOPCHAT_SERVER").env("TERM", "xterm").env("NO_COLOR", "1");
        command
    };
    let mut terminal = Terminal::with_size(&plain(&[]), 40, 140);
    terminal.wait_for("account alice: the only one on this machine (another one: topchat register NAME)");
    terminal.wait_for(&format!("connected to {}", server.address));
    terminal.wait_for("password of alice: ");
    terminal.types("\u{3}");
    terminal.finish();
    let finished = process::run(plain(&["users"]).args(["--password-file", "password"]), b"");
    assert_eq!((finished.code, finished.stdout.starts_with("alice")), (Some(0), true), "{}", finished.stderr);

    // Another server gets no question, no pin and no byte of a login.
    let elsewhere = other.address.to_string();
    let refused = home.run_in(&["users", "--server", &elsewhere]);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    let told = format!("alice has no account at {elsewhere} that this machine knows of: it is at {}.", server.address);
    assert!(refused.stderr.contains(&told), "{}", refused.stderr);
    let hint = "if alice is there, too, and its owner confirms the identity: topchat users --user alice --server ";
    assert!(refused.stderr.contains(hint), "{}", refused.stderr);
    assert!(!home.read("state/servers.json").contains(&elsewhere));

    let made = home.run_in(&["register", "bob", "--bits", "2048", "--server", &elsewhere]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let mut terminal = Terminal::with_size(&plain(&[]), 40, 140);
    answers(&mut terminal, "which account (alice, bob) [alice]: ", "correcthorse");
    answers(&mut terminal, "correcthorse is none of them. Make a new account correcthorse? (y)es or (n)o? [n] ", "");
    answers(&mut terminal, "which account (alice, bob) [alice]: ", "bob");
    terminal.wait_for(&format!("connected to {elsewhere}"));
    terminal.wait_for("password of bob: ");
    terminal.types("\u{3}");
    terminal.finish();
    assert!(!home.path("keys/users/correcthorse").exists());
}

#[test]
fn a_code_that_is_not_good_is_told_before_a_password_is_read() {
    let owner = Home::at("127.0.0.1:1");
    let server = ServerProcess::with(owner.folder.path(), &["--registration", "invite"]);
    let home = Home::new(server.address);
    home.file("code", b"7K3M-Q9XT-2B8D-WF4N-H6JP-5RZC\n");
    let finished = home.run_in(&["register", "bob", "--invite-file", "code"]);
    assert_eq!(finished.code, Some(6), "{}", finished.stderr);
    assert!(!home.path("keys/users/bob").exists() && !finished.stderr.contains("making"), "{}", finished.stderr);
}

#[test]
fn an_account_whose_server_is_not_known_waits_for_its_name() {
    let home = Home::with_keys("127.0.0.1:1".parse().unwrap(), &ALICE);
    let mut command = home.topchat(&["users", "--password-command", "touch asked; cat password"]);
    let finished = process::run(command.env_remove("TOPCHAT_SERVER"), b"");
    refused(
        &finished,
        2,
        "error: the server of alice is not known on this machine. Nothing was sent.\nhint: name it once: topchat --server HOST:PORT login alice\n",
    );
    assert!(!home.path("asked").exists(), "nobody types a password for that");
}
