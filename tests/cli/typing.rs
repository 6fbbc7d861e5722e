//! The interactive chat on a terminal: what stands on the screen while somebody types and messages come.

use std::ffi::OsString;

use rustix::termios::{InputModes, LocalModes};
use topchat::client;
use topchat::client::cli::options::Options;
use topchat::crypto::safety::SafetyNumber;
use topchat::wire::to_server::Mode;

use super::home::Home;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{self, CLIENT};
use crate::support::proxy::{Fault, Kind, Proxy, Side};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// The chat in a terminal of 24 rows and 80 columns, ready for keys.
fn chat(home: &Home) -> Terminal {
    chat_in(home, 24, 80)
}

fn chat_in(home: &Home, rows: u16, columns: u16) -> Terminal {
    let mut command = home.topchat(&["--password-file", "password", "--quiet"]);
    let mut terminal = Terminal::with_size(command.env("TERM", "xterm-256color"), rows, columns);
    terminal.wait_for_line("ALL> ");
    terminal
}

#[test]
fn what_comes_stands_above_the_line_being_typed() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    terminal.types("hello wo");
    terminal.wait_for_line("ALL> hello wo");
    for count in 0..5 {
        bob.send_envelope(&BOB.seal_to(&ALICE, &format!("message {count}"), count + 1));
        terminal.wait_for_row(&format!("2026-11-18 11:06 bob   > you  message {count}"));
        terminal.wait_for_line("ALL> hello wo");
    }
    terminal.types("rld\x1b[D\x1b[D");
    terminal.wait_for_cursor("ALL> hello world", 14);
    bob.send_envelope(&BOB.seal_to(&ALICE, "one more", 9));
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  one more");
    terminal.wait_for_cursor("ALL> hello world", 14);
    let rows = terminal.rows();
    assert_eq!(rows.iter().filter(|row| row.contains("ALL> ")).count(), 1, "{rows:?}");
    terminal.types("\r");
    terminal.wait_for_row("HH:MM alice > ALL  hello world");
    terminal.wait_for_line("ALL> ");
}

#[test]
fn commands_are_put_in_as_they_are_typed_before_lines_are_broken() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut command = home.topchat(&["--password-file", "password", "--quiet"]);
    command.env("TERM", "xterm-256color").env("TOPCHAT_COMMAND", "../a/clone/scripts/topchat");
    let mut terminal = Terminal::with_size(&command, 24, 80);
    terminal.wait_for_line("ALL> ");
    terminal.types("/passwd\r");
    terminal.wait_for_row("        ../a/clone/scripts/topchat passwd");
    let rows = terminal.rows();
    assert!(rows.iter().any(|row| row.ends_with("   to change your password, leave with /quit and run:")), "{rows:?}");
}

#[test]
fn every_way_out_leaves_the_terminal_as_it_was() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    for (keys, signal, code) in [
        ("/quit\r", "", 0),
        ("\x04", "", 0),
        ("\x03\x03", "", 130),
        ("some text", "TERM", 0),
        ("", "INT", 130),
        ("some text", "HUP", 0),
        ("", "QUIT", 0),
    ] {
        let mut terminal = chat(&home);
        assert!(!terminal.settings().local_modes.contains(LocalModes::ECHO));
        terminal.types(keys);
        if !signal.is_empty() {
            terminal.wait_for_line(&format!("ALL> {keys}"));
            terminal.signal(signal);
        }
        assert_eq!(terminal.end().code(), Some(code), "{keys:?} {signal}");
        let modes = terminal.settings().local_modes;
        assert!(modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG), "{keys:?} {signal}");
        let seen = String::from_utf8_lossy(&terminal.seen).into_owned();
        assert!(seen.rfind("\x1b[?2004l") > seen.rfind("\x1b[?2004h"), "{keys:?} {signal}: {seen:?}");
        assert_eq!(terminal.cursor().1, 0, "{keys:?} {signal}");
    }
}

#[test]
fn ctrl_c_clears_the_line_and_only_twice_on_an_empty_one_leaves() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("a secret\x03");
    terminal.wait_for_line("ALL> ");
    terminal.types("\x03");
    terminal.wait_for_row("Ctrl-C once more leaves the chat");
    terminal.types("b\x03\x03");
    terminal.wait_for_line("ALL> ");
    terminal.types("hello\r");
    terminal.wait_for_row("HH:MM alice > ALL  hello");
    assert!(!terminal.rows().iter().any(|row| row.starts_with("HH:MM alice > ALL  a secret")));
}

