//! The interactive chat without a terminal: plain lines in, plain lines out.

use std::path::Path;

use topchat::crypto::safety::SafetyNumber;
use topchat::wire::to_server::Mode;

use super::home::{Chatting, Home, refused};
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// Types a line and reads what it leads to.
#[track_caller]
fn says(chat: &mut Chatting, typed: &str, expected: &[&str]) {
    chat.types(typed);
    for line in expected {
        assert_eq!(chat.line(), *line, "after {typed}");
    }
}

/// The same for a message to Bob. On a busy machine his client may answer only after a while, which is told then.
#[track_caller]
fn delivers(chat: &mut Chatting, typed: &str, text: &str) {
    chat.types(typed);
    let line = chat.line();
    if line == own(text, "sent") {
        let later = chat.line();
        assert!(later.starts_with("HH:MM   #") && later.ends_with(" to bob: delivered"), "{later}");
    } else {
        assert_eq!(line, own(text, "delivered"));
    }
}

/// Alice's and Bob's.
fn safety_number() -> String {
    let [alice, bob] = [&ALICE, &BOB].map(|person| (&person.name, person.identity.public().fingerprint()));
    SafetyNumber::of(alice, bob).grouped()
}

/// One's own message with its mark.
fn own(text: &str, mark: &str) -> String {
    format!("{text:<57}[{mark}]")
}

#[test]
fn every_line_does_what_it_says() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    RawClient::connect(server.address).register(&CAROL);
    let bobs = Home::of_member(server.address, &BOB);
    let bob = bobs.listen(&["--json"]);

    let mut chat = home.chat();
    says(&mut chat, "hello", &[&own("HH:MM alice > ALL  hello", "delivered to 1 of 2")]);
    delivers(&mut chat, "@bob hi", "HH:MM alice > bob  hi");
    says(&mut chat, "//text", &[&own("HH:MM alice > ALL  /text", "delivered to 1 of 2")]);
    chat.types("/to bob");
    delivers(&mut chat, "psst", "HH:MM alice > bob  psst");
    chat.types("/to ALL");
    says(&mut chat, "all again", &[&own("HH:MM alice > ALL  all again", "delivered to 1 of 2")]);
    says(&mut chat, "@carol hi", &[&own("HH:MM alice > carol  hi", "queued")]);
    says(&mut chat, "/who", &["HH:MM   here now: alice, bob"]);
    let slashes = "Nothing was sent. (To send text that begins with /, type //)";
    for (typed, expected) in [
        ("/nonsense", format!("HH:MM   no command /nonsense. {slashes}")),
        ("/passwrd", format!("HH:MM   no command /passwrd. Did you mean /passwd? {slashes}")),
        ("/ hi", format!("HH:MM   no command /. {slashes}")),
        ("/to", "HH:MM   use it as: /to NAME|ALL   for example: /to bob".to_owned()),
        ("@carl hi", "HH:MM   no user \"carl\" here. Did you mean carol? Nothing was sent.".to_owned()),
        ("@bbo hi", "HH:MM   no user \"bbo\" here. Did you mean bob? Nothing was sent.".to_owned()),
        ("/to carl", "HH:MM   no user \"carl\" here. Did you mean carol?".to_owned()),
        ("/fingerprint carl", "HH:MM   no user \"carl\" here. Did you mean carol?".to_owned()),
        ("/verify carl", "HH:MM   no user \"carl\" here. Did you mean carol?".to_owned()),
        (
            "/verify Carol",
            "HH:MM   \"Carol\" can't be a name: a name begins with a letter from a to z. Did you mean carol?".to_owned(),
        ),
        ("/help nonsense", "HH:MM   no command /nonsense. All of them: /help".to_owned()),
        ("/help turst", "HH:MM   no command /turst. Did you mean /trust? All of them: /help".to_owned()),
        ("@bob", "HH:MM   no text for bob. Nothing was sent. (To write to bob from now on: /to bob)".to_owned()),
        (
            "@Bob hi",
            "HH:MM   \"Bob\" can't be a name: a name begins with a letter from a to z. Did you mean bob? Nothing was sent."
                .to_owned(),
        ),
        (&"x".repeat(4097), "HH:MM   that text has 4097 bytes, at most 4096 can be sent. Nothing was sent.".to_owned()),
        ("/fingerprint", format!("HH:MM   alice  {}", ALICE.identity.public().fingerprint().grouped())),
    ] {
        says(&mut chat, typed, &[&expected]);
    }
    let bobs_key = format!("HH:MM   bob  {}", BOB.identity.public().fingerprint().grouped());
    says(&mut chat, "/fingerprint bob", &[&bobs_key, &format!("        safety number with bob  {}", safety_number())]);
    chat.types("");
    chat.types("/quit");
    let end = chat.finish();
    assert_eq!((end.code, end.stdout.as_str()), (Some(0), ""));

    let got: Vec<serde_json::Value> = (0..5).map(|_| serde_json::from_str(&bob.line()).unwrap()).collect();
    let texts: Vec<_> =
        got.iter().map(|message| (message["to"].as_str().unwrap(), message["text"].as_str().unwrap())).collect();
    assert_eq!(texts, [("ALL", "hello"), ("bob", "hi"), ("ALL", "/text"), ("bob", "psst"), ("ALL", "all again")]);
}

