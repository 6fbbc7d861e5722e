//! A link that does what bad links do: cuts, delays, duplicates and splits, at a chosen byte.

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
}

/// Passes connections on to a server. The first ones have the faults that were asked for, the others none.
pub struct Proxy {
    pub address: SocketAddr,
    faults: Arc<Mutex<VecDeque<Fault>>>,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let faults = Arc::<Mutex<VecDeque<Fault>>>::default();
        let planned = Arc::clone(&faults);
        let overheard = Arc::<Mutex<Vec<u8>>>::default();
        let ear = Arc::clone(&overheard);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                pass_on(&client, &server, planned.lock().unwrap().pop_front(), piece, &ear);
            }
        });
        Self { address, faults, overheard }
    }

    /// The next connection without a fault of its own gets this one.
    pub fn plan(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    /// Whether all planned faults were given to connections.
    pub fn is_done(&self) -> bool {
        self.faults.lock().unwrap().is_empty()
    }
}

fn pass_on(client: &TcpStream, server: &TcpStream, fault: Option<Fault>, piece: usize, ear: &Arc<Mutex<Vec<u8>>>) {
    for (side, from, to) in [(Side::ToServer, client, server), (Side::ToClient, server, client)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        to.set_nodelay(true).unwrap();
        let fault = fault.filter(|fault| fault.side == side);
        let ear = Arc::clone(ear);
        std::thread::spawn(move || {
            // An end is an end, whatever the reason.
            let _ = pump(&from, &to, fault, piece, &ear);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    fault: Option<Fault>,
    piece: usize,
    ear: &Mutex<Vec<u8>>,
) -> std::io::Result<()> {
    let (mut buffer, mut passed, mut fault) = (vec![0; piece], 0, fault);
    loop {
        let count = from.read(&mut buffer)?;
        let bytes = &buffer[..count];
        if count == 0 {
            return Ok(());
        }
        ear.lock().unwrap().extend_from_slice(bytes);
        match fault.filter(|fault| passed + count > fault.after) {
            Some(Fault { kind: Kind::Cut, after, .. }) => return to.write_all(&bytes[..after - passed]),
            Some(Fault { kind: Kind::Delay, after, .. }) => {
                let (before, rest) = bytes.split_at(after - passed);
                to.write_all(before)?;
                std::thread::sleep(DELAY);
                to.write_all(rest)?;
                fault = None;
            }
            Some(Fault { kind: Kind::Duplicate, after, .. }) => {
                let (before, rest) = bytes.split_at(after - passed);
                to.write_all(&[before, &rest[..1], rest].concat())?;
                fault = None;
            }
            None => to.write_all(bytes)?,
        }
        passed += count;
    }
}

/// Part of what is simulated; nobody waits for anything by it.
const DELAY: Duration = Duration::from_millis(500);
