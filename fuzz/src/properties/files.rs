//! Files that were damaged, or changed by somebody else: they are read whole or refused, and a refused one stays as it is.
//!
//! Each process has a folder of its own, in memory where there is `/dev/shm`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use topchat::client::model::pin::NewKeys;
use topchat::client::state::inbox::Inbox;
use topchat::client::trust::contacts::Contacts;
use topchat::client::trust::servers;
use topchat::crypto::group_key::GroupKeys;
use topchat::server::accounts::{self, Accounts, Ledger};
use topchat::server::clock::RunClock;
use topchat::server::{Server, Settings};
use topchat::storage::folder::LockedFolder;
use topchat::wire::Fingerprint;

use super::Choices;
use crate::support::people::{ALICE, BOB, VERIFIER};
use crate::support::receiver::folder;

/// The account database.
pub fn db_load(data: &[u8]) {
    static FOLDER: LazyLock<Mutex<(TempDir, LockedFolder)>> = LazyLock::new(|| {
        let place = folder();
        let locked = LockedFolder::open(&place.path().join("accounts")).unwrap();
        topchat::server::folder::parts(locked.path()).begin().unwrap();
        Mutex::new((place, locked))
    });
    let (_, folder) = &*lock(&FOLDER);
    let path = folder.path().join(accounts::FILE_NAME);
    let content = database(data);
    put(&path, &content);
    match Accounts::open(folder, 1000, Arc::new(RunClock::after(0)))
        .map(|accounts| accounts.figures().unwrap().accounts)
    {
        Ok(found) => {
            let kept = fs::read(&path).unwrap();
            assert!(content.starts_with(&kept) && kept.last() == Some(&b'\n'), "more than a last line was cut off");
            let cut = content.get(kept.len()..).unwrap_or_default();
            assert!(!cut.strip_suffix(b"\n").unwrap_or(cut).contains(&b'\n'));
            assert_eq!(
                Accounts::open(folder, 1000, Arc::new(RunClock::after(0))).unwrap().figures().unwrap().accounts,
                found
            );
        }
        Err(_) => assert_eq!(fs::read(&path).unwrap(), content, "a refused file was changed"),
    }
}

/// The bytes as they are, or the records of a genuine database in another order, with good checksums and with changes.
fn database(data: &[u8]) -> Vec<u8> {
    let mut choices = Choices::new(data);
    if choices.byte() & 1 == 0 {
        return choices.rest().to_vec();
    }
    let lines = DATABASE.split(|byte| *byte == b'\n').skip(1);
    let genuine: Vec<&[u8]> = lines.filter_map(|line| line.get(HEAD..)).collect();
    let mut records = Vec::new();
    for _ in 0..choices.below(8) {
        let mut record = genuine.get(choices.below(genuine.len())).copied().unwrap_or_default().to_vec();
        if choices.byte() & 7 == 0 {
            choices.change(&mut record);
        }
        records.push(record);
    }
    let mut content = sealed("accounts", choices.below(3), &records);
    if choices.byte() & 3 == 0 {
        choices.change(&mut content);
    }
    content
}

/// What stands before a record's JSON in a journal.
const HEAD: usize = 26;

/// A journal (`storage/journal.rs`) of these records, so many of them from its beginning.
fn sealed(name: &str, founding: usize, records: &[Vec<u8>]) -> Vec<u8> {
    let sum = |covered: &[u8]| {
        let sum = topchat::crypto::digest::sha256(covered);
        data_encoding::HEXLOWER.encode(sum.get(..8).unwrap_or_default()).into_bytes()
    };
    let mut content = format!("topchat {name} v2 {founding}").into_bytes();
    let mut before = sum(&content);
    content.extend([&b" "[..], &before, b"\n"].concat());
    for record in records {
        let link = before.get(..8).unwrap_or_default().to_vec();
        before = sum(&[&link, &b" "[..], record].concat());
        content.extend([&link, &b" "[..], &before, b" ", record, b"\n"].concat());
    }
    content
}

