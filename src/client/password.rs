//! Where the password comes from: a file, a command, or the person at the terminal.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::Error;
use super::config::{Config, PasswordSource};
use super::prompt::Terminal;
use crate::crypto::scram::Password;
use crate::storage::FileError;
use crate::text::visible;

/// A password, also as it was typed. No `Debug`.
pub struct Secret {
    typed: Zeroizing<String>,
    password: Password,
}

impl Secret {
    /// Takes a password as typed.
    pub fn new(typed: &str) -> Result<Self, Error> {
        let password = Password::new(typed).map_err(|why| Error::Password { why })?;
        Ok(Self { typed: Zeroizing::new(typed.to_owned()), password })
    }

    /// The password in its normal form: what logs in and what new key files are locked with.
    pub fn password(&self) -> &Password {
        &self.password
    }

    /// What may open a key file: the normal form, then the bytes as typed, since a shell script can't normalise.
    pub fn spellings(&self) -> impl Iterator<Item = &[u8]> {
        let typed = self.typed.as_bytes();
        [self.password.as_bytes()].into_iter().chain((typed != self.password.as_bytes()).then_some(typed))
    }
}

/// The account's password, from wherever the settings say.
pub fn get(config: &Config) -> Result<Secret, Error> {
    match given(config)? {
        Some(secret) => Ok(secret),
        None => Secret::new(&Terminal::open(config, "the password", FLAG)?.ask_secret("password: ")?),
    }
}

/// The same for a new account: a person types it twice.
pub fn get_new(config: &Config) -> Result<Secret, Error> {
    match given(config)? {
        Some(secret) => Ok(secret),
        None => ask_new(&Terminal::open(config, "the new password", FLAG)?, "password (8 or more): "),
    }
}

/// The password, unless a person has to be asked.
pub fn given(config: &Config) -> Result<Option<Secret>, Error> {
    match &config.password {
        PasswordSource::Terminal => Ok(None),
        PasswordSource::File(path) => from_file(path).map(Some),
        PasswordSource::Command(command) => from_command(command).map(Some),
    }
}

/// The first line of a file; `-` is stdin.
pub fn from_file(path: &Path) -> Result<Secret, Error> {
    let shown = visible(&path.to_string_lossy()).into_owned();
    if path == Path::new("-") {
        return first_line(&mut Unbuffered, "stdin");
    }
    let mut file = File::open(path).map_err(|source| file_error(path, source))?;
    let found = file.metadata().map_err(|source| file_error(path, source))?;
    if found.is_file() && found.mode() & 0o077 != 0 {
        log::warn!("{shown} is open to others: chmod 600 {shown}");
    }
    first_line(&mut file, &shown)
}

/// Asks for a new password until two answers are the same.
pub fn ask_new(terminal: &Terminal, question: &str) -> Result<Secret, Error> {
    let mut tries = 0;
    loop {
        let secret = Secret::new(&terminal.ask_secret(question)?);
        let problem = match secret {
            Ok(secret) if *terminal.ask_secret("again: ")? == *secret.typed => return Ok(secret),
            Ok(_) => Error::PasswordsDiffer,
            Err(error) => error,
        };
        tries += 1;
        if tries == TRIES {
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
    let _ = std::io::copy(&mut output.take(OUTPUT_MAX), &mut std::io::sink());
}

/// Byte by byte, so that nothing behind the line is taken away from whoever reads on.
fn first_line(input: &mut impl Read, from: &str) -> Result<Secret, Error> {
    let mut line = Zeroizing::new(Vec::with_capacity(LINE_MAX));
    let mut byte = [0];
    while line.len() < LINE_MAX {
        match input.read(&mut byte).map_err(|source| Error::Input { what: "the password", source })? {
            0 => break,
            _ if byte == *b"\n" => break,
            _ => line.extend_from_slice(&byte),
        }
    }
    let line = std::str::from_utf8(&line).map_err(|_| Error::PasswordEmpty { from: from.to_owned() })?;
    match line.strip_suffix('\r').unwrap_or(line) {
        "" => Err(Error::PasswordEmpty { from: from.to_owned() }),
        line => Secret::new(line),
    }
}

fn file_error(path: &Path, source: std::io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        std::io::ErrorKind::NotFound => FileError::Missing { path }.into(),
        _ => FileError::Io { doing: "reading", path, source }.into(),
    }
}

/// Stdin without a buffer of its own.
struct Unbuffered;

impl Read for Unbuffered {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        Ok(rustix::io::read(std::io::stdin(), buffer)?)
    }
}

/// Longer lines are no passwords: four bytes for each of the longest after normalisation, and some.
const LINE_MAX: usize = 1024;
/// Most output of a password command behind the password.
const OUTPUT_MAX: u64 = 64 * 1024;
/// How often a person may mistype a new password.
const TRIES: u32 = 3;
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
