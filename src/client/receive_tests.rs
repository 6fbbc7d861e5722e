use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::client::contacts::{Contacts, NewKeys};
use crate::client::group_file::GroupFile;
use crate::client::pins::Choice;
use crate::crypto::envelope::{SealWith, group_fingerprint};
use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::PrivateKey;
use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION, CAROL_ENCRYPTION};
use crate::limits::{KEPT_OF_SENDER, OPEN_FAILURES_PER_HOUR};
use crate::storage::private;
use crate::wire::{Envelope, MessageId, Suite};

/// Pins in a folder that goes with them.
struct Memory {
    place: tempfile::TempDir,
    pins: Contacts,
    is_full: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self::taking(NewKeys::First)
    }
}

impl Memory {
    fn taking(new_keys: NewKeys) -> Self {
        let place = tempfile::tempdir().unwrap();
        let pins = Contacts::open(place.path(), new_keys).unwrap();
        Self { place, pins, is_full: false }
    }

    fn knows(self, name: &str, key: &PrivateKey) -> Self {
        self.choose(name, key);
        self
    }

    fn choose(&self, name: &str, key: &PrivateKey) {
        let bundle = bundle::verify(&bundle_of(name, key)).unwrap();
        self.pins.choose(&bundle, Choice::Trusted).unwrap();
    }

    fn is_empty(&self) -> bool {
        self.pins.list().unwrap().is_empty()
    }
}

impl Keyring for Memory {
    fn pinned(&self, name: &UserName) -> Result<Option<Pin>, Error> {
        self.pins.pinned(name)
    }

    fn meet(&self, found: &Found) -> Result<Met, Error> {
        match self.is_full {
            true => Err(Error::ContactsFull { path: "contacts.json".into() }),
            false => self.pins.meet(found),
        }
    }

    fn changed(&self, name: &UserName, now: Fingerprint) -> Result<KeyChange, Error> {
        self.pins.changed(name, now)
    }

    fn vouched(&self, name: &UserName, by: Fingerprint, former: &[PublicKey]) -> Result<(), Error> {
        self.pins.vouched(name, by, former)
    }

    fn takes_new(&self) -> bool {
        self.pins.takes_new()
    }
}

/// Bob, who receives.
fn bob(group: Option<GroupKeys>) -> Member {
    let again = |key: &PrivateKey| PrivateKey::from_pem(key.to_pem(b"x").unwrap().as_bytes(), b"x").unwrap();
    Member {
        name: "bob".parse().unwrap(),
        identity: again(&BOB),
        encryption: again(&BOB_ENCRYPTION),
        retired: Vec::new(),
        former: Vec::new(),
        group: GroupFile::fixed(group),
    }
}

/// What Alice writes to Bob.
fn header(seq: u64) -> Header {
    Header {
        suite: Suite::Direct,
        sender: "alice".parse().unwrap(),
        sender_fp: ALICE.public().fingerprint(),
        recipient: "bob".parse().unwrap(),
        recipient_fp: BOB_ENCRYPTION.public().fingerprint(),
        msg_id: MessageId(crate::crypto::random::bytes()),
        seq,
        prev: seq - 1,
        sent_ms: 1_700_000_000_000,
    }
}

fn sealed(header: Header, text: &str) -> Envelope {
    envelope::seal(header, text, SealWith::Direct(BOB_ENCRYPTION.public()), &ALICE).unwrap()
}

/// A message in the inbox: each has an entry and a number of its own.
fn entry(bytes: &[u8]) -> Entry {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let entry = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let envelope = Envelope::parse(bytes).unwrap();
    Entry { entry, number: entry, backlog: false, received_ms: 1_700_000_000_000, is_repeated: false, envelope }
}

fn deliver(receiver: &mut Receiver<'_>, bytes: &[u8]) -> Vec<Action> {
    receiver.arrived(entry(bytes), Instant::now()).unwrap()
}

