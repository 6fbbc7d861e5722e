//! `topchat-server doctor`: every check of this machine, the folder and the address, without a change to any.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

use super::error::ServerError;
use super::folder;
use super::net::{bind_address, capacity};
use super::options::Options;
use crate::doctor::{self, Check, Row};
use crate::error::Exit;
use crate::hint::Hint;
use crate::storage::folder::{LOCK_NAME, check_folder};
use crate::storage::lock::{Lock, LockError};
use crate::text::{visible, visible_path};

/// Looks at everything and tells each; the first that fails decides how the program ends.
pub fn run(
    options: &Options,
    json: bool,
    shown: &dyn Fn(&Hint) -> String,
    out: &mut dyn Write,
) -> Result<(), ServerError> {
    let checks = look(options);
    for check in &checks {
        let line = match json {
            true => super::admin::json_line(&Versioned { v: 1, row: check.row(shown) }),
            false => format!("{}\n", check.lines(shown)).into_bytes(),
        };
        out.write_all(&line).and_then(|()| out.flush()).map_err(|source| ServerError::Output { source })?;
    }
    match doctor::verdict(&checks) {
        None => Ok(()),
        Some((failed, exit)) => Err(ServerError::Unwell { failed, of: checks.len(), exit }),
    }
}

#[derive(Serialize)]
struct Versioned {
    v: u32,
    #[serde(flatten)]
    row: Row,
}

fn look(options: &Options) -> Vec<Check> {
    let mut checks = vec![doctor::openssl(Exit::Configuration)];
    let openssl_works = checks[0].is_well();
    checks.extend(doctor::variables(Exit::Configuration));
    checks.push(doctor::time_zone());
    let clients = options.settings().max_clients;
    checks.push(Check::of(
        "capacity",
        capacity::check(clients).map(|()| format!("this machine can hold {clients} clients")),
    ));
    checks.extend(doctor::folder("data-folder", &options.data_dir));
    let is_there = check_folder(&options.data_dir).is_ok();
    let running = if is_there { runs(&options.data_dir) } else { Ok(None) };
    match running {
        Ok(Some(words)) => checks.push(Check::well("running", words)),
        Ok(None) => {
            checks.push(Check::well("running", format!("no server runs on {}", visible_path(&options.data_dir))));
            checks.push(address(&options.listen));
        }
        Err(error) => checks.push(Check::of("running", Err::<&str, _>(error))),
    }
    // The notes have checksums.
    if is_there && openssl_works {
        let parts = folder::parts(&options.data_dir);
        let missing = parts.check().map_err(ServerError::from);
        checks.push(Check::of("parts", missing.map(|()| "the data folder has every part that was made")));
    }
    checks
}

fn address(listen: &str) -> Check {
    let bound = bind_address::check(listen).and_then(|()| bind_address::bind(listen)).map(drop);
    Check::of("address", bound.map(|()| format!("{} can be listened on", visible(listen))))
}

/// Words, if a server holds the folder, whose address is its own then. A lock that was never made is held by nobody.
fn runs(folder: &Path) -> Result<Option<String>, ServerError> {
    let path = folder.join(LOCK_NAME);
    if !path.exists() {
        return Ok(None);
    }
    match Lock::try_acquire(&path) {
        Ok(_) => Ok(None),
        Err(LockError::Held { pid, .. }) => {
            let pid = pid.map_or(String::new(), |pid| format!(", as process {pid}"));
            Ok(Some(format!("a server runs on {}{pid}; its address is in use by itself", visible_path(folder))))
        }
        Err(error) => Err(error.into()),
    }
}
