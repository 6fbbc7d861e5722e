//! What the receiver makes of messages: Alice writes, Bob receives.

mod lookups;
mod modern;
mod opening;
mod waiting;

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::client::keys::group_file::GroupFile;
use crate::client::message_tests::{self, header, sealed};
use crate::client::model::pin::NewKeys;
use crate::client::trust::contacts::{self, Contacts};
use crate::client::trust::pins::Choice;
use crate::crypto::bundle;
use crate::crypto::envelope::{self, SealWith};
use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::PrivateKey;
use crate::crypto::test_keys::{self, ALICE, BOB, BOB_ENCRYPTION, CAROL_ENCRYPTION};
use crate::limits::CONTACTS_MAX;
use crate::wire::{Envelope, Predecessor};

/// Pins in a folder that goes with them.
struct Memory {
    place: tempfile::TempDir,
    pins: Arc<Contacts>,
}

impl Default for Memory {
    fn default() -> Self {
        Self::taking(NewKeys::First)
    }
}

impl Memory {
    fn taking(new_keys: NewKeys) -> Self {
        let place = tempfile::tempdir().unwrap();
        let pins = Arc::new(Contacts::open(place.path(), new_keys).unwrap());
        Self { place, pins }
    }

    fn knows(self, name: &str, key: &PrivateKey) -> Self {
        self.choose(name, key);
        self
    }

    /// As many contacts as there may be, all with this key, this name among them.
    fn full_of(name: &str, key: &PrivateKey) -> Self {
        let one = Self::default().knows(name, key);
        let mut pins = contacts::exported(one.place.path()).unwrap().unwrap();
        let contact = pins["contacts"][name].clone();
        for number in 1..CONTACTS_MAX {
            pins["contacts"][format!("contact{number}")] = contact.clone();
        }
        let place = tempfile::tempdir().unwrap();
        contacts::put(place.path(), contacts::imported(&pins).unwrap()).unwrap();
        let pins = Arc::new(Contacts::open(place.path(), NewKeys::First).unwrap());
        Self { place, pins }
    }

    fn choose(&self, name: &str, key: &PrivateKey) {
        let bundle = bundle::verify(&bundle_of(name, key)).unwrap();
        self.pins.choose(&bundle, Choice::Named).unwrap();
    }

    fn is_empty(&self) -> bool {
        self.pins.list().unwrap().is_empty()
    }
}

/// Bob, who receives, with these group keys.
fn bob(group: Option<GroupKeys>) -> Arc<Member> {
    bob_with(GroupFile::fixed(group))
}

fn bob_with(group: GroupFile) -> Arc<Member> {
    Arc::new(message_tests::bob(group))
}

/// A message in the inbox: each has an entry and a number of its own.
fn entry(bytes: &[u8]) -> Entry {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let entry = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let envelope = Envelope::parse(bytes).unwrap();
    Entry { entry, number: entry, backlog: false, received_ms: 1_700_000_000_000, is_repeated: false, envelope }
}

fn deliver(receiver: &mut Receiver, bytes: &[u8]) -> Vec<Action> {
    receiver.arrived(entry(bytes), Instant::now()).unwrap()
}

fn new(member: &Arc<Member>, keyring: &Memory) -> Receiver {
    Receiver::new(member, &keyring.pins, Ledger::default())
}

/// The steps alone, without any contacts.
fn alone(member: &Arc<Member>) -> Steps {
    Steps::new(Arc::clone(member), true, Ledger::default())
}

/// Actions in words.
fn told(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter(|action| !matches!(action, Action::Done { .. }))
        .map(|action| match action {
            Action::Done { .. } => "done".to_owned(),
            Action::Lookup { name, .. } => format!("look up {name}"),
            Action::Announced { name, number, .. } => format!("{name} has bundle {number}"),
            Action::Show(_, opened) => {
                format!("{}: {} ({:?})", opened.envelope.header.sender, *opened.text, opened.signed_by.mark)
            }
            Action::Tell(notice) => format!("{notice:?}").split([' ', '{', '(']).next().unwrap_or_default().to_owned(),
        })
        .collect()
}

#[track_caller]
fn leads_to(envelope: &Envelope, expected: &[&str]) {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&deliver(&mut receiver, &envelope.encode())), expected);
}

/// The number of the one lookup among these actions.
#[track_caller]
fn request(actions: &[Action]) -> u32 {
    let mut lookups = actions.iter().filter_map(|action| match action {
        Action::Lookup { request, .. } => Some(*request),
        _ => None,
    });
    lookups.next().expect("a lookup")
}

fn bundle_of(name: &str, key: &PrivateKey) -> Vec<u8> {
    test_keys::bundle(name, key, CAROL_ENCRYPTION.public(), 1).encode()
}

/// What is signed by this key in the name of Alice.
fn by(key: &PrivateKey, seq: u64, text: &str) -> Envelope {
    let header = Header { sender_fp: key.public().fingerprint(), ..header(seq) };
    envelope::seal(header, text, SealWith::Direct(BOB_ENCRYPTION.public()), key).unwrap()
}

/// The same with what is told of those that wait.
fn with_news(receiver: &mut Receiver, mut actions: Vec<Action>) -> Vec<String> {
    actions.extend(receiver.news(Instant::now()));
    told(&actions)
}

fn handed_over(old: &PrivateKey, new: &PrivateKey) -> Predecessor {
    let handover = bundle::hand_over(&"alice".parse().unwrap(), old, new).unwrap();
    Predecessor { identity: old.public().to_der().to_vec(), handover }
}

#[test]
fn a_good_message_is_shown() {
    leads_to(&sealed(header(1), "hi"), &["alice: hi (Known)"]);
}

#[test]
fn junk_is_named_as_what_it_is() {
    let (member, keyring) = (bob(None), Memory::default());
    let receiver = new(&member, &keyring);
    assert_eq!(told(&[receiver.malformed()]), ["Malformed"]);
}

#[test]
fn a_message_for_somebody_else_is_not_for_me() {
    let to_carol = Header { recipient: "carol".parse().unwrap(), ..header(1) };
    leads_to(&sealed(to_carol, "hi"), &["NotForMe"]);
}

#[test]
fn a_message_to_oneself_is_shown_and_nobody_else_speaks_in_ones_name() {
    let from_myself = Header { sender: "bob".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let own = envelope::seal(from_myself, "milk", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    leads_to(&own, &["bob: milk (Verified)"]);
    let of_alice = Header { sender: "bob".parse().unwrap(), ..header(1) };
    leads_to(&sealed(of_alice, "milk"), &["Rejected"]);
    leads_to(&Envelope { signature: vec![0; 256], ..own }, &["Rejected"]);
}
