//! Drives a server with messages and counts what comes of them.

use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::board::Board;
use super::dialect::Conn;
use super::process;
use super::worker::{Sleeper, Worker};

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// So many senders, each to everybody.
    Group {
        /// How many of the members send.
        senders: usize,
    },
    /// Each sender to its neighbour.
    Direct {
        /// How many of the members send.
        senders: usize,
    },
    /// Pairs of members, each answering the other's message: the times are round trips.
    PingPong,
    /// All but the last, each to everybody. The last one receives, too, but what it gets does not count.
    Beside {
        /// It takes little, and that seldom.
        is_slow: bool,
    },
}

/// One case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// What is sent.
    pub pattern: Pattern,
    /// Messages in flight per sender.
    pub window: u64,
    /// All senders begin at once, with so many messages ten times a second.
    pub burst: Option<u64>,
    /// A message is in flight until the server has answered, too.
    pub awaits_answers: bool,
    /// Before the measurement.
    pub warm_up: Duration,
    /// Of the measurement; longer if nothing comes within it.
    pub time: Duration,
    /// Threads of the generator.
    pub threads: usize,
}

/// What came of a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Deliveries a second.
    pub rate: f64,
    /// Seconds of CPU that the server took for a million deliveries.
    pub server_cpu: f64,
    /// The same of the generator.
    pub generator_cpu: f64,
    /// Microseconds from a message to its delivery, or to its answer's in a ping-pong, ascending.
    pub delays: Vec<f64>,
    /// Deliveries that never came.
    pub missing: u64,
    /// Deliveries that came twice or late.
    pub disorder: u64,
}

impl Outcome {
    /// The delay that this part of all is shorter than.
    pub(crate) fn delay(&self, part: f64) -> f64 {
        let last = self.delays.len().saturating_sub(1);
        self.delays.get((last as f64 * part).round() as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Runs a case over connections of `members` members. `run` makes its stamps differ from those of others.
pub(crate) fn run(connections: &mut [Conn], members: usize, case: &Case, run: u64, server: u32) -> io::Result<Outcome> {
    let echoes = connections.iter().any(|conn| conn.echoes);
    // The last one of some patterns does not count.
    let receivers = members - usize::from(matches!(case.pattern, Pattern::Beside { .. }));
    let board = Board::new(receivers, audience(case.pattern, members, echoes), case.awaits_answers);
    let mut shares: Vec<Vec<&mut Conn>> = (0..case.threads).map(|_| Vec::new()).collect();
    for (index, conn) in connections.iter_mut().enumerate() {
        shares[index % case.threads].push(conn);
    }
    let sleepers = Sleeper::several(case.threads)?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = shares
            .into_iter()
            .enumerate()
            .map(|(own, share)| {
                let (board, sleepers) = (&board, sleepers.as_slice());
                scope.spawn(move || Worker::new(case, run, board, sleepers, own).work(share))
            })
            .collect();
        let mut outcome = measure(case, &board, &sleepers, server);
        for worker in workers {
            outcome.delays.extend(worker.join().map_err(|_| io::Error::other("a thread panicked"))??);
        }
        outcome.delays.sort_by(f64::total_cmp);
        outcome.disorder = board.disorder.load(SeqCst);
        Ok(outcome)
    })
}

/// Waits for warm-up, measurement and the last deliveries.
fn measure(case: &Case, board: &Board, sleepers: &[Sleeper], server: u32) -> Outcome {
    std::thread::sleep(case.warm_up);
    let look = || (Instant::now(), board.deliveries(), process::cpu(server), process::cpu(std::process::id()));
    let (began, before, server_before, own_before) = look();
    board.is_timed.store(true, SeqCst);
    std::thread::sleep(case.time);
    // A busy machine may give the threads no turn in a short one.
    wait_while(board, || board.deliveries() == before);
    let (ended, after, server_after, own_after) = look();
    board.is_timed.store(false, SeqCst);
    board.is_closed.store(true, SeqCst);
    wait_while(board, || board.outstanding() > 0);
    // What comes twice comes later.
    std::thread::sleep(Duration::from_millis(20));
    board.is_over.store(true, SeqCst);
    sleepers.iter().for_each(Sleeper::wake);
    let deliveries = (after - before) as f64;
    Outcome {
        rate: deliveries / (ended - began).as_secs_f64(),
        server_cpu: (server_after - server_before) / deliveries * 1e6,
        generator_cpu: (own_after - own_before) / deliveries * 1e6,
        missing: board.missing(),
        ..Outcome::default()
    }
}

/// Waits as long as something holds, but not for ever.
fn wait_while(board: &Board, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while holds() && Instant::now() < until && board.failures.load(SeqCst) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Per sender, who gets its messages.
fn audience(pattern: Pattern, members: usize, echoes: bool) -> Vec<Vec<usize>> {
    let everybody = |sender| (0..members).filter(|member| echoes || *member != sender).collect();
    match pattern {
        Pattern::Group { senders } => (0..senders).map(everybody).collect(),
        Pattern::Direct { senders } => (0..senders).map(|sender| vec![(sender + 1) % members]).collect(),
        Pattern::PingPong => (0..members).map(|sender| vec![sender ^ 1]).collect(),
        Pattern::Beside { .. } => audience(Pattern::Group { senders: members - 1 }, members - 1, echoes),
    }
}

/// How long the first delivery of a run may take, and how long the last ones.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_wait_for_those_who_count() {
        let of = |pattern| audience(pattern, 4, false);
        assert_eq!(of(Pattern::Group { senders: 1 }), [[1, 2, 3]]);
        assert_eq!(of(Pattern::Direct { senders: 2 }), [[1], [2]]);
        assert_eq!(of(Pattern::PingPong), [[1], [0], [3], [2]]);
        assert_eq!(of(Pattern::Beside { is_slow: true }), [[1, 2], [0, 2], [0, 1]]);
        assert_eq!(audience(Pattern::Group { senders: 1 }, 2, true), [[0, 1]]);
    }

    #[test]
    fn a_delay_is_that_of_a_part_of_all() {
        let outcome = Outcome { delays: (0..=100).map(f64::from).collect(), ..Outcome::default() };
        assert_eq!((outcome.delay(0.5), outcome.delay(0.99)), (50.0, 99.0));
        assert!(Outcome::default().delay(0.5).is_nan());
    }
}
