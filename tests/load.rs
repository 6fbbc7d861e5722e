//! The load generator of the benchmarks speaks every protocol rightly, and counts rightly: what it says of others and of
//! this project rests on that.

use std::time::Duration;

use generator::drive::{self, Case, Pattern};
use generator::process::TopChatServer;
use generator::relay;
use generator::topchat::Keys;

#[path = "../benches/load/main.rs"]
#[expect(dead_code, reason = "the tests need only a part of it")]
mod generator;

/// Every pattern for a moment: what is sent comes, once and in order, by one thread and by two.
#[test]
fn a_short_run_of_every_pattern_loses_and_doubles_nothing() {
    let keys = Keys::new(2048, 10).unwrap();
    let server =
        TopChatServer::start(env!("CARGO_BIN_EXE_topchat-server").as_ref(), &keys, 4, &relay::SETTINGS).unwrap();
    let mut members = relay::gather(&server, &keys, 4).unwrap();
    let patterns = [Pattern::Group { senders: 4 }, Pattern::Direct { senders: 4 }, Pattern::PingPong];
    for (run, pattern) in patterns.into_iter().enumerate() {
        for threads in [1, 2] {
            let time = Duration::from_millis(100);
            let case = Case { pattern, window: 5, awaits_answers: true, warm_up: Duration::ZERO, time, threads };
            let run = (2 * run + threads) as u64;
            let outcome = drive::run(&mut members, 4, &case, run, server.running.id()).unwrap();
            assert!(outcome.rate > 0.0, "{pattern:?}: {outcome:?}");
            assert_eq!((outcome.missing, outcome.disorder), (0, 0), "{pattern:?}: {outcome:?}");
            assert_eq!(outcome.round_trips.is_empty(), pattern != Pattern::PingPong);
        }
    }
}
