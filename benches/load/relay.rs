//! TopChat's server alone: streams and round trips, in memory and on disk.

use std::io;
use std::path::Path;
use std::time::Duration;

use ::topchat::limits::{OUTBOX_FRAMES, SENDS_UNANSWERED, UNACKNOWLEDGED, WRITE_BATCH};
use serde_json::json;

use super::Common;
use super::dialect::Conn;
use super::drive::{self, Case, Outcome, Pattern};
use super::process::TopChatServer;
use super::table::{self, Table, median, short};
use super::topchat::{self, Keys};

/// What the server is started with: no limit of the rate, and mailboxes that hold every sender's window.
pub(crate) const SETTINGS: [&str; 8] =
    ["--rate", "0", "--mailbox-messages", "100000", "--mailbox-per-sender", "100000", "--mailbox-kib", "1048576"];

/// A case with its name.
pub(crate) struct Named {
    /// As it stands in the tables.
    pub name: String,
    /// What is done.
    pub case: Case,
    /// Bytes of text in each message.
    pub text: usize,
}

/// The cases of a durability: its answers count where it is the disk's.
fn cases(common: &Common, on_disk: bool) -> Vec<Named> {
    let (all, time) = (common.members, Duration::from_secs_f64(common.seconds));
    let case = |pattern, window| {
        // A round trip crosses no thread of the generator.
        let threads = if window == 1 { 1 } else { common.threads };
        Case { pattern, window, burst: None, awaits_answers: on_disk, warm_up: time / 4, time, threads }
    };
    let mut cases = Vec::new();
    let mut add = |name: String, case, text| cases.push(Named { name, case, text });
    for (kind, pattern) in [("group", group as fn(usize) -> Pattern), ("direct", direct)] {
        for (window, senders) in [1, 10, 1000].into_iter().flat_map(|window| [(window, 1), (window, all)]) {
            let name = format!("{kind}, {senders} senders, window {window}");
            add(name, case(pattern(senders), window), common.text);
        }
    }
    add(format!("ping-pong, {} pairs", all / 2), case(Pattern::PingPong, 1), common.text);
    let burst = Case { burst: Some(BURST), ..case(group(all), 1000) };
    add(format!("group, bursts of {all} × {BURST}"), burst, common.text);
    for text in TEXTS.into_iter().filter(|_| !on_disk) {
        add(format!("group, {all} senders, window 1000, text of {text}"), case(group(all), 1000), text);
    }
    for is_slow in [false, true] {
        let name = format!("group, {} beside a {} reader, window 10", all - 1, if is_slow { "slow" } else { "fast" });
        add(name, case(Pattern::Beside { is_slow }, 10), common.text);
    }
    cases.into_iter().filter(|named| named.name.contains(&common.only)).collect()
}

fn group(senders: usize) -> Pattern {
    Pattern::Group { senders }
}

fn direct(senders: usize) -> Pattern {
    Pattern::Direct { senders }
}

/// A server with its members, and what was measured.
struct Subject<'a> {
    program: &'a Path,
    arguments: Vec<&'a str>,
    server: TopChatServer,
    connections: Vec<Conn>,
    outcomes: Vec<Vec<Outcome>>,
}

impl<'a> Subject<'a> {
    fn new(common: &Common, keys: &Keys, program: &'a Path, durability: &'a str) -> io::Result<Self> {
        let arguments = [&SETTINGS[..], &["--durability", durability]].concat();
        let server = TopChatServer::start(program, keys, common.members, &arguments)?;
        let connections = gather(&server, keys, common.members)?;
        Ok(Self { program, arguments, server, connections, outcomes: Vec::new() })
    }

    fn measure(&mut self, keys: &Keys, named: &Named, run: u64) -> io::Result<Outcome> {
        let members = self.connections.len();
        if matches!(named.case.pattern, Pattern::Beside { .. }) {
            // On a server of its own: what waits for a slow reader would come into the next case.
            let server = TopChatServer::start(self.program, keys, members, &self.arguments)?;
            let mut connections = gather(&server, keys, members)?;
            return drive::run(&mut connections, members, &named.case, run, server.running.id());
        }
        for (member, conn) in self.connections.iter_mut().enumerate() {
            conn.dialect = keys.dialect(member, named.text);
        }
        drive::run(&mut self.connections, members, &named.case, run, self.server.running.id())
    }
}

