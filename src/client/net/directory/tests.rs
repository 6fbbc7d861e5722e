use std::collections::BTreeMap;

use super::*;
use crate::client::model::pin::NewKeys;
use crate::client::net::request::refused;
use crate::crypto::keys::PrivateKey;
use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION};
use crate::limits::PAGE_NAMES;
use crate::wire::to_client::Reason;

/// A server in memory.
struct Fake {
    bundles: BTreeMap<UserName, Vec<u8>>,
}

impl Fake {
    fn with(names: &[(&str, &PrivateKey)]) -> Self {
        let bundle = |name: &UserName, key| bundle::make(name, key, BOB_ENCRYPTION.public(), 1).unwrap().encode();
        let bundles = names.iter().map(|(name, key)| {
            let name: UserName = name.parse().unwrap();
            (name.clone(), bundle(&name, key))
        });
        Self { bundles: bundles.collect() }
    }

    fn page(&self, request: u32, after: Option<&UserName>) -> ToClient {
        let mut names = self.bundles.keys().filter(|name| after.is_none_or(|after| *name > after));
        let entries: Vec<_> =
            names.by_ref().take(PAGE_NAMES).map(|name| Entry { name: name.clone(), online: false }).collect();
        ToClient::Page { request, more: names.next().is_some(), entries }
    }
}

impl Ask for Fake {
    fn ask(&mut self, question: &dyn Fn(u32) -> ToServer) -> Result<ToClient, Error> {
        refused(match question(7) {
            ToServer::Lookup { request, name, .. } => match self.bundles.get(&name) {
                Some(bundle) => ToClient::Found { request, bundle: bundle.clone(), lineage: Vec::new() },
                None => ToClient::Error { request, reason: Reason::new(Code::NoSuchUser) },
            },
            ToServer::List { request, after, .. } => self.page(request, after.as_ref()),
            other => panic!("{} was asked", other.field()),
        })
    }
}

fn contacts() -> (tempfile::TempDir, Contacts) {
    let place = tempfile::tempdir().unwrap();
    let contacts = Contacts::open(place.path(), NewKeys::First).unwrap();
    (place, contacts)
}

#[test]
fn a_contact_is_pinned_at_first_sight_and_a_change_stops_everything() {
    let (_place, contacts) = contacts();
    let bob = "bob".parse().unwrap();
    contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).unwrap();
    let changed = contact(&mut Fake::with(&[("bob", &ALICE)]), &contacts, &bob);
    assert!(matches!(changed, Err(Error::Trust(TrustError::KeyChanged(_)))));
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let (_place, contacts) = contacts();
    let mut server = Fake::with(&[("bob", &BOB), ("carol", &ALICE)]);
    let Err(error) = contact(&mut server, &contacts, &"carl".parse().unwrap()) else { panic!("carl was found") };
    assert_eq!(error.to_string(), "no user \"carl\" here. Did you mean carol?");
}

#[test]
fn keys_of_another_account_are_refused() {
    let (_place, contacts) = contacts();
    let mut server = Fake::with(&[("bob", &BOB)]);
    let bundle = server.bundles.values().next().unwrap().clone();
    server.bundles.insert("carol".parse().unwrap(), bundle);
    let refused = contact(&mut server, &contacts, &"carol".parse().unwrap());
    assert!(matches!(refused, Err(Error::Trust(TrustError::BundleOfAnother { .. }))));
}

#[test]
fn a_changed_key_is_trusted_by_its_own_fingerprint_only() {
    let (_place, contacts) = contacts();
    let bob: UserName = "bob".parse().unwrap();
    contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).unwrap();
    let mut server = Fake::with(&[("bob", &ALICE)]);
    let now = ALICE.public().fingerprint();
    let old = BOB.public().fingerprint().to_hex();
    assert!(matches!(
        trust(&mut server, &contacts, &bob, Meant::typed(&old).unwrap()),
        Err(Error::Trust(TrustError::Mismatch { .. }))
    ));
    let hex = now.to_hex();
    assert!(matches!(Meant::typed(&hex[..15]), Err(Error::Trust(TrustError::Fingerprint { .. }))));
    assert!(contact(&mut server, &contacts, &bob).is_err(), "nothing was trusted so far");
    assert_eq!(trust(&mut server, &contacts, &bob, Meant::typed(&now.grouped()[..19]).unwrap()).unwrap(), now);
    contact(&mut server, &contacts, &bob).unwrap();
}

#[test]
fn without_a_fingerprint_only_the_key_that_was_shown_is_trusted() {
    let (_place, contacts) = contacts();
    let bob: UserName = "bob".parse().unwrap();
    let with = |key| Fake::with(&[("bob", key)]);
    let [old, other] = [&BOB, &ALICE].map(|key| key.public().fingerprint());
    let trust = |key, shown| trust(&mut with(key), &contacts, &bob, Meant::Shown(shown));
    assert!(
        matches!(trust(&BOB, Some(old)), Err(Error::Trust(TrustError::NotChanged { .. }))),
        "there is no such contact"
    );
    contact(&mut with(&BOB), &contacts, &bob).unwrap();
    assert!(matches!(trust(&ALICE, Some(other)), Err(Error::Trust(TrustError::NotChanged { .. }))));
    assert!(contact(&mut with(&ALICE), &contacts, &bob).is_err());
    let gone = trust(&BOB, Some(other));
    assert!(matches!(gone, Err(Error::Trust(TrustError::Gone { told, now, .. })) if told == other && now == old));
    assert!(contact(&mut with(&BOB), &contacts, &bob).is_err(), "the old key alone lifts nothing");
    for shown in [None, Some(old)] {
        assert!(matches!(trust(&ALICE, shown), Err(Error::Trust(TrustError::NotShown(change))) if change.now == other));
    }
    assert!(contact(&mut with(&ALICE), &contacts, &bob).is_err());
    assert_eq!(trust(&ALICE, Some(other)).unwrap(), other);
    contact(&mut with(&ALICE), &contacts, &bob).unwrap();
}

#[test]
fn a_change_that_shows_when_keys_are_compared_stays_open() {
    let (_place, contacts) = contacts();
    let bob: UserName = "bob".parse().unwrap();
    contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).unwrap();
    let shown = to_compare(&mut Fake::with(&[("bob", &ALICE)]), &contacts, &bob).unwrap();
    assert!(matches!(shown.notice, Some(Notice::KeyChanged(_))));
    assert_eq!(shown.bundle.identity, *ALICE.public());
    assert!(contact(&mut Fake::with(&[("bob", &BOB)]), &contacts, &bob).is_err());
}

#[test]
fn all_pages_of_a_list_are_read() {
    let names: Vec<_> = (0..PAGE_NAMES * 2 + 3).map(|number| format!("u{number:04}")).collect();
    let mut server = Fake { bundles: names.iter().map(|name| (name.parse().unwrap(), Vec::new())).collect() };
    let listed = list(&mut server, Scope::All).unwrap();
    assert!(listed.iter().map(|entry| entry.name.as_str()).eq(names.iter().map(String::as_str)));
}