/// Registered, password changed, closed, deleted: as the program writes it.
static DATABASE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let place = folder();
    let folder = LockedFolder::open(&place.path().join("genuine")).unwrap();
    let accounts = Accounts::open(&folder, 1000, Arc::new(RunClock::after(0))).unwrap();
    for person in [&ALICE, &BOB] {
        accounts.register(accounts::Account::new(person.bundle(), VERIFIER.clone(), 5).unwrap()).unwrap();
        let account = accounts.find(&person.name).unwrap().unwrap();
        accounts.set_verifier(&account, VERIFIER.clone()).unwrap();
        accounts.set_disabled(&account, true).unwrap();
    }
    accounts.delete(&accounts.find(&ALICE.name).unwrap().unwrap()).unwrap();
    drop(accounts);
    fs::read(folder.path().join(accounts::FILE_NAME)).unwrap()
});

/// The message log and its cursors, as a whole server reads them.
pub fn mailbox_load(data: &[u8]) {
    static FOLDER: LazyLock<Mutex<TempDir>> = LazyLock::new(|| Mutex::new(folder()));
    let place = lock(&FOLDER);
    let folder = place.path().join("data");
    if !folder.exists() {
        drop(open(&folder));
        put(&folder.join(accounts::FILE_NAME), &DATABASE);
    }
    let (segments, cursors) = log(data);
    let messages = folder.join("messages");
    for entry in fs::read_dir(&messages).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let mut files = vec![(folder.join("cursors.jsonl"), cursors)];
    files.extend((1..).zip(segments).map(|(first, bytes)| (messages.join(format!("{:020}.log", first * 3)), bytes)));
    files.iter().for_each(|(path, bytes)| put(path, bytes));
    match open(&folder) {
        Ok(server) => {
            drop(server);
            assert!(open(&folder).is_ok(), "it starts once and never again");
        }
        Err(_) => files.iter().for_each(|(path, bytes)| assert_eq!(&fs::read(path).unwrap(), bytes, "{path:?}")),
    }
}

fn open(folder: &Path) -> Result<Server, topchat::server::ServerError> {
    Server::open(folder, "127.0.0.1:0", Settings::default())
}

/// Segments and cursors: raw, or well formed with changes.
fn log(data: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut choices = Choices::new(data);
    let raw = choices.byte();
    if raw & 1 == 0 {
        let cursors = choices.bytes(usize::from(raw >> 1)).to_vec();
        return (vec![[&b"TCLOG\0\0\x02"[..], choices.rest()].concat()], cursors);
    }
    let mut segments = Vec::new();
    for _ in 0..choices.below(3) {
        let mut segment = b"TCLOG\0\0\x02".to_vec();
        for _ in 0..choices.below(5) {
            record(&mut choices, &mut segment);
        }
        if choices.byte() & 1 != 0 {
            segment.extend(b"TCLOGEND");
        }
        if choices.byte() & 3 == 0 {
            choices.change(&mut segment);
        }
        segments.push(segment);
    }
    let mut records = Vec::new();
    for _ in 0..choices.below(3) {
        let identity = BOB.identity.public().fingerprint().to_hex();
        let [number, group, passed] = [(), (), ()].map(|()| choices.byte());
        let joined = choices.byte() & 1;
        let line = format!(
            r#"{{"is":"cursor","name":"bob","identity":"{identity}","joined":{joined},"number":{number},"group":{group},"passed":{passed}}}"#
        );
        records.push(line.into_bytes());
        if choices.byte() & 3 == 0 {
            let [first, safe, run_ms, unix_ms] = [(), (), (), ()].map(|()| choices.byte());
            let line = format!(r#"{{"is":"log","first":{first},"safe":{safe},"run_ms":{run_ms},"unix_ms":{unix_ms}}}"#);
            records.push(line.into_bytes());
        }
    }
    let mut cursors = sealed("cursors", 0, &records);
    if choices.byte() & 3 == 0 {
        choices.change(&mut cursors);
    }
    (segments, cursors)
}

/// A record with a good checksum (`server/log/record.rs`) and fields that need not make sense.
fn record(choices: &mut Choices<'_>, segment: &mut Vec<u8>) {
    let mut body = Vec::new();
    for _ in 0..4 {
        let wide = choices.byte();
        body.extend(if wide & 0x80 == 0 { u64::from(wide).to_be_bytes() } else { [choices.byte(); 8] });
    }
    body.extend([0, 0, 0, choices.byte() & 3]);
    let to_bob = choices.byte() & 1 == 0;
    body.extend(if to_bob { BOB.identity.public().fingerprint().0 } else { [0; 32] });
    body.extend(u64::from(choices.byte() & 1).to_be_bytes());
    body.extend([choices.byte(); 16]);
    let mut envelope = if to_bob { ENVELOPES.0.clone() } else { ENVELOPES.1.clone() };
    if choices.byte() & 3 == 0 {
        choices.change(&mut envelope);
    }
    body.extend(envelope);
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&length);
    checksum.update(&body);
    segment.extend(length);
    segment.extend(checksum.finalize().to_be_bytes());
    segment.extend(body);
}