#[test]
fn the_prompt_tells_of_a_lost_connection_and_keeps_what_is_typed() {
    let server = TestServer::start();
    let address = server.address.to_string();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("half a line\x1b[D");
    terminal.wait_for_cursor("ALL> half a line", 15);
    let folder = server.stop();
    terminal.wait_for_row("HH:MM   connection lost (the server is stopping). Trying again in 1 s...");
    terminal.wait_for_cursor("offline> half a line", 19);
    let _server = crate::support::server::TestServer::back(folder, &address);
    terminal.wait_for_row("HH:MM   back online");
    terminal.wait_for_cursor("ALL> half a line", 15);
    let rows = terminal.rows();
    assert_eq!(rows.iter().filter(|row| row.contains("half a line")).count(), 1, "{rows:?}");
    terminal.types("!\r");
    terminal.wait_for_row("HH:MM alice > ALL  half a lin!e");
}

#[test]
fn a_farewell_for_good_ends_the_typing() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("half a line");
    terminal.wait_for_line("ALL> half a line");
    let _newer = RawClient::connect(server.address).login(&ALICE, Mode::Receiving);
    terminal.wait_for_row("HH:MM   the chat is over: a newer session of this account took over");
    terminal.wait_for_row("        what is typed now goes nowhere. Enter leaves; so do 10 s without a key");
    // Whoever has not looked up yet goes on; in a shell this would be a command.
    terminal.types(" that goes on\r");
    terminal.types("touch it\r");
    assert_eq!(terminal.end().code(), Some(3));
    let rows = terminal.rows();
    assert!(rows.iter().any(|row| row == "error: a newer session of this account took over"), "{rows:?}");
    assert!(!rows.iter().any(|row| row.contains("goes on") || row.contains("touch it")), "{rows:?}");
    assert!(terminal.settings().local_modes.contains(LocalModes::ECHO));
}

#[test]
fn a_paste_is_one_message_and_a_long_one_only_after_a_question() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.pastes("one\ntwo\nthree");
    terminal.wait_for_line("three  [3 lines; Enter sends them to ALL]");
    terminal.types("\r");
    terminal.wait_for_row("HH:MM alice > ALL  one                          [sent to 0: nobody else is here]");
    terminal.wait_for_row("               | three");
    let long: Vec<_> = (0..200).map(|line| format!("line {line}")).collect();
    terminal.pastes(&long.join("\n"));
    terminal.wait_for_line("send these 200 lines as one message? (y)es or (n)o ");
    terminal.types("maybe");
    terminal.wait_for_line("send these 200 lines as one message? (y)es or (n)o maybe");
    terminal.types("\r");
    terminal.wait_for_line("send these 200 lines as one message? (y)es or (n)o ");
    terminal.types("y\r");
    terminal.wait_for("| line 199");
    terminal.wait_for_line("ALL> ");
}

/// Whoever copies whole lines copies their ends: what is typed next must not become part of them.
#[test]
fn a_paste_that_ends_with_line_ends_leaves_no_open_line_below_it() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.pastes("copied\n\n");
    terminal.wait_for_cursor("ALL> copied", 11);
    terminal.types(" too\r");
    terminal.wait_for_row("HH:MM alice > ALL  copied too");
    terminal.types("ab\x1b[D");
    terminal.wait_for_cursor("ALL> ab", 6);
    terminal.pastes("one\ntwo\n");
    terminal.wait_for_cursor("twob  [2 lines; Enter sends them to ALL]", 3);
    terminal.types("\x03");
    terminal.wait_for_line("ALL> ");
    terminal.pastes("\n\n");
    terminal.types("/who\r");
    terminal.wait_for_row("HH:MM   here now: alice");
}

/// The program then reads them at once, before it can draw anything.
#[test]
fn keys_that_come_together_with_a_paste_find_none_of_its_line_ends() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("\x1b[200~\r\r\x1b[201~/who\r\x1b[200~copied\r\n\x1b[201~\x1b[200~ too\r\x1b[201~!\r");
    terminal.wait_for_row("HH:MM   here now: alice");
    terminal.wait_for_row("HH:MM alice > ALL  copied too!");
    terminal.wait_for_line("ALL> ");
}

#[test]
fn a_paste_that_comes_in_pieces_is_one_message_whatever_happens_between_them() {
    let server = TestServer::start();
    let address = server.address.to_string();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    terminal.types("ab\x1b[D\x1b[200~one\rt");
    bob.send_envelope(&BOB.seal_to(&ALICE, "between", 1));
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  between");
    terminal.types("w\x03\x04");
    let folder = server.stop();
    terminal.wait_for_row("HH:MM   connection lost");
    terminal.wait_for_cursor("offline> ab", 10);
    terminal.types("o\r");
    let _server = TestServer::back(folder, &address);
    terminal.wait_for_row("HH:MM   back online");
    terminal.types("\x1b[201~!");
    terminal.wait_for_cursor("two!b  [2 lines; Enter sends them to ALL]", 4);
}

