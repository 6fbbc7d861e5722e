//! How this program was started: commands in hints are for the same account, server and folders.

use std::sync::{Arc, Mutex};

use crate::hint::{Hint, Program, Shown, command_line};
use crate::sync::lock;
use crate::text::{quoted, visible};

/// How this program was started.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// What starts it: a clone that is not installed does so by a script, which names itself in `TOPCHAT_COMMAND`.
    program: String,
    /// Settings that were typed: without them, a command would be about another server or other files.
    settings: Vec<Setting>,
    /// The account that commands have to name, where several are; it may be chosen late, and is one for all copies.
    account: Arc<Mutex<Option<String>>>,
    /// Whether commands are typed in the chat, as far as it has them.
    in_chat: bool,
}

/// A setting that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As `--server`.
    pub flag: &'static str,
    /// What stands behind it.
    pub value: String,
}

impl Default for Invocation {
    fn default() -> Self {
        Self::new(None, Vec::new())
    }
}

impl Invocation {
    /// By this command, if not by the program's name, with these settings.
    pub fn new(command: Option<&str>, settings: Vec<Setting>) -> Self {
        let program = visible(command.unwrap_or(Program::Client.name())).into_owned();
        Self { program, settings, account: Arc::default(), in_chat: false }
    }

    /// From now on commands name this account, also those of the copies.
    pub fn name_account(&self, user: &str) {
        *lock(&self.account) = Some(user.to_owned());
    }

    /// The same for hints that are read in the chat.
    pub fn in_chat(&self) -> Self {
        Self { in_chat: true, ..self.clone() }
    }

    /// The hint as this person reads it.
    pub fn shown(&self, hint: &Hint) -> Shown {
        hint.shown(|program, arguments| match program {
            Program::Client => self.command(arguments),
            Program::Server => command_line([program.name().to_owned()], arguments),
        })
    }

    fn command(&self, arguments: &[String]) -> String {
        let mut name = arguments;
        while let [flag, _, behind @ ..] = name
            && flag.starts_with("--")
        {
            name = behind;
        }
        let name: Vec<_> = name.iter().map(String::as_str).collect();
        if let (true, [first, _, ..]) = (self.in_chat, name.as_slice())
            && IN_CHAT.contains(first)
        {
            return format!("/{}", command_line([], arguments));
        }
        let is_said = |flag: &str| arguments.iter().any(|word| word == flag);
        let names_account = matches!(name.as_slice(), ["register" | "login" | "group", ..] | ["keys", "import", ..]);
        let account = lock(&self.account).clone();
        let account = account.filter(|_| !names_account && !is_said("--user"));
        let account = account.map(|account| format!("--user {account}"));
        let settings = self.settings.iter().filter(|one| !is_said(one.flag));
        let settings = settings.map(|one| format!("{} {}", one.flag, quoted(&one.value)));
        command_line([self.program.clone()].into_iter().chain(account).chain(settings), arguments)
    }
}

/// What is typed in the chat by the same name, with a slash.
const IN_CHAT: [&str; 3] = ["verify", "trust", "fingerprint"];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(invocation: &Invocation, arguments: &[&str]) -> String {
        invocation.shown(&Hint::default().topchat(arguments)).text
    }

    #[test]
    fn hints_name_the_command_as_it_is_typed() {
        let script = Invocation::new(Some("scripts/topchat"), Vec::new());
        for (arguments, expected) in [
            (&["login", "bob"][..], "scripts/topchat login bob"),
            (&["send", "NAME"], "scripts/topchat send NAME"),
            (&[], "scripts/topchat"),
        ] {
            assert_eq!(shown(&script, arguments), expected);
        }
        let hint = Hint::from("topchat users: ").topchat(&["users"]).then(", topchat-server, topchat.");
        assert_eq!(script.shown(&hint).text, "topchat users: scripts/topchat users, topchat-server, topchat.");
        assert_eq!(shown(&Invocation::new(Some("a\u{1b}[2Jb"), Vec::new()), &["login"]), "a^[[2Jb login");
    }

    #[test]
    fn hints_name_the_account_where_it_has_to_be_chosen() {
        let invocation = Invocation::default();
        invocation.clone().name_account("bob");
        for (arguments, expected) in [
            (&["users"][..], "topchat --user bob users"),
            (&[], "topchat --user bob"),
            (&["login", "bob"], "topchat login bob"),
            (&["register", "carl"], "topchat register carl"),
            (&["keys", "import", "FILE"], "topchat keys import FILE"),
            (&["keys", "export"], "topchat --user bob keys export"),
            (&["users", "--user", "carol"], "topchat users --user carol"),
        ] {
            assert_eq!(shown(&invocation, arguments), expected);
        }
    }

    #[test]
    fn hints_repeat_the_server_and_the_folders_that_were_named() {
        let named = |flag, value: &str| Setting { flag, value: value.to_owned() };
        let settings = vec![named("--server", "chat.example:7777"), named("--keys-dir", "my keys")];
        let invocation = Invocation::new(None, settings);
        invocation.name_account("bob");
        let both = "--server chat.example:7777 --keys-dir 'my keys'";
        for (arguments, expected) in [
            (&["users"][..], format!("topchat --user bob {both} users")),
            (&["group", "list"], format!("topchat {both} group list")),
            (&["login", "bob"], format!("topchat {both} login bob")),
            (&[], format!("topchat --user bob {both}")),
            (
                &["users", "--server", "b:1", "--server-fingerprint", "SHA256:9f"],
                "topchat --user bob --keys-dir 'my keys' users --server b:1 --server-fingerprint SHA256:9f".to_owned(),
            ),
            (&["--server", "b:1", "login", "bob"], "topchat --keys-dir 'my keys' --server b:1 login bob".to_owned()),
        ] {
            assert_eq!(shown(&invocation, arguments), expected);
        }
        let elsewhere = Hint::default().typed("topchat keys export").then(" there");
        assert_eq!(invocation.shown(&elsewhere).text, "topchat keys export there");
    }

    #[test]
    fn hints_in_the_chat_are_what_is_typed_there() {
        let chat = Invocation::new(Some("scripts/topchat"), Vec::new()).in_chat();
        assert_eq!(shown(&chat, &["verify", "carol"]), "/verify carol");
        assert_eq!(shown(&chat, &["users"]), "scripts/topchat users");
    }
}
