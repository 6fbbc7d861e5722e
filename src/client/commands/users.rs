//! `topchat users`, `topchat contacts` and `topchat fingerprint`.

use std::io::{IsTerminal as _, stdout};

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::keys::folder::KeyFolder;
use crate::client::model::event::date;
use crate::client::model::pin::Pin;
use crate::client::net::{directory, session, trust};
use crate::client::trust::contacts::Contacts;
use crate::client::trust::verification::Comparison;
use crate::client::ui::page;
use crate::client::ui::{json, output, words};
use crate::names::UserName;
use crate::wire::Fingerprint;
use crate::wire::to_server::Scope;

/// Who there is, one per line.
pub(crate) fn users(config: &Config, online: bool) -> Result<(), Error> {
    let scope = if online { Scope::Online } else { Scope::All };
    let entries = session::errand(config, |session| directory::list(&mut session.dialogue, scope))?;
    let lines = entries.iter().map(|entry| match config.json {
        true => json::user(entry) + "\n",
        false => format!("{:<32} {}\n", entry.name.as_str(), if entry.online { "here" } else { "away" }),
    });
    output::write(&lines.collect::<String>())
}

/// Whose keys are pinned and what is known of them, one per line. Needs no password and no server.
pub(crate) fn contacts(config: &Config) -> Result<(), Error> {
    let own = session::choose(config)?;
    let all = Contacts::open(&config.account_state(&own), config.new_keys)?.list()?;
    if all.is_empty() {
        config.say("no contacts yet: a key is pinned when you first write to somebody, or they to you");
    }
    let lines = all.iter().map(|(name, pin)| match config.json {
        true => json::contact(name, pin) + "\n",
        false => contact_line(name, pin),
    });
    output::write(&lines.collect::<String>())
}

/// One's own fingerprint, which needs no password and no server, or a contact's with the safety number: the pinned one, or
/// the one that the server gives if there was no contact so far.
pub(crate) fn fingerprint(config: &Config, name: Option<&UserName>, code: bool) -> Result<(), Error> {
    let own = session::choose(config)?;
    let key = KeyFolder::new(&config.users_dir(), &own).public_identity()?.fingerprint();
    let Some(name) = name.filter(|name| **name != own) else { return show("fingerprint", config, &own, key, None) };
    let theirs = fingerprint_of(config, name, &own)?;
    let comparison = Comparison::new((&own, key), (name, theirs));
    // The code is as high as many a terminal: what is to be read stands below it.
    if code && !config.json {
        output::line(&comparison.code(page::of(&config.invocation, &stdout()).colour).join("\n"))?;
    }
    show("fingerprint", config, name, theirs, Some(&comparison))
}

/// A fingerprint on stdout, and the safety number if there is one.
pub(crate) fn show(
    kind: &'static str,
    config: &Config,
    name: &UserName,
    fingerprint: Fingerprint,
    comparison: Option<&Comparison>,
) -> Result<(), Error> {
    output::line(&match (config.json, comparison) {
        (true, _) => json::fingerprint(kind, name, fingerprint, comparison.map(Comparison::digits)),
        (false, Some(comparison)) if stdout().is_terminal() => comparison.rows().join("\n"),
        (false, Some(comparison)) => comparison.lines().join("\n"),
        (false, None) => format!("{name}  {}", fingerprint.grouped()),
    })
}

fn fingerprint_of(config: &Config, name: &UserName, own: &UserName) -> Result<Fingerprint, Error> {
    let contacts = Contacts::open(&config.account_state(own), config.new_keys)?;
    let contact = || session::errand(config, |session| trust::contact(&mut session.dialogue, &session.contacts, name));
    let theirs = trust::key_of(&contacts, name, contact)?;
    if let Some(change) = theirs.change {
        config.say(format!(
            "{name}'s key has changed, and you have not chosen yet. This is the old one; the other one is\n  {}",
            change.now.grouped()
        ));
    }
    if theirs.is_first {
        config.say(format!("{name} was seen for the first time and pinned. Compare, by voice:"));
    }
    Ok(theirs.fingerprint)
}

fn contact_line(name: &UserName, pin: &Pin) -> String {
    let mark = if pin.changed.is_some() { "CHANGED" } else { pin.mark.word() };
    let verified = pin.verified_ms.map_or(String::new(), |verified| format!(", verified {}", date(verified)));
    let line = format!(
        "{:<32} {mark:<8} {}  pinned {}{verified}, {}\n",
        name.as_str(),
        pin.key.fingerprint().grouped(),
        date(pin.since_ms),
        words::prefers(pin.prefers, pin.least_known())
    );
    let now = pin.changed.map(|now| format!("{:<41} {}  seen in its place\n", "", now.grouped()));
    line + &now.unwrap_or_default()
}
