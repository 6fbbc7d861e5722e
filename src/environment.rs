//! What the machine must give both programs, and what its environment variables say.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use jiff::tz::TimeZone;

use crate::crypto::primitives::{self, Lacking};
use crate::crypto::{certificate, openssl_version};
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::sync::lock;
use crate::text::{nearest, visible, visible_path};
use crate::transport::{TransportError, check_handshake};

/// What a program can't do without.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvironmentError {
    /// An algorithm, or TLS, that OpenSSL does not do as it is set up here.
    #[error("{} does not do {what} here, which TopChat needs: {reason}", openssl_version())]
    OpenSsl {
        /// What it does not do.
        what: &'static str,
        /// OpenSSL's own words.
        reason: String,
        /// The file that sets it up.
        configuration: PathBuf,
    },
    /// The time zone can't be found.
    #[error("the time zone is not known, so times are UTC: {why}")]
    TimeZone {
        /// What says which one it is, and can't be found.
        why: String,
    },
}

impl From<Lacking> for EnvironmentError {
    fn from(lacking: Lacking) -> Self {
        let Lacking { what, reason } = lacking;
        Self::OpenSsl { what, reason, configuration: primitives::configuration() }
    }
}

impl Explain for EnvironmentError {
    fn hint(&self) -> Option<Hint> {
        Some(match self {
            Self::OpenSsl { configuration, .. } => Hint::from(format!(
                "{} sets OpenSSL up, and may leave it out (a provider, FIPS); another one for TopChat alone: OPENSSL_CONF=FILE",
                visible_path(configuration)
            )),
            Self::TimeZone { .. } => {
                "set TZ, for example TZ=Europe/Berlin, or install the system's time zones (tzdata)".into()
            }
        })
    }

    fn exit(&self) -> Exit {
        Exit::Local
    }
}

/// Whether OpenSSL does what is needed. Takes a few milliseconds at most.
pub fn check() -> Result<(), EnvironmentError> {
    match primitives::lacking() {
        Some(lacking) => Err(lacking.into()),
        None => check_tls(),
    }
}

/// The same, with what takes longer.
pub fn check_thoroughly() -> Result<(), EnvironmentError> {
    match primitives::lacking_with_a_new_key() {
        Some(lacking) => Err(lacking.into()),
        None => check_tls(),
    }
}

fn check_tls() -> Result<(), EnvironmentError> {
    let tls = |reason| EnvironmentError::from(Lacking { what: "TLS 1.3", reason });
    let made = certificate::self_signed().map_err(|error| tls(error.to_string()))?;
    check_handshake(made.certificate.as_bytes(), made.key.as_bytes()).map_err(|error| match error {
        TransportError::Tls { reason } => tls(reason),
        other => tls(other.to_string()),
    })
}

/// The time zone in which times are shown. Where nothing names one it is UTC (localtime(5)).
pub fn time_zone() -> Result<TimeZone, EnvironmentError> {
    TimeZone::try_system()
        .or_else(|_| match (std::env::var_os("TZ"), fs::read_link(LOCAL_TIME)) {
            (Some(named), _) => Err(format!("TZ={}", visible(&named.to_string_lossy()))),
            (None, Ok(target)) if target.ends_with("UTC") => Ok(TimeZone::UTC),
            (None, Ok(target)) => Err(format!("{LOCAL_TIME} is a link to {}", visible_path(&target))),
            (None, Err(_)) if !Path::new(LOCAL_TIME).exists() => Ok(TimeZone::UTC),
            (None, Err(_)) => Err(format!("{LOCAL_TIME} can't be read")),
        })
        .map_err(|why| EnvironmentError::TimeZone { why })
}

/// Says, once, that times are UTC though something names another time zone.
pub fn warn_of_unknown_time_zone() {
    if let Err(error) = time_zone() {
        log::warn!("{error}");
    }
}

const LOCAL_TIME: &str = "/etc/localtime";

/// Variables that the programs read without a flag, or that scripts of this project hand on.
const OTHERS: [&str; 4] =
    ["TOPCHAT_CLIENT_COMMAND", "TOPCHAT_COMMAND", "TOPCHAT_SERVER_COMMAND", "TOPCHAT_STORM_ROUNDS"];
const PREFIX: &str = "TOPCHAT_";

