//! How events look to a person. Pure: the zone, the time and the terminal's properties are given.
//!
//! Every line begins with a time or with the mark of a continued text, so that no part of a text can pass for another
//! sender's line, however it is broken or wrapped.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::event::{KeyChange, Notice, Opened};
use crate::limits::{CLOCK_SKEW_MS, CONTACTS_MAX};
use crate::names::{Recipient, UserName};
use crate::text::visible_lines;
use crate::wire::Fingerprint;

/// What the lines are made for.
#[derive(Clone, Debug)]
pub struct Page {
    /// For the times.
    pub zone: TimeZone,
    /// Whether colours may be used. Meaning never depends on them.
    pub colour: bool,
    /// Columns of the terminal, if it is one.
    pub width: Option<usize>,
    /// What stands before a command that the reader may type: `/` in the chat, else this program's name.
    pub before_commands: &'static str,
}

/// A message of one's own.
pub struct Own<'a> {
    /// Who writes.
    pub from: &'a UserName,
    /// Who it is for.
    pub to: &'a Recipient,
    /// What was written.
    pub text: &'a str,
    /// When, as Unix time in milliseconds.
    pub sent_ms: i64,
    /// What became of it, as `sent to 3`.
    pub state: &'a str,
}

impl Page {
    /// A received message: `12:04 bob   > you  yes, one o'clock      [signed, new key]`.
    pub fn message(&self, opened: &Opened, now_ms: i64) -> String {
        let header = &opened.envelope.header;
        let sent_ms = i64::try_from(header.sent_ms).unwrap_or(i64::MAX);
        let to = match &header.recipient {
            Recipient::All => "ALL",
            Recipient::User(_) => "you",
        };
        let head = format!("{} {:<5} > {to:<3}  ", self.when(sent_ms, now_ms), header.sender.as_str());
        let mut mark = format!("signed, {} key", opened.mark.word());
        if opened.backlog {
            mark.push_str(", waited");
        }
        if opened.is_late {
            mark.push_str(", out of order");
        }
        if opened.is_repeated {
            mark.push_str(", repeated");
        }
        if !opened.backlog && sent_ms.abs_diff(opened.received_ms) > CLOCK_SKEW_MS {
            mark.push_str(", sender's clock differs");
        }
        self.text(&head, &opened.text, &mark)
    }

    /// A message of one's own, with what became of it.
    pub fn own(&self, own: &Own<'_>) -> String {
        let head = format!("{} {:<5} > {:<3}  ", self.time(own.sent_ms), own.from.as_str(), own.to.as_str());
        self.text(&head, own.text, own.state)
    }

    /// Something other than a message. What endangers a conversation is set off by `!!`.
    pub fn notice(&self, notice: &Notice, now_ms: i64) -> String {
        let time = self.time(now_ms);
        if let Notice::NewKeys { .. } | Notice::GroupKeyRead { .. } = notice {
            return self.remark(&self.words(notice).join("\n"), now_ms);
        }
        let lines: Vec<_> = self.words(notice).iter().map(|line| self.alarm(&format!("{time} !! {line}"))).collect();
        lines.join("\n")
    }

    /// A line of the program itself within the chat: the time, three spaces, the words.
    pub fn remark(&self, words: &str, now_ms: i64) -> String {
        let mut lines = words.split('\n');
        let first = format!("{}   {}", self.time(now_ms), lines.next().unwrap_or_default());
        lines.fold(first, |text, line| text + "\n        " + line)
    }

