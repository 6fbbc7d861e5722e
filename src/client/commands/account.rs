//! `topchat passwd` and `topchat delete-account`.

use std::path::Path;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::keys::folder::KeyFolder;
use crate::client::keys::password::{self, Secret};
use crate::client::net::request::Ask;
use crate::client::net::session::Session;
use crate::client::net::{restored, session};
use crate::client::ui::prompt::Terminal;
use crate::crypto::scram;
use crate::text::visible_path;
use crate::wire::ToServer;
use crate::wire::to_server::Mode;

/// A new password for the login and the key files together.
///
/// The keys lie there under both passwords when the request goes out, so whichever password the server knows after a
/// crash opens them; [`KeyFolder::settle`] puts things in order at the next login.
pub(crate) fn passwd(config: &Config, new_password_file: Option<&Path>) -> Result<(), Error> {
    let name = session::choose(config)?;
    let folder = KeyFolder::new(&config.users_dir(), &name);
    session::has_keys(config, &name)?;
    // A file that can't be read is told before anything is asked; behind the password, if both come from stdin.
    let new = new_password_file.filter(|path| *path != Path::new("-")).map(new_from_file).transpose()?;
    let given = password::given(config)?;
    if given.is_none() || new_password_file.is_none() {
        session::look(config)?;
    }
    let secret = given.map_or_else(|| password::get(config), Ok)?;
    // A wrong password is told before the new one is asked for.
    folder.load(&secret)?;
    let new = match new {
        Some(new) => new,
        None => new_password(config, new_password_file)?,
    };
    let mut session = session::with_secret(config, &name, secret, Mode::Errand)?;
    let verifier = scram::verifier(new.password()).map_err(|why| Error::Server(ServerError::Scram { why }))?;
    let _lock = folder.lock()?;
    // Another process was interrupted since the login: only the next one knows what counts.
    if folder.is_unsettled() {
        return Err(folder.busy());
    }
    let secret = &*session.again.secret;
    folder.write_new(&folder.load(secret)?, secret, &new, &session.salted)?;
    let changed = session.dialogue.ask(&|request| ToServer::SetPassword { request, verifier: verifier.clone() });
    session.dialogue.link().finish();
    match changed {
        Ok(_) => folder.promote_new()?,
        Err(Error::Refused(refusal)) if refusal.tells_that_nothing_was_done() => {
            folder.remove_new()?;
            return Err(Error::Refused(refusal));
        }
        // Also after a goodbye, which answers nothing. Nobody knows which password counts now: both open the keys.
        Err(error) => return Err(error),
    }
    config.say(format!("the password of {name} is changed, for the login and the key files"));
    Ok(())
}

/// Deletes the account on the server.
pub(crate) fn delete(config: &Config, yes: bool) -> Result<(), Error> {
    let name = session::choose(config)?;
    if !yes {
        let terminal = Terminal::open(config, "a confirmation", "--yes")?;
        config.say(format!(
            "what {name} wrote and still waits for others can't be verified any more by those who have never seen {name}'s key: \
             they won't see it"
        ));
        let question = format!("delete the account {name} on {}? Type its name to confirm: ", config.server);
        if terminal.ask(&question)? != name.as_str() {
            return Err(Error::Declined);
        }
    }
    let Session { mut dialogue, .. } = session::open(config, &name, Mode::Errand)?;
    dialogue.ask(&|request| ToServer::DeleteAccount { request })?;
    dialogue.link().finish();
    restored::forget(&config.account_state(&name));
    let folder = KeyFolder::new(&config.users_dir(), &name);
    let shown = visible_path(folder.path());
    config.say(format!("deleted {name} on {}. The key files stay in {shown}", config.server));
    Ok(())
}

fn new_password(config: &Config, file: Option<&Path>) -> Result<Secret, Error> {
    match file {
        Some(path) => new_from_file(path),
        None => {
            let terminal = Terminal::open(config, "the new password", "--new-password-file FILE")?;
            password::ask_new(&terminal, "new password (8 or more): ")
        }
    }
}

fn new_from_file(path: &Path) -> Result<Secret, Error> {
    password::from_file(path).map_err(|error| match error {
        Error::PasswordNotFile { path, .. } => Error::PasswordNotFile { path, as_new: true },
        error => error,
    })
}
