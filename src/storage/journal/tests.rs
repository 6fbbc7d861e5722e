use std::fs;

use serde::Deserialize;

use super::*;
use crate::storage::disk::RealDisk;
use crate::storage::failing::FailingDisk;

/// FNV-1a four times over: these tests stand below the hash that the programs use.
fn digest(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    for (part, seed) in digest.chunks_exact_mut(8).zip(1_u64..) {
        let hash = bytes
            .iter()
            .fold(0xcbf2_9ce4_8422_2325 ^ seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
        part.copy_from_slice(&(hash ^ (hash >> 29)).to_be_bytes());
    }
    digest
}

const FORMAT: Format = Format { name: "words", version: 2, stake: "all words", digest };

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
struct Word {
    word: String,
}

fn words(texts: &[&str]) -> Vec<Word> {
    texts.iter().map(|text| Word { word: (*text).to_owned() }).collect()
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(founding: &[&str], added: &[&str]) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let mut journal = Journal::create(&place.path(), &FORMAT, Box::new(RealDisk), &words(founding)).unwrap();
        journal.append(&words(added)).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("words")
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn put(&self, bytes: &[u8]) {
        fs::write(self.path(), bytes).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.bytes()).unwrap().split_inclusive('\n').map(str::to_owned).collect()
    }

    fn read(&self) -> Result<(Stored, Vec<Word>), JournalError> {
        let mut all = Vec::new();
        let mut stored = Stored::open(&self.path(), &FORMAT)?;
        stored.replay(|word| {
            all.push(word);
            Ok::<_, String>(())
        })?;
        Ok((stored, all))
    }

    fn open(&self) -> (Journal, Vec<Word>, Option<Cut>) {
        let (stored, all) = self.read().unwrap();
        let (journal, cut) = stored.settle(Box::new(RealDisk)).unwrap();
        (journal, all, cut)
    }

    fn refused(&self) -> String {
        let before = self.bytes();
        let error = self.read().err().expect("it is damaged");
        assert_eq!(self.bytes(), before);
        assert!(!error.hint().unwrap().to_string().is_empty());
        error.to_string()
    }

    fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn records_come_back_also_after_a_rewrite() {
    let place = Place::new(&["one"], &["two", "three"]);
    let (mut journal, all, cut) = place.open();
    assert_eq!((all, cut, journal.count()), (words(&["one", "two", "three"]), None, 3));
    journal.rewrite(1, words(&["two"])).unwrap();
    journal.append(&words(&["four"])).unwrap();
    let (stored, all) = place.read().unwrap();
    assert_eq!((stored.founding(), all), (1, words(&["two", "four"])));
}

#[test]
fn the_title_says_what_it_is_and_each_line_begins_with_the_sum_before_it() {
    let lines = Place::new(&["one"], &["two"]).lines();
    assert!(lines[0].starts_with("topchat words v2 1 "), "{lines:?}");
    let sums = [&lines[0][19..35], &lines[1][9..25]];
    assert_eq!([&lines[1][..8], &lines[2][..8]], [&sums[0][..8], &sums[1][..8]], "{lines:?}");
    assert_eq!(&lines[2][HEAD..], "{\"word\":\"two\"}\n");
}

/// Every bit of every byte: the start is refused and nothing changed, or the last record, and no other, is cut off and kept.
#[test]
fn every_flipped_bit_is_noticed() {
    let place = Place::new(&["one", "two"], &["three", "JJ four"]);
    let whole = place.bytes();
    let last = whole.len() - place.lines()[4].len();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            place.put(&bytes);
            match place.read() {
                Ok((stored, all)) => {
                    assert!(at >= last, "byte {at}, bit {bit}");
                    assert_eq!(all, words(&["one", "two", "three"]));
                    assert_eq!(stored.tail, bytes[last..]);
                }
                Err(JournalError::Damaged { line, .. }) => {
                    let hit = 1 + whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
                    assert_eq!(line, hit, "byte {at}, bit {bit}");
                }
                Err(error) => panic!("byte {at}, bit {bit}: {error}"),
            }
            assert_eq!(place.bytes(), bytes);
        }
    }
}

