//! Data on stdout.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex};

use crate::client::Error;
use crate::client::cli::options::Repeated;
use crate::sync::lock;
use crate::text::{quoted, visible};

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
    let _ = io::stderr().write_all(as_typed(text).as_bytes());
}

/// From now on commands that are told to be typed name the account that they are for: several are on this machine.
pub(crate) fn name_account(user: &str) {
    *lock(&USER) = Some(user.to_owned());
}

/// From now on commands that are told to be typed are for the same server and folders as this one.
pub(crate) fn repeat(settings: Vec<Repeated>) {
    *lock(&SETTINGS) = settings;
}

/// These words with each `topchat COMMAND` as this person types it: a clone that is not installed starts the client by a script,
/// which names itself in `TOPCHAT_COMMAND`; where several accounts are, one has to be chosen; and a server or folders that were
/// named have to be named again.
pub(crate) fn as_typed(words: &str) -> String {
    static COMMAND: LazyLock<Option<String>> = LazyLock::new(|| std::env::var(COMMAND_VARIABLE).ok());
    let user = lock(&USER).clone();
    let settings = lock(&SETTINGS).clone();
    with_command(words, COMMAND.as_deref().unwrap_or(PROGRAM), user.as_deref(), &settings)
}

/// Words that have been through this stay as they are.
fn with_command(words: &str, command: &str, user: Option<&str>, settings: &[Repeated]) -> String {
    let mut shown = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(at) = rest.find(PROGRAM) {
        let (before, from) = rest.split_at(at);
        let after = &from[PROGRAM.len()..];
        shown.push_str(before);
        match is_command(before, after) {
            true => {
                shown.push_str(&visible(command));
                shown.push_str(&added(after, user, settings));
            }
            false => shown.push_str(PROGRAM),
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

/// What has to stand between the program's name and what is behind it.
fn added(after: &str, user: Option<&str>, settings: &[Repeated]) -> String {
    let own = after.split('\n').next().unwrap_or_default().split(PROGRAM).next().unwrap_or_default();
    let command = behind_settings(own);
    if command.starts_with(ELSEWHERE) {
        return String::new();
    }
    let is_said = |flag: &str| own.split(' ').any(|word| word == flag);
    let needs_account = !is_said("--user") && !NAMED_OTHERWISE.iter().any(|words| command.starts_with(words));
    let user = user.filter(|_| needs_account).map(|user| format!(" --user {user}"));
    let settings = settings.iter().filter(|one| !is_said(one.flag));
    let settings = settings.map(|one| format!(" {} {}", one.flag, quoted(&one.value)));
    user.into_iter().chain(settings).collect()
}

/// What stands behind settings with their values.
fn behind_settings(words: &str) -> &str {
    let mut rest = words.trim_start();
    while let Some((_, value)) = rest.split_once(' ').filter(|_| rest.starts_with("--")) {
        let end = if value.starts_with('\'') { "' " } else { " " };
        rest = value.split_once(end).map_or("", |(_, behind)| behind.trim_start());
    }
    rest
}

/// Now, as Unix time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The account that commands have to name.
static USER: Mutex<Option<String>> = Mutex::new(None);
/// What they have to repeat.
static SETTINGS: Mutex<Vec<Repeated>> = Mutex::new(Vec::new());
const PROGRAM: &str = "topchat";
/// What need not be told which account it is for.
const NAMED_OTHERWISE: [&str; 4] = ["register ", "login ", "keys import ", "group "];
/// What is typed on another machine, of which nothing is known.
const ELSEWHERE: &str = "keys export there";
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
            assert_eq!(with_command(words, "scripts/topchat", None, &[]), expected);
        }
        assert_eq!(with_command("topchat login", "a\u{1b}[2Jb", None, &[]), "a^[[2Jb login");
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
            let once = with_command(words, "topchat", Some("bob"), &[]);
            assert_eq!(once, expected);
            assert_eq!(with_command(&once, "topchat", Some("bob"), &[]), expected, "once more");
        }
    }

    #[test]
    fn hints_repeat_the_server_and_the_folders_that_were_named() {
        let named = |flag, value: &str| Repeated { flag, value: value.to_owned() };
        let settings = [named("--server", "chat.example:7777"), named("--keys-dir", "my keys")];
        let both = "--server chat.example:7777 --keys-dir 'my keys'";
        for (words, expected) in [
            ("see: topchat users\n", format!("see: topchat --user bob {both} users\n")),
            ("see topchat group list", format!("see topchat {both} group list")),
            ("next: topchat login bob", format!("next: topchat {both} login bob")),
            ("again: topchat\n", format!("again: topchat --user bob {both}\n")),
            (
                "topchat verify carol    or: topchat trust carol",
                format!("topchat --user bob {both} verify carol    or: topchat --user bob {both} trust carol"),
            ),
            (
                "topchat users --server b:1 --server-fingerprint SHA256:9f",
                "topchat --user bob --keys-dir 'my keys' users --server b:1 --server-fingerprint SHA256:9f".to_owned(),
            ),
            (
                "next: topchat --server b:1 login bob",
                "next: topchat --keys-dir 'my keys' --server b:1 login bob".to_owned(),
            ),
            (
                "topchat keys export there, then topchat keys import FILE here",
                format!("topchat keys export there, then topchat {both} keys import FILE here"),
            ),
        ] {
            let once = with_command(words, "topchat", Some("bob"), &settings);
            assert_eq!(once, expected);
            assert_eq!(with_command(&once, "topchat", Some("bob"), &settings), expected, "once more");
        }
    }
}
