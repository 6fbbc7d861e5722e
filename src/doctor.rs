//! What both programs' `doctor` looks at, and how a check is told.

use std::path::Path;

use jiff::tz::TimeZone;
use serde::Serialize;

use crate::crypto::{openssl_version, primitives};
use crate::environment::{self, check_thoroughly, unknown_variables};
use crate::error::{Exit, Explain};
use crate::hint::Hint;
use crate::storage::folder::{check_folder, try_sync_folder};
use crate::storage::lock::FolderLock;
use crate::storage::{FileError, is_unsupported};
use crate::text::visible_path;
use crate::transport::check_key_log;

/// One thing that was looked at.
#[derive(Debug)]
pub struct Check {
    name: &'static str,
    words: Hint,
    failed: Option<(Option<Hint>, Exit)>,
}

impl Check {
    /// It is as it should be.
    pub fn well(name: &'static str, words: impl Into<Hint>) -> Self {
        Self { name, words: words.into(), failed: None }
    }

    /// It is not.
    pub fn failed(name: &'static str, words: impl Into<Hint>, hint: Option<Hint>, exit: Exit) -> Self {
        Self { name, words: words.into(), failed: Some((hint, exit)) }
    }

    /// By what came of it: words for what is well, or the error.
    pub fn of<W: Into<Hint>, E: Explain>(name: &'static str, result: Result<W, E>) -> Self {
        match result {
            Ok(words) => Self::well(name, words),
            Err(error) => Self::failed(name, error.message(), error.hint(), error.exit()),
        }
    }

    /// Whether it is as it should be.
    pub fn is_well(&self) -> bool {
        self.failed.is_none()
    }

    /// For a person: `ok` or `failed` with the words, and the hint below.
    pub fn lines(&self, shown: &dyn Fn(&Hint) -> String) -> String {
        let state = if self.is_well() { "ok" } else { "failed" };
        let hint = self.failed.as_ref().and_then(|(hint, _)| hint.as_ref());
        let hint = hint.map_or_else(String::new, |hint| format!("\n        hint: {}", shown(hint)));
        format!("{state:<6}  {}{hint}", shown(&self.words))
    }

    /// For a program.
    pub fn row(&self, shown: &dyn Fn(&Hint) -> String) -> Row {
        let hint = self.failed.as_ref().and_then(|(hint, _)| hint.as_ref()).map(shown);
        Row { r#type: "check", name: self.name, ok: self.is_well(), words: shown(&self.words), hint }
    }
}

/// A check as programs read it.
#[derive(Debug, Serialize)]
pub struct Row {
    r#type: &'static str,
    name: &'static str,
    ok: bool,
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// How many failed, and how the program ends because of the first of them.
pub fn verdict(checks: &[Check]) -> Option<(usize, Exit)> {
    let mut exits = checks.iter().filter_map(|check| check.failed.as_ref().map(|(_, exit)| *exit));
    let first = exits.next()?;
    Some((1 + exits.count(), first))
}

/// Whether OpenSSL does what is needed, as it is set up here: all else computes with it.
pub fn openssl(exit: Exit) -> Check {
    match check_thoroughly() {
        Ok(()) => Check::well(
            "openssl",
            format!(
                "{} does what TopChat needs, as {} sets it up",
                openssl_version(),
                visible_path(primitives::configuration())
            ),
        ),
        Err(error) => Check::failed("openssl", error.message(), error.hint(), exit),
    }
}

/// The variables: those that mean nothing, and the key log of TLS.
pub fn variables(exit: Exit) -> Vec<Check> {
    let mut checks: Vec<_> = unknown_variables()
        .into_iter()
        .map(|words| Check::failed("variables", words, Some("unset it, or correct its name".into()), exit))
        .collect();
    if checks.is_empty() {
        checks.push(Check::well("variables", "every TOPCHAT_ variable that is set is known"));
    }
    checks.push(match check_key_log() {
        None => Check::well("key-log", "no keys of connections are logged (SSLKEYLOGFILE)"),
        Some((path, Ok(()))) => {
            let path = visible_path(&path);
            Check::well("key-log", format!("SSLKEYLOGFILE: whoever reads {path} can read the connections"))
        }
        Some((path, Err(error))) => Check::failed(
            "key-log",
            format!("SSLKEYLOGFILE names {}, which can't be written: {error}", visible_path(&path)),
            Some("unset it, or name a file in a folder that is there".into()),
            exit,
        ),
    });
    checks
}

/// Whether times can be shown in the time zone that is named here.
pub fn time_zone() -> Check {
    let words = |zone: TimeZone| match zone.iana_name() {
        Some(name) => format!("the time zone is {name}"),
        None => "the time zone is known".to_owned(),
    };
    Check::of("time-zone", environment::time_zone().map(words))
}

/// A folder: whose it is, who else can write to it, and what its file system does. Nothing in it is changed.
pub fn folder(name: &'static str, path: &Path) -> Vec<Check> {
    let shown = visible_path(path);
    match check_folder(path) {
        Err(FileError::Missing { .. }) => {
            return vec![Check::well(name, format!("{shown} is not there yet: made when it is needed"))];
        }
        Err(error) => return vec![Check::of(name, Err::<&str, _>(error))],
        Ok(()) => {}
    }
    let mut checks = vec![Check::well(name, format!("{shown} is yours, and nobody else can write to it"))];
    checks.push(match FolderLock::shared(path) {
        Ok(None) => Check::failed(
            name,
            format!("the file system of {shown} can't lock"),
            Some("use a folder on a local disk".into()),
            Exit::Local,
        ),
        // Whoever holds it has one, too.
        _ => Check::well(name, format!("{shown} can be locked")),
    });
    checks.push(match try_sync_folder(path) {
        Err(FileError::Io { source, .. }) if is_unsupported(&source) => Check::well(
            name,
            format!("{shown} can't be put on disk by itself: a crash of the machine may take new files back"),
        ),
        result => Check::of(name, result.map(|()| format!("new files in {shown} can be put on disk"))),
    });
    checks
}