fn new<'a>(member: &'a Member, keyring: &'a Memory) -> Receiver<'a> {
    Receiver::new(member, keyring, Ledger::default())
}

/// Actions in words.
fn told(actions: &[Action]) -> Vec<String> {
    actions
        .iter()
        .filter(|action| !matches!(action, Action::Done { .. }))
        .map(|action| match action {
            Action::Done { .. } => "done".to_owned(),
            Action::Lookup { name, .. } => format!("look up {name}"),
            Action::Show(_, opened) => {
                format!("{}: {} ({:?})", opened.envelope.header.sender, *opened.text, opened.mark)
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
fn a_changed_signature_text_or_field_is_rejected() {
    for change in [
        |envelope: &mut Envelope| envelope.signature[9] ^= 1,
        |envelope: &mut Envelope| envelope.ciphertext[9] ^= 1,
        |envelope: &mut Envelope| envelope.commitment[9] ^= 1,
        |envelope: &mut Envelope| {
            envelope.header.sent_ms += 1;
            envelope.header_bytes = envelope.header.encode();
        },
    ] {
        let mut envelope = sealed(header(1), "hi");
        change(&mut envelope);
        leads_to(&envelope, &["Rejected"]);
    }
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

#[test]
fn a_copied_text_signed_anew_does_not_open() {
    // Alice's ciphertext and commitment under a signature of Bob's, who claims it as his own: the commitment names Alice.
    let original = sealed(header(1), "hi");
    let stolen = Header { sender: "mallory".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let mut copy = Envelope { header_bytes: stolen.encode(), header: stolen, ..original };
    copy.signature = BOB.sign(&copy.signed_bytes()).unwrap();
    let (member, keyring) = (bob(None), Memory::default().knows("mallory", &BOB));
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&deliver(&mut receiver, &copy.encode())), ["NotOpened"]);
}

#[test]
fn a_copy_is_shown_once_and_named_a_copy_after_that() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let header = header(1);
    let bytes = sealed(header.clone(), "hi").encode();
    assert_eq!(told(&deliver(&mut receiver, &bytes)), ["alice: hi (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &bytes)), ["Copy"]);
    let reused = sealed(header, "something else").encode();
    assert_eq!(told(&deliver(&mut receiver, &reused)), ["Reused"]);
}

#[test]
fn junk_with_the_id_of_a_message_does_not_hide_it() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let header = header(1);
    let mut junk = sealed(header.clone(), "hi");
    junk.ciphertext[0] ^= 1;
    junk.signature = ALICE.sign(&junk.signed_bytes()).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &junk.encode())), ["NotOpened"]);
    assert_eq!(told(&deliver(&mut receiver, &sealed(header, "hi").encode())), ["alice: hi (Known)"]);
}

#[test]
fn failures_to_open_are_shown_twenty_times_only() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let mut shown = 0;
    for seq in 1..=OPEN_FAILURES_PER_HOUR as u64 + 5 {
        let mut junk = sealed(header(seq), "hi");
        junk.ciphertext[0] ^= 1;
        junk.signature = ALICE.sign(&junk.signed_bytes()).unwrap();
        let actions = deliver(&mut receiver, &junk.encode());
        shown += actions.iter().filter(|action| matches!(action, Action::Tell(_))).count();
    }
    assert_eq!(shown, OPEN_FAILURES_PER_HOUR as usize + 1, "and one line about all others");
}

#[test]
fn an_unknown_senders_messages_wait_for_the_key_in_order_while_others_go_on() {
    let (member, keyring) = (bob(None), Memory::default().knows("carol", &BOB));
    let mut receiver = new(&member, &keyring);
    let actions = deliver(&mut receiver, &sealed(header(1), "one").encode());
    assert_eq!(told(&actions), ["look up alice"]);
    let Some(Action::Lookup { request, .. }) = actions.last() else { panic!("no lookup") };
    assert_eq!(told(&deliver(&mut receiver, &sealed(header(2), "two").encode())), [] as [&str; 0]);
    let from_carol = Header { sender: "carol".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let from_carol = envelope::seal(from_carol, "me too", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &from_carol.encode())), ["carol: me too (Known)"]);

    assert!(Receiver::asked(*request));
    let bundle = bundle::make(&"alice".parse().unwrap(), &ALICE, CAROL_ENCRYPTION.public(), 1).unwrap().encode();
    let shown = receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["alice: one (New)", "alice: two (New)"]);
    assert!(receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap().is_empty(), "an answer counts once");
}

