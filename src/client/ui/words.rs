//! What is told besides messages, in words. Pure; `render` sets it off.

use super::render::Page;
use crate::client::model::event::{KeyChange, Notice};
use crate::hint::Hint;
use crate::limits::CONTACTS_MAX;
use crate::names::{Recipient, UserName};
use crate::wire::to_client::Entry;
use crate::wire::{Fingerprint, MessageId, Prefers};

/// What an account prefers, and that more than that goes to it where its name is remembered to ask for more.
pub(crate) fn prefers(prefers: Prefers, least: Prefers) -> String {
    match prefers == least {
        true => format!("prefers {}", prefers.word()),
        false => format!("prefers {}, gets {}", prefers.word(), least.word()),
    }
}

impl Page {
    /// The lines of a notice.
    pub(crate) fn words(&self, notice: &Notice) -> Vec<Hint> {
        let line = match notice {
            Notice::KeyChanged(change) => return key_changed(change),
            Notice::HeldUnpinned { from, now, count, lost } => {
                return held_unpinned(from, *now, held(*count, *lost));
            }
            Notice::Held { from, count, lost } => return vec![held_for_choosing(from, &held(*count, *lost))],
            Notice::Copy { from, id, first_ms } => self.copy(from, *id, *first_ms),
            Notice::Elsewhere { from, to } => elsewhere(from, to),
            Notice::GivenUp { from, id } => under_a_key(from, *id, &format!("that {from} gave up long ago")),
            Notice::GroupKeyBad { why, writes } => group_key_bad(why, writes.as_deref()),
            Notice::GroupKeyRead { writes } => format!("the group key file was read again: key {writes} writes"),
            Notice::HeldBack { from } => held_back(from.as_ref()),
            Notice::KeyNotGiven { from, count } => key_not_given(from, *count),
            Notice::Malformed => "the server passed on bytes that are no message. Nothing was shown.".to_owned(),
            Notice::Missing { from, to } => format!("a message from {from} to {} is missing", whom(to)),
            Notice::NewKeys { name, now } => return new_keys(name, *now),
            Notice::NoAccount { from, id } => no_account(from, *id),
            Notice::NoRoom { from, id } => no_room(from, *id),
            Notice::NotChosen { from, id } => under_a_key(from, *id, &format!("of {from} that you decided against")),
            Notice::NotForMe { from, id } => format!("{} is not for you. It was not shown.", marked(from, *id)),
            Notice::NotOpened { from, id } => format!("a message from {from} (#{}) could not be opened", id.short()),
            Notice::OtherGroupKey { from, theirs, ours, count, lost } => {
                other_group_key(from, theirs, ours.as_deref(), *count) + &dropped(*lost)
            }
            Notice::OwnKeyMissing { from, key, count, lost } => {
                return vec![own_key_missing(from, *key, *count).then(dropped(*lost))];
            }
            Notice::Passed { count } => passed(*count),
            Notice::Rejected { from, id } => rejected(from, *id),
            Notice::Reused { from, id } => reused(from, *id),
            Notice::ClassicGroup { from, count, lost } => format!(
                "{} of {from} to ALL under DES, though the group's key is one of AES-256: shown at the next start without \
                 --no-classic-group",
                held(*count, *lost)
            ),
            Notice::Weaker { from, count, lost } => return vec![weaker(from, &held(*count, *lost))],
            Notice::TookBack { name, stays } => return vec![took_back(name, *stays)],
            Notice::UnknownSender { from, id } => unknown_sender(from, *id),
        };
        vec![line.into()]
    }

    fn copy(&self, from: &UserName, id: MessageId, first_ms: i64) -> String {
        format!("ignored a copy of {from}'s message #{} (already received {})", id.short(), self.time(first_ms))
    }
}

fn elsewhere(from: &UserName, to: &Recipient) -> String {
    format!(
        "messages from {from} to {} did not come here: the server says that another session of this account took them",
        whom(to)
    )
}

fn new_keys(name: &UserName, now: Fingerprint) -> Vec<Hint> {
    let compare = format!("{name} has new keys, signed by the old ones: all goes on as before. To compare them:  ");
    vec![Hint::from(compare).topchat(&["verify", name.as_str()]), format!("  now {}", now.grouped()).into()]
}

