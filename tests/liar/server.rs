//! A server under the test's control: it speaks the protocol, logs clients in honestly, and then does as it is told.
//! It keeps every byte that a client sends.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

use openssl::pkey::PKey;
use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, select_next_proto};
use openssl::x509::X509;
use topchat::crypto::certificate::{self, CertificatePem};
use topchat::crypto::scram::{ServerChallenge, ServerFirst};
use topchat::transport::{Connection, Interest, Received, ServerTls, TransportError, Wakeup, wait};
use topchat::wire::to_client::Reason;
use topchat::wire::to_server::Mode;
use topchat::wire::{Code, DeliveryId, Envelope, Fingerprint, MessageId, ToClient, ToServer, Verifier, frame};

use crate::support::PATIENCE;
use crate::support::people::VERIFIER;

/// Listens and has a certificate.
pub struct Liar {
    listener: TcpListener,
    tls: ServerTls,
    pem: CertificatePem,
    /// Number of the last message that another session of the account took, as it says; what it delivers comes behind that.
    pub taken: u64,
}

/// One connection of a client.
pub struct Line {
    connection: Connection,
    wakeup: Wakeup,
    /// Every frame that came since the login, as it came.
    pub received: Vec<Vec<u8>>,
    /// Number of the last delivery, and of the last one that another session took.
    deliveries: u64,
    /// The client's first message, if it was taken already.
    started: Option<(Mode, String)>,
}

impl Liar {
    pub fn start() -> Self {
        let (tls, pem) = new_identity();
        Self { listener: TcpListener::bind("127.0.0.1:0").unwrap(), tls, pem, taken: 0 }
    }

    /// Another certificate from now on, at the same address.
    pub fn change_identity(&mut self) {
        (self.tls, self.pem) = new_identity();
    }

    pub fn identity(&self) -> Fingerprint {
        self.tls.identity()
    }

    /// The next client whose session is for this. Those for anything else are closed before they have logged in.
    pub fn next(&self, mode: Mode) -> Line {
        loop {
            let mut line = self.accept();
            match line.mode() == mode {
                true => return line,
                false => line.close(),
            }
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// The next client, after TLS.
    pub fn accept(&self) -> Line {
        let (wakeup, deadline) = (Wakeup::new().unwrap(), Instant::now() + PATIENCE);
        let waiting = Interest { read: true, write: false };
        let ready = wait(&self.listener, waiting, &wakeup, Some(deadline)).unwrap();
        assert!(ready.readable, "no client came in time");
        let (socket, _) = self.listener.accept().unwrap();
        let connection = Connection::accept(socket, &self.tls).unwrap();
        let mut line = Line { connection, wakeup, received: Vec::new(), deliveries: self.taken, started: None };
        while !line.connection.handshake().unwrap() {
            line.wait(deadline);
        }
        line
    }

    /// Every byte that the next client sends within TLS before it leaves by itself.
    pub fn bytes_of_the_next(&self) -> Vec<u8> {
        let mut tls = SslAcceptor::mozilla_modern_v5(SslMethod::tls_server()).unwrap();
        tls.set_certificate(&X509::from_pem(self.pem.certificate.as_bytes()).unwrap()).unwrap();
        tls.set_private_key(&PKey::private_key_from_pem(self.pem.key.as_bytes()).unwrap()).unwrap();
        tls.set_alpn_select_callback(|_, offered| select_next_proto(ALPN, offered).ok_or(AlpnError::NOACK));
        // Nothing is written that a client which is gone would not take.
        tls.set_num_tickets(0).unwrap();
        let (socket, _) = self.listener.accept().unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut stream = tls.build().accept(socket).unwrap();
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "it does not leave");
        }
        bytes
    }

    /// The next client, logged in.
    pub fn member(&self) -> Line {
        let mut line = self.accept();
        line.log_in();
        line
    }
}

impl Line {
    /// An honest login.
    pub fn log_in(&mut self) {
        let challenge = self.challenge(&VERIFIER);
        let server_final = self.server_final(&challenge);
        self.welcome(server_final);
        self.received.clear();
    }

    /// What the session is for, by the client's first message, which must be the login.
    pub fn mode(&mut self) -> Mode {
        if self.started.is_none() {
            let ToServer::LoginStart { mode, client_first, .. } = self.take() else { panic!("no LoginStart") };
            self.started = Some((mode, client_first));
        }
        self.started.as_ref().expect("it was taken just now").0
    }

    /// Answers the client's first message with a challenge for this verifier.
    pub fn challenge(&mut self, verifier: &Verifier) -> ServerChallenge {
        self.mode();
        let (_, client_first) = self.started.take().expect("it was taken just now");
        let challenge = ServerFirst::parse(&client_first).unwrap().challenge(verifier);
        self.send(&ToClient::Challenge { server_first: challenge.message().to_owned() });
        challenge
    }

