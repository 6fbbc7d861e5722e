//! What accounts do while everything works; the other files tell what they do when something doesn't.

mod damage;
mod failing_disk;
mod invites;
mod model;

use std::fmt::Debug;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::TempDir;

use super::record::Record;
use super::*;
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
        ed25519: vec![identity.wrapping_add(2); 44],
        x25519: vec![identity.wrapping_add(3); 44],
        former: Vec::new(),
        prefers: crate::wire::Prefers::Classic,
        number: 1,
        signature: vec![7; 20],
        possession: [8; 64],
    }
}

/// An encoded bundle with another encryption key than the first.
fn newer(text: &str, identity: u8, number: u64) -> Vec<u8> {
    Bundle { encryption: vec![number as u8; 41], number, ..bundle(text, identity) }.encode()
}

fn verifier(of: u8) -> Verifier {
    Verifier { salt: [of; 16], iterations: 600_000, stored_key: [of; 32], server_key: [of; 32] }
}

/// The server has run for as long as the tests' times are long.
fn clock() -> Arc<RunClock> {
    Arc::new(RunClock::after(1_700_000_000_000))
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

    /// With a database that came into being empty, and then got these records, a line each.
    fn with(records: &[u8]) -> Self {
        Self::with_file(&sealed(0, records))
    }

    fn with_file(content: &[u8]) -> Self {
        let place = Self::new();
        DirBuilder::new().mode(0o700).create(place.data()).unwrap();
        folder::parts(&place.data()).begin().unwrap();
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

    /// Tests know no more of them than the server does.
    fn open(&self) -> Result<(LockedFolder, impl Ledger + Debug + use<>), AccountsError> {
        let folder = LockedFolder::open(&self.data()).unwrap();
        let accounts = Accounts::open(&folder, MANY, clock())?;
        Ok((folder, accounts))
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.file()).unwrap()
    }

    /// Those in the file, a line each.
    fn records(&self) -> Vec<u8> {
        let content = self.content();
        let lines = content.split_inclusive(|byte| *byte == b'\n').skip(1);
        lines.flat_map(|line| &line[26..]).copied().collect()
    }
}

/// Everything about every account, to be compared.
fn all(accounts: &impl Ledger) -> Vec<Account> {
    accounts.every().map(|account| (*account.unwrap()).clone()).collect()
}

fn names(accounts: &impl Ledger, after: Option<&str>, count: usize) -> Vec<String> {
    let page = accounts.page(after.map(name).as_ref(), count).unwrap();
    page.iter().map(|account| account.name().to_string()).collect()
}

/// The records as a database of which so many were there at its beginning (`storage/journal.rs`).
fn sealed(founding: u64, records: &[u8]) -> Vec<u8> {
    let sum = |covered: &[u8]| data_encoding::HEXLOWER.encode(&digest::sha256(covered))[..16].to_owned();
    let title = format!("topchat accounts v2 {founding}");
    let mut before = sum(title.as_bytes());
    let mut content = format!("{title} {before}\n").into_bytes();
    for record in records.split_inclusive(|byte| *byte == b'\n') {
        let json = record.strip_suffix(b"\n").unwrap();
        let covered = [&before.as_bytes()[..8], b" ", json].concat();
        let sum = sum(&covered);
        content.extend([&before.as_bytes()[..8], b" ", sum.as_bytes(), b" ", json, b"\n"].concat());
        before = sum;
    }
    content
}

/// Records of every kind that stand behind the first ones.
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
    accounts.set_keys(&account("alice", 1), newer("alice", 1, 2), Vec::new()).unwrap();
    accounts.set_keys(&account("alice", 1), newer("alice", 5, 3), vec![11; 20]).unwrap();
    place.records()
}

fn written(record: &Record) -> Vec<u8> {
    let mut line = serde_json::to_vec(record).unwrap();
    line.push(b'\n');
    line
}