#[test]
fn a_key_of_another_name_or_another_key_opens_nothing() {
    for (name, key) in [("mallory", &ALICE), ("alice", &BOB)] {
        let (member, keyring) = (bob(None), Memory::default());
        let mut receiver = new(&member, &keyring);
        let actions = deliver(&mut receiver, &sealed(header(1), "hi").encode());
        let Some(Action::Lookup { request, .. }) = actions.last() else { panic!("no lookup") };
        let bundle = bundle::make(&name.parse().unwrap(), key, CAROL_ENCRYPTION.public(), 1).unwrap().encode();
        assert_eq!(
            told(&receiver.found(*request, &bundle, Vec::new(), Instant::now()).unwrap()),
            ["UnknownSender"],
            "{name}"
        );
        assert!(keyring.is_empty(), "{name} was pinned");
    }
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
    bundle::make(&name.parse().unwrap(), key, CAROL_ENCRYPTION.public(), 1).unwrap().encode()
}

#[test]
fn a_name_is_not_pinned_before_a_signature_holds() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    let unsigned = Envelope { signature: vec![0; 256], ..sealed(header(1), "hi") };
    let request = request(&deliver(&mut receiver, &unsigned.encode()));
    let shown = receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["UnknownSender"]);
    assert!(keyring.is_empty());
}

#[test]
fn junk_under_another_key_does_not_take_a_true_message_with_it() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    let header_of_junk = Header { sender_fp: BOB.public().fingerprint(), ..header(1) };
    let junk = envelope::seal(header_of_junk, "junk", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    let first = request(&deliver(&mut receiver, &junk.encode()));
    deliver(&mut receiver, &sealed(header(2), "true").encode());
    let actions = receiver.not_found(first, Instant::now()).unwrap();
    assert_eq!(told(&actions), ["UnknownSender", "look up alice"]);
    let shown = receiver.found(request(&actions), &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap();
    assert_eq!(told(&shown), ["alice: true (New)"]);
}

#[test]
fn without_room_for_a_contact_one_line_is_shown_and_the_rest_goes_on() {
    let (member, keyring) = (bob(None), Memory { is_full: true, ..Memory::default() }.knows("carol", &BOB));
    let mut receiver = new(&member, &keyring);
    let request = request(&deliver(&mut receiver, &sealed(header(1), "hi").encode()));
    assert_eq!(
        told(&receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap()),
        ["NoRoom"]
    );
    let from_carol = Header { sender: "carol".parse().unwrap(), sender_fp: BOB.public().fingerprint(), ..header(1) };
    let from_carol = envelope::seal(from_carol, "hi", SealWith::Direct(BOB_ENCRYPTION.public()), &BOB).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &from_carol.encode())), ["carol: hi (Known)"]);
}

#[test]
fn a_key_that_never_comes_is_given_up_with_one_line_and_asked_for_again() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    assert_eq!(receiver.deadline(), None);
    let first = request(&deliver(&mut receiver, &sealed(header(1), "one").encode()));
    deliver(&mut receiver, &sealed(header(2), "two").encode());
    let deadline = receiver.deadline().unwrap();
    assert!(receiver.due(deadline - std::time::Duration::from_millis(1)).is_empty());
    let actions = receiver.due(deadline);
    let [Action::Tell(Notice::KeyNotGiven { count: 2, .. })] = actions.as_slice() else {
        panic!("{:?}", told(&actions))
    };
    assert_eq!(receiver.deadline(), None);
    assert!(
        receiver.found(first, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap().is_empty(),
        "too late"
    );
    assert_ne!(request(&deliver(&mut receiver, &sealed(header(3), "three").encode())), first);
}

