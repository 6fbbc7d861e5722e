//! Every command of the chat: how it is typed, what it does, and an example. Pure.
//!
//! This one table gives what is understood, completed, hinted at and told by `/help`.

pub(crate) mod parse;
pub(crate) mod run;

use crate::client::state::chat_settings::Bell;
use crate::names::{Recipient, UserName};
use parse::{Typed, TypedError};

/// One command.
#[derive(Debug)]
pub(crate) struct Command {
    pub name: &'static str,
    /// What stands behind it, word by word; what stands in brackets may be left out.
    pub arguments: &'static str,
    /// In a few words.
    pub does: &'static str,
    /// As it could be typed.
    pub example: &'static str,
    /// What its first word is.
    pub takes: Takes,
    /// Reads what stands behind the command; `None` if that is too little or too much.
    read: fn(&str) -> Result<Option<Typed>, TypedError>,
}

/// What the first word behind a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing, or a text.
    NoName,
    /// The name of somebody.
    Name,
    /// The same, or `ALL`.
    Recipient,
    Command,
    OneOf(&'static [&'static str]),
}

impl Command {
    /// How it is typed.
    pub(crate) fn usage(&self) -> String {
        format!("/{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    /// What `/help` tells of it alone.
    pub(crate) fn help(&self) -> String {
        format!("{}\n{}\nfor example: {}", self.usage(), self.does, self.example)
    }

    /// What a line with this command and `rest` behind it means.
    pub(crate) fn parse(&self, rest: &str) -> Result<Typed, TypedError> {
        (self.read)(rest.trim())?.ok_or_else(|| TypedError::Arguments { usage: self.usage(), example: self.example })
    }
}

/// The command with this name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// All of them, in the order in which `/help` shows them.
pub(crate) fn all() -> impl Iterator<Item = &'static Command> {
    COMMANDS.iter()
}

/// What would go on behind this line: the rest of the only command that begins so, and what it wants.
pub(crate) fn hint(line: &str) -> Option<String> {
    let typed = line.strip_prefix('/')?;
    let Some((name, rest)) = typed.split_once(' ') else {
        let mut fitting = COMMANDS.iter().filter(|command| command.name.starts_with(typed));
        let command = fitting.clone().find(|command| command.name == typed).or(fitting.next())?;
        let alone = command.name == typed || fitting.next().is_none();
        return (alone && !typed.is_empty()).then(|| command.usage()[line.len()..].to_owned());
    };
    let begun = rest.split_whitespace().count();
    let arguments: Vec<_> = find(name)?.arguments.split(' ').skip(begun).collect();
    let gap = if line.ends_with(' ') { "" } else { " " };
    (!arguments.is_empty()).then(|| format!("{gap}{}", arguments.join(" ")))
}

/// Where the word at the end of this line begins, and what it may become; `names` are those that are known.
pub(crate) fn completions(line: &str, names: &[UserName]) -> (usize, Vec<String>) {
    let begin = line.rfind(char::is_whitespace).map_or(0, |space| space + 1);
    let word = &line[begin..];
    let all: Vec<String> = match (line.strip_prefix('/'), word.strip_prefix('@')) {
        (Some(_), _) if begin == 0 => COMMANDS.iter().map(|command| format!("/{}", command.name)).collect(),
        (_, Some(_)) => names.iter().map(|name| format!("@{name}")).collect(),
        (Some(typed), None) if line[..begin].split_whitespace().count() == 1 => {
            let command = typed.split_whitespace().next().and_then(find);
            command.map_or(Vec::new(), |command| command.takes.words(names))
        }
        _ => Vec::new(),
    };
    (begin, all.into_iter().filter(|one| one.starts_with(word)).map(|one| one + " ").collect())
}

impl Takes {
    fn words(self, names: &[UserName]) -> Vec<String> {
        let names = names.iter().map(UserName::to_string);
        match self {
            Self::NoName => Vec::new(),
            Self::Name => names.collect(),
            Self::Recipient => std::iter::once("ALL".to_owned()).chain(names).collect(),
            Self::Command => COMMANDS.iter().map(|command| command.name.to_owned()).collect(),
            Self::OneOf(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        }
    }
}

const COMMANDS: &[Command] = &[
    Command {
        name: "to",
        arguments: "NAME|ALL",
        does: "write to NAME, or to everybody, from now on",
        example: "/to bob",
        takes: Takes::Recipient,
        read: |rest| one(rest, |word| recipient(word).map(Typed::Switch)),
    },
    Command {
        name: "msg",
        arguments: "NAME TEXT",
        does: "send TEXT to NAME alone, as @NAME TEXT does",
        example: "/msg bob are you there?",
        takes: Takes::Name,
        read: read_msg,
    },
    Command {
        name: "r",
        arguments: "TEXT",
        does: "answer whoever wrote to you alone last",
        example: "/r yes, one o'clock",
        takes: Takes::NoName,
        read: |rest| Ok((!rest.is_empty()).then(|| Typed::Answer(rest.to_owned()))),
    },
    Command {
        name: "who",
        arguments: "",
        does: "who is here",
        example: "/who",
        takes: Takes::NoName,
        read: |rest| alone(rest, Typed::Who),
    },
    Command {
        name: "keys",
        arguments: "",
        does: "your keys, the group's, and what is known of your contacts' keys",
        example: "/keys",
        takes: Takes::NoName,
        read: |rest| alone(rest, Typed::Keys),
    },
    Command {
        name: "fingerprint",
        arguments: "[NAME]",
        does: "your key's fingerprint, or NAME's and your safety number",
        example: "/fingerprint bob",
        takes: Takes::Name,
        read: |rest| match rest {
            "" => Ok(Some(Typed::Fingerprint(None))),
            rest => one(rest, |word| name(word).map(|name| Typed::Fingerprint(Some(name)))),
        },
    },
    Command {
        name: "verify",
        arguments: "NAME",
        does: "compare NAME's key with them, and mark it as verified",
        example: "/verify bob",
        takes: Takes::Name,
        read: |rest| one(rest, |word| name(word).map(Typed::Verify)),
    },
    Command {
        name: "untrust",
        arguments: "NAME",
        does: "take that back; the key stays pinned",
        example: "/untrust bob",
        takes: Takes::Name,
        read: |rest| one(rest, |word| name(word).map(Typed::Untrust)),
    },
    Command {
        name: "accept",
        arguments: "NAME",
        does: "show what came of NAME weaker than NAME asks for",
        example: "/accept bob",
        takes: Takes::Name,
        read: |rest| one(rest, |word| name(word).map(Typed::Accept)),
    },
    Command {
        name: "trust",
        arguments: "NAME [FINGERPRINT]",
        does: "go on with NAME, whose key has changed, unverified",
        example: "/trust bob 77aa 0e51 93c2 4b1d",
        takes: Takes::Name,
        read: read_trust,
    },
    Command {
        name: "block",
        arguments: "NAME",
        does: "show nothing of NAME's any more; nobody is told",
        example: "/block mallory",
        takes: Takes::Name,
        read: |rest| one(rest, |word| name(word).map(Typed::Block)),
    },
    Command {
        name: "unblock",
        arguments: "NAME",
        does: "take that back",
        example: "/unblock mallory",
        takes: Takes::Name,
        read: |rest| one(rest, |word| name(word).map(Typed::Unblock)),
    },
    Command {
        name: "blocked",
        arguments: "",
        does: "who is blocked, and how much of theirs was not shown",
        example: "/blocked",
        takes: Takes::NoName,
        read: |rest| alone(rest, Typed::Blocked),
    },
    Command {
        name: "bell",
        arguments: "[off|direct|all]",
        does: "ring for nothing, for what is to you or names you, or for every message",
        example: "/bell off",
        takes: Takes::OneOf(&["off", "direct", "all"]),
        read: |rest| {
            Ok(match rest {
                "" => Some(Typed::Bell),
                "off" => Some(Typed::Ring(Bell::Off)),
                "direct" => Some(Typed::Ring(Bell::Direct)),
                "all" => Some(Typed::Ring(Bell::All)),
                _ => None,
            })
        },
    },
    Command {
        name: "passwd",
        arguments: "",
        does: "how to change your password",
        example: "/passwd",
        takes: Takes::NoName,
        read: |rest| alone(rest, Typed::Passwd),
    },
    Command {
        name: "help",
        arguments: "[COMMAND]",
        does: "this list, or more about COMMAND",
        example: "/help trust",
        takes: Takes::Command,
        read: read_help,
    },
    Command {
        name: "quit",
        arguments: "",
        does: "leave (so does Ctrl-D)",
        example: "/quit",
        takes: Takes::NoName,
        read: |rest| alone(rest, Typed::Quit),
    },
];

fn alone(rest: &str, meaning: Typed) -> Result<Option<Typed>, TypedError> {
    Ok(rest.is_empty().then_some(meaning))
}

fn one(rest: &str, meaning: impl FnOnce(&str) -> Result<Typed, TypedError>) -> Result<Option<Typed>, TypedError> {
    match rest.is_empty() || rest.contains(char::is_whitespace) {
        true => Ok(None),
        false => meaning(rest).map(Some),
    }
}

fn read_msg(rest: &str) -> Result<Option<Typed>, TypedError> {
    let Some((word, text)) = rest.split_once(char::is_whitespace) else { return Ok(None) };
    let to = parse::written_to(word.strip_prefix('@').unwrap_or(word))?;
    parse::text(Some(Recipient::User(to)), text.trim_start()).map(Some)
}

fn read_trust(rest: &str) -> Result<Option<Typed>, TypedError> {
    let mut words = rest.split_whitespace();
    let Some(word) = words.next() else { return Ok(None) };
    let digits: String = words.collect();
    Ok(Some(Typed::Trust { name: name(word)?, fingerprint: (!digits.is_empty()).then_some(digits) }))
}

fn read_help(rest: &str) -> Result<Option<Typed>, TypedError> {
    match rest.strip_prefix('/').unwrap_or(rest) {
        "" => Ok(Some(Typed::Help(None))),
        word => one(word, |word| {
            let command = find(word).ok_or_else(|| TypedError::no_help(word))?;
            Ok(Typed::Help(Some(command.name)))
        }),
    }
}

fn name(word: &str) -> Result<UserName, TypedError> {
    let word = word.strip_prefix('@').unwrap_or(word);
    word.parse().map_err(|why| TypedError::Name { text: word.to_owned(), why })
}

fn recipient(word: &str) -> Result<Recipient, TypedError> {
    parse::recipient(word.strip_prefix('@').unwrap_or(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_is_understood_by_its_own_command() {
        for command in COMMANDS {
            let rest = command.example.strip_prefix(&format!("/{}", command.name)).expect(command.name);
            assert!(command.parse(rest).is_ok(), "{}", command.example);
        }
    }

    #[test]
    fn commands_names_and_what_a_command_takes_are_completed() {
        let names: Vec<UserName> = ["bob", "bert", "carol"].iter().map(|name| name.parse().unwrap()).collect();
        for (line, begin, expected) in [
            ("/fi", 0, &["/fingerprint "][..]),
            ("/block", 0, &["/block ", "/blocked "]),
            ("/to A", 4, &["ALL "]),
            ("/to b", 4, &["bob ", "bert "]),
            ("/verify c", 8, &["carol "]),
            ("/verify @c", 8, &["@carol "]),
            ("/bell d", 6, &["direct "]),
            ("/help tru", 6, &["trust "]),
            ("/msg bob c", 9, &[]),
            ("@b", 0, &["@bob ", "@bert "]),
            ("hello @ca", 6, &["@carol "]),
            ("bo", 0, &[]),
            ("/who b", 5, &[]),
            ("/nonsense b", 10, &[]),
        ] {
            assert_eq!(
                completions(line, &names),
                (begin, expected.iter().map(|one| (*one).to_owned()).collect()),
                "{line}"
            );
        }
    }

    #[test]
    fn a_hint_is_what_would_go_on() {
        for (line, expected) in [
            ("/tr", Some("ust NAME [FINGERPRINT]")),
            ("/trust", Some(" NAME [FINGERPRINT]")),
            ("/trust ", Some("NAME [FINGERPRINT]")),
            ("/trust bob", Some(" [FINGERPRINT]")),
            ("/trust bob ", Some("[FINGERPRINT]")),
            ("/trust bob 77aa", None),
            ("/who", None),
            ("/block", Some(" NAME")),
            ("/t", None),
            ("/", None),
            ("/nonsense", None),
            ("/nonsense bob", None),
            ("text", None),
        ] {
            assert_eq!(hint(line).filter(|hint| !hint.is_empty()).as_deref(), expected, "{line:?}");
        }
    }
}