#[test]
fn an_open_text_of_several_lines_says_so_and_asks_before_a_command_in_it_is_sent() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    for colour in ["", "1"] {
        let mut command = home.topchat(&["--password-file", "password", "--quiet"]);
        let mut terminal = Terminal::start(command.env("TERM", "xterm-256color").env("NO_COLOR", colour));
        terminal.wait_for_line("ALL> ");
        terminal.types("some text\n/who");
        terminal.wait_for_line("/who  [2 lines; Enter sends them to ALL]");
        terminal.types("\r");
        terminal.wait_for_line("line 2 begins with /who, which is text here. Send all 2 lines? (y)es or (n)o ");
        terminal.types("n\r");
        terminal.wait_for_line("/who  [2 lines; Enter sends them to ALL]");
        terminal.types("\x03/who\r");
        terminal.wait_for_row("HH:MM   here now: alice");
        assert!(!terminal.rows().iter().any(|row| row.starts_with("HH:MM alice > ALL")), "{:?}", terminal.rows());
        terminal.types("@bob one\ntwo");
        terminal.wait_for_line("two  [2 lines; Enter sends them to bob]");
        terminal.types("\x03");
        terminal.wait_for_line("ALL> ");
        terminal.types("\x04");
        terminal.end();
    }
}

/// A multiplexer, or a terminal that is asked for no marks, types what is pasted.
#[test]
fn lines_that_come_faster_than_anybody_types_are_a_paste_and_no_command_among_them_is_done() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    for pieces in [&["one\rtwo\r/quit\r"][..], &["one\r", "two\r", "/quit\r"], &["one", "\rtwo\r/quit"]] {
        for piece in pieces {
            terminal.types(piece);
        }
        terminal.wait_for_line("/quit  [3 lines; Enter sends them to ALL]");
        terminal.types("\r");
        terminal.wait_for_line("line 3 begins with /quit, which is text here. Send all 3 lines? (y)es or (n)o ");
        terminal.types("n\r");
        terminal.wait_for_line("/quit  [3 lines; Enter sends them to ALL]");
        terminal.types("\x03");
        terminal.wait_for_line("ALL> ");
    }
    // One line and Enter together are one line, whoever types them.
    terminal.types("/who\r");
    terminal.wait_for_row("HH:MM   here now: alice");
    assert!(!terminal.rows().iter().any(|row| row.starts_with("HH:MM alice > ALL")), "{:?}", terminal.rows());
}

#[test]
fn a_paste_whose_end_never_comes_leaves_the_keyboard_and_is_asked_about() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("\x1b[200~half a paste");
    terminal.wait_for_line("ALL> half a paste");
    terminal.types("\r");
    let question = "the end of that paste did not come. Send what there is of it? (y)es or (n)o ";
    terminal.wait_for_line(question);
    terminal.types("n\r");
    terminal.wait_for_line("ALL> half a paste");
    terminal.types("!\r");
    terminal.wait_for_line(question);
    terminal.types("y\r");
    terminal.wait_for_row("HH:MM alice > ALL  half a paste!");
    // Sequences that never end hold up no key for long, and Ctrl-C not at all.
    for begun in ["\x1b[20", "\x1b]11;rgb:", "\x1bP>|X"] {
        terminal.types(&format!("{begun}\x03hello"));
        terminal.wait_for_line("ALL> hello");
        terminal.types("\x03");
        terminal.wait_for_line("ALL> ");
    }
}

#[test]
fn what_the_terminal_answers_late_is_not_typed() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    for answer in [
        "\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\",
        "\x1b[?62;22c",
        "\x1b[24;80R",
        "\x1b[I",
        "\x1b[97;5u",
        "\x1bP>|XTerm(390)\x1b\\",
    ] {
        terminal.types(&format!("he{answer}llo"));
        terminal.wait_for_line("ALL> hello");
        terminal.types("\x03");
        terminal.wait_for_line("ALL> ");
    }
    terminal.types("/who\r");
    terminal.wait_for_row("HH:MM   here now: alice");
}

/// Whoever pastes has not read the question.
#[test]
fn a_paste_into_an_open_question_is_no_answer() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&BOB);
    let mut terminal = chat(&home);
    let asks = |terminal: &mut Terminal, question: &str| {
        for paste in ["\x1b[200~y\x1b[201~", "\x1b[200~y\r\x1b[201~", "y\rall of it\r"] {
            terminal.types(paste);
            terminal.wait_for_line(&format!("{question} (a paste is no answer)"));
            terminal.types("z\x7f");
            terminal.wait_for_line(question);
        }
    };
    terminal.pastes("1\n2\n3\n4\n5\n6");
    terminal.wait_for_line("send these 6 lines as one message? (y)es or (n)o ");
    asks(&mut terminal, "send these 6 lines as one message? (y)es or (n)o ");
    terminal.types("\x03");
    terminal.wait_for_line("ALL> ");
    terminal.types("/verify bob\r");
    terminal.wait_for_line("the same for bob? (y)es or (n)o ");
    asks(&mut terminal, "the same for bob? (y)es or (n)o ");
    terminal.types("n\r");
    terminal.wait_for_row("HH:MM   nothing was changed about bob's key, and nothing was sent");
    assert!(!terminal.rows().iter().any(|row| row.starts_with("HH:MM alice >")), "{:?}", terminal.rows());
}

