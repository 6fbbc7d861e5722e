//! The first start at a terminal: what is asked, what is checked at once, what is shown while it takes a while.

use topchat::server::{Registration, Settings};

use super::home::Home;
use super::server::run;
use crate::support::people::ALICE;
use crate::support::process::ServerProcess;
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
    answers(&mut terminal, "password (8 or more): ", "correct horse");
    answers(&mut terminal, "again: ", "correct horse");
    terminal.wait_for("making your keys (two of RSA 3072)...");
    terminal.wait_for("That invite code is unknown, used or too old.");
    answers(&mut terminal, "invite code: ", code.trim_end());
    terminal.wait_for("registered bob.");
    terminal.wait_for("ALL> ");
    assert!(!terminal.seen.windows(6).any(|shown| shown == b"making"), "keys are made once");
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
    terminal.wait_for("password (8 or more): ");
    terminal.types("\u{3}");
    terminal.finish();
    assert!(!home.path("keys/users/bob").exists());
}
