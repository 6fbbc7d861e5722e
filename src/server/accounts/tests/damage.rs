//! Files that a crash tore or somebody changed.

use super::*;
use crate::server::accounts::file::replay;
use crate::server::accounts::record::Record;
use crate::storage::append::{Records, Torn};

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
        (r#"{"op":"keys","v":1,"name":"zoe","bundle":"","handover":""}"#.to_owned(), "there is no account zoe"),
        (r#"{"op":"keys","v":1,"name":"alice","bundle":"AAAA","handover":""}"#.to_owned(), "new keys of alice: "),
        (swap("register", "keys"), "unknown field `created_ms`"),
        (lineage("alice", 1), "a lineage of alice does not belong here"),
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
    assert_eq!(rewritten.len(), 5, "a checkpoint, two accounts, one with a lineage, the other disabled");
    assert_eq!(rewritten[0], r#"{"op":"checkpoint","v":1,"records":4}"#);
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
    let alice = accounts.find(&name("alice")).unwrap();
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
        refused(&good[..cut], whole + 1, &format!("promises 4 records, but only {} follow", whole - 1));
    }
    let text = String::from_utf8(good).unwrap();
    let early = text.replacen("{\"op\":\"disable\"", "{\"op\":\"enable\"", 1);
    refused(early.as_bytes(), 5, "promises 4 records, but only 3 follow");
}

/// A lineage of so many keys.
fn lineage(of: &str, keys: usize) -> String {
    let former = vec![r#"{"identity":"AAAA","handover":"AAAA"}"#; keys].join(",");
    let origin = data_encoding::BASE64.encode(&[7; 32]);
    format!(r#"{{"op":"lineage","v":1,"name":"{of}","origin":"{origin}","former":[{former}]}}"#)
}

#[test]
fn a_lineage_stands_behind_its_account_in_a_rewritten_file_only() {
    let alice = lines(&example()).swap_remove(0);
    let file = |records: &[&str]| {
        let checkpoint = format!(r#"{{"op":"checkpoint","v":1,"records":{}}}"#, records.len());
        format!("{checkpoint}\n{}\n", records.join("\n"))
    };
    let good = Place::with(file(&[&alice, &lineage("alice", 8)]).as_bytes());
    assert_eq!(good.open().unwrap().1.find(&name("alice")).unwrap().lineage().len(), 8);
    let empty_key = lineage("alice", 1).replacen("AAAA", "", 1);
    for (bad, line) in [
        (file(&[&lineage("alice", 1), &alice]), 2),
        (file(&[&alice, &lineage("alice", 9)]), 3),
        (file(&[&alice, &lineage("alice", 0)]), 3),
        (file(&[&alice, &empty_key]), 3),
        (file(&[&alice, &lineage("alice", 1), &lineage("alice", 1)]), 4),
    ] {
        refused(bad.as_bytes(), line, "a lineage of alice does not belong here");
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
