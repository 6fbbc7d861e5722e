//! Machine-readable output: one JSON object per line, each with `"v":1`. Field names never change their meaning.

use serde::Serialize;

use super::render::timestamp;
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
        backlog: bool,
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
        key: opened.mark.word(),
        backlog: opened.backlog,
        repeated: opened.is_repeated,
    })
}

/// Anything else that came.
pub(crate) fn notice(notice: &Notice) -> String {
    let mut told = Told { r#type: "notice", notice: kind(notice), ..Told::default() };
    match notice {
        Notice::Copy { from, id, first_ms } => {
            (told.from, told.id, told.first) = (Some(from.as_str()), Some(id.to_hex()), Some(time(*first_ms)));
        }
        Notice::NoAccount { from, id }
        | Notice::NoRoom { from, id }
        | Notice::NotForMe { from, id }
        | Notice::GivenUp { from, id }
        | Notice::NotChosen { from, id }
        | Notice::NotOpened { from, id }
        | Notice::Rejected { from, id }
        | Notice::Reused { from, id }
        | Notice::UnknownSender { from, id } => (told.from, told.id) = (Some(from.as_str()), Some(id.to_hex())),
        Notice::Held { from, count, lost } => {
            (told.from, told.count, told.lost) = (Some(from.as_str()), Some(*count), Some(*lost));
        }
        Notice::HeldUnpinned { from, now, count, lost } => {
            (told.from, told.count, told.lost) = (Some(from.as_str()), Some(*count), Some(*lost));
            told.now = Some(now.to_hex());
        }
        Notice::KeyChanged(change) => {
            told.from = Some(change.name.as_str());
            (told.pinned, told.now) = (Some(change.pinned.to_hex()), Some(change.now.to_hex()));
            (told.since, told.verified) = (Some(time(change.since_ms)), change.verified_ms.map(time));
            told.verified_before = change.verified_before_ms.map(time);
        }
        Notice::NewKeys { name, now } => (told.from, told.now) = (Some(name.as_str()), Some(now.to_hex())),
        Notice::HeldBack { from } => told.from = from.as_ref().map(UserName::as_str),
        Notice::KeyNotGiven { from, count } => (told.from, told.count) = (Some(from.as_str()), Some(*count)),
        Notice::Missing { from, to } => (told.from, told.to) = (Some(from.as_str()), Some(to.as_str())),
        Notice::OtherGroupKey { from, theirs, ours, count, lost } => {
            (told.from, told.count, told.lost) = (Some(from.as_str()), Some(*count), Some(*lost));
            (told.theirs, told.ours) = (Some(theirs.as_str()), ours.as_deref());
        }
        Notice::OwnKeyMissing { from, key, count, lost } => {
            (told.from, told.count, told.lost) = (Some(from.as_str()), Some(*count), Some(*lost));
            told.key = Some(key.to_hex());
        }
        Notice::GroupKeyBad { why, writes } => (told.why, told.ours) = (Some(why.as_str()), writes.as_deref()),
        Notice::GroupKeyRead { writes } => told.ours = Some(writes.as_str()),
        Notice::Passed { count } => told.count = usize::try_from(*count).ok(),
        Notice::Malformed => {}
    }
    line(&told)
}

/// The fields that notices have; each notice has some of them.
#[derive(Default, Serialize)]
struct Told<'a> {
    r#type: &'static str,
    notice: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    theirs: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pinned: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified_before: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<usize>,
}

