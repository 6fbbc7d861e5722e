//! From settings to a logged-in session.

use std::sync::Arc;

use super::connect::{connect, introduce, jittered};
use super::directory;
use super::login::{LoggedIn, Welcome, log_in};
use super::reconnect::{Again, Pauses};
use super::request::Dialogue;
use super::restored::{self, Arrival};
use crate::client::config::{Config, PasswordSource, default_group_key};
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::error::trust::TrustError;
use crate::client::keys::folder::{AccountKeys, KeyFolder, accounts};
use crate::client::keys::group_file::GroupFile;
use crate::client::keys::member::Member;
use crate::client::keys::password::{self, Secret};
use crate::client::model::deadline::Deadline;
use crate::client::model::refusal::carried_over;
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::state::state_file::Stamp;
use crate::client::trust::contacts::Contacts;
use crate::client::trust::servers;
use crate::crypto::group_key::GroupKeys;
use crate::crypto::keys::PrivateKey;
use crate::crypto::scram::Salted;
use crate::error::{Exit, Explain, Failure};
use crate::hint::Hint;
use crate::limits::{BROKEN_LOGIN_TRIES, QUEUE_PAUSE};
use crate::names::UserName;
use crate::storage::private;
use crate::text::visible_path;
use crate::transport::TransportError;
use crate::wire::to_client::Reason;
use crate::wire::to_server::Mode;
use crate::wire::{Code, Fingerprint};

/// A logged-in session.
pub(crate) struct Session {
    pub dialogue: Dialogue,
    /// Who is logged in, and what logs in once more.
    pub again: Again,
    pub contacts: Arc<Contacts>,
    /// How many are here.
    pub welcome: Welcome,
    /// What the password was derived to.
    pub salted: Salted,
    /// The key files that it began with.
    began: Vec<(String, Option<Stamp>)>,
}

/// Logs in for one errand: chooses the account, gets the password, connects.
pub(crate) fn for_errand(config: &Config) -> Result<Session, Error> {
    open(config, &choose(config)?, Mode::Errand)
}

/// Logs in as `name`.
pub(crate) fn open(config: &Config, name: &UserName, mode: Mode) -> Result<Session, Error> {
    let secret = secret_of(config, name)?;
    with_secret(config, name, secret, mode)
}

/// The keys of this account must be here. Those that were here and are gone are told from those that never were.
pub(crate) fn has_keys(config: &Config, name: &UserName) -> Result<(), Error> {
    let folder = KeyFolder::new(&config.users_dir(), name);
    folder.is_whole()?;
    match folder.exists() {
        true => Ok(()),
        false if servers::accounts(&config.state_dir)?.contains(name) => Err(folder.without(folder.path())),
        false => Err(Error::KeysMissing { name: name.clone(), folder: folder.path().to_owned() }),
    }
}

/// The password of an account whose keys are here.
pub(crate) fn secret_of(config: &Config, name: &UserName) -> Result<Secret, Error> {
    has_keys(config, name)?;
    servers::admit(config, name, None)?;
    match password::given(config)? {
        Some(secret) => Ok(secret),
        None => {
            look(config)?;
            password::get(config)
        }
    }
}

/// Before a question: a changed server is noticed before anybody is asked; while somebody is asked, no connection is
/// held open.
pub(crate) fn look(config: &Config) -> Result<(), Error> {
    let connected = connect(config)?;
    introduce(config, &connected);
    connected.link.finish();
    Ok(())
}

