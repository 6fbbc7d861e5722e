//! Where the password comes from: a file, a command, or the person at the terminal.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use crate::client::config::{Config, PasswordSource};
use crate::client::error::Error;
use crate::client::ui::prompt::Terminal;
use crate::crypto::keys::{KeyError, KeyPair};
use crate::crypto::scram::Password;
use crate::limits::{NEW_PASSWORD_TRIES, PASSWORD_LINE_MAX, PASSWORD_OUTPUT_MAX};
use crate::storage::{FileError, private};
use crate::text::visible_path;

/// A password, also as it was typed. No `Debug`.
pub(crate) struct Secret {
    typed: Zeroizing<String>,
    password: Password,
}

impl Secret {
    /// Takes a password as typed.
    pub(crate) fn new(typed: &str) -> Result<Self, Error> {
        let password = Password::new(typed).map_err(|why| Error::Password { why })?;
        Ok(Self { typed: Zeroizing::new(typed.to_owned()), password })
    }

    /// The password in its normal form: what logs in and what new key files are locked with.
    pub(crate) fn password(&self) -> &Password {
        &self.password
    }

    /// What may open a key file: the normal form, then the bytes as typed, since a shell script can't normalise.
    pub(crate) fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        let typed = self.typed.as_bytes();
        [self.password.as_bytes()].into_iter().chain((typed != self.password.as_bytes()).then_some(typed))
    }

    /// Opens a locked private key with the spelling that fits.
    pub(crate) fn unlock<K: KeyPair>(&self, pem: &[u8]) -> Result<K, KeyError> {
        let mut tried = self.spellings().map(|passphrase| K::from_pem(pem, passphrase));
        tried.find(|opened| !matches!(opened, Err(KeyError::Passphrase))).unwrap_or(Err(KeyError::Passphrase))
    }
}

/// The account's password, from wherever the settings say.
pub(crate) fn get(config: &Config) -> Result<Secret, Error> {
    match given(config)? {
        Some(secret) => Ok(secret),
        None => Secret::new(&Terminal::open(config, "the password", FLAG)?.ask_secret("password: ")?),
    }
}

/// The same for a new account: a person types it twice.
pub(crate) fn get_new(config: &Config) -> Result<Secret, Error> {
    match given(config)? {
        Some(secret) => Ok(secret),
        None => ask_new(&Terminal::open(config, "the new password", FLAG)?, "password (8 or more): "),
    }
}

/// The password, unless a person has to be asked.
pub(crate) fn given(config: &Config) -> Result<Option<Secret>, Error> {
    match &config.password {
        PasswordSource::Terminal => Ok(None),
        PasswordSource::File(path) => from_file(path).map(Some),
        PasswordSource::Command(command) => from_command(command).map(Some),
    }
}

/// The first line of a file; `-` is stdin. Links are refused and pipes not waited for; that others may read it is said.
pub(crate) fn from_file(path: &Path) -> Result<Secret, Error> {
    let shown = visible_path(path);
    if path == Path::new("-") {
        return first_line(&mut Unbuffered, "stdin");
    }
    let (mut file, is_loose) = private::open_given(path).map_err(|why| match why {
        FileError::NotRegular { path, .. } if ["/dev", "/proc"].iter().any(|open| path.starts_with(open)) => {
            Error::PasswordNotFile { path, as_new: false }
        }
        why => Error::File(why),
    })?;
    if is_loose {
        log::warn!("{shown} is open to others: chmod 600 {shown}");
    }
    first_line(&mut file, &shown)
}

/// Asks for a new password until two answers are the same.
pub(crate) fn ask_new(terminal: &Terminal, question: &str) -> Result<Secret, Error> {
    let mut tries = 0;
    loop {
        let secret = Secret::new(&terminal.ask_secret(question)?);
        let problem = match secret {
            Ok(secret) if *terminal.ask_secret("again: ")? == *secret.typed => return Ok(secret),
            Ok(_) => Error::PasswordsDiffer,
            Err(error) => error,
        };
        tries += 1;
        if tries == NEW_PASSWORD_TRIES {
            return Err(problem);
        }
        terminal.say(&format!("{problem}. Once more, please."))?;
    }
}