/// RFC 3339 in UTC, to the second.
pub(crate) fn time(ms: i64) -> String {
    timestamp(ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

fn kind(notice: &Notice) -> &'static str {
    match notice {
        Notice::Copy { .. } => "copy",
        Notice::GivenUp { .. } => "given-up",
        Notice::HeldBack { .. } => "held-back",
        Notice::Held { .. } => "held",
        Notice::HeldUnpinned { .. } => "held-unpinned",
        Notice::GroupKeyBad { .. } => "group-key-bad",
        Notice::GroupKeyRead { .. } => "group-key-read",
        Notice::KeyChanged(_) => "key-changed",
        Notice::NewKeys { .. } => "new-keys",
        Notice::NotChosen { .. } => "not-chosen",
        Notice::KeyNotGiven { .. } => "key-not-given",
        Notice::Malformed => "malformed",
        Notice::Missing { .. } => "missing",
        Notice::NoAccount { .. } => "no-account",
        Notice::NoRoom { .. } => "no-room",
        Notice::NotForMe { .. } => "not-for-me",
        Notice::NotOpened { .. } => "not-opened",
        Notice::OtherGroupKey { .. } => "other-group-key",
        Notice::OwnKeyMissing { .. } => "own-key-missing",
        Notice::Passed { .. } => "passed-over",
        Notice::Rejected { .. } => "rejected",
        Notice::Reused { .. } => "id-reused",
        Notice::UnknownSender { .. } => "unknown-sender",
    }
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
    }
    line(&Listed {
        r#type: "contact",
        name: name.as_str(),
        key: if pin.changed.is_some() { "changed" } else { pin.mark.word() },
        fingerprint: pin.key.fingerprint().to_hex(),
        first_seen: time(pin.since_ms),
        verified: pin.verified_ms.map(time),
        changed: pin.changed.map(Fingerprint::to_hex),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use zeroize::Zeroizing;

    use super::*;
    use crate::client::model::event::Mark;
    use crate::crypto::test_keys::ALICE;
    use crate::wire::{Envelope, Fingerprint, Header, MessageId, Suite};

    #[test]
    fn a_message_is_one_object_whose_text_reads_back() {
        let header = Header {
            suite: Suite::Direct,
            sender: "bob".parse().unwrap(),
            sender_fp: Fingerprint([1; 32]),
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
            sender: Arc::new(ALICE.public().clone()),
            mark: Mark::New,
            text: Zeroizing::new(text.to_owned()),
            backlog: false,
            received_ms: 1_795_435_452_000,
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
    fn a_notice_names_its_kind() {
        let line = notice(&Notice::Rejected { from: "bob".parse().unwrap(), id: MessageId([0xc0; 16]) });
        let back: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&back["v"], &back["type"], &back["notice"]), (&1.into(), &"notice".into(), &"rejected".into()));
    }

    #[test]
    fn a_notice_tells_a_script_what_it_tells_a_person() {
        let bob: UserName = "bob".parse().unwrap();
        let read = |told: Notice| -> serde_json::Value { serde_json::from_str(&notice(&told)).unwrap() };
        let copy = read(Notice::Copy { from: bob.clone(), id: MessageId([0xc0; 16]), first_ms: 1_795_435_451_999 });
        assert_eq!((&copy["from"], &copy["first"]), (&"bob".into(), &"2026-11-23T12:04:11Z".into()));
        let missing = read(Notice::Missing { from: bob.clone(), to: crate::names::Recipient::All });
        assert_eq!((&missing["from"], &missing["to"]), (&"bob".into(), &"ALL".into()));
        let (theirs, ours) = ("1a2b".to_owned(), Some("3c4d".to_owned()));
        let other = read(Notice::OtherGroupKey { from: bob.clone(), theirs, ours, count: 2, lost: 0 });
        assert_eq!((&other["theirs"], &other["ours"]), (&"1a2b".into(), &"3c4d".into()));
        assert_eq!((&other["from"], &other["count"], &other["lost"]), (&"bob".into(), &2.into(), &0.into()));
        let missing = read(Notice::OwnKeyMissing { from: bob, key: Fingerprint([0x91; 32]), count: 1, lost: 3 });
        assert_eq!((&missing["notice"], &missing["key"]), (&"own-key-missing".into(), &"91".repeat(32).into()));
    }
}
