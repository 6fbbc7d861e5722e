//! Data on stdout.

use std::io::{self, Write};
use std::sync::LazyLock;

use super::Error;
use crate::text::visible;

/// One line, at once.
pub fn line(text: &str) -> Result<(), Error> {
    write(&format!("{text}\n"))
}

/// Text as it is, at once.
pub fn write(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::output)
}

/// Words for the person, on stderr. Whoever closed it wants none.
pub fn words(text: &str) {
    let _ = io::stderr().write_all(as_typed(text).as_bytes());
}

/// These words with each `topchat COMMAND` as this person types it: a clone that is not installed starts the client by a script,
/// which names itself in `TOPCHAT_COMMAND`.
pub fn as_typed(words: &str) -> String {
    static COMMAND: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(COMMAND_VARIABLE).ok());
    COMMAND.as_deref().map_or_else(|| words.to_owned(), |command| with_command(words, command))
}

fn with_command(words: &str, command: &str) -> String {
    let mut shown = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, from) = rest.split_at(at);
        let stands_alone = before.chars().next_back().is_none_or(|before| before.is_whitespace() || before == '(');
        shown.push_str(before);
        match stands_alone {
            true => shown.push_str(&format!("{} ", visible(command))),
            false => shown.push_str(PROGRAM),
        }
        rest = &from[PROGRAM.len()..];
    }
    shown + rest
}

/// Now, as Unix time in milliseconds.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

const PROGRAM: &str = "topchat ";
const COMMAND_VARIABLE: &str = "TOPCHAT_COMMAND";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_name_the_command_as_it_is_typed() {
        for (words, expected) in [
            ("next: topchat login bob\n", "next: scripts/topchat login bob\n"),
            (
                "topchat send NAME, or: echo TEXT | topchat send NAME",
                "scripts/topchat send NAME, or: echo TEXT | scripts/topchat send NAME",
            ),
            ("(topchat history erase deletes it)", "(scripts/topchat history erase deletes it)"),
            (
                "in /usr/share/topchat and ./topchat here, topchat-server, topchat.",
                "in /usr/share/topchat and ./topchat here, topchat-server, topchat.",
            ),
        ] {
            assert_eq!(with_command(words, "scripts/topchat"), expected);
        }
        assert_eq!(with_command("topchat login", "a\u{1b}[2Jb"), "a^[[2Jb login");
    }
}
