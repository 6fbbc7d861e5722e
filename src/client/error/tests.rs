use super::*;
use crate::client::model::event::KeyChange;
use crate::client::model::refusal::Asked;
use crate::error::describe;
use crate::wire::to_client::Reason;
use crate::wire::{Code, Fingerprint};

#[test]
fn an_unknown_user_is_told_with_the_nearest_name() {
    let error = Error::NoSuchUser { name: "carl".parse().unwrap(), nearest: Some("carol".parse().unwrap()) };
    assert_eq!(error.to_string(), "no user \"carl\" here. Did you mean carol?");
    assert_eq!(error.exit(), Exit::Undelivered);
    let (hint, not_sent) = (error.hint(), error.not_sent());
    assert_eq!(not_sent.to_string(), "no user \"carl\" here. Did you mean carol? Nothing was sent.");
    assert_eq!((not_sent.exit(), not_sent.hint()), (Exit::Undelivered, hint));
}

#[test]
fn a_changed_key_is_told_with_both_fingerprints_and_the_way_on() {
    let (pinned, now) = (Fingerprint([0x90; 32]), Fingerprint([0x77; 32]));
    let change = KeyChange {
        name: "bob".parse().unwrap(),
        pinned,
        now,
        since_ms: 0,
        verified_ms: Some(86_400_000),
        verified_before_ms: None,
    };
    let error = Error::Trust(TrustError::KeyChanged(Box::new(change)));
    assert!(error.to_string().starts_with("BOB'S KEY HAS CHANGED.\n  was "));
    let error = error.not_sent();
    let told = describe(&error.to_string(), Some(&error.hint().unwrap().to_string()));
    assert!(told.starts_with("error: BOB'S KEY HAS CHANGED. Nothing was sent."), "{told}");
    assert!(told.contains(&pinned.grouped()) && told.contains(&now.grouped()), "{told}");
    assert!(told.contains("the old one was pinned 1970-01-01, verified 1970-01-02"), "{told}");
    assert!(told.contains("topchat verify bob") && told.contains("topchat trust bob"), "{told}");
    assert_eq!(error.exit(), Exit::Identity);
}

#[test]
fn what_was_typed_is_shown_safely() {
    let error = Error::Name { text: "a\u{1b}[2J".into(), why: NameError::Character { found: '\u{1b}' } };
    assert_eq!(error.to_string(), "\"a^[[2J\" can't be a name: a name can't contain ^[");
    assert_eq!(error.exit(), Exit::Usage);
}

/// Those that only a broken disk, a crowd, or a server of another sort can cause.
#[test]
fn what_hardly_ever_happens_has_a_hint_as_well() {
    let bob: UserName = "bob".parse().unwrap();
    let key = Fingerprint([0x77; 32]);
    let refused = |code| Refusal { asked: Asked::Session, reason: Reason::new(code) };
    for (error, hint) in [
        (
            Error::Away { name: bob.clone() },
            "nothing is stored; send it again when they are here (topchat users --online)",
        ),
        (Error::BacklogFull { count: 2001 }, "read them: topchat listen --timeout 5"),
        (Error::NoHome { what: "keys" }, "set HOME, or give --keys-dir and --state-dir"),
        (Error::OutboxFull { count: 1000 }, "wait until the connection is back"),
        (
            Error::Unconfirmed { id: MessageId([1; 16]), to: bob.clone() },
            "it may have arrived or not; ask, or send it again",
        ),
        (
            Error::Server(ServerError::Offline),
            "wait until it is back; texts to ALL, and to those you wrote to in this run, are kept",
        ),
        (
            Error::Server(ServerError::TimedOut { address: "a:1".into(), secs: 10 }),
            "try again, or wait longer with --timeout SECONDS",
        ),
        (
            Error::Trust(TrustError::Gone { name: bob, told: key, now: key }),
            "compare it by voice, with: topchat verify bob    or name the key: topchat trust bob FINGERPRINT",
        ),
        (
            Error::Trust(TrustError::ContactsFull { path: "contacts.json".into() }),
            "take out those whom you don't know: topchat contacts, topchat forget NAME",
        ),
        (
            Error::Refused(refused(Code::Storage)),
            "ask the server's owner (disk full?); it may have been done all the same",
        ),
        (Error::Refused(refused(Code::TooSlow)), "connect again: messages that came meanwhile wait for you"),
    ] {
        assert_eq!(error.hint().map(|hint| hint.to_string()).as_deref(), Some(hint), "{error}");
    }
}
