//! What a line that a person typed in the chat means. Pure: no clock, no network.
//!
//! In doubt nothing is sent: a private word that goes to everybody by a slip can't be called back.

use std::str::FromStr;

use crate::client::chat::commands;
use crate::client::error::lower;
use crate::client::state::chat_settings::Bell;
use crate::limits::{PASTE_LINES_MAX, TEXT_MAX};
use crate::names::{NameError, Recipient, UserName};
use crate::text::{nearest, visible};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Send a text to whoever wrote directly last.
    Answer(String),
    /// Show nothing of somebody's any more.
    Block(UserName),
    /// Show who is blocked.
    Blocked,
    /// Show the fingerprint of a contact, or one's own.
    Fingerprint(Option<UserName>),
    /// Show the commands, or tell more about this one.
    Help(Option<&'static str>),
    /// Show one's own keys, the group's and the contacts'.
    Keys,
    /// An empty line.
    Nothing,
    /// Tell how the password is changed.
    Passwd,
    Quit,
    /// Tell when the terminal rings.
    Bell,
    /// When the terminal is to ring.
    Ring(Bell),
    /// Send a text, to the current recipient if none is named.
    Send {
        /// Who it is for.
        to: Option<Recipient>,
        text: String,
    },
    /// Plain text goes to this recipient from now on.
    Switch(Recipient),
    /// Go on with a contact whose key has changed.
    Trust {
        name: UserName,
        /// The new fingerprint or its beginning, as typed; else the key that was told.
        fingerprint: Option<String>,
    },
    /// Show what somebody writes again.
    Unblock(UserName),
    /// Show what came of a contact weaker than it asks for.
    Accept(UserName),
    /// Take back that a contact's key was compared.
    Untrust(UserName),
    /// Compare a contact's key.
    Verify(UserName),
    /// Show who is here.
    Who,
}

/// Why a line means nothing. Nothing was sent because of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum TypedError {
    /// A command with too few or too many words behind it.
    #[error("use it as: {usage}   for example: {example}")]
    Arguments {
        /// The command as it should be.
        usage: String,
        /// One that is right.
        example: &'static str,
    },
    /// What stands where a name should be is none.
    #[error("\"{}\" can't be a name: {why}{}", visible(.text), lower(.text))]
    Name {
        text: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// The same where somebody was to be written to.
    #[error("\"{}\" can't be a name: {why}{} Nothing was sent.", visible(.text), ended(lower(.text)))]
    NameOfRecipient {
        text: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// `/help` about what is no command.
    #[error("no command /{}.{} All of them: /help", visible(.word), did_you_mean(*.nearest))]
    NoHelp {
        word: String,
        /// The command that was probably meant.
        nearest: Option<&'static str>,
    },
    /// `@bob` without a text.
    #[error("no text for {to}. Nothing was sent. (To write to {to} from now on: /to {to})")]
    NoText {
        /// Who it should go to.
        to: Recipient,
    },
    /// More than [`TEXT_MAX`] bytes.
    #[error("that text has {bytes} bytes, at most {TEXT_MAX} can be sent. Nothing was sent.")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// A word behind `/` that is no command.
    #[error(
        "no command /{}.{} Nothing was sent. (To send text that begins with /, type //)",
        visible(.word), did_you_mean(*.nearest)
    )]
    Unknown {
        word: String,
        /// The command that was probably meant.
        nearest: Option<&'static str>,
    },
}

impl TypedError {
    /// For a line that begins with what is no command.
    fn unknown(word: &str) -> Self {
        Self::Unknown { word: word.to_owned(), nearest: nearest_command(word) }
    }

    /// For a question about what is no command.
    pub(crate) fn no_help(word: &str) -> Self {
        Self::NoHelp { word: word.to_owned(), nearest: nearest_command(word) }
    }
}

fn nearest_command(word: &str) -> Option<&'static str> {
    // A command of one letter is near to everything.
    let names = commands::all().map(|command| command.name).filter(|name| name.len() > 1);
    nearest(word, names)
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or(String::new(), |near| format!(" Did you mean /{near}?"))
}

/// A full stop, if nothing ends the sentence.
fn ended(mut end: String) -> String {
    if end.is_empty() {
        end.push('.');
    }
    end
}

/// What this line means.
pub(crate) fn parse(line: &str) -> Result<Typed, TypedError> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Ok(Typed::Nothing);
    }
    if line.starts_with("//") {
        return text(None, line.strip_prefix('/').unwrap_or(line));
    }
    if let Some(command) = line.strip_prefix('/') {
        return parse_command(command);
    }
    match line.strip_prefix('@') {
        Some(addressed) => parse_addressed(addressed),
        None => text(None, line),
    }
}