#[test]
fn strangers_can_not_fill_the_memory() {
    let (member, keyring) = (bob(None), Memory::default());
    let mut receiver = new(&member, &keyring);
    let bytes = sealed(header(1), "hi").encode();
    for _ in 0..HELD_MESSAGES + 50 {
        deliver(&mut receiver, &bytes);
    }
    assert_eq!(receiver.held_messages(), HELD_MESSAGES);
}

#[test]
fn a_group_message_under_another_group_key_is_told_after_its_signature_held() {
    let (ours, theirs) = (GroupKeys::generate().unwrap(), GroupKeys::generate().unwrap());
    let to_all = |keys: &GroupKeys| Header {
        suite: Suite::GroupCbc,
        recipient: Recipient::All,
        recipient_fp: group_fingerprint(&keys.writer().id),
        ..header(1)
    };
    let good = envelope::seal(to_all(&ours), "hi", SealWith::Group(ours.writer()), &ALICE).unwrap();
    let other = envelope::seal(to_all(&theirs), "hi", SealWith::Group(theirs.writer()), &ALICE).unwrap();
    let (member, keyring) = (bob(Some(ours)), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&deliver(&mut receiver, &good.encode())), ["alice: hi (Known)"]);
    assert_eq!(told(&deliver(&mut receiver, &other.encode())), [""; 0]);
    assert_eq!(told(&receiver.news(Instant::now()).unwrap()), ["OtherGroupKey"]);
    let unsigned = Envelope { signature: vec![0; 256], ..other };
    assert_eq!(told(&deliver(&mut receiver, &unsigned.encode())), ["Rejected"]);
}

/// A group message of Alice's.
fn to_all(keys: &GroupKeys, seq: u64) -> Vec<u8> {
    let header = Header {
        suite: Suite::GroupCbc,
        recipient: Recipient::All,
        recipient_fp: group_fingerprint(&keys.writer().id),
        ..header(seq)
    };
    envelope::seal(header, &format!("number {seq}"), SealWith::Group(keys.writer()), &ALICE).unwrap().encode()
}

/// What waits for the file is told with a count, tried again when it has changed, and shown as it came.
#[test]
fn messages_under_a_new_group_key_wait_for_the_file_and_are_then_shown_in_order() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("group.key");
    let mut keys = GroupKeys::generate().unwrap();
    private::create_new(&path, keys.to_text().as_bytes()).unwrap();
    let (old, file) = (GroupKeys::parse(&keys.to_text()).unwrap(), GroupFile::at(&path).unwrap());
    keys.rekey().unwrap();
    let (member, keyring) = (Member { group: file, ..bob(None) }, Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let new_ones: Vec<_> = (1..=3).map(|seq| entry(&to_all(&keys, seq))).collect();
    for entry in &new_ones {
        assert!(receiver.arrived(entry.clone(), Instant::now()).unwrap().is_empty());
    }
    let news = receiver.news(Instant::now()).unwrap();
    let [Action::Tell(Notice::OtherGroupKey { from, theirs, ours, count: 3, lost: 0 })] = &news[..] else {
        panic!("{:?}", told(&news))
    };
    let ids = (keys.writer().short_id(), Some(old.writer().short_id()));
    assert_eq!((from.as_str(), theirs, ours), ("alice", &ids.0, &ids.1));
    assert_eq!(told(&deliver(&mut receiver, &to_all(&old, 4))), ["alice: number 4 (Known)"]);
    assert!(receiver.waits_for_a_person() && receiver.released().unwrap().0.is_empty());
    // Damaged: told once, and what was read before stays.
    private::replace(&path, b"topchat-group-key v1\n").unwrap();
    let (released, actions) = receiver.released().unwrap();
    assert_eq!((released.len(), told(&actions)), (0, vec!["GroupKeyBad".to_owned()]));
    assert!(receiver.released().unwrap().1.is_empty());
    assert_eq!(told(&deliver(&mut receiver, &to_all(&old, 5))), ["alice: number 5 (Known)"]);
    private::replace(&path, keys.to_text().as_bytes()).unwrap();
    let (released, actions) = receiver.released().unwrap();
    assert_eq!(told(&actions), ["GroupKeyRead"]);
    assert!(released.iter().copied().eq(new_ones.iter().map(|entry| entry.entry)));
    for (seq, entry) in (1..).zip(new_ones) {
        let actions = receiver.arrived(entry, Instant::now()).unwrap();
        let [Action::Show(_, opened)] = &actions[..] else { panic!("{:?}", told(&actions)) };
        assert_eq!((&**opened.text, opened.is_late), (format!("number {seq}").as_str(), false));
    }
    assert!(!receiver.waits_for_a_person() && receiver.places.is_empty());
}

