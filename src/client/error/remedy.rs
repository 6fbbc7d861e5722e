//! What a person can do about an error (the flag, the file, the command), and how the program ends because of it.

use crate::client::error::Error;
use crate::client::model::state_folder;
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::names::NameError;

/// The remedy, in one line.
pub(crate) fn remedy(error: &Error) -> Option<Hint> {
    Some(match error {
        Error::Away { .. } => Hint::from("nothing is stored; send it again when they are here (")
            .topchat(&["users", "--online"])
            .then(")"),
        Error::BacklogFull { .. } => Hint::from("read them: ").topchat(&["listen", "--timeout", "5"]),
        Error::Name { why: NameError::Reserved, .. } => {
            "take another name; to write to everybody, write ALL in capitals".into()
        }
        Error::Name { .. } => "names are a-z, 0-9, _ and -, begin with a letter and have at most 32 characters".into(),
        Error::NoHome { .. } => "set HOME, or give --keys-dir and --state-dir".into(),
        Error::NoSuchUser { .. } => Hint::from("see who there is: ").topchat(&["users"]),
        Error::NoTerminal { flag, .. } => Hint::from("give it with ").and(flag.clone()),
        Error::NotSent(why) => return remedy(why),
        Error::OutboxFull { .. } => "wait until the connection is back".into(),
        Error::Password { .. } => "take a longer or shorter one: 8 to 128 bytes, without NUL".into(),
        Error::PasswordCommand { .. } | Error::PasswordEmpty { .. } => {
            "the first line of the file, or of the command's output, is the password".into()
        }
        Error::PasswordNotFile { as_new: true, .. } => "give it as input with --new-password-file -".into(),
        Error::PasswordNotFile { .. } => {
            "give it as input with --password-file -, or with --password-command COMMAND".into()
        }
        Error::KeysMissing { name, .. } => Hint::from("make the account with: ")
            .topchat(&["register", name.as_str()])
            .then("    or name the folder of its keys with --keys-dir"),
        Error::WrongPassphrase { .. } => "the password of the account also locks its key files".into(),
        Error::Environment(error) => return error.hint(),
        Error::File(error) | Error::Inbox(error) => return error.hint(),
        Error::Failed(failure) => return failure.hint(),
        Error::Lock(error) => return error.hint(),
        Error::Server(error) => return error.hint(),
        Error::Folder(error) => return error.hint(),
        Error::Journal(error) => return error.hint(),
        Error::Trust(error) => return error.hint(),
        Error::Refused(refusal) => return refusal.hint(),
        Error::State { path, .. } => state_folder::remedy(path).into(),
        Error::TextEmpty | Error::TextMissing => Hint::default()
            .topchat(&["send", "NAME", "TEXT"])
            .then(", or: ")
            .typed("echo TEXT | ")
            .topchat(&["send", "NAME"]),
        Error::TextTooLong => "split it, or send a file some other way".into(),
        Error::Unconfirmed { .. } => "it may have arrived or not; ask, or send it again".into(),
        Error::Declined
        | Error::Input { .. }
        | Error::Interrupted
        | Error::Output { .. }
        | Error::OutputClosed
        | Error::OutputUnread
        | Error::PasswordsDiffer
        | Error::Seal { .. }
        | Error::System { .. }
        | Error::TextNotUtf8 => return None,
    })
}

/// How the program ends because of it.
pub(crate) fn exit(error: &Error) -> Exit {
    match error {
        Error::Away { .. } | Error::NoSuchUser { .. } | Error::Unconfirmed { .. } => Exit::Undelivered,
        Error::Declined
        | Error::Name { .. }
        | Error::NoTerminal { .. }
        | Error::Password { .. }
        | Error::PasswordEmpty { .. }
        | Error::PasswordNotFile { .. }
        | Error::PasswordsDiffer
        | Error::TextEmpty
        | Error::TextMissing
        | Error::TextNotUtf8
        | Error::TextTooLong => Exit::Usage,
        Error::BacklogFull { .. }
        | Error::Input { .. }
        | Error::KeysMissing { .. }
        | Error::NoHome { .. }
        | Error::OutboxFull { .. }
        | Error::Output { .. }
        | Error::OutputUnread
        | Error::PasswordCommand { .. }
        | Error::State { .. } => Exit::Local,
        Error::Interrupted => Exit::Interrupted,
        Error::WrongPassphrase { .. } => Exit::Refused,
        Error::NotSent(why) => exit(why),
        Error::OutputClosed => Exit::Done,
        Error::Environment(error) => error.exit(),
        Error::File(error) | Error::Inbox(error) => error.exit(),
        Error::Folder(error) => error.exit(),
        Error::Journal(error) => error.exit(),
        Error::Failed(failure) => failure.exit(),
        Error::Lock(error) => error.exit(),
        Error::Server(error) => error.exit(),
        Error::Trust(error) => error.exit(),
        Error::Refused(refusal) => refusal.exit(),
        Error::Seal { .. } | Error::System { .. } => Exit::Unexpected,
    }
}