fn lines(of: &[u8]) -> Vec<String> {
    std::str::from_utf8(of).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn changes_are_seen_at_once_and_again_after_a_restart() {
    let place = Place::with(&example());
    let (folder, accounts) = place.open().unwrap();
    assert_eq!(names(&accounts, None, 9), ["alice", "bob"]);
    assert_eq!(accounts.find(&name("alice")).unwrap().unwrap().verifier(), &verifier(9));
    assert!(accounts.find(&name("bob")).unwrap().unwrap().is_disabled());
    assert_eq!(accounts.find(&name("carol")), Ok(None));
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
        r#"{{"op":"register","name":"alice","created_ms":1700000000000,"joined":0,"salt":"AQEBAQEBAQEBAQEBAQEBAQ==","iterations":600000,"stored_key":"{zeros}","server_key":"{zeros}","bundle":""#
    );
    assert!(first.starts_with(&begin), "{first}");
    assert!(lines(&example()).contains(&r#"{"op":"disable","name":"bob"}"#.to_owned()));
}

#[test]
fn the_file_comes_into_being_at_the_first_start_and_never_again() {
    let place = Place::new();
    let (_folder, accounts) = place.open().unwrap();
    assert!(all(&accounts).is_empty() && place.file().exists());
    accounts.register(account("alice", 1)).unwrap();
    accounts.register(account("bob", 2)).unwrap();
    assert_eq!(lines(&place.records()).len(), 2);
    drop((accounts, _folder));
    fs::remove_file(place.file()).unwrap();
    let error = place.open().unwrap_err();
    assert_eq!(error.to_string(), format!("{} is gone", place.file().display()));
    assert!(
        error
            .hint()
            .unwrap()
            .to_string()
            .ends_with("all accounts are gone, and their names are free for whoever comes first")
    );
    assert_eq!(error.exit(), Exit::Configuration);
    assert!(!place.file().exists());
}

#[test]
fn a_registration_may_be_repeated_but_sets_no_password() {
    let place = Place::new();
    let (_folder, accounts) = place.open().unwrap();
    let alice = account("alice", 1);
    assert_eq!(accounts.register(alice.clone()), Ok(Outcome::Changed));
    let again = Account::new(alice.bundle().to_vec(), verifier(66), 1).unwrap();
    assert_eq!(accounts.register(again), Ok(Outcome::Unchanged));
    assert_eq!(*accounts.find(alice.name()).unwrap().unwrap(), alice);
    assert_eq!(accounts.register(account("alice", 2)), Err(ChangeError::NameTaken));
    let other_encryption = Bundle { encryption: vec![99; 40], ..bundle("alice", 1) };
    let other = Account::new(other_encryption.encode(), verifier(1), 1).unwrap();
    assert_eq!(accounts.register(other), Err(ChangeError::NameTaken));
    assert_eq!(lines(&place.records()).len(), 1);
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
fn new_keys_follow_the_ones_before_and_may_be_repeated() {
    let place = Place::new();
    let (folder, accounts) = place.open().unwrap();
    let alice = account("alice", 1);
    accounts.register(alice.clone()).unwrap();
    assert_eq!(accounts.set_keys(&alice, newer("alice", 1, 2), vec![]), Ok(Outcome::Changed));
    assert_eq!(accounts.set_keys(&alice, newer("alice", 1, 2), vec![]), Ok(Outcome::Unchanged));
    let other_key = Bundle { number: 2, ..bundle("alice", 1) }.encode();
    for (bundle, handover) in [
        (other_key, vec![]),
        (newer("alice", 1, 1), vec![]),
        (newer("alice", 1, 3), vec![9]),
        (newer("alice", 2, 3), vec![]),
        (newer("bob", 1, 3), vec![]),
        (vec![1], vec![]),
    ] {
        assert_eq!(accounts.set_keys(&alice, bundle, handover), Err(ChangeError::Stale));
    }
    assert_eq!(accounts.set_keys(&alice, newer("alice", 2, 3), vec![9]), Ok(Outcome::Changed));
    let renewed = accounts.find(alice.name()).unwrap().unwrap();
    assert_eq!(accounts.set_keys(&renewed, newer("alice", 2, 3), vec![9]), Ok(Outcome::Unchanged));
    assert_eq!(renewed.lineage(), [Predecessor { identity: vec![1; 40], handover: vec![9] }]);
    assert_eq!((renewed.origin(), renewed.verifier()), (alice.identity(), alice.verifier()));
    assert!(renewed.is_known_by(alice.identity()) && renewed.is_known_by(renewed.identity()));
    assert_eq!(
        accounts.set_keys(&alice, newer("alice", 1, 9), vec![]),
        Err(ChangeError::NoSuchUser),
        "a former identity"
    );
    let before = all(&accounts);
    drop((accounts, folder));
    assert_eq!(all(&place.open().unwrap().1), before);
}

#[test]
fn the_newest_identities_are_kept_and_the_first_is_remembered() {
    let place = Place::new();
    let (folder, accounts) = place.open().unwrap();
    let first = account("alice", 1);
    accounts.register(first.clone()).unwrap();
    for identity in 2..12 {
        let now = accounts.find(first.name()).unwrap().unwrap();
        accounts.set_keys(&now, newer("alice", identity, identity.into()), vec![identity]).unwrap();
    }
    let last = accounts.find(first.name()).unwrap().unwrap();
    let kept: Vec<_> = last.lineage().iter().map(|former| former.identity[0]).collect();
    assert_eq!(kept, [10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(last.origin(), first.identity());
    assert!(!last.is_known_by(first.identity()));
    drop((accounts, folder));
    assert_eq!(*place.open().unwrap().1.find(first.name()).unwrap().unwrap(), *last);
}

#[test]
fn accounts_are_limited() {
    let place = Place::new();
    let folder = LockedFolder::open(&place.data()).unwrap();
    let accounts = Accounts::open(&folder, 1, clock()).unwrap();
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
    assert_eq!(names(&accounts, None, 2), ["alice", "bob"]);
    assert_eq!(names(&accounts, Some("bob"), 2), ["mallory"]);
    assert_eq!(names(&accounts, Some("az"), 1), ["bob"]);
    assert!(names(&accounts, Some("zoe"), 5).is_empty());
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
