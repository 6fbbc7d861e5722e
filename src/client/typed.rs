//! What a line that a person typed in the chat means. Pure: no clock, no network.
//!
//! In doubt nothing is sent: a private word that goes to everybody by a slip can't be called back.

use crate::limits::TEXT_MAX;
use crate::names::{NameError, Recipient, UserName};
use crate::text::{nearest, visible};

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// Show the fingerprint of a contact, or one's own.
    Fingerprint(Option<UserName>),
    /// Show the commands.
    Help,
    /// An empty line.
    Nothing,
    /// Tell how the password is changed.
    Passwd,
    /// End the chat.
    Quit,
    /// Send a text, to the current recipient if none is named.
    Send {
        /// Who it is for.
        to: Option<Recipient>,
        /// What was written.
        text: String,
    },
    /// Plain text goes to this recipient from now on.
    Switch(Recipient),
    /// Go on with a contact whose key has changed.
    Trust {
        /// The contact.
        name: UserName,
        /// The new fingerprint or its beginning, as typed; else the key that was told.
        fingerprint: Option<String>,
    },
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
pub enum TypedError {
    /// A command with too few or too many words behind it.
    #[error("use it as: {usage}")]
    Arguments {
        /// The command as it should be.
        usage: String,
    },
    /// What stands where a name should be is none.
    #[error("\"{}\" can't be a name: {why}. Nothing was sent.", visible(.text))]
    Name {
        /// As typed.
        text: String,
        /// What is wrong with it.
        why: NameError,
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
        visible(.word), .nearest.map_or(String::new(), |near| format!(" Did you mean /{near}?"))
    )]
    Unknown {
        /// As typed.
        word: String,
        /// The command that was probably meant.
        nearest: Option<&'static str>,
    },
}

/// What this line means.
pub fn parse(line: &str) -> Result<Typed, TypedError> {
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

/// What `/help` shows.
pub fn help() -> String {
    let commands = COMMANDS.iter().map(|command| (command.usage(), command.does));
    let texts =
        [("TEXT".to_owned(), "send to the recipient in the prompt"), ("@NAME TEXT".to_owned(), "send to NAME alone")];
    let more = [("//TEXT".to_owned(), "send text that begins with /")];
    let lines: Vec<_> =
        texts.into_iter().chain(commands).chain(more).map(|(usage, does)| format!("  {usage:<26}{does}")).collect();
    lines.join("\n")
}

struct Command {
    name: &'static str,
    arguments: &'static str,
    does: &'static str,
    /// Reads the words behind the command.
    read: fn(&[&str]) -> Result<Option<Typed>, TypedError>,
}

impl Command {
    fn usage(&self) -> String {
        format!("/{} {}", self.name, self.arguments).trim_end().to_owned()
    }
}

/// Every command, in the order in which `/help` shows them.
const COMMANDS: &[Command] = &[
    Command { name: "to", arguments: "NAME|ALL", does: "write to NAME, or to everybody, from now on", read: read_to },
    Command { name: "who", arguments: "", does: "who is here", read: |words| alone(words, Typed::Who) },
    Command {
        name: "fingerprint",
        arguments: "[NAME]",
        does: "your key's fingerprint, or NAME's and your safety number",
        read: read_fingerprint,
    },
    Command {
        name: "verify",
        arguments: "NAME",
        does: "compare NAME's key with them, and mark it as verified",
        read: |words| read_name(words, Typed::Verify),
    },
    Command {
        name: "untrust",
        arguments: "NAME",
        does: "take that back; the key stays pinned",
        read: |words| read_name(words, Typed::Untrust),
    },
    Command {
        name: "trust",
        arguments: "NAME [FINGERPRINT]",
        does: "go on with NAME, whose key has changed, unverified",
        read: read_trust,
    },
    Command {
        name: "passwd",
        arguments: "",
        does: "how to change your password",
        read: |words| alone(words, Typed::Passwd),
    },
    Command { name: "help", arguments: "", does: "this list", read: |words| alone(words, Typed::Help) },
    Command { name: "quit", arguments: "", does: "leave (so does Ctrl-D)", read: |words| alone(words, Typed::Quit) },
];

fn parse_command(line: &str) -> Result<Typed, TypedError> {
    let mut words = line.split_whitespace();
    // "/ hi" is no command either: the word is what stands right behind the slash.
    let word = line.split(char::is_whitespace).next().unwrap_or_default();
    let Some(command) = COMMANDS.iter().find(|command| command.name == word) else {
        let nearest = nearest(word, COMMANDS.iter().map(|command| command.name));
        return Err(TypedError::Unknown { word: word.to_owned(), nearest });
    };
    let arguments: Vec<_> = words.by_ref().skip(1).collect();
    (command.read)(&arguments)?.ok_or_else(|| TypedError::Arguments { usage: command.usage() })
}

fn parse_addressed(line: &str) -> Result<Typed, TypedError> {
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let to: Recipient = recipient(word)?;
    match rest.trim_start() {
        "" => Err(TypedError::NoText { to }),
        rest => text(Some(to), rest),
    }
}

fn text(to: Option<Recipient>, text: &str) -> Result<Typed, TypedError> {
    match text.len() {
        bytes if bytes > TEXT_MAX => Err(TypedError::TooLong { bytes }),
        _ => Ok(Typed::Send { to, text: text.to_owned() }),
    }
}

fn alone(words: &[&str], meaning: Typed) -> Result<Option<Typed>, TypedError> {
    Ok(words.is_empty().then_some(meaning))
}

fn read_to(words: &[&str]) -> Result<Option<Typed>, TypedError> {
    match words {
        [word] => recipient(word.strip_prefix('@').unwrap_or(word)).map(|to| Some(Typed::Switch(to))),
        _ => Ok(None),
    }
}

fn read_fingerprint(words: &[&str]) -> Result<Option<Typed>, TypedError> {
    match words {
        [] => Ok(Some(Typed::Fingerprint(None))),
        [word] => name(word).map(|name| Some(Typed::Fingerprint(Some(name)))),
        _ => Ok(None),
    }
}

fn read_trust(words: &[&str]) -> Result<Option<Typed>, TypedError> {
    match words {
        [word, digits @ ..] => {
            let fingerprint = (!digits.is_empty()).then(|| digits.concat());
            Ok(Some(Typed::Trust { name: name(word)?, fingerprint }))
        }
        [] => Ok(None),
    }
}

fn read_name(words: &[&str], meaning: fn(UserName) -> Typed) -> Result<Option<Typed>, TypedError> {
    match words {
        [word] => name(word).map(|name| Some(meaning(name))),
        _ => Ok(None),
    }
}

fn name(word: &str) -> Result<UserName, TypedError> {
    word.parse().map_err(|why| TypedError::Name { text: word.to_owned(), why })
}

fn recipient(word: &str) -> Result<Recipient, TypedError> {
    word.parse().map_err(|why| TypedError::Name { text: word.to_owned(), why })
}

#[cfg(test)]
#[path = "typed_tests.rs"]
mod tests;