    /// Takes the client's proof, which must hold, and gives the server's.
    pub fn server_final(&mut self, challenge: &ServerChallenge) -> String {
        let ToServer::LoginProof { client_final, .. } = self.take() else { panic!("no LoginProof") };
        let outcome = challenge.check(&client_final, &self.connection.exporter().unwrap()).unwrap();
        assert!(outcome.proof_holds);
        outcome.server_final
    }

    pub fn welcome(&mut self, server_final: String) {
        let acknowledged = self.deliveries;
        self.send(&ToClient::Welcome { server_final, seats_taken: 1, seats: 10, bundle: 1, kept: KEPT, acknowledged });
    }

    /// Answers a lookup of any name with this bundle, whatever was asked for.
    pub fn answer_lookup(&mut self, bundle: Vec<u8>) {
        let ToServer::Lookup { request, .. } = self.take() else { panic!("no Lookup") };
        self.send(&ToClient::Found { request, bundle, lineage: Vec::new() });
    }

    /// Takes a message and says that it was delivered.
    pub fn take_message(&mut self) -> Envelope {
        let ToServer::Send { envelope } = self.take() else { panic!("no Send") };
        let envelope = Envelope::parse(&envelope).unwrap();
        let msg_id = envelope.header.msg_id;
        self.status(msg_id);
        envelope
    }

    fn status(&mut self, msg_id: MessageId) {
        let state = topchat::wire::to_client::State::Delivered;
        self.send(&ToClient::Status { msg_id, state, reached: 1, total: 1 });
    }

    /// Delivers these bytes as a message, under the number that is given back.
    pub fn deliver(&mut self, envelope: Vec<u8>) -> DeliveryId {
        self.deliveries += 1;
        let delivery = DeliveryId { epoch: 1, number: self.deliveries };
        self.send(&ToClient::Deliver { delivery, backlog: false, envelope });
        delivery
    }

    pub fn send(&mut self, frame: &ToClient) {
        self.send_bytes(&frame.encode());
    }

    /// Bytes inside TLS, whatever they are. A client that is gone is found out by the next read.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.connection.queue(bytes);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(false) = self.connection.flush() {
            self.wait(deadline);
        }
    }

    /// Says goodbye in a way that no client comes back from, and takes all that the client still sends. Gives every frame since the login.
    pub fn end(mut self) -> Vec<Vec<u8>> {
        self.send(&ToClient::Bye(Reason::new(Code::Replaced)));
        self.drain()
    }

    /// Takes all that the client sends until it leaves. Gives every frame since the login.
    pub fn drain(mut self) -> Vec<Vec<u8>> {
        while self.try_take().is_ok() {}
        self.received
    }

    /// Closes the connection without a word.
    pub fn close(mut self) {
        self.connection.finish();
    }

    /// The next frame.
    #[track_caller]
    pub fn take(&mut self) -> ToServer {
        self.try_take().expect("a frame must come")
    }

    pub fn try_take(&mut self) -> Result<ToServer, TransportError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((kind, body)) = self.connection.next_frame(16384)? {
                self.received.push(frame::encode(kind, body));
                return Ok(ToServer::decode(kind, body).expect("the client must speak the protocol"));
            }
            if self.connection.receive()? == Received::All {
                // What came with the last read may be a whole frame already.
                if let Some((kind, body)) = self.connection.next_frame(16384)? {
                    self.received.push(frame::encode(kind, body));
                    return Ok(ToServer::decode(kind, body).expect("the client must speak the protocol"));
                }
                self.wait(deadline);
            }
        }
    }

    fn wait(&self, deadline: Instant) {
        assert!(Instant::now() < deadline, "nothing came in time");
        let interest = Interest { read: true, ..self.connection.interest() };
        wait(&self.connection, interest, &self.wakeup, Some(deadline)).unwrap();
    }
}

fn new_identity() -> (ServerTls, CertificatePem) {
    let pem = certificate::self_signed().unwrap();
    (ServerTls::new(pem.certificate.as_bytes(), pem.key.as_bytes()).unwrap(), pem)
}

/// The frames without what a client says whatever came: acknowledgements and its goodbye.
pub fn talk(received: &[Vec<u8>]) -> Vec<ToServer> {
    received
        .iter()
        .map(|frame| ToServer::decode(frame[4], &frame[5..]).unwrap())
        .filter(|frame| !matches!(frame, ToServer::Ack(_) | ToServer::Bye))
        .collect()
}

/// As it goes over the wire: a length, then the name.
const ALPN: &[u8] = b"\x09topchat/2";

/// A log that was long before the play, so that all in it is safe: who delivers it twice has no excuse.
const KEPT: u64 = 1_000_000;
