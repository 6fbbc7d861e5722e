use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;

use proptest::prelude::*;
use tempfile::TempDir;

use super::file::{load, replay};
use super::record::Record;
use super::writer::{Store, Writer};
use super::*;
use crate::storage::append::{AppendFile, Records, Torn};
use crate::storage::failing::FailingMedium;
use crate::storage::lock::LockError;

const MANY: usize = 1000;

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

/// Keys that only parse: accounts look no deeper.
fn bundle(text: &str, identity: u8) -> Bundle {
    Bundle {
        name: name(text),
        identity: vec![identity; 40],
        encryption: vec![identity.wrapping_add(1); 40],
        number: 1,
        signature: vec![7; 20],
    }
}

fn verifier(of: u8) -> Verifier {
    Verifier { salt: [of; 16], iterations: 600_000, stored_key: [of; 32], server_key: [of; 32] }
}

fn account(text: &str, identity: u8) -> Account {
    Account::new(bundle(text, identity).encode(), verifier(identity), 1_700_000_000_000).unwrap()
}

/// A data folder that is made anew for one test.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn with(content: &[u8]) -> Self {
        let place = Self::new();
        DirBuilder::new().mode(0o700).create(place.data()).unwrap();
        fs::write(place.file(), content).unwrap();
        fs::set_permissions(place.file(), Permissions::from_mode(0o600)).unwrap();
        place
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn file(&self) -> PathBuf {
        self.data().join(FILE_NAME)
    }

    fn open(&self) -> Result<(LockedFolder, Accounts), AccountsError> {
        let folder = LockedFolder::open(&self.data()).unwrap();
        let accounts = Accounts::open(&folder, MANY)?;
        Ok((folder, accounts))
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }
}

/// Everything about every account, to be compared.
fn all(accounts: &Accounts) -> Vec<Account> {
    accounts.page(None, usize::MAX).iter().map(|name| (*accounts.find(name).unwrap()).clone()).collect()
}

/// A database with a record of every kind but the checkpoint.
fn example() -> Vec<u8> {
    let place = Place::new();
    let (_folder, accounts) = place.open().unwrap();
    for (text, identity) in [("alice", 1), ("bob", 2), ("carol", 3)] {
        accounts.register(account(text, identity)).unwrap();
    }
    accounts.set_verifier(&account("alice", 1), verifier(9)).unwrap();
    accounts.set_disabled(&account("bob", 2), true).unwrap();
    accounts.set_disabled(&account("bob", 2), false).unwrap();
    accounts.set_disabled(&account("bob", 2), true).unwrap();
    accounts.delete(&account("carol", 3)).unwrap();
    place.content()
}

fn lines(of: &[u8]) -> Vec<String> {
    std::str::from_utf8(of).unwrap().lines().map(str::to_owned).collect()
}

fn written(record: &Record) -> Vec<u8> {
    let mut line = Vec::new();
    record.write(&mut line).unwrap();
    line
}

/// Starting is refused with these words about this line, and nothing is changed.
#[track_caller]
fn refused(content: &[u8], line: u64, words: &str) {
    let place = Place::with(content);
    let error = place.open().unwrap_err();
    let text = error.to_string();
    let begin = format!("{}, line {line}: ", place.file().display());
    assert!(text.starts_with(&begin) && text[begin.len()..].contains(words), "{text}");
    assert!(!text.contains(|c: char| c.is_control()), "{text}");
    assert_eq!(error.exit(), Exit::Configuration);
    assert_eq!(place.content(), content);
}

#[test]
fn changes_are_seen_at_once_and_again_after_a_restart() {
    let place = Place::with(&example());
    let (folder, accounts) = place.open().unwrap();
    assert_eq!(accounts.page(None, 9), [name("alice"), name("bob")]);
    assert_eq!(accounts.find(&name("alice")).unwrap().verifier(), &verifier(9));
    assert!(accounts.find(&name("bob")).unwrap().is_disabled());
    assert!(accounts.find(&name("carol")).is_none());
    accounts.set_disabled(&account("bob", 2), false).unwrap();
    accounts.register(account("carol", 4)).unwrap();
    let before = all(&accounts);
    drop((accounts, folder));
    assert_eq!(all(&place.open().unwrap().1), before);
}

