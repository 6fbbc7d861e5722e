//! A link that does what bad links do: cuts, delays, duplicates and splits, at a chosen byte.
//!
//! How long a handshake is, differs between versions of OpenSSL: count from what was measured ([`Proxy::passed`]) or from an
//! event ([`Proxy::strike`]).

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to one connection.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub side: Side,
    /// How many bytes go through unharmed.
    pub after: usize,
    pub kind: Kind,
}

/// In which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    ToClient,
    ToServer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Both directions end.
    Cut,
    /// What follows comes half a second later.
    Delay,
    /// The next byte comes twice.
    Duplicate,
    /// Nothing comes any more, and nobody is told.
    Stall,
}

/// Passes connections on to a server. The first ones have the faults that were asked for, the others none.
pub struct Proxy {
    pub address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    latest: Arc<Mutex<Ways>>,
    /// Everything that passed, in both directions, as somebody on the network sees it.
    pub overheard: Arc<Mutex<Vec<u8>>>,
}

impl Proxy {
    /// Whole reads are passed on.
    pub fn start(server: SocketAddr) -> Self {
        Self::with_pieces(server, 4096)
    }

    /// No more than `piece` bytes are passed on at a time.
    pub fn with_pieces(server: SocketAddr, piece: usize) -> Self {
        Self::saying(server, piece, Vec::new())
    }

    /// Each connection to the server begins with these bytes.
    pub fn with_header(server: SocketAddr, header: Vec<u8>) -> Self {
        Self::saying(server, 4096, header)
    }

    fn saying(server: SocketAddr, piece: usize, header: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::<Mutex<VecDeque<Fault>>>::default();
        let planned = Arc::clone(&faults);
        let latest = Arc::<Mutex<Ways>>::default();
        let current = Arc::clone(&latest);
        let overheard = Arc::<Mutex<Vec<u8>>>::default();
        let ear = Arc::clone(&overheard);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(mut server) = TcpStream::connect(server) else { continue };
                // A server that is gone is found out by what follows.
                let _ = server.write_all(&header);
                let ways = Ways::default();
                *current.lock().unwrap() = ways.clone();
                if let Some(fault) = planned.lock().unwrap().pop_front() {
                    ways.of(fault.side).lock().unwrap().fault = Some(fault);
                }
                pass_on(&client, &server, &ways, piece, &ear);
            }
        });
        Self { address, faults, latest, overheard }
    }

    /// The next connection without a fault of its own gets this one.
    pub fn plan(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    /// The latest connection gets this one, counted from what has passed so far.
    pub fn strike(&self, fault: Fault) {
        let latest = self.latest.lock().unwrap();
        let mut way = latest.of(fault.side).lock().unwrap();
        way.fault = Some(Fault { after: way.passed + fault.after, ..fault });
    }

    /// Whether what was to strike the latest connection did.
    pub fn has_struck(&self) -> bool {
        let latest = self.latest.lock().unwrap();
        [Side::ToClient, Side::ToServer].iter().all(|side| latest.of(*side).lock().unwrap().fault.is_none())
    }

    /// How much of the latest connection went this way.
    pub fn passed(&self, side: Side) -> usize {
        self.latest.lock().unwrap().of(side).lock().unwrap().passed
    }
}

/// The two directions of one connection.
#[derive(Clone, Default)]
struct Ways {
    to_client: Arc<Mutex<Way>>,
    to_server: Arc<Mutex<Way>>,
}

impl Ways {
    fn of(&self, side: Side) -> &Arc<Mutex<Way>> {
        match side {
            Side::ToClient => &self.to_client,
            Side::ToServer => &self.to_server,
        }
    }
}

/// What went one way, and what is to happen there.
#[derive(Default)]
struct Way {
    passed: usize,
    fault: Option<Fault>,
}

fn pass_on(client: &TcpStream, server: &TcpStream, ways: &Ways, piece: usize, ear: &Arc<Mutex<Vec<u8>>>) {
    for (side, from, to) in [(Side::ToServer, client, server), (Side::ToClient, server, client)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        to.set_nodelay(true).unwrap();
        let (way, ear) = (Arc::clone(ways.of(side)), Arc::clone(ear));
        std::thread::spawn(move || {
            // An end is an end, whatever the reason.
            let _ = pump(&from, &to, &way, piece, &ear);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    way: &Mutex<Way>,
    piece: usize,
    ear: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let mut buffer = vec![0; piece];
    loop {
        let count = from.read(&mut buffer)?;
        let bytes = &buffer[..count];
        if count == 0 {
            return Ok(());
        }
        ear.lock().unwrap().extend_from_slice(bytes);
        let (before, fault) = way.lock().unwrap().pass(count);
        let (unharmed, rest) = bytes.split_at(before);
        match fault {
            None => to.write_all(bytes)?,
            Some(Kind::Cut) => return to.write_all(unharmed),
            Some(Kind::Delay) => {
                to.write_all(unharmed)?;
                std::thread::sleep(DELAY);
                to.write_all(rest)?;
            }
            Some(Kind::Stall) => {
                to.write_all(unharmed)?;
                while from.read(&mut buffer)? > 0 {}
                return Ok(());
            }
            Some(Kind::Duplicate) => to.write_all(&[unharmed, &rest[..1], rest].concat())?,
        }
    }
}

impl Way {
    /// How many of the next bytes are unharmed, and what happens then.
    fn pass(&mut self, count: usize) -> (usize, Option<Kind>) {
        let before = self.passed;
        self.passed += count;
        match self.fault.take_if(|fault| self.passed > fault.after) {
            Some(fault) => (fault.after - before, Some(fault.kind)),
            None => (count, None),
        }
    }
}

/// Part of what is simulated; nobody waits for anything by it.
const DELAY: Duration = Duration::from_millis(500);