#[test]
fn the_start_tells_the_server_the_key_and_the_seats() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let chat = home.chat();
    let end = chat.finish();
    let pins: serde_json::Value = serde_json::from_str(&home.read("state/servers.json")).unwrap();
    let identity = pins["servers"][server.address.to_string()]["identity"].as_str().unwrap();
    let group = crate::support::people::GROUP.writer().short_id();
    let expected = format!(
        "connected to {}   identity SHA256:{identity} seen for the first time, pinned\n\
         your fingerprint    {}\n                    \
         (friends can compare it; shown again by: topchat fingerprint)\n\
         group ALL           key {group} loaded. DES is weak (56 bits): good against a curious look, not against a lab.\n\
         seats               1 of 10 taken\n\
         Enter sends to ALL.  @bob hi  writes to bob alone.  /help  /quit",
        server.address,
        ALICE.identity.public().fingerprint().grouped(),
    );
    assert_eq!((end.code, end.stdout.as_str(), end.stderr.as_str()), (Some(0), "", expected.as_str()));
}

#[test]
fn a_message_that_comes_is_shown_with_its_mark() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let chat = home.chat();
    bob.send_envelope(&BOB.seal_to(&ALICE, "yes, one o'clock", 1));
    // The envelope was made on another day, and so it says.
    assert_eq!(
        chat.line(),
        format!("{:<57}[signed, new key, sender's clock differs]", "2026-11-18 11:06 bob   > you  yes, one o'clock")
    );
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn without_a_group_key_nothing_goes_to_all_and_the_rest_works() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    std::fs::remove_file(home.path("keys/group.key")).unwrap();
    let mut chat = home.chat();
    says(
        &mut chat,
        "hello",
        &[
            "HH:MM   the group key file keys/group.key: no such file",
            "        get the file from a member, who has the group's key, and put it there. Only a new group needs a new key: topchat group rekey --group-key keys/group.key",
        ],
    );
    says(&mut chat, "/who", &["HH:MM   here now: alice"]);
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn a_hint_in_the_chat_names_the_chats_own_command() {
    let server = TestServer::start();
    RawClient::connect(server.address).register(&BOB);
    let home = Home::of_member(server.address, &ALICE);
    let mut chat = home.chat();
    says(
        &mut chat,
        "/trust bob",
        &[
            "HH:MM   no other key of bob was seen: there is nothing to choose",
            "        to pin the key that the server gives, compare it and give its fingerprint: /trust bob FINGERPRINT",
        ],
    );
    let fingerprint = BOB.identity.public().fingerprint();
    let trusted = format!("HH:MM   bob is trusted with this key from now on: {}", fingerprint.grouped());
    says(&mut chat, &format!("/trust bob {}", fingerprint.to_hex()), &[&trusted]);
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn one_thread_listens_and_one_sends() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut chat = home.chat();
    says(&mut chat, "/who", &["HH:MM   here now: alice"]);
    let tasks = Path::new("/proc").join(chat.running.id().to_string()).join("task");
    let names: Vec<_> = std::fs::read_dir(tasks)
        .unwrap()
        .map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).unwrap().trim().to_owned())
        .collect();
    for name in ["listening", "sending"] {
        assert_eq!(names.iter().filter(|found| *found == name).count(), 1, "{names:?}");
    }
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn signals_and_a_farewell_of_the_server_end_the_chat() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    for (signal, code) in [("INT", 130), ("TERM", 0), ("HUP", 0), ("QUIT", 0)] {
        let mut chat = home.chat();
        chat.running.signal(signal);
        assert_eq!(chat.running.wait().code(), Some(code), "{signal}");
    }
    let mut chat = home.chat();
    let newer = RawClient::connect(server.address).login(&ALICE, Mode::Receiving);
    assert!(matches!(newer, topchat::wire::ToClient::Welcome { .. }), "{newer:?}");
    assert_eq!(chat.running.wait().code(), Some(3));
    let said = chat.running.seen.join("\n");
    let expected = "error: a newer session of this account took over\nhint: what comes now goes to that session only; log in again to take it back: topchat";
    assert!(said.ends_with(expected), "{said}");

    let mut chat = home.chat();
    drop(server);
    // That may pass: the chat waits for the server to come back, and a signal ends it at once all the same.
    assert_eq!(chat.line(), "HH:MM   connection lost (the server is stopping). Trying again in 1 s...");
    chat.running.signal("TERM");
    assert_eq!(chat.running.wait().code(), Some(0));
}

