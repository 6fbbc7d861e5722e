//! What a seed is about: how many people, which of the things that can happen do, and how often.

use fastrand::Rng;
use topchat::server::Durability;

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Write,
    Up,
    Down,
    Disk,
    Pass,
    LongPass,
    Connect,
    Cut,
    Stall,
    StartClient,
    StopClient,
    KillClient,
    StartServer,
    StopServer,
    KillServer,
    Clock,
    Faults,
    Disable,
    Delete,
    Register,
    Backup,
    Restore,
    Rot,
}

/// What always happens, with its weight.
const ALWAYS: [(Act, u32); 8] = [
    (Act::Write, 250),
    (Act::Up, 300),
    (Act::Down, 350),
    (Act::Disk, 250),
    (Act::Pass, 120),
    (Act::Connect, 120),
    (Act::StartClient, 60),
    (Act::StartServer, 60),
];

/// What happens in some seeds, with its greatest weight.
const SOMETIMES: [(Act, u32); 15] = [
    (Act::LongPass, 4),
    (Act::Cut, 20),
    (Act::Stall, 8),
    (Act::StopClient, 8),
    (Act::KillClient, 12),
    (Act::StopServer, 6),
    (Act::KillServer, 10),
    (Act::Clock, 10),
    (Act::Faults, 12),
    (Act::Disable, 4),
    (Act::Delete, 4),
    (Act::Register, 20),
    (Act::Backup, 6),
    (Act::Restore, 4),
    (Act::Rot, 4),
];

/// The plan of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    pub(crate) people: usize,
    pub(crate) is_modern: bool,
    /// A digest stands in for RSA.
    pub(crate) stands_in: bool,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: u64,
    /// How many group messages are kept for those who are away.
    pub(crate) group: usize,
    pub(crate) delay_ms: u64,
    pub(crate) weights: Vec<(Act, u32)>,
}

impl Plan {
    /// What this seed is about.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut weights = ALWAYS.to_vec();
        for (act, most) in SOMETIMES {
            // Each seed has its own subset: much of one kind of trouble finds other faults than a little of all.
            if rng.u8(..10) < 4 {
                weights.push((act, rng.u32(1..=most)));
            }
        }
        Self {
            seed,
            steps: rng.u64(600..3000),
            people: rng.usize(2..=5),
            is_modern: rng.u8(..20) == 0,
            stands_in: seed % 1000 != 999,
            durability: if rng.u8(..6) == 0 { Durability::Memory } else { Durability::Disk },
            segment_bytes: [700, 2_000, 2_000, 20_000, 4 << 20][rng.usize(..5)],
            group: [20, 200, 1000][rng.usize(..3)],
            delay_ms: [0, 5, 80, 2_000][rng.usize(..4)],
            weights,
        }
    }

    /// What happens next.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Act {
        let mut left = rng.u32(..self.weights.iter().map(|(_, weight)| weight).sum::<u32>());
        for (act, weight) in &self.weights {
            match left.checked_sub(*weight) {
                Some(rest) => left = rest,
                None => return *act,
            }
        }
        Act::Pass
    }

    /// The same without one kind of trouble, for each that it has.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let without = (ALWAYS.len()..self.weights.len()).map(|at| {
            let mut plan = self.clone();
            plan.weights.remove(at);
            plan
        });
        let fewer = (self.people > 2).then(|| Self { people: self.people - 1, ..self.clone() });
        without.chain(fewer).collect()
    }

    /// The same with this trouble alone.
    #[cfg(test)]
    pub(crate) fn about(self, troubles: &[(Act, u32)]) -> Self {
        Self { weights: [&ALWAYS, troubles].concat(), ..self }
    }

    /// The same in which this never happens.
    #[cfg(test)]
    pub(crate) fn without(mut self, act: Act) -> Self {
        self.weights.retain(|(other, _)| *other != act);
        self
    }

    /// The same that ends after so many steps.
    pub(crate) fn ending(&self, steps: u64) -> Self {
        Self { steps, ..self.clone() }
    }

    /// What goes wrong in it.
    pub(crate) fn troubles(&self) -> String {
        let troubles: Vec<_> = self.weights[ALWAYS.len()..].iter().map(|(act, _)| format!("{act:?}")).collect();
        format!("{} people, {:?}, {}", self.people, self.durability, troubles.join(" "))
    }
}
