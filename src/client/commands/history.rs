//! `topchat history`: shows it, turns it on and off, deletes it.

use std::collections::{BTreeSet, HashSet};
use std::io;

use clap::Subcommand;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};
use serde::Serialize;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::keys::folder::KeyFolder;
use crate::client::keys::password;
use crate::client::net::session;
use crate::client::state::history::key::Settings;
use crate::client::state::history::{self, Head, History, Past};
use crate::client::ui::output::now_ms;
use crate::client::ui::page;
use crate::client::ui::prompt::{Terminal, is_yes};
use crate::client::ui::{json, output};
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::names::{GROUP, Recipient, UserName};
use crate::storage::journal::torn_copies;
use crate::storage::{FileError, private};
use crate::text::{nearest, visible, visible_path};

/// What is to be shown.
pub(crate) struct Wanted {
    /// Between oneself and this one.
    pub with: Option<Recipient>,
    /// Since when, as typed.
    pub since: Option<String>,
    /// Texts with this in them.
    pub search: Option<String>,
}

/// What to do with the history.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum HistoryTask {
    /// Keep one from now on, in every run.
    On,
    /// Keep none from now on; what is there stays.
    Off,
    Erase {
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

/// A message, as it is shown.
struct Shown<'a> {
    id: &'a str,
    from: &'a str,
    to: &'a str,
    ms: i64,
    key: Option<&'a str>,
    suite: &'a str,
    text: &'a str,
    /// One's own, and nobody got it.
    is_refused: bool,
}

/// Shows what was asked for, oldest first. Entries that don't open are an error, after all others are shown.
pub(crate) fn show(config: &Config, wanted: &Wanted) -> Result<(), Error> {
    let since = wanted.since.as_deref().map(|text| since(text, &ZonedDateTime::now())).transpose()?;
    let name = session::choose(config)?;
    let folder = config.account_state(&name);
    let keys = KeyFolder::new(&config.users_dir(), &name);
    session::has_keys(config, &name)?;
    if !Settings::of(&folder)?.has_key()? {
        return Err(none(&name));
    }
    let secret = password::get(config)?;
    let (present, retired) = (keys.load(&secret)?.encryption, keys.load_retired(&secret));
    let own: Vec<_> = std::iter::once(&present).chain(&retired).collect();
    let read = History::open(&folder, &own)?.read()?;
    let mut found = false;
    for shown in shown(&read.entries).filter(|shown| wanted.fits(shown, &name, since)) {
        output::line(&line(config, &shown, &name))?;
        found = true;
    }
    if !found {
        config.say(wanted.nothing(&read.entries, &name));
    }
    match read.damaged.is_empty() {
        true => Ok(()),
        false => {
            let (path, lines) = (visible_path(history::file(&folder)), lines_in_words(&read.damaged));
            Err(Failure::new(Exit::Local, format!("{path}: {lines} can't be opened; the others are shown"))
                .hint("take history.sealed from a backup; what is not damaged stays in it, and is shown")
                .into())
        }
    }
}

/// Turns the history on or off, or deletes it.
pub(crate) fn change(config: &Config, task: HistoryTask) -> Result<(), Error> {
    let name = session::choose(config)?;
    let folder = config.account_state(&name);
    let settings = || Settings::of(&folder);
    let key = KeyFolder::new(&config.users_dir(), &name).public_encryption()?;
    match task {
        HistoryTask::On => {
            let was = settings()?.turn(true, &key)?;
            let since = if was { "as before" } else { "from now on" };
            config.say(format!(
                "a history of {name} on {} is kept {since}, encrypted under the account's keys, in {}",
                config.server,
                visible(&history::file(&folder).to_string_lossy())
            ));
            if !was {
                config.say("programs of the account that run already keep none until they are started again");
            }
        }
        HistoryTask::Off => {
            settings()?.turn(false, &key)?;
            let words = format!("no history of {name} is kept from now on; what is there stays (");
            config.say(Hint::from(words).topchat(&["history", "erase"]).then(" deletes it)"));
        }
        HistoryTask::Erase { yes } => erase(config, &name, yes)?,
    }
    Ok(())
}

