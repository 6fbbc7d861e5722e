//! Machine-readable output: one JSON object per line, each with `"v":1`. Field names never change their meaning.

use serde::Serialize;

pub(crate) use crate::client::model::event::time;
use crate::client::model::event::{Notice, Opened};
use crate::client::model::pin::Pin;
use crate::names::UserName;
use crate::text::visible_char;
use crate::wire::Fingerprint;
use crate::wire::to_client::Entry;

/// One object as one line, without its line end.
///
/// Characters that could harm a terminal are written as `\u` escapes, which JSON reads back as themselves.
pub(crate) fn line(object: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Versioned<'a, T: Serialize> {
        v: u32,
        #[serde(flatten)]
        object: &'a T,
    }
    escaped(&serde_json::to_string(&Versioned { v: 1, object }).expect("these objects have text keys only"))
}

/// JSON that does no harm to a terminal, and means the same.
pub(crate) fn escaped(json: &str) -> String {
    json.chars().fold(String::with_capacity(json.len()), |mut safe, c| {
        match visible_char(c).chars().eq([c]) {
            true => safe.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}"))),
        }
        safe
    })
}

/// A received message.
pub(crate) fn message(opened: &Opened) -> String {
    #[derive(Serialize)]
    struct Message<'a> {
        r#type: &'static str,
        id: String,
        from: &'a str,
        to: &'a str,
        time: String,
        text: &'a str,
        signature: &'static str,
        key: &'static str,
        suite: &'static str,
        backlog: bool,
        /// By a weaker suite than its sender, or the group, asks for.
        #[serde(skip_serializing_if = "is_false")]
        weaker: bool,
        /// It may have been printed before.
        #[serde(skip_serializing_if = "is_false")]
        repeated: bool,
    }
    let header = &opened.envelope.header;
    line(&Message {
        r#type: "message",
        id: header.msg_id.to_hex(),
        from: header.sender.as_str(),
        to: header.recipient.as_str(),
        time: time(i64::try_from(header.sent_ms).unwrap_or(i64::MAX)),
        text: &opened.text,
        signature: "ok",
        key: opened.signed_by.mark.word(),
        suite: header.suite.word(),
        backlog: opened.backlog,
        weaker: opened.is_weaker,
        repeated: opened.is_repeated,
    })
}