fn took_back(name: &UserName, stays: bool) -> Hint {
    let then = match stays {
        true => Hint::from(format!("You have compared {name}'s key: what you send stays modern until you say  "))
            .topchat(&["accept", name.as_str()]),
        false => Hint::from(format!("They go to {name} from now on.")),
    };
    Hint::from(format!("{name} asked for modern messages, and asks for classic ones now, which are weaker. ")).and(then)
}

fn key_changed(change: &KeyChange) -> Vec<Hint> {
    let KeyChange { name, pinned, now, .. } = change;
    vec![
        format!("{}'S KEY HAS CHANGED.  was {}", name.as_str().to_uppercase(), pinned.grouped()).into(),
        format!("{}                     now {}", " ".repeat(name.as_str().len()), now.grouped()).into(),
        format!("The old one was {}.", change.was_known()).into(),
        format!(
            "They made new keys, or someone (the server's owner could) stands in their place. \
             Sending to {name} is stopped."
        )
        .into(),
        Hint::from("  compare by voice, then  ")
            .topchat(&["verify", name.as_str()])
            .then("       or go on unverified:  ")
            .topchat(&["trust", name.as_str()]),
    ]
}

fn held_unpinned(from: &UserName, now: Fingerprint, held: String) -> Vec<Hint> {
    vec![
        format!("{held} under a key of {from} that is not pinned (--accept-new-keys never)").into(),
        format!("  {}", now.grouped()).into(),
        Hint::from("  compare it by voice, then  ").topchat(&["trust", from.as_str(), &now.to_hex()]),
    ]
}

fn held_for_choosing(from: &UserName, held: &str) -> Hint {
    Hint::from(format!("{held} under another key of {from}: shown after  "))
        .topchat(&["verify", from.as_str()])
        .then("  or  ")
        .topchat(&["trust", from.as_str()])
}

fn weaker(from: &UserName, held: &str) -> Hint {
    Hint::from(format!("{held} weaker than {from}'s own choice: shown after  ")).topchat(&["accept", from.as_str()])
}

fn marked(from: &UserName, id: MessageId) -> String {
    format!("a message marked from {from} (#{})", id.short())
}

fn under_a_key(from: &UserName, id: MessageId, which: &str) -> String {
    format!("{} is under a key {which}. It was not shown.", marked(from, id))
}

fn rejected(from: &UserName, id: MessageId) -> String {
    format!("REJECTED {}: the signature does not match {from}'s key. It was not shown.", marked(from, id))
}

fn reused(from: &UserName, id: MessageId) -> String {
    format!("REJECTED a message from {from} (#{}): that id was used for other text before", id.short())
}

fn unknown_sender(from: &UserName, id: MessageId) -> String {
    format!("{} was not shown: the server gives no key of {from} that holds", marked(from, id))
}

fn no_account(from: &UserName, id: MessageId) -> String {
    let message = marked(from, id);
    format!("{message} was not shown: the server has no account {from} any more, so it could not be verified")
}

fn no_room(from: &UserName, id: MessageId) -> String {
    let id = id.short();
    format!("a message from {from} (#{id}) was not shown: there are {CONTACTS_MAX} contacts already, {from} is not one")
}

fn held_back(from: Option<&UserName>) -> String {
    let senders = from.map_or("unknown senders".to_owned(), ToString::to_string);
    let about = if from.is_some() { "marked from" } else { "from" };
    format!("further lines about messages {about} {senders} are held back for an hour: there are too many")
}

fn key_not_given(from: &UserName, count: usize) -> String {
    let messages = match count {
        1 => format!("a message marked from {from} was"),
        count => format!("{count} messages marked from {from} were"),
    };
    format!("{messages} not shown: the server did not give {from}'s key in time")
}

fn group_key_bad(why: &str, writes: Option<&str>) -> String {
    match writes {
        Some(writes) => format!("{why}. The keys read before stay in use: {writes} writes."),
        None => format!("{why}. You have no group key."),
    }
}

