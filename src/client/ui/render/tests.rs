use super::*;
use crate::client::message_tests::{self, header};
use crate::client::model::event::{DAY_MS, KeyChange, Mark};
use crate::client::model::invocation::Setting;
use crate::wire::{Fingerprint, Header, MessageId};

/// 2023-11-14 12:04 UTC.
const NOON: i64 = 1_699_963_440_000;

fn plain(text: &str) -> Shown {
    Shown { text: text.to_owned(), commands: Vec::new() }
}

fn page() -> Page {
    Page { zone: TimeZone::UTC, colour: false, width: None, invocation: Invocation::default().in_chat(), named: None }
}

fn opened(text: &str) -> Opened {
    let (sender, recipient) = ("bob".parse().unwrap(), "alice".parse().unwrap());
    message_tests::opened(Header { sender, recipient, sent_ms: NOON as u64, ..header(1) }, text)
}

#[test]
fn a_message_is_one_line_with_its_mark() {
    let mut message = opened("yes, one o'clock");
    message.signed_by.mark = Mark::New;
    assert_eq!(
        page().message(&message, NOON),
        "12:04 bob   > you  yes, one o'clock                      [signed, new key]"
    );
    message.signed_by.mark = Mark::Known;
    assert!(page().message(&message, NOON).ends_with(" [signed, known key]"));
}

#[test]
fn every_line_of_a_text_is_marked_as_part_of_it() {
    let shown = page().message(&opened("one\n12:05 alice > ALL  I quit   [signed]\r\nthree"), NOON);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines[0].starts_with("12:04 bob   > you  one"));
    assert_eq!(lines[1], "               | 12:05 alice > ALL  I quit   [signed]");
    assert_eq!(lines[2], "               | three");
}

#[test]
fn a_long_text_is_never_wrapped_by_the_terminal() {
    let page = Page { width: Some(60), ..page() };
    for text in ["word ".repeat(80), "x".repeat(400), "\u{65e5}".repeat(200)] {
        let shown = page.message(&opened(&text), NOON);
        for line in shown.lines() {
            assert!(columns(line) <= 60, "{line}");
        }
        for line in shown.lines().skip(1) {
            assert!(line.starts_with(CONTINUED), "{line}");
        }
    }
}

#[test]
fn marks_stand_where_they_stand_also_behind_signs_above_ascii() {
    let place = |text: &str| columns(page().message(&opened(text), NOON).split("[signed").next().unwrap());
    for text in ["tea", "\u{20ac} 5 \u{2192} \u{2713}", "cafe\u{301}", "\u{65e5}\u{672c}\u{8a9e}", "\u{1f600}"] {
        assert_eq!(place(text), MARK_COLUMN, "{text}");
    }
    assert_eq!(
        [columns("\u{20ac}"), columns("e\u{301}"), columns("\u{65e5}"), columns("\u{2764}\u{fe0f}")],
        [1, 1, 2, 2]
    );
}

#[test]
fn what_is_compared_is_broken_between_its_groups_only() {
    let key = Fingerprint([0xab; 32]).grouped();
    for width in [30, 40, 60, 80, 100] {
        for line in [format!("your fingerprint    {key}"), format!("12:04 !! BOB'S KEY HAS CHANGED.  was {key}")] {
            let shown = fitted(&plain(&line), Some(width));
            assert!(shown.lines().all(|line| columns(line) <= width), "{width}: {shown}");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(words(&shown), words(&line));
        }
    }
    assert_eq!(
        fitted(&plain("your fingerprint    abab abab abab"), Some(30)),
        "your fingerprint    abab abab\n        abab"
    );
    assert_eq!(fitted(&plain("bob  abab abab abab"), Some(16)), "bob  abab abab\n     abab");
    let long = "f".repeat(25);
    let below = format!("to a here   seen\n        {long}");
    assert_eq!(
        fitted(&plain(&format!("to a here   seen {long}")), Some(36)),
        below,
        "a word that has no room below what it belongs to"
    );
    assert_eq!(fitted(&plain("    list:\n  x"), Some(16)), "    list:\n  x");
    assert_eq!(fitted(&plain(&"x".repeat(50)), Some(16)), "x".repeat(50));
}

