//! What a person can do about an error (the flag, the file, the command), and how the program ends because of it.

use super::Error;
use super::backup::BackupError;
use super::cause::ConnectError;
use super::event::KeyChange;
use crate::crypto::group_key::GroupKeyError;
use crate::crypto::keys::KeyError;
use crate::error::{Exit, Explain};
use crate::names::NameError;
use crate::storage::FileKind;
use crate::text::visible;
use crate::transport::TransportError;

/// The remedy, in one line.
pub(super) fn remedy(error: &Error) -> Option<String> {
    let text = match error {
        Error::Address { .. } => "write it as HOST:PORT, as in --server 127.0.0.1:7777".to_owned(),
        Error::Away { .. } => "nothing is stored; send it again when they are here (topchat users --online)".to_owned(),
        Error::BacklogFull { .. } => "read them: topchat listen --timeout 5".to_owned(),
        Error::Bundle { .. } | Error::BundleOfAnother { .. } | Error::BundleReused { .. } => {
            "don't trust this server with that contact; ask its owner".to_owned()
        }
        Error::Busy { .. } => "try again in a moment, or run with --wait to queue".to_owned(),
        Error::Connect { why, .. } => connect_remedy(why),
        Error::ContactsFull { .. } => {
            "take out those whom you don't know: topchat contacts, topchat forget NAME".to_owned()
        }
        Error::File(error) | Error::Inbox(error) => return error.hint(),
        Error::History(error) => return error.hint(),
        Error::Fingerprint { least, .. } => {
            format!("give at least its first {least} hex digits, as topchat fingerprint shows them")
        }
        Error::GroupKey { why: GroupKeyError::Full, .. } => {
            "take an old one out first: topchat group forget ID".to_owned()
        }
        Error::GroupKeyNeeded { is_only: true, .. } => {
            "--force removes the whole file; make a new key first: topchat group rekey".to_owned()
        }
        Error::GroupKeyNeeded { is_only: false, .. } => {
            "--force lets the next one write; make a new key first: topchat group rekey".to_owned()
        }
        Error::NoSuchGroupKey { .. } => "give at least 4 digits; see topchat group list".to_owned(),
        Error::GroupKey { path, .. } => {
            format!("ask a member for the right file, or make a new one for everybody: {}", make_group_key(path))
        }
        Error::GroupKeyMissing { path } => {
            format!("get it from a member, or make one for everybody: {}", make_group_key(path))
        }
        Error::Key { why, path } => key_remedy(why, path),
        Error::KeyChanged(KeyChange { name, .. }) | Error::NotShown(KeyChange { name, .. }) => format!(
            "they made new keys, or someone (the server's owner could) stands in their place. \
             Compare by voice, with: topchat verify {name}    or go on unverified: topchat trust {name}"
        ),
        Error::KeySize { .. } => "leave the size out for keys of 3072 bits".to_owned(),
        Error::Backup { why: BackupError::Passphrase, .. } => {
            "it is locked with the password that the account had when it was exported".to_owned()
        }
        Error::Backup { .. } => "take another copy, or export it again: topchat keys export".to_owned(),
        Error::KeysUnsettled { .. } => {
            "any command that logs in puts that in order, for example: topchat users".to_owned()
        }
        Error::OtherKeys { folder, .. } => {
            format!("import it under another --keys-dir, or move {} away", visible(&folder.to_string_lossy()))
        }
        Error::KeysBusy { .. } => "try again".to_owned(),
        Error::RenewalUnknown { .. } => {
            "both the old and the new ones stay here; the next command that logs in asks the server which ones count"
                .to_owned()
        }
        Error::KeysMissing { name, .. } => {
            format!("make the account with: topchat register {name}    or name the folder of its keys with --keys-dir")
        }
        Error::Lock(error) => return error.hint(),
        Error::Lost { why: TransportError::Closed } => "is the server still running?".to_owned(),
        Error::Name { why: NameError::Reserved, .. } => {
            "take another name; to write to everybody, write ALL in capitals".to_owned()
        }
        Error::Name { .. } => {
            "names are a-z, 0-9, _ and -, begin with a letter and have at most 32 characters".to_owned()
        }
        Error::NoAccount { .. } => "make one with: topchat register NAME".to_owned(),
        Error::NoContact { .. } => "see them: topchat contacts".to_owned(),
        Error::NotChanged { name } => {
            format!(
                "to pin the key that the server gives, compare it and give its fingerprint: topchat trust {name} FINGERPRINT"
            )
        }
        Error::NotChosen { name } => {
            format!("choose first: topchat verify {name}    or go on unverified: topchat trust {name}")
        }
        Error::NotPinned { name, now } => {
            format!("compare it with {name} by voice, then: topchat trust {name} {}", now.to_hex())
        }
        Error::OldBundle { .. } => {
            "the server may have lost its newest data, or it lies; ask its owner, and tell the contact".to_owned()
        }
        Error::NoHome { .. } => "set HOME, or give --keys-dir and --state-dir".to_owned(),
        Error::NoSuchUser { .. } => "see who there is: topchat users".to_owned(),
        Error::Offline => {
            "wait until it is back; texts to ALL, and to those you wrote to in this run, are kept".to_owned()
        }
        Error::OutboxFull { .. } => "wait until the connection is back".to_owned(),
        Error::NoTerminal { flag, .. } => format!("give it with {flag}"),
        Error::NotTopChat { .. } => "see --server HOST:PORT; its start lines name the server's address".to_owned(),
        Error::Password { .. } => "take a longer or shorter one: 8 to 128 bytes, without NUL".to_owned(),
        Error::InviteEmpty { .. } => "the code belongs into its first line, as the server's owner gave it".to_owned(),
        Error::PasswordCommand { .. } | Error::PasswordEmpty { .. } => {
            "the first line of the file, or of the command's output, is the password".to_owned()
        }
        Error::Refused(refusal) => return refusal.hint(),
        Error::Scram { .. } => {
            "the password was not given away; ask the server's owner, and compare --server-fingerprint".to_owned()
        }
        Error::ServerChanged { now, address, .. } => format!(
            "someone may stand between you and the server. If its owner confirms the new identity: \
             topchat users --server {address} --server-fingerprint {now}"
        ),
        Error::ServerFingerprint { .. } => {
            "give all of its 64 hex digits, as the server's start lines show them".to_owned()
        }
        Error::State { path, .. } => {
            format!("the file was left as it is; look at it, or move it away: {}", visible(&path.to_string_lossy()))
        }
        Error::TextEmpty | Error::TextMissing => "topchat send NAME TEXT, or: echo TEXT | topchat send NAME".to_owned(),
        Error::TextNotFile { found: FileKind::Folder, .. } => "name a file in it".to_owned(),
        Error::TextNotFile { path, .. } => {
            format!("read it as input: topchat send NAME < {}", visible(&path.to_string_lossy()))
        }
        Error::TextTooLong => "split it, or send a file some other way".to_owned(),
        Error::NotKnown { .. } => {
            "it may have arrived; send it again, or wait longer with --timeout SECONDS".to_owned()
        }
        Error::TimedOut { .. } => "try again, or wait longer with --timeout SECONDS".to_owned(),
        Error::TrustGone { name, .. } => {
            format!(
                "compare it by voice, with: topchat verify {name}    or name the key: topchat trust {name} FINGERPRINT"
            )
        }
        Error::TrustMismatch { .. } => {
            "compare it with the contact by voice: it may be somebody else's key. Nothing was changed".to_owned()
        }
        Error::Unconfirmed { .. } => "it may have arrived or not; ask, or send it again".to_owned(),
        Error::WrongPassphrase { .. } => "the password of the account also locks its key files".to_owned(),
        Error::WhichUser { .. } => "choose one with --user NAME".to_owned(),
        Error::Declined
        | Error::Input { .. }
        | Error::Interrupted
        | Error::ListenTimedOut { .. }
        | Error::Lost { .. }
        | Error::Output { .. }
        | Error::OutputClosed
        | Error::PasswordsDiffer
        | Error::Protocol(_)
        | Error::Seal { .. }
        | Error::Silent { .. }
        | Error::System { .. }
        | Error::TextNotUtf8 => return None,
    };
    Some(text)
}

