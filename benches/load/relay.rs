//! TopChat's server alone: streams and round trips, in memory and on disk.

use std::io;
use std::time::Duration;

use serde_json::json;

use super::Common;
use super::dialect::Conn;
use super::drive::{self, Case, Outcome, Pattern};
use super::process::TopChatServer;
use super::table::{self, Table, median, short};
use super::topchat::{self, Keys};

/// What the server is started with: no limit of the rate, and mailboxes that hold every sender's window.
pub const SETTINGS: [&str; 8] =
    ["--rate", "0", "--mailbox-messages", "100000", "--mailbox-per-sender", "100000", "--mailbox-kib", "1048576"];

/// A case with its name.
pub struct Named {
    /// As it stands in the tables.
    pub name: String,
    /// What is done.
    pub case: Case,
}

/// The cases of a durability: its answers count where it is the disk's.
pub fn cases(common: &Common, on_disk: bool) -> Vec<Named> {
    let mut patterns = Vec::new();
    for window in [1, 10, 1000] {
        for senders in [1, common.members] {
            patterns.push((format!("group, {senders} senders, window {window}"), Pattern::Group { senders }, window));
        }
    }
    for window in [1, 10, 1000] {
        for senders in [1, common.members] {
            patterns.push((format!("direct, {senders} senders, window {window}"), Pattern::Direct { senders }, window));
        }
    }
    patterns.push((format!("ping-pong, {} pairs", common.members / 2), Pattern::PingPong, 1));
    let time = Duration::from_secs_f64(common.seconds);
    let named = |(name, pattern, window): (String, Pattern, u64)| {
        // A round trip crosses no thread of the generator.
        let threads = if window == 1 { 1 } else { common.threads };
        Named { name, case: Case { pattern, window, awaits_answers: on_disk, warm_up: time / 4, time, threads } }
    };
    patterns.into_iter().map(named).filter(|named| named.name.contains(&common.only)).collect()
}

/// A server with its members, and what was measured.
struct Subject {
    server: TopChatServer,
    connections: Vec<Conn>,
    outcomes: Vec<Vec<Outcome>>,
}

/// Measures, prints, and writes what is asked for.
pub fn run(common: &Common) -> io::Result<()> {
    let keys = Keys::new(3072, common.text)?;
    let mut tables = String::new();
    let mut rows = Vec::new();
    for durability in ["memory", "disk"] {
        let named = cases(common, durability == "disk");
        let mut subjects = Vec::new();
        for program in &common.server {
            let arguments = [&SETTINGS[..], &["--durability", durability]].concat();
            let server = TopChatServer::start(program, &keys, common.members, &arguments)?;
            let connections = gather(&server, &keys, common.members)?;
            subjects.push(Subject { server, connections, outcomes: named.iter().map(|_| Vec::new()).collect() });
        }
        for round in 0..common.rounds {
            for (index, Named { name, case }) in named.iter().enumerate() {
                for subject in &mut subjects {
                    let id = subject.server.running.id();
                    let stamp = (round * named.len() + index) as u64;
                    let outcome = drive::run(&mut subject.connections, common.members, case, stamp, id)?;
                    eprintln!("{durability}, {name}: {}", words(&outcome));
                    subject.outcomes[index].push(outcome);
                }
            }
        }
        for (subject, program) in subjects.iter().zip(&common.server) {
            let title = if common.server.len() > 1 { format!(" ({})", program.display()) } else { String::new() };
            let table = show(&named, &subject.outcomes);
            tables += &format!("`--durability {durability}`{title}:\n\n{}\n", table.to_markdown());
            rows.extend(named.iter().zip(&subject.outcomes).map(|(named, outcomes)| {
                let (name, program) = (&named.name, program.display().to_string());
                json!({ "durability": durability, "server": program, "case": name, "rounds": numbers(outcomes) })
            }));
        }
    }
    println!("{tables}");
    table::write(common, "relay", &tables, &json!({ "part": "relay", "text": common.text, "rows": rows }))
}

/// All members, logged in.
pub fn gather(server: &TopChatServer, keys: &Keys, members: usize) -> io::Result<Vec<Conn>> {
    let tls = topchat::tls()?;
    (0..members).map(|member| keys.connect(server.address, member, &tls)).collect()
}

fn words(outcome: &Outcome) -> String {
    format!(
        "{} deliveries/s, {} + {} s CPU per million, p50 {} µs, p99 {} µs, {} lost, {} out of order",
        short(outcome.rate),
        short(outcome.server_cpu),
        short(outcome.generator_cpu),
        short(outcome.round_trip(0.5)),
        short(outcome.round_trip(0.99)),
        outcome.missing,
        outcome.disorder
    )
}

fn show(named: &[Named], outcomes: &[Vec<Outcome>]) -> Table {
    let mut table =
        Table::new(&["case", "deliveries/s", "server CPU s per million", "p50 µs", "p99 µs", "lost or doubled"]);
    for (named, outcomes) in named.iter().zip(outcomes) {
        let of = |pick: &dyn Fn(&Outcome) -> f64| short(median(&outcomes.iter().map(pick).collect::<Vec<_>>()));
        table.row(vec![
            named.name.clone(),
            of(&|outcome| outcome.rate),
            of(&|outcome| outcome.server_cpu),
            of(&|outcome| outcome.round_trip(0.5)),
            of(&|outcome| outcome.round_trip(0.99)),
            outcomes.iter().map(|outcome| outcome.missing + outcome.disorder).sum::<u64>().to_string(),
        ]);
    }
    table
}

/// Every round as JSON.
pub fn numbers(outcomes: &[Outcome]) -> serde_json::Value {
    let of = |outcome: &Outcome| {
        json!({
            "deliveries_per_s": outcome.rate,
            "server_cpu_s_per_million": outcome.server_cpu,
            "generator_cpu_s_per_million": outcome.generator_cpu,
            "p50_us": outcome.round_trip(0.5),
            "p99_us": outcome.round_trip(0.99),
            "missing": outcome.missing,
            "disorder": outcome.disorder,
        })
    };
    outcomes.iter().map(of).collect()
}