static ENVELOPES: LazyLock<(Vec<u8>, Vec<u8>)> =
    LazyLock::new(|| (ALICE.seal_to(&BOB, "hi", 1).encode(), ALICE.seal_to_all("hi", 2).encode()));

/// The client's pins: contacts and servers.
pub fn pins_load(data: &[u8]) {
    static FOLDER: LazyLock<Mutex<TempDir>> = LazyLock::new(|| Mutex::new(folder()));
    let place = lock(&FOLDER);
    let content = document(data);
    let (contacts, server) = (place.path().join("contacts.json"), place.path().join("servers.json"));
    topchat::client::model::state_folder::parts(place.path()).begin().unwrap();
    put(&contacts, &content);
    if let Ok(found) = Contacts::open(place.path(), NewKeys::First) {
        let pinned = found.pinned(&BOB.name).unwrap();
        assert!(pinned.is_none() || content.windows(3).any(|part| part == b"bob"));
    }
    assert_eq!(fs::read(&contacts).unwrap(), content, "reading changed the file");
    put(&server, &content);
    let seen = servers::check(place.path(), "127.0.0.1:7777", Fingerprint([0xaa; 32]), None, 0);
    if !matches!(seen, Ok(servers::Seen::First)) {
        assert_eq!(fs::read(&server).unwrap(), content, "a refused or known file was changed");
    }
}

