//! A session's thread between its client, which is a test, and whoever has something for that client.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, sockopt};

use super::*;
use crate::limits::{FRAME_MAX, SENDS_UNANSWERED};
use crate::server::log::{Handle, Saying};
use crate::server::{Server, Settings};
use crate::transport::{ClientTls, Interest, TransportError, Wakeup, wait};
use crate::wire::DeliveryId;

const PATIENCE: Duration = Duration::from_secs(20);
/// About what a socket takes before it takes no more.
const SOCKET_BUFFER: usize = 16 * 1024;
/// Large frames, of which a socket takes a few.
const COUNT: u64 = 200;

/// A server that takes no connections by itself.
struct Place {
    server: Server,
    _folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Nothing but the test may end a session's sleep.
        let settings = Settings { login_deadline: PATIENCE * 9, ping_after: PATIENCE * 9, ..Settings::default() };
        let server = Server::open(&folder.path().join("data"), "127.0.0.1:0", settings).unwrap();
        Self { server, _folder: folder }
    }

    /// The server's end, before the handshake.
    fn accept(&self, socket: TcpStream) -> Connection {
        Connection::accept(socket, &self.server.shared.tls).unwrap()
    }

    /// Begins a session on a thread of its own, which ends with its client.
    fn serve(&self, socket: TcpStream) -> Arc<Outbox> {
        let outbox = Arc::new(Outbox::new().unwrap());
        let (shared, connection, own) = (Arc::clone(&self.server.shared), self.accept(socket), Arc::clone(&outbox));
        thread::spawn(move || {
            let source = Ipv4Addr::LOCALHOST.into();
            let pass = shared.guests.admit(source, 1, &own).unwrap();
            Session::new(&shared, 1, source, connection, own, pass).run();
        });
        outbox
    }

    /// A session without a thread, and its client.
    fn open(&self) -> (Session<'_>, End) {
        let (near, far) = sockets();
        let (shared, outbox, source) = (&self.server.shared, Arc::new(Outbox::new().unwrap()), Ipv4Addr::LOCALHOST);
        let pass = shared.guests.admit(source.into(), 1, &outbox).unwrap();
        let mut session = Session::new(shared, 1, source.into(), self.accept(far), outbox, pass);
        let client = thread::spawn(move || End::connect(near));
        assert!(session.handshake().is_ok());
        session.readable = false;
        (session, client.join().unwrap())
    }
}

/// A session of somebody who never logs in.
struct Scene {
    outbox: Arc<Outbox>,
    client: End,
    _place: Place,
}

impl Scene {
    fn new() -> Self {
        let (place, (near, far)) = (Place::new(), sockets());
        let outbox = place.serve(far);
        Self { outbox, client: End::connect(near), _place: place }
    }

    /// As the log says something.
    fn say(&self, frame: &ToClient, saying: Saying) {
        say(&self.outbox, frame, saying);
    }
}

#[track_caller]
fn wait_until(outbox: &Outbox, is_so: impl Fn(&Outbox) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so(outbox) {
        assert!(Instant::now() < deadline, "the session must sleep");
        thread::yield_now();
    }
}

fn say(outbox: &Outbox, frame: &ToClient, saying: Saying) {
    if outbox.say(&frame.encode(), saying).0 {
        outbox.send_or_wake();
    }
}

/// Two ends of a connection that holds little.
fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    // Before it is connected: the room that it tells the other end of does not shrink.
    sockopt::set_socket_recv_buffer_size(&near, SOCKET_BUFFER).unwrap();
    rustix::net::connect(&near, &listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    sockopt::set_socket_send_buffer_size(&far, SOCKET_BUFFER).unwrap();
    (near.into(), far)
}

/// One end. It takes nothing that the test does not ask for.
struct End {
    connection: Connection,
    wakeup: Wakeup,
}

impl End {
    fn connect(socket: TcpStream) -> Self {
        Self::over(Connection::connect(socket, &ClientTls::new().unwrap()).unwrap())
    }

    fn over(connection: Connection) -> Self {
        let mut end = Self { connection, wakeup: Wakeup::new().unwrap() };
        end.try_until(|connection| connection.handshake().map(|is_done| is_done.then_some(())));
        end
    }

    fn send(&mut self, frame: &ToServer) {
        self.connection.queue(&frame.encode());
        self.try_until(|connection| connection.flush().map(|is_sent| is_sent.then_some(())));
    }

    #[track_caller]
    fn next(&mut self) -> ToClient {
        self.try_until(|connection| {
            let came = received_frame(connection)?;
            if came.is_some() {
                return Ok(came);
            }
            connection.receive()?;
            received_frame(connection)
        })
    }

    #[track_caller]
    fn try_until<T>(&mut self, mut step: impl FnMut(&mut Connection) -> Result<Option<T>, TransportError>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(done) = step(&mut self.connection).unwrap() {
                return done;
            }
            assert!(Instant::now() < deadline, "nothing came in time");
            let interest = Interest { read: true, ..self.connection.interest() };
            wait(&self.connection, interest, &self.wakeup, Some(deadline)).unwrap();
        }
    }
}

