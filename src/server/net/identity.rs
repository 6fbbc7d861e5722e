//! What makes a server the same after a restart: its TLS key and a secret of its own.
//!
//! Both files begin with a line `topchat NAME v2 SUM`; the checksum is of what stands behind it.

use std::path::Path;

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::crypto::{certificate, digest, random};
use crate::limits::SMALL_FILE_MAX;
use crate::server::error::ServerError;
use crate::server::folder::{self, SECRET, TLS};
use crate::storage::private;
use crate::transport::ServerTls;

/// Loads the certificate and its key, made at the first start.
pub(crate) fn load_tls(folder: &Path) -> Result<ServerTls, ServerError> {
    folder::parts(folder).ready(TLS, |path| {
        let made = certificate::self_signed()?;
        // One file holds both, so that no crash can part them.
        write(path, "tls", &format!("{}{}", made.certificate, *made.key))
    })?;
    let path = folder.join(TLS);
    let pem = read(&path, "tls", "-----BEGIN")?;
    ServerTls::new(pem.as_bytes(), pem.as_bytes()).map_err(|why| ServerError::Certificate { path, why })
}

/// Loads the secret, made at the first start.
pub(crate) fn load_secret(folder: &Path) -> Result<[u8; 32], ServerError> {
    folder::parts(folder)
        .ready(SECRET, |path| write(path, "secret", &format!("{}\n", HEXLOWER.encode(&random::bytes::<32>()))))?;
    let path = folder.join(SECRET);
    let digits = read(&path, "secret", "")?;
    let secret = HEXLOWER.decode(digits.trim_end().as_bytes()).ok().and_then(|secret| secret.try_into().ok());
    secret.ok_or(ServerError::Damaged { path })
}

fn write(path: &Path, name: &str, body: &str) -> Result<(), ServerError> {
    Ok(private::create_new(path, format!("{}{body}", title(name, body)).as_bytes())?)
}

/// What stands behind the title. A file of version 1 has none, and begins with `old`.
fn read(path: &Path, name: &str, old: &str) -> Result<Zeroizing<String>, ServerError> {
    let bytes = private::read(path, SMALL_FILE_MAX)?;
    let is_old = if old.is_empty() { bytes.len() == 32 } else { bytes.starts_with(old.as_bytes()) };
    let text = Zeroizing::new(String::from_utf8(bytes).unwrap_or_default());
    match text.split_once('\n') {
        Some((line, body)) if format!("{line}\n") == title(name, body) => Ok(Zeroizing::new(body.to_owned())),
        _ if is_old => Err(ServerError::OldFile { path: path.to_owned() }),
        _ => Err(ServerError::Damaged { path: path.to_owned() }),
    }
}

fn title(name: &str, body: &str) -> String {
    let mut sum = HEXLOWER.encode(&digest::sha256(body.as_bytes()));
    sum.truncate(16);
    format!("topchat {name} v2 {sum}\n")
}