/// More rows than the editor can count.
#[test]
fn a_paste_beyond_all_measure_is_dropped_with_one_line() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat_in(&home, 24, 100);
    for (paste, told) in [
        ("x\n".repeat(70_000), "that paste has 70000 lines and 139999 bytes"),
        ("y".repeat(100_000), "that paste has 1 line and 100000 bytes"),
    ] {
        terminal.pastes(&paste);
        terminal.wait_for_row(&format!("{told}, at most 4096 bytes can be sent. It was dropped."));
        terminal.wait_for_line("ALL> ");
    }
    terminal.types("hello\r");
    terminal.wait_for_row("HH:MM alice > ALL  hello");
}

/// What is said above a text that fills the terminal is scrolled away: the hint behind it is not.
#[test]
fn a_paste_that_is_too_long_is_refused_without_a_question_and_says_so_behind_it() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.pastes(&"a line of 25 bytes, or so\n".repeat(200));
    terminal.wait_for("that text has 5199 bytes, at most 4096 can be sent. Nothing was sent.");
    terminal.wait_for_line("a line of 25 bytes, or so  [200 lines, 5199 bytes: at most 4096 can be sent]");
    terminal.types("\x03");
    terminal.wait_for_line("ALL> ");
    assert!(!String::from_utf8_lossy(&terminal.seen).contains("(y)es or (n)o"));
}

#[test]
fn a_long_paste_that_is_not_to_go_stays_without_its_last_line_end() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.pastes("1\n2\n3\n4\n5\n6\n7\n");
    terminal.wait_for_line("send these 7 lines as one message? (y)es or (n)o ");
    terminal.types("n\r");
    terminal.wait_for_line("7  [7 lines; Enter sends them to ALL]");
}

#[test]
fn the_question_of_verify_stands_in_the_prompts_place() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&BOB);
    let number = SafetyNumber::of(
        (&ALICE.name, ALICE.identity.public().fingerprint()),
        (&BOB.name, BOB.identity.public().fingerprint()),
    );
    let mut terminal = chat(&home);
    for (answer, told) in [
        ("hello everybody\r", "HH:MM   nothing was changed about bob's key, and nothing was sent"),
        ("\x03", "HH:MM   nothing was changed about bob's key, and nothing was sent"),
        ("y\r", "HH:MM   bob's key is verified from now on"),
    ] {
        terminal.types("/verify bob\r");
        terminal.wait_for_line("the same for bob? (y)es or (n)o ");
        let rows = terminal.rows();
        let numbers = number.rows();
        // All of it is seen when the question comes, each half of the number on a row of its own.
        assert_eq!(rows.len(), 24);
        assert!(rows[2].ends_with(&format!("safety number with bob  {}", numbers[0])), "{rows:?}");
        assert_eq!(rows[3].trim(), numbers[1]);
        assert!(rows[4..23].iter().all(|row| row.contains(['\u{2588}', '\u{2580}', '\u{2584}'])), "{rows:?}");
        terminal.types(answer);
        terminal.wait_for_line("ALL> ");
        terminal.wait_for_row(told);
        terminal.types("\x0c");
        terminal.wait_until("an empty screen", |terminal| terminal.rows().len() == 1);
    }
    terminal.types("/keys\r");
    terminal.wait_for_row("        bob           verified");
    // Where there are fewer rows, the code would be gone before it can be scanned.
    terminal.resize(20, 80);
    terminal.types("\x0c/verify bob\r");
    terminal.wait_for_line("the same for bob? (y)es or (n)o ");
    let rows = terminal.rows();
    assert!(!rows.concat().contains('\u{2588}') && rows.concat().contains("too few rows here for a code"), "{rows:?}");
}

/// `/keys` says of a key what the lines of this run say.
#[test]
fn a_key_that_the_lines_call_new_is_new_in_the_list_of_keys() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = Terminal::with_size(
        home.topchat(&["--password-file", "password", "--quiet"]).env("TERM", "xterm-256color"),
        24,
        120,
    );
    terminal.wait_for_line("ALL> ");
    bob.send_envelope(&BOB.seal_to(&ALICE, "hello", 1));
    terminal.wait_for("signed, new key");
    terminal.types("/keys\r");
    terminal.wait_for_row("        bob           new ");
}

