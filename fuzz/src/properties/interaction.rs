//! Two clients and a server that does what it likes with their messages: what is shown was written by whom it says, to
//! whom it is shown, and is shown once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use topchat::client::keys::member::Member;
use topchat::client::model::invocation::Invocation;
use topchat::client::model::pin::NewKeys;
use topchat::client::receive::{Absent, Action, Receiver};
use topchat::client::state::inbox::Entry;
use topchat::client::state::seen::Ledger;
use topchat::client::trust::contacts::Contacts;
use topchat::client::ui::render::Page;
use topchat::crypto::envelope::{self, SealWith};
use topchat::wire::bundle::Predecessor;
use topchat::wire::{Envelope, Header, MessageId, signed};

use super::Choices;
use super::parsing::is_dangerous;
use crate::support::people::{ALICE, BOB, CAROL, GROUP};
use crate::support::receiver::{MEMBERS, folder};

/// What honest people wrote: Alice to Bob and Bob to Alice, and both to the group.
static WRITTEN: LazyLock<Vec<Envelope>> = LazyLock::new(|| {
    let mut written = Vec::new();
    for (id, (from, to)) in [(&*ALICE, &*BOB), (&*BOB, &*ALICE)].into_iter().enumerate() {
        for number in 1..=3_u8 {
            let text = format!("{} writes {number} \u{1b}]0;x\u{7}\u{202e}\r\nfake > you  line", from.name);
            let id = MessageId([id as u8 * 16 + number; 16]);
            let direct = from.header(to.name.as_str(), to.encryption.public().fingerprint(), 0);
            let header = numbered(direct, id, number);
            written
                .push(envelope::seal(header, &text, SealWith::Direct(to.encryption.public()), &from.identity).unwrap());
            let group = from.header("ALL", envelope::group_fingerprint(&GROUP.writer().id), 0);
            let header = numbered(group, MessageId([0x80 | id.0[0]; 16]), number);
            written.push(envelope::seal(header, &text, SealWith::Group(GROUP.writer()), &from.identity).unwrap());
        }
    }
    written
});

fn numbered(header: Header, msg_id: MessageId, number: u8) -> Header {
    Header { msg_id, seq: number.into(), prev: u64::from(number) - 1, ..header }
}

/// A script of what the server delivers and answers, to Alice and to Bob.
pub fn interaction(data: &[u8]) {
    let mut choices = Choices::new(data);
    let place = folder();
    let pins = ["alice", "bob"].map(|name| Arc::new(Contacts::open(&place.path().join(name), NewKeys::First).unwrap()));
    let mut clients = [Client::new(&MEMBERS.0, &pins[0]), Client::new(&MEMBERS.1, &pins[1])];
    for _ in 0..40 {
        if choices.is_empty() {
            break;
        }
        let choice = choices.byte();
        let client = &mut clients[usize::from(choice & 1)];
        match (choice >> 1) % 8 {
            0 => client.answer(&mut choices),
            1 => client.restart(),
            2 => client.wait(choices.byte()),
            _ => {
                let bytes = delivery(&mut choices);
                client.deliver(&bytes);
            }
        }
    }
}

/// One of the messages: as it is, changed, under another's name, or signed by Carol, who is in league with the server.
fn delivery(choices: &mut Choices<'_>) -> Vec<u8> {
    let written = &WRITTEN[choices.below(WRITTEN.len())];
    let mut envelope = written.clone();
    match choices.byte() % 8 {
        0..=3 => return written.encode(),
        4 => {
            let mut bytes = written.encode();
            choices.change(&mut bytes);
            return bytes;
        }
        5 => {
            envelope.header.sender = [&ALICE.name, &BOB.name, &CAROL.name][choices.below(3)].clone();
            if choices.byte() & 1 == 0 {
                envelope.header.sender_fp = [&ALICE, &BOB, &CAROL][choices.below(3)].identity.public().fingerprint();
            }
        }
        6 => {
            let other = &WRITTEN[choices.below(WRITTEN.len())];
            envelope.header.msg_id = other.header.msg_id;
            if choices.byte() & 1 == 0 {
                envelope.ciphertext.clone_from(&other.ciphertext);
                envelope.commitment = other.commitment;
            }
        }
        _ => {
            // Carol's own name or a stolen one, over her own signature.
            envelope.header.sender = [&CAROL.name, &ALICE.name, &BOB.name][choices.below(3)].clone();
            envelope.header.sender_fp = CAROL.identity.public().fingerprint();
            let header = envelope.header.encode();
            let bytes = signed::envelope(&header, &envelope.commitment, &envelope.ciphertext);
            envelope.signature = CAROL.identity.sign(&bytes).unwrap();
        }
    }
    envelope.header_bytes = envelope.header.encode();
    envelope.encode()
}

