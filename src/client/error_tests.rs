use super::*;
use crate::client::event::KeyChange;
use crate::error::describe;
use crate::wire::Fingerprint;

#[test]
fn an_unknown_user_is_told_with_the_nearest_name() {
    let error = Error::NoSuchUser { name: "carl".parse().unwrap(), nearest: Some("carol".parse().unwrap()) };
    assert_eq!(error.to_string(), "no user \"carl\" here. Did you mean carol? Nothing was sent.");
    assert_eq!(error.exit(), Exit::Undelivered);
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
    let told = describe(&error);
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
