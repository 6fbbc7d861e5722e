//! Everything that can end a command of the client, in words for the person who typed it.

use std::io;
use std::path::PathBuf;

use super::address::AddressError;
use super::backup::BackupError;
use super::cause::{ConnectError, ProtocolError};
use super::event::KeyChange;
use super::history_error::HistoryError;
use super::notices;
use super::reason::Refusal;
use crate::crypto::bundle::BundleError;
use crate::crypto::envelope::SealError;
use crate::crypto::group_key::GroupKeyError;
use crate::crypto::keys::KeyError;
use crate::crypto::scram::{PasswordError, ScramError};
use crate::error::{Exit, Explain};
use crate::limits::{CONTACTS_MAX, RSA_BITS_MAX, RSA_BITS_MIN, TEXT_MAX};
use crate::names::{NameError, UserName};
use crate::storage::lock::LockError;
use crate::storage::{FileError, FileKind};
use crate::text::visible;
use crate::transport::TransportError;
use crate::wire::{self, Fingerprint, MessageId};

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A server address that can't be one.
    #[error("\"{}\" is no server address: {why}", visible(.text))]
    Address {
        /// As typed.
        text: String,
        /// What is wrong with it.
        why: AddressError,
    },
    /// The recipient is not connected and nothing is stored.
    #[error("not delivered: {name} is away")]
    Away {
        /// The recipient.
        name: UserName,
    },
    /// An exported account that is not believed.
    #[error("{} can't be imported: {why}. Nothing was changed.", visible(&.path.to_string_lossy()))]
    Backup {
        /// Where it came from.
        path: PathBuf,
        /// What is wrong with it.
        why: BackupError,
    },
    /// So many messages were left for later that no more are taken.
    #[error("{count} messages were left for later already")]
    BacklogFull {
        /// How many.
        count: usize,
    },
    /// A key bundle that is not what its name promises.
    #[error("the server gave a key for {name} that does not hold: {why}")]
    Bundle {
        /// Whose it should be.
        name: UserName,
        /// What is wrong with it.
        why: BundleError,
    },
    /// Two bundles of one identity with the same number.
    #[error("the server gave other keys of {name} under the number {number} of those seen before. Nothing was sent.")]
    BundleReused {
        /// Whose.
        name: UserName,
        /// The number.
        number: u64,
    },
    /// The server gave somebody else's bundle.
    #[error("the server gave another account's keys for {name}")]
    BundleOfAnother {
        /// Whose it should be.
        name: UserName,
    },
    /// The server closes connections before TLS: too many who have not logged in.
    #[error("the server at {address} is busy")]
    Busy {
        /// Which server.
        address: String,
    },
    /// As many contacts as there may be.
    #[error("{}: {CONTACTS_MAX} contacts already, none was added", visible(&.path.to_string_lossy()))]
    ContactsFull {
        /// Where they stand.
        path: PathBuf,
    },
    /// No connection.
    #[error("no connection to {address}: {why}")]
    Connect {
        /// Which server.
        address: String,
        /// Why.
        why: ConnectError,
    },
    /// The person said no.
    #[error("nothing was done")]
    Declined,
    /// A file or folder.
    #[error(transparent)]
    File(#[from] FileError),
    /// A fingerprint that can't be one.
    #[error("\"{}\" is no fingerprint", visible(.text))]
    Fingerprint {
        /// How many digits it must have.
        least: usize,
        /// As typed.
        text: String,
    },
    /// The group key file.
    #[error("the group key file {}: {why}", visible(&.path.to_string_lossy()))]
    GroupKey {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: GroupKeyError,
    },
    /// A group key without which nothing could be written to ALL as before.
    #[error(
        "group key {id} is the {} in {}. Nothing was changed.",
        if *.is_only { "only one" } else { "one that writes" }, visible(&.path.to_string_lossy())
    )]
    GroupKeyNeeded {
        /// The first digits of its id.
        id: String,
        /// Where.
        path: PathBuf,
        /// Whether there is no other.
        is_only: bool,
    },
    /// No group key file.
    #[error("the group key file {}: no such file", visible(&.path.to_string_lossy()))]
    GroupKeyMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What came can't be put on disk, so it is not taken.
    #[error("what comes can't be kept: {0}")]
    Inbox(FileError),
    /// Reading stdin failed.
    #[error("reading {what}: {source}")]
    Input {
        /// What was read.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A file that holds no invite code.
    #[error("{from} holds no invite code")]
    InviteEmpty {
        /// Which one.
        from: String,
    },
    /// Ctrl-C, or a request to end before the work was done.
    #[error("interrupted")]
    Interrupted,
    /// A key file.
    #[error("the key file {}: {why}", visible(&.path.to_string_lossy()))]
    Key {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: KeyError,
    },
    /// A contact's key is not the one that was pinned.
    #[error("{}", notices::key_change(.0))]
    KeyChanged(KeyChange),
    /// A size that RSA keys here can't have.
    #[error("keys of {bits} bits are not possible, {RSA_BITS_MIN} to {RSA_BITS_MAX} are")]
    KeySize {
        /// As asked for.
        bits: u32,
    },
    /// Another process has changed the account's keys meanwhile.
    #[error("the keys in {} were changed by another program meanwhile. Nothing was sent.", visible(&.folder.to_string_lossy()))]
    KeysBusy {
        /// Where.
        folder: PathBuf,
    },
    /// The files of an account that is not on this machine.
    #[error("no keys of {name} on this machine (looked in {})", visible(&.folder.to_string_lossy()))]
    KeysMissing {
        /// Whose.
        name: UserName,
        /// Where they were looked for.
        folder: PathBuf,
    },
    /// Fewer messages than asked for.
    #[error("{got} of {wanted} messages came in {secs} s")]
    ListenTimedOut {
        /// How many came.
        got: u64,
        /// How many were asked for.
        wanted: u64,
        /// How long it took.
        secs: u64,
    },
    /// Another process holds a lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The connection broke.
    #[error("connection lost ({why})")]
    Lost {
        /// Why.
        why: TransportError,
    },
    /// A text that can't be a name.
    #[error("\"{}\" can't be a name: {why}", visible(.text))]
    Name {
        /// As typed.
        text: String,
        /// What is wrong with it.
        why: NameError,
    },
    /// No account on this machine.
    #[error("no account on this machine yet (looked in {})", visible(&.folder.to_string_lossy()))]
    NoAccount {
        /// Where accounts were looked for.
        folder: PathBuf,
    },
    /// Nobody of that name among the contacts.
    #[error("{name} is not one of your contacts")]
    NoContact {
        /// As typed.
        name: UserName,
    },
    /// The home folder is not known.
    #[error("no home folder, so no place for {what}")]
    NoHome {
        /// What should be there.
        what: &'static str,
    },
    /// Nobody has that name.
    #[error("no user \"{name}\" here.{} Nothing was sent.", did_you_mean(.nearest.as_ref()))]
    NoSuchUser {
        /// As typed.
        name: UserName,
        /// An account whose name is nearly the same.
        nearest: Option<UserName>,
    },
    /// Digits that are not the beginning of one group key's id.
    #[error("\"{}\" is not the beginning of one key's id in {}", visible(.text), visible(&.path.to_string_lossy()))]
    NoSuchGroupKey {
        /// As typed.
        text: String,
        /// Where.
        path: PathBuf,
    },
    /// Something has to be asked, and there is nobody to ask.
    #[error("{what} is needed and there is no terminal to ask for it")]
    NoTerminal {
        /// What is needed.
        what: &'static str,
        /// The flag that gives it.
        flag: &'static str,
    },
    /// There is no other key of this contact to be trusted.
    #[error("no other key of {name} was seen: there is nothing to choose")]
    NotChanged {
        /// Whose.
        name: UserName,
    },
    /// The changed key that a contact has by now was not shown to whoever would trust it.
    #[error("{}'s key has changed again since you were shown one. Nothing was changed.\n  now {}", .0.name, .0.now.grouped())]
    NotShown(KeyChange),
    /// Something that can wait until the person has chosen a contact's key.
    #[error("{name}'s key has changed, and you have not chosen yet")]
    NotChosen {
        /// Whose.
        name: UserName,
    },
    /// A message went out, and no answer came.
    #[error("no answer within {secs} s: nothing is known to be delivered")]
    NotKnown {
        /// How long it was waited for.
        secs: u64,
    },
    /// A contact's key is not pinned, and none is taken as the server gives it.
    #[error("no key of {name} is pinned, and --accept-new-keys never takes none by itself. Nothing was sent.\n  the server gives {}", .now.grouped())]
    NotPinned {
        /// Whose.
        name: UserName,
        /// The key that the server gives.
        now: Fingerprint,
    },
    /// Something else answers there.
    #[error("{address} is not a TopChat server")]
    NotTopChat {
        /// Where.
        address: String,
    },
    /// There is no connection at this moment.
    #[error("there is no connection to the server now. Nothing was sent.")]
    Offline,
    /// The server gave a bundle older than one that was seen.
    #[error("the server gave old keys of {name}: bundle {given}, but {known} was seen before. Nothing was sent.")]
    OldBundle {
        /// Whose.
        name: UserName,
        /// Its number.
        given: u64,
        /// The highest number seen.
        known: u64,
    },
    /// Writing to stdout failed.
    #[error("writing the output: {source}")]
    Output {
        /// Why it failed.
        source: io::Error,
    },
    /// Whoever read stdout has gone. Nobody is left to be told.
    #[error("nobody reads the output any more")]
    OutputClosed,
    /// A text that can't be a password.
    #[error("{why}")]
    Password {
        /// What is wrong with it.
        why: PasswordError,
    },
    /// A password command that failed.
    #[error("the password command failed{}", .status.map_or(String::new(), |status| format!(" with exit code {status}")))]
    PasswordCommand {
        /// Its exit code.
        status: Option<i32>,
    },
    /// A file or command whose output holds no password.
    #[error("{from} holds no password")]
    PasswordEmpty {
        /// Which one.
        from: String,
    },
    /// The two passwords typed are different.
    #[error("the two passwords are not the same")]
    PasswordsDiffer,
    /// The server broke the protocol.
    #[error("the server sent what it must not: {0}")]
    Protocol(#[from] ProtocolError),
    /// New keys were sent to the server, and no answer came.
    #[error("it is not known whether the server has taken the new keys: {why}")]
    RenewalUnknown {
        /// What came in place of the answer.
        why: Box<Error>,
    },
    /// An account of that name with another identity is here.
    #[error("{name} has other keys on this machine, in {}. Nothing was changed.", visible(&.folder.to_string_lossy()))]
    OtherKeys {
        /// Whose.
        name: UserName,
        /// Where.
        folder: PathBuf,
    },
    /// A change of the keys or of the password was interrupted, so it is not known which files count.
    #[error("a change of the keys in {} was interrupted", visible(&.folder.to_string_lossy()))]
    KeysUnsettled {
        /// Where.
        folder: PathBuf,
    },
    /// The server refused or said goodbye.
    #[error("{0}")]
    Refused(Refusal),
    /// A text that could not be sealed.
    #[error("the message could not be sealed: {why}")]
    Seal {
        /// Why.
        why: SealError,
    },
    /// The server's key is not the one that was pinned.
    #[error("THE SERVER'S IDENTITY HAS CHANGED ({address}). Nothing was sent.\n  was {pinned}\n  now {now}")]
    ServerChanged {
        /// Which server.
        address: String,
        /// The key pinned before, or given with `--server-fingerprint`.
        pinned: Fingerprint,
        /// The key that it has now.
        now: Fingerprint,
    },
    /// A server's fingerprint that can't be one.
    #[error("\"{}\" is no fingerprint of a server", visible(.text))]
    ServerFingerprint {
        /// As typed.
        text: String,
    },
    /// Login could not go on, or the server could not prove who it is.
    #[error("login failed: {why}")]
    Scram {
        /// Why.
        why: ScramError,
    },
    /// Too much waits for the connection to come back.
    #[error("{count} messages wait for the connection already. Nothing was sent.")]
    OutboxFull {
        /// How many.
        count: usize,
    },
    /// A file of this program holds something else.
    #[error("{}: {why}", visible(&.path.to_string_lossy()))]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Something of the operating system that should not fail.
    #[error("{doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A ping was not answered.
    #[error("connection lost (no answer for {secs} s)")]
    Silent {
        /// How long nothing came.
        secs: u64,
    },
    /// Nothing to send.
    #[error("the text is empty")]
    TextEmpty,
    /// No text, and stdin is a terminal.
    #[error("no text to send")]
    TextMissing,
    /// The text should come from something that is no file.
    #[error("{} is {found}, not a regular file. Nothing was sent.", visible(&.path.to_string_lossy()))]
    TextNotFile {
        /// Where.
        path: PathBuf,
        /// What stands there.
        found: FileKind,
    },
    /// Not UTF-8.
    #[error("the text is not UTF-8. Nothing was sent.")]
    TextNotUtf8,
    /// More than [`TEXT_MAX`] bytes.
    #[error("the text is longer than {TEXT_MAX} bytes. Nothing was sent.")]
    TextTooLong,
    /// No answer in time.
    #[error("no answer from {address} within {secs} s")]
    TimedOut {
        /// Which server.
        address: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// The server no longer gives the key that the person was told of.
    #[error("the server gives another key of {name} now than the one you were told of. Nothing was changed.\n  told {}\n  now  {}", .told.grouped(), .now.grouped())]
    TrustGone {
        /// Whose.
        name: UserName,
        /// The key that was told.
        told: Fingerprint,
        /// The key that the server gives now.
        now: Fingerprint,
    },
    /// The fingerprint given is not that of the contact's key.
    #[error("that is not the fingerprint of {name}'s key: it is\n  {}", .now.grouped())]
    TrustMismatch {
        /// Whose.
        name: UserName,
        /// The key that the server gives now.
        now: Fingerprint,
    },
    /// The server took the message, but nobody confirmed it.
    #[error("{} not confirmed: the server could not keep the message, and {to}'s client has not confirmed it", .id.short())]
    Unconfirmed {
        /// Which message.
        id: MessageId,
        /// For whom.
        to: UserName,
    },
    /// The password opens no key file.
    #[error("wrong name or password: it does not open {}", visible(&.path.to_string_lossy()))]
    WrongPassphrase {
        /// Which one.
        path: PathBuf,
    },
    /// Several accounts, none chosen.
    #[error("several accounts on this machine: {}", .names.iter().map(UserName::as_str).collect::<Vec<_>>().join(", "))]
    WhichUser {
        /// All of them.
        names: Vec<UserName>,
    },
}

impl From<wire::Error> for Error {
    fn from(error: wire::Error) -> Self {
        Self::Protocol(error.into())
    }
}

impl From<TransportError> for Error {
    fn from(why: TransportError) -> Self {
        Self::Lost { why }
    }
}

impl Error {
    /// For `map_err`: a refusal of the operating system, with what was tried.
    pub fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { doing, source }
    }

    /// For `map_err` on writes to stdout.
    pub fn output(source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Output { source },
        }
    }
}

impl Explain for Error {
    fn hint(&self) -> Option<String> {
        super::remedy::remedy(self)
    }

    fn exit(&self) -> Exit {
        super::remedy::exit(self)
    }
}

fn did_you_mean(nearest: Option<&UserName>) -> String {
    nearest.map_or(String::new(), |name| format!(" Did you mean {name}?"))
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