/// A receiving client without a network.
struct Client<'a> {
    receiver: Receiver,
    member: &'a Arc<Member>,
    entries: u64,
    asked: Vec<u32>,
    shown: HashSet<Vec<u8>>,
    now: Instant,
}

impl<'a> Client<'a> {
    fn new(member: &'a Arc<Member>, pins: &Arc<Contacts>) -> Self {
        let receiver = Receiver::new(member, pins, Ledger::default());
        let now = Instant::now();
        Self { receiver, member, entries: 0, asked: Vec::new(), shown: HashSet::new(), now }
    }

    fn deliver(&mut self, bytes: &[u8]) {
        let Ok(envelope) = Envelope::parse(bytes) else { return };
        self.entries += 1;
        let (entry, number) = (self.entries, self.entries);
        let message = Entry { entry, number, backlog: false, received_ms: 0, is_repeated: false, envelope };
        let actions = self.receiver.arrived(message, self.now).unwrap();
        self.check(actions);
    }

    /// The answer to a question, true or false, asked or not.
    fn answer(&mut self, choices: &mut Choices<'_>) {
        let request = self.asked.pop().unwrap_or_else(|| u32::from(choices.byte()) | 0x8000_0000);
        let bundle = match choices.byte() % 6 {
            0 => ALICE.bundle(),
            1 => BOB.bundle(),
            2 => CAROL.bundle(),
            3 => FALSE_BUNDLES.0.clone(),
            4 => FALSE_BUNDLES.1.clone(),
            _ => {
                let absent = if choices.byte().is_multiple_of(2) { Absent::Account } else { Absent::Key };
                let actions = self.receiver.not_found(request, absent, self.now).unwrap();
                return self.check(actions);
            }
        };
        let lineage = lineage(choices);
        let actions = self.receiver.found(request, &bundle, lineage, self.now).unwrap();
        self.check(actions);
    }

    fn restart(&mut self) {
        self.receiver.restart();
        self.asked.clear();
    }

    fn wait(&mut self, minutes: u8) {
        self.now += Duration::from_secs(60) * minutes.into();
        let actions = self.receiver.due(self.now).unwrap();
        self.check(actions);
    }

    fn check(&mut self, mut actions: Vec<Action>) {
        actions.extend(self.receiver.news(self.now));
        for action in actions {
            match action {
                Action::Lookup { request, .. } => self.asked.push(request),
                Action::Show(_, opened) => {
                    let bytes = opened.envelope.encode();
                    let header = &opened.envelope.header;
                    let signer = opened.signed_by.identity.fingerprint();
                    assert!(self.shown.insert(bytes), "shown twice: {header:?}");
                    assert!(WRITTEN.contains(&opened.envelope), "nobody wrote {header:?}");
                    assert!(
                        header.recipient.as_str() == "ALL" || header.recipient.as_str() == self.member.name.as_str()
                    );
                    assert_eq!(header.sender_fp, signer);
                    let page = page().message(&opened, 0);
                    assert!(page.split('\n').all(|line| !line.chars().any(is_dangerous)), "{page:?}");
                }
                Action::Announced { name, by, number } => self.receiver.announced(&name, by, number).unwrap(),
                Action::Tell(notice) => {
                    let line = page().notice(&notice, 0);
                    assert!(line.split('\n').all(|line| !line.chars().any(is_dangerous)), "{line:?}");
                }
                _ => {}
            }
        }
    }
}

/// Predecessors as the server can make them up: a true handover, between other people; one that the wrong key signed; junk.
fn lineage(choices: &mut Choices<'_>) -> Vec<Predecessor> {
    let made_up = |choices: &mut Choices<'_>| {
        let people = [&*ALICE, &*BOB, &*CAROL];
        let [old, new, signer] = [(), (), ()].map(|()| people[choices.below(3)]);
        let (old_key, new_key) = (old.identity.public(), new.identity.public());
        let bytes = signed::handover(&new.name, old_key.fingerprint(), new_key.fingerprint());
        // Nobody honest hands over here, so their keys sign nothing of the kind.
        let handover = if choices.byte() & 1 == 0 || signer.name != CAROL.name {
            vec![choices.byte(); 512]
        } else {
            CAROL.identity.sign(&bytes).unwrap().repeat(2)
        };
        Predecessor { identity: old_key.to_der().to_vec(), handover }
    };
    (0..choices.below(4)).map(|_| made_up(choices)).collect()
}

fn page() -> Page {
    let invocation = Invocation::default().in_chat();
    Page { zone: jiff::tz::TimeZone::UTC, colour: false, width: Some(80), invocation, named: None }
}

/// Carol's keys in Bob's name, which Carol may sign; and Bob's with her signature, which she may not.
static FALSE_BUNDLES: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let mut forged = topchat::wire::Bundle::parse(&BOB.bundle()).unwrap();
    forged.signature = CAROL.identity.sign(&signed::bundle(&forged)).unwrap();
    (CAROL.bundle_as(&BOB.name), forged.encode())
});
