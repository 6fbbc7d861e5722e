use std::os::unix::fs::MetadataExt;

use super::*;

fn offered(folder: &Path) -> Feed {
    Feed::bind(folder.join(NAME)).unwrap()
}

/// What has come, which must be so many lines.
fn lines(attached: &mut Attached, count: usize) -> Vec<String> {
    let never = Stop::new().unwrap();
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.extend(attached.next(&never).unwrap().expect("the feed goes on"));
    }
    lines
}

#[test]
fn every_reader_gets_every_line_and_the_first_ones_also_if_it_comes_a_moment_later() {
    let place = tempfile::tempdir().unwrap();
    assert!(Attached::to(place.path()).is_none());
    let mut feed = offered(place.path());
    let mut one = Attached::to(place.path()).unwrap();
    feed.tell(|| "first".to_owned());
    let mut other = Attached::to(place.path()).unwrap();
    feed.tell(|| "second".to_owned());
    assert_eq!(lines(&mut one, 2), ["first", "second"]);
    assert_eq!(lines(&mut other, 2), ["first", "second"]);
    assert_eq!(one.process(), i32::try_from(std::process::id()).unwrap());
}

/// Nothing may happen in the feed's client between the two.
#[test]
fn whoever_comes_in_time_gets_the_first_lines_however_late_it_is_taken_in() {
    let place = tempfile::tempdir().unwrap();
    let mut feed = offered(place.path());
    assert_eq!(feed.deadline(), None, "nobody could miss anything");
    feed.tell(|| "first".to_owned());
    let mut reader = Attached::to(place.path()).unwrap();
    assert_eq!(feed.deadline(), Some(feed.begun + FEED_CATCH_UP));
    feed.begun -= FEED_CATCH_UP;
    feed.tell(|| "second".to_owned());
    assert_eq!(lines(&mut reader, 2), ["first", "second"]);
    assert_eq!(feed.deadline(), None);
}

#[test]
fn a_client_that_was_sent_away_tells_why() {
    let place = tempfile::tempdir().unwrap();
    let mut feed = offered(place.path());
    let mut reader = Attached::to(place.path()).unwrap();
    feed.tell(|| status("online", None));
    feed.tell(|| sent_away(Code::Replaced));
    drop(feed);
    let never = Stop::new().unwrap();
    while reader.next(&never).unwrap().is_some() {}
    assert_eq!(reader.sent_away(), Some(Code::Replaced));
    for line in [status("offline", Some("sent-away")), r#"{"type":"message","code":21}"#.to_owned(), "{".to_owned()] {
        assert_eq!(was_sent_away(&line), None, "{line}");
    }
}

#[test]
fn whoever_comes_too_late_for_all_of_the_first_lines_is_told_so() {
    let place = tempfile::tempdir().unwrap();
    let mut feed = offered(place.path());
    let line = "x".repeat(FEED_KEPT - 1);
    feed.tell(|| line.clone());
    feed.tell(|| "second".to_owned());
    let mut late = Attached::to(place.path()).unwrap();
    feed.tell(|| "third".to_owned());
    assert_eq!(lines(&mut late, 3), [&status("behind", None), "second", "third"]);
}

#[test]
fn a_reader_that_takes_nothing_is_dropped_and_holds_up_nobody() {
    let place = tempfile::tempdir().unwrap();
    let mut feed = offered(place.path());
    let mut stuck = Attached::to(place.path()).unwrap();
    let line = "x".repeat(4096);
    feed.tell(|| line.clone());
    let mut told = 1;
    while !feed.readers.is_empty() {
        feed.tell(|| line.clone());
        told += 1;
        assert!(told < 10_000, "memory without end");
    }
    let mut quick = Attached::to(place.path()).unwrap();
    (feed.kept, feed.has_gap) = Default::default();
    feed.tell(|| "for the quick".to_owned());
    assert_eq!(lines(&mut quick, 1), ["for the quick"]);
    let never = Stop::new().unwrap();
    while let Some(lines) = stuck.next(&never).unwrap() {
        assert!(lines.iter().all(|text| *text == line), "whole lines only");
    }
}

#[test]
fn the_socket_is_for_its_owner_alone_and_goes_with_the_feed() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join(NAME);
    // As a killed client leaves it.
    drop(UnixListener::bind(&path).unwrap());
    assert!(Attached::to(place.path()).is_none());
    let feed = offered(place.path());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    let mut attached = Attached::to(place.path()).unwrap();
    drop(feed);
    assert!(!path.exists());
    assert!(attached.next(&Stop::new().unwrap()).unwrap().is_none());
}

#[test]
fn a_folder_may_have_a_longer_path_than_a_socket() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("x".repeat(200));
    fs::create_dir(&folder).unwrap();
    let mut feed = offered(&folder);
    let mut reader = Attached::to(&folder).unwrap();
    feed.tell(|| "line".to_owned());
    assert_eq!(lines(&mut reader, 1), ["line"]);
}

#[test]
fn there_are_only_so_many_readers() {
    let place = tempfile::tempdir().unwrap();
    let mut feed = offered(place.path());
    let all: Vec<_> = (0..=FEED_READERS).map(|_| Attached::to(place.path()).unwrap()).collect();
    feed.welcome();
    assert_eq!((feed.readers.len(), all.len()), (FEED_READERS, FEED_READERS + 1));
    drop(all);
    let mut late = Attached::to(place.path()).unwrap();
    feed.tell(|| "there is room again".to_owned());
    assert_eq!(lines(&mut late, 1), ["there is room again"]);
}