#[test]
fn lines_from_a_pipe_are_all_sent_before_the_end() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let bobs = Home::of_member(server.address, &BOB);
    let bob = bobs.listen(&["--json", "--count", "50"]);
    let lines: String = (0..50).map(|number| format!("@bob {number}\n")).collect();
    let finished = home.run_with(&["--quiet"], lines.as_bytes());
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""));
    // On a busy machine some are first shown as sent.
    let own: Vec<_> = finished.stdout.lines().filter(|line| line.contains(" alice > bob  ")).collect();
    assert_eq!(own.len(), 50, "{}", finished.stdout);
    assert!(own.iter().all(|line| line.ends_with("[delivered]") || line.ends_with("[sent]")), "{}", finished.stdout);
    let texts: Vec<_> = bob
        .finish()
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].clone())
        .collect();
    assert_eq!(texts, (0..50).map(|number| serde_json::Value::from(number.to_string())).collect::<Vec<_>>());
}

#[test]
fn what_is_no_text_is_not_sent_and_the_chat_goes_on() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut input = b"caf\xe9\n".to_vec();
    input.extend(std::iter::repeat_n(b'x', 70_000));
    input.extend(b"\n/who\n");
    let finished = process::run(home.topchat(&["--quiet", "--password-file", "password"]).env("TZ", "UTC"), &input);
    let lines: Vec<_> = finished.stdout.lines().map(super::home::without_time).collect();
    assert_eq!(
        lines,
        [
            "HH:MM   that line is not UTF-8. Nothing was sent.",
            "HH:MM   that line is longer than 65536 bytes. Nothing was sent.",
            "HH:MM   here now: alice",
        ]
    );
    assert_eq!(finished.code, Some(0));
    refused(
        &process::run(home.topchat(&["login", "alice", "--user", "b\u{1b}b"]).env("TZ", "UTC"), b""),
        2,
        "error: \"b^[b\" can't be a name: a name can't contain ^[\n\
         hint: names are a-z, 0-9, _ and -, begin with a letter and have at most 32 characters\n",
    );
}