#[test]
fn control_and_bidi_characters_never_get_through() {
    let shown = page().message(&opened("a\u{1b}[2J\u{202e}b\rc"), NOON);
    assert!(shown.contains("a^[[2J<U+202E>b^Mc"), "{shown}");
}

#[test]
fn another_day_and_another_clock_are_said() {
    let mut message = opened("hi");
    message.envelope.header.sent_ms = (NOON - DAY_MS) as u64;
    let shown = page().message(&message, NOON);
    assert!(shown.starts_with("2023-11-13 12:04 bob"), "{shown}");
    assert!(shown.ends_with("[signed, known key, sender's clock differs]"), "{shown}");
    for sent in [0, u64::MAX] {
        message.envelope.header.sent_ms = sent;
        assert!(page().message(&message, NOON).contains("bob"));
    }
}

#[test]
fn notices_are_set_off_and_name_what_they_are_about() {
    let (from, id): (UserName, _) = ("bob".parse().unwrap(), MessageId([0xc0; 16]));
    assert_eq!(
        page().notice(&Notice::Rejected { from: from.clone(), id }, NOON),
        "12:04 !! REJECTED a message marked from bob (#c0c0): the signature does not match bob's key. It was not shown."
    );
    assert_eq!(
        page().notice(&Notice::Copy { from: from.clone(), id, first_ms: NOON - 60_000 }, NOON),
        "12:04 !! ignored a copy of bob's message #c0c0 (already received 12:03)"
    );
    let (pinned, now) = (Fingerprint([0x90; 32]), Fingerprint([0x77; 32]));
    let changed = Notice::KeyChanged(KeyChange {
        name: from,
        pinned,
        now,
        since_ms: NOON,
        verified_ms: None,
        verified_before_ms: None,
    });
    let shown = page().notice(&changed, NOON);
    assert!(shown.lines().all(|line| line.starts_with("12:04 !! ")), "{shown}");
    assert!(shown.contains("BOB'S KEY HAS CHANGED.  was 9090 9090"), "{shown}");
    assert!(shown.contains("The old one was pinned 2023-11-14, never verified."), "{shown}");
    assert!(shown.ends_with("/verify bob       or go on unverified:  /trust bob"), "{shown}");
}

#[test]
fn held_messages_are_counted_with_the_way_on() {
    let from: UserName = "bob".parse().unwrap();
    let held = |count, lost| page().notice(&Notice::Held { from: from.clone(), count, lost }, NOON);
    assert_eq!(
        held(1, 0),
        "12:04 !! 1 message is held under another key of bob: shown after  /verify bob  or  /trust bob"
    );
    assert!(held(256, 4).contains("256 messages are held (and 4 dropped: no room for more) under"));
    let outside = Page { invocation: Invocation::default(), ..page() };
    let now = Fingerprint([0x77; 32]);
    let shown = outside.notice(&Notice::HeldUnpinned { from: from.clone(), now, count: 2, lost: 0 }, NOON);
    assert!(shown.contains("2 messages are held under a key of bob that is not pinned"), "{shown}");
    assert!(shown.contains("topchat trust bob 7777"), "{shown}");
}

#[test]
fn a_missing_key_is_told_with_a_count_and_what_to_do() {
    let from: UserName = "bob".parse().unwrap();
    let other = |ours: Option<&str>, count, lost| {
        let (theirs, ours) = ("91cc".into(), ours.map(str::to_owned));
        page().notice(&Notice::OtherGroupKey { from: from.clone(), theirs, ours, count, lost }, NOON)
    };
    assert_eq!(
        other(Some("3f2a"), 1, 0),
        "12:04 !! a message to ALL from bob uses group key 91cc; yours is 3f2a. Ask bob for the new key file."
    );
    assert_eq!(
        other(None, 3, 2),
        "12:04 !! 3 messages to ALL from bob use group key 91cc; you have none. Ask bob for the key file. \
         2 more dropped: no room."
    );
    let key = Fingerprint([0x91; 32]);
    assert_eq!(
        page().notice(&Notice::OwnKeyMissing { from, key, count: 2, lost: 0 }, NOON),
        "12:04 !! 2 messages from bob are sealed for a key (9191) that is not on this machine. They wait here: if another \
         machine of yours has it, topchat keys export there, topchat keys import FILE here, then start again."
    );
    let (why, writes) = ("the group key file group.key: no such file".to_owned(), Some("3f2a".to_owned()));
    assert_eq!(
        page().notice(&Notice::GroupKeyBad { why, writes }, NOON),
        "12:04 !! the group key file group.key: no such file. The keys read before stay in use: 3f2a writes."
    );
    assert_eq!(
        page().notice(&Notice::GroupKeyRead { writes: "91cc".into() }, NOON),
        "12:04   the group key file was read again: key 91cc writes"
    );
}

