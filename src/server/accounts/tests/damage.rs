//! Files that a crash tore or somebody changed.

use super::*;
use crate::server::accounts::file::replay;
use crate::server::accounts::record::Record;
use crate::storage::journal::JournalError;

/// Starting is refused with these words about this record, and nothing is changed.
#[track_caller]
fn refused(records: &[u8], record: u64, words: &str) {
    refused_file(&sealed(0, records), 1 + record, words);
}

#[track_caller]
fn refused_file(content: &[u8], line: u64, words: &str) {
    let place = Place::with_file(content);
    let error = place.open().unwrap_err();
    let text = error.to_string();
    let begin = format!("{}, line {line}: ", place.file().display());
    assert!(text.starts_with(&begin) && text[begin.len()..].contains(words), "{text}");
    assert!(!text.contains(|c: char| c.is_control()), "{text}");
    assert_eq!(error.exit(), Exit::Configuration);
    assert_eq!(place.content(), content);
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
        (String::new(), "EOF"),
        (" \t".to_owned(), "EOF"),
        ("{".to_owned(), "EOF"),
        ("[1]".to_owned(), "invalid type"),
        ("null".to_owned(), "invalid type"),
        ("hello".to_owned(), "expected value"),
        (format!("{bob} x"), "trailing characters"),
        (format!("{bob}{bob}"), "trailing characters"),
        (swap("register", "promote"), "unknown variant `promote`"),
        (swap("\"op\":\"register\",", ""), "missing field `op`"),
        (swap("\"name\"", "\"admin\":true,\"name\""), "unknown field `admin`"),
        (swap("\"name\"", "\"\\u001b[2J\":true,\"name\""), "unknown field `^[[2J`"),
        (swap("\"name\"", "\"name\":\"bob\",\"name\""), "duplicate field `name`"),
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
        (r#"{"op":"disable","name":"zoe"}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"enable","name":"zoe"}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"delete","name":"zoe"}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"delete","name":"alice","created_ms":1}"#.to_owned(), "unknown field `created_ms`"),
        (r#"{"op":"keys","name":"zoe","bundle":"","handover":""}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"keys","name":"alice","bundle":"AAAA","handover":""}"#.to_owned(), "new keys of alice: "),
        (swap("register", "keys"), "unknown field `created_ms`"),
        (lineage("alice", 1), "a lineage of alice does not belong here"),
        (swap("register", "password").replace("bob", "zoe"), "unknown field `created_ms`"),
        (format!("{bob}{}", " ".repeat(20_000)), "longer than any record"),
    ];
    let first = lines(&good).swap_remove(0);
    for (bad, words) in cases {
        refused(format!("{first}\n{bad}\n{bob}\n").as_bytes(), 2, words);
    }
    refused(&[first.as_bytes(), b"\n{\"op\":\"\xff\"}\n"].concat(), 2, "invalid unicode code point");
}

#[test]
fn an_empty_or_blank_or_foreign_file_is_no_empty_database() {
    for content in [&b""[..], b"\n", b"\0\0\0\0", &[b'x'; 100_000], b"-----BEGIN PRIVATE KEY-----\n"] {
        refused_file(content, 1, "this is no file of accounts");
    }
}

/// The lines that the program wrote before its files had titles.
#[test]
fn a_database_of_version_1_is_refused_by_its_version() {
    let place = Place::with_file(b"{\"op\":\"disable\",\"v\":1,\"name\":\"alice\"}\n");
    let error = place.open().unwrap_err();
    let words = "is of version 1 of its format, and this program reads version 2";
    assert_eq!(error.to_string(), format!("{} {words}", place.file().display()));
    assert_eq!(error.exit(), Exit::Configuration);
}

/// What is kept is what was there, and what is not kept is refused with its line, or was the last record.
#[test]
fn every_flipped_bit_is_noticed() {
    let records = example();
    let content = sealed(0, &records);
    let lines = lines(&records);
    let last = content.len() - lines[lines.len() - 1].len() - 27;
    let place = Place::with_file(&content);
    for at in 0..content.len() {
        let mut damaged = content.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(place.file(), &damaged).unwrap();
        match replay(&place.file()) {
            Ok(_) => assert!(at >= last, "byte {at}"),
            Err(JournalError::Damaged { line, .. }) => {
                assert_eq!(line, 1 + content[..at].iter().filter(|byte| **byte == b'\n').count() as u64, "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
        assert_eq!(place.content(), damaged);
    }
}

#[test]
fn a_damaged_last_record_is_cut_off_and_kept_in_a_copy() {
    let place = Place::with(&example());
    let (good, mut damaged) = (place.content(), place.content());
    let last = 1 + good[..good.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
    damaged[last + 40] ^= 1;
    fs::write(place.file(), &damaged).unwrap();
    drop(place.open().unwrap());
    assert_eq!(place.content(), good[..last]);
    assert_eq!(fs::read(place.data().join(format!("{FILE_NAME}.torn-{last}"))).unwrap(), damaged[last..]);
}

#[test]
fn a_file_that_others_can_read_is_refused_with_the_remedy() {
    let place = Place::with(&example());
    fs::set_permissions(place.file(), Permissions::from_mode(0o644)).unwrap();
    let error = place.open().unwrap_err();
    assert_eq!(error.exit(), Exit::Local);
    assert_eq!(error.hint().unwrap().to_string(), format!("chmod 600 {}", place.file().display()));
}

#[test]
fn cut_at_any_byte_it_keeps_all_whole_records_or_refuses() {
    let good = sealed(0, &example());
    let place = Place::with_file(b"");
    let (mut kept, mut accounts) = (0, Vec::new());
    for cut in 0..good.len() {
        let content = &good[..cut];
        if content.ends_with(b"\n") {
            kept = cut;
            accounts = all(&Place::with_file(content).open().unwrap().1);
        }
        fs::write(place.file(), content).unwrap();
        let table = replay(&place.file());
        if kept == 0 {
            assert!(matches!(table, Err(JournalError::Damaged { line: 1, .. })), "cut at {cut}");
            continue;
        }
        let table = table.unwrap().0;
        let found: Vec<_> = table.all().map(|account| account.name()).collect();
        assert_eq!(found, accounts.iter().map(Account::name).collect::<Vec<_>>(), "cut at {cut}");
        // The real start waits for the disk, so it is tried where lines begin only.
        if (1..3).contains(&(cut - kept)) {
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
    assert!(place.content().starts_with(b"topchat accounts v2 4 "));
    assert_eq!(lines(&place.records()).len(), 4, "two accounts, one with a lineage, the other disabled");
    accounts.register(account("dave", 8)).unwrap();
    drop((accounts, folder));
    let (_folder, accounts) = place.open().unwrap();
    assert_eq!(accounts.delete(&account("dave", 8)), Ok(Outcome::Changed));
    assert_eq!(all(&accounts), before);
}

/// Nobody who is logged in can fill the disk by changing the same thing again and again.
#[test]
fn a_database_that_grows_old_in_use_is_rewritten_in_use() {
    let place = Place::with(&example());
    let (folder, accounts) = place.open().unwrap();
    let alice = accounts.find(&name("alice")).unwrap().unwrap();
    let mut longest = 0;
    for number in 0..3000 {
        accounts.set_verifier(&alice, verifier((number % 200) as u8)).unwrap();
        if number % 100 == 0 {
            longest = longest.max(lines(&place.content()).len() as u64);
        }
    }
    assert!(longest <= crate::limits::OUTDATED_MIN + 110, "{longest} records for two accounts");
    accounts.register(account("dave", 8)).unwrap();
    let before = all(&accounts);
    drop((accounts, folder));
    assert_eq!(all(&place.open().unwrap().1), before);
}

#[test]
fn a_rewritten_database_is_whole_or_refused() {
    let place = Place::with(&mostly_outdated());
    drop(place.open().unwrap());
    let good = place.content();
    let body = good.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for cut in body..good.len() {
        let whole = good[..cut].iter().filter(|byte| **byte == b'\n').count() as u64;
        let words = format!("line 1 promises 4 records, but only {} follow", whole - 1);
        refused_file(&good[..cut], whole + 1, &words);
    }
}

/// A lineage of so many keys.
fn lineage(of: &str, keys: usize) -> String {
    let former = vec![r#"{"identity":"AAAA","handover":"AAAA"}"#; keys].join(",");
    let origin = data_encoding::BASE64.encode(&[7; 32]);
    format!(r#"{{"op":"lineage","name":"{of}","origin":"{origin}","former":[{former}]}}"#)
}

#[test]
fn a_lineage_stands_behind_its_account_in_a_rewritten_file_only() {
    let alice = lines(&example()).swap_remove(0);
    let file = |records: &[&str]| sealed(records.len() as u64, format!("{}\n", records.join("\n")).as_bytes());
    let good = Place::with_file(&file(&[&alice, &lineage("alice", 8)]));
    assert_eq!(good.open().unwrap().1.find(&name("alice")).unwrap().unwrap().lineage().len(), 8);
    let empty_key = lineage("alice", 1).replacen("AAAA", "", 1);
    for (bad, line) in [
        (file(&[&lineage("alice", 1), &alice]), 2),
        (file(&[&alice, &lineage("alice", 9)]), 3),
        (file(&[&alice, &lineage("alice", 0)]), 3),
        (file(&[&alice, &empty_key]), 3),
        (file(&[&alice, &lineage("alice", 1), &lineage("alice", 1)]), 4),
    ] {
        refused_file(&bad, line, "a lineage of alice does not belong here");
    }
}

#[test]
fn keys_that_do_not_follow_are_refused() {
    let good = lines(&example());
    let keys: Vec<_> = good.iter().filter(|line| line.contains(r#""op":"keys""#)).cloned().collect();
    let without_first = good.join("\n").replace(&keys[0], &keys[1]) + "\n";
    let line = 1 + good.iter().position(|line| *line == keys[1]).unwrap() as u64;
    refused(without_first.as_bytes(), line, "new keys of alice: the key bundle has number 3, after 3");
}
