//! A client that sends whatever a test wants and waits, with a deadline, for what comes.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};
use topchat::crypto::bundle;
use topchat::names::UserName;
use topchat::transport::{ClientTls, Connection, Interest, Received, TransportError, Wakeup, wait};
use topchat::wire::to_client::Reason;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, DeliveryId, Envelope, ToClient, ToServer, signed};

use super::PATIENCE;
use super::people::{self, PASSWORD, Person, VERIFIER};
use super::scram::{First, Last};

pub struct RawClient {
    connection: Connection,
    wakeup: Wakeup,
}

impl RawClient {
    /// Connected, TLS done, nothing sent.
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the server must take the connection")
    }

    pub fn try_connect(address: SocketAddr) -> Result<Self, TransportError> {
        people::make();
        Self::over(TcpStream::connect(address).map_err(|_| TransportError::Closed)?)
    }

    /// The same from another address of this machine.
    pub fn try_connect_from(source: Ipv4Addr, address: SocketAddr) -> Result<Self, TransportError> {
        people::make();
        Self::over(socket_from(source, address).map_err(|_| TransportError::Closed)?)
    }

    /// The same by a proxy that says this first.
    pub fn try_connect_behind(header: &[u8], address: SocketAddr) -> Result<Self, TransportError> {
        people::make();
        let mut socket = TcpStream::connect(address).map_err(|_| TransportError::Closed)?;
        socket.write_all(header).map_err(|_| TransportError::Closed)?;
        Self::over(socket)
    }

    fn over(socket: TcpStream) -> Result<Self, TransportError> {
        let connection = Connection::connect(socket, &ClientTls::new().unwrap())?;
        let mut client = Self { connection, wakeup: Wakeup::new().unwrap() };
        let deadline = Instant::now() + PATIENCE;
        while !client.connection.handshake()? {
            client.wait(deadline);
        }
        Ok(client)
    }

    /// Registered, now or before, and logged in.
    pub fn member(address: SocketAddr, person: &Person, mode: Mode) -> Self {
        Self::member_as(address, person, &person.name, mode)
    }

    /// The same under another name.
    pub fn member_as(address: SocketAddr, person: &Person, name: &UserName, mode: Mode) -> Self {
        let mut client = Self::connect(address);
        let registered = client.register_as(person, name);
        assert!(matches!(registered, ToClient::Registered | ToClient::RegisteredBefore), "{registered:?}");
        let welcome = client.login_as(person, name, mode);
        assert!(matches!(welcome, ToClient::Welcome { .. }), "{welcome:?}");
        client
    }

    /// Logged in to an account that is there already.
    pub fn again(address: SocketAddr, person: &Person, mode: Mode) -> Self {
        let mut client = Self::connect(address);
        let welcome = client.login(person, mode);
        assert!(matches!(welcome, ToClient::Welcome { .. }), "{welcome:?}");
        client
    }

    pub fn register(&mut self, person: &Person) -> ToClient {
        self.register_as(person, &person.name)
    }

    pub fn register_as(&mut self, person: &Person, name: &UserName) -> ToClient {
        let registration = self.registration(person, name);
        self.ask(&registration)
    }

    /// With an invite code.
    pub fn register_by(&mut self, person: &Person, code: &str) -> ToClient {
        let registration = match self.registration(person, &person.name) {
            ToServer::Register { bundle, verifier, proof, .. } => {
                ToServer::Register { bundle, verifier, invite: code.to_owned(), proof }
            }
            other => other,
        };
        self.ask(&registration)
    }

    /// The request that registers somebody on this connection.
    pub fn registration(&self, person: &Person, name: &UserName) -> ToServer {
        let bundle = person.bundle_as(name);
        let proof = bundle::prove(&person.identity, &self.exporter(), &bundle).unwrap();
        ToServer::Register { bundle, verifier: VERIFIER.clone(), invite: String::new(), proof }
    }

    pub fn login(&mut self, person: &Person, mode: Mode) -> ToClient {
        self.login_as(person, &person.name, mode)
    }

    /// Goes through the login and gives its last answer. A Welcome's proof is checked.
    pub fn login_as(&mut self, person: &Person, name: &UserName, mode: Mode) -> ToClient {
        self.try_login_as(person, name, mode).expect("a frame must come")
    }

    /// The same with a server that may go away meanwhile.
    pub fn try_login(&mut self, person: &Person, mode: Mode) -> Result<ToClient, TransportError> {
        self.try_login_as(person, &person.name, mode)
    }

    fn try_login_as(&mut self, person: &Person, name: &UserName, mode: Mode) -> Result<ToClient, TransportError> {
        let (proof, last) = match self.try_begin_login(person, name, mode)? {
            Ok(begun) => begun,
            Err(refused) => return Ok(refused),
        };
        self.send(&proof);
        let answer = self.try_next()?;
        if let ToClient::Welcome { server_final, .. } = &answer {
            last.verify(server_final);
        }
        Ok(answer)
    }

    /// Begins a login, and gives what would end it.
    pub fn begin_login(&mut self, person: &Person, mode: Mode) -> ToServer {
        match self.try_begin_login(person, &person.name, mode).expect("a frame must come") {
            Ok((proof, _)) => proof,
            Err(refused) => panic!("no challenge but {refused:?}"),
        }
    }

    fn try_begin_login(
        &mut self,
        person: &Person,
        name: &UserName,
        mode: Mode,
    ) -> Result<Result<(ToServer, Last), ToClient>, TransportError> {
        let first = First::new(name.as_str(), self.exporter());
        self.send(&self.login_start(person, name, mode, &first.message()));
        let server_first = match self.try_next()? {
            ToClient::Challenge { server_first } => server_first,
            other => return Ok(Err(other)),
        };
        let last = first.answer(&server_first, PASSWORD.as_bytes());
        let signature = person.identity.sign(&signed::login(&last.auth_message)).unwrap();
        Ok(Ok((ToServer::LoginProof { client_final: last.message.clone(), signature }, last)))
    }

    /// What begins a login under this name by this person's key.
    pub fn login_start(&self, person: &Person, name: &UserName, mode: Mode, client_first: &str) -> ToServer {
        let signature = person.identity.sign(&signed::login_start(&self.exporter(), name)).unwrap();
        ToServer::LoginStart { mode, client_first: client_first.to_owned(), signature }
    }

    pub fn exporter(&self) -> [u8; 32] {
        self.connection.exporter().unwrap()
    }

    pub fn ask(&mut self, frame: &ToServer) -> ToClient {
        self.send(frame);
        self.next()
    }

    pub fn send(&mut self, frame: &ToServer) {
        self.send_bytes(&frame.encode());
    }

    pub fn send_envelope(&mut self, envelope: &Envelope) -> ToClient {
        self.ask(&ToServer::Send { envelope: envelope.encode() })
    }

    /// Bytes inside TLS, whatever they are. A server that has closed meanwhile is found out by the next read.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.connection.queue(bytes);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(false) = self.connection.flush() {
            self.wait(deadline);
        }
    }

    /// The next frame.
    pub fn next(&mut self) -> ToClient {
        self.try_next().expect("a frame must come")
    }

    pub fn try_next(&mut self) -> Result<ToClient, TransportError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(frame) = self.received_frame()? {
                return Ok(frame);
            }
            let received = self.connection.receive()?;
            if let Some(frame) = self.received_frame()? {
                return Ok(frame);
            }
            if received == Received::All {
                self.wait(deadline);
            }
        }
    }

    /// The next frame if it has come already.
    pub fn poll(&mut self) -> Option<ToClient> {
        self.poll_for(Duration::ZERO)
    }

    /// The next frame if it comes within this time.
    pub fn poll_for(&mut self, time: Duration) -> Option<ToClient> {
        let interest = Interest { read: true, ..self.connection.interest() };
        wait(&self.connection, interest, &self.wakeup, Some(Instant::now() + time)).unwrap();
        if let Some(frame) = self.received_frame().unwrap() {
            return Some(frame);
        }
        self.connection.receive().unwrap();
        self.received_frame().unwrap()
    }

    /// Ends the connection without a goodbye, so that the other side's next packet is answered by a reset.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.connection, Some(Duration::ZERO)).unwrap();
    }

    fn received_frame(&mut self) -> Result<Option<ToClient>, TransportError> {
        let frame = self.connection.next_frame(16384)?;
        Ok(frame.map(|(kind, body)| ToClient::decode(kind, body).expect("the server must speak the protocol")))
    }

    /// The next frame, which must be a delivery; not acknowledged.
    #[track_caller]
    pub fn next_delivery(&mut self) -> (DeliveryId, bool, Envelope) {
        match self.next() {
            ToClient::Deliver { delivery, backlog, envelope } => {
                (delivery, backlog, Envelope::parse(&envelope).unwrap())
            }
            other => panic!("no delivery but {other:?}"),
        }
    }

    /// The envelope of the next frame, which must be a delivery; acknowledged.
    pub fn take_delivery(&mut self) -> Envelope {
        match self.next() {
            ToClient::Deliver { delivery, envelope, .. } => {
                self.send(&ToServer::Ack(delivery));
                Envelope::parse(&envelope).unwrap()
            }
            other => panic!("no delivery but {other:?}"),
        }
    }

    /// Expects a goodbye for this reason, and then the end.
    #[track_caller]
    pub fn expect_bye(&mut self, code: Code) {
        assert_eq!(self.next(), ToClient::Bye(Reason::new(code)));
        self.expect_end();
    }

    #[track_caller]
    pub fn expect_end(&mut self) {
        match self.try_next() {
            Err(TransportError::Closed) => {}
            other => panic!("no end but {other:?}"),
        }
    }

    /// Nothing but the answer to a ping comes: whatever was sent before had no other effect on this client.
    #[track_caller]
    pub fn expect_nothing(&mut self) {
        assert_eq!(self.ask(&ToServer::Ping { token: 77 }), ToClient::Pong { token: 77 });
    }

    fn wait(&self, deadline: Instant) {
        assert!(Instant::now() < deadline, "nothing came in time");
        let interest = Interest { read: true, ..self.connection.interest() };
        wait(&self.connection, interest, &self.wakeup, Some(deadline)).unwrap();
    }
}

/// A connection to `address` from another address of this machine (all of 127.0.0.0/8 is).
pub fn socket_from(source: Ipv4Addr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    rustix::net::bind(&socket, &SocketAddr::from((source, 0)))?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket.into())
}

/// The reason in an error.
#[track_caller]
pub fn error_code(answer: &ToClient) -> Code {
    match answer {
        ToClient::Error { reason, .. } | ToClient::Refused { reason, .. } | ToClient::Bye(reason) => {
            reason.code.unwrap()
        }
        other => panic!("no refusal but {other:?}"),
    }
}
