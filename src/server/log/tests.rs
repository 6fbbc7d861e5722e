use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::*;
use crate::crypto::digest;
use crate::error::Explain;
use crate::limits::FRAME_MAX;
use crate::server::folder::{CURSORS, MESSAGES};
use crate::server::net::send_queue::Outbox;
use crate::storage::failing::FailingDisk;
use crate::wire::frame::FrameBuffer;
use crate::wire::to_client::State;
use crate::wire::{Bundle, DeliveryId, Envelope, Fingerprint, Header, Suite, ToClient, Verifier};

const PATIENCE: Duration = Duration::from_secs(30);

/// A store with the accounts alice, bob and carol, whose disk may fail.
struct Scene {
    folder: tempfile::TempDir,
    accounts: Vec<Arc<Account>>,
    quotas: Quotas,
    durability: Durability,
    segment_bytes: u64,
    disk: FailingDisk,
    store: Option<Store<Outbox>>,
    /// How long earlier runs lasted, as far as nothing in the log says more.
    ran_ms: u64,
}

impl Scene {
    fn new() -> Self {
        Self::with(Quotas::default(), Durability::Disk, FailingDisk::default())
    }

    fn with(quotas: Quotas, durability: Durability, disk: FailingDisk) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let accounts = ["alice", "bob", "carol"].map(|name| account(name, 0)).into();
        let mut scene =
            Self { folder, accounts, quotas, durability, segment_bytes: 2000, disk, store: None, ran_ms: 0 };
        scene.open();
        scene
    }

    fn open(&mut self) {
        self.store = Some(self.try_open().unwrap());
    }

    fn try_open(&mut self) -> Result<Store<Outbox>, StoreError> {
        self.store = None;
        let (accounts, disk) = (self.accounts.clone(), self.disk.clone());
        let quotas = self.quotas.clone();
        let clock = Arc::new(RunClock::after(self.ran_ms));
        Idle::open(
            self.folder.path(),
            accounts.into_iter().map(Ok),
            quotas,
            self.durability,
            clock,
            self.segment_bytes,
            || Box::new(disk.clone()),
        )?
        .start()
    }

    /// For what only this log has.
    fn log(&self) -> &Arc<Log<Outbox>> {
        self.store.as_ref().unwrap().log()
    }

    /// Sessions know no more of it, nor do most tests.
    fn mail(&self) -> &Arc<impl Mail<Handle = Outbox> + use<>> {
        self.log()
    }

    fn segments(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.folder.path().join(MESSAGES)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }

    /// Sends and waits for the first answer.
    fn send(&self, from: &str, to: &str, id: u8) -> Client {
        let client = self.send_silently(from, to, id);
        client.wait();
        client
    }

    fn send_silently(&self, from: &str, to: &str, id: u8) -> Client {
        let client = Client::new();
        self.submit(from, to, id, b"", &client).unwrap();
        client
    }

    fn submit(&self, from: &str, to: &str, id: u8, text: &[u8], client: &Client) -> Result<(), Code> {
        let envelope = envelope(from, to, id, text);
        let mut messages = Submissions::default();
        messages.add(envelope.header.clone(), &envelope.encode());
        let refused = self.mail().settle(&mut messages, None, &client.outbox);
        refused.first().map_or(Ok(()), |(_, code)| Err(*code))
    }

    fn attach(&mut self, name: &str) -> Reader {
        let client = Client::new();
        let account = self.accounts.iter().find(|account| account.name().as_str() == name).unwrap();
        let receiver = Receiver::attach(self.log(), account, &client.outbox);
        Reader { receiver, client, skipped: 0 }
    }

    /// All files of log and cursors.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let paths = self.segments().into_iter().chain([self.folder.path().join(CURSORS)]);
        paths.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }

    /// These files as they were, and no other.
    fn restore(&mut self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        self.store = None;
        for folder in [self.folder.path().to_owned(), self.folder.path().join(MESSAGES)] {
            for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if entry.is_file() && !files.contains_key(&entry) {
                    std::fs::remove_file(entry).unwrap();
                }
            }
        }
        for (path, bytes) in files {
            match path.exists() {
                true => std::fs::write(path, bytes).unwrap(),
                false => crate::storage::private::create_new(path, bytes).unwrap(),
            }
        }
    }

    /// The cursors as they were.
    fn restore_cursors(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        let path = self.folder.path().join(CURSORS);
        std::fs::write(&path, &files[&path]).unwrap();
    }

    /// Somebody registers.
    fn join(&mut self, name: &str) -> Arc<Account> {
        let account = account(name, self.mail().next_start());
        self.mail().join(&account);
        self.accounts.push(Arc::clone(&account));
        account
    }

    /// What waits for somebody, read and acknowledged.
    fn collect(&mut self, name: &str) -> Vec<u8> {
        let mut reader = self.attach(name);
        let got = reader.read();
        reader.acknowledge();
        got.into_iter().map(|(id, backlog)| if backlog { id } else { panic!("{id} did not wait") }).collect()
    }
}

/// Who sends, and what comes back.
#[derive(Clone)]
struct Client {
    outbox: Arc<Outbox>,
    heard: Arc<Mutex<Vec<ToClient>>>,
}

impl Client {
    fn new() -> Self {
        Self { outbox: Arc::new(Outbox::new().unwrap()), heard: Arc::default() }
    }

    fn heard(&self) -> Vec<ToClient> {
        let mut frames = Vec::new();
        self.outbox.take(&mut frames);
        let mut heard = self.heard.lock().unwrap();
        heard.extend(decode(&frames));
        heard.clone()
    }

    fn wait(&self) {
        let begun = Instant::now();
        while self.heard().is_empty() {
            assert!(begun.elapsed() < PATIENCE, "no answer");
            std::thread::yield_now();
        }
    }

    fn states(&self) -> Vec<(State, u32)> {
        let state = |frame| match frame {
            ToClient::Status { state, reached, .. } => Some((state, reached)),
            _ => None,
        };
        self.heard().into_iter().filter_map(state).collect()
    }

