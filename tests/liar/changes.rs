//! Changed keys, in every order of events: nothing is sent to that name, on the wire neither, until the person chooses.

use topchat::crypto::bundle;
use topchat::wire::to_client::Reason;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, Predecessor, Prefers, Suite, ToClient, ToServer, signed};

use super::server::{Liar, Line, talk};
use crate::cli::home::{Chatting, Home, Listening, printed, refused, without_contact};
use crate::support::people::{ALICE, BOB, CAROL, Person};
use crate::support::pty::Terminal;

/// Alice, who has written to Bob before, and a server that lies about him.
struct Stage {
    liar: Liar,
    home: Home,
}

/// Somebody else with Bob's name: Carol's keys, and a third pair.
struct Others {
    second: Person,
    third: Person,
}

impl Stage {
    fn new() -> Self {
        let liar = Liar::start();
        let home = Home::with_keys(liar.address(), &ALICE);
        let stage = Self { liar, home };
        let (sent, finished) = stage.errand(&["send", "bob", "hi"], |line| {
            line.answer_lookup(BOB.bundle());
            assert_eq!(BOB.open(&line.take_message()), "hi");
        });
        assert_eq!((finished.code, sent.len()), (Some(0), 3), "{}", finished.stderr);
        stage
    }

    /// A command to its end, while the server does this. Gives what the client sent since its login.
    fn errand(
        &self,
        words: &[&str],
        server: impl FnOnce(&mut Line),
    ) -> (Vec<Vec<u8>>, crate::support::process::Finished) {
        let client = self.home.start(words);
        let mut line = self.liar.member();
        server(&mut line);
        (line.drain(), client.finish())
    }

    /// Sending is stopped with this alarm, and no envelope leaves, whatever key the server gives.
    #[track_caller]
    fn is_stopped(&self, gives: Vec<u8>, now: &Person, verified: &str) {
        let (sent, finished) = self.errand(&["send", "bob", "secret"], |line| line.answer_lookup(gives));
        nothing_left(&sent);
        refused(&finished, 4, &alarm(now, verified));
    }

    /// Sending works, and the message is for this key.
    #[track_caller]
    fn sends_to(&self, person: &Person) {
        let (_, finished) = self.errand(&["send", "bob", "again"], |line| {
            line.answer_lookup(person.bundle_as(&BOB.name));
            assert_eq!(person.open(&line.take_message()), "again");
        });
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    }

    fn listen(&self) -> (Line, Listening) {
        std::thread::scope(|scope| {
            let listening = scope.spawn(|| self.home.listen(&[]));
            (self.liar.member(), listening.join().unwrap())
        })
    }

    fn chat(&self) -> (Line, Chatting) {
        std::thread::scope(|scope| {
            let chat = scope.spawn(|| self.home.chat());
            (self.liar.member(), chat.join().unwrap())
        })
    }

    /// A chat in which a text to Bob was stopped by this key of his.
    fn stopped_chat(&self, other: &Person) -> (Line, Chatting) {
        let (mut line, mut chat) = self.chat();
        chat.types("@bob secret");
        line.answer_lookup(other.bundle());
        lines(&chat, &alarm_lines(other, "/"));
        assert_eq!(chat.line(), "HH:MM   Nothing was sent.");
        (line, chat)
    }
}

impl Others {
    fn new() -> Self {
        let named = |person: Person| Person { name: BOB.name.clone(), ..person };
        Self { second: named(Person::new("bob")), third: named(Person::new("bob")) }
    }
}

/// The error of a command.
fn alarm(now: &Person, verified: &str) -> String {
    format!(
        "error: BOB'S KEY HAS CHANGED. Nothing was sent.\n  was {}\n  now {}\n  the old one was pinned {}, {verified}\n\
         hint: they made new keys, or someone (the server's owner could) stands in their place. \
         Compare by voice, with: topchat verify bob    or go on unverified: topchat trust bob\n",
        BOB.identity.public().fingerprint().grouped(),
        now.identity.public().fingerprint().grouped(),
        today(),
    )
}