#[test]
fn a_record_looks_as_documented() {
    let first = lines(&example()).swap_remove(0);
    let zeros = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let begin = format!(
        r#"{{"op":"register","v":1,"name":"alice","created_ms":1700000000000,"salt":"AQEBAQEBAQEBAQEBAQEBAQ==","iterations":600000,"stored_key":"{zeros}","server_key":"{zeros}","bundle":""#
    );
    assert!(first.starts_with(&begin), "{first}");
    assert!(lines(&example()).contains(&r#"{"op":"disable","v":1,"name":"bob"}"#.to_owned()));
}

#[test]
fn the_file_comes_into_being_with_the_first_account() {
    let place = Place::new();
    let (_folder, accounts) = place.open().unwrap();
    assert!(accounts.is_empty() && !place.file().exists());
    accounts.register(account("alice", 1)).unwrap();
    accounts.register(account("bob", 2)).unwrap();
    assert_eq!(lines(&place.content()).len(), 2);
}

#[test]
fn a_registration_may_be_repeated_but_sets_no_password() {
    let place = Place::new();
    let (_folder, accounts) = place.open().unwrap();
    let alice = account("alice", 1);
    assert_eq!(accounts.register(alice.clone()), Ok(Outcome::Changed));
    let again = Account::new(alice.bundle().to_vec(), verifier(66), 1).unwrap();
    assert_eq!(accounts.register(again), Ok(Outcome::Unchanged));
    assert_eq!(*accounts.find(alice.name()).unwrap(), alice);
    assert_eq!(accounts.register(account("alice", 2)), Err(ChangeError::NameTaken));
    let other_encryption = Bundle { encryption: vec![99; 40], ..bundle("alice", 1) };
    let other = Account::new(other_encryption.encode(), verifier(1), 1).unwrap();
    assert_eq!(accounts.register(other), Err(ChangeError::NameTaken));
    assert_eq!(lines(&place.content()).len(), 1);
}

#[test]
fn a_session_of_a_former_owner_changes_nothing() {
    let place = Place::new();
    let (_folder, accounts) = place.open().unwrap();
    let former = account("alice", 1);
    assert_eq!(accounts.delete(&former), Err(ChangeError::NoSuchUser));
    accounts.register(former.clone()).unwrap();
    accounts.delete(&former).unwrap();
    accounts.register(account("alice", 2)).unwrap();
    assert_eq!(accounts.set_verifier(&former, verifier(5)), Err(ChangeError::NoSuchUser));
    assert_eq!(accounts.set_disabled(&former, true), Err(ChangeError::NoSuchUser));
    assert_eq!(accounts.delete(&former), Err(ChangeError::NoSuchUser));
    assert_eq!(all(&accounts), [account("alice", 2)]);
}

#[test]
fn accounts_are_limited() {
    let place = Place::new();
    let folder = LockedFolder::open(&place.data()).unwrap();
    let accounts = Accounts::open(&folder, 1).unwrap();
    accounts.register(account("alice", 1)).unwrap();
    assert_eq!(accounts.register(account("bob", 2)), Err(ChangeError::Full));
    assert_eq!(accounts.register(account("alice", 1)), Ok(Outcome::Unchanged));
    accounts.delete(&account("alice", 1)).unwrap();
    assert_eq!(accounts.register(account("bob", 2)), Ok(Outcome::Changed));
}

#[test]
fn names_come_in_pages() {
    let place = Place::with(&example());
    let (_folder, accounts) = place.open().unwrap();
    accounts.register(account("mallory", 4)).unwrap();
    assert_eq!(accounts.page(None, 2), [name("alice"), name("bob")]);
    assert_eq!(accounts.page(Some(&name("bob")), 2), [name("mallory")]);
    assert_eq!(accounts.page(Some(&name("az")), 1), [name("bob")]);
    assert!(accounts.page(Some(&name("zoe")), 5).is_empty());
}

#[test]
fn one_of_many_who_want_a_name_gets_it() {
    let place = Place::new();
    let (folder, accounts) = place.open().unwrap();
    let winners = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for identity in 0..16 {
            let (accounts, winners) = (&accounts, &winners);
            scope.spawn(move || {
                for text in ["alice", "bob", "carol"] {
                    match accounts.register(account(text, identity)) {
                        Ok(outcome) => winners.lock().unwrap().push((outcome, account(text, identity))),
                        Err(error) => assert_eq!(error, ChangeError::NameTaken),
                    }
                }
            });
        }
    });
    let mut winners = winners.into_inner().unwrap();
    winners.sort_by(|(_, a), (_, b)| a.name().cmp(b.name()));
    assert!(winners.iter().all(|(outcome, _)| *outcome == Outcome::Changed));
    let winners: Vec<_> = winners.into_iter().map(|(_, account)| account).collect();
    assert_eq!(winners.len(), 3);
    assert_eq!(all(&accounts), winners);
    drop((accounts, folder));
    assert_eq!(all(&place.open().unwrap().1), winners);
}