fn received_frame(connection: &mut Connection) -> Result<Option<ToClient>, TransportError> {
    let frame = connection.next_frame(FRAME_MAX)?;
    Ok(frame.map(|(kind, body)| ToClient::decode(kind, body).unwrap()))
}

/// A frame with a number, and about 4 KB.
fn large(number: u64) -> ToClient {
    let delivery = DeliveryId { epoch: 1, number };
    ToClient::Deliver { delivery, backlog: false, envelope: vec![7; 4000] }
}

/// A session that doesn't read waits for its wake-up alone. If its answers were sent for it, it would sleep on, and its client's
/// frames would stay unread.
#[test]
fn a_session_that_does_not_read_is_woken_by_the_answer_that_lets_it_read_again() {
    let mut scene = Scene::new();
    let (news, answer) = (ToClient::Pong { token: 1 }, ToClient::Pong { token: 2 });
    (1..SENDS_UNANSWERED).for_each(|_| scene.outbox.expect_answer());
    // Many times: the answer must meet a session that sleeps, not one that is just about to.
    for token in 100..150 {
        scene.outbox.expect_answer();
        // Whoever sleeps after this knows of too many messages without an answer.
        scene.say(&news, Saying::News);
        scene.outbox.wake();
        assert_eq!(scene.client.next(), news);
        wait_until(&scene.outbox, Outbox::is_asleep);
        scene.client.send(&ToServer::Ping { token });
        scene.say(&answer, Saying::Answer);
        assert_eq!(scene.client.next(), answer);
        assert_eq!(scene.client.next(), ToClient::Pong { token });
    }
}

/// Whoever begins a handshake and never goes on would otherwise keep a processor busy until the deadline.
#[test]
fn a_session_sleeps_between_the_steps_of_a_handshake() {
    let (place, (near, far)) = (Place::new(), sockets());
    let outbox = place.serve(far);
    let mut client = Connection::connect(near, &ClientTls::new().unwrap()).unwrap();
    assert!(!client.handshake().unwrap(), "the server must have its turn");
    let wakeup = Wakeup::new().unwrap();
    let answer =
        wait(&client, Interest { read: true, write: false }, &wakeup, Some(Instant::now() + PATIENCE)).unwrap();
    assert!(answer.readable, "the server must have answered");
    wait_until(&outbox, Outbox::is_asleep);
}

/// A recipient who is slow to acknowledge must not slow the sender's answers down again and again.
#[test]
fn an_answer_that_waited_for_news_in_vain_makes_the_next_ones_hurry() {
    let place = Place::new();
    let (mut session, _client) = place.open();
    let outbox = Arc::clone(&session.outbox);
    let say_accepted = || assert!(!outbox.say(b"accepted", Saying::Accepted).0, "the session is awake");
    let sleep = |session: &mut Session<'_>| session.sleep(Sleep::Idle, Some(Instant::now() + PATIENCE)).is_ok();

    say_accepted();
    assert!(session.may_linger());
    let _ = outbox.say(b"delivered", Saying::News);
    assert!(!session.may_linger() && sleep(&mut session) && session.hurries_until.is_none(), "both are to be sent");
    assert!(session.send_waiting().is_ok() && outbox.is_empty());

    say_accepted();
    assert!(session.may_linger());
    assert!(sleep(&mut session) && !outbox.is_empty() && session.hurries_until.is_some(), "nobody had news");
    session.hurries_until = Some(Instant::now() + PATIENCE);
    assert!(!session.may_linger(), "it is to be sent, and so will be the next one");
    session.hurries_until = Some(Instant::now());
    assert!(session.may_linger(), "but later ones wait again");
}

/// What doesn't fit into the socket is left to the client's own thread, and all of it comes in the end.
#[test]
fn a_client_that_takes_no_more_holds_nobody_up_who_has_something_for_it() {
    let mut scene = Scene::new();
    // From then on it is another thread that sends, until the socket takes no more.
    wait_until(&scene.outbox, Outbox::is_lent);
    let (said, all_said) = mpsc::channel();
    let outbox = Arc::clone(&scene.outbox);
    thread::spawn(move || {
        (0..COUNT).for_each(|number| say(&outbox, &large(number), Saying::News));
        said.send(()).unwrap();
    });
    all_said.recv_timeout(PATIENCE).expect("nobody waits for a client");
    // It sleeps so only when all has gone out.
    assert!(!scene.outbox.is_asleep(), "the socket must be full");
    for number in 0..COUNT {
        assert_eq!(scene.client.next(), large(number));
    }
}

/// A thread that slept on would not learn that the socket takes bytes again.
#[test]
fn a_thread_that_has_something_to_wait_for_is_woken() {
    let (place, (near, far)) = (Place::new(), sockets());
    let connection = place.accept(far);
    let far = thread::spawn(move || End::over(connection).connection);
    let _client = End::connect(near);
    let (mut line, outbox) = (Line::new(far.join().unwrap()), Outbox::new().unwrap());
    let is_settled = |number| {
        let _ = outbox.say(&large(number).encode(), Saying::News);
        let is_settled = line.send_for_owner(&outbox);
        assert_eq!(is_settled, line.connection.unsent() == 0);
        is_settled
    };
    assert!(!(0..COUNT).all(is_settled), "the socket must be full");
}