/// The same command line, for which a variable that is set to nothing is one that is not set.
pub fn without_empty_variables(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.get_env().and_then(std::env::var_os) {
            Some(value) if value.is_empty() => argument.env(Resettable::Reset),
            _ => argument,
        })
        .mut_subcommands(without_empty_variables)
}

/// The variables of these programs are known from now on, and those that are read without a flag.
pub fn know_variables(programs: &[Command]) {
    let mut known: Vec<_> = OTHERS.iter().map(ToString::to_string).collect();
    programs.iter().for_each(|program| gather_variables(program, &mut known));
    *lock(&KNOWN) = known;
}

static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Warns of every `TOPCHAT_…` that no program knows: a slip of the finger would change nothing, in silence.
pub fn warn_of_unknown_variables() {
    unknown_variables().iter().for_each(|words| log::warn!("{words}"));
}

/// The same, in words. Something must be [known](know_variables).
pub fn unknown_variables() -> Vec<String> {
    unknown(std::env::vars_os().map(|(name, _)| name), &lock(&KNOWN))
}

fn gather_variables(command: &Command, known: &mut Vec<String>) {
    let names = command.get_arguments().filter_map(|argument| argument.get_env());
    known.extend(names.map(|name| name.to_string_lossy().into_owned()));
    command.get_subcommands().for_each(|below| gather_variables(below, known));
}

fn unknown(set: impl Iterator<Item = OsString>, known: &[String]) -> Vec<String> {
    let set = set.map(|name| name.to_string_lossy().into_owned());
    let mut unknown: Vec<_> = set.filter(|name| name.starts_with(PREFIX) && !known.contains(name)).collect();
    unknown.sort();
    let meant = |name: &str| {
        let known = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
        nearest(name.strip_prefix(PREFIX)?, known).map(|known| format!(" Did you mean {PREFIX}{known}?"))
    };
    let told = |name: String| format!("the variable {name} means nothing here.{}", meant(&name).unwrap_or_default());
    unknown.into_iter().map(told).collect()
}

/// Remembers which settings came from the environment, for [`naming_variables`].
pub fn remember_variables(command: &Command, matches: &ArgMatches) {
    let mut found = Vec::new();
    gather_settings(command, matches, &mut found);
    *lock(&SETTINGS) = found;
}

fn gather_settings(command: &Command, matches: &ArgMatches, found: &mut Vec<Setting>) {
    for argument in command.get_arguments() {
        let id = argument.get_id().as_str();
        let is_set = matches!(matches.try_contains_id(id), Ok(true));
        if !is_set || matches.value_source(id) != Some(ValueSource::EnvVariable) {
            continue;
        }
        let value = matches.get_raw(id).and_then(|mut values| values.next());
        if let (Some(variable), Some(value)) = (argument.get_env(), value) {
            let (variable, value) = (variable.to_string_lossy().into_owned(), value.to_string_lossy().into_owned());
            let setting = Setting { variable, value };
            // A flag that stands everywhere is found behind the command, too.
            if !found.contains(&setting) {
                found.push(setting);
            }
        }
    }
    if let Some((name, below)) = matches.subcommand()
        && let Some(command) = command.find_subcommand(name)
    {
        gather_settings(command, below, found);
    }
}

/// The hint of an error, which names the variable that the error is owed to. Variables that a script of this project has set
/// are nobody's mistake.
pub fn naming_variables(message: &str, hint: Option<String>) -> Option<String> {
    let by_script = ["TOPCHAT_COMMAND", "TOPCHAT_SERVER_COMMAND"];
    match by_script.iter().any(|variable| std::env::var_os(variable).is_some()) {
        true => hint,
        false => with_variables(message, hint, &lock(&SETTINGS)),
    }
}

/// A setting that an environment variable made.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    variable: String,
    value: String,
}

static SETTINGS: Mutex<Vec<Setting>> = Mutex::new(Vec::new());

fn with_variables(message: &str, hint: Option<String>, settings: &[Setting]) -> Option<String> {
    let blamed = settings.iter().filter(|setting| contains_word(message, &visible(&setting.value)));
    let told: Vec<_> =
        blamed.map(|setting| format!("{} is from {}", visible(&setting.value), setting.variable)).collect();
    match (told.is_empty(), hint) {
        (true, hint) => hint,
        (false, Some(hint)) => Some(format!("{hint} ({})", told.join(", "))),
        (false, None) => Some(told.join(", ")),
    }
}

