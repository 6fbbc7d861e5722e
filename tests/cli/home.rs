//! Somebody's own machine: a home folder, their keys, their password, and the client to be run there.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{LazyLock, Mutex};
use std::thread::JoinHandle;

use openssl::pkey::PKey;
use openssl::symm::Cipher;
use tempfile::TempDir;
use topchat::crypto::keys::{KeyPair, PublicHalf};
use topchat::wire::ToClient;

use crate::support::PATIENCE;
use crate::support::people::{GROUP, PASSWORD, Person};
use crate::support::process::{self, CLIENT, Finished, Running, private_file};
use crate::support::raw::RawClient;

/// Puts the password, the first line of the file `password`, into a command line.
const WITH_PASSWORD: [&str; 2] = ["--password-file", "password"];

/// A user id without files.
const NOBODY: u32 = 65534;

/// A folder in which the client runs. Its keys lie in `keys`, its pins in `state`, so messages name relative paths.
pub struct Home {
    pub folder: TempDir,
    pub server: String,
}

impl Home {
    /// Nothing but a password file.
    pub fn new(server: SocketAddr) -> Self {
        Self::at(&server.to_string())
    }

    /// The same for a server by name.
    pub fn at(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        private_file(folder.path(), "password", format!("{PASSWORD}\n").as_bytes());
        Self { folder, server: server.to_owned() }
    }

    /// With this person's key files and the group key, and an account on the server.
    pub fn of_member(server: SocketAddr, person: &Person) -> Self {
        assert_eq!(RawClient::connect(server).register(person), ToClient::Registered);
        Self::with_keys(server, person)
    }

    /// With this person's key files and the group key.
    pub fn with_keys(server: SocketAddr, person: &Person) -> Self {
        let home = Self::new(server);
        let folder = home.path("keys/users").join(person.name.as_str());
        fs::create_dir_all(&folder).unwrap();
        put_key(&folder, "identity", &person.identity);
        put_key(&folder, "encryption", &person.encryption);
        put_key(&folder, "ed25519", &person.ed25519);
        put_key(&folder, "x25519", &person.x25519);
        home.file("keys/group.key", GROUP.to_text().as_bytes());
        home
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A private file with these bytes.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        private_file(self.folder.path(), name, bytes)
    }

    /// A file of the client's state with a good checksum, in a folder that is made where it is missing.
    pub fn state(&self, name: &str, document: &serde_json::Value) {
        let path = self.path(name);
        topchat::client::model::state_folder::parts(path.parent().unwrap()).begin().unwrap();
        self.file(name, topchat::client::state::state_file::sealed(document).unwrap().as_bytes());
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The client with these words behind it, as typed by somebody without a terminal.
    pub fn topchat<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = self.program(CLIENT);
        command.args(words);
        command
    }

    /// Any program, run here and with the settings of this place.
    pub fn program(&self, program: &str) -> Command {
        let mut command = process::command(program, self.folder.path());
        command.env("TOPCHAT_SERVER", &self.server);
        command.env("TOPCHAT_KEYS_DIR", "keys").env("TOPCHAT_STATE_DIR", "state");
        // As a script that has set all this: no error is blamed on the variables.
        command.env("TOPCHAT_COMMAND", "topchat");
        command
    }

    /// Runs it to its end.
    pub fn run(&self, words: &[&str]) -> Finished {
        process::run(&mut self.topchat(words), b"")
    }

    /// The same with the password.
    pub fn run_in(&self, words: &[&str]) -> Finished {
        self.run_with(words, b"")
    }

    /// The same with `input` on stdin.
    pub fn run_with(&self, words: &[&str], input: &[u8]) -> Finished {
        process::run(self.topchat(words).args(WITH_PASSWORD), input)
    }

    /// Runs it to its end in the background, with the password.
    pub fn start(&self, words: &[&str]) -> Background {
        let mut command = self.topchat(words);
        command.args(WITH_PASSWORD);
        Background { thread: std::thread::spawn(move || process::run(&mut command, b"")) }
    }

    /// Starts it with the password and waits until messages reach it.
    pub fn listen(&self, words: &[&str]) -> Listening {
        let mut running = Running::start(self.topchat(&["listen"]).args(words).args(WITH_PASSWORD));
        let stdout = lines(running.child().stdout.take().expect("stdout is piped"));
        running.wait_for("listening as ");
        Listening { running, stdout }
    }

    /// The interactive chat with pipes, with the password, ready for lines.
    pub fn chat(&self) -> Chatting {
        let mut command = self.topchat(&WITH_PASSWORD);
        let mut running = Running::start(command.stdin(Stdio::piped()));
        let stdout = lines(running.child().stdout.take().expect("stdout is piped"));
        let stdin = running.child().stdin.take().expect("stdin is piped");
        running.wait_for("Enter sends to ALL.");
        Chatting { running, stdin, stdout }
    }

    /// A program run here by somebody whom file modes bind: root reads and writes everything, so for root it is
    /// somebody else to whom all of this folder is given.
    pub fn bound_by_modes(&self, program: &str) -> Command {
        if !rustix::process::geteuid().is_root() {
            return process::command(program, self.folder.path());
        }
        let copy = self.path("program");
        // By another process: one that this one starts at that moment would inherit the open file, and an open file
        // can't be executed.
        assert!(Command::new("cp").arg(program).arg(&copy).status().unwrap().success());
        let given = Command::new("chown").args(["-R", &format!("{NOBODY}:{NOBODY}")]).arg(self.folder.path()).status();
        assert!(given.unwrap().success());
        let mut command = process::command(copy.to_str().expect("a temporary folder's name"), self.folder.path());
        command.uid(NOBODY).gid(NOBODY);
        command
    }

