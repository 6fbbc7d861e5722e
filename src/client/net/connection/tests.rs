use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::client::peer_tests::{next, pair, say, wait_for};
use crate::transport::TransportError;
use crate::wire::DeliveryId;

fn delivery(number: u64) -> ToClient {
    ToClient::Deliver { delivery: DeliveryId { epoch: 1, number }, backlog: false, envelope: vec![0; 1000] }
}

#[test]
fn pings_are_answered_without_anybody_knowing() {
    let (mut server, link) = pair();
    say(&mut server, &ToClient::Ping { token: 7 });
    say(&mut server, &ToClient::Registered);
    let mut reading = Reading::default();
    let mut frames = Vec::new();
    while frames.is_empty() {
        frames = link.receive(&mut reading, None).unwrap();
    }
    assert_eq!(frames, [ToClient::Registered]);
    assert_eq!(next(&mut server), ToServer::Pong { token: 7 });
}

#[test]
fn what_came_before_the_end_is_given_out_before_the_end() {
    let (mut server, link) = pair();
    say(&mut server, &ToClient::Registered);
    server.finish();
    let (frames, end) = all(&link);
    assert_eq!(frames, [ToClient::Registered]);
    assert!(matches!(end, Error::Server(ServerError::Lost { why: TransportError::Closed })), "{end}");
}

#[test]
fn what_came_before_junk_is_given_out_before_the_junk_ends_it() {
    let (mut server, link) = pair();
    server.queue(&ToClient::Registered.encode());
    server.queue(&[0, 0, 0, 1, 0xff]);
    assert!(server.flush().unwrap());
    let (frames, end) = all(&link);
    assert_eq!(frames, [ToClient::Registered]);
    assert!(matches!(end, Error::Server(ServerError::Protocol(_))), "{end}");
}

#[test]
fn long_frames_are_for_those_who_are_logged_in() {
    let long =
        ToClient::Deliver { delivery: DeliveryId { epoch: 1, number: 1 }, backlog: false, envelope: vec![0; 5000] };
    let welcome = ToClient::Welcome {
        server_final: String::new(),
        seats_taken: 1,
        seats: 10,
        bundle: 1,
        kept: 0,
        acknowledged: 0,
    };
    let (mut server, link) = pair();
    say(&mut server, &long);
    let (frames, end) = all(&link);
    assert_eq!(frames, []);
    assert!(matches!(end, Error::Server(ServerError::Lost { why: TransportError::Frame(_) })), "{end}");

    let (mut server, link) = pair();
    say(&mut server, &welcome);
    say(&mut server, &long);
    server.finish();
    assert_eq!(all(&link).0, [welcome, long]);
}

/// Every frame until the end.
fn all(link: &Link) -> (Vec<ToClient>, Error) {
    let mut reading = Reading::default();
    let mut frames = Vec::new();
    loop {
        match link.receive(&mut reading, None) {
            Ok(more) => frames.extend(more),
            Err(end) => return (frames, end),
        }
    }
}

#[test]
fn a_wake_up_ends_the_wait() {
    let (_server, link) = pair();
    link.wake();
    assert_eq!(link.receive(&mut Reading { more: false, ..Reading::default() }, None).unwrap(), []);
}

/// A server that never stops sending, a thread that never stops receiving, and one that sends now and then:
/// each of its frames arrives while the flood goes on.
#[test]
fn a_reader_in_a_flood_never_starves_the_writer() {
    let (server, link) = pair();
    let (received, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let (flood, flooded) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (mut reading, flood) = (Reading::default(), flood);
            while done.load(Ordering::Relaxed) == 0 {
                let frames = match link.receive(&mut reading, None) {
                    // The server is gone as soon as it has heard all.
                    Err(_) if done.load(Ordering::Relaxed) > 0 => break,
                    frames => frames.unwrap(),
                };
                if received.fetch_add(frames.len() as u64, Ordering::Relaxed) == 0 && !frames.is_empty() {
                    flood.send(()).unwrap();
                }
            }
        });
        scope.spawn(|| {
            { flooded }.recv().unwrap();
            for token in 0..WRITES {
                link.send(&ToServer::Ping { token }).unwrap();
            }
        });
        // Owned here, so that a failed assertion ends the other threads.
        let mut server = server;
        let mut number = 0;
        let mut heard = 0;
        while heard < WRITES {
            while server.unsent() < REPLY_BACKLOG {
                number += 1;
                server.queue(&delivery(number).encode());
            }
            server.flush().unwrap();
            server.receive().unwrap();
            while let Some((kind, body)) = server.next_frame(FRAME_MAX).unwrap() {
                assert_eq!(ToServer::decode(kind, body).unwrap(), ToServer::Ping { token: heard });
                heard += 1;
            }
            // The flood never pauses but for a full socket.
            if heard < WRITES && server.unsent() > 0 {
                wait_for(&server);
            }
        }
        done.store(1, Ordering::Relaxed);
        link.wake();
    });
    assert!(received.load(Ordering::Relaxed) > 0, "there was no flood");
}

const WRITES: u64 = 200;
