//! Data on stdout.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};

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

/// From now on commands that are told to be typed name the account that they are for: several are on this machine.
pub fn name_account(user: &str) {
    *USER.lock().unwrap_or_else(PoisonError::into_inner) = Some(user.to_owned());
}

/// These words with each `topchat COMMAND` as this person types it: a clone that is not installed starts the client by a script,
/// which names itself in `TOPCHAT_COMMAND`, and where several accounts are, one has to be chosen.
pub fn as_typed(words: &str) -> String {
    static COMMAND: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(COMMAND_VARIABLE).ok());
    let user = USER.lock().unwrap_or_else(PoisonError::into_inner).clone();
    with_command(words, COMMAND.as_deref().unwrap_or(PROGRAM), user.as_deref())
}

/// Words that have been through this stay as they are.
fn with_command(words: &str, command: &str, user: Option<&str>) -> String {
    let mut shown = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, from) = rest.split_at(at);
        let after = &from[PROGRAM.len()..];
        shown.push_str(before);
        match is_command(before, after) {
            true => shown.push_str(&visible(command)),
            false => shown.push_str(PROGRAM),
        }
        if let Some(user) = user.filter(|_| is_command(before, after) && needs_account(after)) {
            shown.push_str(&format!(" --user {user}"));
        }
        rest = after;
    }
    shown + rest
}

/// Whether the program's name between these words stands alone: with more words behind it, or as the last one behind a colon.
fn is_command(before: &str, after: &str) -> bool {
    let stands_alone = before.chars().next_back().is_none_or(|before| before.is_whitespace() || before == '(');
    let goes_on = match after.trim_end().is_empty() {
        true => before.trim_end().ends_with(':'),
        false => after.starts_with(char::is_whitespace),
    };
    stands_alone && goes_on
}

fn needs_account(after: &str) -> bool {
    let after = after.trim_start();
    !NAMED_OTHERWISE.iter().any(|words| after.starts_with(words))
}

/// Now, as Unix time in milliseconds.
pub fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The account that commands have to name.
static USER: Mutex<Option<String>> = Mutex::new(None);
const PROGRAM: &str = "topchat";
/// What need not be told which account it is for.
const NAMED_OTHERWISE: [&str; 4] = ["--user ", "register ", "login ", "keys import "];
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
            ("log in again to take it back: topchat", "log in again to take it back: scripts/topchat"),
            ("you can log in again: topchat\n", "you can log in again: scripts/topchat\n"),
            ("(topchat history erase deletes it)", "(scripts/topchat history erase deletes it)"),
            (
                "in /usr/share/topchat and ./topchat here, topchat-server, topchat.",
                "in /usr/share/topchat and ./topchat here, topchat-server, topchat.",
            ),
        ] {
            assert_eq!(with_command(words, "scripts/topchat", None), expected);
        }
        assert_eq!(with_command("topchat login", "a\u{1b}[2Jb", None), "a^[[2Jb login");
    }

    #[test]
    fn hints_name_the_account_where_it_has_to_be_chosen() {
        for (words, expected) in [
            ("see who there is: topchat users\n", "see who there is: topchat --user bob users\n"),
            ("you can log in again: topchat\n", "you can log in again: topchat --user bob\n"),
            ("verify it: topchat\n    verify carol", "verify it: topchat --user bob\n    verify carol"),
            ("next: topchat login bob", "next: topchat login bob"),
            (
                "topchat register carl, or topchat keys import FILE",
                "topchat register carl, or topchat keys import FILE",
            ),
            ("of topchat.", "of topchat."),
        ] {
            let once = with_command(words, "topchat", Some("bob"));
            assert_eq!(once, expected);
            assert_eq!(with_command(&once, "topchat", Some("bob")), expected, "once more");
        }
    }
}
