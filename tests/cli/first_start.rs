//! The first start at a terminal: what is asked, what is checked at once, what is shown while it takes a while.

use super::home::Home;
use crate::support::people::ALICE;
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
