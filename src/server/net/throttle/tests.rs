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
        Self { throttle: Throttle::new(Slowness::default(), true), now: Instant::now() }
    }

    fn pass(&mut self, secs: u64) {
        self.now += Duration::from_secs(secs);
    }

    /// After how many seconds a login without a proof of the key is answered.
    fn stranger(&mut self, source: &str) -> u64 {
        self.throttle.stranger(address(source), self.now).as_secs()
    }

    /// After how many seconds one with it is.
    fn owner(&self, source: &str, text: &str) -> u64 {
        self.throttle.owner(address(source), &name(text), self.now).as_secs()
    }

    fn guess(&mut self, source: &str, text: &str) {
        self.throttle.guessed(address(source), &name(text), self.now);
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
fn who_can_not_prove_the_key_is_answered_after_one_to_eight_seconds() {
    let mut world = World::new();
    assert_eq!([(); 7].map(|()| world.stranger(HOME)), [1, 2, 4, 8, 8, 8, 8]);
    assert_eq!(world.stranger(ELSEWHERE), 1);
    (0..1000).for_each(|_| assert_eq!(world.stranger(HOME), 8));
}

#[test]
fn whose_key_is_proved_never_waits_for_the_failures_of_others() {
    let mut world = World::new();
    (0..100).for_each(|_| assert_ne!(world.stranger(HOME), 0));
    assert_eq!(world.owner(HOME, "alice"), 0, "strangers at the same address");
    (0..100).for_each(|_| world.guess(ELSEWHERE, "alice"));
    (0..100).for_each(|_| world.guess(HOME, "bob"));
    assert_eq!(world.owner(HOME, "alice"), 0, "the same key elsewhere, another one here");
}

#[test]
fn wrong_passwords_of_a_proved_key_slow_it_down_until_the_right_one() {
    let mut world = World::new();
    for secs in [0, 1, 2, 4, 8, 8] {
        assert_eq!(world.owner(HOME, "alice"), secs);
        world.guess(HOME, "alice");
    }
    assert_eq!(world.stranger(HOME), 1, "another matter");
    world.throttle.succeeded(address(HOME), &name("alice"));
    assert_eq!(world.owner(HOME, "alice"), 0);
}

#[test]
fn old_failures_are_forgotten() {
    let mut world = World::new();
    for _ in 0..4 {
        world.guess(HOME, "alice");
        world.stranger(HOME);
    }
    world.pass(3599);
    assert_eq!((world.owner(HOME, "alice"), world.stranger(HOME)), (8, 8));
    world.pass(1);
    assert_eq!(world.owner(HOME, "alice"), 0);
    world.guess(HOME, "alice");
    assert_eq!(world.owner(HOME, "alice"), 1);
    world.pass(3600);
    assert_eq!(world.stranger(HOME), 1);
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
    assert_eq!(world.owner("127.0.0.2", "alice"), 0, "a login is another matter");
    for _ in 0..100 {
        assert_eq!(world.registration_wait("127.0.0.1"), 0);
        assert_eq!(world.registration_wait("::1"), 0);
    }
    world.pass(3600);
    assert_eq!(world.registration_wait("127.0.0.2"), 0);
}

/// Behind a proxy that can't tell for whom it connects, everybody is it.
#[test]
fn where_a_proxy_is_trusted_registrations_from_this_machine_are_limited_too() {
    let mut world = World { throttle: Throttle::new(Slowness::default(), false), now: Instant::now() };
    for source in ["127.0.0.1", "::1"] {
        (0..20).for_each(|_| assert_eq!(world.registration_wait(source), 0));
        assert_eq!(world.registration_wait(source), 3600);
    }
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
    let mut world = World { throttle: Throttle::with_entries(Slowness::default(), true, 3), now: Instant::now() };
    for source in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.1", "192.0.2.4"] {
        world.guess(source, "alice");
    }
    let guesses = &world.throttle.guesses;
    assert_eq!((guesses.entries.len(), guesses.order.len()), (3, 3));
    assert_eq!(world.owner("192.0.2.2", "alice"), 0, "forgotten");
    assert_ne!(world.owner("192.0.2.1", "alice"), 0, "touched again");
    world.pass(3600);
    world.guess("192.0.2.9", "alice");
    let guesses = &world.throttle.guesses;
    assert_eq!((guesses.entries.len(), guesses.order.len()), (1, 1), "what no longer counts goes first");
}

#[test]
fn what_is_slowed_is_told_and_can_be_lifted_by_address_by_name_or_all() {
    let mut world = World::new();
    let network = "2001:db8:1:2::9";
    let fill = |world: &mut World| {
        (0..5).for_each(|_| assert_ne!(world.stranger(HOME), 0));
        world.stranger(network);
        (0..2).for_each(|_| world.guess(HOME, "alice"));
        world.guess(ELSEWHERE, "alice");
        (0..20).for_each(|_| assert_eq!(world.registration_wait(ELSEWHERE), 0));
        world.registration_wait(HOME);
    };
    let told = |world: &World| {
        let line = |slowed: Slowed| {
            let name = slowed.name.map_or(String::new(), |name| format!(" {name}"));
            format!("{:?}{name} {} {} {}", slowed.kind, slowed.source, slowed.count, slowed.wait.as_secs())
        };
        world.throttle.slowed(world.now).into_iter().map(line).collect::<Vec<_>>()
    };
    fill(&mut world);
    let all = [
        "Registrations 192.0.2.2 20 3600",
        "Logins 192.0.2.1 5 8",
        "Passwords alice 192.0.2.1 2 2",
        "Logins 2001:db8:1:2::/64 1 2",
        "Passwords alice 192.0.2.2 1 1",
    ];
    assert_eq!(told(&world), all);
    for (whose, lifted) in
        [("alice", 2), ("192.0.2.1", 2), ("2001:db8:1:2::/64", 1), (network, 1), ("bob", 0), (ELSEWHERE, 2)]
    {
        let mut world = World::new();
        fill(&mut world);
        let whose: Whose = whose.parse().unwrap();
        assert_eq!(world.throttle.unlock(Some(&whose), world.now), lifted, "{whose}");
        assert_eq!(told(&world).len(), 5 - lifted);
    }
    assert_eq!(world.throttle.unlock(None, world.now), 5);
    assert_eq!((told(&world).len(), world.stranger(HOME), world.registration_wait(ELSEWHERE)), (0, 1, 0));
    world.pass(3600);
    assert_eq!(told(&world), [""; 0], "an hour ends it, too");
    for text in ["", "Alice", "10.0.0.0/8", "all", "192.0.2.1/64", "a b"] {
        assert_eq!(text.parse::<Whose>(), Err(WhoseError), "{text}");
    }
}
