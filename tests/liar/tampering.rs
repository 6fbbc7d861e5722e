//! Every byte of a message, changed: refused, told in one line, and the real one is shown all the same.

use std::sync::Arc;
use std::time::Instant;

use topchat::client::model::event::Notice;
use topchat::client::model::pin::NewKeys;
use topchat::client::receive::{Absent, Action, Receiver};
use topchat::client::state::inbox::Entry;
use topchat::client::state::seen::Ledger;
use topchat::client::trust::contacts::Contacts;
use topchat::wire::Envelope;

use super::stage::{Stage, THE_END, shown, told};
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::receiver::{MEMBERS, folder};

/// With another change for each byte, over the wire to the real client.
#[test]
fn every_byte_of_a_message_changed_on_its_way_shows_nothing_and_hides_nothing() {
    let stage = Stage::new();
    for real in [BOB.seal_to(&ALICE, "pay 10", 0x31), BOB.seal_to_all("pay 10", 0x32)] {
        let real = real.encode();
        let mut script: Vec<_> = (0..real.len()).map(|at| changed(&real, at, 1 << (at % 8))).collect();
        script.push(real);
        let (_, finished) = stage.play(&script);
        let (shown, told) = (shown(&finished), told(&finished));
        assert_eq!(shown.len(), 2, "{shown:?}");
        assert!(shown[0].ends_with("pay 10") && shown[1] == THE_END, "{shown:?}");
        assert!(told.iter().all(|line| !line.contains("pay")), "{told:?}");
    }
}

/// One byte after the other, each before a client that knows Bob and has seen nothing: one line, nothing shown, and then
/// the real one is.
#[test]
fn each_changed_byte_is_told_in_exactly_one_line() {
    let place = folder();
    let contacts = Arc::new(Contacts::open(place.path(), NewKeys::First).unwrap());
    for real in [BOB.seal_to(&ALICE, "pay 10", 1).encode(), BOB.seal_to_all("pay 10", 2).encode()] {
        for at in 0..real.len() {
            for bit in [1 << (at % 8), 0x80 >> (at % 8)] {
                let mut receiver = Receiver::new(&MEMBERS.0, &contacts, Ledger::default());
                let (shown, told) = take(&mut receiver, &changed(&real, at, bit));
                assert_eq!((shown, told.len()), (0, 1), "byte {at}, bit {bit:#x}: {told:?}");
                assert_eq!(take(&mut receiver, &real), (1, Vec::new()), "byte {at}, bit {bit:#x} hides the real one");
            }
        }
    }
}

fn changed(real: &[u8], at: usize, bit: u8) -> Vec<u8> {
    let mut bytes = real.to_vec();
    bytes[at] ^= bit;
    bytes
}

/// How many messages a delivery shows, and what is told; questions for a key are answered as an honest server would.
fn take(receiver: &mut Receiver, bytes: &[u8]) -> (usize, Vec<Notice>) {
    let now = Instant::now();
    let (mut shown, mut told) = (0, Vec::new());
    let mut actions = match Envelope::parse(bytes) {
        Ok(envelope) => {
            let message = Entry { entry: 1, number: 1, backlog: false, received_ms: 0, is_repeated: false, envelope };
            receiver.arrived(message, now).unwrap()
        }
        Err(_) => vec![receiver.malformed()],
    };
    while let Some(action) = actions.pop() {
        match action {
            Action::Show(..) => shown += 1,
            Action::Tell(notice) => told.push(notice),
            Action::Lookup { request, name, fingerprint } => {
                let known = [&*ALICE, &*BOB, &*CAROL].into_iter().find(|person| person.name == name);
                let asked = known.filter(|person| person.identity.public().fingerprint() == fingerprint);
                actions.extend(match asked {
                    Some(person) => receiver.found(request, &person.bundle(), Vec::new(), now).unwrap(),
                    None => receiver.not_found(request, Absent::Key, now).unwrap(),
                });
            }
            _ => {}
        }
    }
    (shown, told)
}