/// How the program ends because of it.
pub(super) fn exit(error: &Error) -> Exit {
    match error {
        Error::Address { .. }
        | Error::Declined
        | Error::Fingerprint { .. }
        | Error::GroupKeyNeeded { .. }
        | Error::KeySize { .. }
        | Error::NoSuchGroupKey { .. }
        | Error::Name { .. }
        | Error::NoContact { .. }
        | Error::NotChanged { .. }
        | Error::NoTerminal { .. }
        | Error::Password { .. }
        | Error::InviteEmpty { .. }
        | Error::PasswordEmpty { .. }
        | Error::PasswordsDiffer
        | Error::ServerFingerprint { .. }
        | Error::TextEmpty
        | Error::TextMissing
        | Error::TextNotFile { .. }
        | Error::TextNotUtf8
        | Error::TextTooLong
        | Error::WhichUser { .. } => Exit::Usage,
        Error::BacklogFull { .. }
        | Error::Connect { .. }
        | Error::ContactsFull { .. }
        | Error::GroupKey { .. }
        | Error::GroupKeyMissing { .. }
        | Error::Input { .. }
        | Error::Key { .. }
        | Error::KeysBusy { .. }
        | Error::KeysUnsettled { .. }
        | Error::OtherKeys { .. }
        | Error::KeysMissing { .. }
        | Error::RenewalUnknown { .. }
        | Error::ListenTimedOut { .. }
        | Error::Lost { .. }
        | Error::NoAccount { .. }
        | Error::NoHome { .. }
        | Error::NotKnown { .. }
        | Error::NotTopChat { .. }
        | Error::Output { .. }
        | Error::PasswordCommand { .. }
        | Error::Offline
        | Error::OutboxFull { .. }
        | Error::Protocol(_)
        | Error::Silent { .. }
        | Error::State { .. }
        | Error::TimedOut { .. } => Exit::Local,
        Error::Bundle { .. }
        | Error::BundleOfAnother { .. }
        | Error::BundleReused { .. }
        | Error::KeyChanged(_)
        | Error::NotShown(_)
        | Error::NotChosen { .. }
        | Error::NotPinned { .. }
        | Error::OldBundle { .. }
        | Error::Scram { .. }
        | Error::ServerChanged { .. }
        | Error::TrustGone { .. }
        | Error::TrustMismatch { .. } => Exit::Identity,
        Error::Backup { why: BackupError::Passphrase, .. } => Exit::Refused,
        Error::Backup { why: BackupError::Changed, .. } => Exit::Identity,
        Error::Backup { .. } => Exit::Local,
        Error::Busy { .. } => Exit::Busy,
        Error::WrongPassphrase { .. } => Exit::Refused,
        Error::Away { .. } | Error::NoSuchUser { .. } | Error::Unconfirmed { .. } => Exit::Undelivered,
        Error::OutputClosed => Exit::Done,
        Error::Interrupted => Exit::Interrupted,
        Error::File(error) | Error::Inbox(error) => error.exit(),
        Error::History(error) => error.exit(),
        Error::Lock(error) => error.exit(),
        Error::Refused(refusal) => refusal.exit(),
        Error::Seal { .. } | Error::System { .. } => Exit::Unexpected,
    }
}

fn connect_remedy(why: &ConnectError) -> String {
    match why {
        ConnectError::NoSuchHost => "see --server HOST:PORT".to_owned(),
        ConnectError::Io(_) | ConnectError::TimedOut { .. } => {
            "is the server running there? (topchat-server, or make run-server; the address is set by --server)"
                .to_owned()
        }
    }
}

fn key_remedy(why: &KeyError, path: &std::path::Path) -> String {
    let path = visible(&path.to_string_lossy()).into_owned();
    match why {
        KeyError::TooSmall { .. } | KeyError::TooLarge { .. } | KeyError::NotRsa | KeyError::Exponent => {
            format!("make new keys in another folder (--keys-dir); {path} was left as it is")
        }
        _ => format!("it should be as scripts/gen-user-keys.sh or topchat register make it; {path} was left as it is"),
    }
}

fn make_group_key(path: &std::path::Path) -> String {
    format!("scripts/gen-des-key.sh {}", visible(&path.to_string_lossy()))
}
