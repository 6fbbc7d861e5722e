//! From the server's address to a connection whose other end is the pinned one.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::connection::Link;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::error::cause::ConnectError;
use crate::client::error::server::ServerError;
use crate::client::model::deadline::Deadline;
use crate::client::trust::servers::{self, Seen};
use crate::crypto::random;
use crate::limits::{BUSY_PAUSE_FIRST, BUSY_PAUSE_MAX, CONNECT_WITHIN};
use crate::transport::{ClientTls, Connection, TransportError, Wakeup, wait};
use crate::wire::Fingerprint;

/// A connection to a server whose identity was checked, before a byte of a login has left.
pub(crate) struct Connected {
    pub link: Link,
    pub identity: Fingerprint,
    /// How it compares with what was known.
    pub seen: Seen,
}

/// Connects within [`CONNECT_WITHIN`], and while the command has time. A server that closes before TLS is done is busy: it is tried again.
pub(crate) fn connect(config: &Config) -> Result<Connected, Error> {
    if let Some(name) = &config.account {
        servers::admit(config, name, None)?;
    }
    check(config, dial(config)?)
}

/// The identity of the server that answers, and whether it is the known one. Nothing is pinned; one that has changed is an error.
pub(crate) fn look_only(config: &Config) -> Result<(Fingerprint, bool), Error> {
    let identity = identity(config, &dial(config)?)?;
    let address = config.server.to_string();
    match (config.expected, servers::known(&config.state_dir, &address)?) {
        (None, None) => Ok((identity, false)),
        (Some(pinned), _) | (None, Some(pinned)) if pinned == identity => Ok((identity, true)),
        (Some(pinned), _) | (None, Some(pinned)) => {
            Err(Error::Server(ServerError::Changed { address, pinned, now: identity }))
        }
    }
}

fn dial(config: &Config) -> Result<Connection, Error> {
    let until = Deadline::step(CONNECT_WITHIN, config.until);
    let tls = ClientTls::new()?;
    let addresses = resolve(config, until)?;
    let mut pause = BUSY_PAUSE_FIRST;
    loop {
        match reach(&tls, &addresses, until)? {
            Ok(connection) => return Ok(connection),
            Err(Failed::Closed) => {}
            Err(Failed::Silent) => return Err(no_answer(config, until)),
            Err(Failed::Refused(error)) => return Err(failed(config, ConnectError::Io(error))),
            Err(Failed::Other(error)) => return Err(other_side(config, error)),
        }
        pause = jittered(pause * 2).min(BUSY_PAUSE_MAX);
        if Instant::now() + pause >= until.at {
            return Err(Error::Server(ServerError::Busy { address: config.server.to_string() }));
        }
        std::thread::sleep(pause);
    }
}

/// Says whom one is connected to, if [`connect`] has not said so already because the identity was new.
pub(crate) fn introduce(config: &Config, connected: &Connected) {
    if connected.seen == Seen::Before {
        config.say(describe(config, connected));
    }
}

/// The server and what is known of it: `connected to HOST:PORT   identity SHA256:… seen for the first time, pinned`.
fn describe(config: &Config, connected: &Connected) -> String {
    let seen = match connected.seen {
        Seen::First => " seen for the first time, pinned",
        Seen::Before => "",
        Seen::Given => " as given, pinned in place of the one before",
    };
    format!("connected to {}   identity {}{seen}", config.server, connected.identity)
}

/// A time between half of this one and all of it, so that many who wait don't come at once.
pub(crate) fn jittered(pause: Duration) -> Duration {
    let part = u32::from(random::bytes::<1>()[0]);
    pause / 2 + pause / 2 * part / 255
}

/// All addresses of the server's name. The system's resolver knows no deadline, so a thread of its own waits for it.
fn resolve(config: &Config, until: Deadline) -> Result<Vec<SocketAddr>, Error> {
    let name = (config.server.host().to_owned(), config.server.port());
    let (answer, answers) = mpsc::channel();
    std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            // Nobody waits any more if this fails.
            let _ = answer.send(name.to_socket_addrs().map(Vec::from_iter));
        })
        .map_err(Error::system("starting a thread"))?;
    match answers.recv_timeout(until.left()) {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(_) => Err(failed(config, ConnectError::NoSuchHost)),
        Err(_) => Err(no_answer(config, until)),
    }
}