fn from_command(command: &str) -> Result<Secret, Error> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Error::system("running the password command"))?;
    let secret = match &mut child.stdout {
        Some(output) => first_line(output, "the password command's output").inspect(|_| drain(output)),
        None => Err(Error::PasswordCommand { status: None }),
    };
    // Closed before waiting: a command that goes on writing must end.
    drop(child.stdout.take());
    let status = child.wait().map_err(Error::system("waiting for the password command"))?;
    match secret {
        Ok(secret) if status.success() => Ok(secret),
        Err(error) if status.success() => Err(error),
        _ => Err(Error::PasswordCommand { status: status.code() }),
    }
}

/// Lets a command that prints more than the password come to its end.
fn drain(output: &mut impl Read) {
    // What is not the password does not matter, whether it can be read or not.
    let _ = std::io::copy(&mut output.take(PASSWORD_OUTPUT_MAX), &mut std::io::sink());
}

/// The first line of `what`, byte by byte, so that nothing behind the line is taken away from whoever reads on.
pub(crate) fn raw_line(input: &mut impl Read, what: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD_LINE_MAX));
    let mut byte = [0];
    while line.len() < PASSWORD_LINE_MAX {
        match input.read(&mut byte).map_err(|source| Error::Input { what, source })? {
            0 => break,
            _ if byte == *b"\n" => break,
            _ => line.extend_from_slice(&byte),
        }
    }
    Ok(line)
}

fn first_line(input: &mut impl Read, from: &str) -> Result<Secret, Error> {
    let line = raw_line(input, "the password")?;
    let line = std::str::from_utf8(&line).map_err(|_| Error::PasswordEmpty { from: from.to_owned() })?;
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => Err(Error::PasswordEmpty { from: from.to_owned() }),
        line => Secret::new(line),
    }
}

/// Stdin without a buffer of its own.
pub(crate) struct Unbuffered;

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(std::io::stdin(), buffer)?)
    }
}

const FLAG: &str = "--password-file FILE or --password-command COMMAND";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<String, Error> {
        first_line(&mut &text[..], "test").map(|secret| secret.typed.to_string())
    }

    #[test]
    fn the_first_line_is_the_password() {
        assert_eq!(read(b"password1\n").unwrap(), "password1");
        assert_eq!(read(b"password1\r\nmore").unwrap(), "password1");
        assert_eq!(read(b" pass word ").unwrap(), " pass word ");
        assert!(matches!(read(b"\npassword1"), Err(Error::PasswordEmpty { .. })));
        assert!(matches!(read(b"short"), Err(Error::Password { .. })));
        assert!(matches!(read(&[0xff; 9]), Err(Error::PasswordEmpty { .. })));
    }

    #[test]
    fn a_password_file_is_a_file_and_may_be_open_to_others() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        std::fs::write(path("password"), "password1\n").unwrap();
        std::fs::set_permissions(path("password"), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(*from_file(&path("password")).unwrap().typed, "password1");
        symlink(path("password"), path("link")).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for name in ["link", "fifo"] {
            let refused = from_file(&path(name));
            assert!(matches!(refused, Err(Error::File(crate::storage::FileError::NotRegular { .. }))), "{name}");
        }
    }

    #[test]
    fn a_command_gives_the_password_or_fails_with_its_exit_code() {
        assert_eq!(*from_command("echo password1; echo more").unwrap().typed, "password1");
        let Err(error) = from_command("echo password1; exit 3") else { panic!("a failed command was believed") };
        assert!(matches!(error, Error::PasswordCommand { status: Some(3) }), "{error}");
        assert!(!error.to_string().contains("password1"));
    }

    #[test]
    fn the_normal_form_is_tried_before_the_bytes_as_typed() {
        let secret = Secret::new("zo\u{308}lf-Zeichen").unwrap();
        let spellings: Vec<_> = secret.spellings().collect();
        assert_eq!(spellings, ["z\u{f6}lf-Zeichen".as_bytes(), "zo\u{308}lf-Zeichen".as_bytes()]);
        assert_eq!(Secret::new("password1").unwrap().spellings().count(), 1);
    }
}