    fn words(&self, notice: &Notice) -> Vec<String> {
        let line = match notice {
            Notice::Copy { from, id, first_ms } => {
                format!(
                    "ignored a copy of {from}'s message #{} (already received {})",
                    id.short(),
                    self.time(*first_ms)
                )
            }
            Notice::HeldBack { from: Some(from) } => {
                format!("further lines about messages marked from {from} are held back for an hour: there are too many")
            }
            Notice::HeldBack { from: None } => {
                "further lines about messages from unknown senders are held back for an hour: there are too many"
                    .to_owned()
            }
            Notice::Held { from, count, lost } => {
                format!("{} under another key of {from}: {}", held(*count, *lost), self.after_choosing(from))
            }
            Notice::HeldUnpinned { from, now, count, lost } => {
                return self.held_unpinned(from, *now, held(*count, *lost));
            }
            Notice::KeyChanged(change) => return self.key_changed(change),
            Notice::KeyNotGiven { from, count: 1 } => {
                format!("a message marked from {from} was not shown: the server did not give {from}'s key in time")
            }
            Notice::KeyNotGiven { from, count } => {
                format!(
                    "{count} messages marked from {from} were not shown: the server did not give {from}'s key in time"
                )
            }
            Notice::Malformed => "the server passed on bytes that are no message. Nothing was shown.".to_owned(),
            Notice::Missing { from, to } => format!("a message from {from} to {} is missing", whom(to)),
            Notice::NewKeys { name, now } => {
                format!(
                    "{name} has new keys, signed by the old ones, and is not verified with them. Now {}",
                    now.grouped()
                )
            }
            Notice::GivenUp { from, id } => format!(
                "a message marked from {from} (#{}) is under a key that {from} gave up long ago. It was not shown.",
                id.short()
            ),
            Notice::NotChosen { from, id } => format!(
                "a message marked from {from} (#{}) is under a key of {from} that you decided against. It was not shown.",
                id.short()
            ),
            Notice::NoRoom { from, id } => format!(
                "a message from {from} (#{}) was not shown: there are {CONTACTS_MAX} contacts already, {from} is not one",
                id.short()
            ),
            Notice::NotForMe { from, id } => {
                format!("a message marked from {from} (#{}) is not for you. It was not shown.", id.short())
            }
            Notice::NotOpened { from, id } => format!("a message from {from} (#{}) could not be opened", id.short()),
            Notice::GroupKeyBad { why, writes: Some(writes) } => {
                format!("{why}. The keys read before stay in use: {writes} writes.")
            }
            Notice::GroupKeyBad { why, writes: None } => format!("{why}. You have no group key."),
            Notice::GroupKeyRead { writes } => format!("the group key file was read again: key {writes} writes"),
            Notice::OtherGroupKey { from, theirs, ours, count, lost } => {
                let (messages, use_it) = match count {
                    0 | 1 => ("a message".to_owned(), "uses"),
                    count => (format!("{count} messages"), "use"),
                };
                let ours = match ours {
                    Some(ours) => format!("yours is {ours}. Ask {from} for the new key file."),
                    None => format!("you have none. Ask {from} for the key file."),
                };
                format!("{messages} to ALL from {from} {use_it} group key {theirs}; {ours}{}", dropped(*lost))
            }
            Notice::OwnKeyMissing { from, key, count, lost } => {
                let (messages, are, wait) = match count {
                    0 | 1 => ("a message".to_owned(), "is", "It waits here"),
                    count => (format!("{count} messages"), "are", "They wait here"),
                };
                format!(
                    "{messages} from {from} {are} sealed for a key ({}) that is not on this machine. {wait}: if another \
                     machine of yours has it, topchat keys export there, topchat keys import FILE here, then start again.{}",
                    key.short(),
                    dropped(*lost)
                )
            }
            Notice::Passed { count: 1 } => {
                "1 message waited too long, or too many came after it: it won't come any more".to_owned()
            }
            Notice::Passed { count } => {
                format!("{count} messages waited too long, or too many came after them: they won't come any more")
            }
            Notice::Rejected { from, id } => format!(
                "REJECTED a message marked from {from} (#{}): the signature does not match {from}'s key. \
                 It was not shown.",
                id.short()
            ),
            Notice::Reused { from, id } => {
                format!("REJECTED a message from {from} (#{}): that id was used for other text before", id.short())
            }
            Notice::UnknownSender { from, id } => format!(
                "a message marked from {from} (#{}) was not shown: the server gives no key of {from} that holds",
                id.short()
            ),
        };
        vec![line]
    }

    fn key_changed(&self, change: &KeyChange) -> Vec<String> {
        let KeyChange { name, pinned, now, .. } = change;
        let before = self.before_commands;
        vec![
            format!("{}'S KEY HAS CHANGED.  was {}", name.as_str().to_uppercase(), pinned.grouped()),
            format!("{}                     now {}", " ".repeat(name.as_str().len()), now.grouped()),
            format!("The old one was {}.", what_was_known(change)),
            format!(
                "They made new keys, or someone (the server's owner could) stands in their place. \
                 Sending to {name} is stopped."
            ),
            format!("  compare by voice, then  {before}verify {name}       or go on unverified:  {before}trust {name}"),
        ]
    }

    fn held_unpinned(&self, from: &UserName, now: Fingerprint, held: String) -> Vec<String> {
        let before = self.before_commands;
        vec![
            format!("{held} under a key of {from} that is not pinned (--accept-new-keys never)"),
            format!("  {}", now.grouped()),
            format!("  compare it by voice, then  {before}trust {from} {}", now.to_hex()),
        ]
    }

    fn after_choosing(&self, name: &UserName) -> String {
        let before = self.before_commands;
        format!("shown after  {before}verify {name}  or  {before}trust {name}")
    }

    /// Head, the text's lines each marked as belonging to it, and the mark behind the first of them.
    pub(super) fn text(&self, head: &str, text: &str, mark: &str) -> String {
        let mark = format!("[{mark}]");
        let mut shown = String::new();
        for (index, line) in visible_lines(text).enumerate() {
            for (part, piece) in self.wrapped(&line, head.len().max(CONTINUED.len())).into_iter().enumerate() {
                match (index, part) {
                    (0, 0) => self.first_line(&mut shown, head, piece, &mark),
                    _ => {
                        shown.push('\n');
                        shown.push_str(CONTINUED);
                        shown.push_str(piece);
                    }
                }
            }
        }
        shown
    }