#[test]
fn another_size_of_the_terminal_breaks_neither_lines_nor_the_prompt() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    terminal.types("hello");
    terminal.wait_for_line("ALL> hello");
    terminal.resize(12, 40);
    bob.send_envelope(&BOB.seal_to(&ALICE, "first", 1));
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  first");
    terminal.wait_for_line("ALL> hello");
    terminal.types(&" and so on".repeat(4));
    terminal.wait_for_line(" and so on");
    terminal.resize(24, 100);
    bob.send_envelope(&BOB.seal_to(&ALICE, "second", 2));
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  second");
    terminal.wait_for_line("ALL> hello and so on and so on and so on and so on");
}

/// The signal that tells of another size may come late, or after what was drawn for the old one.
#[test]
fn a_terminal_that_became_wider_unnoticed_loses_no_row_above_the_line() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let chat = home.topchat(&["--password-file", "password", "--quiet"]);
    let mut deaf = process::command("env", home.folder.path());
    deaf.arg("--block-signal=WINCH").arg(CLIENT).args(chat.get_args());
    deaf.envs(chat.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    let mut terminal = Terminal::with_size(deaf.env("TERM", "xterm-256color"), 24, 40);
    terminal.wait_for_line("ALL> ");
    terminal.types(&format!("hello{}", " and so on".repeat(4)));
    terminal.wait_for_line(" and so on");
    terminal.resize(24, 100);
    for (count, text) in (1..).zip(["first", "second", "third"]) {
        bob.send_envelope(&BOB.seal_to(&ALICE, text, count));
        terminal.wait_for_row(&format!("2026-11-18 11:06 bob   > you  {text}"));
    }
    terminal.wait_until("the end of the line", |terminal| terminal.line().ends_with(" and so on"));
    terminal.types("!\x1b[D");
    terminal.wait_until("one more key", |terminal| terminal.line().ends_with(" and so on!"));
    let rows = terminal.rows();
    for text in ["first", "second", "third"] {
        assert!(rows.iter().any(|row| row.contains(&format!("you  {text} "))), "{text}: {rows:?}");
    }
    assert_eq!(rows.iter().filter(|row| row.contains("ALL> ")).count(), 1, "{rows:?}");
    terminal.types("\r");
    terminal.wait_for_row("HH:MM alice > ALL  hello and so on and so on and so on and so on!");
}

#[test]
fn ctrl_z_gives_the_terminal_back_and_fg_goes_on_where_it_was() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let chat = home.topchat(&["--password-file", "password", "--quiet"]);
    let mut shell = process::command("sh", home.folder.path());
    shell.arg("-i").envs(chat.get_envs().filter_map(|(name, value)| value.map(|value| (name, value))));
    let mut terminal = Terminal::start(shell.env("TERM", "xterm").env("PS1", "shell> "));
    terminal.wait_for_line("shell> ");
    terminal.types(&format!("{CLIENT} --password-file password --quiet\r"));
    terminal.wait_for_line("ALL> ");
    terminal.types("half a");
    terminal.wait_for_line("ALL> half a");
    terminal.types("\x1a");
    terminal.wait_for_line("shell> ");
    let modes = terminal.settings();
    assert!(modes.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON), "{:?}", modes.local_modes);
    assert!(modes.input_modes.contains(InputModes::ICRNL));
    terminal.types("fg\r");
    terminal.wait_for_line("ALL> half a");
    terminal.types(" line\r");
    terminal.wait_for_row("HH:MM alice > ALL  half a line");
    terminal.types("\x04");
    terminal.wait_for_line("shell> ");
    terminal.types("exit\r");
    terminal.end();
}

#[test]
fn tab_completes_commands_and_names_and_hints_tell_what_is_missing() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let _bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    terminal.types("/wh\t\r");
    terminal.wait_for_row("HH:MM   here now: alice, bob");
    terminal.types("/fin");
    terminal.wait_for_line("ALL> /fingerprint [NAME]");
    terminal.types("\t");
    terminal.wait_for_line("ALL> /fingerprint [NAME]");
    terminal.types("b\t\r");
    terminal.wait_for_row("HH:MM   bob  ");
    terminal.types("@b\thello\r");
    terminal.wait_for_row("HH:MM alice > bob  hello");
    terminal.types("/b\t");
    terminal.wait_for_row("/block     /blocked   /bell");
    terminal.wait_for_line("ALL> /b");
}

/// The editor's own library would log what is typed, key by key.
#[test]
fn no_level_of_the_log_shows_what_is_typed_or_breaks_the_line() {
    let server = TestServer::start();
    let address = server.address.to_string();
    let home = Home::of_member(server.address, &ALICE);
    let mut command = home.topchat(&["--password-file", "password", "--quiet"]);
    let mut terminal = Terminal::start(command.env("TERM", "xterm-256color").env("RUST_LOG", "trace,rustyline=trace"));
    terminal.wait_for_line("ALL> ");
    terminal.types("half a line");
    terminal.wait_for_line("ALL> half a line");
    let folder = server.stop();
    terminal.wait_for_line("offline> half a line");
    let _server = TestServer::back(folder, &address);
    terminal.wait_for_line("ALL> half a line");
    let seen = String::from_utf8_lossy(&terminal.seen).into_owned();
    assert!(!seen.contains("key:") && !seen.contains("KeyEvent"), "{seen}");
    let rows = terminal.rows();
    assert_eq!(rows.iter().filter(|row| row.contains("half a line")).count(), 1, "{rows:?}");
}

