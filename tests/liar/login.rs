//! Lies before and during the login.

use topchat::crypto::scram::fake_verifier;
use topchat::limits::BROKEN_LOGIN_TRIES;
use topchat::wire::to_client::{Entry, Reason};
use topchat::wire::{Code, ToClient, ToServer, Verifier, frame};

use super::server::{Liar, talk};
use crate::cli::home::{Home, refused};
use crate::support::people::{ALICE, VERIFIER};

const NOT_GIVEN_AWAY: &str =
    "hint: the password was not given away; ask the server's owner, and compare --server-fingerprint\n";
const IS_IT_RUNNING: &str = "hint: is the server still running?\n";

fn alice(liar: &Liar) -> Home {
    Home::with_keys(liar.address(), &ALICE)
}

#[test]
fn a_weakened_or_endless_key_derivation_is_refused_without_a_proof() {
    let liar = Liar::start();
    let home = alice(&liar);
    for rounds in [1, 1000, 599_999, 10_000_001, 20_000_000] {
        let client = home.start(&["users"]);
        let mut line = liar.accept();
        line.challenge(&Verifier { iterations: rounds, ..VERIFIER.clone() });
        let received = line.drain();
        assert!(
            matches!(talk(&received)[..], [ToServer::LoginStart { .. }]),
            "nothing computed from the password left"
        );
        refused(
            &client.finish(),
            4,
            &format!(
                "error: login failed: the server asks for {rounds} rounds, allowed are 600000 to 10000000\n{NOT_GIVEN_AWAY}"
            ),
        );
    }
}

#[test]
fn a_server_that_can_not_prove_itself_is_told_nothing_more() {
    let liar = Liar::start();
    let home = alice(&liar);
    let other = format!("v={}", data_encoding::BASE64.encode(&[7; 32]));
    for (server_final, code, stderr) in [
        (
            other.as_str(),
            4,
            format!("error: login failed: the server could not prove that it knows this account\n{NOT_GIVEN_AWAY}"),
        ),
        ("", 4, format!("error: login failed: the login message's server signature is malformed\n{NOT_GIVEN_AWAY}")),
        (
            "v=\u{1b}[2J",
            4,
            format!("error: login failed: the login message's server signature is malformed\n{NOT_GIVEN_AWAY}"),
        ),
        (
            "e=invalid-proof",
            6,
            "error: wrong name or password.\n\
             hint: is alice an account of this server? If not: topchat register alice    \
             If its keys were renewed on another machine: topchat keys export there, then topchat keys import FILE here\n"
                .to_owned(),
        ),
    ] {
        let client = home.start(&["send", "ALL", "hi"]);
        let mut line = liar.accept();
        let challenge = line.challenge(&VERIFIER);
        line.server_final(&challenge);
        line.welcome(server_final.to_owned());
        let received = line.drain();
        let frames = talk(&received);
        assert!(!frames.iter().any(|frame| matches!(frame, ToServer::Send { .. })), "{frames:?}");
        refused(&client.finish(), code, &stderr);
    }
}

#[test]
fn a_challenge_of_another_exchange_is_refused() {
    let liar = Liar::start();
    let home = alice(&liar);
    let salt = data_encoding::BASE64.encode(&[1; 16]);
    for (server_first, why) in [
        (format!("r=someothernonce,s={salt},i=600000"), "the login message's nonce is not that of this login"),
        (format!("m=ext,r=x,s={salt},i=600000"), "the login message's nonce is malformed"),
        ("\u{1b}]0;owned\u{7}".to_owned(), "the login message's nonce is malformed"),
        (String::new(), "the login message's nonce is malformed"),
    ] {
        let client = home.start(&["users"]);
        let mut line = liar.accept();
        line.take();
        line.send(&ToClient::Challenge { server_first });
        line.drain();
        refused(&client.finish(), 4, &format!("error: login failed: {why}\n{NOT_GIVEN_AWAY}"));
    }
}