    fn first_line(&self, shown: &mut String, head: &str, text: &str, mark: &str) {
        shown.push_str(head);
        shown.push_str(text);
        let used = columns(head) + columns(text);
        let room = self.width.unwrap_or(MARK_COLUMN + mark.len()).saturating_sub(used + mark.len());
        let gap = MARK_COLUMN.saturating_sub(used).min(room).max(2);
        shown.extend(std::iter::repeat_n(' ', gap));
        self.styled(shown, Style::new().dimmed(), mark);
    }

    /// The line in pieces that a terminal does not break by itself.
    fn wrapped<'t>(&self, line: &'t str, head: usize) -> Vec<&'t str> {
        let Some(width) = self.width else { return vec![line] };
        let room = width.saturating_sub(head + MARK_ROOM).max(ROOM_MIN);
        let mut pieces = Vec::new();
        let mut rest = line;
        while columns(rest) > room {
            let (piece, after) = rest.split_at(cut(rest, room));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        pieces
    }

    /// The time of day, with the date if it is another day than today.
    pub(super) fn when(&self, ms: i64, now_ms: i64) -> String {
        let (then, now) = (self.zoned(ms), self.zoned(now_ms));
        match then.date() == now.date() {
            true => then.strftime("%H:%M").to_string(),
            false => then.strftime("%Y-%m-%d %H:%M").to_string(),
        }
    }

    fn time(&self, ms: i64) -> String {
        self.zoned(ms).strftime("%H:%M").to_string()
    }

    fn zoned(&self, ms: i64) -> jiff::Zoned {
        timestamp(ms).to_zoned(self.zone.clone())
    }

    fn alarm(&self, line: &str) -> String {
        let mut shown = String::new();
        self.styled(&mut shown, AnsiColor::Red.on_default().bold(), line);
        shown
    }

    fn styled(&self, shown: &mut String, style: Style, text: &str) {
        match self.colour {
            true => write!(shown, "{style}{text}{style:#}").expect("writing to a String can't fail"),
            false => shown.push_str(text),
        }
    }
}

/// Milliseconds that a stranger chose as a time: what lies outside of all calendars becomes their end.
pub(super) fn timestamp(ms: i64) -> Timestamp {
    // A day before the last one: a time zone must not push it over the end.
    let (first, last) = (Timestamp::MIN.as_millisecond() + DAY_MS * 2, Timestamp::MAX.as_millisecond() - DAY_MS * 2);
    Timestamp::from_millisecond(ms.clamp(first, last)).unwrap_or_default()
}

/// The alarm as a command's error: both keys, and what is known of the old one.
pub(super) fn key_change(change: &KeyChange) -> String {
    format!(
        "{}'S KEY HAS CHANGED. Nothing was sent.\n  was {}\n  now {}\n  the old one was {}",
        change.name.as_str().to_uppercase(),
        change.pinned.grouped(),
        change.now.grouped(),
        what_was_known(change)
    )
}

fn what_was_known(change: &KeyChange) -> String {
    let verified = match change.verified_ms {
        Some(verified) => format!("verified {}", date(verified)),
        None => "never verified".to_owned(),
    };
    format!("pinned {}, {verified}", date(change.since_ms))
}

/// The day in UTC, which is the same for whoever reads it.
pub(super) fn date(ms: i64) -> String {
    timestamp(ms).strftime("%Y-%m-%d").to_string()
}

/// `3 messages are held (and 2 were dropped for want of room)`
fn held(count: usize, lost: usize) -> String {
    let held = match count {
        1 => "1 message is held".to_owned(),
        count => format!("{count} messages are held"),
    };
    match lost {
        0 => held,
        lost => format!("{held} (and {lost} dropped: no room for more)"),
    }
}

fn dropped(lost: usize) -> String {
    match lost {
        0 => String::new(),
        lost => format!(" {lost} more dropped: no room."),
    }
}

fn whom(to: &Recipient) -> &str {
    match to {
        Recipient::All => "ALL",
        Recipient::User(_) => "you",
    }
}

/// Where to break a line: after the last space within the room, else at its end. Never 0 and never within a character.
fn cut(line: &str, room: usize) -> usize {
    let mut used = 0;
    let mut end = 0;
    let mut after_space = 0;
    for (at, c) in line.char_indices() {
        used += char_columns(c);
        if used > room {
            break;
        }
        end = at + c.len_utf8();
        if c == ' ' {
            after_space = end;
        }
    }
    let first = line.chars().next().map_or(0, char::len_utf8);
    if after_space > 0 { after_space } else { end.max(first) }
}

/// How many columns a text takes on a terminal, at most.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

/// Never less than what a terminal takes: a line that is broken early is harmless, one that a terminal breaks is not.
fn char_columns(c: char) -> usize {
    if c < '\u{1100}' { 1 } else { 2 }
}

/// Begins every further line of a text.
const CONTINUED: &str = "               | ";
/// Where marks stand if the text leaves room.
const MARK_COLUMN: usize = 57;
/// Room kept for the mark on a terminal.
const MARK_ROOM: usize = 22;
/// Narrowest text: on a terminal that is narrower than that, nothing helps.
const ROOM_MIN: usize = 20;
const DAY_MS: i64 = 24 * 3600 * 1000;

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
