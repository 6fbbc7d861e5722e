//! What the commands of the chat do.

use super::parse;
use crate::client::chat::commands;
use crate::client::chat::input::{Sending, Then};
use crate::client::error::Error;
use crate::client::model::event::{Mark, Notice};
use crate::client::net::directory;
use crate::client::net::trust::{self, Meant, Verification};
use crate::client::state::chat_settings::Bell;
use crate::client::trust::verification::{Comparison, accepted, unverified};
use crate::client::ui::page;
use crate::client::ui::prompt::is_yes;
use crate::client::ui::words;
use crate::names::{Recipient, UserName};
use crate::wire::to_server::Scope;
use crate::wire::{Fingerprint, Prefers};

impl Sending<'_> {
    /// All commands, or more about one.
    pub(crate) fn help(&self, command: Option<&str>) -> Result<Then, Error> {
        match command.and_then(commands::find) {
            Some(command) => self.say(command.help()),
            None => self.say(format!("commands:\n{}", parse::help())),
        }
    }

    /// Sends to whoever wrote directly last.
    pub(crate) fn answer(&mut self, text: String) -> Result<Then, Error> {
        match self.chat.wrote_last() {
            Some(name) => self.send(Recipient::User(name), text),
            None => self.say("nobody has written to you alone in this run. Nothing was sent."),
        }
    }

    /// Says when the terminal rings from now on.
    pub(crate) fn ring(&self, bell: Bell) -> Result<Then, Error> {
        self.chat.ring(bell)?;
        self.bell()
    }

    /// Says when the terminal rings.
    pub(crate) fn bell(&self) -> Result<Then, Error> {
        self.say(match self.chat.bell() {
            Bell::Off => "the bell is off",
            Bell::Direct => "the bell rings for messages to you alone, and for those that name you",
            Bell::All => "the bell rings for every message",
        })
    }

    /// Shows nothing of this name's from now on.
    pub(crate) fn block(&mut self, name: &UserName) -> Result<Then, Error> {
        if *name == self.chat.member.name {
            return self.say("that is you. Nothing was changed.");
        }
        // Whoever slips would go on reading what they want to be rid of. Without an answer nothing speaks against it.
        if !self.chat.names().contains(name)
            && let Err(error @ Error::NoSuchUser { .. }) = directory::look_up(self, name)
        {
            return self.say(format!("{error} Nothing was changed."));
        }
        match self.chat.blocked.block(name)? {
            true => self.say(format!("nothing of {name}'s is shown any more. To take that back: /unblock {name}")),
            false => self.say(format!("{name} is blocked already. To take that back: /unblock {name}")),
        }
    }

    /// Shows what comes of this name's again.
    pub(crate) fn unblock(&self, name: &UserName) -> Result<Then, Error> {
        match self.chat.blocked.unblock(name)? {
            Some(0) => self.say(format!("{name} is no longer blocked")),
            Some(count) => self.say(format!("{name} is no longer blocked; {} meanwhile", not_shown(count))),
            None => self.say(format!("{name} is not blocked. Nothing was changed.")),
        }
    }

    /// Who is blocked.
    pub(crate) fn blocked(&self) -> Result<Then, Error> {
        let all = self.chat.blocked.list();
        if all.is_empty() {
            return self.say("nobody is blocked");
        }
        let lines = all.iter().map(|(name, count)| format!("{name}: {}", not_shown(*count)));
        self.say(lines.collect::<Vec<_>>().join("\n"))
    }

    /// One's own keys, the group's, and what is known of the contacts'.
    pub(crate) fn keys(&self) -> Result<Then, Error> {
        let member = self.chat.member;
        let mut lines = vec![
            line("identity", "yours", member.identity.public().fingerprint())
                + &prefers(member.prefers, member.prefers),
            line("encryption", "yours", member.encryption.public().fingerprint()),
        ];
        match member.group.keys() {
            Some(keys) => {
                let ids: Vec<_> = keys.entries().map(|key| key.short_id()).collect();
                lines.push(format!("group ALL     {}   the first one writes, all of them read", ids.join(" ")));
            }
            None => lines.push("group ALL     no key".to_owned()),
        }
        for (name, pin) in self.chat.contacts.list()? {
            let mark = if pin.changed.is_some() { "CHANGED" } else { pin.mark.word() };
            lines.push(line(name.as_str(), mark, pin.key.fingerprint()) + &prefers(pin.prefers, pin.least_known()));
        }
        self.say(lines.join("\n"))
    }

    /// Who is here.
    pub(crate) fn who(&mut self) -> Result<Then, Error> {
        let here = directory::list(self, Scope::Online)?;
        self.chat.met(here.iter().map(|entry| entry.name.clone()));
        let names: Result<Vec<_>, Error> = here.iter().map(|entry| self.marked(&entry.name)).collect();
        self.say(format!("here now: {}", names?.join(", ")))
    }

    /// The name, with what is to be known of its key.
    fn marked(&self, name: &UserName) -> Result<String, Error> {
        Ok(match self.chat.contacts.pinned(name)? {
            Some(pin) if pin.changed.is_some() => format!("{name} (KEY CHANGED)"),
            Some(pin) if pin.mark == Mark::Verified => format!("{name} (verified)"),
            _ => name.to_string(),
        })
    }

    pub(crate) fn fingerprint(&mut self, name: Option<&UserName>) -> Result<Then, Error> {
        let (own, key) = self.own();
        let Some(name) = name.filter(|name| **name != own) else {
            return self.say(format!("{own}  {}", key.grouped()));
        };
        let contacts = self.chat.contacts;
        let theirs = trust::key_of(contacts, name, || trust::contact(self, contacts, name))?;
        if let Some(change) = theirs.change {
            self.chat.notice(&Notice::KeyChanged(change))?;
            self.say("This is the old one:")?;
        }
        let comparison = Comparison::new((&own, key), (name, theirs.fingerprint));
        self.say(&match self.chat.screen.page().width {
            Some(_) => comparison.rows().join("\n"),
            None => comparison.lines().join("\n"),
        })
    }

    pub(crate) fn trust(&mut self, name: &UserName, fingerprint: Option<&str>) -> Result<Then, Error> {
        let shown = self.chat.shown().get(name).copied();
        let meant = fingerprint.map_or(Ok(Meant::Shown(shown)), Meant::typed)?;
        let now = trust::trust(self, self.chat.contacts, name, meant)?;
        self.say(format!("{name} is trusted with this key from now on: {}", now.grouped()))?;
        self.chosen()
    }

    /// Shows what is to be compared; the next line is the answer.
    pub(crate) fn verify(&mut self, name: &UserName) -> Result<Then, Error> {
        let verification = Verification::begin(self, self.chat.contacts, name)?;
        if let Some(notice) = &verification.notice {
            self.chat.notice(notice)?;
        }
        let (own, key) = self.own();
        let comparison = verification.comparison((&own, key));
        let lines = comparison.whole(self.chat.screen.page().colour, page::height(&std::io::stdout()));
        self.asked = Some(verification);
        self.say(lines.join("\n"))
    }

    /// The answer to what was asked, whatever it is: nothing of it is sent.
    pub(crate) fn answered(&mut self, verification: &Verification, answer: &str) -> Result<Then, Error> {
        let name = verification.name();
        if !is_yes(answer) {
            return self.say(format!("nothing was changed about {name}'s key, and nothing was sent"));
        }
        verification.confirm(self.chat.contacts)?;
        self.say(format!("{name}'s key is verified from now on"))?;
        self.chosen()
    }

    pub(crate) fn untrust(&mut self, name: &UserName) -> Result<Then, Error> {
        let was = self.chat.contacts.unverify(name)?;
        self.say(unverified(name, was))
    }

    pub(crate) fn accept(&mut self, name: &UserName) -> Result<Then, Error> {
        let asks_for_more = self.chat.contacts.accept(name)?;
        self.say(accepted(name, asks_for_more))?;
        self.chosen()
    }

    /// What was held until a key was chosen may be shown now.
    fn chosen(&self) -> Result<Then, Error> {
        self.chat.circuit.wake();
        Ok(Then::GoOn)
    }

    fn own(&self) -> (UserName, Fingerprint) {
        (self.chat.member.name.clone(), self.chat.member.identity.public().fingerprint())
    }
}

fn prefers(prefers: Prefers, least: Prefers) -> String {
    format!("  {}", words::prefers(prefers, least))
}

fn line(whose: &str, mark: &str, key: Fingerprint) -> String {
    format!("{whose:<13} {mark:<8}  {}", key.grouped())
}

fn not_shown(count: u64) -> String {
    match count {
        0 => "nothing was held back".to_owned(),
        1 => "1 message was not shown".to_owned(),
        count => format!("{count} messages were not shown"),
    }
}
