//! A server whose wall clock goes back or leaps, for real: what was accepted is delivered, and nothing ends before its time.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use topchat::wire::to_client::{State, ToClient};
use topchat::wire::to_server::{Mode, ToServer};

use crate::support::people::{ALICE, BOB};
use crate::support::process::{SERVER, ServerProcess, command, signal};
use crate::support::raw::RawClient;

/// Alice writes to Bob while the clock is `then` off, and Bob comes when it is right: what he gets is what was answered "queued".
#[track_caller]
fn what_is_accepted_under_a_clock_that_is_off_arrives(then: &str) {
    let folder = tempfile::tempdir().unwrap();
    let server = under_clock(folder.path(), "+0");
    drop(RawClient::member(server.address, &BOB, Mode::Errand));
    drop(RawClient::member(server.address, &ALICE, Mode::Errand));
    end(server);

    let server = under_clock(folder.path(), then);
    let mut alice = RawClient::again(server.address, &ALICE, Mode::Errand);
    let [direct, to_all] = [ALICE.seal_to(&BOB, "to bob", 1), ALICE.seal_to_all("to all", 2)];
    for sent in [&direct, &to_all] {
        let answer = alice.send_envelope(sent);
        assert!(
            matches!(answer, ToClient::Status { state: State::Queued | State::Accepted, .. }),
            "{then}: {answer:?}"
        );
    }
    end(server);

    let server = under_clock(folder.path(), "+0");
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    for expected in [&direct, &to_all] {
        let (delivery, backlog, envelope) = bob.next_delivery();
        assert_eq!((backlog, &envelope), (true, expected), "{then}");
        bob.send(&ToServer::Ack(delivery));
    }
    bob.expect_nothing();
}

#[test]
fn a_message_that_was_accepted_while_the_clock_was_seconds_behind_arrives() {
    what_is_accepted_under_a_clock_that_is_off_arrives("-10s");
}

#[test]
fn a_message_that_was_accepted_while_the_clock_was_months_behind_arrives() {
    what_is_accepted_under_a_clock_that_is_off_arrives("-60d");
}

#[test]
fn a_message_that_was_accepted_while_the_clock_was_years_ahead_arrives() {
    what_is_accepted_under_a_clock_that_is_off_arrives("+20y");
}

/// A server that has the right monotonic clock, and a wall clock that is so much off.
fn under_clock(folder: &Path, off: &str) -> ServerProcess {
    let mut server = command(SERVER, folder);
    server.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("data"));
    server.env("LD_PRELOAD", library()).env("FAKETIME", off).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    ServerProcess::run(&mut server)
}

/// The library that the command `faketime` puts before others; the command itself stays the parent of what it starts, which could
/// not be ended by its id then.
fn library() -> OsString {
    let shown = std::process::Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let shown = shown.expect("scripts/bootstrap.sh --tests brings faketime");
    assert!(shown.status.success(), "{shown:?}");
    OsString::from_vec(shown.stdout.trim_ascii().to_vec())
}

fn end(mut server: ServerProcess) {
    signal(server.running.id(), "KILL");
    server.running.kill();
}
