use std::collections::HashMap;
use std::fs;

use super::*;
use crate::client::state::journal::tests::Failing;
use crate::client::state::seen::Gap;
use crate::wire::{Header, Suite};

fn message(seq: u64) -> Incoming {
    let header = Header {
        suite: Suite::GroupCbc,
        sender: "alice".parse().unwrap(),
        sender_fp: Fingerprint([1; 32]),
        sender_bundle: 1,
        recipient: Recipient::All,
        recipient_fp: Fingerprint([0; 32]),
        msg_id: MessageId([seq as u8; 16]),
        seq,
        prev: seq - 1,
        sent_ms: 5,
    };
    let header_bytes = header.encode();
    let envelope =
        Envelope { header, header_bytes, commitment: [4; 32], ciphertext: vec![5; 32], signature: vec![6; 256] };
    Incoming { delivery: DeliveryId { epoch: 1, number: seq }, backlog: false, envelope }
}

fn left(inbox: &Inbox) -> Vec<(u64, bool)> {
    inbox.entries().iter().map(|entry| (entry.envelope.header.seq, entry.is_repeated)).collect()
}

#[test]
fn what_was_not_shown_is_there_after_a_crash_and_what_may_have_been_is_marked() {
    let place = tempfile::tempdir().unwrap();
    let (mut inbox, ledger) = Inbox::open(place.path()).unwrap();
    let entries = inbox.receive((1..=3).map(message).collect(), 7).unwrap();
    let [one, two, _] = [0, 1, 2].map(|at| entries[at].entry);
    inbox.opened(&[one, two]).unwrap();
    inbox.done(&[(one, true)], &ledger);
    drop(inbox);
    let (inbox, ledger) = Inbox::open(place.path()).unwrap();
    assert_eq!(left(&inbox), [(2, true), (3, false)]);
    assert!(ledger.seen.get(&message(1).envelope.header).is_some_and(|seen| seen.first_ms == 7));
    assert!(ledger.seen.get(&message(3).envelope.header).is_none(), "seen only once it was opened");
}

#[test]
fn a_gap_is_known_after_a_restart() {
    let place = tempfile::tempdir().unwrap();
    let (mut inbox, ledger) = Inbox::open(place.path()).unwrap();
    let entry = inbox.receive(vec![message(4)], 7).unwrap()[0].entry;
    inbox.opened(&[entry]).unwrap();
    inbox.done(&[(entry, true)], &ledger);
    drop(inbox);
    let (_, mut ledger) = Inbox::open(place.path()).unwrap();
    assert_eq!(ledger.counters.count(&message(5).envelope.header, 5).gap, None);
    assert_eq!(ledger.counters.count(&message(9).envelope.header, 9).gap, Some(Gap::Missing));
}

/// Whether the file was written anew meanwhile or not.
#[test]
fn what_another_session_took_is_known_after_a_restart() {
    for fillers in [0, 4000] {
        let place = tempfile::tempdir().unwrap();
        let (mut inbox, mut ledger) = Inbox::on(place.path(), Box::new(Failing::every(usize::MAX))).unwrap();
        let entry = inbox.receive(vec![message(4)], 7).unwrap()[0].entry;
        inbox.opened(&[entry]).unwrap();
        inbox.done(&[(entry, true)], &ledger);
        ledger.counters.count(&message(4).envelope.header, 4);
        inbox.logged_in(Reached { acknowledged: 9, kept: 9 }, &mut ledger);
        for number in 10..=10 + fillers {
            let entry = inbox.receive(vec![message(number)], 7).unwrap()[0].entry;
            inbox.done(&[(entry, false)], &ledger);
        }
        drop(inbox);
        let (inbox, mut ledger) = Inbox::open(place.path()).unwrap();
        assert_eq!(inbox.received, 10 + fillers);
        assert_eq!(ledger.counters.count(&message(9999).envelope.header, 9999).gap, Some(Gap::Elsewhere));
    }
}

#[test]
fn the_file_does_not_grow_for_ever_and_forgets_nothing() {
    let place = tempfile::tempdir().unwrap();
    let never = Box::new(Failing::every(usize::MAX));
    let (mut inbox, mut ledger) = Inbox::on(place.path(), never).unwrap();
    let kept = inbox.receive(vec![message(1)], 7).unwrap()[0].entry;
    let mut largest = 0;
    for seq in 2..=4000 {
        let mut incoming = message(seq);
        incoming.envelope.header.msg_id.0[..8].copy_from_slice(&seq.to_be_bytes());
        incoming.envelope.header_bytes = incoming.envelope.header.encode();
        let header = incoming.envelope.header.clone();
        let entry = inbox.receive(vec![incoming], 7).unwrap()[0].entry;
        inbox.opened(&[entry]).unwrap();
        let told = ledger.counters.count(&header, seq);
        let seen = Seen { digest: [9; 32], first_ms: 7, number: seq, entry, place: told };
        ledger.seen.record(header.sender_fp, header.msg_id, seen);
        inbox.done(&[(entry, true)], &ledger);
        largest = largest.max(fs::metadata(place.path().join("inbox")).unwrap().len());
    }
    assert!(largest < 4 * crate::limits::JOURNAL_GROWTH, "{largest}");
    drop(inbox);
    let (inbox, ledger) = Inbox::open(place.path()).unwrap();
    assert_eq!(inbox.entries().iter().map(|entry| entry.entry).collect::<Vec<_>>(), [kept]);
    assert_eq!(ledger.seen.iter().count(), 3999);
}

/// A scene of a receiving client on a disk that fails at every n-th operation, with crashes in between. The server
/// delivers again what was not acknowledged. What was acknowledged is shown, unmarked exactly once.
#[test]
fn whatever_fails_what_was_acknowledged_is_shown_exactly_once() {
    for every in [2, 3, 4, 5, 7, 9, 11] {
        let place = tempfile::tempdir().unwrap();
        drop(Inbox::open(place.path()).unwrap());
        let (failing, healthy) = (Failing::every(every), Failing::every(usize::MAX));
        let mut server: Vec<u64> = (1..=30).collect();
        let mut shown: HashMap<u64, (u32, u32)> = HashMap::new();
        for round in 0..40_usize {
            // Each round ends with a crash; in the end the disk has room again.
            let disk = if round < 25 { failing.clone() } else { healthy.clone() };
            // Where what was read can't be put on disk, nothing may rely on it.
            let Ok((mut inbox, ledger)) = Inbox::on(place.path(), Box::new(disk)) else { continue };
            let mut entries = inbox.entries();
            let batch: Vec<u64> = server.iter().copied().take(3).collect();
            if let Ok(new) = inbox.receive(batch.iter().map(|seq| message(*seq)).collect(), 7) {
                server.retain(|seq| !batch.contains(seq));
                entries.extend(new);
            }
            let numbers: Vec<u64> = entries.iter().map(|entry| entry.entry).collect();
            if inbox.opened(&numbers).is_err() {
                continue;
            }
            for entry in &entries {
                let (first, repeated) = shown.entry(entry.envelope.header.seq).or_default();
                *(if entry.is_repeated { repeated } else { first }) += 1;
            }
            if round % 5 != 0 {
                inbox.done(&numbers.iter().map(|entry| (*entry, true)).collect::<Vec<_>>(), &ledger);
            }
        }
        assert!(server.is_empty(), "every {every}: {server:?} never came through");
        let wrong: Vec<_> = (1..=30).filter(|seq| shown.get(seq).is_none_or(|(first, _)| *first != 1)).collect();
        assert!(wrong.is_empty(), "every {every}: {wrong:?} of {shown:?}");
    }
}
