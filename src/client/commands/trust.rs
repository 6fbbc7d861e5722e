//! `topchat verify`, `topchat unverify`, `topchat trust` and `topchat forget`: what a person decides about a key.

use std::sync::Arc;

use super::users;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::model::event::Notice;
use crate::client::net::session;
use crate::client::net::trust::{self, Digits, Meant, Verification};
use crate::client::trust::contacts::Contacts;
use crate::client::trust::verification::{Comparison, accepted, unverified};
use crate::client::ui::output;
use crate::client::ui::output::now_ms;
use crate::client::ui::page;
use crate::client::ui::prompt::{Terminal, is_yes};
use crate::hint::Hint;
use crate::names::UserName;
use crate::wire::Fingerprint;

/// Pins the key that a contact has now: the one with this fingerprint, else the changed one, which the person is shown and
/// asked about.
pub(crate) fn trust(config: &Config, name: &UserName, typed: Option<&str>) -> Result<(), Error> {
    let meant = match typed {
        Some(typed) => Meant::typed(typed)?,
        None => Meant::Shown(Some(agree(config, name)?)),
    };
    let now =
        session::errand(config, |session| trust::trust(&mut session.dialogue, &session.contacts, name, meant.clone()))?;
    config.say(format!("{name} is trusted with this key from now on:"));
    users::show("trusted", config, name, now, None)
}

/// Shows the changed key of a contact, and asks whether to go on with it.
fn agree(config: &Config, name: &UserName) -> Result<Fingerprint, Error> {
    let own = session::choose(config)?;
    let pin = Contacts::open(&config.account_state(&own), config.new_keys)?.pinned(name)?;
    let change = pin
        .and_then(|pin| pin.change(name))
        .ok_or_else(|| Error::Trust(TrustError::NotChanged { name: name.clone() }))?;
    let terminal =
        Terminal::open(config, "a confirmation", Hint::default().topchat(&["trust", "NAME", "FINGERPRINT"]))?;
    let now = change.now;
    terminal.say(&page::of(&config.invocation, &std::io::stderr()).notice(&Notice::KeyChanged(change), now_ms()))?;
    match is_yes(&terminal.ask(&format!("Go on with {name}'s new key, which nobody has compared? (y)es or (n)o "))?) {
        true => Ok(now),
        false => Err(Error::Declined),
    }
}

/// Compares the key that a contact has now with what the contact says, and marks it as verified: with the fingerprint that
/// was typed, else by asking the person.
pub(crate) fn verify(config: &Config, name: &UserName, typed: Option<&str>) -> Result<(), Error> {
    let given = typed.map(Digits::to_verify).transpose()?;
    let terminal = match given {
        Some(_) => None,
        None => Some(Terminal::open(config, "a comparison", "--fingerprint FINGERPRINT")?),
    };
    let (member, verification) = session::errand(config, |session| {
        let verification = Verification::begin(&mut session.dialogue, &session.contacts, name)?;
        Ok((Arc::clone(&session.again.member), verification))
    })?;
    let (own, key) = (member.name.clone(), member.identity.public().fingerprint());
    if let Some(notice) = &verification.notice {
        output::words(&format!("{}\n", page::of(&config.invocation, &std::io::stderr()).notice(notice, now_ms())));
    }
    match (given, terminal) {
        (Some(digits), _) => verification.check(&digits)?,
        (None, Some(terminal)) => ask(config, &terminal, name, &verification.comparison((&own, key)))?,
        (None, None) => return Err(Error::Declined),
    }
    verification.confirm(&Contacts::open(&config.account_state(&own), config.new_keys)?)?;
    config.say(format!("{name}'s key is verified from now on:"));
    users::show("verified", config, name, verification.fingerprint(), None)
}

/// Takes back that a contact's key was compared. Needs no password and no server.
pub(crate) fn unverify(config: &Config, name: &UserName) -> Result<(), Error> {
    let own = session::choose(config)?;
    let was = Contacts::open(&config.account_state(&own), config.new_keys)?.unverify(name)?;
    config.say(unverified(name, was));
    Ok(())
}

/// Takes what came by a weaker suite than the contact asks for. Needs no password and no server.
pub(crate) fn accept(config: &Config, name: &UserName) -> Result<(), Error> {
    let own = session::choose(config)?;
    let asks_for_more = Contacts::open(&config.account_state(&own), config.new_keys)?.accept(name)?;
    config.say(accepted(name, asks_for_more));
    Ok(())
}

/// Takes a contact out. Needs no password and no server.
pub(crate) fn forget(config: &Config, name: &UserName) -> Result<(), Error> {
    let own = session::choose(config)?;
    Contacts::open(&config.account_state(&own), config.new_keys)?.forget(name)?;
    config.say(format!("{name} is forgotten: the next key of that name is one seen for the first time"));
    Ok(())
}

fn ask(config: &Config, terminal: &Terminal, name: &UserName, comparison: &Comparison) -> Result<(), Error> {
    for line in
        comparison.whole(page::of(&config.invocation, &std::io::stderr()).colour, page::height(&std::io::stderr()))
    {
        terminal.say(&line)?;
    }
    match is_yes(&terminal.ask(&format!("Is it the same for {name}? (y)es marks the key as verified, (n)o does not "))?)
    {
        true => Ok(()),
        false => Err(Error::Declined),
    }
}
