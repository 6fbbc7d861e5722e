//! How events look to a person. Pure: the zone, the time, the terminal's properties and how a command is typed are given.
//!
//! Every line begins with a time or with the mark of a continued text, so that no part of a text can pass for another
//! sender's line, however it is broken or wrapped.

use std::fmt::Write;
use std::ops::Range;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthChar as _;

use crate::client::model::event::{Notice, Opened, timestamp};
use crate::client::model::invocation::Invocation;
use crate::hint::{Hint, Shown};
use crate::limits::CLOCK_SKEW_MS;
use crate::names::{Recipient, UserName};
use crate::text::visible_lines;

/// What the lines are made for.
#[derive(Clone, Debug)]
pub struct Page {
    pub zone: TimeZone,
    /// Whether colours may be used. Meaning never depends on them.
    pub colour: bool,
    /// Columns of the terminal, if it is one.
    pub width: Option<usize>,
    /// How the reader types a command.
    pub invocation: Invocation,
    /// Whose name is set off within texts, if anybody's.
    pub named: Option<UserName>,
}

/// A message of one's own.
pub struct Own<'a> {
    pub from: &'a UserName,
    /// Who it is for.
    pub to: &'a Recipient,
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
        let mut mark = format!("signed, {} key", opened.signed_by.mark.word());
        if opened.backlog {
            mark.push_str(", waited");
        }
        if opened.is_weaker {
            mark.push_str(", weaker than asked for");
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
        if let Notice::NewKeys { .. } | Notice::GroupKeyRead { .. } | Notice::NoAccount { .. } = notice {
            let lines = self.words(notice).into_iter().reduce(|text, line| text.then("\n").and(line));
            return self.remark(lines.unwrap_or_default(), now_ms);
        }
        let marked = |line| Hint::from(format!("{time} !! ")).and(line);
        let lines = self.words(notice).into_iter().map(|line| self.alarm(&self.fitted(&marked(line))));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A line of the program itself within the chat: the time, three spaces, the words.
    pub fn remark(&self, words: impl Into<Hint>, now_ms: i64) -> String {
        let below = words.into().with_words(|words| words.replace('\n', "\n        "));
        self.fitted(&Hint::from(format!("{}   ", self.time(now_ms))).and(below))
    }

    fn fitted(&self, words: &Hint) -> String {
        fitted(&self.invocation.shown(words), self.width)
    }

    /// Head, the text's lines each marked as belonging to it, and the mark behind the first of them.
    pub(crate) fn text(&self, head: &str, text: &str, mark: &str) -> String {
        let mark = format!("[{mark}]");
        let mut shown = String::new();
        for (index, line) in visible_lines(text).enumerate() {
            for (part, piece) in self.wrapped(&line, head.len().max(CONTINUED.len())).into_iter().enumerate() {
                match (index, part) {
                    (0, 0) => self.first_line(&mut shown, head, piece, &mark),
                    _ => {
                        shown.push('\n');
                        shown.push_str(CONTINUED);
                        shown.push_str(&self.emphasised(piece));
                    }
                }
            }
        }
        shown
    }

    fn first_line(&self, shown: &mut String, head: &str, text: &str, mark: &str) {
        shown.push_str(head);
        shown.push_str(&self.emphasised(text));
        let used = columns(head) + columns(text);
        let room = self.width.unwrap_or(MARK_COLUMN + mark.len()).saturating_sub(used + mark.len());
        let gap = MARK_COLUMN.saturating_sub(used).min(room).max(2);
        shown.extend(std::iter::repeat_n(' ', gap));
        self.styled(shown, Style::new().dimmed(), mark);
    }

    /// The text with the reader's name set off.
    fn emphasised(&self, text: &str) -> String {
        let (mut shown, mut after) = (String::new(), 0);
        let name = self.named.as_ref().filter(|_| self.colour);
        for place in name.map_or(Vec::new(), |name| named(text, name.as_str())) {
            shown.push_str(&text[after..place.start]);
            self.styled(&mut shown, AnsiColor::Magenta.on_default().bold(), &text[place.clone()]);
            after = place.end;
        }
        shown + &text[after..]
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
    pub(crate) fn when(&self, ms: i64, now_ms: i64) -> String {
        let (then, now) = (self.zoned(ms), self.zoned(now_ms));
        match then.date() == now.date() {
            true => then.strftime("%H:%M").to_string(),
            false => then.strftime("%Y-%m-%d %H:%M").to_string(),
        }
    }

    pub(crate) fn time(&self, ms: i64) -> String {
        self.zoned(ms).strftime("%H:%M").to_string()
    }

    fn zoned(&self, ms: i64) -> jiff::ZonedDateTime {
        timestamp(ms).to_zoned_datetime(self.zone.clone())
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

/// The lines broken between words where the terminal would break them anywhere: a fingerprint is compared group by group, and a
/// command is one word. What goes on stands below what it belongs to.
pub(crate) fn fitted(shown: &Shown, width: Option<usize>) -> String {
    let Some(width) = width else { return shown.text.clone() };
    let mut begin = 0;
    let lines = shown.text.split('\n').map(|line| {
        let here = shown.commands.iter().filter(|command| command.start >= begin);
        let here: Vec<_> = here.map(|command| command.start - begin..command.end - begin).collect();
        begin += line.len() + 1;
        fitted_line(line, &here, width)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn fitted_line(line: &str, commands: &[Range<usize>], width: usize) -> String {
    // Pictures are of the size that they are.
    if columns(line) <= width || line.contains(['\u{1b}', '\u{2580}', '\u{2584}', '\u{2588}']) {
        return line.to_owned();
    }
    let head = line.len() - line.trim_start().len();
    let label = line[head..].find("  ").map(|gap| line.len() - line[head + gap..].trim_start().len());
    let has_room =
        |label: &usize| *label <= width / 3 && line[*label..].split(' ').all(|word| columns(word) <= width - *label);
    let indent = label.filter(has_room).unwrap_or(head.max(CONTINUES_AT)).min(width / 2);
    let (mut shown, mut rest, mut room) = (String::new(), line, width);
    while columns(rest) > room {
        let (piece, after) = rest.split_at(gap(rest, room, |at| {
            let at = line.len() - rest.len() + at;
            commands.iter().any(|command| command.start < at && at < command.end)
        }));
        shown.push_str(piece.trim_end());
        rest = after;
        if rest.is_empty() {
            return shown;
        }
        shown.push('\n');
        shown.extend(std::iter::repeat_n(' ', indent));
        room = width - indent;
    }
    shown + rest
}

/// Where the last word begins before which the line fits the room; if there is none, where the second one does. Nothing begins
/// within a command.
fn gap(line: &str, room: usize, is_within: impl Fn(usize) -> bool) -> usize {
    let is_begin = |at: &usize| {
        let begins = line[..*at].ends_with(' ') && !line[*at..].starts_with(' ') && !line[..*at].trim().is_empty();
        begins && !is_within(*at)
    };
    let begins: Vec<usize> = line.char_indices().map(|(at, _)| at).filter(is_begin).collect();
    let fits = begins.iter().rev().find(|at| columns(line[..**at].trim_end()) <= room);
    fits.or(begins.first()).copied().unwrap_or(line.len())
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

/// Where a text names somebody: as a whole word, in capitals or not.
pub(crate) fn named(text: &str, name: &str) -> Vec<Range<usize>> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let stands_alone = |at: &usize| {
        let (before, after) = (text[..*at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    };
    // Only ASCII letters change here, so that places stay where they are.
    let small = text.to_ascii_lowercase();
    let found = small.match_indices(name).map(|(at, _)| at);
    found.filter(stands_alone).map(|at| at..at + name.len()).collect()
}

/// How many columns a text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

/// Never less than what a terminal takes: a line that is broken early is harmless, one that a terminal breaks is not. So what makes
/// the sign before it wider, where a terminal knows how, counts as one.
fn char_columns(c: char) -> usize {
    match c.width() {
        Some(0) if c >= '\u{1100}' => 1,
        width => width.unwrap_or(1),
    }
}

/// Where a line goes on that is no text and has no label.
const CONTINUES_AT: usize = 8;
/// Begins every further line of a text.
const CONTINUED: &str = "               | ";
/// Where marks stand if the text leaves room.
const MARK_COLUMN: usize = 57;
/// Room kept for the mark on a terminal.
const MARK_ROOM: usize = 22;
/// Narrowest text: on a terminal that is narrower than that, nothing helps.
const ROOM_MIN: usize = 20;

#[cfg(test)]
mod tests;