#[test]
fn whatever_byte_it_ends_at_it_gives_whole_records_or_refuses() {
    let place = Place::new(&["one"], &["two", "three"]);
    let (whole, lines) = (place.bytes(), place.lines());
    let founded = lines[0].len() + lines[1].len();
    for length in 0..whole.len() {
        place.put(&whole[..length]);
        match place.read() {
            Ok((stored, all)) => {
                assert!(length >= founded, "cut at {length}");
                let full = whole[..length].iter().filter(|byte| **byte == b'\n').count() - 1;
                assert_eq!(all, words(&["one", "two", "three"][..full]));
                assert_eq!(stored.tail.is_empty(), whole[..length].ends_with(b"\n"));
            }
            Err(error) => assert!(length < founded, "cut at {length}: {error}"),
        }
    }
}

#[test]
fn what_is_cut_off_is_told_and_kept_and_the_journal_goes_on() {
    let place = Place::new(&[], &["one", "two"]);
    let (whole, lines) = (place.bytes(), place.lines());
    let offset = whole.len() - lines[2].len();
    let torn = &whole[..whole.len() - 3];
    let mut damaged = whole.clone();
    damaged[offset + HEAD + 10] ^= 4;
    for found in [torn, &damaged] {
        place.put(found);
        let (mut journal, all, cut) = place.open();
        let (cut, copy) = (cut.unwrap(), place.folder.path().join(format!("words.torn-{offset}")));
        assert_eq!(all, words(&["one"]));
        assert_eq!((cut.offset, cut.bytes), (offset as u64, (found.len() - offset) as u64));
        assert_eq!(fs::read(&copy).unwrap(), found[offset..]);
        assert_eq!(
            cut.to_string(),
            format!(
                "{}: cut off a torn or damaged last record, {} bytes at byte {offset}, kept in {}",
                place.path().display(),
                found.len() - offset,
                copy.display()
            )
        );
        journal.append(&words(&["three"])).unwrap();
        assert_eq!(place.open().1, words(&["one", "three"]));
    }
}

#[test]
fn copies_of_cut_records_do_not_fill_the_disk() {
    let place = Place::new(&[], &[]);
    for number in 0..TORN_COPIES + 5 {
        place.open().0.append(&words(&[&format!("{number}")])).unwrap();
        let mut bytes = place.bytes();
        bytes.extend(b"torn");
        place.put(&bytes);
        place.open();
    }
    let copies = place.names().iter().filter(|name| name.contains(".torn-")).count();
    assert_eq!(copies, TORN_COPIES);
}

#[test]
fn lines_that_are_missing_doubled_or_swapped_are_noticed() {
    let place = Place::new(&[], &["one", "two", "three", "four"]);
    let lines = place.lines();
    let put = |order: &[usize]| place.put(order.iter().map(|at| lines[*at].as_str()).collect::<String>().as_bytes());
    let out_of_order = "a line before it is missing, doubled or out of its order";
    for (order, line) in [
        (&[0, 2, 3, 4][..], 2),
        (&[0, 1, 3, 4], 3),
        (&[0, 1, 2, 4], 4),
        (&[0, 1, 1, 2, 3, 4], 3),
        (&[0, 1, 2, 3, 4, 4], 6),
        (&[0, 2, 1, 3, 4], 2),
        (&[0, 1, 2, 4, 3], 4),
    ] {
        put(order);
        assert!(place.refused().ends_with(&format!("line {line}: {out_of_order}")), "{order:?}: {}", place.refused());
    }
    for order in [&[0, 0, 1, 2, 3, 4][..], &[0, 1, 2, 0, 3, 4]] {
        put(order);
        assert!(place.refused().ends_with("the checksum does not hold"), "{order:?}");
    }
    put(&[1, 2, 3, 4]);
    assert!(place.refused().ends_with("line 1: this is no file of words"), "{}", place.refused());
}

#[test]
fn blank_lines_long_lines_and_foreign_files_are_refused() {
    let place = Place::new(&[], &["one", "two"]);
    let lines = place.lines();
    for (content, words) in [
        (String::new(), "line 1: this is no file of words"),
        ("\n".to_owned(), "line 1: this is no file of words"),
        ("\0\0\0\0".to_owned(), "line 1: this is no file of words"),
        ("-----BEGIN PRIVATE KEY-----\n".to_owned(), "line 1: this is no file of words"),
        (format!("{}\n{}{}", lines[0], lines[1], lines[2]), "line 2: a blank line"),
        (format!("{}{}{}\n", lines[0], lines[1], lines[2]), "line 4: a blank line"),
        (format!("{}{}{}", lines[0], "x".repeat(RECORD_MAX), lines[1]), "line 2: longer than any record"),
        (format!("{}{}", lines[0], "x".repeat(TORN_MAX + 1)), "line 2: its line end is missing"),
        (format!("{}{} \n{}", lines[0], lines[1].trim_end(), lines[2]), "line 2: the checksum does not hold"),
        (format!("{}{}{}", lines[0], lines[1].trim_end(), lines[2]), "line 2: its line end is damaged"),
    ] {
        place.put(content.as_bytes());
        assert!(place.refused().ends_with(words), "{}", place.refused());
    }
}

