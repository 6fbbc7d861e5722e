//! From a bare `topchat` to the chat: asks for what is missing.

use super::register::admit;
use super::register::{Kind, NewAccount, registered};
use crate::client::chat::chat;
use crate::client::chat::screen::Screen;
use crate::client::config::{self, Config, PasswordSource};
use crate::client::error::Error;
use crate::client::keys::folder::{KeyFolder, accounts};
use crate::client::keys::password::{self, Secret};
use crate::client::model::refusal::Refusal;
use crate::client::net::session::{self, Session};
use crate::client::trust::servers;
use crate::client::ui::prompt::{Terminal, is_yes};
use crate::hint::Hint;
use crate::limits::{LOGIN_TRIES, RSA_BITS_DEFAULT};
use crate::names::UserName;
use crate::text::visible_path;
use crate::transport::Stop;
use crate::wire::to_server::Mode;
use crate::wire::{Code, Prefers};

/// `topchat login [NAME]`. `begun` is called when nothing is asked any more.
pub(crate) fn command(config: &Config, name: Option<UserName>, stop: &Stop, begun: &dyn Fn()) -> Result<(), Error> {
    session::name_in_hints(config, name.as_ref().or(config.user.as_ref()));
    let edits = Screen::new(&config.invocation).edits();
    let terminal = Terminal::find(config).filter(|_| config.password == PasswordSource::Terminal);
    let terminal = terminal.map(|terminal| if edits { terminal.keeping_what_is_typed() } else { terminal });
    let (config, session) = match &terminal {
        Some(terminal) => ask(config, name, terminal)?,
        None => {
            let name = name.map_or_else(|| session::choose(config), Ok)?;
            let config = config.of(&name)?;
            let session = session::open(&config, &name, Mode::Receiving)?;
            (config, session)
        }
    };
    let config = &config;
    begun();
    session::name_in_hints(config, Some(&session.again.member.name));
    config.say(session::own_fingerprint(session.again.member.identity.public().fingerprint()));
    config.say(session::group_line(config, session.again.member.group.keys().as_deref()));
    let (taken, seats) = (session.welcome.taken, session.welcome.seats);
    config.say(format!("seats               {taken} of {seats} taken"));
    let tab = if edits { "  Tab completes." } else { "" };
    config.say(format!("Enter sends to ALL.  @bob hi  writes to bob alone.{tab}  /help  /quit"));
    chat(config, session, stop)
}

/// A changed server is noticed before a password is asked for; while somebody is asked, no connection is held open.
fn ask(config: &Config, name: Option<UserName>, terminal: &Terminal) -> Result<(Config, Session), Error> {
    let known = accounts(&config.users_dir());
    let chosen = match (name.or_else(|| config.user.clone()), known.as_slice()) {
        (Some(name), _) => Some(Choice::of(config, name)?),
        (None, []) => match servers::accounts(&config.state_dir)?.into_iter().next() {
            Some(name) => Some(Choice::of(config, name)?),
            None => None,
        },
        (None, [only]) => {
            let only_one = format!("account {only}: the only one on this machine (another one: ");
            config.say(Hint::from(only_one).topchat(&["register", "NAME"]).then(")"));
            Some(Choice::of(config, only.clone())?)
        }
        (None, several) => Some(choose(several, terminal)?),
    };
    let of_account = match &chosen {
        Some(Choice::There(name)) => config.of(name)?,
        _ => config.clone(),
    };
    session::look(&of_account)?;
    let chosen = match chosen {
        Some(Choice::Missing(name)) => offer(config, name, terminal)?,
        Some(chosen) => chosen,
        None => choose_first(config, terminal)?,
    };
    match chosen {
        Choice::New(name) | Choice::Missing(name) => {
            session::name_in_hints(config, Some(&name));
            let session = make(config, &name, terminal)?;
            Ok((config.clone(), session))
        }
        Choice::There(name) => {
            session::name_in_hints(config, Some(&name));
            let config = config.of(&name)?;
            let session = log_in(&config, &name, terminal)?;
            Ok((config, session))
        }
    }
}

/// Which account it is to be.
enum Choice {
    /// One whose keys are not here: whether it is a new one, has to be asked.
    Missing(UserName),
    New(UserName),
    /// One whose keys are here.
    There(UserName),
}

impl Choice {
    fn of(config: &Config, name: UserName) -> Result<Self, Error> {
        match session::has_keys(config, &name) {
            Ok(()) => Ok(Self::There(name)),
            Err(Error::KeysMissing { .. }) => Ok(Self::Missing(name)),
            Err(error) => Err(error),
        }
    }
}

/// A name that was given, without keys here: it may be a new one.
fn offer(config: &Config, name: UserName, terminal: &Terminal) -> Result<Choice, Error> {
    let question = format!("No keys of {name} on this machine. Register {name} as a new account? (y)es or (n)o? [y] ");
    loop {
        match terminal.ask(&question)?.to_ascii_lowercase().as_str() {
            "" | "y" | "yes" | "r" | "register" => return Ok(Choice::New(name)),
            "n" | "no" => {
                let folder = KeyFolder::new(&config.users_dir(), &name).path().to_owned();
                return Err(Error::KeysMissing { name, folder });
            }
            _ => {}
        }
    }
}

