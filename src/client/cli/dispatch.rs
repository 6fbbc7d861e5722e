//! Runs a command so that a signal can end it at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::options::{Command, Group, Keys, Options};
use crate::client::commands::{account, chat, doctor, group, history, keys, listen, register, suite, trust, users};
use crate::client::config::{self, Config};
use crate::client::error::Error;
use crate::client::net::session;
use crate::client::rpc;
use crate::client::send::{deliver, text};
use crate::client::ui::prompt::Settings;
use crate::environment;
use crate::limits::STOP_WITHIN;
use crate::transport::{Hangup, Stop, wait_input};

/// Runs what was asked for.
///
/// The command has a thread of its own. While it asks, computes or waits for an answer, a signal ends the program at
/// once: every file is safe at every moment. A session is given some time to say goodbye.
pub fn run(options: Options) -> Result<(), Error> {
    let settings = Arc::new(Settings::remember());
    tidy_panics(Arc::clone(&settings));
    let at_once = Arc::clone(&settings);
    let stop =
        Stop::on_signals(Hangup::IsTheEnd, move || at_once.restore()).map_err(Error::system("watching for signals"))?;
    let over = Stop::new().map_err(Error::system("making a wake-up"))?;
    let in_session = Arc::new(AtomicBool::new(false));
    let command = {
        let (stop, over, in_session) = (stop.clone(), over.clone(), Arc::clone(&in_session));
        thread::Builder::new()
            .name("command".to_owned())
            .spawn(move || {
                let _ended = AskAtEnd(over);
                command(options, &stop, &|| in_session.store(true, Ordering::Release))
            })
            .map_err(Error::system("starting a thread"))?
    };
    while !stop.is_asked() && !over.is_asked() {
        wait_input(stop.wakeup(), over.wakeup(), None).map_err(Error::system("waiting"))?;
    }
    if !over.is_asked() && in_session.load(Ordering::Acquire) {
        wait_for(&over)?;
    }
    match over.is_asked() {
        true => command.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        false => {
            settings.restore();
            Err(Error::Interrupted)
        }
    }
}

/// What is said of a panic stands on lines of its own, on a terminal as it was before.
fn tidy_panics(settings: Arc<Settings>) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        settings.restore_below();
        usual(panic);
    }));
}

/// Asks when it is dropped, also by a panic, so that nobody waits for a thread that is no more.
struct AskAtEnd(Stop);

impl Drop for AskAtEnd {
    fn drop(&mut self) {
        self.0.ask();
    }
}

/// Waits for a session to end, for [`STOP_WITHIN`] at most.
fn wait_for(over: &Stop) -> Result<(), Error> {
    let never = Stop::new().map_err(Error::system("making a wake-up"))?;
    let deadline = Instant::now() + STOP_WITHIN;
    while !over.is_asked() && Instant::now() < deadline {
        wait_input(over.wakeup(), never.wakeup(), Some(deadline)).map_err(Error::system("waiting"))?;
    }
    Ok(())
}

fn command(options: Options, stop: &Stop, in_session: &dyn Fn()) -> Result<(), Error> {
    // It tells of what would end it here.
    if let Some(Command::Doctor) = options.command {
        return doctor::command(&Config::new(options.global, options.invocation)?);
    }
    environment::check()?;
    let config = Config::new(options.global, options.invocation)?;
    session::name_in_hints(&config, config.user.as_ref());
    let command = options.command.unwrap_or(Command::Login { name: None });
    let config = match (&command, session::choose(&config)) {
        // They find out by themselves which account it is, or are about none.
        (
            Command::Group(_) | Command::Keys(Keys::Import { .. }) | Command::Login { .. } | Command::Register { .. },
            _,
        )
        | (_, Err(_)) => config,
        (_, Ok(name)) => config.of(&name)?,
    };
    if matches!(command, Command::Login { .. } | Command::Listen { .. } | Command::History { task: None, .. })
        && !config.json
    {
        environment::warn_of_unknown_time_zone();
    }
    match command {
        Command::Register { name, bits, suite, invite_file } => {
            let new = register::Kind { bits, prefers: suite.into() };
            register::command(&config, &config::name(&name)?, new, invite_file.as_deref())
        }
        Command::Login { name } => {
            let name = name.as_deref().map(config::name).transpose()?;
            chat::command(&config, name, stop, in_session)
        }
        Command::Send { to, text, file, ecb, suite } => {
            let to = config::recipient(&to)?;
            let suite = suite.map(Into::into);
            deliver::command(&config, &deliver::Message { to, text: text::get(text, file.as_deref())?, ecb, suite })
        }
        Command::Listen { count, export, no_backlog } => {
            listen::command(&config, listen::Wanted { count, export, no_backlog }, stop, in_session)
        }
        Command::Rpc => rpc::command(&config, stop, in_session),
        Command::Users { online } => users::users(&config, online),
        Command::Fingerprint { name, qr } => {
            let name = name.as_deref().map(config::name).transpose()?;
            users::fingerprint(&config, name.as_ref(), qr)
        }
        Command::Doctor => doctor::command(&config),
        Command::Contacts => users::contacts(&config),
        Command::Verify { name, fingerprint } => trust::verify(&config, &config::name(&name)?, fingerprint.as_deref()),
        Command::Unverify { name } => trust::unverify(&config, &config::name(&name)?),
        Command::Accept { name } => trust::accept(&config, &config::name(&name)?),
        Command::Forget { name } => trust::forget(&config, &config::name(&name)?),
        Command::Group(Group::Rekey { suite }) => group::rekey(&config, suite),
        Command::Group(Group::List) => group::list(&config),
        Command::Group(Group::Forget { id, force }) => group::forget(&config, &id, force),
        Command::History { task: Some(task), .. } => history::change(&config, task),
        Command::History { task: None, with, since, search } => {
            let with = with.as_deref().map(config::recipient).transpose()?;
            history::show(&config, &history::Wanted { with, since, search })
        }
        Command::Suite { wanted } => suite::command(&config, wanted),
        Command::Keys(Keys::Renew { identity, key_bits }) => {
            keys::command(&config, keys::Wanted { identity, bits: key_bits })
        }
        Command::Keys(Keys::Export { file, with_group_key, force }) => {
            keys::transfer::export(&config, &keys::transfer::Export { to: file, with_group_key, force })
        }
        Command::Keys(Keys::Import { file }) => keys::transfer::import(&config, &file),
        Command::Passwd { new_password_file } => account::passwd(&config, new_password_file.as_deref()),
        Command::DeleteAccount { yes } => account::delete(&config, yes),
        Command::Trust { name, fingerprint } => trust::trust(&config, &config::name(&name)?, fingerprint.as_deref()),
    }
}