#[test]
fn another_version_is_refused_by_its_number() {
    let place = Place::new(&[], &["one"]);
    let newer = |version: u32| {
        let title = format!("topchat words v{version} with more fields");
        format!("{title} {}\n", sum(&FORMAT, title.as_bytes()))
    };
    for (title, found, program) in [
        ("{\"op\":\"register\",\"v\":1}\n".to_owned(), 1, "older"),
        ("topchat words v1\n".to_owned(), 1, "older"),
        (newer(3), 3, "newer"),
        (newer(12), 12, "newer"),
    ] {
        place.put(format!("{title}and more\n").as_bytes());
        let words = format!("words is of version {found} of its format, and this program reads version 2");
        assert!(place.refused().ends_with(&words), "{}", place.refused());
        let hint = format!("nothing was changed: use the {program} program that wrote it, or begin in another folder");
        assert_eq!(place.read().err().unwrap().hint().unwrap().to_string(), hint);
    }
    Journal::create(
        &place.folder.path().join("other"),
        &Format { name: "deeds", ..FORMAT },
        Box::new(RealDisk),
        &words(&[]),
    )
    .unwrap();
    place.put(&fs::read(place.folder.path().join("other")).unwrap());
    assert!(place.refused().ends_with("line 1: this is a file of deeds, not of words"), "{}", place.refused());
}

#[test]
fn what_the_reader_refuses_is_damage_of_that_line() {
    let place = Place::new(&[], &["one", "two"]);
    let mut stored = Stored::open(&place.path(), &FORMAT).unwrap();
    let refused = stored.replay(|word: Word| if word.word == "two" { Err("no such word") } else { Ok(()) });
    let error = refused.unwrap_err();
    assert!(error.to_string().ends_with("words, line 3: no such word"), "{error}");
    assert_eq!(
        error.hint().unwrap().to_string(),
        "nothing was changed, and this file holds all words: put it back from a backup"
    );
    let mut stored = Stored::open(&place.path(), &FORMAT).unwrap();
    let error = stored.replay(|_: u64| Ok::<_, String>(())).unwrap_err().to_string();
    assert!(error.contains("line 2: invalid type: map, expected u64 (column 26)"), "{error}");
}

/// Wherever the disk fails, what was answered stays, what was refused does not come back, and it goes on when the disk does.
#[test]
fn whatever_fails_nothing_answered_is_lost() {
    for first in 0..20 {
        for count in 1..5 {
            let place = Place::new(&["begin"], &[]);
            let disk = FailingDisk::new(first, count);
            let (stored, _) = place.read().unwrap();
            let Ok((mut journal, _)) = stored.settle(Box::new(disk.clone())) else { continue };
            let mut kept = words(&["begin"]);
            for number in 0..10 {
                let word = words(&[&format!("{number}")]);
                if journal.append(&word).is_ok() {
                    kept.extend(word);
                }
                if number % 4 == 3 {
                    let tail = kept.split_off(1);
                    // Either all of the old ones count after a failure, or all of the new ones.
                    let all = [&kept[..], &tail].concat();
                    match journal.rewrite(all.len() as u64, all.iter()) {
                        Ok(()) | Err(_) => kept = all,
                    }
                }
            }
            disk.heal();
            journal.append(&words(&["end"])).unwrap();
            kept.extend(words(&["end"]));
            assert_eq!(place.open().1, kept, "{first}+{count}");
        }
    }
}

#[test]
fn a_record_too_long_to_be_read_is_not_written() {
    let place = Place::new(&[], &["one"]);
    let (mut journal, ..) = place.open();
    let long = words(&["two", &"x".repeat(RECORD_MAX)]);
    assert!(matches!(journal.append(&long), Err(JournalError::File(FileError::TooLarge { .. }))));
    journal.append(&words(&["three"])).unwrap();
    assert_eq!(place.open().1, words(&["one", "three"]));
}