/// Measures, prints, and writes what is asked for.
pub(crate) fn run(common: &Common) -> io::Result<()> {
    let keys = Keys::new(3072, common.text)?;
    let mut tables = queues();
    let mut rows = Vec::new();
    for durability in ["memory", "disk"] {
        let named = cases(common, durability == "disk");
        for subject in subjects(common, &keys, durability, &named)? {
            let program = subject.program.display().to_string();
            let title = if common.server.len() > 1 { format!(" ({program})") } else { String::new() };
            let table = show(&named, &subject.outcomes).to_markdown();
            tables += &format!("`--durability {durability}`{title}:\n\n{table}\n");
            rows.extend(named.iter().zip(&subject.outcomes).map(|(named, outcomes)| {
                let (name, rounds) = (&named.name, numbers(outcomes));
                json!({ "durability": durability, "server": program, "case": name, "rounds": rounds })
            }));
        }
    }
    println!("{tables}");
    table::write(common, "relay", &tables, &json!({ "part": "relay", "text": common.text, "rows": rows }))
}

/// All programs in turn, case by case.
fn subjects<'a>(common: &'a Common, keys: &Keys, durability: &'a str, cases: &[Named]) -> io::Result<Vec<Subject<'a>>> {
    let programs = common.server.iter();
    let mut subjects: Vec<_> =
        programs.map(|program| Subject::new(common, keys, program, durability)).collect::<io::Result<_>>()?;
    for round in 0..common.rounds {
        for (index, named) in cases.iter().enumerate() {
            for subject in &mut subjects {
                let outcome = subject.measure(keys, named, (round * cases.len() + index) as u64)?;
                eprintln!("{durability}, {}: {}", named.name, words(&outcome));
                subject.outcomes.resize_with(cases.len(), Vec::new);
                subject.outcomes[index].push(outcome);
            }
        }
    }
    Ok(subjects)
}

/// What bounds the messages under way.
fn queues() -> String {
    format!(
        "Started with `{}`. Queues: {SENDS_UNANSWERED} unanswered messages of a sender, {UNACKNOWLEDGED} unacknowledged \
         deliveries and {OUTBOX_FRAMES} other frames of a receiver, {} KiB gathered for one write.\n\n",
        SETTINGS.join(" "),
        WRITE_BATCH / 1024
    )
}

/// All members, logged in.
pub(crate) fn gather(server: &TopChatServer, keys: &Keys, members: usize) -> io::Result<Vec<Conn>> {
    let tls = topchat::tls()?;
    (0..members).map(|member| keys.connect(server.address, member, &tls)).collect()
}

fn words(outcome: &Outcome) -> String {
    format!(
        "{} deliveries/s, {} + {} s CPU per million, p50 {} µs, p99 {} µs, {} lost, {} out of order",
        short(outcome.rate),
        short(outcome.server_cpu),
        short(outcome.generator_cpu),
        short(outcome.delay(0.5)),
        short(outcome.delay(0.99)),
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
            of(&|outcome| outcome.delay(0.5)),
            of(&|outcome| outcome.delay(0.99)),
            outcomes.iter().map(|outcome| outcome.missing + outcome.disorder).sum::<u64>().to_string(),
        ]);
    }
    table
}

/// Every round as JSON.
pub(crate) fn numbers(outcomes: &[Outcome]) -> serde_json::Value {
    let of = |outcome: &Outcome| {
        json!({
            "deliveries_per_s": outcome.rate,
            "server_cpu_s_per_million": outcome.server_cpu,
            "generator_cpu_s_per_million": outcome.generator_cpu,
            "p50_us": outcome.delay(0.5),
            "p99_us": outcome.delay(0.99),
            "missing": outcome.missing,
            "disorder": outcome.disorder,
        })
    };
    outcomes.iter().map(of).collect()
}

/// Messages of each sender in a burst.
pub(crate) const BURST: u64 = 100;
/// Lengths of texts beside the usual one.
const TEXTS: [usize; 3] = [16, 256, 2048];
