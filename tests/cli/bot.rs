//! `examples/bot.sh`, as it is shipped.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use topchat::wire::to_server::Mode;

use super::home::Home;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{CLIENT, Running};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

const BOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/bot.sh");

/// A bot of this account that listens. Its temporary files are in the home.
fn start(home: &Home) -> Running {
    // Whoever runs the tests in the background has Ctrl-C ignored, which no shell can take back.
    let mut command = home.program("env");
    let programs = Path::new(CLIENT).parent().unwrap().display().to_string();
    command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()));
    std::fs::create_dir_all(home.path("tmp")).unwrap();
    command.env("TMPDIR", home.path("tmp"));
    // The time-out ends what a failed test would leave behind.
    command
        .args(["--default-signal=HUP,INT,TERM", "sh", BOT, "--password-file", "password", "--timeout", "120"])
        .stdin(Stdio::null());
    let mut bot = Running::start(&mut command);
    bot.wait_for("listening as bob");
    bot
}

#[test]
fn the_bot_fits_on_a_page() {
    let lines = std::fs::read_to_string(BOT).unwrap().lines().count();
    assert!(lines <= 40, "{lines} lines");
}

#[test]
fn the_bot_answers_what_is_said_to_it_alone_and_not_itself() {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let listening = alice.listen(&["--json"]);
    let mut bot = start(&bob);

    let says = |to: &str, text: &str| assert_eq!(alice.run_in(&["send", to, text]).code, Some(0), "{text}");
    let heard = || {
        let message: Value = serde_json::from_str(&listening.line()).unwrap();
        assert_eq!((&message["from"], &message["to"]), (&"bob".into(), &"alice".into()), "{message}");
        message["text"].as_str().unwrap().to_owned()
    };
    // None of the first three has an answer, or it would come before that to the fourth.
    says("ALL", "time");
    says("bob", "bot: time");
    says("bob", "bot: Filesystem\n/dev/sda1");
    says("bob", "echo \u{17c}\u{f3}\u{142}w; $(touch broken) `touch broken`");
    assert_eq!(heard(), "bot: \u{17c}\u{f3}\u{142}w; $(touch broken) `touch broken`");
    says("bob", r#"echo "one" \two\\n\" end"#);
    assert_eq!(heard(), r#"bot: "one" \two\\n\" end"#);
    says("bob", "echo one\ntwo\u{7f}.");
    assert_eq!(heard(), "bot: one two .");
    says("bob", "a \"quote\",\"text\":\"time\"");
    assert_eq!(heard(), "bot: I know: time, disk, system, echo TEXT");
    says("bob", "who:bot:you");
    assert_eq!(heard(), "bot: I know: time, disk, system, echo TEXT");
    says("bob", "time");
    assert!(heard().contains("UTC"));
    says("bob", "disk");
    assert!(heard().contains("Filesystem"));
    assert!(!bob.path("broken").exists());
    let _elsewhere = RawClient::again(server.address, &BOB, Mode::Receiving);
    bot.wait_for("bot: nothing comes any more");
    assert_eq!(bot.wait().code(), Some(1));
}

#[test]
fn whoever_ends_the_bot_ends_all_of_it() {
    let server = TestServer::start();
    RawClient::connect(server.address).register(&ALICE);
    let bob = Home::of_member(server.address, &BOB);
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        let mut bot = start(&bob);
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", bot.id())).unwrap();
        let children: Vec<_> = children.split_whitespace().map(|id| Path::new("/proc").join(id)).collect();
        assert_eq!(children.len(), 2, "the listener and what answers: {children:?}");
        bot.signal(signal);
        assert_eq!(bot.child().wait().unwrap().code(), Some(code), "{signal}");
        for child in children {
            assert!(!child.exists(), "{} outlives {signal}", child.display());
        }
        assert_eq!(std::fs::read_dir(bob.path("tmp")).unwrap().count(), 0, "{signal}");
    }
}
