use std::sync::Mutex;
use std::thread;

use super::*;

const HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "192.0.2.2";

/// A throttle with a clock of its own.
struct World {
    throttle: Throttle,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self { throttle: Throttle::default(), now: Instant::now() }
    }

    fn pass(&mut self, secs: u64) {
        self.now += Duration::from_secs(secs);
    }

    fn wait(&self, source: &str, text: &str) -> u32 {
        let result = self.throttle.may_login(address(source), &name(text), self.now);
        result.map_or_else(RetryAfter::seconds, |()| 0)
    }

    fn fail(&mut self, source: &str, text: &str) {
        self.throttle.failed(address(source), &name(text), self.now);
    }

    fn registration_wait(&mut self, source: &str) -> u32 {
        let result = self.throttle.may_register(address(source), self.now);
        result.map_or_else(RetryAfter::seconds, |()| 0)
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

#[test]
fn the_fifth_failure_locks_and_each_further_one_doubles() {
    let mut world = World::new();
    for _ in 0..4 {
        world.fail(HOME, "alice");
        assert_eq!(world.wait(HOME, "alice"), 0);
    }
    for secs in [15, 30, 60, 120, 240, 480, 600, 600] {
        world.fail(HOME, "alice");
        assert_eq!(world.wait(HOME, "alice"), secs);
        world.pass(u64::from(secs) - 1);
        assert_eq!(world.wait(HOME, "alice"), 1);
        world.pass(1);
        assert_eq!(world.wait(HOME, "alice"), 0);
    }
}

#[test]
fn a_lock_is_for_one_name_from_one_source() {
    let mut world = World::new();
    for _ in 0..5 {
        world.fail(HOME, "alice");
    }
    assert_eq!(world.wait(HOME, "alice"), 15);
    assert_eq!(world.wait(ELSEWHERE, "alice"), 0);
    assert_eq!(world.wait(HOME, "bob"), 0);
}

#[test]
fn a_success_clears_the_pair_but_not_the_hour() {
    let mut world = World::new();
    for round in 0..5 {
        assert_eq!(world.wait(HOME, "alice"), 0, "round {round}");
        for _ in 0..4 {
            world.fail(HOME, "alice");
        }
        world.throttle.succeeded(address(HOME), &name("alice"));
        if round == 4 {
            assert_eq!(world.wait(HOME, "alice"), 3600);
            return;
        }
    }
}

#[test]
fn twenty_failures_an_hour_are_all_that_a_source_has() {
    let mut world = World::new();
    for number in 0..20 {
        assert_eq!(world.wait(HOME, "zoe"), 0, "failure {number}");
        world.fail(HOME, &format!("name{number}"));
        world.pass(10);
    }
    assert_eq!(world.wait(HOME, "zoe"), 3400);
    assert_eq!(world.wait(ELSEWHERE, "zoe"), 0);
    world.pass(3400);
    assert_eq!(world.wait(HOME, "zoe"), 0);
    world.fail(HOME, "zoe");
    assert_eq!(world.wait(HOME, "alice"), 10);
}

#[test]
fn old_failures_are_forgotten() {
    let mut world = World::new();
    for _ in 0..4 {
        world.fail(HOME, "alice");
    }
    world.pass(3600);
    world.fail(HOME, "alice");
    assert_eq!(world.wait(HOME, "alice"), 0);
}

#[test]
fn a_locked_attempt_checks_nothing() {
    let mut world = World::new();
    let (source, name) = (address(HOME), name("alice"));
    for _ in 0..5 {
        assert_eq!(world.throttle.attempt(source, &name, world.now, || None::<()>), Ok(None));
    }
    let locked =
        world.throttle.attempt(source, &name, world.now, || -> Option<()> { unreachable!("checked while locked") });
    assert_eq!(locked, Err(RetryAfter(LOCK_FIRST)));
    world.pass(15);
    assert_eq!(world.throttle.attempt(source, &name, world.now, || Some(7)), Ok(Some(7)));
    world.fail(HOME, "alice");
    assert_eq!(world.wait(HOME, "alice"), 0);
}

#[test]
fn guesses_at_the_same_moment_get_no_more_tries() {
    let world = Mutex::new(World::new());
    let checked = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let World { throttle, now } = &mut *world.lock().unwrap();
                let _ = throttle.attempt(address(HOME), &name("alice"), *now, || -> Option<()> {
                    *checked.lock().unwrap() += 1;
                    None
                });
            });
        }
    });
    assert_eq!(*checked.lock().unwrap(), FAILURES_BEFORE_LOCK);
}

#[test]
fn registrations_are_limited_but_not_from_this_machine() {
    let mut world = World::new();
    for _ in 0..20 {
        assert_eq!(world.registration_wait("127.0.0.2"), 0);
    }
    for _ in 0..100 {
        assert_eq!(world.registration_wait("127.0.0.2"), 3600);
    }
    assert_eq!(world.wait("127.0.0.2", "alice"), 0, "a login is another matter");
    for _ in 0..100 {
        assert_eq!(world.registration_wait("127.0.0.1"), 0);
        assert_eq!(world.registration_wait("::1"), 0);
    }
    world.pass(3600);
    assert_eq!(world.registration_wait("127.0.0.2"), 0);
}

#[test]
fn addresses_of_one_network_are_one_source() {
    let same = |a: &str, b: &str| Source::from(address(a)) == Source::from(address(b));
    assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff::9"));
    assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
    assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
    assert!(!same("192.0.2.1", "192.0.2.2"));
    assert!(is_exempt(address("::ffff:127.0.0.1")));
    assert!(!is_exempt(address("127.0.0.2")) && !is_exempt(address("::2")));
}

#[test]
fn memory_is_bounded_and_the_least_recent_goes_first() {
    let mut world = World { throttle: Throttle::with_entries(3), now: Instant::now() };
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.4"] {
        for _ in 0..5 {
            world.fail(source, "alice");
        }
    }
    assert_eq!(world.throttle.pairs.entries.len(), 3);
    assert_eq!(world.throttle.pairs.order.len(), 3);
    assert_eq!(world.wait("192.0.2.2", "alice"), 0, "forgotten");
    assert_ne!(world.wait("192.0.2.1", "alice"), 0, "touched again");
    world.pass(3600);
    world.fail("192.0.2.9", "alice");
    assert_eq!(world.throttle.pairs.entries.len(), 1, "what no longer counts goes first");
    assert_eq!(world.throttle.failures.order.len(), 1);
}
