//! What makes a server the same after a restart: its TLS key and a secret of its own.

use std::path::Path;

use super::ServerError;
use crate::crypto::{certificate, random};
use crate::limits::SMALL_FILE_MAX;
use crate::storage::{FileError, private};
use crate::transport::ServerTls;

/// Loads the certificate and its key, or makes them at the first start.
pub(super) fn load_tls(folder: &Path) -> Result<ServerTls, ServerError> {
    let path = folder.join("tls.pem");
    let pem = match private::read(&path, SMALL_FILE_MAX) {
        Ok(pem) => pem,
        Err(FileError::Missing { .. }) => make_certificate(&path)?,
        Err(error) => return Err(error.into()),
    };
    // One file holds both, so that no crash can part them.
    ServerTls::new(&pem, &pem).map_err(|why| ServerError::Certificate { path, why })
}

/// Loads the secret, or makes it at the first start.
pub(super) fn load_secret(folder: &Path) -> Result<[u8; 32], ServerError> {
    let path = folder.join("secret.key");
    match private::read(&path, SMALL_FILE_MAX) {
        Ok(bytes) => bytes.try_into().map_err(|_| ServerError::Secret { path }),
        Err(FileError::Missing { .. }) => {
            let secret = random::bytes();
            private::create_new(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error.into()),
    }
}

fn make_certificate(path: &Path) -> Result<Vec<u8>, ServerError> {
    let made = certificate::self_signed()?;
    let pem = format!("{}{}", made.certificate, *made.key).into_bytes();
    private::create_new(path, &pem)?;
    Ok(pem)
}