/// Why there is no connection to an address; what tells more comes later.
enum Failed {
    /// Nothing came back.
    Silent,
    /// The operating system refused.
    Refused(io::Error),
    /// Something answers that is no server of this kind.
    Other(TransportError),
    /// It closed before TLS was done, as busy servers do.
    Closed,
}

impl Failed {
    fn telling(&self) -> u8 {
        match self {
            Self::Silent => 0,
            Self::Refused(_) => 1,
            Self::Other(_) => 2,
            Self::Closed => 3,
        }
    }
}

/// A connection after its handshake to the first address that has one, or the most telling of all failures. The time left is shared
/// among the addresses not yet tried: one that accepts and says nothing must not take it all.
fn reach(tls: &ClientTls, addresses: &[SocketAddr], until: Deadline) -> Result<Result<Connection, Failed>, Error> {
    let mut most = Failed::Silent;
    for (tried, address) in addresses.iter().enumerate() {
        let untried = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        let share = until.left() / untried;
        if share.is_zero() {
            break;
        }
        let deadline = Instant::now() + share;
        let failed = match TcpStream::connect_timeout(address, share) {
            Ok(socket) => match handshake(Connection::connect(socket, tls)?, deadline) {
                Ok(Some(connection)) => return Ok(Ok(connection)),
                Ok(None) => Failed::Silent,
                Err(TransportError::Closed) => Failed::Closed,
                Err(TransportError::Io { source, .. }) => Failed::Refused(source),
                Err(error) => Failed::Other(error),
            },
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Failed::Silent,
            Err(error) => Failed::Refused(error),
        };
        if failed.telling() >= most.telling() {
            most = failed;
        }
    }
    Ok(Err(most))
}

/// The connection after its handshake; `None` if the time is over.
fn handshake(mut connection: Connection, deadline: Instant) -> Result<Option<Connection>, TransportError> {
    let waiting = |source| TransportError::Io { doing: "waiting", source };
    let wakeup = Wakeup::new().map_err(waiting)?;
    while !connection.handshake()? {
        if Instant::now() >= deadline {
            return Ok(None);
        }
        wait(&connection, connection.interest(), &wakeup, Some(deadline)).map_err(waiting)?;
    }
    Ok(Some(connection))
}

fn identity(config: &Config, connection: &Connection) -> Result<Fingerprint, Error> {
    let address = config.server.to_string();
    connection.peer_identity().ok_or(Error::Server(ServerError::NotTopChat { address }))
}

fn check(config: &Config, connection: Connection) -> Result<Connected, Error> {
    let address = config.server.to_string();
    let identity = identity(config, &connection)?;
    // A server that is refused is not pinned either. One that has changed is told as that.
    let has_changed = servers::known(&config.state_dir, &address)?.is_some_and(|pinned| pinned != identity);
    if let Some(name) = config.account.as_ref().filter(|_| !has_changed) {
        servers::admit(config, name, Some(identity))?;
    }
    let now_ms = jiff::Timestamp::now().as_millisecond();
    let seen = servers::check(&config.state_dir, &address, identity, config.expected, now_ms)?;
    let connected = Connected { link: Link::new(connection)?.pinging(config.ping_after), identity, seen };
    if seen != Seen::Before {
        config.say(describe(config, &connected));
    }
    Ok(connected)
}

fn other_side(config: &Config, error: TransportError) -> Error {
    let address = config.server.to_string();
    match error {
        TransportError::NotTopChat | TransportError::Tls { .. } | TransportError::Frame(_) => {
            Error::Server(ServerError::NotTopChat { address })
        }
        TransportError::OtherProtocol => Error::Server(ServerError::OtherVersion { address }),
        TransportError::Io { source, .. } => failed(config, ConnectError::Io(source)),
        why => Error::Server(ServerError::Lost { why }),
    }
}

fn no_answer(config: &Config, until: Deadline) -> Error {
    failed(config, ConnectError::TimedOut { secs: until.secs() })
}

fn failed(config: &Config, why: ConnectError) -> Error {
    Error::Server(ServerError::Connect { address: config.server.to_string(), why })
}

#[cfg(test)]
mod tests;
