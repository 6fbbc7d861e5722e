//! Where an invite code comes from: a file, stdin, or the person at the terminal.

use std::path::Path;

use crate::client::error::Error;
use crate::client::keys::password::{Unbuffered, raw_line};
use crate::client::model::refusal::Refusal;
use crate::client::ui::prompt::Terminal;
use crate::limits::{INVITE_MAX, INVITE_TRIES};
use crate::storage::private;
use crate::text::visible_path;
use crate::wire::Code;

/// The code in the first line of a file; `-` is stdin.
pub(crate) fn from_file(path: &Path) -> Result<String, Error> {
    let shown = visible_path(path);
    let (line, from) = if path == Path::new("-") {
        (raw_line(&mut Unbuffered, WHAT)?, "stdin".to_owned())
    } else {
        (raw_line(&mut private::open_given(path)?.0, WHAT)?, shown)
    };
    let code = std::str::from_utf8(&line).ok().and_then(sendable);
    code.filter(|code| !code.is_empty()).ok_or(Error::InviteEmpty { from })
}

/// Tries with the code that was given, then asks for another as long as the server wants one and somebody is there.
pub(crate) fn with_invite<T>(
    terminal: Option<&Terminal>,
    given: Option<String>,
    attempt: impl Fn(&str) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut code = given.unwrap_or_default();
    for _ in 0..INVITE_TRIES {
        let refused = match attempt(&code) {
            Err(Error::Refused(refusal)) if Refusal::code(&refusal) == Some(Code::InviteRefused) => refusal,
            result => return result,
        };
        let Some(terminal) = terminal else { return Err(Error::Refused(refused)) };
        terminal.say(if code.is_empty() { NEEDED } else { NOT_GOOD })?;
        code = ask(terminal)?;
    }
    attempt(&code)
}

fn ask(terminal: &Terminal) -> Result<String, Error> {
    loop {
        match sendable(&terminal.ask("invite code: ")?) {
            Some(code) if !code.is_empty() => return Ok(code),
            Some(_) => {}
            None => terminal.say(NOT_GOOD)?,
        }
    }
}

/// Only the server knows what a code looks like, but no code is longer than this or of other signs.
fn sendable(typed: &str) -> Option<String> {
    let code = typed.trim();
    let fits = code.len() <= INVITE_MAX && code.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    fits.then(|| code.to_owned())
}

const WHAT: &str = "the invite code";
const NEEDED: &str = "This server takes new accounts by invite: its owner gives out the codes.";
const NOT_GOOD: &str = "That invite code is unknown, used or too old.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_a_code_goes_to_the_server() {
        assert_eq!(sendable(" 7K3M-Q9XT \r\n").as_deref(), Some("7K3M-Q9XT"));
        assert_eq!(sendable("7k3m q9xt").as_deref(), Some("7k3m q9xt"));
        assert_eq!(sendable(&"7".repeat(INVITE_MAX + 1)), None);
        assert_eq!(sendable("7K3M\u{1b}[2J"), None);
        assert_eq!(sendable("sch\u{f6}n"), None);
    }

    #[test]
    fn a_file_without_a_code_is_named() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("code");
        for (content, code) in
            [(&b"7K3M-Q9XT\nmore"[..], Some("7K3M-Q9XT")), (b"", None), (b"\n7K3M", None), (b"\xff\n", None)]
        {
            std::fs::write(&path, content).unwrap();
            match from_file(&path) {
                Ok(found) => assert_eq!(Some(found.as_str()), code),
                Err(error) => {
                    assert_eq!(code, None);
                    assert_eq!(error.to_string(), format!("{} holds no invite code", path.display()));
                }
            }
        }
    }
}