fn erase(config: &Config, name: &UserName, yes: bool) -> Result<(), Error> {
    let path = history::file(&config.account_state(name));
    if !yes {
        let terminal = Terminal::open(config, "a confirmation", "--yes")?;
        let question = format!("delete the history of {name} on {}? (y)es or (n)o ", config.server);
        if !is_yes(&terminal.ask(&question)?) {
            return Err(Error::Declined);
        }
    }
    if path.exists() {
        history::parts(&path).removing(history::FILE)?;
    }
    torn_copies(&path).iter().try_for_each(|copy| private::remove(copy))?;
    match private::remove(&path) {
        Ok(()) => config.say(format!("the history of {name} is deleted")),
        Err(FileError::Missing { .. }) => return Err(none(name)),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn shown(entries: &[Past]) -> impl Iterator<Item = Shown<'_>> {
    let refused: HashSet<&str> = entries
        .iter()
        .filter_map(|past| match &past.head {
            Head::Refused { id } => Some(id.as_str()),
            Head::Message { .. } => None,
        })
        .collect();
    entries.iter().filter_map(move |past| match &past.head {
        Head::Refused { .. } => None,
        Head::Message { id, from, to, ms, key, suite } => Some(Shown {
            id,
            from,
            to,
            ms: *ms,
            key: key.as_deref(),
            suite,
            text: &past.text,
            is_refused: key.is_none() && refused.contains(id.as_str()),
        }),
    })
}

impl Wanted {
    /// What is said if nothing fits.
    fn nothing(&self, entries: &[Past], own: &UserName) -> String {
        let with = |other: &str| shown(entries).any(|shown| shown.is_with(other, own));
        match &self.with {
            Some(other) if !with(other.as_str()) => {
                let names: BTreeSet<&str> = shown(entries).flat_map(|shown| [shown.from, shown.to]).collect();
                let near = nearest(other.as_str(), names.into_iter().filter(|name| *name != own.as_str()));
                let near = near.map_or(String::new(), |near| format!(". Did you mean {near}?"));
                format!("there is nothing with {other} in the history{near}")
            }
            _ if entries.is_empty() => "the history is empty".to_owned(),
            _ => "nothing in the history fits".to_owned(),
        }
    }

    fn fits(&self, shown: &Shown<'_>, own: &UserName, since: Option<Timestamp>) -> bool {
        let is_with = self.with.as_ref().is_none_or(|with| shown.is_with(with.as_str(), own));
        let is_since = since.is_none_or(|since| shown.ms >= since.as_millisecond());
        let contains = |part: &String| shown.text.to_lowercase().contains(&part.to_lowercase());
        is_with && is_since && self.search.as_ref().is_none_or(contains)
    }
}

impl Shown<'_> {
    /// Whether it was written to the group, if that is meant, or between oneself and this one.
    fn is_with(&self, other: &str, own: &UserName) -> bool {
        let between = [(other, own.as_str()), (own.as_str(), other)].contains(&(self.from, self.to));
        between || (other == GROUP && self.to == GROUP)
    }
}

fn line(config: &Config, shown: &Shown<'_>, own: &UserName) -> String {
    if config.json {
        return object(shown);
    }
    let page = page::of(&config.invocation, &io::stdout());
    let to = if shown.to == own.as_str() { "you" } else { shown.to };
    let mark = match (shown.key, shown.is_refused) {
        (Some(key), _) => format!("signed, {key} key"),
        (None, true) => "not delivered".to_owned(),
        (None, false) => "yours".to_owned(),
    };
    // Only today's times stand without their date.
    let head = format!("{} {:<5} > {to:<3}  ", page.when(shown.ms, now_ms()), shown.from);
    page.text(&head, shown.text, &mark)
}

fn object(shown: &Shown<'_>) -> String {
    #[derive(Serialize)]
    struct Object<'a> {
        r#type: &'static str,
        id: &'a str,
        from: &'a str,
        to: &'a str,
        time: String,
        text: &'a str,
        /// Of one's own there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        suite: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        refused: bool,
    }
    json::line(&Object {
        r#type: "history",
        id: shown.id,
        from: shown.from,
        to: shown.to,
        time: json::time(shown.ms),
        text: shown.text,
        key: shown.key,
        suite: shown.suite,
        refused: shown.is_refused,
    })
}