/// Does an errand in a session of its own: again in a new one, if another program of this account has put new keys in the place of
/// those that this one had begun with.
pub(crate) fn errand<T>(config: &Config, mut errand: impl FnMut(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
    let mut session = for_errand(config)?;
    loop {
        let result = errand(&mut session);
        session.dialogue.link().finish();
        match result {
            Err(error) if are_replaced(&error) => session = renewed(config, &session, error)?,
            result => return result,
        }
    }
}

/// Whether a session ended because its account has other keys now.
pub(crate) fn are_replaced(error: &Error) -> bool {
    match error {
        Error::Refused(refusal) => refusal.code() == Some(Code::KeysReplaced),
        Error::NotSent(why) => are_replaced(why),
        _ => false,
    }
}

/// The same session once more, with the keys that are there when the process that replaces them is done. If none are, that is no
/// matter of this machine, and it stays with the error.
pub(crate) fn renewed(config: &Config, session: &Session, replaced: Error) -> Result<Session, Error> {
    let Again { member, secret, mode } = &session.again;
    let folder = KeyFolder::new(&config.users_dir(), &member.name);
    folder.wait_for_others();
    if folder.stamp() == session.began {
        return Err(replaced);
    }
    with_secret(config, &member.name, Arc::clone(secret), *mode)
}

/// Logs in as `name` with this password.
pub(crate) fn with_secret(
    config: &Config,
    name: &UserName,
    secret: impl Into<Arc<Secret>>,
    mode: Mode,
) -> Result<Session, Error> {
    let secret = secret.into();
    let folder = KeyFolder::new(&config.users_dir(), name);
    sweep(config, name, &folder);
    loop {
        let begun = folder.stamp();
        match log_in_with(config, &folder, name, &secret, mode, None) {
            // Another program of this account may have set a password or new keys between the look at the files and the login.
            Err(Error::Refused(refusal)) if is_outdated(&refusal) => {
                folder.wait_for_others();
                if folder.stamp() == begun {
                    return log_in_as_before(config, &folder, name, &secret, mode, refusal);
                }
            }
            result => return result,
        }
    }
}

/// The server does not take the account's keys. One that was set back knows the identity from before.
fn log_in_as_before(
    config: &Config,
    folder: &KeyFolder,
    name: &UserName,
    secret: &Arc<Secret>,
    mode: Mode,
    refusal: Refusal,
) -> Result<Session, Error> {
    for identity in folder.load_former_identities(secret) {
        match log_in_with(config, folder, name, secret, mode, Some(&identity)) {
            Err(Error::Refused(refusal)) if refusal.code() == Some(Code::LoginRefused) => {}
            result => return result,
        }
    }
    Err(match refusal.code() {
        Some(Code::LoginRefused) if restored::has_logged_in(&config.account_state(name)) => {
            let words = format!(
                "{} does not let {name} in any more, with keys and a password that have logged in there",
                config.server
            );
            let hint = Hint::from("if its data was set back to before the account, make it again with the same keys: ")
                .topchat(&["register", name.as_str()])
                .then("    If the password or the keys were changed on another machine: ")
                .and(carried_over());
            Failure::new(Exit::Refused, words).hint(hint).into()
        }
        _ => Error::Refused(refusal),
    })
}

fn is_outdated(refusal: &Refusal) -> bool {
    matches!(refusal.asked, Asked::Login(_)) && matches!(refusal.code(), Some(Code::LoginRefused | Code::KeysReplaced))
}

fn log_in_with(
    config: &Config,
    folder: &KeyFolder,
    name: &UserName,
    secret: &Arc<Secret>,
    mode: Mode,
    former: Option<&PrivateKey>,
) -> Result<Session, Error> {
    let began = folder.stamp();
    // What was interrupted is put in order by one who logs in with the lock in hand; where another process is at it, that one
    // knows better.
    let unsettled = if folder.is_unsettled() { folder.try_lock()? } else { None };
    if unsettled.is_some() {
        recover(config, name, folder, secret)?;
    }
    let keys = folder.load(secret)?;
    let retired = if mode == Mode::Receiving { folder.load_retired(secret) } else { Vec::new() };
    let group = if mode == Mode::Receiving { GroupFile::open(config)? } else { GroupFile::default() };
    let contacts = Arc::new(Contacts::open(&config.account_state(name), config.new_keys)?);
    let kept = |salt: &[u8; 16], rounds| restored::former_password(folder, &keys, secret, salt, rounds);
    let once = || {
        let connected = connect(config)?;
        let server = connected.identity;
        if mode == Mode::Receiving && config.password != PasswordSource::Terminal {
            introduce(config, &connected);
        }
        let mut dialogue = Dialogue::new(connected.link, config.server.to_string()).over_at(config.until);
        let identity = former.unwrap_or(&keys.identity);
        let logged_in = log_in(&mut dialogue, name, identity, secret.password(), &kept, mode)?;
        servers::belongs(config, name, server)?;
        Ok((dialogue, server, logged_in))
    };
    let (mut dialogue, server, logged_in) = patiently(config, || match mode {
        Mode::Errand => over_breaks(config.until, &once),
        Mode::Receiving => once(),
    })?;
    if let Some(lock) = &unsettled {
        folder.settle(&keys, lock)?;
    }
    let arrival = Arrival { config, folder, name, keys: &keys, secret, server, logged_in: &logged_in };
    arrival.settle(&mut dialogue, unsettled.as_ref())?;
    let LoggedIn { welcome, salted, .. } = logged_in;
    let own = restored::own_bundle(folder, name, &keys, welcome.bundle, &mut dialogue);
    let AccountKeys { identity, encryption, ed25519, x25519, .. } = keys;
    // As it was made here last, or what the server says where none was.
    let bundle = own.as_ref().map_or(0, |own| own.number).max(welcome.bundle).max(1);
    let prefers = own.map(|own| own.prefers).unwrap_or_default();
    let former = if mode == Mode::Receiving { folder.load_former() } else { Vec::new() };
    let member =
        Member { name: name.clone(), identity, encryption, ed25519, x25519, bundle, prefers, retired, former, group };
    let again = Again { member: Arc::new(member), secret: Arc::clone(secret), mode };
    Ok(Session { dialogue, again, contacts, welcome, salted, began })
}

/// Before a login, with the folder's lock in hand: if new keys wait, because somebody was interrupted while the server was asked
/// to take them, it is asked which keys it has.
fn recover(config: &Config, name: &UserName, folder: &KeyFolder, secret: &Secret) -> Result<(), Error> {
    if !folder.has_next() {
        return Ok(());
    }
    let (keys, next) = (folder.load(secret)?, folder.load_next(secret)?);
    let kept = |salt: &[u8; 16], rounds| restored::former_password(folder, &keys, secret, salt, rounds);
    let log_in_with = |identity: &PrivateKey| -> Result<Dialogue, Error> {
        let mut dialogue = Dialogue::new(connect(config)?.link, config.server.to_string()).over_at(config.until);
        log_in(&mut dialogue, name, identity, secret.password(), &kept, Mode::Errand)?;
        Ok(dialogue)
    };
    let mut logged_in = patiently(config, || log_in_with(&keys.identity));
    let mut identity = keys.identity.public().clone();
    let mut try_other = |other: &PrivateKey| {
        if let Err(Error::Refused(refusal)) = &logged_in
            && refusal.code() == Some(Code::LoginRefused)
        {
            logged_in = patiently(config, || log_in_with(other));
            identity = other.public().clone();
        }
    };
    next.identity.iter().for_each(&mut try_other);
    // One that was set back knows neither of them.
    folder.load_former_identities(secret).for_each(|former| try_other(&former));
    let mut dialogue = logged_in?;
    let account = directory::look_up(&mut dialogue, name)?.bundle;
    dialogue.link().finish();
    // The login says which identity counts. A bundle of another one is an old one, or nobody's: nothing is dropped for it.
    if account.identity != identity {
        return Err(Error::Trust(TrustError::BundleOfAnother { name: name.clone() }));
    }
    folder.settle_next(&next, &account, secret)
}

/// Removes the unfinished files of processes that were killed.
fn sweep(config: &Config, name: &UserName, folder: &KeyFolder) {
    let others = [config.keys_dir.clone(), config.state_dir.clone(), config.account_state(name)];
    folder.places().iter().chain(&others).for_each(|place| private::sweep(place));
}

/// Logs in once more, as part of a session that lost its connection.
pub(crate) fn log_in_again(config: &Config, again: &Again) -> Result<Dialogue, Error> {
    let connected = connect(config)?;
    let mut dialogue = Dialogue::new(connected.link, config.server.to_string()).over_at(config.until);
    let Member { name, identity, .. } = &*again.member;
    let folder = KeyFolder::new(&config.users_dir(), name);
    let logged_in = log_in(&mut dialogue, name, identity, again.secret.password(), &|_, _| None, again.mode);
    match logged_in {
        Ok(logged_in) if !folder.before_or_nothing().is_ahead_of(logged_in.welcome.bundle) => Ok(dialogue),
        // Perhaps it was set back meanwhile. It must be these keys that are brought to it, or the session is another one.
        Err(Error::Refused(refusal)) if refusal.code() != Some(Code::LoginRefused) => Err(Error::Refused(refusal)),
        Ok(_) | Err(Error::Refused(_)) => {
            dialogue.link().finish();
            let session = with_secret(config, name, Arc::clone(&again.secret), again.mode)?;
            match session.again.member.identity.public() == identity.public() {
                true => Ok(session.dialogue),
                false => {
                    Err(Error::Refused(Refusal { asked: Asked::Session, reason: Reason::new(Code::KeysReplaced) }))
                }
            }
        }
        Err(error) => Err(error),
    }
}

/// The account to use: the one named, or the only one on this machine.
pub(crate) fn choose(config: &Config) -> Result<UserName, Error> {
    if let Some(name) = &config.user {
        return Ok(name.clone());
    }
    let mut names = accounts(&config.users_dir());
    if names.is_empty() {
        // Without a single key file that account is not one that never was.
        names = servers::accounts(&config.state_dir)?;
    }
    match (names.pop(), names.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => {
            let words = format!("no account on this machine yet (looked in {})", visible_path(config.users_dir()));
            let hint = Hint::from("make one with: ").topchat(&["register", "NAME"]);
            Err(Failure::new(Exit::Local, words).hint(hint).into())
        }
        (Some(last), false) => {
            names.push(last);
            let names = names.iter().map(UserName::as_str).collect::<Vec<_>>().join(", ");
            let words = format!("several accounts on this machine: {names}");
            Err(Failure::new(Exit::Usage, words).hint("choose one with --user NAME").into())
        }
    }
}

/// Where several accounts are, hints name this one from now on, or leave the name to the reader.
pub(crate) fn name_in_hints(config: &Config, name: Option<&UserName>) {
    if accounts(&config.users_dir()).len() > 1 {
        config.invocation.name_account(name.map_or("NAME", UserName::as_str));
    }
}

/// One's own fingerprint, in words for a person.
pub(crate) fn own_fingerprint(fingerprint: Fingerprint) -> Hint {
    Hint::from(format!(
        "your fingerprint    {}\n                    (friends can compare it; shown again by: ",
        fingerprint.grouped()
    ))
    .topchat(&["fingerprint"])
    .then(")")
}

/// The group key and what it is worth, in words for a person.
pub(crate) fn group_line(config: &Config, group: Option<&GroupKeys>) -> String {
    match group {
        Some(keys) => format!(
            "group ALL           key {} loaded. DES is weak (56 bits): good against a curious look, not against a lab.",
            keys.writer().short_id()
        ),
        None => format!(
            "group ALL           no key: get the file from a member and put it at {}",
            visible_path(default_group_key(&config.keys_dir))
        ),
    }
}

/// With `--wait`, tries again as long as the server is full or busy and there is time.
pub(crate) fn patiently<T>(config: &Config, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut told = false;
    loop {
        match attempt() {
            Err(error) if config.wait && error.exit() == Exit::Busy && has_time(config) => {
                if !told {
                    config.say(format!("{}. Waiting...", busy(&error)));
                    told = true;
                }
                let pause = jittered(QUEUE_PAUSE);
                std::thread::sleep(config.until.map_or(pause, |until| pause.min(until.left())));
            }
            result => return result,
        }
    }
}

/// A connection that breaks before the login was answered has done nothing: it is tried again, a few times while there is time. The
/// password is the one that opened the key files here, so these tries guess nothing.
fn over_breaks<T>(until: Option<Deadline>, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut pauses = Pauses::default();
    for _ in 1..BROKEN_LOGIN_TRIES {
        let result = attempt();
        let broke = matches!(
            result,
            Err(Error::Server(ServerError::Lost { why: TransportError::Closed | TransportError::Io { .. } }))
        );
        let pause = pauses.next();
        if !broke || until.is_some_and(|until| until.left() <= pause) {
            return result;
        }
        std::thread::sleep(pause);
    }
    attempt()
}

fn has_time(config: &Config) -> bool {
    config.until.is_none_or(|until| !until.left().is_zero())
}

/// What a person who waits anyway needs to know.
fn busy(error: &Error) -> String {
    let seat = match error {
        Error::Refused(refusal) => refusal.waited_for(),
        _ => None,
    };
    seat.unwrap_or_else(|| error.to_string().trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// How often a login is tried whose connection always ends in this way, with so much time.
    fn tries(timeout: Duration, end: impl Fn() -> Error) -> u32 {
        let mut tries = 0;
        let result = over_breaks(Some(Deadline::within(timeout)), || -> Result<(), Error> {
            tries += 1;
            Err(end())
        });
        assert_eq!(result.unwrap_err().to_string(), end().to_string());
        tries
    }

    #[test]
    fn an_errand_whose_login_breaks_is_tried_again_a_few_times_while_there_is_time() {
        let broken = || Error::Server(ServerError::Lost { why: TransportError::Closed });
        assert_eq!(tries(Duration::from_secs(60), broken), BROKEN_LOGIN_TRIES);
        assert_eq!(tries(Duration::from_millis(1), broken), 1);
    }

    #[test]
    fn a_login_that_was_answered_is_never_tried_again() {
        let refused = || {
            let asked = Asked::Login("alice".parse().unwrap());
            Error::Refused(Refusal { asked, reason: Reason::new(Code::LoginRefused) })
        };
        assert_eq!(tries(Duration::from_secs(60), refused), 1);
    }
}