/// Whether a value stands there as a whole. One character would be found anywhere.
fn contains_word(text: &str, value: &str) -> bool {
    let is_end = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '_');
    value.len() > 1
        && text.match_indices(value).any(|(at, _)| {
            let (before, from) = text.split_at(at);
            is_end(before.chars().next_back()) && is_end(from[value.len()..].chars().next())
        })
}

/// The mistake with the whole usage line of its command. clap's own shows the options that were typed as if they were demanded.
pub fn with_whole_usage(command: &Command, words: &[OsString], mut error: clap::Error) -> clap::Error {
    if error.get(ContextKind::Usage).is_some() {
        let mut command = command.clone();
        // Only then a command below knows how it is called.
        command.build();
        let mut below = &mut command;
        for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
            if below.find_subcommand(word).is_some() {
                below = below.find_subcommand_mut(word).expect("it was found right now");
            }
        }
        error.insert(ContextKind::Usage, ContextValue::StyledStr(below.render_usage()));
    }
    error
}

/// A mistake in the command line, with the variable that it stands in if it was not typed.
pub fn usage_error(command: &Command, words: &[OsString], error: clap::Error) -> clap::Error {
    let error = with_whole_usage(command, words, error);
    let Some(words) = blamed_variable(command, &error) else { return error };
    let rendered = error.render().to_string();
    let rendered = rendered.strip_prefix("error: ").unwrap_or(&rendered);
    clap::Error::raw(error.kind(), format!("{}\n{words}\n", rendered.trim_end()))
}

/// Words that name the variable in which a mistake in the command line stands, if it was not typed.
pub fn blamed_variable(command: &Command, error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return None };
    // An argument can't be written before that.
    let mut command = command.clone();
    command.build();
    let argument = command.get_arguments().find(|argument| argument.to_string() == *named)?;
    let long = argument.get_long();
    let is_it = |word: OsString| {
        let (word, long) = (word.to_string_lossy(), long.unwrap_or_default());
        word.strip_prefix("--").is_some_and(|word| word == long || word.starts_with(&format!("{long}=")))
    };
    let variable = argument.get_env().filter(|name| std::env::var_os(name).is_some())?;
    let is_typed = long.is_some() && std::env::args_os().any(is_it);
    (!is_typed).then(|| format!("{named} is set by the environment, as {}", variable.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_the_tests_gives_what_is_needed() {
        check_thoroughly().unwrap();
    }

    #[test]
    fn an_algorithm_that_is_missing_is_told_with_the_file_that_may_say_so() {
        let error = EnvironmentError::from(Lacking { what: "scrypt", reason: "unsupported".to_owned() });
        assert!(error.to_string().ends_with("does not do scrypt here, which TopChat needs: unsupported"), "{error}");
        let hint = error.hint().unwrap().to_string();
        assert!(hint.ends_with(
            " sets OpenSSL up, and may leave it out (a provider, FIPS); another one for TopChat alone: OPENSSL_CONF=FILE"
        ));
        assert!(hint.starts_with(&*visible(&primitives::configuration().to_string_lossy())), "{hint}");
    }

    #[test]
    fn an_unknown_variable_is_told_with_the_one_that_was_probably_meant() {
        let set = ["TOPCHAT_SERVR", "TOPCHAT_SERVER", "PATH", "TOPCHAT_ZZZZZZZZZ"].map(OsString::from);
        assert_eq!(
            unknown(set.into_iter(), &["TOPCHAT_SERVER".to_owned(), "TOPCHAT_USER".to_owned()]),
            [
                "the variable TOPCHAT_SERVR means nothing here. Did you mean TOPCHAT_SERVER?",
                "the variable TOPCHAT_ZZZZZZZZZ means nothing here."
            ]
        );
    }

    #[test]
    fn an_error_names_the_variable_whose_value_it_is_about() {
        let settings = [("TOPCHAT_SERVER", "nowhere:1"), ("TOPCHAT_USER", "a")]
            .map(|(variable, value)| Setting { variable: variable.to_owned(), value: value.to_owned() });
        let told = with_variables("no connection to nowhere:1: a refusal", Some("see it".to_owned()), &settings);
        assert_eq!(told.as_deref(), Some("see it (nowhere:1 is from TOPCHAT_SERVER)"));
        let told = with_variables("nowhere:1", None, &settings);
        assert_eq!(told.as_deref(), Some("nowhere:1 is from TOPCHAT_SERVER"));
        assert_eq!(with_variables("nowhere:11", None, &settings), None);
    }
}