/// Between the last answer and the first prompt nothing is echoed, and Enter stays Enter.
#[test]
fn a_line_typed_before_the_first_prompt_is_sent_and_does_not_stick() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut command = home.topchat(&[] as &[&str]);
    let mut terminal = Terminal::start(command.env("TERM", "xterm-256color"));
    terminal.wait_for("password of alice: ");
    terminal.types("correct horse\r");
    while terminal.settings().input_modes.contains(InputModes::ICRNL) {
        std::thread::yield_now();
    }
    terminal.types("hello\rand more");
    terminal.wait_for_row("HH:MM alice > ALL  hello");
    terminal.wait_for_line("ALL> and more");
    let rows = terminal.rows();
    assert!(
        rows.iter()
            .any(|row| row == "Enter sends to ALL.  @bob hi  writes to bob alone.  Tab completes.  /help  /quit"),
        "{rows:?}"
    );
    assert!(!rows.iter().any(|row| row.starts_with("hello") || row.starts_with("and more")), "{rows:?}");
    terminal.types("\x03\x04");
    terminal.end();
    assert!(terminal.settings().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG));
    assert!(terminal.settings().input_modes.contains(InputModes::ICRNL));
}

#[test]
fn who_comes_and_who_leaves_is_told_above_the_line() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("half a line");
    terminal.wait_for_line("ALL> half a line");
    let bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    terminal.wait_for_row("HH:MM   bob is here");
    drop(bob);
    terminal.wait_for_row("HH:MM   bob left");
    terminal.wait_for_line("ALL> half a line");
    // Whoever was seen is known to Tab.
    terminal.types("\x03@b\thi\r");
    terminal.wait_for_row("HH:MM alice > bob  hi");
    assert!(!terminal.rows().iter().any(|row| row.contains("alice is here")), "{:?}", terminal.rows());
}

#[test]
fn the_bell_rings_for_what_is_to_oneself_or_names_one() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    let mut rings = |terminal: &mut Terminal, envelope: &topchat::wire::Envelope, text: &str| {
        let before = terminal.seen.len();
        bob.send_envelope(envelope);
        terminal.wait_for_row(&format!("2026-11-18 11:06 bob   > {text}"));
        terminal.seen[before..].contains(&7)
    };
    assert!(rings(&mut terminal, &BOB.seal_to(&ALICE, "one", 1), "you  one"));
    assert!(!rings(&mut terminal, &BOB.seal_to_all("two", 2), "ALL  two"));
    assert!(rings(&mut terminal, &BOB.seal_to_all("Alice, three", 3), "ALL  Alice, three"));
    terminal.types("/bell off\r");
    terminal.wait_for_row("HH:MM   the bell is off");
    assert!(!rings(&mut terminal, &BOB.seal_to(&ALICE, "four", 4), "you  four"));
    terminal.types("/bell all\r");
    terminal.wait_for_row("HH:MM   the bell rings for every message");
    // It holds in the next run, too.
    terminal.types("/quit\r");
    terminal.end();
    let mut terminal = chat(&home);
    assert!(rings(&mut terminal, &BOB.seal_to_all("five", 5), "ALL  five"));
}

#[test]
fn text_of_several_lines_is_one_message_and_too_much_stays_to_be_edited() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    terminal.types("one\x1b\rtwo\nthree\\\rfour");
    terminal.wait_for_line("four  [4 lines; Enter sends them to ALL]");
    terminal.types("\r");
    terminal.wait_for_line("ALL> ");
    for row in ["HH:MM alice > ALL  one", "               | two", "               | three", "               | four"] {
        terminal.wait_for_row(row);
    }
    terminal.wait_for_line("ALL> ");
    terminal.types(&"x".repeat(4100));
    terminal.wait_until("a hint", |terminal| terminal.line().contains("  [4100 bytes: at most 4096 can be sent]"));
    terminal.types("\r");
    terminal.wait_for("that text has 4100 bytes, at most 4096 can be sent. Nothing was sent.");
    terminal.types("\x7f\x7f\x7f\x7f\r");
    terminal.wait_for_row("               | xxx");
    terminal.wait_for_line("ALL> ");
    terminal.types("\x1b[A");
    terminal.wait_for_line(&"x".repeat((4096 + 5) % 80));
}

