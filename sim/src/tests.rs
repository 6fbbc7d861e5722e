//! A short run, and that the simulator itself holds what it promises.

use super::*;
use crate::plan::Act;

/// As `make sim` does it for many more.
#[test]
fn nothing_is_lost_doubled_or_disordered_in_the_first_seeds() {
    for seed in 0..SEEDS {
        let outcome = play(&Plan::of(seed));
        assert_eq!(outcome.finding, None, "topchat-sim --seed {seed}");
        assert!(outcome.steps >= 600, "seed {seed} was over after {} steps", outcome.steps);
    }
}

#[test]
fn a_seed_repeats_itself_to_the_last_effect() {
    for seed in [3, 4] {
        let [one, other] = [(); 2].map(|()| play(&Plan::of(seed)));
        assert_eq!((one.trace, one.effects, one.sends), (other.trace, other.effects, other.sends), "seed {seed}");
        assert!(one.sends > 20 && one.shows > 20, "seed {seed} does something");
    }
    assert_ne!(play(&Plan::of(3)).trace, play(&Plan::of(4)).trace);
}

/// With the real signatures: nothing of what is found may hang on what stands in for them.
#[test]
fn a_seed_goes_the_same_way_with_real_rsa() {
    let plan = Plan::of(2);
    let [stand_in, real] = [true, false].map(|stands_in| play(&Plan { stands_in, ..plan.clone() }));
    assert_eq!((stand_in.finding, real.finding), (None, None));
    assert_eq!((stand_in.sends, stand_in.shows), (real.sends, real.shows));
}

/// Found by the simulator: a kill between a segment's name and its folder's sync, and then a power failure, took the segment away
/// with all that was accepted into it; and so did one between a new beginning of the log and its sync.
#[test]
fn kills_and_power_failures_amid_many_small_segments_take_nothing() {
    for seed in 0..SEEDS {
        let plan = Plan { segment_bytes: 1000, ..Plan::of(seed).about(&[(Act::KillServer, 30)]) };
        assert_eq!(play(&plan).finding, None, "seed {seed}");
    }
}

#[test]
fn what_is_found_is_shrunk_to_a_plan_that_finds_the_same() {
    // People who hear of nothing: without its disk the server answers nobody.
    let plan = Plan::of(1).about(&[]).without(Act::Disk);
    let finding = play(&plan).finding;
    assert_eq!(finding, None, "in the end the disk is there again");
    assert_eq!(kind("Life { person: 3 } never gets m17"), kind("Life { person: 0 } never gets m1"));
    assert_ne!(kind("something waits for ever"), kind("the server does not start"));
}

const SEEDS: u64 = 16;
