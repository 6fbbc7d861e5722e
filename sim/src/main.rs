//! Runs the server and its clients in a simulated world: their real logs, journals, inboxes and outboxes on disks that lose, tear
//! and refuse, behind links that break, by clocks that step. Everything is drawn from one seed, which repeats it on any machine.

mod cast;
mod oracle;
mod plan;
mod story;
#[cfg(test)]
mod tests;
mod world;

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Parser;

use plan::Plan;
use story::{Outcome, play};

/// Plays seeds and tells what must not have happened.
#[derive(Parser)]
#[command(name = "topchat-sim")]
struct Options {
    /// How many seeds to play.
    #[arg(long, default_value_t = 1000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Plays this one alone, and tells what happens.
    #[arg(long)]
    seed: Option<u64>,
    /// Ends after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Ends with the first finding.
    #[arg(long)]
    first: bool,
    /// How many threads play.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match options.seed {
        Some(seed) => replay(seed),
        None => many(&options),
    }
}

fn replay(seed: u64) -> ExitCode {
    let plan = Plan::of(seed);
    println!("seed {seed}: {}", plan.troubles());
    let outcome = play(&plan);
    let Outcome { steps, sends, shows, effects, trace, finding } = &outcome;
    println!("{steps} steps, {sends} sends, {shows} shown, {effects} effects on disks, trace {trace:016x}");
    match finding {
        None => {
            println!("1 seed, {steps} steps, 0 findings");
            ExitCode::SUCCESS
        }
        Some(finding) => {
            println!("finding: {finding}");
            let small = shrink(plan, finding);
            story::LOUD.set(true);
            let again = play(&small);
            println!("smallest: {} steps, {}", again.steps, small.troubles());
            println!("finding there: {}", again.finding.unwrap_or_default());
            println!("1 seed, {steps} steps, 1 finding");
            ExitCode::FAILURE
        }
    }
}

/// The fewest steps and kinds of trouble with which something is found.
fn shrink(mut plan: Plan, finding: &str) -> Plan {
    let kind = kind(finding);
    let fails = |plan: &Plan| play(plan).finding.is_some_and(|finding| self::kind(&finding) == kind);
    loop {
        let simpler = plan.simpler().into_iter().find(fails);
        match simpler {
            Some(simpler) => plan = simpler,
            None => break,
        }
    }
    let (mut good, mut bad) = (0, plan.steps);
    while good + 1 < bad {
        let middle = good.midpoint(bad);
        match fails(&plan.ending(middle)) {
            true => bad = middle,
            false => good = middle,
        }
    }
    plan.ending(bad)
}

/// What a finding says of any message and person.
fn kind(finding: &str) -> String {
    finding.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 3).take(12).collect()
}

fn many(options: &Options) -> ExitCode {
    let (begun, next, tally) = (Instant::now(), AtomicU64::new(0), Mutex::new(Tally::default()));
    let until = options.seconds.map(Duration::from_secs);
    let is_over =
        || until.is_some_and(|until| begun.elapsed() >= until) || (options.first && tally_of(&tally).findings > 0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= options.seeds || is_over() {
                return;
            }
            let seed = options.from + at;
            let outcome = play(&Plan::of(seed));
            if let Some(finding) = &outcome.finding {
                println!("seed {seed}: {finding}");
            }
            tally_of(&tally).add(&outcome);
        }
    };
    std::thread::scope(|scope| (0..options.jobs.max(1)).for_each(|_| drop(scope.spawn(work))));
    let Tally { steps, findings, mut sends } = std::mem::take(&mut *tally_of(&tally));
    sends.sort_unstable();
    let median = sends.get(sends.len() / 2).copied().unwrap_or(0);
    println!(
        "{} sends, {median} in the median seed, {:.1} s",
        sends.iter().sum::<u64>(),
        begun.elapsed().as_secs_f64()
    );
    println!("{} seeds, {steps} steps, {findings} findings", sends.len());
    if findings == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What came of all seeds so far.
#[derive(Default)]
struct Tally {
    steps: u64,
    findings: u64,
    /// Of each seed.
    sends: Vec<u64>,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.steps += outcome.steps;
        self.findings += u64::from(outcome.finding.is_some());
        self.sends.push(outcome.sends);
    }
}

fn tally_of(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}