fn other_group_key(from: &UserName, theirs: &str, ours: Option<&str>, count: usize) -> String {
    let (messages, use_it) = match count {
        0 | 1 => ("a message".to_owned(), "uses"),
        count => (format!("{count} messages"), "use"),
    };
    let ours = match ours {
        Some(ours) => format!("yours is {ours}. Ask {from} for the new key file."),
        None => format!("you have none. Ask {from} for the key file."),
    };
    format!("{messages} to ALL from {from} {use_it} group key {theirs}; {ours}")
}

fn own_key_missing(from: &UserName, key: Fingerprint, count: usize) -> Hint {
    let (messages, are, wait) = match count {
        0 | 1 => ("a message".to_owned(), "is", "It waits here"),
        count => (format!("{count} messages"), "are", "They wait here"),
    };
    Hint::from(format!(
        "{messages} from {from} {are} sealed for a key ({}) that is not on this machine. {wait}: if another \
         machine of yours has it, ",
        key.short()
    ))
    .typed("topchat keys export")
    .then(" there, ")
    .topchat(&["keys", "import", "FILE"])
    .then(" here, then start again.")
}

fn passed(count: u64) -> String {
    match count {
        1 => "1 message waited too long, or too many came after it: it won't come any more".to_owned(),
        count => format!("{count} messages waited too long, or too many came after them: they won't come any more"),
    }
}

/// `3 messages are held (and 2 were dropped for want of room)`
fn held(count: usize, lost: usize) -> String {
    let held = match count {
        1 => "1 message is held".to_owned(),
        count => format!("{count} messages are held"),
    };
    match lost {
        0 => held,
        lost => format!("{held} (and {lost} dropped: no room for more)"),
    }
}

fn dropped(lost: usize) -> String {
    match lost {
        0 => String::new(),
        lost => format!(" {lost} more dropped: no room."),
    }
}

fn whom(to: &Recipient) -> &str {
    match to {
        Recipient::All => "ALL",
        Recipient::User(_) => "you",
    }
}

/// The line, about those of the names that are `wanted`; none if nothing is left to tell.
pub(crate) fn presence(
    entries: &[Entry],
    (more_came, more_left): (u32, u32),
    wanted: impl Fn(&UserName) -> bool,
) -> Option<String> {
    let told = |online: bool, more: u32| {
        let names = entries.iter().filter(|entry| entry.online == online && wanted(&entry.name));
        people(names.map(|entry| entry.name.as_str()).collect(), more)
    };
    let came = told(true, more_came).map(|(who, are)| format!("{who} {are} here"));
    let left = told(false, more_left).map(|(who, _)| format!("{who} left"));
    let parts: Vec<_> = came.into_iter().chain(left).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `carol, dave and 3 more`, and whether they are one or many.
fn people(names: Vec<&str>, more: u32) -> Option<(String, &'static str)> {
    let are = if names.len() as u64 + u64::from(more) == 1 { "is" } else { "are" };
    let mut all: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if more > 0 {
        all.push(if all.is_empty() { more.to_string() } else { format!("{more} more") });
    }
    let last = all.pop()?;
    Some((if all.is_empty() { last } else { format!("{} and {last}", all.join(", ")) }, are))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comings_and_goings_are_one_line() {
        let entries = |names: &[&str]| -> Vec<Entry> {
            let entry = |name: &&str| Entry { name: name[1..].parse().unwrap(), online: name.starts_with('+') };
            names.iter().map(entry).collect()
        };
        for (names, more, expected) in [
            (&["+carol"][..], (0, 0), Some("carol is here")),
            (&["+carol", "+dave", "-eve"], (0, 0), Some("carol and dave are here; eve left")),
            (
                &["-bob", "+carol", "+dave", "-eve"],
                (3, 1),
                Some("carol, dave and 3 more are here; bob, eve and 1 more left"),
            ),
            (&["+alice"], (0, 0), None),
            (&["+alice", "-bob"], (0, 0), Some("bob left")),
            (&[], (1, 2), Some("1 is here; 2 left")),
            (&[], (0, 0), None),
        ] {
            let shown = presence(&entries(names), more, |name| name.as_str() != "alice");
            assert_eq!(shown.as_deref(), expected, "{names:?}");
        }
    }
}