#[test]
fn what_a_blocked_name_writes_is_taken_and_not_shown() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
    let mut chat = home.chat();
    says(&mut chat, "/blocked", &["HH:MM   nobody is blocked"]);
    says(&mut chat, "/block bob", &["HH:MM   nothing of bob's is shown any more. To take that back: /unblock bob"]);
    says(&mut chat, "/block bob", &["HH:MM   bob is blocked already. To take that back: /unblock bob"]);
    says(&mut chat, "/block alice", &["HH:MM   that is you. Nothing was changed."]);
    says(&mut chat, "/block boob", &["HH:MM   no user \"boob\" here. Did you mean bob? Nothing was changed."]);
    for count in 1..=3 {
        bob.send_envelope(&BOB.seal_to(&ALICE, "psst", count));
    }
    assert_eq!(chat.line(), "HH:MM   bob is blocked: nothing of theirs is shown (/blocked)");
    carol.send_envelope(&CAROL.seal_to(&ALICE, "hi", 1));
    assert!(chat.line().contains("carol > you  hi"));
    assert_eq!(chat.finish().code, Some(0));

    // It holds after a restart; what came meanwhile was acknowledged and does not come again.
    let mut chat = home.chat();
    says(&mut chat, "/blocked", &["HH:MM   bob: nothing was held back"]);
    bob.send_envelope(&BOB.seal_to(&ALICE, "psst", 4));
    assert_eq!(chat.line(), "HH:MM   bob is blocked: nothing of theirs is shown (/blocked)");
    says(&mut chat, "/unblock bob", &["HH:MM   bob is no longer blocked; 1 message was not shown meanwhile"]);
    says(&mut chat, "/unblock bob", &["HH:MM   bob is not blocked. Nothing was changed."]);
    bob.send_envelope(&BOB.seal_to(&ALICE, "hello again", 5));
    assert!(chat.line().contains("bob   > you  hello again"));
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn an_answer_goes_to_whoever_wrote_to_oneself_alone_last() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    RawClient::connect(server.address).register(&CAROL);
    let mut chat = home.chat();
    says(&mut chat, "/r hi", &["HH:MM   nobody has written to you alone in this run. Nothing was sent."]);
    bob.send_envelope(&BOB.seal_to(&ALICE, "psst", 1));
    assert!(chat.line().contains("bob   > you  psst"));
    chat.types("/r what is it?");
    assert!(chat.line().starts_with("HH:MM alice > bob  what is it?"));
    says(&mut chat, "/msg carol hi there", &[&own("HH:MM alice > carol  hi there", "queued")]);
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn help_and_keys_tell_everything() {
    let server = TestServer::start();
    let home = Home::of_member(server.address, &ALICE);
    let mut chat = home.chat();
    says(
        &mut chat,
        "/help trust",
        &[
            "HH:MM   /trust NAME [FINGERPRINT]",
            "        go on with NAME, whose key has changed, unverified",
            "        for example: /trust bob 77aa 0e51 93c2 4b1d",
        ],
    );
    let [identity, encryption] = [&ALICE.identity, &ALICE.encryption].map(|key| key.public().fingerprint().grouped());
    let group = crate::support::people::GROUP.writer().short_id();
    says(
        &mut chat,
        "/keys",
        &[
            &format!("HH:MM   identity      yours     {identity}  prefers classic"),
            &format!("        encryption    yours     {encryption}"),
            &format!("        group ALL     {group}   the first one writes, all of them read"),
        ],
    );
    let direct = "HH:MM   the bell rings for messages to you alone, and for those that name you";
    says(&mut chat, "/bell", &[direct]);
    says(&mut chat, "/bell off", &["HH:MM   the bell is off"]);
    says(&mut chat, "/bell", &["HH:MM   the bell is off"]);
    assert_eq!(chat.finish().code, Some(0));
}