/// Anything else that came.
pub(crate) fn notice(notice: &Notice) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        #[serde(flatten)]
        notice: &'a Notice,
    }
    line(&Line { r#type: "notice", notice })
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A fingerprint, and the safety number if there is one.
pub(crate) fn fingerprint(
    kind: &'static str,
    name: &UserName,
    fingerprint: Fingerprint,
    safety: Option<&str>,
) -> String {
    #[derive(Serialize)]
    struct Shown<'a> {
        r#type: &'static str,
        name: &'a str,
        fingerprint: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        safety: Option<&'a str>,
    }
    line(&Shown { r#type: kind, name: name.as_str(), fingerprint: fingerprint.to_hex(), safety })
}

/// An account.
pub(crate) fn user(entry: &Entry) -> String {
    #[derive(Serialize)]
    struct User<'a> {
        r#type: &'static str,
        name: &'a str,
        online: bool,
    }
    line(&User { r#type: "user", name: entry.name.as_str(), online: entry.online })
}

/// A contact.
pub(crate) fn contact(name: &UserName, pin: &Pin) -> String {
    #[derive(Serialize)]
    struct Listed<'a> {
        r#type: &'static str,
        name: &'a str,
        key: &'static str,
        fingerprint: String,
        first_seen: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        verified: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        changed: Option<String>,
        prefers: &'static str,
        /// By what goes to it at least: the memory of its name may ask for more than it does.
        suite: &'static str,
    }
    line(&Listed {
        r#type: "contact",
        name: name.as_str(),
        key: if pin.changed.is_some() { "changed" } else { pin.mark.word() },
        fingerprint: pin.key.fingerprint().to_hex(),
        first_seen: time(pin.since_ms),
        verified: pin.verified_ms.map(time),
        changed: pin.changed.map(Fingerprint::to_hex),
        prefers: pin.prefers.word(),
        suite: pin.least_known().word(),
    })
}

#[cfg(test)]
mod tests {

    use zeroize::Zeroizing;

    use super::*;
    use crate::client::model::event::{DAY_MS, KeyChange, Mark};
    use crate::wire::{Envelope, Fingerprint, Header, MessageId, Suite};

    #[test]
    fn a_message_is_one_object_whose_text_reads_back() {
        let header = Header {
            suite: Suite::Direct,
            sender: "bob".parse().unwrap(),
            sender_fp: Fingerprint([1; 32]),
            sender_bundle: 1,
            recipient: "alice".parse().unwrap(),
            recipient_fp: Fingerprint([2; 32]),
            msg_id: MessageId([0x8f; 16]),
            seq: 1,
            prev: 0,
            sent_ms: 1_795_435_451_999,
        };
        let text = "yes\n\u{1b}[2J\u{9b}\u{202e}\u{e0041}\u{7f} \u{17c}\u{f3}\u{142}\u{107}";
        let opened = Opened {
            envelope: Envelope {
                header_bytes: Vec::new(),
                header,
                commitment: [0; 32],
                ciphertext: Vec::new(),
                signature: Vec::new(),
            },
            signed_by: crate::client::message_tests::signed_by(Mark::New),
            text: Zeroizing::new(text.to_owned()),
            backlog: false,
            received_ms: 1_795_435_452_000,
            is_weaker: false,
            is_late: false,
            is_repeated: false,
        };
        let line = message(&opened);
        assert!(line.starts_with(r#"{"v":1,"type":"message","id":"8f8f"#), "{line}");
        assert!(line.contains(r#""time":"2026-11-23T12:04:11Z""#), "{line}");
        assert_eq!(crate::text::visible(&line), line, "every character is safe");
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(back["text"], text);
        assert_eq!((&back["signature"], &back["key"], &back["backlog"]), (&"ok".into(), &"new".into(), &false.into()));
    }

    #[test]
    fn every_notice_has_its_fields_in_their_order() {
        use Notice::*;
        let from: UserName = "bob".parse().unwrap();
        let (id, key, count, lost) = (MessageId([0xc0; 16]), Fingerprint([0x91; 32]), 2, 3);
        let (about, hex) = (format!(r#","from":"bob","id":"{}""#, "c0".repeat(16)), "91".repeat(32));
        let waiting = r#","from":"bob","count":2"#;
        let change = KeyChange {
            name: from.clone(),
            pinned: key,
            now: key,
            since_ms: 0,
            verified_ms: Some(DAY_MS),
            verified_before_ms: None,
        };
        let before = KeyChange { verified_ms: None, verified_before_ms: Some(i64::MIN), ..change.clone() };
        let changed = format!(r#","from":"bob","pinned":"{hex}","now":"{hex}","since":"1970-01-01T00:00:00Z""#);
        let (ours, theirs, why) = (|| Some("3c4d".to_owned()), "1a2b".to_owned(), "it's \u{1b}".to_owned());
        let to = crate::names::Recipient::All;
        let copy = Copy { from: from.clone(), id, first_ms: 1_795_435_451_999 };
        let held_unpinned = HeldUnpinned { from: from.clone(), now: key, count, lost };
        let other = |ours| OtherGroupKey { from: from.clone(), theirs: theirs.clone(), ours, count, lost };
        let own_key = OwnKeyMissing { from: from.clone(), key, count, lost };
        for (told, kind, fields) in [
            (copy, "copy", format!(r#"{about},"first":"2026-11-23T12:04:11Z""#)),
            (HeldBack { from: Some(from.clone()) }, "held-back", r#","from":"bob""#.to_owned()),
            (HeldBack { from: None }, "held-back", String::new()),
            (GivenUp { from: from.clone(), id }, "given-up", about.clone()),
            (Held { from: from.clone(), count, lost }, "held", format!(r#"{waiting},"lost":3"#)),
            (held_unpinned, "held-unpinned", format!(r#"{waiting},"now":"{hex}","lost":3"#)),
            (KeyChanged(change), "key-changed", format!(r#"{changed},"verified":"1970-01-02T00:00:00Z""#)),
            (KeyChanged(before), "key-changed", format!(r#"{changed},"verified_before":"-9999-01-04T01:59:59Z""#)),
            (KeyNotGiven { from: from.clone(), count }, "key-not-given", waiting.to_owned()),
            (Malformed, "malformed", String::new()),
            (Missing { from: from.clone(), to }, "missing", r#","from":"bob","to":"ALL""#.to_owned()),
            (NoAccount { from: from.clone(), id }, "no-account", about.clone()),
            (NoRoom { from: from.clone(), id }, "no-room", about.clone()),
            (NotForMe { from: from.clone(), id }, "not-for-me", about.clone()),
            (NotOpened { from: from.clone(), id }, "not-opened", about.clone()),
            (NewKeys { name: from.clone(), now: key }, "new-keys", format!(r#","from":"bob","now":"{hex}""#)),
            (NotChosen { from: from.clone(), id }, "not-chosen", about.clone()),
            (GroupKeyBad { why, writes: ours() }, "group-key-bad", r#","ours":"3c4d","why":"it's \u001b""#.to_owned()),
            (GroupKeyRead { writes: "3c4d".to_owned() }, "group-key-read", r#","ours":"3c4d""#.to_owned()),
            (own_key, "own-key-missing", format!(r#"{waiting},"key":"{hex}","lost":3"#)),
            (other(ours()), "other-group-key", format!(r#"{waiting},"theirs":"1a2b","ours":"3c4d","lost":3"#)),
            (other(None), "other-group-key", format!(r#"{waiting},"theirs":"1a2b","lost":3"#)),
            (Passed { count: 7 }, "passed-over", r#","count":7"#.to_owned()),
            (Rejected { from: from.clone(), id }, "rejected", about.clone()),
            (Reused { from: from.clone(), id }, "id-reused", about.clone()),
            (UnknownSender { from: from.clone(), id }, "unknown-sender", about.clone()),
        ] {
            assert_eq!(notice(&told), format!(r#"{{"v":1,"type":"notice","notice":"{kind}"{fields}}}"#));
        }
    }

    #[test]
    fn a_notice_tells_a_script_what_it_tells_a_person() {
        let bob: UserName = "bob".parse().unwrap();
        let read = |told: Notice| -> serde_json::Value { serde_json::from_str(&notice(&told)).unwrap() };
        let copy = read(Notice::Copy { from: bob.clone(), id: MessageId([0xc0; 16]), first_ms: 1_795_435_451_999 });
        assert_eq!((&copy["from"], &copy["first"]), (&"bob".into(), &"2026-11-23T12:04:11Z".into()));
        let missing = read(Notice::Missing { from: bob.clone(), to: crate::names::Recipient::All });
        assert_eq!((&missing["from"], &missing["to"]), (&"bob".into(), &"ALL".into()));
        let elsewhere = read(Notice::Elsewhere { from: bob.clone(), to: "alice".parse().unwrap() });
        assert_eq!((&elsewhere["notice"], &elsewhere["to"]), (&"elsewhere".into(), &"alice".into()));
        let (theirs, ours) = ("1a2b".to_owned(), Some("3c4d".to_owned()));
        let other = read(Notice::OtherGroupKey { from: bob.clone(), theirs, ours, count: 2, lost: 0 });
        assert_eq!((&other["theirs"], &other["ours"]), (&"1a2b".into(), &"3c4d".into()));
        assert_eq!((&other["from"], &other["count"], &other["lost"]), (&"bob".into(), &2.into(), &0.into()));
        let missing = read(Notice::OwnKeyMissing { from: bob, key: Fingerprint([0x91; 32]), count: 1, lost: 3 });
        assert_eq!((&missing["notice"], &missing["key"]), (&"own-key-missing".into(), &"91".repeat(32).into()));
    }
}