#[test]
fn wide_characters_and_combining_marks_keep_the_cursor_in_its_place() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    terminal.types("\u{65e5}\u{672c}e\u{301}x\x1b[D");
    terminal.wait_for_cursor("ALL> \u{65e5}\u{672c}e\u{301}x", 10);
    bob.send_envelope(&BOB.seal_to(&ALICE, "\u{65e5}\u{672c}\u{8a9e}", 1));
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  \u{65e5}\u{672c}\u{8a9e}");
    terminal.wait_for_cursor("ALL> \u{65e5}\u{672c}e\u{301}x", 10);
    terminal.types("y\r");
    terminal.wait_for_row("HH:MM alice > ALL  \u{65e5}\u{672c}e\u{301}yx");
}

#[test]
fn a_paste_of_200_lines_while_messages_rush_in_loses_nothing_and_breaks_no_line() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    let lines: Vec<_> = (0..200).map(|line| format!("line {line}")).collect();
    for count in 0..50 {
        bob.send_envelope(&BOB.seal_to(&ALICE, &format!("message {count}."), count + 1));
        if count == 20 {
            terminal.pastes(&lines.join("\n"));
        }
    }
    terminal.wait_for_line("send these 200 lines as one message? (y)es or (n)o ");
    terminal.wait_for("message 49.");
    terminal.types("y\r");
    terminal.wait_for("| line 199");
    terminal.wait_for_line("ALL> ");
    let seen = String::from_utf8_lossy(&terminal.seen).into_owned();
    for count in 0..50 {
        assert_eq!(seen.matches(&format!("  message {count}.")).count(), 1, "message {count}");
    }
    for line in &lines[1..] {
        assert_eq!(seen.matches(&format!("| {line}\r\n")).count(), 1, "{line}");
    }
}

/// However it is shown in the end: as it was typed it is taken away.
#[test]
fn a_line_that_was_sent_stands_once() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    let long = format!("a long one{}", " and so on".repeat(12));
    for (keys, text) in [("hello", "hello"), ("one\x1b\rtwo", "one"), (&long, "a long one"), ("//slash", "/slash")] {
        terminal.types(keys);
        terminal.types("\r");
        terminal.wait_for_row(&format!("HH:MM alice > ALL  {text}"));
        terminal.wait_for_line("ALL> ");
    }
    terminal.types(&"y".repeat(75));
    terminal.types("\r");
    terminal.wait_for("[sent to");
    terminal.wait_until("the prompt", |terminal| {
        terminal.line() == "ALL> " && terminal.rows().concat().matches('y').count() == 75
    });
    bob.send_envelope(&BOB.seal_to(&ALICE, "between", 1));
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  between");
    terminal.resize(24, 40);
    // The first key after it tells that the program knows.
    terminal.types("n");
    terminal.wait_for_line("ALL> n");
    terminal.types(&format!("arrow{}\r", " and so on".repeat(6)));
    terminal.wait_for_row("HH:MM alice > ALL  narrow");
    terminal.wait_for_line("ALL> ");
    terminal.types("/nonsense\r");
    terminal.wait_for_row("HH:MM   no command /nonsense.");
    terminal.wait_for_line("ALL> ");
    let rows = terminal.rows();
    let standing = |text: &str| rows.iter().filter(|row| row.contains(text)).count();
    for text in ["hello", "ALL  one", "two", "a long one", "/slash", "narrow"] {
        assert_eq!(standing(text), 1, "{text}: {rows:?}");
    }
    assert_eq!(rows.iter().filter(|row| row.starts_with("ALL>")).count(), 2, "what was not sent stays: {rows:?}");
}

#[test]
fn on_a_dead_link_a_message_is_on_its_way_at_once_and_waits_within_seconds() {
    let server = TestServer::start();
    let link = Proxy::start(server.address);
    let home = Home::of_member(server.address, &ALICE);
    let home = Home { server: link.address.to_string(), ..home };
    let mut terminal = chat(&home);
    terminal.types("hello\r");
    terminal.wait_for_row("HH:MM alice > ALL  hello ");
    for side in [Side::ToServer, Side::ToClient] {
        link.strike(Fault { side, after: 0, kind: Kind::Stall });
    }
    terminal.types("are you there?\r");
    terminal.wait_for_row(&format!("{:<57}[sending]", "HH:MM alice > ALL  are you there?"));
    terminal.wait_for_row(&format!("{:<57}[waiting]", "HH:MM alice > ALL  are you there?"));
    terminal.wait_for_row("HH:MM   connection lost (no answer for");
    let rows = terminal.rows();
    assert_eq!(rows.iter().filter(|row| row.contains("are you there?")).count(), 1, "{rows:?}");
}

