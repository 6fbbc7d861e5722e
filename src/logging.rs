//! Log lines of both programs: `12:01:07 alice signed in`, on stderr, through env_logger.
//!
//! A line stays one line and safe for a terminal whatever it holds, and a line that repeats itself is counted.
//! `RUST_LOG` changes what is shown; no level shows message texts, keys or passwords.

use std::io::{self, Write};
use std::sync::Mutex;

use log::{Level, LevelFilter};

use crate::sync::lock;
use crate::text;

/// Starts logging, with `default` as the least level shown unless `RUST_LOG` says otherwise.
pub fn start(default: LevelFilter) {
    let repeats = Mutex::new(Repeats::default());
    let environment = env_logger::Env::default().default_filter_or(default.as_str());
    let started = env_logger::Builder::from_env(environment)
        .target(env_logger::Target::Stderr)
        // It would tell every key that is pressed.
        .filter_module("rustyline", LevelFilter::Off)
        .format(move |out, record| {
            let line = line(record.level(), &record.args().to_string());
            let what = lock(&repeats).next(&line);
            match &*lock(&SHOWN) {
                None => write_lines(out, what, &line),
                Some(show) => {
                    let mut lines = Vec::new();
                    write_lines(&mut lines, what, &line)?;
                    String::from_utf8_lossy(&lines).lines().for_each(show);
                    Ok(())
                }
            }
        })
        .try_init();
    if started.is_err() {
        log::debug!("logging was started before");
    }
}

/// Shows lines in another way than on stderr, until what is given back is dropped: a line of the log must not come into one that somebody
/// types.
pub fn shown_by(show: impl Fn(&str) + Send + 'static) -> Elsewhere {
    *lock(&SHOWN) = Some(Box::new(show));
    Elsewhere
}

/// Lines are shown elsewhere as long as this lives.
pub struct Elsewhere;

impl Drop for Elsewhere {
    fn drop(&mut self) {
        *lock(&SHOWN) = None;
    }
}

type Show = Box<dyn Fn(&str) + Send>;

static SHOWN: Mutex<Option<Show>> = Mutex::new(None);

/// The text of a line, safe for a terminal. Only what deserves attention says its level.
fn line(level: Level, text: &str) -> String {
    let text = text::visible(text);
    match level {
        Level::Error => format!("error: {text}"),
        Level::Warn => format!("warning: {text}"),
        _ => text.into_owned(),
    }
}

fn write_lines(out: &mut impl Write, what: Print, line: &str) -> io::Result<()> {
    let time = jiff::ZonedDateTime::now().strftime("%H:%M:%S");
    match what {
        Print::Line => writeln!(out, "{time} {line}"),
        Print::CountThenLine(count) => writeln!(out, "{time} (repeated {count} times)\n{time} {line}"),
        Print::Count(count) => writeln!(out, "{time} (repeated {count} times)"),
        Print::Nothing => Ok(()),
    }
}

/// Counts equal lines that follow each other.
#[derive(Default)]
struct Repeats {
    last: String,
    /// How often `last` came after its first time.
    count: u64,
    /// How many of these were told.
    told: u64,
}

/// What to print for a line.
#[derive(Debug, PartialEq, Eq)]
enum Print {
    Line,
    /// How often the line before was repeated, then the line.
    CountThenLine(u64),
    /// The line goes on repeating itself.
    Count(u64),
    Nothing,
}

impl Repeats {
    /// A repeated line is told of at 10, 100, 1000, … repetitions and when another line comes.
    fn next(&mut self, line: &str) -> Print {
        if line == self.last {
            self.count += 1;
            return if is_power_of_ten(self.count) { self.tell() } else { Print::Nothing };
        }
        let untold = self.count > self.told;
        let count = self.count;
        *self = Self { last: line.to_owned(), count: 0, told: 0 };
        if untold { Print::CountThenLine(count) } else { Print::Line }
    }

    fn tell(&mut self) -> Print {
        self.told = self.count;
        Print::Count(self.count)
    }
}

fn is_power_of_ten(number: u64) -> bool {
    number >= 10 && 10_u64.pow(number.ilog10()) == number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(lines: &[&str]) -> Vec<Print> {
        let mut repeats = Repeats::default();
        lines.iter().map(|line| repeats.next(line)).collect()
    }

    #[test]
    fn different_lines_are_printed_as_they_come() {
        assert_eq!(printed(&["a", "b", "a"]), [Print::Line, Print::Line, Print::Line]);
    }

    #[test]
    fn repetitions_are_counted_and_told_before_the_next_line() {
        assert_eq!(
            printed(&["a", "a", "a", "b"]),
            [Print::Line, Print::Nothing, Print::Nothing, Print::CountThenLine(2)]
        );
    }

    #[test]
    fn a_line_that_never_stops_is_told_of_at_powers_of_ten() {
        let mut repeats = Repeats::default();
        let told: Vec<_> = (0..=1000).map(|_| repeats.next("a")).filter(|what| *what != Print::Nothing).collect();
        assert_eq!(told, [Print::Line, Print::Count(10), Print::Count(100), Print::Count(1000)]);
        assert_eq!(repeats.next("b"), Print::Line);
    }

    #[test]
    fn a_line_stays_one_line_and_says_its_level_only_when_it_matters() {
        assert_eq!(line(Level::Info, "bob\n12:00:00 alice signed in\u{1b}[2J"), "bob^J12:00:00 alice signed in^[[2J");
        assert_eq!(line(Level::Warn, "x"), "warning: x");
        assert_eq!(line(Level::Error, "x"), "error: x");
    }

    #[test]
    fn a_printed_line_begins_with_the_time() {
        let mut out = Vec::new();
        write_lines(&mut out, Print::Line, "alice signed in").unwrap();
        let text = String::from_utf8(out).unwrap();
        let (time, rest) = text.split_at(8);
        assert_eq!(rest, " alice signed in\n");
        assert!(time.split(':').all(|part| part.len() == 2 && part.parse::<u8>().is_ok()), "{time}");
    }
}