/// The new file may be there before the first message: nothing is told of a missing key then.
#[test]
fn a_new_group_key_file_is_read_when_the_first_message_under_it_comes() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("group.key");
    let (member, keyring) =
        (Member { group: GroupFile::at(&path).unwrap(), ..bob(None) }, Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let keys = GroupKeys::generate().unwrap();
    private::create_new(&path, keys.to_text().as_bytes()).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &to_all(&keys, 1))), ["GroupKeyRead", "alice: number 1 (Known)"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(told(&deliver(&mut receiver, &to_all(&keys, 2))), ["alice: number 2 (Known)"]);
    let other = GroupKeys::generate().unwrap();
    assert_eq!(told(&deliver(&mut receiver, &to_all(&other, 3))), ["GroupKeyBad"]);
    assert_eq!(told(&deliver(&mut receiver, &to_all(&keys, 4))), ["alice: number 4 (Known)"]);
}

/// Kept without a word to the server once the signature holds; anything else in that name is refused as ever.
#[test]
fn a_message_sealed_for_a_key_of_ones_own_that_is_not_here_is_kept_and_told() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let key = CAROL_ENCRYPTION.public();
    let sealed = |seq| {
        let header = Header { recipient_fp: key.fingerprint(), ..header(seq) };
        envelope::seal(header, "hi", SealWith::Direct(key), &ALICE).unwrap()
    };
    for seq in 1..=2 {
        assert!(deliver(&mut receiver, &sealed(seq).encode()).is_empty(), "neither done nor sent");
    }
    let news = receiver.news(Instant::now()).unwrap();
    let [Action::Tell(Notice::OwnKeyMissing { key: named, count: 2, lost: 0, .. })] = &news[..] else {
        panic!("{:?}", told(&news))
    };
    assert_eq!(*named, key.fingerprint());
    assert!(!receiver.waits_for_a_person(), "keys are opened at the start only");
    let forged = Envelope { signature: vec![0; 256], ..sealed(3) };
    assert_eq!(told(&deliver(&mut receiver, &forged.encode())), ["Rejected"]);
    for seq in 4..4 + KEPT_OF_SENDER as u64 {
        deliver(&mut receiver, &sealed(seq).encode());
    }
    let done = deliver(&mut receiver, &sealed(4 + KEPT_OF_SENDER as u64).encode());
    assert!(matches!(done[..], [Action::Done { counted: true, .. }]), "no more room");
}

#[test]
fn a_gap_in_the_senders_counter_is_told_before_the_message() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    deliver(&mut receiver, &sealed(header(1), "one").encode());
    let told = told(&deliver(&mut receiver, &sealed(header(3), "three").encode()));
    assert_eq!(told, ["Missing", "alice: three (Known)"]);
}