/// What is said behind a text that is too long, or has several lines, while it is open: what Enter would do with it. `to`
/// is whom it goes to if it names nobody.
pub(crate) fn lines_hint(line: &str, to: &str) -> Option<String> {
    let count = line.split('\n').count();
    let open = (count > 1).then(|| format!("{count} lines"));
    let parsed = parse(line);
    // What is said above a text that fills the terminal is not seen.
    if let Err(TypedError::TooLong { bytes }) = parsed {
        let lines = open.map_or(String::new(), |open| open + ", ");
        return Some(format!("{lines}{bytes} bytes: at most {TEXT_MAX} can be sent"));
    }
    let open = open?;
    Some(match parsed {
        Ok(Typed::Send { to: Some(to), .. }) => format!("{open}; Enter sends them to {to}"),
        Ok(Typed::Send { to: None, .. }) => format!("{open}; Enter sends them to {to}"),
        _ => open,
    })
}

/// What of a line was pasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pasted {
    /// Nothing.
    Nothing,
    /// Something, and all of it came.
    Whole,
    /// Something whose end did not come.
    Broken,
}

/// The question before this is sent, if it is likely a slip: a long paste or one without its end, or a command within a text. About what can't be
/// sent nothing is asked.
pub(crate) fn slip(line: &str, pasted: Pasted) -> Option<String> {
    if matches!(parse(line), Err(TypedError::TooLong { .. })) {
        return None;
    }
    let count = line.lines().count();
    let mut commands = line.lines().enumerate().skip(1).filter(|(_, line)| line.starts_with(['/', '@']));
    if let Some((at, command)) = commands.next() {
        let word: String = command.split_whitespace().next().unwrap_or_default().chars().take(WORD_SHOWN).collect();
        let (word, at) = (visible(&word), at + 1);
        return Some(format!(
            "line {at} begins with {word}, which is text here. Send all {count} lines? (y)es or (n)o "
        ));
    }
    if pasted == Pasted::Broken {
        return Some("the end of that paste did not come. Send what there is of it? (y)es or (n)o ".to_owned());
    }
    let is_long = pasted == Pasted::Whole && count > PASTE_LINES_MAX;
    is_long.then(|| format!("send these {count} lines as one message? (y)es or (n)o "))
}

/// What `/help` shows.
pub(crate) fn help() -> String {
    let commands = commands::all().map(|command| (command.usage(), command.does));
    let texts =
        [("TEXT".to_owned(), "send to the recipient in the prompt"), ("@NAME TEXT".to_owned(), "send to NAME alone")];
    let more = [("//TEXT".to_owned(), "send text that begins with /")];
    let lines: Vec<_> =
        texts.into_iter().chain(commands).chain(more).map(|(usage, does)| format!("  {usage:<26}{does}")).collect();
    lines.join("\n")
}

fn parse_command(line: &str) -> Result<Typed, TypedError> {
    // "/ hi" is no command either: the word is what stands right behind the slash.
    let word = line.split(char::is_whitespace).next().unwrap_or_default();
    match commands::find(word) {
        Some(command) => command.parse(line.strip_prefix(word).unwrap_or_default()),
        None => Err(TypedError::unknown(word)),
    }
}

fn parse_addressed(line: &str) -> Result<Typed, TypedError> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let to: Recipient = written_to(word)?;
    match rest.trim_start() {
        "" => Err(TypedError::NoText { to }),
        rest => text(Some(to), rest),
    }
}

/// The text, if it can be sent.
pub(crate) fn text(to: Option<Recipient>, text: &str) -> Result<Typed, TypedError> {
    match text.len() {
        bytes if bytes > TEXT_MAX => Err(TypedError::TooLong { bytes }),
        _ => Ok(Typed::Send { to, text: text.to_owned() }),
    }
}

/// Whom this word names, who is to be written to.
pub(crate) fn written_to<N: FromStr<Err = NameError>>(word: &str) -> Result<N, TypedError> {
    word.parse().map_err(|why| TypedError::NameOfRecipient { text: word.to_owned(), why })
}

/// Who this word names.
pub(crate) fn recipient(word: &str) -> Result<Recipient, TypedError> {
    word.parse().map_err(|why| TypedError::Name { text: word.to_owned(), why })
}

/// Characters of a word in a question: enough to know it by.
const WORD_SHOWN: usize = 20;

#[cfg(test)]
mod tests;