    fn is_accepted(&self) -> bool {
        matches!(self.heard().first(), Some(ToClient::Status { state: State::Accepted | State::Queued, .. }))
    }
}

struct Reader {
    receiver: Receiver<Log<Outbox>>,
    client: Client,
    skipped: u64,
}

impl Reader {
    /// Ids and whether they waited.
    fn read(&mut self) -> Vec<(u8, bool)> {
        let mut got = Vec::new();
        loop {
            if self.client.outbox.take_mail() {
                self.receiver.announce();
            }
            let mut frames = Vec::new();
            self.receiver.take(&mut frames).unwrap();
            if frames.is_empty() {
                return got;
            }
            for frame in decode(&frames) {
                match frame {
                    ToClient::Deliver { backlog, envelope, .. } => {
                        got.push((Envelope::peek(&envelope).unwrap().msg_id.0[0], backlog));
                    }
                    ToClient::Skipped { count } => self.skipped += count,
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    fn acknowledge(&mut self) {
        if let Some(number) = self.receiver.last_delivered() {
            self.receiver.acknowledge(number).unwrap();
            self.receiver.settle_now(&self.client.outbox);
        }
    }
}

fn account(name: &str, joined: u64) -> Arc<Account> {
    let bundle = Bundle {
        name: name.parse().unwrap(),
        identity: name.as_bytes().to_vec(),
        encryption: vec![1],
        ed25519: vec![1],
        x25519: vec![1],
        former: Vec::new(),
        prefers: crate::wire::Prefers::Classic,
        number: 1,
        signature: vec![1],
        possession: [1; 64],
    };
    let verifier = Verifier { salt: [0; 16], iterations: 1, stored_key: [0; 32], server_key: [0; 32] };
    Arc::new(Account::new(bundle.encode(), verifier, 1).unwrap().joining(joined))
}

fn envelope(from: &str, to: &str, id: u8, text: &[u8]) -> Envelope {
    let suite = if to == "ALL" { Suite::GroupCbc } else { Suite::Direct };
    let header = Header {
        suite,
        sender: from.parse().unwrap(),
        sender_fp: Fingerprint(digest::sha256(from.as_bytes())),
        sender_bundle: 1,
        recipient: to.parse().unwrap(),
        recipient_fp: Fingerprint([0; 32]),
        msg_id: MessageId([id; 16]),
        seq: 1,
        prev: 0,
        sent_ms: 0,
    };
    let header_bytes = header.encode();
    Envelope { header, header_bytes, commitment: [0; 32], ciphertext: text.to_vec(), signature: vec![0; 256] }
}

fn decode(frames: &[u8]) -> Vec<ToClient> {
    let mut buffer = FrameBuffer::default();
    buffer.room(frames.len())[..frames.len()].copy_from_slice(frames);
    buffer.filled(frames.len());
    let next = || buffer.next_frame(FRAME_MAX).unwrap().map(|(kind, body)| ToClient::decode(kind, body).unwrap());
    std::iter::from_fn(next).collect()
}

#[test]
fn what_waits_comes_in_order_once_and_only_to_whom_it_is_for() {
    let mut scene = Scene::new();
    for (from, to, id) in
        [("alice", "bob", 1), ("alice", "ALL", 2), ("carol", "bob", 3), ("bob", "ALL", 4), ("alice", "carol", 5)]
    {
        scene.send(from, to, id);
    }
    assert_eq!(scene.collect("bob"), [1, 2, 3]);
    assert_eq!(scene.collect("bob"), [0; 0]);
    scene.open();
    assert_eq!(scene.collect("bob"), [0; 0]);
    assert_eq!(scene.collect("carol"), [2, 4, 5]);
    assert_eq!(scene.collect("alice"), [4]);
}

#[test]
fn a_session_goes_from_what_waited_to_what_is_live_without_a_gap() {
    let mut scene = Scene::new();
    scene.send("alice", "bob", 1);
    let mut bob = scene.attach("bob");
    scene.send("alice", "bob", 2);
    assert_eq!(bob.read(), [(1, true), (2, false)]);
    scene.send("alice", "ALL", 3);
    assert_eq!(bob.read(), [(3, false)]);
    assert_eq!(bob.read(), []);
}

#[test]
fn what_was_not_acknowledged_comes_again_after_a_restart_and_in_a_new_session() {
    let mut scene = Scene::new();
    for id in 1..=3 {
        scene.send("alice", "bob", id);
    }
    let mut bob = scene.attach("bob");
    assert_eq!(bob.read().len(), 3);
    let mut newer = scene.attach("bob");
    assert_eq!(newer.read(), [(1, true), (2, true), (3, true)]);
    assert_eq!(bob.read(), []);
    drop((bob, newer));
    scene.open();
    assert_eq!(scene.collect("bob"), [1, 2, 3]);
}

/// If it asked again and again for what it is not given, its thread would not sleep until it is closed.
#[test]
fn a_session_that_gets_no_more_does_not_ask_for_it_again() {
    let mut scene = Scene::new();
    let (mut replaced, mut removed) = (scene.attach("bob"), scene.attach("carol"));
    let _newer = scene.attach("bob");
    scene.mail().remove(&scene.accounts[2]);
    for id in 1..=2 {
        scene.send("alice", "bob", id);
        for reader in [&mut replaced, &mut removed] {
            reader.receiver.announce();
            let mut frames = Vec::new();
            reader.receiver.take(&mut frames).unwrap();
            assert!(frames.is_empty() && !reader.receiver.is_ready());
        }
    }
}

/// Else the newer one would miss them, and its client would hear of that only from their senders' next messages.
#[test]
fn what_a_replaced_session_acknowledges_goes_to_the_newer_one_all_the_same() {
    let mut scene = Scene::new();
    let sent = [1, 2].map(|id| scene.send("alice", "bob", id));
    let mut bob = scene.attach("bob");
    assert_eq!(bob.receiver.acknowledged_before(), 0);
    assert_eq!(bob.read().len(), 2);
    let mut newer = scene.attach("bob");
    bob.acknowledge();
    drop(bob);
    assert_eq!(sent[0].states(), [(State::Queued, 0)]);
    assert_eq!(newer.read(), [(1, true), (2, true)]);
    newer.acknowledge();
    assert_eq!(scene.attach("bob").receiver.acknowledged_before(), 2);
}

#[test]
fn a_session_that_is_being_closed_does_not_take_the_newers_place() {
    let mut scene = Scene::new();
    let mut newer = scene.attach("bob");
    let late = Client::new();
    late.outbox.close(Code::Replaced);
    let bob = Arc::clone(&scene.accounts[1]);
    let receiver = Receiver::attach(scene.log(), &bob, &late.outbox);
    let mut late = Reader { receiver, client: late, skipped: 0 };
    scene.send("alice", "bob", 1);
    assert_eq!((late.read(), newer.read()), (vec![], vec![(1, false)]));
}

#[test]
fn a_session_of_a_deleted_account_gets_nothing_of_the_names_next_owner() {
    let mut scene = Scene::new();
    let mut before = scene.attach("bob");
    let old = Arc::clone(&scene.accounts[1]);
    scene.mail().remove(&old);
    scene.log().lock().join(Owner { identity: Fingerprint([9; 32]), ..owner(&old) }, &mut Wakes::default());
    let mut after = scene.attach("bob");
    scene.send("alice", "bob", 1);
    assert_eq!((before.read(), after.read()), (vec![], vec![]));
}

#[test]
fn an_acknowledgement_of_another_session_or_of_nothing_is_refused() {
    let mut scene = Scene::new();
    scene.send("alice", "bob", 1);
    let mut bob = scene.attach("bob");
    let mut acknowledge = |delivery: DeliveryId| bob.receiver.acknowledge(delivery);
    assert_eq!(acknowledge(DeliveryId { epoch: 0, number: 1 }), Err(NotDelivered));
    bob.read();
    let delivered = bob.receiver.last_delivered().unwrap();
    let mut acknowledge = |delivery: DeliveryId| bob.receiver.acknowledge(delivery);
    assert_eq!(acknowledge(DeliveryId { epoch: delivered.epoch ^ 1, ..delivered }), Err(NotDelivered));
    assert_eq!(acknowledge(DeliveryId { number: 0, ..delivered }), Err(NotDelivered));
    assert_eq!(acknowledge(DeliveryId { number: 2, ..delivered }), Err(NotDelivered));
    assert_eq!(acknowledge(delivered), Ok(()));
    assert_eq!(acknowledge(delivered), Err(NotDelivered));
    bob.receiver.settle_now(&bob.client.outbox);
    let mut next = scene.attach("bob");
    scene.send("alice", "bob", 2);
    assert_eq!(next.read(), [(2, false)]);
    let own = next.receiver.last_delivered().unwrap();
    assert_eq!(next.receiver.acknowledge(DeliveryId { epoch: delivered.epoch, ..own }), Err(NotDelivered));
    assert_eq!(next.receiver.acknowledge(delivered), Err(NotDelivered));
}

#[test]
fn the_sender_hears_queued_then_delivered_and_for_the_group_how_many() {
    let mut scene = Scene::new();
    let to_bob = scene.send("alice", "bob", 1);
    let to_all = scene.send("alice", "ALL", 2);
    assert_eq!(to_bob.states(), [(State::Queued, 0)]);
    assert_eq!(to_all.states(), [(State::Queued, 0)]);
    scene.collect("bob");
    assert_eq!(to_bob.states()[1..], [(State::Delivered, 1)]);
    assert_eq!(to_all.states()[1..], [(State::Delivered, 1)]);
    scene.collect("carol");
    assert_eq!(to_all.states()[2..], [(State::Delivered, 2)]);
}

#[test]
fn a_sender_that_came_back_hears_of_its_earlier_messages() {
    let mut scene = Scene::new();
    drop(scene.send("alice", "bob", 1));
    scene.open();
    let alice = scene.attach("alice");
    scene.collect("bob");
    assert_eq!(alice.client.states(), [(State::Delivered, 1)]);
}

#[test]
fn a_full_mailbox_refuses_and_the_others_are_served() {
    let quotas = Quotas { messages: 3, per_sender: 2, ..Quotas::default() };
    let mut scene = Scene::with(quotas, Durability::Disk, FailingDisk::default());
    let client = Client::new();
    let to_bob = |scene: &Scene, from, id| scene.submit(from, "bob", id, b"", &client);
    assert_eq!([to_bob(&scene, "alice", 1), to_bob(&scene, "alice", 2)], [Ok(()), Ok(())]);
    assert_eq!(to_bob(&scene, "alice", 3), Err(Code::MailboxFull));
    assert_eq!(to_bob(&scene, "carol", 4), Ok(()));
    assert_eq!(to_bob(&scene, "carol", 5), Err(Code::MailboxFull));
    assert_eq!(scene.submit("alice", "carol", 6, b"", &client), Ok(()));
    scene.open();
    assert_eq!(scene.submit("carol", "bob", 7, b"", &client), Err(Code::MailboxFull));
    assert_eq!(scene.collect("bob"), [1, 2, 4]);
    assert_eq!(scene.submit("carol", "bob", 8, b"", &client), Ok(()));
    assert_eq!(scene.submit("alice", "nobody", 9, b"", &client), Err(Code::NoSuchUser));
}

#[test]
fn the_last_group_messages_wait_and_the_others_are_counted() {
    let quotas = Quotas { group: 10, ..Quotas::default() };
    let mut scene = Scene::with(quotas, Durability::Disk, FailingDisk::default());
    for id in 1..=200 {
        scene.send(if id % 2 == 0 { "alice" } else { "carol" }, "ALL", id);
    }
    for restarted in [false, true] {
        if restarted {
            scene.open();
        }
        let mut bob = scene.attach("bob");
        assert_eq!(bob.read(), (191..=200).map(|id| (id, true)).collect::<Vec<_>>());
        assert_eq!(bob.skipped, 190);
        let mut alice = scene.attach("alice");
        assert_eq!(alice.read().len(), 5);
        assert_eq!(alice.skipped, 95, "its own don't count");
    }
    let mut bob = scene.attach("bob");
    bob.read();
    bob.acknowledge();
    let mut again = scene.attach("bob");
    assert_eq!((again.read(), again.skipped), (vec![], 0));
}

#[test]
fn a_connected_reader_that_lags_behind_gets_all_from_the_disk() {
    let quotas = Quotas { group: 10, ..Quotas::default() };
    let mut scene = Scene::with(quotas, Durability::Disk, FailingDisk::default());
    let mut bob = scene.attach("bob");
    for id in 1..=200 {
        scene.send("alice", "ALL", id);
    }
    assert_eq!(bob.read(), (1..=200).map(|id| (id, false)).collect::<Vec<_>>());
    bob.acknowledge();
    assert_eq!(bob.skipped, 0);
}

#[test]
fn many_threads_at_once_and_everybody_gets_all_in_the_order_of_each_sender() {
    let mut scene = Scene::new();
    let mut readers = [scene.attach("bob"), scene.attach("alice")];
    let scene = &scene;
    let ids = |odd: u8| (1..=250).filter(move |id| id % 2 == odd);
    std::thread::scope(|scope| {
        for (sender, odd) in [("alice", 0), ("carol", 1)] {
            let clients =
                move || ids(odd).map(|id| scene.send_silently(sender, "ALL", id)).for_each(|sent| sent.wait());
            scope.spawn(clients);
        }
        let [bob, alice] = &mut readers;
        for (reader, expected) in [(bob, vec![0, 1]), (alice, vec![1])] {
            scope.spawn(move || {
                let (mut got, begun) = (Vec::new(), Instant::now());
                while got.len() < expected.len() * 125 {
                    assert!(begun.elapsed() < PATIENCE, "{} came", got.len());
                    got.extend(reader.read().into_iter().map(|(id, _)| id));
                    reader.acknowledge();
                }
                for odd in expected {
                    assert!(got.iter().copied().filter(|id| id % 2 == odd).eq(ids(odd)));
                }
            });
        }
    });
}

#[test]
fn a_resend_is_answered_as_before_and_delivered_once() {
    let mut scene = Scene::new();
    scene.send("alice", "bob", 1);
    assert_eq!(scene.send("alice", "bob", 1).states(), [(State::Queued, 0)]);
    scene.open();
    assert_eq!(scene.send("alice", "bob", 1).states(), [(State::Queued, 0)]);
    assert_eq!(scene.submit("alice", "bob", 1, b"other bytes", &Client::new()), Err(Code::IdReused));
    assert_eq!(scene.collect("bob"), [1]);
    assert_eq!(scene.send("alice", "bob", 1).states(), [(State::Accepted, 0), (State::Delivered, 1)]);
    assert_eq!(scene.collect("bob"), [0; 0]);
    scene.send("carol", "bob", 1);
    assert_eq!(scene.collect("bob"), [1], "ids are per sender");
}

#[test]
fn a_new_account_begins_at_the_end_and_an_old_owners_mail_goes_with_him() {
    let mut scene = Scene::new();
    scene.send("alice", "ALL", 1);
    let dave = scene.join("dave");
    scene.send("alice", "ALL", 2);
    assert_eq!(scene.collect("dave"), [2]);
    scene.send("alice", "dave", 3);
    scene.mail().remove(&dave);
    assert_eq!(scene.submit("alice", "dave", 4, b"", &Client::new()), Err(Code::NoSuchUser));
    scene.accounts.pop();
    // The same name and keys again: what waited for the first account is gone all the same.
    scene.join("dave");
    scene.open();
    assert_eq!(scene.collect("dave"), [0; 0]);
}

/// The accounts are changed one after the other; what the store is told of it may cross.
/// Found by the simulator: news of what an account had sent went to the next one of its name.
#[test]
fn what_becomes_of_an_old_owners_messages_is_no_news_for_the_next_one() {
    let mut scene = Scene::new();
    let dave = scene.join("dave");
    drop(scene.send("dave", "bob", 1));
    scene.mail().remove(&dave);
    scene.accounts.pop();
    scene.join("dave");
    let next = scene.attach("dave");
    scene.send("dave", "bob", 2);
    assert_eq!(scene.collect("bob"), [1, 2]);
    let ids = next.client.heard().into_iter().filter_map(|frame| match frame {
        ToClient::Status { msg_id, .. } => Some(msg_id.0[0]),
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), [2]);
}

#[test]
fn a_name_that_is_deleted_and_registered_again_at_once_has_the_new_owners_mailbox() {
    let mut scene = Scene::new();
    let [old, new] = [0; 2].map(|_| account("dave", scene.mail().next_start()));
    scene.mail().join(&old);
    scene.send("alice", "dave", 1);
    scene.mail().join(&new);
    scene.mail().remove(&old);
    scene.mail().join(&old);
    scene.accounts.push(new);
    scene.send("alice", "dave", 2);
    assert_eq!(scene.collect("dave"), [2]);
}

#[test]
fn an_account_whose_cursor_was_lost_begins_where_it_joined() {
    let mut scene = Scene::new();
    scene.send("alice", "ALL", 1);
    scene.join("dave");
    scene.send("alice", "ALL", 2);
    scene.store = None;
    std::fs::remove_file(scene.folder.path().join(CURSORS)).unwrap();
    scene.open();
    assert_eq!(scene.collect("dave"), [2]);
    assert_eq!(scene.collect("bob"), [1, 2]);
}

/// A cursor that outlives its account is not taken for that of the next one of that name.
#[test]
fn an_account_of_a_name_that_was_there_before_gets_nothing_from_before_after_a_crash() {
    let mut scene = Scene::new();
    let first = scene.join("dave");
    scene.send("alice", "ALL", 1);
    assert_eq!(scene.collect("dave"), [1]);
    scene.open();
    scene.mail().remove(&first);
    scene.accounts.pop();
    for id in 2..=4 {
        scene.send("alice", "ALL", id);
    }
    // The crash: of what follows, only the account is on disk.
    let before = std::fs::read(scene.folder.path().join(CURSORS)).unwrap();
    scene.join("dave");
    scene.store = None;
    std::fs::write(scene.folder.path().join(CURSORS), before).unwrap();
    scene.open();
    scene.send("alice", "ALL", 5);
    assert_eq!(scene.collect("dave"), [5]);
}

#[test]
fn numbers_go_on_behind_every_one_that_was_used_and_no_start_comes_twice() {
    let mut scene = Scene::new();
    let first = scene.join("dave").joined();
    scene.open();
    scene.mail().remove(&scene.accounts[3]);
    scene.accounts.pop();
    scene.open();
    let second = scene.join("dave").joined();
    scene.open();
    assert!(first < second && second < scene.mail().next_start());
}

/// A start is no message: that nothing was written with its number does not hold the cursors back.
#[test]
fn the_cursor_of_a_new_account_is_written_although_no_message_follows() {
    let mut scene = Scene::new();
    scene.send("alice", "ALL", 1);
    let dave = scene.join("dave");
    scene.open();
    let text = std::fs::read_to_string(scene.folder.path().join(CURSORS)).unwrap();
    let line = format!(r#""name":"dave","identity":"{}","joined":{}"#, dave.origin().to_hex(), dave.joined());
    assert!(text.contains(&line), "{text}");
}

#[test]
fn age_is_time_that_the_server_ran_and_neither_a_restart_nor_the_wall_clock_adds_to_it() {
    let quotas = Quotas { age: Duration::from_secs(30), ..Quotas::default() };
    let mut scene = Scene::with(quotas, Durability::Disk, FailingDisk::default());
    scene.ran_ms = 3_600_000;
    scene.open();
    scene.send("alice", "bob", 1);
    // The log tells how long the server ran, also where nothing else does.
    scene.ran_ms = 0;
    scene.open();
    assert!(scene.log().clock.now_ms() >= 3_600_000);
    let mut bob = scene.attach("bob");
    assert_eq!((bob.read(), bob.skipped), (vec![(1, true)], 0));
    drop(bob);
    scene.ran_ms = 3_600_000 + 31_000;
    scene.open();
    let begun = Instant::now();
    while scene.mail().waiting().0 > 0 {
        assert!(begun.elapsed() < PATIENCE, "it ran for long enough");
        std::thread::yield_now();
    }
}

#[test]
fn segments_that_nobody_needs_are_deleted_and_numbers_go_on() {
    let mut scene = Scene::new();
    for id in 1..=40 {
        scene.send("alice", "bob", id);
    }
    assert!(scene.segments().len() > 5);
    assert_eq!(scene.collect("bob").len(), 40);
    scene.open();
    scene.store = None;
    assert_eq!(scene.segments().len(), 1);
    scene.open();
    scene.send("alice", "bob", 41);
    assert_eq!(scene.collect("bob"), [41]);
}

#[test]
fn a_message_over_its_age_goes_and_is_counted() {
    let quotas = Quotas { age: Duration::ZERO, ..Quotas::default() };
    let mut scene = Scene::with(quotas, Durability::Disk, FailingDisk::default());
    scene.send("alice", "bob", 1);
    scene.log().lock().expire(u64::MAX);
    let mut bob = scene.attach("bob");
    assert_eq!((bob.read(), bob.skipped), (vec![], 1));
}

/// Every cut of the last segment is a torn end, unless it is known that more was on disk; every cut of an earlier one is damage,
/// told with its place.
#[test]
fn the_log_cut_at_every_byte_is_recovered_or_refused_and_left_alone() {
    let mut scene = Scene::new();
    let begun = scene.files();
    for id in 1..=8 {
        scene.send("alice", "bob", id);
    }
    scene.store = None;
    let (segments, ended) = (scene.segments(), scene.files());
    assert_eq!(segments.len(), 2);
    for (position, path) in segments.iter().enumerate() {
        let whole = &ended[path];
        for length in 0..whole.len() {
            for after_a_crash in [true, false] {
                if !after_a_crash && length % 16 > 0 {
                    continue;
                }
                scene.restore(&ended);
                if after_a_crash {
                    // The file of cursors tells no more of the log than at the beginning.
                    scene.restore_cursors(&begun);
                }
                std::fs::write(path, &whole[..length]).unwrap();
                let case = format!("segment {position} cut to {length}, {after_a_crash}");
                match scene.try_open() {
                    Ok(store) => {
                        scene.store = Some(store);
                        let mut bob = scene.attach("bob");
                        let got: Vec<u8> = bob.read().into_iter().map(|(id, _)| id).collect();
                        assert_eq!(got, (1..=got.len() as u8).collect::<Vec<_>>(), "{case}");
                        assert!(position == 1 && after_a_crash && got.len() >= 4, "{case}: {got:?}");
                        drop(bob);
                        scene.store = None;
                    }
                    Err(StoreError::Damaged { path: named, .. } | StoreError::Short { path: named, .. }) => {
                        assert_eq!((&named, std::fs::read(path).unwrap().len()), (path, length));
                        assert!(position == 0 || length < 8 || !after_a_crash, "{case}");
                    }
                    Err(other) => panic!("{other}"),
                }
            }
        }
    }
    scene.restore(&ended);
    scene.open();
    assert_eq!(scene.collect("bob").len(), 8);
}

#[test]
fn a_changed_byte_before_the_end_is_damage_and_the_file_stays() {
    let mut scene = Scene::new();
    scene.segment_bytes = 1_000_000;
    scene.open();
    for id in 1..=3 {
        scene.send("alice", "bob", id);
    }
    scene.store = None;
    let path = scene.segments().remove(0);
    let whole = std::fs::read(&path).unwrap();
    let record = (whole.len() - 8) / 3;
    for offset in 8..8 + 2 * record {
        let mut changed = whole.clone();
        changed[offset] ^= 0x55;
        std::fs::write(&path, &changed).unwrap();
        match scene.try_open() {
            Err(StoreError::Damaged { path: named, offset: told }) => {
                assert_eq!((named, told), (path.clone(), if offset < 8 + record { 8 } else { 8 + record as u64 }));
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("byte {offset} was changed unnoticed"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), changed);
    }
}

/// What was accepted and not acknowledged arrives, or the start is refused and nothing was changed, or what was cut off is in a
/// copy: nothing vanishes in silence, whichever bit flips.
#[test]
fn a_flipped_bit_in_any_byte_of_log_and_cursors_lets_nothing_vanish() {
    let mut scene = Scene::new();
    let begun = scene.files();
    for id in 1..=2 {
        scene.send("alice", "bob", id);
    }
    assert_eq!(scene.collect("bob"), [1, 2]);
    scene.open();
    for id in 3..=4 {
        scene.send("carol", "bob", id);
    }
    scene.store = None;
    let ended = scene.files();
    for after_a_crash in [true, false] {
        let mut files = ended.clone();
        if after_a_crash {
            files.extend(begun.iter().filter(|(path, _)| path.ends_with(CURSORS)).map(|(p, b)| (p.clone(), b.clone())));
        }
        for (path, whole) in &files {
            for offset in 0..whole.len() {
                scene.restore(&files);
                let mut changed = whole.clone();
                changed[offset] ^= 1 << (offset % 8);
                std::fs::write(path, &changed).unwrap();
                let case = format!("{} byte {offset}, {after_a_crash}", path.display());
                let Ok(store) = scene.try_open() else {
                    assert_eq!(std::fs::read(path).unwrap(), changed, "{case}");
                    continue;
                };
                scene.store = Some(store);
                let got: Vec<u8> = scene.attach("bob").read().into_iter().map(|(id, _)| id).collect();
                scene.store = None;
                let folder = path.parent().unwrap();
                let is_copied = std::fs::read_dir(folder).unwrap().any(|entry| {
                    let copy = entry.unwrap().path();
                    copy.to_string_lossy().contains(".torn-") && changed.ends_with(&std::fs::read(copy).unwrap())
                });
                let has_all = got.ends_with(&[3, 4]);
                assert!(is_copied, "{case}: nothing was said");
                assert!(has_all || path.extension().is_some_and(|end| end == "log"), "{case}: {got:?}");
            }
        }
    }
}

#[test]
fn a_segment_that_is_gone_stops_the_start_until_somebody_says_that_it_is_lost() {
    let mut scene = Scene::new();
    for id in 1..=14 {
        scene.send("alice", "bob", id);
    }
    scene.store = None;
    let (segments, files) = (scene.segments(), scene.files());
    assert_eq!(segments.len(), 4);
    for (position, path) in segments.iter().enumerate() {
        scene.restore(&files);
        std::fs::remove_file(path).unwrap();
        match scene.try_open() {
            Err(error @ StoreError::Missing { .. }) => {
                let marker = files::segment::lost(path);
                let hint = format!("touch {} (then those of them that wait for somebody are lost)", marker.display());
                assert!(error.hint().unwrap().to_string().ends_with(&hint), "{error}");
                std::fs::write(marker, "").unwrap();
            }
            other => panic!("{position}: {:?}", other.err()),
        }
        scene.open();
        let got = scene.collect("bob");
        assert!(got.len() >= 8 && got.is_sorted(), "{position}: {got:?}");
        scene.send("alice", "bob", 20);
        scene.open();
        assert_eq!(scene.collect("bob"), [20], "{position}");
    }
}

#[test]
fn a_damaged_segment_can_be_given_up_and_stays_where_it_is() {
    let mut scene = Scene::new();
    for id in 1..=14 {
        scene.send("alice", "bob", id);
    }
    scene.store = None;
    let (segments, files) = (scene.segments(), scene.files());
    for path in &segments {
        scene.restore(&files);
        let mut changed = files[path].clone();
        changed[300] ^= 1;
        std::fs::write(path, &changed).unwrap();
        assert!(matches!(scene.try_open(), Err(StoreError::Damaged { .. } | StoreError::Short { .. })));
        std::fs::write(files::segment::lost(path), "").unwrap();
        for _ in 0..2 {
            scene.open();
            assert!(scene.attach("bob").read().len() >= 8);
            assert_eq!(std::fs::read(path).unwrap(), changed);
        }
    }
}

#[test]
fn one_old_message_keeps_no_other_on_the_disk() {
    let mut scene = Scene::new();
    scene.send("alice", "carol", 1);
    for round in 0..10 {
        for id in 0..20 {
            scene.send("alice", "bob", 10 + round * 20 + id);
        }
        if round == 5 {
            scene.send("bob", "carol", 2);
        }
        scene.collect("bob");
    }
    scene.open();
    let begun = Instant::now();
    while scene.segments().len() > 3 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", scene.segments());
        std::thread::yield_now();
    }
    scene.send("alice", "carol", 3);
    for restarted in [false, true] {
        if restarted {
            scene.open();
        }
        let mut carol = scene.attach("carol");
        assert_eq!(carol.read(), [(1, true), (2, true), (3, true)], "{restarted}");
    }
    let bytes: u64 = scene.segments().iter().map(|path| std::fs::metadata(path).unwrap().len()).sum();
    assert!(bytes < 2 * scene.segment_bytes, "{bytes}");
}

/// A crash comes between the new file and the deletion of the old ones.
#[test]
fn what_was_put_together_counts_and_what_it_stands_for_goes() {
    let mut scene = Scene::new();
    scene.send("alice", "carol", 1);
    for id in 2..40 {
        scene.send("alice", "bob", id);
    }
    scene.store = None;
    let before = scene.files();
    scene.open();
    scene.collect("bob");
    let begun = Instant::now();
    while !scene.segments().iter().any(|path| path.to_string_lossy().contains('-')) {
        scene.open();
        assert!(begun.elapsed() < PATIENCE);
    }
    scene.store = None;
    for (path, bytes) in before.iter().filter(|(path, _)| !path.ends_with(CURSORS) && !path.exists()) {
        crate::storage::private::create_new(path, bytes).unwrap();
    }
    scene.open();
    assert_eq!(scene.collect("carol"), [1]);
    assert!(scene.segments().len() <= 3, "{:?}", scene.segments());
}

/// Found by the simulator: put together by itself, it got its own name again, and was deleted with it.
#[test]
fn what_was_put_together_is_never_deleted_in_favour_of_itself() {
    let mut scene = Scene::new();
    scene.join("dave");
    for id in 1..8 {
        scene.send("alice", "carol", id);
    }
    scene.send("alice", "dave", 8);
    let for_bob = |scene: &mut Scene, ids: Range<u8>| {
        for id in ids {
            scene.send("alice", "bob", id);
        }
    };
    for begin in [10, 30, 50, 70] {
        for_bob(&mut scene, begin..begin + 20);
        scene.collect("bob");
    }
    let begun = Instant::now();
    while !scene.segments().iter().any(|path| path.to_string_lossy().contains('-')) {
        scene.open();
        assert!(begun.elapsed() < PATIENCE);
    }
    assert_eq!(scene.collect("carol"), [1, 2, 3, 4, 5, 6, 7]);
    // One of eight is needed now, and what follows is needed as a whole.
    for_bob(&mut scene, 100..120);
    for _ in 0..3 {
        scene.open();
    }
    assert_eq!(scene.collect("dave"), [8]);
}

/// A crash comes between the file that was put together again by itself and the deletion of the one before.
#[test]
fn of_what_was_put_together_twice_the_newer_counts() {
    let mut scene = Scene::new();
    scene.send("alice", "carol", 1);
    scene.store = None;
    let [segment] = <[_; 1]>::try_from(scene.segments()).unwrap();
    let mut whole = std::fs::read(&segment).unwrap();
    whole.extend(b"TCLOGEND");
    std::fs::remove_file(&segment).unwrap();
    let [older, newer] = ["", "-1"].map(|again| segment.with_file_name(format!("{:020}-{:020}{again}.log", 1, 9)));
    crate::storage::private::create_new(&older, b"what it was").unwrap();
    crate::storage::private::create_new(&newer, &whole).unwrap();
    scene.open();
    assert!(newer.exists() && !older.exists(), "{:?}", scene.segments());
    assert_eq!(scene.collect("carol"), [1]);
}

/// Found by the fuzz target `mailbox_load`: "nothing was changed" was said after the torn line had been cut off.
#[test]
fn a_start_that_is_refused_leaves_torn_cursors_as_they_were() {
    let mut scene = Scene::new();
    scene.send("alice", "bob", 1);
    scene.collect("bob");
    scene.store = None;
    let cursors = scene.folder.path().join(CURSORS);
    let mut torn = std::fs::read(&cursors).unwrap();
    torn.truncate(torn.len() - 5);
    std::fs::write(&cursors, &torn).unwrap();
    let segment = scene.segments().remove(0);
    std::fs::write(&segment, b"no log").unwrap();
    assert!(matches!(scene.try_open(), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read(&cursors).unwrap(), torn);
}

/// A crash can cut the last record; what the file came into being with was whole from the beginning.
#[test]
fn cursors_cut_at_every_byte_lose_nothing_but_time() {
    let mut scene = Scene::new();
    scene.store = None;
    let path = scene.folder.path().join(CURSORS);
    let founded = std::fs::read(&path).unwrap().len();
    scene.open();
    for id in 1..=3 {
        scene.send("alice", "bob", id);
        let mut bob = scene.attach("bob");
        bob.read();
        bob.acknowledge();
        drop(bob);
        scene.open();
    }
    scene.send("alice", "bob", 4);
    scene.store = None;
    let files = scene.files();
    let whole = &files[&path];
    for length in 0..=whole.len() {
        scene.restore(&files);
        std::fs::write(&path, &whole[..length]).unwrap();
        match scene.try_open() {
            Ok(store) => {
                scene.store = Some(store);
                let mut bob = scene.attach("bob");
                let got = bob.read();
                assert_eq!(got.last(), Some(&(4, true)), "cut to {length}");
                drop(bob);
                scene.store = None;
            }
            Err(StoreError::Cursors(_)) => {
                assert_eq!(std::fs::read(&path).unwrap(), whole[..length]);
                let lines = whole[..length].split(|byte| *byte == b'\n').count();
                assert!(length < founded || lines < whole.split(|byte| *byte == b'\n').count(), "cut to {length}");
            }
            Err(other) => panic!("{other}"),
        }
    }
    scene.restore(&files);
    std::fs::write(&path, [whole, &b"{}\n{}\n"[..]].concat()).unwrap();
    assert!(matches!(scene.try_open(), Err(StoreError::Cursors(_))));
}

/// Fails each operation of a scenario in turn, some of them, or all from there on, with a restart behind.
#[test]
fn whatever_fails_what_was_accepted_arrives_once_and_in_order() {
    let clean = FailingDisk::default();
    scenario(&clean, "clean");
    assert!(clean.operations() > 20, "{}", clean.operations());
    for first in 5..clean.operations() + 2 {
        for count in [1, 2, 3, usize::MAX] {
            scenario(&FailingDisk::new(first, count), &format!("{first}+{count}"));
        }
    }
}

fn scenario(disk: &FailingDisk, case: &str) {
    let mut scene = Scene::with(Quotas::default(), Durability::Disk, disk.clone());
    let mut got: [Vec<u8>; 2] = [Vec::new(), Vec::new()];
    let mut sent: Vec<(u8, &str, Client)> = Vec::new();
    let mut bob = scene.attach("bob");
    let targets = ["bob", "carol", "ALL", "bob", "carol", "bob", "ALL", "carol", "bob", "ALL"];
    for (id, to) in (1..).zip(targets) {
        let client = scene.send_silently("alice", to, id);
        got[0].extend(bob.read().iter().map(|(id, _)| *id));
        if id % 3 == 0 {
            bob.acknowledge();
        }
        sent.push((id, to, client));
        if id % 4 != 0 {
            settle(&mut bob, &sent);
        }
    }
    bob.acknowledge();
    drop(bob);
    settle_all(&sent);
    scene.store = None;
    disk.heal();
    scene.open();
    got[0].extend(scene.collect("bob"));
    got[1].extend(scene.collect("carol"));
    for (id, to, client) in &sent {
        if !client.is_accepted() {
            assert!(!case.starts_with("clean"), "{id} was refused: {:?}", client.heard());
            continue;
        }
        for (name, got) in ["bob", "carol"].iter().zip(&got) {
            if to == name || *to == "ALL" {
                assert!(got.contains(id), "{case}: {id} was accepted and {name} never got it: {got:?}");
            }
        }
    }
    for got in &got {
        let mut seen = HashSet::new();
        let first_time: Vec<_> = got.iter().filter(|id| seen.insert(**id)).collect();
        assert!(first_time.is_sorted(), "{case}: {got:?}");
    }
}

/// Acknowledges until the last message is answered: one that the disk refused waits for that.
fn settle(bob: &mut Reader, sent: &[(u8, &str, Client)]) {
    let begun = Instant::now();
    while sent.last().is_some_and(|(.., client)| client.heard().is_empty()) {
        bob.acknowledge();
        assert!(begun.elapsed() < PATIENCE, "no answer");
        std::thread::yield_now();
    }
}

fn settle_all(sent: &[(u8, &str, Client)]) {
    for (.., client) in sent {
        client.wait();
    }
}

#[test]
fn with_a_broken_disk_live_messages_arrive_and_nothing_is_promised() {
    let mut scene = Scene::new();
    let mut bob = scene.attach("bob");
    scene.disk.break_down();
    let live = scene.send_silently("alice", "bob", 1);
    let begun = Instant::now();
    while bob.read().is_empty() {
        assert!(begun.elapsed() < PATIENCE);
    }
    bob.acknowledge();
    live.wait();
    assert_eq!(live.states(), [(State::Accepted, 0), (State::Delivered, 1)]);
    let refused = |client: &Client| matches!(client.heard()[..], [ToClient::Refused { .. }]);
    assert!(refused(&scene.send("alice", "carol", 2)));
    let to_all = scene.send_silently("alice", "ALL", 3);
    while bob.read().is_empty() {
        assert!(begun.elapsed() < PATIENCE);
    }
    bob.acknowledge();
    to_all.wait();
    assert_eq!(to_all.states(), [(State::Unconfirmed, 1)]);
    scene.disk.heal();
    assert_eq!(scene.send("alice", "carol", 2).states(), [(State::Queued, 0)]);
    assert_eq!(scene.collect("carol"), [2]);
    drop(bob);
    scene.open();
    scene.send("alice", "carol", 4);
    assert_eq!(scene.collect("carol"), [4]);
}

#[test]
fn a_group_message_that_was_refused_is_missed_by_nobody() {
    let quotas = Quotas { group: 10, ..Quotas::default() };
    let mut scene = Scene::with(quotas, Durability::Disk, FailingDisk::default());
    for id in 1..=200 {
        if id % 50 == 7 {
            scene.disk.break_down();
            let refused = scene.send("alice", "ALL", 200 + id % 49);
            assert!(matches!(refused.heard()[..], [ToClient::Refused { .. }]));
            scene.disk.heal();
        }
        scene.send("alice", "ALL", id);
    }
    for restarted in [false, true] {
        if restarted {
            scene.open();
        }
        let mut bob = scene.attach("bob");
        assert_eq!((bob.read().len(), bob.skipped), (10, 190), "{restarted}");
    }
}

/// Else it could have one more underway than the limit says, for each.
#[test]
fn an_answer_for_a_session_that_is_gone_is_none_for_the_next_one() {
    let mut scene = Scene::new();
    let mut bob = scene.attach("bob");
    scene.disk.break_down();
    let gone = scene.send_silently("alice", "bob", 1);
    let begun = Instant::now();
    while bob.read().is_empty() {
        assert!(begun.elapsed() < PATIENCE);
    }
    drop(gone);
    let next = scene.attach("alice");
    next.client.outbox.expect_answer();
    bob.acknowledge();
    next.client.wait();
    assert_eq!(next.client.states()[0], (State::Accepted, 0));
    assert!(
        !next.client.outbox.may_take(crate::limits::SENDS_UNANSWERED - 1),
        "its own message is still to be answered"
    );
}

#[test]
fn durability_memory_answers_at_once_and_writes_when_it_can() {
    let mut scene = Scene::with(Quotas::default(), Durability::Memory, FailingDisk::default());
    scene.disk.break_down();
    let client = scene.send_silently("alice", "bob", 1);
    assert_eq!(client.states(), [(State::Queued, 0)]);
    scene.disk.heal();
    scene.open();
    assert_eq!(scene.collect("bob"), [1]);
}

#[test]
fn a_machine_without_room_for_a_thread_is_told_with_the_limit() {
    let error = StoreError::Thread(std::io::ErrorKind::WouldBlock.into());
    assert_eq!(error.hint().map(|hint| hint.to_string()).as_deref(), Some("raise the limit of processes: ulimit -u"));
    assert_eq!(error.exit(), crate::error::Exit::Local);
}