#[test]
fn a_message_that_could_not_be_recorded_is_no_copy_of_itself() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    deliver(&mut receiver, &sealed(header(1), "one").encode());
    let entry = entry(&sealed(header(3), "three").encode());
    for _ in 0..2 {
        let actions = receiver.arrived(entry.clone(), Instant::now()).unwrap();
        assert_eq!(told(&actions), ["Missing", "alice: three (Known)"]);
        receiver.restart();
    }
}

/// What is signed by this key in the name of Alice.
fn by(key: &PrivateKey, seq: u64, text: &str) -> Envelope {
    let header = Header { sender_fp: key.public().fingerprint(), ..header(seq) };
    envelope::seal(header, text, SealWith::Direct(BOB_ENCRYPTION.public()), key).unwrap()
}

/// The same with what is told of those that wait.
fn with_news(receiver: &mut Receiver<'_>, mut actions: Vec<Action>) -> Vec<String> {
    actions.extend(receiver.news(Instant::now()).unwrap());
    told(&actions)
}

fn handed_over(old: &PrivateKey, new: &PrivateKey) -> Predecessor {
    let handover = bundle::hand_over(&"alice".parse().unwrap(), old, new).unwrap();
    Predecessor { identity: old.public().to_der().to_vec(), handover }
}

#[test]
fn another_key_is_asked_for_and_without_a_handover_its_messages_wait_for_a_choice() {
    let answers: [fn(&mut Receiver<'_>, u32) -> Vec<Action>; 4] = [
        |receiver, request| receiver.not_found(request, Instant::now()).unwrap(),
        |receiver, request| receiver.found(request, b"junk", Vec::new(), Instant::now()).unwrap(),
        |receiver, request| receiver.found(request, &bundle_of("alice", &BOB), Vec::new(), Instant::now()).unwrap(),
        // The server sticks to the old key.
        |receiver, request| receiver.found(request, &bundle_of("alice", &ALICE), Vec::new(), Instant::now()).unwrap(),
    ];
    for answer in answers {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "one").encode()));
        deliver(&mut receiver, &by(&BOB, 2, "two").encode());
        // What the pinned key signed is not held up.
        assert_eq!(told(&deliver(&mut receiver, &by(&ALICE, 1, "old").encode())), ["alice: old (Known)"]);
        let actions = answer(&mut receiver, asked);
        assert_eq!(with_news(&mut receiver, actions), ["KeyChanged", "Held"]);
        assert!(keyring.pins.settled(&"alice".parse().unwrap()).is_err(), "it stops what goes there");
        let actions = deliver(&mut receiver, &by(&BOB, 3, "three").encode());
        assert_eq!(with_news(&mut receiver, actions), ["Held"], "nobody is asked again");
        assert!(receiver.waits_for_a_person() && receiver.released().unwrap().0.is_empty());
    }
}