    /// The openssl command, run here.
    #[track_caller]
    pub fn openssl(&self, words: &str) -> Vec<u8> {
        openssl(self.folder.path(), words)
    }
}

/// A client that runs by itself.
pub struct Background {
    thread: JoinHandle<Finished>,
}

impl Background {
    pub fn finish(self) -> Finished {
        self.thread.join().unwrap()
    }
}

/// `topchat listen`, to which messages come by now.
pub struct Listening {
    pub running: Running,
    stdout: Receiver<String>,
}

impl Listening {
    /// The next line of stdout.
    #[track_caller]
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("a line must come")
    }

    /// What else it printed, and its exit code.
    pub fn finish(mut self) -> Finished {
        let status = self.running.wait();
        let stdout = self.stdout.iter().map(|line| line + "\n").collect();
        Finished { code: status.code(), stdout, stderr: self.running.seen.join("\n") }
    }
}

/// The interactive chat without a terminal.
pub struct Chatting {
    pub running: Running,
    stdin: ChildStdin,
    stdout: Receiver<String>,
}

impl Chatting {
    /// Types a line.
    pub fn types(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line of stdout; a time at its beginning reads `HH:MM`.
    #[track_caller]
    pub fn line(&self) -> String {
        without_time(&self.stdout.recv_timeout(PATIENCE).expect("a line must come"))
    }

    /// Ends the input, and gives what else was printed and the exit code.
    pub fn finish(self) -> Finished {
        let Self { mut running, stdin, stdout } = self;
        drop(stdin);
        let status = running.wait();
        let stdout = stdout.iter().map(|line| without_time(&line) + "\n").collect();
        Finished { code: status.code(), stdout, stderr: running.seen.join("\n") }
    }
}

fn put_key(folder: &Path, part: &str, key: &impl KeyPair) {
    private_file(folder, &format!("{part}.pem"), &lightly_locked(key, PASSWORD));
    private_file(folder, &format!("{part}.pub.pem"), key.public().to_pem().as_bytes());
}

/// The key, locked in a way that is opened in no time (PBKDF2 with 2048 rounds, as `openssl genpkey -aes256` writes it):
/// most tests are not about the lock, and open it dozens of times.
pub fn lightly_locked(key: &impl KeyPair, password: &str) -> Vec<u8> {
    static OPEN: LazyLock<Mutex<HashMap<String, Vec<u8>>>> = LazyLock::new(Mutex::default);
    let mut open = OPEN.lock().unwrap();
    let der = open.entry(key.public().to_pem()).or_insert_with(|| {
        let pem = key.to_pem(b"between two formats").unwrap();
        let key = PKey::private_key_from_pem_passphrase(pem.as_bytes(), b"between two formats").unwrap();
        key.private_key_to_pkcs8().unwrap()
    });
    let key = PKey::private_key_from_der(der).unwrap();
    key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), password.as_bytes()).unwrap()
}

/// The openssl command, run in `folder`; no word may hold a space.
#[track_caller]
pub fn openssl(folder: &Path, words: &str) -> Vec<u8> {
    let output = Command::new("openssl").args(words.split(' ')).current_dir(folder).output();
    let output = output.expect("these tests need the openssl command");
    assert!(output.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The line with `HH:MM` in place of the time that it begins with.
pub fn without_time(line: &str) -> String {
    let is_time = line.len() >= 5
        && line.bytes().take(5).enumerate().all(|(at, byte)| match at {
            2 => byte == b':',
            _ => byte.is_ascii_digit(),
        });
    if is_time { format!("HH:MM{}", &line[5..]) } else { line.to_owned() }
}

/// Ended with this exit code, with these words on stderr and nothing on stdout.
///
/// Whom one is connected to is told by the chat, and by every command at first contact; the words need to name it only
/// where it matters.
#[track_caller]
pub fn refused(finished: &Finished, code: i32, stderr: &str) {
    let told = match stderr.starts_with("connected to ") {
        true => &finished.stderr,
        false => without_contact(&finished.stderr),
    };
    assert_eq!((finished.code, finished.stdout.as_str(), told), (Some(code), "", stderr));
}

/// Takes away `making your keys (two of RSA 2048)... done in 1 s`, which must come first but for whom one is connected to.
#[track_caller]
pub fn keys_made(finished: Finished) -> Finished {
    let told = without_contact(&finished.stderr);
    let contact = finished.stderr.strip_suffix(told).unwrap();
    let (first, rest) = told.split_once('\n').unwrap();
    let time = first.strip_prefix("making your keys (two of RSA 2048)... done in ");
    let seconds = time.and_then(|time| time.strip_suffix(" s")).and_then(|seconds| seconds.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds >= 1), "{first}");
    Finished { stderr: format!("{contact}{rest}"), ..finished }
}

/// What was said apart from whom one is connected to.
pub fn without_contact(stderr: &str) -> &str {
    match stderr.split_once('\n') {
        Some((first, rest)) if first.starts_with("connected to ") => rest,
        _ => stderr,
    }
}

/// Done: exit code 0, and this on stdout.
#[track_caller]
pub fn printed(finished: &Finished, stdout: &str) {
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), stdout), "{}", finished.stderr);
}

/// The lines of a pipe, as they come.
pub fn lines(pipe: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    lines
}
