//! Asking the server that runs on a data folder.

use std::fs;
use std::io::{self, BufReader, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::deadlined::{Deadlined, next_line};
use super::protocol::{Answer, Request, Row, VERSION};
use super::server::{fits, own_uid, peer_uid};
use crate::limits::{ADMIN_ANSWER_WITHIN, ADMIN_LINE_MAX};
use crate::server::error::ServerError;
use crate::storage::FileError;

/// A connection to the server's socket, or `None` if nobody listens there at this moment.
pub(super) fn connect(path: &Path) -> Result<Option<UnixStream>, ServerError> {
    fits(path)?;
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::io("looking at", path)(error).into()),
    };
    if !found.file_type().is_socket() {
        return Err(ServerError::NotSocket { path: path.to_owned(), found: found.file_type().into() });
    }
    check_owner(path, found.uid())?;
    match UnixStream::connect(path) {
        Ok(socket) => {
            let uid = peer_uid(&socket).map_err(FileError::io("looking at", path))?;
            check_owner(path, uid).map(|()| Some(socket))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => Ok(None),
        Err(error) => Err(FileError::io("connecting to", path)(error).into()),
    }
}

/// Whoever stands in the server's place could say that things were done.
fn check_owner(path: &Path, uid: u32) -> Result<(), ServerError> {
    if uid == own_uid() { Ok(()) } else { Err(FileError::OtherOwner { path: path.to_owned(), uid }.into()) }
}

/// Asks and passes on each row as it comes.
pub(super) fn ask(
    socket: UnixStream,
    folder: &Path,
    request: &Request,
    printed: &mut dyn FnMut(Row) -> Result<(), ServerError>,
) -> Result<(), ServerError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::InvalidData => ServerError::Misunderstood { folder: folder.to_owned() },
        _ => ServerError::Unanswered { folder: folder.to_owned(), source },
    };
    let mut socket = BufReader::new(Deadlined::new(&socket, ADMIN_ANSWER_WITHIN));
    socket.get_mut().write_all(&request.to_line()).map_err(failed)?;
    loop {
        let line = next_line(&mut socket, ADMIN_LINE_MAX)
            .and_then(|line| line.ok_or_else(|| io::ErrorKind::UnexpectedEof.into()))
            .map_err(failed)?;
        match serde_json::from_slice(&line) {
            Ok(Answer::Done) => return Ok(()),
            Ok(Answer::Refused(refusal)) => return Err(refusal.into()),
            Ok(Answer::Row(row)) if row.v == VERSION => printed(row.row)?,
            Ok(Answer::Row(_)) | Err(_) => return Err(failed(io::ErrorKind::InvalidData.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_may_stand_in_the_servers_place() {
        let path = Path::new("data/admin.sock");
        check_owner(path, own_uid()).unwrap();
        let error = check_owner(path, own_uid() + 1).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("data/admin.sock belongs to user id {}, not to this user", own_uid() + 1)),
            "{error}"
        );
    }
}
