use std::fs;

use super::*;
use crate::client::message_tests::{self, header};
use crate::crypto::test_keys::BOB_ENCRYPTION;
use crate::storage::private;
use crate::wire::Header;

fn history(folder: &Path) -> History {
    History::open(folder, &[&BOB_ENCRYPTION]).unwrap()
}

fn opened(id: u8, text: &str) -> Opened {
    let header = Header { msg_id: MessageId([id; 16]), ..header(1) };
    Opened { received_ms: 1_795_435_451_999, ..message_tests::opened(header, text) }
}

fn texts(history: &History) -> Vec<String> {
    let read = history.read().unwrap();
    assert!(read.damaged.is_empty());
    read.entries.iter().map(|past| past.text.to_string()).collect()
}

#[test]
fn what_came_and_went_is_there_again_in_order() {
    let place = tempfile::tempdir().unwrap();
    let first = history(place.path());
    first.received([opened(1, "one\ntwo\u{1b}"), opened(2, "\"three\"")].iter());
    first.sent(&opened(3, "").envelope, "four");
    first.refused(MessageId([3; 16]));
    assert_eq!(texts(&history(place.path())), ["one\ntwo\u{1b}", "\"three\"", "four", ""]);
    let heads: Vec<_> = history(place.path()).read().unwrap().entries.into_iter().map(|past| past.head).collect();
    let message = Head::Message {
        id: "01".repeat(16),
        from: "alice".to_owned(),
        to: "bob".to_owned(),
        ms: 1_795_435_451_999,
        key: Some("known".to_owned()),
        suite: "classic".to_owned(),
    };
    assert_eq!(heads[0], message);
    assert!(matches!(&heads[2], Head::Message { key: None, .. }));
    assert_eq!(heads[3], Head::Refused { id: "03".repeat(16) });
}

#[test]
fn several_programs_add_to_one_history() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (history(place.path()), history(place.path()));
    for round in 0..3 {
        one.received([opened(round, "one")].iter());
        two.received([opened(round + 10, "two")].iter());
    }
    assert_eq!(texts(&one), ["one", "two", "one", "two", "one", "two"]);

    std::thread::scope(|scope| {
        for writer in 0..4 {
            let history = history(place.path());
            scope.spawn(move || (0..5).for_each(|n| history.received([opened(writer * 16 + n, "x")].iter())));
        }
    });
    assert_eq!(texts(&one).len(), 26);
}

#[test]
fn what_is_shown_again_after_a_crash_stands_there_once() {
    let place = tempfile::tempdir().unwrap();
    history(place.path()).received([opened(1, "before the crash")].iter());
    let again = |id, text| Opened { is_repeated: true, ..opened(id, text) };
    history(place.path()).received([again(1, "before the crash"), again(2, "not written before it")].iter());
    assert_eq!(texts(&history(place.path())), ["before the crash", "not written before it"]);
}

#[test]
fn a_torn_entry_is_cut_off_at_every_byte_and_the_others_stay() {
    let place = tempfile::tempdir().unwrap();
    history(place.path()).received([opened(1, "one")].iter());
    let path = file(place.path());
    let whole = fs::metadata(&path).unwrap().len();
    history(place.path()).received([opened(2, "two")].iter());
    let bytes = fs::read(&path).unwrap();
    for length in usize::try_from(whole).unwrap()..bytes.len() {
        private::replace(&path, &bytes[..length]).unwrap();
        assert_eq!(texts(&history(place.path())), ["one"], "{length}");
        history(place.path()).received([opened(3, "three")].iter());
        assert_eq!(texts(&history(place.path())), ["one", "three"], "{length}");
    }
}