/// Which one of several. Whatever else is typed, a password maybe, makes a new account only after a question.
fn choose(known: &[UserName], terminal: &Terminal) -> Result<Choice, Error> {
    let names = known.iter().map(UserName::as_str).collect::<Vec<_>>().join(", ");
    let first = known.first().map_or("", UserName::as_str);
    loop {
        let typed = terminal.ask(&format!("which account ({names}) [{first}]: "))?;
        let typed = if typed.is_empty() { first } else { &typed };
        match config::name(typed) {
            Ok(name) if known.contains(&name) => return Ok(Choice::There(name)),
            Ok(name) => {
                let question = format!("{name} is none of them. Make a new account {name}? (y)es or (n)o? [n] ");
                if is_yes(&terminal.ask(&question)?) {
                    return Ok(Choice::New(name));
                }
            }
            Err(error) => terminal.say(&error.to_string())?,
        }
    }
}

fn choose_first(config: &Config, terminal: &Terminal) -> Result<Choice, Error> {
    loop {
        match terminal.ask("No account on this machine yet. (r)egister or (l)og in? [r] ")?.as_str() {
            "" | "r" | "R" | "register" => return Ok(Choice::New(ask_name(terminal)?)),
            "l" | "L" | "log in" | "login" => {
                let name = ask_name(terminal)?;
                let folder = KeyFolder::new(&config.users_dir(), &name);
                match folder.exists() {
                    true => return Ok(Choice::There(name)),
                    false => terminal.say(&missing_keys(&name, &folder))?,
                }
            }
            _ => {}
        }
    }
}

fn ask_name(terminal: &Terminal) -> Result<UserName, Error> {
    loop {
        match config::name(&terminal.ask("name: ")?) {
            Ok(name) => return Ok(name),
            Err(error) => terminal.say(&error.to_string())?,
        }
    }
}

fn missing_keys(name: &UserName, folder: &KeyFolder) -> String {
    let shown = visible_path(folder.path());
    format!("The keys of {name} are on the machine where the account was made: copy that folder to {shown}")
}

/// Asks for another name if somebody else has that one: the password is good for the next one, too.
fn make(config: &Config, name: &UserName, terminal: &Terminal) -> Result<Session, Error> {
    let invite = admit(config, name, None, Some(terminal))?;
    let new = Kind { bits: RSA_BITS_DEFAULT, prefers: ask_suite(terminal)? };
    let secret = password::ask_new(terminal, "password (8 or more): ")?;
    let mut name = name.clone();
    let made = loop {
        let account = NewAccount { config, name: &name, secret: &secret, new, terminal: Some(terminal) };
        match account.register(invite.clone()) {
            Err(Error::Refused(refusal)) if refusal.code() == Some(Code::NameTaken) => {
                terminal.say(&format!("the name {name} is taken on this server. Another one, please."))?;
                name = ask_free_name(config, terminal)?;
            }
            result => break result?,
        }
    };
    config.say(registered(config, &name, made.before));
    session::with_secret(config, &name, secret, Mode::Receiving)
}

/// What others are to send. It can be changed at any time.
fn ask_suite(terminal: &Terminal) -> Result<Prefers, Error> {
    terminal.say("classic is RSA PKCS#1 v1.5, as in the design that this program follows: for learning.")?;
    terminal.say("modern is X25519 and AES-256, signed with Ed25519: what a person of today can trust.")?;
    loop {
        match terminal.ask("What are others to send you, (c)lassic or (m)odern? [c] ")?.to_ascii_lowercase().as_str() {
            "" | "c" | "classic" => return Ok(Prefers::Classic),
            "m" | "modern" => return Ok(Prefers::Modern),
            _ => {}
        }
    }
}

/// A name that no account on this machine has: its keys have a password of their own.
fn ask_free_name(config: &Config, terminal: &Terminal) -> Result<UserName, Error> {
    loop {
        let name = ask_name(terminal)?;
        match KeyFolder::new(&config.users_dir(), &name).has_any() {
            true => terminal.say(&format!("{name} is an account on this machine already"))?,
            false => return Ok(name),
        }
    }
}

fn log_in(config: &Config, name: &UserName, terminal: &Terminal) -> Result<Session, Error> {
    let question = format!("password of {name}: ");
    let mut tries = LOGIN_TRIES;
    loop {
        let result = Secret::new(&terminal.ask_secret(&question)?)
            .and_then(|secret| session::with_secret(config, name, secret, Mode::Receiving));
        match result {
            Err(error) if is_wrong_password(&error) => {
                tries -= 1;
                match tries {
                    0 => return Err(error),
                    1 => terminal.say("wrong name or password. 1 try left.")?,
                    left => terminal.say(&format!("wrong name or password. {left} tries left."))?,
                }
            }
            result => return result,
        }
    }
}

fn is_wrong_password(error: &Error) -> bool {
    match error {
        Error::WrongPassphrase { .. } | Error::Password { .. } => true,
        Error::Refused(refusal) => Refusal::code(refusal) == Some(Code::LoginRefused),
        _ => false,
    }
}