/// The bytes as they are, or genuine pins with changes.
fn document(data: &[u8]) -> Vec<u8> {
    let mut choices = Choices::new(data);
    let key = data_encoding::HEXLOWER.encode(BOB.identity.public().to_der());
    let fingerprint = BOB.identity.public().fingerprint().to_hex();
    let mut content = match choices.byte() % 4 {
        0 => return choices.rest().to_vec(),
        1 => format!(
            r#"{{"v":4,"contacts":{{"bob":{{"fingerprint":"{fingerprint}","identity":"{key}","first_seen":"2026-01-01T00:00:00Z"}}}}}}"#
        ),
        2 => format!(
            r#"{{"v":4,"contacts":{{"bob":{{"fingerprint":"{fingerprint}","identity":"{key}","first_seen":"2026-01-01T00:00:00Z","verified":"2026-01-02T00:00:00Z","bundle":3,"modern":true,"prefers_modern":true,"accepted":"2026-01-03T00:00:00Z","announced":4,"former":[{{"identity":"{key}","since":"2026-01-01T00:00:00Z"}}],"changed":{{"fingerprint":"{fingerprint}","seen":"2026-01-01T00:00:00Z"}},"others":["{fingerprint}"]}}}}}}"#
        ),
        _ => format!(r#"{{"v":2,"servers":{{"127.0.0.1:7777":{{"identity":"{fingerprint}","first_seen":""}}}}}}"#),
    }
    .into_bytes();
    if choices.byte() & 1 == 0 {
        choices.change(&mut content);
    }
    // With a good checksum, if it is JSON yet.
    let sealed = |value: serde_json::Value| topchat::client::state::state_file::sealed(&value).ok();
    let mut content = serde_json::from_slice(&content).ok().and_then(sealed).map_or(content, String::into_bytes);
    if choices.byte() & 3 == 0 {
        choices.change(&mut content);
    }
    content
}

/// The client's inbox.
pub fn inbox_load(data: &[u8]) {
    static FOLDER: LazyLock<Mutex<TempDir>> = LazyLock::new(|| Mutex::new(folder()));
    let place = lock(&FOLDER);
    let (path, content) = (place.path().join("inbox"), journal(data));
    topchat::client::model::state_folder::parts(place.path()).begin().unwrap();
    put(&path, &content);
    match Inbox::open(place.path()) {
        Ok((inbox, _)) => {
            let found = inbox.entries().len();
            drop(inbox);
            let (again, _) = Inbox::open(place.path()).expect("what was read once is read again");
            assert_eq!(again.entries().len(), found);
        }
        Err(_) => assert_eq!(fs::read(&path).unwrap(), content, "a refused file was changed"),
    }
}

/// The bytes as they are behind the title, or records with good checksums.
fn journal(data: &[u8]) -> Vec<u8> {
    let mut choices = Choices::new(data);
    let raw = choices.byte() & 1 == 0;
    if raw {
        return [&sealed("inbox", 0, &[])[..], choices.rest()].concat();
    }
    let mut records = Vec::new();
    let envelope = data_encoding::BASE64.encode(&ENVELOPES.0);
    let digits = |byte: u8, count: usize| format!("{byte:02x}").repeat(count);
    for _ in 0..choices.below(10) {
        let entry = choices.byte() & 7;
        let mut record = match choices.byte() % 6 {
            0 | 1 => {
                let number = choices.byte();
                format!(
                    r#"{{"is":"received","entry":{entry},"number":{number},"backlog":false,"ms":7,"envelope":"{envelope}"}}"#
                )
            }
            2 => format!(r#"{{"is":"opened","entry":{entry}}}"#),
            3 => format!(r#"{{"is":"done","entry":{entry},"counted":{}}}"#, choices.byte() & 1 == 0),
            4 => {
                let byte = choices.byte();
                let [sender, id, digest] = [32, 16, 32].map(|count| digits(byte, count));
                format!(r#"{{"is":"seen","sender":"{sender}","id":"{id}","digest":"{digest}","ms":1,"number":2}}"#)
            }
            _ => {
                let sender = digits(choices.byte(), 32);
                format!(r#"{{"is":"counter","sender":"{sender}","to":"ALL","highest":{entry},"known":1}}"#)
            }
        }
        .into_bytes();
        if choices.byte() & 7 == 0 {
            choices.change(&mut record);
        }
        records.push(record);
    }
    let mut content = sealed("inbox", 0, &records);
    if choices.byte() & 3 == 0 {
        choices.change(&mut content);
    }
    content
}

/// The group key file: what is read is written back as the same keys, and none of them is one that DES must not have.
pub fn groupkey_load(data: &[u8]) {
    let mut choices = Choices::new(data);
    let text = if choices.byte() & 1 == 0 {
        String::from_utf8_lossy(choices.rest()).into_owned()
    } else {
        let mut bytes = KEY_FILE.as_bytes().to_vec();
        choices.change(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let Ok(keys) = GroupKeys::parse(&text) else { return };
    let written = keys.to_text();
    let again = GroupKeys::parse(&written).unwrap();
    assert_eq!(*again.to_text(), *written);
    assert!(again.find(&keys.writer().id).is_some());
    for entry in written.lines().skip(1).filter(|line| !line.starts_with('#')) {
        let key = data_encoding::HEXLOWER.decode(entry.split(' ').nth(1).unwrap().as_bytes()).unwrap();
        assert!(key.iter().all(|byte| byte.count_ones() % 2 == 1), "parity of {entry}");
        assert!(is_strong(&key), "{entry} is weak");
    }
}

/// Not one of the 16 weak and semi-weak keys (FIPS 74): they repeat two bytes that make each half of both key registers all
/// zeros, all ones or alternate, with the bytes that do the same in the other half of the key.
fn is_strong(key: &[u8]) -> bool {
    let partner = |byte| {
        Some(match byte {
            0x01 => 0x01,
            0x1f => 0x0e,
            0xe0 => 0xf1,
            0xfe => 0xfe,
            _ => return None,
        })
    };
    let &[a, b, ..] = key else { return false };
    let (Some(c), Some(d)) = (partner(a), partner(b)) else { return true };
    key != [a, b, a, b, c, d, c, d]
}

const KEY_FILE: &str = "topchat-group-key v1\n# a comment\n000102030405060708090a0b0c0d0e0f 0123456789abcdef\n\
                        100102030405060708090a0b0c0d0e0f 0123456789ABCDEE\n200102030405060708090a0b0c0d0e0f fe01fe01fe01fe02\n";

/// A whole new file that nobody else can read.
fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
