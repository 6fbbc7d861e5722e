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
    // A slow reader last: what waits for it would come into the next run.
    let cases = [
        (Pattern::Group { senders: 4 }, None),
        (Pattern::Group { senders: 4 }, Some(3)),
        (Pattern::Direct { senders: 4 }, None),
        (Pattern::PingPong, None),
        (Pattern::Beside { is_slow: false }, None),
        (Pattern::Beside { is_slow: true }, None),
    ];
    let (warm_up, time) = (Duration::ZERO, Duration::from_millis(100));
    for (index, (pattern, burst)) in cases.into_iter().enumerate() {
        for threads in [1, 2] {
            let case = Case { pattern, window: 5, burst, awaits_answers: true, warm_up, time, threads };
            let run = (2 * index + threads) as u64;
            let outcome = drive::run(&mut members, 4, &case, run, server.running.id()).unwrap();
            assert!(outcome.rate > 0.0, "{pattern:?}: {outcome:?}");
            assert_eq!((outcome.missing, outcome.disorder), (0, 0), "{pattern:?}: {outcome:?}");
            assert!(outcome.delays.iter().all(|delay| *delay > 0.0), "{pattern:?}: {outcome:?}");
        }
    }
}
