//! A real server in a thread of the test, on a free port, with a folder of its own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Instant;

use tempfile::TempDir;
use topchat::server::{Server, ServerError, Settings};
use topchat::transport::Stop;

use super::PATIENCE;

/// Stops when dropped; its folder goes with it.
pub struct TestServer {
    pub address: SocketAddr,
    pub folder: TempDir,
    stop: Stop,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl TestServer {
    pub fn start() -> Self {
        Self::with(Settings::default())
    }

    pub fn with(settings: Settings) -> Self {
        Self::on("127.0.0.1:0", settings)
    }

    pub fn on(listen: &str, settings: Settings) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), listen, settings)
    }

    /// On the folder of one that was stopped.
    pub fn again(folder: TempDir, settings: Settings) -> Self {
        Self::in_folder(folder, "127.0.0.1:0", settings)
    }

    /// The same where it was before.
    pub fn back(folder: TempDir, listen: &str) -> Self {
        Self::in_folder(folder, listen, Settings::default())
    }

    fn in_folder(folder: TempDir, listen: &str, settings: Settings) -> Self {
        let stop = Stop::new().unwrap();
        let server = open(&data(&folder), listen, &settings);
        let address = server.addresses()[0];
        let until = stop.clone();
        let thread = Some(std::thread::spawn(move || server.run(&until)));
        Self { address, folder, stop, thread }
    }

    /// Stops in order and gives the folder back, for a look or a new start.
    pub fn stop(mut self) -> TempDir {
        self.end();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    fn end(&mut self) {
        self.stop.ask();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the server must not panic").expect("the server must stop in order");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}

fn data(folder: &TempDir) -> std::path::PathBuf {
    Path::new(folder.path()).join("data")
}

/// A port that was this server's before may be another test's for the moment, as that of a connection.
fn open(data: &Path, listen: &str, settings: &Settings) -> Server {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Server::open(data, listen, settings.clone()) {
            Err(ServerError::Listen { source, .. })
                if source.kind() == ErrorKind::AddrInUse && Instant::now() < deadline =>
            {
                std::thread::yield_now();
            }
            opened => return opened.unwrap(),
        }
    }
}