#[test]
fn a_folder_serves_one_process() {
    let place = Place::new();
    let _first = place.open().unwrap();
    let second = LockedFolder::open(&place.data());
    assert!(matches!(second, Err(LockError::Held { pid: Some(pid), .. }) if pid == std::process::id()));
}

#[test]
fn every_bad_record_is_refused_with_its_line() {
    let good = example();
    let register = lines(&good).swap_remove(0);
    let bob = lines(&good).swap_remove(1);
    let swap = |from: &str, to: &str| {
        assert!(bob.contains(from), "{from}");
        bob.replacen(from, to, 1)
    };
    let cases: &[(String, &str)] = &[
        (String::new(), "blank line"),
        (" \t".to_owned(), "blank line"),
        ("{".to_owned(), "EOF"),
        ("[1]".to_owned(), "not a JSON object"),
        ("null".to_owned(), "not a JSON object"),
        ("hello".to_owned(), "not a JSON object"),
        (r#"["disable",1,"alice"]"#.to_owned(), "not a JSON object"),
        (format!("{bob} x"), "trailing characters"),
        (format!("{bob}{bob}"), "trailing characters"),
        (swap("register", "promote"), "unknown variant `promote`"),
        (swap("\"op\":\"register\",", ""), "missing field `op`"),
        (swap("\"v\":1", "\"v\":2"), "version 2 is not known"),
        (swap("\"v\":1,", ""), "missing field `v`"),
        (swap("\"v\":1", "\"v\":1,\"admin\":true"), "unknown field `admin`"),
        (swap("\"v\":1", "\"v\":1,\"\\u001b[2J\":true"), "unknown field `^[[2J`"),
        (swap("\"v\":1", "\"v\":1,\"v\":1"), "duplicate field `v`"),
        (swap("\"op\"", "\"op\":\"register\",\"op\""), "duplicate field `op`"),
        (swap("\"bob\"", "\"Bob\""), "begins with a letter"),
        (swap("\"bob\"", "\"all\""), "ALL means everybody"),
        (swap("\"bob\"", "\"rob\""), "bundle of rob is for the name bob"),
        (swap("\"bob\"", "7"), "expected an account name"),
        (swap("\"created_ms\":1700000000000", "\"created_ms\":-1"), "expected u64"),
        (swap("600000", "6e5"), "expected u32"),
        (swap("600000", "99999999999"), "expected u32"),
        (swap("AgICAgICAgICAgICAgICAg==", "AgIC"), "3 bytes are not as many"),
        (swap("AgICAgICAgICAgICAgICAg==", "AgICAgICAgICAgICAgICAh=="), "non-zero trailing bits"),
        (swap("AgICAgICAgICAgICAgICAg==", "!gICAgICAgICAgICAgICAg=="), "invalid symbol"),
        (swap("\"bundle\":\"", "\"bundle\":\"AAAA"), "bundle name: a name can't be empty"),
        (register, "alice is registered a second time"),
        (r#"{"op":"disable","v":1,"name":"zoe"}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"enable","v":1,"name":"zoe"}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"delete","v":1,"name":"zoe"}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"delete","v":1,"name":"alice","created_ms":1}"#.to_owned(), "unknown field `created_ms`"),
        (swap("register", "password").replace("bob", "zoe"), "unknown field `created_ms`"),
        (r#"{"op":"checkpoint","v":1,"records":0}"#.to_owned(), "first line only"),
        (format!("{bob}{}", " ".repeat(20_000)), "longer than 16384 bytes"),
    ];
    let first = lines(&good).swap_remove(0);
    for (bad, words) in cases {
        refused(format!("{first}\n{bad}\n{bob}\n").as_bytes(), 2, words);
    }
    refused(&[first.as_bytes(), b"\n{\"op\":\"\xff\"}\n"].concat(), 2, "not UTF-8");
}

#[test]
fn an_empty_or_blank_or_foreign_file_is_no_empty_database() {
    refused(b"", 1, "no whole record");
    refused(b"\n", 1, "blank line");
    refused(b"{\"op\":\"reg", 1, "no whole record");
    refused(b"\0\0\0\0", 1, "no whole record");
    refused(&vec![b'x'; 100_000], 1, "longer than 16384 bytes");
    refused(b"-----BEGIN PRIVATE KEY-----\n", 1, "not a JSON object");
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_remedy() {
    let place = Place::with(&example());
    fs::set_permissions(place.file(), Permissions::from_mode(0o644)).unwrap();
    let error = place.open().unwrap_err();
    assert_eq!(error.exit(), Exit::Local);
    assert_eq!(error.hint().unwrap(), format!("chmod 600 {}", place.file().display()));
}

#[test]
fn cut_at_any_byte_it_keeps_all_whole_records_or_refuses() {
    let good = example();
    let place = Place::with(b"");
    let (mut kept, mut accounts) = (0, Vec::new());
    for cut in 0..good.len() {
        let content = &good[..cut];
        if content.ends_with(b"\n") {
            kept = cut;
            accounts = all(&Place::with(content).open().unwrap().1);
        }
        fs::write(place.file(), content).unwrap();
        let mut records = Records::open(&place.file()).unwrap();
        let table = replay(&place.file(), &mut records);
        if kept == 0 {
            assert!(
                matches!(table, Err(AccountsError::Damaged { line: 1, why: Damage::NoRecord, .. })),
                "cut at {cut}"
            );
            continue;
        }
        let found: Vec<_> = table.unwrap().page(None, MANY);
        assert_eq!(found, accounts.iter().map(|account| account.name().clone()).collect::<Vec<_>>(), "cut at {cut}");
        let torn = Torn { offset: kept as u64, bytes: (cut - kept) as u64 };
        assert_eq!(records.torn(), (cut > kept).then_some(torn), "cut at {cut}");
        // The real start waits for the disk, so it is tried where lines begin only.
        if (1..3).contains(&torn.bytes) {
            assert_eq!(all(&place.open().unwrap().1), accounts, "cut at {cut}");
            assert_eq!(place.content(), good[..kept], "cut at {cut}");
        }
    }
}

/// More than [`crate::limits::OUTDATED_MIN`] records, of which few count.
fn mostly_outdated() -> Vec<u8> {
    let mut content = example();
    for number in 0..2000 {
        content.extend(written(&Record::password(name("alice"), &verifier((number % 200) as u8))));
    }
    content
}

#[test]
fn a_database_grown_old_is_rewritten_and_holds_the_same() {
    let place = Place::with(&mostly_outdated());
    let (folder, accounts) = place.open().unwrap();
    let before = all(&accounts);
    assert_eq!(before.len(), 2);
    let rewritten = lines(&place.content());
    assert_eq!(rewritten.len(), 4, "a checkpoint, two accounts, one of them disabled");
    assert_eq!(rewritten[0], r#"{"op":"checkpoint","v":1,"records":3}"#);
    accounts.register(account("dave", 8)).unwrap();
    drop((accounts, folder));
    let (_folder, accounts) = place.open().unwrap();
    assert_eq!(accounts.delete(&account("dave", 8)), Ok(Outcome::Changed));
    assert_eq!(all(&accounts), before);
}

#[test]
fn a_rewritten_database_is_whole_or_refused() {
    let place = Place::with(&mostly_outdated());
    drop(place.open().unwrap());
    let good = place.content();
    let body = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in body..good.len() {
        let whole = good[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
        refused(&good[..cut], whole + 1, &format!("promises 3 records, but only {} follow", whole - 1));
    }
    let text = String::from_utf8(good).unwrap();
    let early = text.replacen("{\"op\":\"disable\"", "{\"op\":\"enable\"", 1);
    refused(early.as_bytes(), 4, "promises 3 records, but only 2 follow");
}

/// A store on a failing disk that the test can look at.
#[derive(Clone)]
struct FailingStore(Arc<Mutex<(AppendFile<FailingMedium>, Vec<u8>)>>);

impl FailingStore {
    fn new(first: usize, count: usize) -> Self {
        let medium = FailingMedium::new(first, count);
        Self(Arc::new(Mutex::new((AppendFile::new(Path::new("accounts"), medium, 0), Vec::new()))))
    }

    fn acknowledged(&self) -> Vec<u8> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Store for FailingStore {
    fn append(&mut self, lines: &[u8]) -> Result<(), FileError> {
        let (file, acknowledged) = &mut *self.0.lock().unwrap();
        file.append(lines)?;
        acknowledged.extend(lines);
        Ok(())
    }
}

#[test]
fn whichever_write_fails_what_is_seen_is_what_is_stored() {
    for first in 0..10 {
        for count in 1..5 {
            let store = FailingStore::new(first, count);
            let accounts = Accounts::start(Table::default(), store.clone(), MANY).unwrap();
            let mut failed = 0;
            for (text, identity) in [("alice", 1), ("bob", 2), ("carol", 3), ("dave", 4), ("eve", 5), ("frank", 6)] {
                match accounts.register(account(text, identity)) {
                    Ok(_) => assert!(accounts.find(&name(text)).is_some()),
                    Err(error) => {
                        assert_eq!(error, ChangeError::Storage);
                        assert!(accounts.find(&name(text)).is_none());
                        failed += 1;
                    }
                }
            }
            assert!(failed < 6, "works again when the disk does");
            let stored = Place::with(&store.acknowledged());
            assert_eq!(all(&stored.open().unwrap().1), all(&accounts), "{first}+{count}");
        }
    }
}

#[test]
fn a_batch_is_decided_in_order_and_fails_as_one() {
    let batch = || {
        vec![
            Change::Register(account("alice", 1)),
            Change::Register(account("alice", 2)),
            Change::Register(account("alice", 1)),
            Change::Delete(account("alice", 1)),
            Change::Register(account("alice", 2)),
            Change::SetVerifier(account("alice", 2), verifier(9)),
            Change::Register(account("bob", 3)),
            Change::Register(account("carol", 4)),
        ]
    };
    let (changed, unchanged) = (Ok(Outcome::Changed), Ok(Outcome::Unchanged));
    let (taken, full) = (Err(ChangeError::NameTaken), Err(ChangeError::Full));
    let decided = [changed, taken, unchanged, changed, changed, changed, changed, full];

    let table = Arc::new(RwLock::new(Table::default()));
    let store = FailingStore::new(0, 1);
    let mut writer = Writer::new(Arc::clone(&table), store.clone(), 2);
    assert_eq!(writer.settle(batch()), [Err(ChangeError::Storage); 8]);
    assert_eq!(table.read().unwrap().len(), 0);
    assert_eq!(writer.settle(batch()), decided);
    assert_eq!(table.read().unwrap().find(&name("alice")).unwrap().verifier(), &verifier(9));
    assert_eq!(lines(&store.acknowledged()).len(), 5);
    let stored = Place::with(&store.acknowledged());
    let (loaded, _) = load(&stored.file()).unwrap();
    assert_eq!(loaded.page(None, 9), [name("alice"), name("bob")]);
}

#[derive(Clone, Debug)]
enum Step {
    Delete(u8, u8),
    Register(u8, u8),
    Reopen,
    SetDisabled(u8, u8, bool),
    SetVerifier(u8, u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, identity) = (0..4u8, 0..2u8);
    prop_oneof![
        4 => (who.clone(), identity.clone()).prop_map(|(who, identity)| Step::Register(who, identity)),
        2 => (who.clone(), identity.clone()).prop_map(|(who, identity)| Step::Delete(who, identity)),
        2 => (who.clone(), identity.clone(), any::<u8>()).prop_map(|(who, identity, of)| Step::SetVerifier(who, identity, of)),
        2 => (who, identity, any::<bool>()).prop_map(|(who, identity, is)| Step::SetDisabled(who, identity, is)),
        1 => Just(Step::Reopen),
    ]
}

type Model = BTreeMap<UserName, Account>;

/// The plain meaning of a change.
fn expected(model: &mut Model, who: &Account, change: impl FnOnce(&mut Account)) -> Result<Outcome, ChangeError> {
    match model.get_mut(who.name()).filter(|found| found.identity() == who.identity()) {
        None => Err(ChangeError::NoSuchUser),
        Some(found) => {
            change(found);
            Ok(Outcome::Changed)
        }
    }
}

fn expected_registration(model: &mut Model, who: &Account) -> Result<Outcome, ChangeError> {
    match model.get(who.name()) {
        Some(found) if found.identity() == who.identity() => Ok(Outcome::Unchanged),
        Some(_) => Err(ChangeError::NameTaken),
        None => {
            model.insert(who.name().clone(), who.clone());
            Ok(Outcome::Changed)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_changes_do_what_a_plain_map_does(steps in prop::collection::vec(step(), 1..40)) {
        let place = Place::new();
        let mut model = Model::new();
        let mut opened = Some(place.open().unwrap());
        let person = |who: u8, identity| account(["alice", "bob", "carol", "dave"][usize::from(who)], identity);
        for step in steps {
            if matches!(step, Step::Reopen) {
                drop(opened.take());
                opened = Some(place.open().unwrap());
            }
            let (_, accounts) = opened.as_ref().unwrap();
            match step {
                Step::Delete(who, identity) => {
                    let who = person(who, identity);
                    let outcome = expected(&mut model, &who, |_| {});
                    if outcome.is_ok() {
                        model.remove(who.name());
                    }
                    prop_assert_eq!(accounts.delete(&who), outcome);
                }
                Step::Register(who, identity) => {
                    let who = person(who, identity);
                    prop_assert_eq!(accounts.register(who.clone()), expected_registration(&mut model, &who));
                }
                Step::Reopen => {}
                Step::SetDisabled(who, identity, is) => {
                    let who = person(who, identity);
                    let outcome = expected(&mut model, &who, |found| found.disabled = is);
                    prop_assert_eq!(accounts.set_disabled(&who, is).is_ok(), outcome.is_ok());
                }
                Step::SetVerifier(who, identity, of) => {
                    let who = person(who, identity);
                    let outcome = expected(&mut model, &who, |found| found.verifier = verifier(of));
                    prop_assert_eq!(accounts.set_verifier(&who, verifier(of)), outcome);
                }
            }
            prop_assert_eq!(all(accounts), model.values().cloned().collect::<Vec<_>>());
        }
    }
}