#[test]
fn entries_that_were_changed_moved_or_copied_are_told_and_the_others_shown() {
    let place = tempfile::tempdir().unwrap();
    history(place.path()).received([opened(1, "one"), opened(2, "two"), opened(3, "three")].iter());
    let path = file(place.path());
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (order, damaged, left) in [
        (&[0, 2, 1, 3][..], &[2, 3][..], &["three"][..]),
        (&[0, 2, 3], &[2, 3], &[]),
        (&[0, 1, 1, 2, 3], &[3, 4, 5], &["one"]),
        (&[0, 1, 2], &[], &["one", "two"]),
    ] {
        let changed: String = order.iter().map(|line| format!("{}\n", lines[*line])).collect();
        private::replace(&path, changed.as_bytes()).unwrap();
        let read = history(place.path()).read().unwrap();
        let texts: Vec<_> = read.entries.iter().map(|past| past.text.as_str()).collect();
        assert_eq!((read.damaged.as_slice(), texts.as_slice()), (damaged, left), "{order:?}");
    }
    private::replace(&path, b"something else\n").unwrap();
    assert!(matches!(history(place.path()).read(), Err(Error::Journal(JournalError::Damaged { line: 1, .. }))));
}

/// No flipped bit changes what is shown without a word, and nothing is added behind damage.
#[test]
fn every_flipped_byte_of_a_history_is_told_or_makes_no_difference() {
    let place = tempfile::tempdir().unwrap();
    let all = ["one", "two", "three"];
    history(place.path()).received([opened(1, all[0]), opened(2, all[1]), opened(3, all[2])].iter());
    let path = file(place.path());
    let whole = fs::read(&path).unwrap();
    let last = whole.len() - 1 - whole[..whole.len() - 1].iter().rev().position(|byte| *byte == b'\n').unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        private::replace(&path, &bytes).unwrap();
        match history(place.path()).read() {
            Err(error) => assert!(matches!(error, Error::Journal(_)), "byte {at}: {error}"),
            Ok(Read { entries, damaged }) => {
                let texts: Vec<_> = entries.iter().map(|past| past.text.as_str()).collect();
                assert!(texts.iter().all(|text| all.contains(text)), "byte {at}: {texts:?}");
                // The line end of the last one is missing: so it is after a crash.
                assert!(!damaged.is_empty() || at == whole.len() - 1, "byte {at}: {texts:?}");
            }
        }
        let checked = history(place.path()).checked();
        // One that became a line end makes two of the last line.
        match at < last || bytes[at] == b'\n' {
            true => {
                assert!(checked.is_err(), "byte {at}");
                history(place.path()).received([opened(4, "four")].iter());
                assert_eq!(fs::read(&path).unwrap(), bytes, "byte {at}");
            }
            false => {
                assert!(checked.is_ok(), "byte {at}");
                assert_eq!(texts(&history(place.path())), all[..2], "byte {at}");
                let copy = path.with_file_name(format!("{FILE}.torn-{last}"));
                assert_eq!(fs::read(&copy).unwrap(), bytes[last..], "byte {at}");
            }
        }
    }
}

#[test]
fn a_history_that_is_gone_or_of_an_older_version_is_told_and_none_is_begun() {
    let place = tempfile::tempdir().unwrap();
    history(place.path()).received([opened(1, "one")].iter());
    let path = file(place.path());
    private::replace(&path, b"topchat history v1\n").unwrap();
    assert!(matches!(history(place.path()).checked(), Err(Error::Journal(JournalError::Version { found: 1, .. }))));
    private::remove(&path).unwrap();
    for _ in 0..2 {
        assert!(matches!(history(place.path()).checked(), Err(Error::Folder(_))));
        assert!(matches!(history(place.path()).read(), Err(Error::Folder(_))));
        history(place.path()).received([opened(2, "two")].iter());
        assert!(!path.exists());
    }
}

#[test]
fn nothing_readable_reaches_the_disk_and_the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = tempfile::tempdir().unwrap();
    history(place.path()).received([opened(1, "a rather long text that would be found")].iter());
    for entry in fs::read_dir(place.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|part| part == b"rather" || part == b"alice\""), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn an_erased_history_begins_anew() {
    let place = tempfile::tempdir().unwrap();
    let open = history(place.path());
    open.received([opened(1, "one"), opened(2, "two")].iter());
    parts(&file(place.path())).removing(FILE).unwrap();
    private::remove(&file(place.path())).unwrap();
    assert_eq!(texts(&open).len(), 0);
    open.received([opened(3, "three")].iter());
    assert_eq!(texts(&open), ["three"]);
}