/// The lines of the chat, or of `listen`.
fn alarm_lines(now: &Person, before: &str) -> Vec<String> {
    [
        format!("BOB'S KEY HAS CHANGED.  was {}", BOB.identity.public().fingerprint().grouped()),
        format!("                        now {}", now.identity.public().fingerprint().grouped()),
        format!("The old one was pinned {}, never verified.", today()),
        "They made new keys, or someone (the server's owner could) stands in their place. Sending to bob is stopped."
            .to_owned(),
        format!("  compare by voice, then  {before}verify bob       or go on unverified:  {before}trust bob"),
    ]
    .map(|line| format!("HH:MM !! {line}"))
    .to_vec()
}

fn held(count: usize, before: &str) -> String {
    let held = if count == 1 { "1 message is".to_owned() } else { format!("{count} messages are") };
    format!("HH:MM !! {held} held under another key of bob: shown after  {before}verify bob  or  {before}trust bob")
}

/// The day in UTC.
fn today() -> String {
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%d", "-d", &format!("@{seconds}")]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

#[track_caller]
fn nothing_left(sent: &[Vec<u8>]) {
    let frames = talk(sent);
    assert!(frames.iter().all(|frame| matches!(frame, ToServer::Lookup { .. })), "{frames:?}");
}

/// Answers the client's question for a key with this person's.
fn gives_key(line: &mut Line, person: &Person) {
    loop {
        match line.take() {
            ToServer::Lookup { request, .. } => {
                return line.send(&found(request, person, Vec::new()));
            }
            ToServer::Ack(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[track_caller]
fn lines(chat: &Chatting, expected: &[String]) {
    for line in expected {
        assert_eq!(chat.line(), *line);
    }
}

/// The next lines on stderr, in this order, with nothing of their time.
#[track_caller]
fn told(listening: &mut Listening, expected: &[String]) {
    for line in expected {
        let end = line.strip_prefix("HH:MM").unwrap_or(line);
        listening.running.wait_for(end);
    }
}

fn link(old: &Person, new: &Person) -> Predecessor {
    Predecessor {
        identity: old.identity.public().to_der().to_vec(),
        handover: bundle::hand_over(&BOB.name, &old.identity, &new.identity).unwrap(),
    }
}

fn found(request: u32, person: &Person, lineage: Vec<Predecessor>) -> ToClient {
    ToClient::Found { request, bundle: person.bundle_as(&BOB.name), lineage }
}

/// T30: the lookup first, then the messages.
#[test]
fn a_swapped_key_stops_every_command_until_the_person_chooses() {
    let (stage, others) = (Stage::new(), Others::new());
    for _ in 0..2 {
        stage.is_stopped(others.second.bundle(), &others.second, "never verified");
    }
    // Back to the old key, and then a third one: it stays stopped.
    stage.is_stopped(BOB.bundle(), &others.second, "never verified");
    stage.is_stopped(others.third.bundle(), &others.third, "never verified");
    stage.is_stopped(BOB.bundle(), &others.third, "never verified");
    let forget = stage.home.run(&["forget", "bob"]);
    let choose = "hint: choose first: topchat verify bob    or go on unverified: topchat trust bob\n";
    refused(&forget, 4, &format!("error: bob's key has changed, and you have not chosen yet\n{choose}"));

    // Trusting what the server no longer gives, or by a wrong fingerprint, changes nothing.
    let [second, third] = [&others.second, &others.third].map(|person| person.identity.public().fingerprint());
    let unseen = "error: a confirmation is needed and there is no terminal to ask for it\n\
                  hint: give it with topchat trust NAME FINGERPRINT\n";
    refused(&stage.home.run_in(&["trust", "bob"]), 2, unseen);
    let gone = stage.home.start(&["trust", "bob", &second.to_hex()]);
    stage.liar.member().answer_lookup(others.third.bundle());
    assert_eq!(gone.finish().code, Some(4));
    let was = BOB.identity.public().fingerprint().to_hex();
    let (_, finished) = stage.errand(&["trust", "bob", &was], |line| line.answer_lookup(others.third.bundle()));
    refused(
        &finished,
        4,
        &format!(
            "error: that is not the fingerprint of bob's key: it is\n  {}\n\
             hint: compare it with the contact by voice: it may be somebody else's key. Nothing was changed\n",
            third.grouped()
        ),
    );
    stage.is_stopped(BOB.bundle(), &others.third, "never verified");
    let (_, finished) =
        stage.errand(&["trust", "bob", &third.to_hex()], |line| line.answer_lookup(others.third.bundle()));
    printed(&finished, &format!("bob  {}\n", third.grouped()));
    assert_eq!(finished.stderr, "bob is trusted with this key from now on:\n");
    stage.sends_to(&others.third);
}

#[test]
fn trusting_the_old_key_by_its_fingerprint_goes_on_with_it() {
    let (stage, others) = (Stage::new(), Others::new());
    stage.is_stopped(others.second.bundle(), &others.second, "never verified");
    let was = BOB.identity.public().fingerprint().to_hex();
    let (_, finished) = stage.errand(&["trust", "bob", &was[..16]], |line| line.answer_lookup(BOB.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    stage.sends_to(&BOB);
    // The key decided against is an alarm again as soon as the server gives it.
    stage.is_stopped(others.second.bundle(), &others.second, "never verified");
}

#[test]
fn the_alarm_says_whether_the_old_key_was_verified() {
    let (stage, others) = (Stage::new(), Others::new());
    let was = BOB.identity.public().fingerprint().to_hex();
    let words = ["verify", "bob", "--fingerprint", &was];
    let (_, finished) = stage.errand(&words, |line| line.answer_lookup(BOB.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    stage.is_stopped(others.second.bundle(), &others.second, &format!("verified {}", today()));
    // Verifying the new one shows the alarm, takes only its own fingerprint, and goes on.
    let (_, finished) = stage.errand(&words, |line| line.answer_lookup(others.second.bundle()));
    assert_eq!(finished.code, Some(4));
    assert!(finished.stderr.contains(" !! BOB'S KEY HAS CHANGED.  was "), "{}", finished.stderr);
    let now = others.second.identity.public().fingerprint().to_hex();
    let words = ["verify", "bob", "--fingerprint", &now];
    let (_, finished) = stage.errand(&words, |line| line.answer_lookup(others.second.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    stage.sends_to(&others.second);
}

#[test]
fn after_a_handover_the_alarm_says_that_the_key_before_was_verified() {
    let (stage, others) = (Stage::new(), Others::new());
    let was = BOB.identity.public().fingerprint().to_hex();
    let words = ["verify", "bob", "--fingerprint", &was];
    let (_, finished) = stage.errand(&words, |line| line.answer_lookup(BOB.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let (_, finished) = stage.errand(&["send", "bob", "hi"], |line| {
        let ToServer::Lookup { request, .. } = line.take() else { panic!("no Lookup") };
        line.send(&found(request, &others.second, vec![link(&BOB, &others.second)]));
        line.take_message();
    });
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let (sent, finished) = stage.errand(&["send", "bob", "secret"], |line| line.answer_lookup(others.third.bundle()));
    nothing_left(&sent);
    let known = format!("the old one was pinned {0}, signed by one that was verified {0}\n", today());
    assert!(finished.stderr.contains(&known), "{}", finished.stderr);
}

/// A sender's fingerprint that no key stands behind, and no signature.
#[test]
fn a_made_up_fingerprint_alarms_nobody() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut listening) = stage.listen();
    line.deliver(others.second.seal_to(&ALICE, "one", 1).encode());
    let request = loop {
        if let ToServer::Lookup { request, .. } = line.take() {
            break request;
        }
    };
    line.send(&ToClient::Error { request, reason: Reason::new(Code::NoSuchKey) });
    told(
        &mut listening,
        &["a message marked from bob (#0101) was not shown: the server gives no key of bob that holds".into()],
    );
    line.end();
    listening.finish();
    stage.sends_to(&BOB);
}

/// T30: a message first. Held with a count, at each start; shown after the choice in another process.
#[test]
fn messages_under_another_key_are_held_in_every_run_and_shown_after_the_choice() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut listening) = stage.listen();
    line.deliver(others.second.seal_to(&ALICE, "one", 1).encode());
    gives_key(&mut line, &others.second);
    told(&mut listening, &alarm_lines(&others.second, "topchat "));
    told(&mut listening, &[held(1, "topchat ")]);
    line.deliver(others.second.seal_to_all("two", 2).encode());
    told(&mut listening, &[held(2, "topchat ")]);
    // What the true one signs goes on.
    line.deliver(BOB.seal_to(&ALICE, "from the old key", 3).encode());
    assert!(listening.line().contains("bob   > you  from the old key"));
    nothing_left(&line.end());
    let finished = listening.finish();
    assert_eq!(finished.stdout, "");

    stage.is_stopped(BOB.bundle(), &others.second, "never verified");

    let (line, mut listening) = stage.listen();
    told(&mut listening, &alarm_lines(&others.second, "topchat "));
    told(&mut listening, &[held(2, "topchat ")]);
    let second = others.second.identity.public().fingerprint().to_hex();
    let (_, finished) = stage.errand(&["trust", "bob", &second], |line| line.answer_lookup(others.second.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(listening.line().contains("bob   > you  one"));
    let second = listening.line();
    assert!(second.contains("bob   > ALL  two") && second.contains("[signed, known key"), "{second}");
    nothing_left(&line.end());
    listening.finish();
    let (line, listening) = stage.listen();
    line.end();
    assert_eq!(listening.finish().stdout, "", "each is shown once");
}

/// Somebody said yes in another process; nobody has given or compared a fingerprint.
#[test]
fn what_a_running_chat_is_shown_under_a_key_that_another_process_trusted_is_under_a_new_one() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, chat) = stage.stopped_chat(&others.second);
    let mut command = stage.home.topchat(&["trust", "bob", "--password-file", "password"]);
    let mut terminal = Terminal::with_size(command.env("TERM", "xterm").env("NO_COLOR", "1"), 24, 200);
    terminal.wait_for("Go on with bob's new key, which nobody has compared? (y)es or (n)o ");
    terminal.types("yes\r");
    let mut other = stage.liar.member();
    other.answer_lookup(others.second.bundle());
    other.drain();
    assert_eq!(terminal.end().code(), Some(0));
    line.deliver(others.second.seal_to(&ALICE, "it is me", 1).encode());
    let shown = chat.line();
    assert!(shown.contains("bob   > you  it is me") && shown.contains("[signed, new key"), "{shown}");
    nothing_left(&line.end());
    chat.finish();
}

#[test]
fn a_choice_between_two_runs_shows_what_was_held_at_the_next_start() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut listening) = stage.listen();
    line.deliver(others.second.seal_to(&ALICE, "wanted", 1).encode());
    gives_key(&mut line, &others.second);
    told(&mut listening, &[held(1, "topchat ")]);
    line.deliver(others.third.seal_to(&ALICE, "unwanted", 2).encode());
    gives_key(&mut line, &others.third);
    told(&mut listening, &[held(2, "topchat ")]);
    line.end();
    listening.finish();
    let second = others.second.identity.public().fingerprint().to_hex();
    let (_, finished) = stage.errand(&["trust", "bob", &second], |line| line.answer_lookup(others.second.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let (line, mut listening) = stage.listen();
    assert!(listening.line().contains("bob   > you  wanted"));
    told(
        &mut listening,
        &["a message marked from bob (#0202) is under a key of bob that you decided against. It was not shown.".into()],
    );
    line.end();
    listening.finish();
    stage.sends_to(&others.second);
}

#[test]
fn in_the_chat_a_changed_key_stops_the_text_and_trust_shows_what_was_held() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut chat) = stage.stopped_chat(&others.second);
    chat.types("/to bob");
    line.answer_lookup(BOB.bundle());
    lines(&chat, &alarm_lines(&others.second, "/"));
    line.deliver(others.second.seal_to(&ALICE, "it is me", 1).encode());
    lines(&chat, &alarm_lines(&others.second, "/"));
    assert_eq!(chat.line(), held(1, "/"));
    chat.types("/trust bob");
    while !matches!(line.take(), ToServer::Lookup { .. }) {}
    line.send(&found(3, &others.second, Vec::new()));
    let now = others.second.identity.public().fingerprint().grouped();
    assert_eq!(chat.line(), format!("HH:MM   bob is trusted with this key from now on: {now}"));
    assert!(chat.line().contains("bob   > you  it is me"));
    chat.types("@bob hello");
    line.answer_lookup(others.second.bundle());
    assert_eq!(others.second.open(&line.take_message()), "hello");
    assert!(chat.line().contains("[delivered]"));
    line.end();
    chat.finish();
}

/// A server that alarms with one key, which the person compares by voice, and then has another one recorded elsewhere.
#[test]
fn in_the_chat_only_the_changed_key_that_was_shown_there_is_trusted() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut chat) = stage.stopped_chat(&others.second);
    stage.is_stopped(others.third.bundle(), &others.third, "never verified");
    chat.types("/trust bob");
    lines(&chat, &alarm_lines(&others.third, "/"));
    assert_eq!(chat.line(), "HH:MM   Nothing was changed: bob's key is another one by now.");
    stage.is_stopped(BOB.bundle(), &others.third, "never verified");
    chat.types("/trust bob");
    line.answer_lookup(others.third.bundle());
    let third = others.third.identity.public().fingerprint().grouped();
    assert_eq!(chat.line(), format!("HH:MM   bob is trusted with this key from now on: {third}"));
    nothing_left(&line.end());
    chat.finish();
    stage.sends_to(&others.third);
}

#[test]
fn the_command_shows_the_changed_key_that_it_would_trust_and_asks() {
    let (stage, others) = (Stage::new(), Others::new());
    stage.is_stopped(others.second.bundle(), &others.second, "never verified");
    let second = others.second.identity.public().fingerprint().grouped();
    let ask = |answer: &str| {
        let mut command = stage.home.topchat(&["trust", "bob", "--password-file", "password"]);
        let mut terminal = Terminal::with_size(command.env("TERM", "xterm").env("NO_COLOR", "1"), 24, 200);
        terminal.wait_for(&format!("now {second}"));
        terminal.wait_for("Go on with bob's new key, which nobody has compared? (y)es or (n)o ");
        terminal.types(answer);
        terminal
    };
    ask("no\r").finish();
    stage.is_stopped(BOB.bundle(), &others.second, "never verified");
    // The server gives another key than the one that was shown.
    let asking = ask("yes\r");
    let mut line = stage.liar.member();
    line.answer_lookup(others.third.bundle());
    line.drain();
    let shown = String::from_utf8(asking.finish()).unwrap().replace("\r\n", "\n");
    let third = others.third.identity.public().fingerprint().grouped();
    let told = format!(
        "error: the server gives another key of bob now than the one you were told of. Nothing was changed.\n  told {second}\n  \
         now  {third}\nhint: compare it by voice, with: topchat verify bob    or name the key: topchat trust bob FINGERPRINT\n"
    );
    assert!(shown.ends_with(&told), "{shown}");
    stage.is_stopped(BOB.bundle(), &others.second, "never verified");
    let asking = ask("yes\r");
    let mut line = stage.liar.member();
    line.answer_lookup(others.second.bundle());
    line.drain();
    asking.finish();
    stage.sends_to(&others.second);
}

#[test]
fn verify_asks_and_only_yes_means_yes() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut chat) = stage.chat();
    let question = "        If it is the same for bob, the answer yes marks the key as verified.";
    for (answer, told) in [
        ("@bob secret", "HH:MM   nothing was changed about bob's key, and nothing was sent"),
        ("yesterday", "HH:MM   nothing was changed about bob's key, and nothing was sent"),
        ("Y", "HH:MM   bob's key is verified from now on"),
    ] {
        chat.types("/verify bob");
        line.answer_lookup(BOB.bundle());
        while chat.line() != question {}
        let fingerprint = BOB.identity.public().fingerprint().grouped();
        assert_eq!(chat.line(), format!("        bob  {fingerprint}"));
        chat.types(answer);
        // The number and its code come before.
        let said = std::iter::repeat_with(|| chat.line()).find(|line| line.starts_with("HH:MM"));
        assert_eq!(said.as_deref(), Some(told), "{answer}");
    }
    chat.types("/untrust bob");
    assert_eq!(chat.line(), "HH:MM   bob's key is no longer verified. It stays pinned.");
    chat.types("/untrust bob");
    assert_eq!(chat.line(), "HH:MM   bob's key was not verified. Nothing was changed.");
    // A change that shows when keys are compared stays, if the answer is no.
    chat.types("/verify bob");
    line.answer_lookup(others.second.bundle());
    lines(&chat, &alarm_lines(&others.second, "/"));
    while chat.line() != question {}
    chat.types("no");
    chat.line();
    nothing_left(&line.end());
    chat.finish();
    stage.is_stopped(BOB.bundle(), &others.second, "never verified");
}

/// The change is seen by another process while the chat has no connection: what waits does not go out after it.
#[test]
fn what_waits_for_the_connection_is_stopped_when_the_key_changes_meanwhile() {
    let (stage, others) = (Stage::new(), Others::new());
    let (mut line, mut chat) = stage.chat();
    chat.types("@bob one");
    line.answer_lookup(BOB.bundle());
    line.take_message();
    assert!(chat.line().ends_with("[delivered]"));
    line.close();
    assert!(chat.line().starts_with("HH:MM   connection lost"));
    chat.types("@bob two");
    assert_eq!(chat.line(), format!("{:<57}[waiting]", "HH:MM alice > bob  two"));
    let errand = stage.home.start(&["send", "bob", "three"]);
    let mut line = stage.liar.next(Mode::Errand);
    line.log_in();
    line.answer_lookup(others.second.bundle());
    nothing_left(&line.drain());
    refused(&errand.finish(), 4, &alarm(&others.second, "never verified"));
    // Also what is typed from now on, for which the old key is still at hand.
    chat.types("@bob four");
    let mut told = chat.line();
    while told.starts_with("HH:MM   no connection") || told.starts_with("HH:MM   connection lost") {
        told = chat.line();
    }
    assert_eq!(told, alarm_lines(&others.second, "/")[0]);
    lines(&chat, &alarm_lines(&others.second, "/")[1..]);
    assert_eq!(chat.line(), "HH:MM   Nothing was sent.");
    let mut line = stage.liar.next(Mode::Receiving);
    line.log_in();
    let mut told = chat.line();
    while !told.contains("stopped") {
        told = chat.line();
    }
    assert!(told.starts_with("HH:MM   #") && told.ends_with(" to bob: stopped: bob's key has changed"), "{told}");
    nothing_left(&line.end());
    chat.finish();
}

/// Two processes get different keys of Bob at the same time: at most the one that was first pinned is used.
#[test]
fn of_two_processes_that_see_different_keys_only_the_pinned_one_is_used() {
    let (stage, others) = (Stage::new(), Others::new());
    let clients = [(); 2].map(|()| stage.home.start(&["send", "bob", "secret"]));
    let mut both = [(); 2].map(|()| stage.liar.member());
    let persons = [&others.second, &others.third];
    for (line, person) in both.iter_mut().zip(persons) {
        line.answer_lookup(person.bundle());
    }
    both.into_iter().for_each(|line| nothing_left(&line.drain()));
    clients.into_iter().for_each(|client| assert_eq!(client.finish().code, Some(4)));
    let (sent, finished) = stage.errand(&["send", "bob", "secret"], |line| line.answer_lookup(BOB.bundle()));
    nothing_left(&sent);
    assert_eq!(finished.code, Some(4));
}

#[test]
fn new_keys_signed_by_the_old_ones_are_told_calmly() {
    let (stage, others) = (Stage::new(), Others::new());
    let new = &others.second;
    let (_, finished) = stage.errand(&["send", "bob", "hi"], |line| {
        let ToServer::Lookup { request, .. } = line.take() else { panic!("no Lookup") };
        line.send(&found(request, new, vec![link(&BOB, new)]));
        assert_eq!(new.open(&line.take_message()), "hi");
    });
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let now = new.identity.public().fingerprint().grouped();
    assert!(finished.stderr.ends_with(&format!(
        "   bob has new keys, signed by the old ones: all goes on as before. To compare them:  topchat verify bob\n          now {now}\n"
    )));
    // A message under the old key was still under way; one under a third key, without a handover, is a change.
    let (mut line, mut listening) = stage.listen();
    line.deliver(BOB.seal_to(&ALICE, "under way", 1).encode());
    assert!(listening.line().contains("[signed, former key"));
    line.deliver(others.third.seal_to(&ALICE, "not me", 2).encode());
    gives_key(&mut line, &others.third);
    told(&mut listening, &["BOB'S KEY HAS CHANGED.  was ".to_owned() + &now]);
    nothing_left(&line.end());
    listening.finish();
    let contacts = stage.home.run(&["contacts"]).stdout;
    assert!(contacts.starts_with(&format!("{:<32} CHANGED  {now}", "bob")), "{contacts}");
}

#[test]
fn a_message_under_a_handed_over_key_is_shown_with_a_calm_note() {
    let (stage, others) = (Stage::new(), Others::new());
    let new = &others.second;
    let (mut line, mut chat) = stage.chat();
    line.deliver(new.seal_to(&ALICE, "new keys", 1).encode());
    loop {
        if let ToServer::Lookup { request, fingerprint, .. } = line.take() {
            assert_eq!(fingerprint, Some(new.identity.public().fingerprint()));
            line.send(&found(request, new, vec![link(&BOB, new)]));
            break;
        }
    }
    let now = new.identity.public().fingerprint().grouped();
    let calm = "HH:MM   bob has new keys, signed by the old ones: all goes on as before. To compare them:  /verify bob";
    assert_eq!(chat.line(), calm);
    assert_eq!(chat.line(), format!("          now {now}"));
    assert!(chat.line().contains("bob   > you  new keys"));
    chat.types("/fingerprint bob");
    assert_eq!(chat.line(), format!("HH:MM   bob  {now}"));
    nothing_left(&line.end());
    chat.finish();
}

#[test]
fn an_older_bundle_and_a_number_used_twice_are_refused() {
    let stage = Stage::new();
    let numbered = |number, encryption: &Person| BOB.bundle_with(encryption.encryption.public(), number).encode();
    let (_, finished) = stage.errand(&["send", "bob", "hi"], |line| {
        line.answer_lookup(numbered(5, &CAROL));
        assert_eq!(CAROL.open(&line.take_message()), "hi");
    });
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    for (gives, stderr) in [
        (
            numbered(4, &BOB),
            "error: the server gave old keys of bob: bundle 4, but 5 was seen before. Nothing was sent.\n\
             hint: the server may have lost its newest data, or it lies; ask its owner, and tell the contact\n",
        ),
        (
            numbered(5, &BOB),
            "error: the server gave other keys of bob under the number 5 of those seen before. Nothing was sent.\n\
             hint: don't trust this server with that contact; ask its owner\n",
        ),
    ] {
        let (sent, finished) = stage.errand(&["send", "bob", "secret"], |line| line.answer_lookup(gives));
        nothing_left(&sent);
        refused(&finished, 4, stderr);
    }
}

/// Once a contact was seen to ask for modern messages, no bundle that a server can show without the contact gets a classic one.
#[test]
fn a_server_that_strips_the_wish_for_modern_gets_no_classic_message() {
    let stage = Stage::new();
    let modern = || BOB.bundle_asking(Prefers::Modern, 5).encode();
    let sends_modern = |line: &mut Line| {
        line.answer_lookup(modern());
        let envelope = line.take_message();
        assert_eq!((envelope.header.suite, BOB.open(&envelope).as_str()), (Suite::DirectModern, "hi"));
    };
    let (_, finished) = stage.errand(&["send", "bob", "hi"], sends_modern);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let mut without_second = BOB.bundle_asking(Prefers::Classic, 6);
    without_second.possession = [0; 64];
    let mut with_anothers = BOB.bundle_asking(Prefers::Classic, 6);
    with_anothers.ed25519 = CAROL.ed25519.public().to_der().to_vec();
    with_anothers.possession = CAROL.ed25519.sign(&signed::bundle(&with_anothers)).unwrap();
    for gives in
        [BOB.bundle_asking(Prefers::Classic, 4), BOB.bundle_asking(Prefers::Classic, 5), without_second, with_anothers]
    {
        let (sent, finished) = stage.errand(&["send", "bob", "secret"], |line| line.answer_lookup(gives.encode()));
        nothing_left(&sent);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(4), ""), "{}", finished.stderr);
    }
    let (_, finished) = stage.errand(&["send", "bob", "hi"], sends_modern);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
}

#[test]
fn where_no_new_key_is_taken_nothing_is_sent_and_messages_wait() {
    let liar = Liar::start();
    let stage = Stage { home: Home::with_keys(liar.address(), &ALICE), liar };
    let now = BOB.identity.public().fingerprint();
    let never = ["--accept-new-keys", "never"];
    for (words, sent_nothing) in
        [(["send", "bob", "hi"].as_slice(), " Nothing was sent."), (&["fingerprint", "bob"], "")]
    {
        let words = [words, &never].concat();
        let (sent, finished) = stage.errand(&words, |line| line.answer_lookup(BOB.bundle()));
        nothing_left(&sent);
        let stderr = format!(
            "error: no key of bob is pinned, and --accept-new-keys never takes none by itself.{sent_nothing}\n  \
             the server gives {}\nhint: compare it with bob by voice, then: topchat trust bob {}\n",
            now.grouped(),
            now.to_hex()
        );
        refused(&finished, 4, &stderr);
    }
    let (mut line, mut listening) = std::thread::scope(|scope| {
        let listening = scope.spawn(|| stage.home.listen(&never));
        (stage.liar.member(), listening.join().unwrap())
    });
    line.deliver(BOB.seal_to(&ALICE, "let me in", 1).encode());
    told(&mut listening, &["1 message is held under a key of bob that is not pinned (--accept-new-keys never)".into()]);
    told(&mut listening, &[now.grouped(), format!("topchat trust bob {}", now.to_hex())]);
    let words = ["trust", "bob", &now.to_hex()];
    let (_, finished) = stage.errand(&words, |line| line.answer_lookup(BOB.bundle()));
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(listening.line().contains("bob   > you  let me in"));
    nothing_left(&line.end());
    listening.finish();
}

/// Row 9 of the table: a rogue server at the same address.
#[test]
fn a_changed_server_gets_not_one_byte_of_a_login() {
    let mut stage = Stage::new();
    let was = stage.liar.identity();
    stage.liar.change_identity();
    let now = stage.liar.identity();
    let address = stage.liar.address();
    let bobs = BOB.identity.public().fingerprint().to_hex();
    for words in
        [&["send", "bob", "secret"][..], &["users"], &["listen"], &["trust", "bob", &bobs], &["register", "alice"]]
    {
        let client = stage.home.start(words);
        assert_eq!(stage.liar.bytes_of_the_next(), b"", "{words:?}");
        let stderr = format!(
            "error: THE SERVER'S IDENTITY HAS CHANGED ({address}). Nothing was sent.\n  was {was}\n  now {now}\n\
             hint: someone may stand between you and the server. If its owner confirms the new identity: \
             topchat users --server {address} --server-fingerprint {now}\n"
        );
        refused(&client.finish(), 4, &stderr);
    }
    let accept = ["users", "--server", &address.to_string(), "--server-fingerprint", &now.to_string()];
    let (_, finished) = stage.errand(&accept, answer_with_nobody);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    let (_, finished) = stage.errand(&["users"], answer_with_nobody);
    assert_eq!((finished.code, without_contact(&finished.stderr)), (Some(0), ""));
}

fn answer_with_nobody(line: &mut Line) {
    let ToServer::List { request, .. } = line.take() else { panic!("no List") };
    line.send(&ToClient::Page { request, more: false, entries: Vec::new() });
}
