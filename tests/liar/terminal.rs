//! Strings of strangers before a terminal: not one control, escape or bidirectional character of theirs comes out of it.

use topchat::wire::to_client::{Entry, Reason};
use topchat::wire::{ToClient, ToServer};

use super::server::{Liar, Line};
use crate::cli::home::Home;
use crate::support::people::{ALICE, BOB};
use crate::support::pty::Terminal;

/// Clears the screen, sets the title, rings, goes back, turns around, hides, and fakes a line of Carol's.
const NASTY: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{8}\u{7f}\u{202e}\u{2066}\u{200b}\u{2028}\u{85}\u{e0041}\u{feff}\r12:00 carol > you  I owe you";

fn chat(home: &Home, term: &str) -> Terminal {
    let mut command = home.topchat(&["--password-file", "password"]);
    Terminal::start(command.env("TERM", term).env("NO_COLOR", "1"))
}

fn reason() -> Reason {
    Reason { code: None, number: 999, retry_secs: 0, limit: 0, text: format!("server words {NASTY}") }
}

/// The next frame that is a request; keep-alive and acknowledgements are passed over.
fn request(line: &mut Line) -> ToServer {
    loop {
        match line.take() {
            ToServer::Ack(_) | ToServer::Ping { .. } | ToServer::Pong { .. } | ToServer::Watch { .. } => {}
            frame => return frame,
        }
    }
}

#[test]
fn no_string_of_a_stranger_reaches_the_terminal_raw() {
    for term in ["dumb", "xterm"] {
        nothing_harmful_is_shown(term);
    }
}

fn nothing_harmful_is_shown(term: &str) {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let mut terminal = chat(&home, term);
    let mut line = liar.member();
    terminal.wait_for("Enter sends to ALL.");
    // A text; and bytes that are no message, with a name that is none.
    line.deliver(BOB.seal_to(&ALICE, &format!("bob's words {NASTY}"), 0x51).encode());
    let ToServer::Lookup { request: number, .. } = request(&mut line) else { panic!("no Lookup") };
    line.send(&ToClient::Found { request: number, bundle: BOB.bundle(), lineage: Vec::new() });
    terminal.wait_for("bob's words");
    let mut named = BOB.seal_to(&ALICE, "hello", 0x52).encode();
    named[7..10].copy_from_slice(b"\x1b[2");
    line.deliver(named);
    terminal.wait_for("no message");
    // A refused question, and a refused message.
    terminal.types("/who\r");
    let ToServer::List { request: number, .. } = request(&mut line) else { panic!("no List") };
    line.send(&ToClient::Error { request: number, reason: reason() });
    terminal.wait_for("server words");
    is_harmless(&terminal.seen);
    terminal.types("hello all\r");
    let ToServer::Send { envelope } = request(&mut line) else { panic!("no Send") };
    let msg_id = topchat::wire::Envelope::parse(&envelope).unwrap().header.msg_id;
    terminal.seen.clear();
    line.send(&ToClient::Refused { msg_id, reason: reason() });
    terminal.wait_for("server words");
    is_harmless(&terminal.seen);
    // The last words.
    line.send(&ToClient::Bye(reason()));
    line.drain();
    let seen = terminal.finish();
    is_harmless(&seen);
}

/// Told all the time, of names by the thousand: some lines at most, and the chat goes on.
#[test]
fn a_server_that_tells_of_comings_all_the_time_is_not_listened_to() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let mut terminal = chat(&home, "xterm");
    let mut line = liar.member();
    terminal.wait_for("Enter sends to ALL.");
    let ToServer::Watch { on: true } = line.take() else { panic!("no Watch") };
    for _ in 0..2000 {
        let entries =
            vec![Entry { name: BOB.name.clone(), online: true }, Entry { name: ALICE.name.clone(), online: false }];
        line.send(&ToClient::Presence { more_came: u32::MAX, more_left: 0, entries });
    }
    terminal.types("/who\r");
    let ToServer::List { request: number, .. } = request(&mut line) else { panic!("no List") };
    line.send(&ToClient::Page { request: number, more: false, entries: Vec::new() });
    terminal.wait_for("here now: ");
    let seen = String::from_utf8_lossy(&terminal.seen).into_owned();
    let lines = seen.matches("bob and 4294967295 more are here").count();
    assert!((1..20).contains(&lines), "{lines} lines");
    assert!(!seen.contains("alice left"), "{seen}");
    // A name that is none is no name: the client hangs up on whoever sends it.
    let mut nasty = ToClient::Presence {
        more_came: 0,
        more_left: 0,
        entries: vec![Entry { name: BOB.name.clone(), online: true }],
    }
    .encode();
    let at = nasty.len() - 4;
    nasty[at..at + 3].copy_from_slice(b"\x1b[2");
    line.send_bytes(&nasty);
    line.drain();
    terminal.wait_for("the server sent what it must not: ");
    terminal.types("\x04");
    is_harmless(&terminal.finish());
}

/// A line of nobody's but of the right look would be one that begins with a time.
#[track_caller]
fn is_harmless(bytes: &[u8]) {
    let shown = std::str::from_utf8(bytes).expect("only UTF-8 is shown");
    let is_harmful = |c: char| {
        c.is_control() && !matches!(c, '\r' | '\n')
            || matches!(c, '\u{200b}' | '\u{2028}' | '\u{202e}' | '\u{2066}' | '\u{feff}' | '\u{e0041}')
    };
    // The client rings at the end of a message's last line.
    assert!(!NASTY.contains("\x07\r\n"));
    let shown = shown.replace("\x07\r\n", "\r\n");
    let shown = OWN.iter().fold(shown, |shown, own| {
        assert!(!NASTY.contains(own));
        shown.replace(own, "")
    });
    assert!(!shown.chars().any(is_harmful), "{shown:?}");
    // The terminal itself writes CR LF for every line end; a CR alone is the stranger's.
    assert!(!shown.replace("\r\n", "\n").contains('\r'), "{shown:?}");
    assert!(!shown.lines().any(|line| line.starts_with("12:00 carol")), "{shown:?}");
}

/// What the client itself does to the terminal: marked pastes, whole updates, its prompt drawn and taken away.
const OWN: &[&str] = &[
    "\x1b[?2004h",
    "\x1b[?2004l",
    "\x1b[?2026h",
    "\x1b[?2026l",
    "\r\x1b[K",
    "\r\x1b[5C",
    "\r\x1b[9C",
    "\x1b[A",
    "\x1b[2A\x1b7",
    "\x1b8\x1b[J",
    "\r\x1b[1A\x1b[J",
    "\r\x1b[2A\x1b[J",
];
