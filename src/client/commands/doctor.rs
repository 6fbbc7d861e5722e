//! `topchat doctor`: every check of this machine, the files and the server, without a login and without a change.

use crate::client::config::{Config, default_group_key};
use crate::client::error::Error;
use crate::client::keys::folder::{KeyFolder, accounts};
use crate::client::keys::group_file::GroupFile;
use crate::client::net::connect;
use crate::client::ui::{json, output};
use crate::doctor::{self, Check};
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::names::UserName;
use crate::text::visible_path;

/// Looks at everything and tells each; the first that fails decides how the program ends.
pub(crate) fn command(config: &Config) -> Result<(), Error> {
    let checks = look(&config.begun());
    let shown = |hint: &Hint| config.invocation.shown(hint).text;
    for check in &checks {
        output::line(&match config.json {
            true => json::line(&check.row(&shown)),
            false => check.lines(&shown),
        })?;
    }
    match doctor::verdict(&checks) {
        None => Ok(()),
        Some((failed, exit)) => Err(Failure::new(exit, format!("{failed} of {} checks failed", checks.len())).into()),
    }
}

fn look(config: &Config) -> Vec<Check> {
    let mut checks = vec![doctor::openssl(Exit::Local)];
    let openssl_works = checks[0].is_well();
    checks.extend(doctor::variables(Exit::Local));
    checks.push(doctor::time_zone());
    checks.extend(doctor::folder("keys-folder", &config.keys_dir));
    checks.extend(doctor::folder("state-folder", &config.state_dir));
    // All else computes with OpenSSL.
    if openssl_works {
        let names = accounts(&config.users_dir());
        if names.is_empty() {
            let words = Hint::from("no account is here yet; make one: ").topchat(&["register", "NAME"]);
            checks.push(Check::well("account", words));
        }
        for name in &names {
            let folder = KeyFolder::new(&config.users_dir(), name);
            let whole =
                folder.is_whole().and_then(|()| folder.public_identity()).and_then(|_| folder.public_encryption());
            checks.push(Check::of("account", whole.map(|_| format!("{name} has all key files"))));
        }
        checks.push(group_key(config));
        checks.extend(servers(config, &names));
    }
    checks
}

fn group_key(config: &Config) -> Check {
    let path = config.group_key.clone().unwrap_or_else(|| default_group_key(&config.keys_dir));
    let words = |file: GroupFile| match file.keys() {
        Some(_) => format!("the group key file {} can be used", visible_path(&path)),
        None => format!("no group key file at {}: it is needed for messages to ALL only", visible_path(&path)),
    };
    Check::of("group-key", GroupFile::open(config).map(words))
}

/// The server of each account, and the one that was named.
fn servers(config: &Config, names: &[UserName]) -> Vec<Check> {
    let mut places = Vec::new();
    let named = config.server_named.then(|| Ok(config.clone()));
    let own = names.iter().filter(|_| !config.server_named).map(|name| config.of(name));
    for place in named.into_iter().chain(own) {
        match place {
            Ok(place) => {
                if !places.iter().any(|known: &Config| known.server == place.server) {
                    places.push(place);
                }
            }
            Err(error) => return vec![Check::of("server", Err::<&str, _>(error))],
        }
    }
    if places.is_empty() {
        return vec![Check::well(
            "server",
            "no server was asked: none is named by --server HOST:PORT, or an account's",
        )];
    }
    let asked = |place: &Config| {
        let looked = connect::look_only(place);
        let words = |(identity, is_known)| {
            let known = if is_known { "known" } else { "not seen before: compare it with what its owner tells" };
            format!("{} answers, identity {identity} ({known})", place.server)
        };
        Check::of("server", looked.map(words))
    };
    places.iter().map(asked).collect()
}