/// A time as people write it: a moment, a day or time of day in this zone, or how long ago.
fn since(text: &str, now: &ZonedDateTime) -> Result<Timestamp, Error> {
    let in_zone = |zone: &TimeZone| {
        let there = text.parse::<DateTime>().ok()?;
        zone.to_ambiguous_zoned_datetime(there).compatible().ok().map(|then| then.timestamp())
    };
    let ago = || {
        let span: Span = text.parse().ok()?;
        // "2d ago" and "2d" mean the same here, and nobody asks for what has not come yet.
        now.checked_sub(span.abs()).ok().map(|then| then.timestamp())
    };
    let moment = text.parse::<Timestamp>().ok();
    let found = moment.or_else(|| in_zone(now.time_zone())).or_else(ago);
    found.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("\"{}\" is no time", visible(text)))
            .hint("write it as 2026-11-23, \"2026-11-23 12:00\", or how long ago: 2d, 3h")
            .into()
    })
}

fn none(name: &UserName) -> Error {
    Failure::new(Exit::Local, format!("there is no history of {name}"))
        .hint(Hint::from("keep one from now on: ").topchat(&["history", "on"]))
        .into()
}

/// `lines 3, 7`, `lines 3, 7, 8, 9, 10 and 12 more`.
fn lines_in_words(lines: &[u64]) -> String {
    let shown: Vec<_> = lines.iter().take(LINES_SHOWN).map(u64::to_string).collect();
    match (shown.as_slice(), lines.len() - shown.len()) {
        ([one], 0) => format!("line {one}"),
        (_, 0) => format!("lines {}", shown.join(", ")),
        (_, more) => format!("lines {} and {more} more", shown.join(", ")),
    }
}

/// More would fill the terminal.
const LINES_SHOWN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_a_day_or_how_long_ago() {
        let now: ZonedDateTime = "2026-11-23T12:00[Europe/Berlin]".parse().unwrap();
        for (text, then) in [
            ("2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("2026-11-22 10:00", "2026-11-22T09:00:00Z"),
            ("2d", "2026-11-21T11:00:00Z"),
            ("2 days ago", "2026-11-21T11:00:00Z"),
            ("3h", "2026-11-23T08:00:00Z"),
            ("1h 30m", "2026-11-23T09:30:00Z"),
        ] {
            assert_eq!(since(text, &now).unwrap().to_string(), then, "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "12", "-"] {
            assert_eq!(since(text, &now).unwrap_err().to_string(), format!("\"{text}\" is no time"));
        }
    }

    #[test]
    fn between_two_means_neither_the_group_nor_others() {
        let own: UserName = "alice".parse().unwrap();
        let fits = |with: &str, from: &str, to: &str| {
            let wanted = Wanted { with: Some(with.parse().unwrap()), since: None, search: None };
            let shown = Shown { id: "", from, to, ms: 0, key: None, suite: "classic", text: "", is_refused: false };
            wanted.fits(&shown, &own, None)
        };
        assert!(fits("bob", "bob", "alice") && fits("bob", "alice", "bob"));
        assert!(!fits("bob", "bob", "ALL") && !fits("bob", "alice", "carol") && !fits("bob", "carol", "alice"));
        assert!(fits("ALL", "bob", "ALL") && fits("ALL", "alice", "ALL") && !fits("ALL", "bob", "alice"));
    }

    #[test]
    fn a_text_is_found_in_capitals_or_not() {
        let own: UserName = "alice".parse().unwrap();
        let shown = Shown {
            id: "",
            from: "bob",
            to: "alice",
            ms: 0,
            key: None,
            suite: "classic",
            text: "Gr\u{dc}N",
            is_refused: false,
        };
        let search = |part: &str| Wanted { with: None, since: None, search: Some(part.to_owned()) };
        assert!(search("gr\u{fc}n").fits(&shown, &own, None));
        assert!(!search("blue").fits(&shown, &own, None));
    }
}
