//! Data on stdout, words for the person on stderr.

use std::io::{self, Write};

use super::page;
use super::render::fitted;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::hint::Hint;
use crate::machine::time;

/// One line, at once.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    write(&format!("{text}\n"))
}

/// Text as it is, at once.
pub(crate) fn write(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::output)
}

/// Words for the person, on stderr. Whoever closed it wants none.
pub fn words(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Now, as Unix time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(time::unix().as_millis()).unwrap_or(i64::MAX)
}

impl Config {
    /// Words for the person, unless they want none.
    pub fn say(&self, words: impl Into<Hint>) {
        let width = page::width(&std::io::stderr());
        self.say_begun(&format!("{}\n", fitted(&self.invocation.shown(&words.into()), width)));
    }

    /// The beginning of a line of such words.
    pub fn say_begun(&self, words: &str) {
        if !self.quiet {
            self::words(words);
        }
    }
}