#[test]
fn new_keys_that_the_old_ones_signed_are_no_alarm() {
    let shown = page().notice(&Notice::NewKeys { name: "bob".parse().unwrap(), now: Fingerprint([0x77; 32]) }, NOON);
    assert!(
        shown.starts_with(
            "12:04   bob has new keys, signed by the old ones: all goes on as before. To compare them:  /verify bob\n          now 7777 7777"
        ),
        "{shown}"
    );
}

#[test]
fn a_message_under_a_key_that_was_given_up_long_ago_is_told_by_its_number() {
    let notice = Notice::GivenUp { from: "bob".parse().unwrap(), id: MessageId([0x8f; 16]) };
    assert_eq!(
        page().notice(&notice, NOON),
        "12:04 !! a message marked from bob (#8f8f) is under a key that bob gave up long ago. It was not shown."
    );
}

#[test]
fn without_colour_no_escape_is_written_and_with_it_the_words_stay() {
    let notice = Notice::Malformed;
    let plain = page().notice(&notice, NOON);
    assert!(!plain.contains('\u{1b}'));
    let coloured = Page { colour: true, ..page() }.notice(&notice, NOON);
    assert!(coloured.contains('\u{1b}') && coloured.contains(&plain));
}

#[test]
fn ones_own_name_is_set_off_as_a_whole_word_and_in_colour_only() {
    for (text, expected) in [
        ("alice, look", &["alice"][..]),
        ("Alice and ALICE", &["Alice", "ALICE"]),
        ("malice, alice2, alice-b, \u{e9}alice", &[]),
        ("(alice)", &["alice"]),
    ] {
        let found: Vec<_> = named(text, "alice").into_iter().map(|place| &text[place]).collect();
        assert_eq!(found, expected, "{text}");
    }
    let page = Page { colour: true, named: Some("alice".parse().unwrap()), ..page() };
    let shown = page.emphasised("hi alice!");
    assert_eq!(shown, "hi \u{1b}[1m\u{1b}[35malice\u{1b}[0m!");
    assert_eq!(Page { colour: false, ..page }.emphasised("hi alice!"), "hi alice!");
}

#[test]
fn no_line_is_broken_within_a_command() {
    let long = |flag, value: &str| Setting { flag, value: value.to_owned() };
    let settings = vec![long("--server", "chat.example:7777"), long("--keys-dir", "my own keys")];
    let typed = "topchat --server chat.example:7777 --keys-dir 'my own keys'";
    let hint = Hint::from("a few words before it, then  ")
        .topchat(&["verify", "bob"])
        .then("       or go on unverified:  ")
        .topchat(&["trust", "bob"])
        .then("\n          (shown again by: ")
        .topchat(&["fingerprint"])
        .then("), and a few words behind it that go on for longer than the narrowest of the terminals is wide");
    for width in 40..=200 {
        let invocation = Invocation::new(None, settings.clone());
        let shown = Page { width: Some(width), invocation, ..page() }.remark(hint.clone(), NOON);
        for command in ["verify bob", "trust bob", "fingerprint"] {
            assert!(shown.contains(&format!("{typed} {command}")), "{width}: {shown}");
        }
        let too_wide = shown.lines().filter(|line| columns(line) > width && !line.contains(typed));
        assert_eq!(too_wide.collect::<Vec<_>>(), [""; 0], "{width}");
    }
}
