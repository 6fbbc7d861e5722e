//! The real programs as processes, each with a deadline.

use std::io::{BufRead, BufReader, Read, Write};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::PATIENCE;

pub const SERVER: &str = env!("CARGO_BIN_EXE_topchat-server");
pub const CLIENT: &str = env!("CARGO_BIN_EXE_topchat");

/// A command that sees nothing of the machine's own settings.
pub fn command(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home).env("TZ", "UTC").current_dir(home);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A running process whose stderr is read line by line.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What was read so far, for the message of a failure.
    pub seen: Vec<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.split(b'\n').map_while(Result::ok) {
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Reads until a line contains `part`, and gives that line.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {part:?} in:\n{}", self.seen.join("\n"))
                }
            }
        }
    }

    /// Reads until a line contains one of them, and gives that line.
    #[track_caller]
    pub fn wait_for_either(&mut self, one: &str, other: &str) -> String {
        loop {
            let line = self.wait_for("");
            if line.contains(one) || line.contains(other) {
                return line;
            }
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// SIGKILL, now.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn signal(&self, name: &str) {
        signal(self.id(), name);
    }

    /// Waits for the end; everything that was still said on stderr is in `seen` then.
    pub fn wait(&mut self) -> ExitStatus {
        let status = wait_within(&mut self.child);
        self.seen.extend(self.lines.iter());
        status
    }
}

/// Tells of the files that come into a folder.
pub struct Watch(OwnedFd);

impl Watch {
    pub fn on(folder: &Path) -> Self {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&events, folder, WatchFlags::CREATE | WatchFlags::MOVED_TO).unwrap();
        Self(events)
    }

    /// Deadline a file of that name has come, or the command has ended.
    pub fn wait_for(&self, name: &str, command: &Running) {
        self.wait_until(|come| come == name, command);
    }

    /// Deadline a file has come for which this is so. False if the command has ended before.
    pub fn wait_until(&self, mut is_it: impl FnMut(&str) -> bool, command: &Running) -> bool {
        let command = Pid::from_raw(command.id().try_into().unwrap()).unwrap();
        let end = pidfd_open(command, PidfdFlags::empty()).unwrap();
        let patience = PATIENCE.try_into().unwrap();
        loop {
            let mut polled = [PollFd::new(&self.0, PollFlags::IN), PollFd::new(&end, PollFlags::IN)];
            assert_ne!(poll(&mut polled, Some(&patience)).unwrap(), 0, "neither a file nor an end came");
            if self.come().iter().any(|name| is_it(name)) {
                return true;
            }
            if polled[1].revents().contains(PollFlags::IN) {
                return false;
            }
        }
    }

    fn come(&self) -> Vec<String> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut buffer);
        let names = std::iter::from_fn(|| {
            let event = events.next().ok()?;
            Some(event.file_name().map(|name| name.to_string_lossy().into_owned()))
        });
        names.flatten().collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, or ends now; both is right here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server process on a free port.
pub struct ServerProcess {
    pub running: Running,
    pub address: SocketAddr,
}

impl ServerProcess {
    pub fn start(folder: &Path) -> Self {
        Self::with(folder, &[])
    }

    pub fn with(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = command(SERVER, folder);
        command.args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(folder.join("data")).args(arguments);
        Self::run(&mut command)
    }

    /// Started by a command of the test's own.
    pub fn run(command: &mut Command) -> Self {
        let mut running = Running::start(command);
        let listening = running.wait_for("listening");
        let address = listening.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        running.wait_for("ready");
        Self { running, address: address.unwrap_or_else(|| panic!("no address in {listening:?}")) }
    }
}

impl ServerProcess {
    /// What it has had of the processors so far (proc(5), `stat`, in ticks of a hundredth of a second).
    pub fn processor_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.running.id())).unwrap();
        let (_, fields) = stat.rsplit_once(") ").unwrap();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum::<u64>();
        Duration::from_millis(ticks * 10)
    }

    /// The most memory that it ever had.
    pub fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.running.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

/// What a finished program left.
#[derive(Debug)]
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a program to its end, with `input` on stdin.
pub fn run(command: &mut Command, input: &[u8]) -> Finished {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let stdout = drain(child.stdout.take().expect("stdout is piped"));
    let stderr = drain(child.stderr.take().expect("stderr is piped"));
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A program that doesn't read its input to the end closes the pipe.
        let _ = stdin.write_all(&input);
    });
    let status = wait_within(&mut child);
    writer.join().unwrap();
    Finished { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// The path of a file of this test's own with these bytes, mode 0600.
pub fn private_file(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt;
    let path = folder.join(name);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&path).unwrap();
    file.write_all(bytes).unwrap();
    path
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Sends a signal to a process that was not waited for yet. By a system call: a small machine has no program for it.
pub fn signal(id: u32, name: &str) {
    let signal = match name {
        "CONT" => Signal::CONT,
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "KILL" => Signal::KILL,
        "QUIT" => Signal::QUIT,
        "STOP" => Signal::STOP,
        "TERM" => Signal::TERM,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        other => panic!("no test has sent SIG{other} so far: add it here"),
    };
    kill_process(Pid::from_raw(id.cast_signed()).expect("no process has the number 0"), signal).unwrap();
}

/// Waits for a child without letting it outlive [`PATIENCE`]: a watchdog kills it by its id.
fn wait_within(child: &mut Child) -> ExitStatus {
    let id = child.id();
    let (done, waiting) = channel::<()>();
    let watchdog = std::thread::spawn(move || {
        let too_long = waiting.recv_timeout(PATIENCE * 3) == Err(RecvTimeoutError::Timeout);
        if too_long {
            signal(id, "KILL");
        }
        too_long
    });
    let status = child.wait().unwrap();
    drop(done);
    assert!(!watchdog.join().unwrap(), "the program did not end in time");
    status
}
