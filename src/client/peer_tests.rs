//! The server's end of a connection, for tests: says and hears what the test wants.

use std::net::{TcpListener, TcpStream};

use super::net::connection::Link;
use crate::crypto::certificate;
use crate::limits::FRAME_MAX;
use crate::transport::{ClientTls, Connection, ServerTls, Wakeup, wait};
use crate::wire::{ToClient, ToServer};

/// Both ends of a connection, after the handshake.
pub(crate) fn pair() -> (Connection, Link) {
    let pem = certificate::self_signed().unwrap();
    let tls = ServerTls::new(pem.certificate.as_bytes(), pem.key.as_bytes()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let mut server = Connection::accept(listener.accept().unwrap().0, &tls).unwrap();
    let mut client = Connection::connect(client, &ClientTls::new().unwrap()).unwrap();
    let (mut one, mut other) = (false, false);
    while !(one && other) {
        one = one || client.handshake().unwrap();
        other = other || server.handshake().unwrap();
    }
    (server, Link::new(client).unwrap())
}

/// Waits until the connection can go on.
pub(crate) fn wait_for(connection: &Connection) {
    let wakeup = Wakeup::new().unwrap();
    wait(connection, connection.interest(), &wakeup, None).unwrap();
}

/// The next frame that the client sent.
pub(crate) fn next(server: &mut Connection) -> ToServer {
    loop {
        if let Some((kind, body)) = server.next_frame(FRAME_MAX).unwrap() {
            return ToServer::decode(kind, body).unwrap();
        }
        server.flush().unwrap();
        wait_for(server);
        server.receive().unwrap();
    }
}

/// Sends a frame to the client.
pub(crate) fn say(server: &mut Connection, frame: &ToClient) {
    server.queue(&frame.encode());
    while !server.flush().unwrap() {
        wait_for(server);
    }
}