#[test]
fn a_server_that_can_not_tell_now_has_changed_nobodys_key() {
    let answers: [fn(&mut Receiver<'_>, u32) -> Vec<Action>; 2] = [
        |receiver, request| receiver.not_told(request, Instant::now()),
        |receiver, _| receiver.due(Instant::now() + ANSWER_WITHIN * 2),
    ];
    for answer in answers {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let message = entry(&by(&BOB, 1, "one").encode());
        let asked = request(&receiver.arrived(message.clone(), Instant::now()).unwrap());
        let actions = answer(&mut receiver, asked);
        assert!(!actions.iter().any(|action| matches!(action, Action::Done { .. })), "it is still there");
        assert_eq!(with_news(&mut receiver, actions), ["KeyNotGiven"]);
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
        assert!(receiver.keeps(message.entry), "the next start asks again");
    }
}

#[test]
fn after_the_choice_what_was_held_is_shown_and_nothing_of_other_keys() {
    for (chosen, expected) in [(&BOB, ["alice: one (Known)", "NotChosen"]), (&ALICE, ["NotChosen", "NotChosen"])] {
        let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
        let mut receiver = new(&member, &keyring);
        let entries = [by(&BOB, 1, "one"), by(&CAROL_ENCRYPTION, 2, "two")].map(|envelope| entry(&envelope.encode()));
        for entry in &entries {
            let asked = request(&receiver.arrived(entry.clone(), Instant::now()).unwrap());
            let actions = receiver.not_found(asked, Instant::now()).unwrap();
            assert_eq!(told(&actions), ["KeyChanged"]);
            assert!(receiver.keeps(entry.entry));
        }
        keyring.choose("alice", chosen);
        let released = receiver.released().unwrap().0;
        assert!(released.iter().copied().eq(entries.iter().map(|entry| entry.entry)));
        let arrived = entries.iter().flat_map(|entry| receiver.arrived(entry.clone(), Instant::now()).unwrap());
        assert_eq!(told(&arrived.collect::<Vec<_>>()), expected);
        assert!(!receiver.waits_for_a_person());
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
    }
}

#[test]
fn what_was_held_waits_in_the_next_run_too_and_a_choice_in_between_counts() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let message = entry(&by(&BOB, 1, "one").encode());
    let mut receiver = new(&member, &keyring);
    let asked = request(&receiver.arrived(message.clone(), Instant::now()).unwrap());
    receiver.not_found(asked, Instant::now()).unwrap();
    let mut receiver = new(&member, &keyring);
    let actions = receiver.arrived(message.clone(), Instant::now()).unwrap();
    assert_eq!(with_news(&mut receiver, actions), ["KeyChanged", "Held"]);
    Contacts::open(keyring.place.path(), NewKeys::First)
        .unwrap()
        .choose(&bundle::verify(&bundle_of("alice", &BOB)).unwrap(), Choice::Verified)
        .unwrap();
    let mut receiver = new(&member, &keyring);
    assert_eq!(told(&receiver.arrived(message, Instant::now()).unwrap()), ["alice: one (Verified)"]);
}

#[test]
fn a_held_message_that_the_chosen_key_did_not_sign_is_rejected() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let forged = entry(&Envelope { signature: vec![0; 256], ..by(&BOB, 1, "forged") }.encode());
    let asked = request(&receiver.arrived(forged.clone(), Instant::now()).unwrap());
    receiver.found(asked, &bundle_of("alice", &BOB), Vec::new(), Instant::now()).unwrap();
    keyring.choose("alice", &BOB);
    receiver.released().unwrap();
    assert_eq!(told(&receiver.arrived(forged, Instant::now()).unwrap()), ["Rejected"]);
}

#[test]
fn new_keys_that_the_old_ones_signed_are_told_calmly_and_messages_go_on() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    let mut receiver = new(&member, &keyring);
    let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "one").encode()));
    let lineage = vec![handed_over(&ALICE, &BOB)];
    let actions = receiver.found(asked, &bundle_of("alice", &BOB), lineage, Instant::now()).unwrap();
    assert_eq!(told(&actions), ["NewKeys", "alice: one (Known)"]);
    // What was on its way under the old key still counts, for a while.
    let mut late = entry(&by(&ALICE, 9, "late").encode());
    late.received_ms = crate::client::output::now_ms();
    assert_eq!(told(&receiver.arrived(late, Instant::now()).unwrap()), ["alice: late (Former)"]);
    let mut too_late = entry(&by(&ALICE, 10, "too late").encode());
    too_late.received_ms = crate::client::output::now_ms() + 31 * 24 * 3600 * 1000;
    assert_eq!(told(&receiver.arrived(too_late, Instant::now()).unwrap()), ["look up alice"]);
}

#[test]
fn a_made_up_predecessor_of_a_key_speaks_for_nobody() {
    // The server makes up a key that hands over to Alice's true one, for somebody who has not met her, and for somebody who has.
    for known in [None, Some(&ALICE)] {
        let (member, mut keyring) = (bob(None), Memory::default());
        if let Some(key) = known {
            keyring = keyring.knows("alice", key);
        }
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&BOB, 1, "forged").encode()));
        // It can sign for that one in its own name only.
        let mut made_up = handed_over(&BOB, &ALICE);
        made_up.handover.truncate(256);
        made_up.handover = made_up.handover.repeat(2);
        let actions = receiver.found(asked, &bundle_of("alice", &ALICE), vec![made_up], Instant::now()).unwrap();
        let expected = if known.is_some() { "KeyChanged" } else { "UnknownSender" };
        assert_eq!(told(&actions), [expected]);
    }
}