#[test]
fn a_server_that_closes_at_any_stage_is_a_lost_connection() {
    let liar = Liar::start();
    let home = alice(&liar);
    for frames_taken in 0..=3 {
        let client = home.start(&["users"]);
        // A login has done nothing before it was answered, so one that breaks is tried again.
        let tries = if frames_taken == 3 { 1 } else { BROKEN_LOGIN_TRIES };
        for _ in 0..tries {
            let mut line = liar.accept();
            if frames_taken == 1 {
                line.take();
            }
            if frames_taken >= 2 {
                let challenge = line.challenge(&VERIFIER);
                let server_final = line.server_final(&challenge);
                if frames_taken == 3 {
                    line.welcome(server_final);
                    line.take();
                }
            }
            line.close();
        }
        let lost = "error: connection lost (the connection was closed)\n";
        refused(&client.finish(), 3, &format!("{lost}{IS_IT_RUNNING}"));
    }
}

#[test]
fn frames_that_a_server_must_not_send_end_the_connection_with_their_name() {
    let liar = Liar::start();
    let home = alice(&liar);
    let reflected = ToServer::Ping { token: 1 }.encode();
    let page = {
        let mut bytes = ToClient::Page {
            request: 1,
            more: false,
            entries: vec![Entry { name: "bobby".parse().unwrap(), online: true }],
        }
        .encode();
        let at = bytes.windows(5).position(|part| part == b"bobby").unwrap();
        bytes[at..at + 5].copy_from_slice(b"\x1b[2Jb");
        bytes
    };
    for (bytes, why) in [
        (reflected, "the server sent what it must not: frame type: 0xa is not a known value"),
        (frame::encode(0xff, b""), "the server sent what it must not: frame type: 0xff is not a known value"),
        (vec![0, 0, 0, 0], "connection lost (a frame of length zero)"),
        (vec![0xff; 4], "connection lost (a frame of 4294967295 bytes, at most 16384 are allowed now)"),
        (page, "the server sent what it must not: entry name: a name begins with a letter from a to z"),
    ] {
        let client = home.start(&["users"]);
        let mut line = liar.member();
        line.take();
        line.send_bytes(&bytes);
        line.drain();
        refused(&client.finish(), 3, &format!("error: {why}\n"));
    }
}

#[test]
fn words_of_the_server_reach_the_terminal_only_when_they_are_safe() {
    let liar = Liar::start();
    let home = alice(&liar);
    let text = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}gnp.exe\r\nerror: all is well\u{2028}";
    let shown = "^[]0;owned^G<U+009B>2J<U+202E>gnp.exe^M^Jerror: all is well<U+2028>";
    let reason = Reason { code: None, number: 999, retry_secs: 0, limit: 0, text: text.to_owned() };
    for frame in [ToClient::Error { request: 0, reason: reason.clone() }, ToClient::Bye(reason.clone())] {
        let client = home.start(&["users"]);
        let mut line = liar.accept();
        line.take();
        line.send(&frame);
        line.drain();
        refused(&client.finish(), 3, &format!("error: the server says: {shown} (code 999)\n"));
    }
    // A known code is told in the client's own words, whatever stands beside it.
    let client = home.start(&["users"]);
    let mut line = liar.accept();
    line.take();
    let reason = Reason { text: text.to_owned(), ..Reason::new(Code::Full) };
    line.send(&ToClient::Error { request: 0, reason });
    line.drain();
    refused(
        &client.finish(),
        5,
        "error: the server is full: all seats are taken. Try again later, or run with --wait to queue.\n",
    );
}

#[test]
fn an_account_that_the_server_makes_up_does_not_log_in() {
    let liar = Liar::start();
    let home = alice(&liar);
    let client = home.start(&["users"]);
    let mut line = liar.accept();
    line.challenge(&fake_verifier(&[1; 32], &ALICE.name));
    line.take();
    line.welcome(format!("v={}", data_encoding::BASE64.encode(&[0; 32])));
    line.drain();
    refused(
        &client.finish(),
        4,
        &format!("error: login failed: the server could not prove that it knows this account\n{NOT_GIVEN_AWAY}"),
    );
}
