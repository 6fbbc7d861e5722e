//! A play: the liar delivers what the script says, Alice's real client listens, and what she sent and showed is kept.

use std::cell::Cell;

use topchat::wire::{DeliveryId, ToClient, ToServer};

use super::server::{Liar, Line};
use crate::cli::home::{Home, Listening};
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::Finished;

/// Alice, who listens to what the liar delivers.
pub struct Stage {
    pub liar: Liar,
    pub home: Home,
    /// Whether she has Bob's key.
    pub knows_bob: Cell<bool>,
    /// Every play has another last message: ids are remembered from run to run.
    pub plays: Cell<u8>,
}

impl Stage {
    pub fn new() -> Self {
        let liar = Liar::start();
        let home = Home::with_keys(liar.address(), &ALICE);
        Self { liar, home, knows_bob: Cell::new(false), plays: Cell::new(0) }
    }

    pub fn listen(&self) -> (Line, Listening) {
        let home = &self.home;
        std::thread::scope(|scope| {
            let listening = scope.spawn(|| home.listen(&[]));
            let line = self.liar.member();
            (line, listening.join().unwrap())
        })
    }

    /// Delivers these and then the good message `the end`, answers what the client asks meanwhile, and says goodbye.
    /// Gives what the client sent and what it printed.
    pub fn play(&self, deliveries: &[Vec<u8>]) -> (Vec<Vec<u8>>, Finished) {
        let (mut line, listening) = self.listen();
        if !self.knows_bob.get() {
            self.deliver(&mut line, &BOB.seal_to(&ALICE, THE_BEGINNING, 0xbe).encode());
            while !self.knows_bob.get() {
                self.next_ack(&mut line);
            }
            line.received.clear();
        }
        self.plays.set(self.plays.get() + 1);
        let end = BOB.seal_to(&ALICE, "the end", 0xe0 + self.plays.get()).encode();
        deliveries.iter().chain([&end]).for_each(|delivery| self.deliver(&mut line, delivery));
        let sent = line.end();
        (sent, listening.finish())
    }

    /// Delivers and waits for the acknowledgement: those of several messages may come joined, as it happens.
    pub fn deliver(&self, line: &mut Line, delivery: &[u8]) {
        let expected = line.deliver(delivery.to_vec());
        while self.next_ack(line) != Some(expected) {}
    }

    /// Takes a frame: an acknowledgement, or a question for a key, which is answered.
    pub fn next_ack(&self, line: &mut Line) -> Option<DeliveryId> {
        match line.take() {
            ToServer::Ack(delivery) => Some(delivery),
            ToServer::Lookup { request, name, .. } => {
                let person = if name == BOB.name { &BOB } else { &CAROL };
                line.send(&ToClient::Found { request, bundle: person.bundle(), lineage: Vec::new() });
                self.knows_bob.set(self.knows_bob.get() || name == BOB.name);
                None
            }
            other => panic!("nothing else is expected, but {other:?}"),
        }
    }
}

pub fn decoded(frame: &[u8]) -> ToServer {
    ToServer::decode(frame[4], &frame[5..]).unwrap()
}

/// The lines of stdout without times and marks, after [`THE_BEGINNING`].
pub fn shown(finished: &Finished) -> Vec<String> {
    let line =
        |line: &str| line.split('[').next().unwrap_or_default().trim_end().get(17..).unwrap_or_default().to_owned();
    finished.stdout.lines().map(line).filter(|line| !line.ends_with(THE_BEGINNING)).collect()
}

/// What was told on stderr about messages.
pub fn told(finished: &Finished) -> Vec<String> {
    let told = |line: &str| line.split_once(" !! ").map(|(_, told)| told.to_owned());
    finished.stderr.lines().filter_map(told).collect()
}

/// By this message Alice gets to know Bob.
pub const THE_BEGINNING: &str = "the beginning";
pub const THE_END: &str = "bob   > you  the end";
