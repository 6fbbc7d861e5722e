//! A message's parts as files, so that anyone can check it with the `openssl` command alone.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::client::error::Error;
use crate::client::model::event::Opened;
use crate::storage::FileError;
use crate::storage::private;

/// Whether messages can be written there: told before any is waited for.
pub(crate) fn check(dir: &Path) -> Result<(), Error> {
    private::ensure_folder(dir)?;
    Ok(private::check_room(dir)?)
}

/// Writes `DIR/ID/{hdr,h,ct,sig,tbs}.bin` and `sender.pub.pem`. Nothing is overwritten.
pub(crate) fn export(dir: &Path, opened: &Opened) -> Result<(), Error> {
    let envelope = &opened.envelope;
    // It may have gone since it was checked.
    private::ensure_folder(dir)?;
    let folder = dir.join(envelope.header.msg_id.to_hex());
    DirBuilder::new().mode(0o700).create(&folder).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => FileError::Exists { path: folder.clone() },
        _ => FileError::Io { doing: "making the folder", path: folder.clone(), source },
    })?;
    let (signed, sender) = (envelope.signed_bytes(), opened.sender.to_pem());
    let parts: [(&str, &[u8]); 6] = [
        ("hdr.bin", &envelope.header_bytes),
        ("h.bin", &envelope.commitment),
        ("ct.bin", &envelope.ciphertext),
        ("sig.bin", &envelope.signature),
        ("tbs.bin", &signed),
        ("sender.pub.pem", sender.as_bytes()),
    ];
    for (name, bytes) in parts {
        private::create_new(&folder.join(name), bytes)?;
    }
    Ok(())
}