/// Alice wrote under her old key, and then took a new one that signed for the old one.
#[test]
fn what_was_written_before_new_keys_were_taken_is_shown_to_whoever_never_saw_the_old_ones() {
    for known in [None, Some(&BOB)] {
        let (member, mut keyring) = (bob(None), Memory::default());
        if let Some(key) = known {
            keyring = keyring.knows("alice", key);
        }
        let mut receiver = new(&member, &keyring);
        let asked = request(&deliver(&mut receiver, &by(&ALICE, 1, "before").encode()));
        deliver(&mut receiver, &by(&ALICE, 2, "too").encode());
        let lineage = vec![handed_over(&ALICE, &BOB)];
        let actions = receiver.found(asked, &bundle_of("alice", &BOB), lineage.clone(), Instant::now()).unwrap();
        assert_eq!(told(&actions), ["alice: before (Former)", "alice: too (Former)"]);
        let mark = if known.is_some() { "Known" } else { "New" };
        let after = deliver(&mut receiver, &by(&BOB, 3, "after").encode());
        assert_eq!(told(&after), [format!("alice: after ({mark})")]);
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
        // Long after, it is no alarm either; nor does it begin to count again, though the server shows it once more.
        for seq in 4..6 {
            let mut late = entry(&by(&ALICE, seq, "late").encode());
            late.received_ms = crate::client::output::now_ms() + 31 * 24 * 3600 * 1000;
            let asked = request(&receiver.arrived(late, Instant::now()).unwrap());
            let actions = receiver.found(asked, &bundle_of("alice", &BOB), lineage.clone(), Instant::now()).unwrap();
            assert_eq!(told(&actions), ["GivenUp"]);
        }
        keyring.pins.settled(&"alice".parse().unwrap()).unwrap();
    }
}

#[test]
fn where_no_new_key_is_taken_messages_wait_for_one_to_be_trusted() {
    let (member, keyring) = (bob(None), Memory::taking(NewKeys::Never));
    let mut receiver = new(&member, &keyring);
    let message = entry(&by(&ALICE, 1, "hi").encode());
    let actions = receiver.arrived(message.clone(), Instant::now()).unwrap();
    assert_eq!(with_news(&mut receiver, actions), ["HeldUnpinned"]);
    assert!(receiver.released().unwrap().0.is_empty() && keyring.is_empty());
    keyring.choose("alice", &ALICE);
    assert_eq!(receiver.released().unwrap().0.len(), 1);
    assert_eq!(told(&receiver.arrived(message, Instant::now()).unwrap()), ["alice: hi (Known)"]);
}

#[test]
fn what_a_person_can_put_right_stays_in_the_inbox_as_far_as_there_is_room() {
    let (member, keyring) = (bob(None), Memory::default().knows("alice", &ALICE));
    keyring.pins.changed(&"alice".parse().unwrap(), BOB.public().fingerprint()).unwrap();
    let mut receiver = new(&member, &keyring);
    let bytes = by(&BOB, 1, "hi").encode();
    let gone = |actions: Vec<Action>| actions.iter().any(|action| matches!(action, Action::Done { .. }));
    let dropped = (0..KEPT_OF_SENDER + 9).filter(|_| gone(deliver(&mut receiver, &bytes))).count();
    assert_eq!(dropped, 9);
    let news = receiver.news(Instant::now()).unwrap();
    let [Action::Tell(Notice::Held { count: KEPT_OF_SENDER, lost: 9, .. })] = news.as_slice() else {
        panic!("{:?}", told(&news))
    };
}