#[test]
fn a_second_signal_ends_at_once_and_leaves_the_terminal_as_it_was_all_the_same() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut terminal = chat(&home);
    // Alt and a digit: the line waits for a key and for nothing else.
    terminal.types("\x1b5");
    terminal.wait_for_line("(arg: 5) ");
    terminal.signal("TERM");
    terminal.signal("INT");
    let code = terminal.end().code();
    assert!(matches!(code, Some(130 | 143)), "{code:?}");
    assert!(terminal.settings().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON));
    let seen = String::from_utf8_lossy(&terminal.seen).into_owned();
    assert!(seen.rfind("\x1b[?2004l") > seen.rfind("\x1b[?2004h"), "{seen:?}");
}

/// The program runs within this test once more, in a terminal: there its log panics when it warns, and it warns when the history can't be
/// written.
#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_its_message_whole_on_lines_of_its_own() {
    if let Ok(arguments) = std::env::var(ARGUMENTS) {
        log::set_logger(&PanicsAtWarnings).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        return client::run(Options::typed(arguments.split(' ').map(OsString::from)).unwrap()).unwrap();
    }
    for thread in ["listening", "sending"] {
        let server = TestServer::start();
        let home = Home::of_member(server.address, &ALICE);
        assert_eq!(home.run_in(&["history", "on"]).code, Some(0));
        let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
        let this = std::env::current_exe().unwrap();
        let mut command = home.program(this.to_str().unwrap());
        command.args(["--exact", "--nocapture", std::thread::current().name().unwrap()]);
        command.env("TERM", "xterm-256color").env("RUST_BACKTRACE", "0");
        command.env(ARGUMENTS, "topchat --password-file password --quiet");
        let mut terminal = Terminal::with_size(&command, 24, 120);
        terminal.wait_for_line("ALL> ");
        terminal.types("half a line");
        terminal.wait_for_line("ALL> half a line");
        let history = home.path(&format!("state/{}/alice/history.sealed", server.address));
        std::fs::create_dir(&history).unwrap();
        if thread == "listening" {
            bob.send_envelope(&BOB.seal_to(&ALICE, "hello", 1));
        } else {
            terminal.types("\r");
        }
        assert_eq!(terminal.end().code(), Some(101), "{thread}");
        let rows = terminal.rows();
        for row in [&format!("thread '{thread}' ("), "a warning: "] {
            assert!(rows.iter().any(|shown| shown.starts_with(row)), "{row}: {rows:?}");
        }
        let settings = terminal.settings();
        assert!(settings.local_modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG), "{thread}");
        assert!(settings.input_modes.contains(InputModes::ICRNL), "{thread}");
        let seen = String::from_utf8_lossy(&terminal.seen).into_owned();
        assert!(seen.rfind("\x1b[?2004l") > seen.rfind("\x1b[?2004h"), "{thread}: {seen:?}");
        assert_eq!(terminal.cursor().1, 0, "{thread}");
        assert_eq!(seen.matches("panicked").count(), 1, "{thread}: {seen:?}");
    }
}

/// With what the program is run within a test.
const ARGUMENTS: &str = "ARGUMENTS_WITHIN_A_TEST";

struct PanicsAtWarnings;

impl log::Log for PanicsAtWarnings {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        panic!("a warning: {}", record.args());
    }

    fn flush(&self) {}
}

#[test]
fn both_clients_left_open_over_a_restart_of_the_server_go_on_where_they_were() {
    let server = TestServer::start();
    let address = server.address.to_string();
    let homes = [Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB)];
    let [mut alice, mut bob] = homes.each_ref().map(chat);
    alice.types("half a");
    alice.wait_for_line("ALL> half a");
    let folder = server.stop();
    alice.wait_for_line("offline> half a");
    bob.wait_for_line("offline> ");
    alice.types(" line\r");
    alice.wait_for_row("HH:MM alice > ALL  half a line                           [waiting]");
    let _server = TestServer::back(folder, &address);
    alice.wait_for_line("ALL> ");
    bob.wait_for_line("ALL> ");
    bob.wait_for_row("HH:MM alice > ALL  half a line");
    bob.types("got it\r");
    alice.wait_for_row("HH:MM bob   > ALL  got it");
}

#[test]
fn over_a_slow_link_the_line_can_be_typed_all_the_same() {
    let server = TestServer::start();
    let slow = Proxy::with_pieces(server.address, 7);
    let home = Home::of_member(server.address, &ALICE);
    let home = Home { server: slow.address.to_string(), ..home };
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut terminal = chat(&home);
    terminal.types("hello");
    terminal.wait_for_line("ALL> hello");
    for count in 1..=10 {
        bob.send_envelope(&BOB.seal_to(&ALICE, &format!("message {count}."), count));
        terminal.types("o");
    }
    terminal.wait_for_row("2026-11-18 11:06 bob   > you  message 10.");
    terminal.wait_for_line(&format!("ALL> hello{}", "o".repeat(10)));
    terminal.types("\r");
    terminal.wait_for_row("HH:MM alice > ALL  hellooooooooooo");
}
