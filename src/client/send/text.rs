//! Where the text of a message to be sent comes from: the command line, a file, or stdin.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::client::error::Error;
use crate::error::{Exit, Failure};
use crate::hint::Hint;
use crate::limits::TEXT_MAX;
use crate::storage::FileError;
use crate::storage::FileKind;
use crate::text::{quoted, visible_path};

/// The text from the command line, from a file, or from stdin, which is never a terminal.
pub(crate) fn get(argument: Option<String>, file: Option<&Path>) -> Result<String, Error> {
    let text = match (argument, file) {
        (None, Some(path)) if path != Path::new("-") => of_file(path)?,
        (Some(text), _) if text != "-" => text,
        _ if io::stdin().is_terminal() => return Err(Error::TextMissing),
        _ => read(&mut io::stdin().lock(), |source| Error::Input { what: "stdin", source })?,
    };
    check(text)
}

/// A text that can be sent.
pub(crate) fn check(text: String) -> Result<String, Error> {
    match text.len() {
        0 => Err(Error::TextEmpty),
        1..=TEXT_MAX => Ok(text),
        _ => Err(Error::TextTooLong),
    }
}

/// The text in a regular file, which may be anybody's. A named pipe is refused without waiting for it.
fn of_file(path: &Path) -> Result<String, Error> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(FileError::io("reading", path))?;
    let found = file.metadata().map_err(FileError::io("reading", path))?.file_type();
    if !found.is_file() {
        let (found, shown) = (FileKind::from(found), visible_path(path));
        let failure = Failure::new(Exit::Usage, format!("{shown} is {found}, not a regular file. Nothing was sent."));
        return Err(match found {
            FileKind::Folder => failure.hint("name a file in it"),
            _ => failure.hint(
                Hint::from("read it as input: ")
                    .topchat(&["send", "NAME"])
                    .typed(format!(" < {}", quoted(&path.to_string_lossy()))),
            ),
        }
        .into());
    }
    read(&mut &file, |source| FileError::io("reading", path)(source).into())
}

/// All of the input, without the one line end that `echo` and its like put behind it. No more is read than can be sent.
fn read(input: &mut impl Read, failed: impl FnOnce(io::Error) -> Error) -> Result<String, Error> {
    let most = TEXT_MAX + LINE_END_MAX;
    let mut bytes = Vec::new();
    input.take(most as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return Err(Error::TextTooLong);
    }
    let mut text = String::from_utf8(bytes).map_err(|_| Error::TextNotUtf8)?;
    let without_end = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).map(str::len);
    text.truncate(without_end.unwrap_or(text.len()));
    Ok(text)
}

/// CR LF.
const LINE_END_MAX: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn given(bytes: &[u8]) -> Result<String, Error> {
        read(&mut &bytes[..], |_| Error::TextMissing)
    }

    #[test]
    fn text_from_stdin_loses_one_line_end_and_nothing_else() {
        assert_eq!(given(b"a\n").unwrap(), "a");
        assert_eq!(given(b"a\r\n").unwrap(), "a");
        assert_eq!(given(b" a\n\n").unwrap(), " a\n");
        assert!(matches!(given(&[0xff]), Err(Error::TextNotUtf8)));
        assert!(matches!(given(&[b'x'; TEXT_MAX + 3]), Err(Error::TextTooLong)));
    }

    #[test]
    fn texts_have_one_byte_at_least_and_4096_at_most() {
        assert!(matches!(get(Some(String::new()), None), Err(Error::TextEmpty)));
        assert!(get(Some("x".repeat(TEXT_MAX)), None).is_ok());
        assert!(matches!(get(Some("x".repeat(TEXT_MAX + 1)), None), Err(Error::TextTooLong)));
    }
}
