//! Writes that fail.

use std::path::Path;

use super::*;
use crate::server::accounts::file::load;
use crate::server::accounts::record::Record;
use crate::server::accounts::writer::{Store, Writer};
use crate::storage::append::AppendFile;
use crate::storage::failing::FailingMedium;
use crate::storage::journal::JournalError;

/// A store on a failing disk that the test can look at.
#[derive(Clone)]
pub(super) struct FailingStore(Arc<Mutex<(AppendFile<FailingMedium>, Vec<u8>)>>);

impl FailingStore {
    pub(super) fn new(first: usize, count: usize) -> Self {
        let medium = FailingMedium::new(first, count);
        Self(Arc::new(Mutex::new((AppendFile::new(Path::new("accounts"), medium, 0), Vec::new()))))
    }

    pub(super) fn acknowledged(&self) -> Vec<u8> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Store for FailingStore {
    fn append(&mut self, records: &[Record]) -> Result<(), JournalError> {
        let (file, acknowledged) = &mut *self.0.lock().unwrap();
        let lines: Vec<_> = records.iter().flat_map(written).collect();
        file.append(&lines)?;
        acknowledged.extend(lines);
        Ok(())
    }
}

#[test]
fn whichever_write_fails_what_is_seen_is_what_is_stored() {
    for first in 0..10 {
        for count in 1..5 {
            let store = FailingStore::new(first, count);
            let accounts = Accounts::over(Table::default(), clock()).start(store.clone(), MANY).unwrap();
            let mut failed = 0;
            for (text, identity) in [("alice", 1), ("bob", 2), ("carol", 3), ("dave", 4), ("eve", 5), ("frank", 6)] {
                match accounts.register(account(text, identity)) {
                    Ok(_) => {
                        assert!(accounts.find(&name(text)).unwrap().is_some());
                        let changed = accounts.set_keys(&account(text, identity), newer(text, 99, 2), vec![1]);
                        let origin = account(text, identity).identity();
                        let now = accounts.find(&name(text)).unwrap().unwrap();
                        assert_eq!((changed.is_ok(), now.origin()), (now.identity() != origin, origin));
                    }
                    Err(error) => {
                        assert_eq!(error, ChangeError::Storage);
                        assert!(accounts.find(&name(text)).unwrap().is_none());
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
    let mut writer = Writer::new(Arc::clone(&table), store.clone(), 2, clock());
    assert_eq!(writer.settle(batch()), [Err(ChangeError::Storage); 8]);
    assert_eq!(table.read().unwrap().len(), 0);
    assert_eq!(writer.settle(batch()), decided);
    assert_eq!(table.read().unwrap().find(&name("alice")).unwrap().verifier(), &verifier(9));
    assert_eq!(lines(&store.acknowledged()).len(), 5);
    let stored = Place::with(&store.acknowledged());
    let (loaded, _) = load(&stored.file(), &clock()).unwrap();
    assert_eq!(loaded.all().map(|account| account.name().as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
}
