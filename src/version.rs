//! What `--version` says.

use std::sync::LazyLock;

/// This program's version and the OpenSSL in use.
pub fn long() -> &'static str {
    static LONG: LazyLock<String> =
        LazyLock::new(|| format!("{} ({})", env!("CARGO_PKG_VERSION"), crate::crypto::openssl_version()));
    &LONG
}
