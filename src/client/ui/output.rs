//! Data on stdout.

use std::io::{self, Write};

use crate::client::Error;

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
    jiff::Timestamp::now().as_millisecond()
}
