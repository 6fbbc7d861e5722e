//! Words for a person with the commands in them, which stay apart from the words until they are shown: only then the program's
//! name and its settings are known, and how wide the terminal is.

use std::fmt;
use std::ops::Range;

use crate::text::quoted;

/// Words, and commands between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Words(String),
    /// One of this project's programs, with its arguments.
    Command(Program, Vec<String>),
    /// What is typed as it stands.
    Typed(String),
}

/// Whose command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `topchat`.
    Client,
    /// `topchat-server`.
    Server,
}

impl Program {
    /// The name of the installed program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "topchat",
            Self::Server => "topchat-server",
        }
    }
}

/// A hint as it is read, and where the commands in it stand: no line is broken within one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// All of it.
    pub text: String,
    /// The commands.
    pub commands: Vec<Range<usize>>,
}

impl Hint {
    /// Goes on with words.
    pub fn then(mut self, words: impl Into<String>) -> Self {
        self.parts.push(Part::Words(words.into()));
        self
    }

    /// Goes on with a command of the client; the arguments need no quotes.
    pub fn topchat(mut self, arguments: &[&str]) -> Self {
        self.parts.push(Part::Command(Program::Client, arguments.iter().map(ToString::to_string).collect()));
        self
    }

    /// Goes on with a command of the server's owner.
    pub fn topchat_server(mut self, arguments: &[&str]) -> Self {
        self.parts.push(Part::Command(Program::Server, arguments.iter().map(ToString::to_string).collect()));
        self
    }

    /// Goes on with what is typed as it stands: a command of the system, or one for another machine.
    pub fn typed(mut self, command: impl Into<String>) -> Self {
        self.parts.push(Part::Typed(command.into()));
        self
    }

    /// Goes on with all of another one.
    pub fn and(mut self, other: Self) -> Self {
        self.parts.extend(other.parts);
        self
    }

    /// The same with other words; the commands stay.
    pub fn with_words(mut self, change: impl Fn(&str) -> String) -> Self {
        for part in &mut self.parts {
            if let Part::Words(words) = part {
                *words = change(words);
            }
        }
        self
    }

    /// As it is read, with each command as this person types it.
    pub fn shown(&self, command: impl Fn(Program, &[String]) -> String) -> Shown {
        let mut shown = Shown::default();
        for part in &self.parts {
            let begin = shown.text.len();
            match part {
                Part::Words(words) => {
                    shown.text.push_str(words);
                    continue;
                }
                Part::Command(program, arguments) => shown.text.push_str(&command(*program, arguments)),
                Part::Typed(typed) => shown.text.push_str(typed),
            }
            let end = shown.text.len();
            match shown.commands.last_mut() {
                Some(last) if last.end == begin => last.end = end,
                _ => shown.commands.push(begin..end),
            }
        }
        shown
    }
}

impl From<&str> for Hint {
    fn from(words: &str) -> Self {
        Self::default().then(words)
    }
}

impl From<&String> for Hint {
    fn from(words: &String) -> Self {
        Self::default().then(words)
    }
}

impl From<String> for Hint {
    fn from(words: String) -> Self {
        Self::default().then(words)
    }
}

/// With the commands as they are for whoever has installed the programs, and has one account.
impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(|program, arguments| command_line([program.name().to_owned()], arguments)).text)
    }
}

/// The words that are put before a command, as they are, and its arguments, quoted where a shell needs it.
pub fn command_line(before: impl IntoIterator<Item = String>, arguments: &[String]) -> String {
    before.into_iter().chain(arguments.iter().map(|one| quoted(one))).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_stand_apart_until_they_are_shown() {
        let hint = Hint::from("see who there is: ").topchat(&["send", "it's bob"]).typed(" < x").then(", or ask");
        assert_eq!(hint.to_string(), r"see who there is: topchat send 'it'\''s bob' < x, or ask");
        let shown = hint.shown(|_, arguments| arguments.len().to_string());
        assert_eq!(shown.text, "see who there is: 2 < x, or ask");
        assert_eq!(shown.commands.iter().map(|command| &shown.text[command.clone()]).collect::<Vec<_>>(), ["2 < x"]);
        let hint = Hint::from("topchat users: ").topchat_server(&["user", "list"]).with_words(str::to_uppercase);
        assert_eq!(hint.to_string(), "TOPCHAT USERS: topchat-server user list");
    }
}
