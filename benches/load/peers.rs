//! TopChat beside other servers: the same load, in turn, in one run.

use std::io;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::Common;
use super::dialect::To;
use super::drive::{self, Case, Outcome, Pattern};
use super::plot;
use super::relay::{BURST, numbers};
use super::systems::{Program, System};
use super::table::{self, Table, median, short};
use super::topchat::Keys;

/// A case for some servers.
#[derive(Clone, Copy)]
struct Comparison {
    name: &'static str,
    pattern: Pattern,
    window: u64,
    burst: Option<u64>,
    /// Bytes of text, if not the usual ones.
    text: Option<usize>,
    is_kept: bool,
}

const LIVE: [(Program, bool); 11] = [
    (Program::TopChat, true),
    (Program::Bare, true),
    (Program::Acknowledged, true),
    (Program::Bare, false),
    (Program::Nats, true),
    (Program::Nats, false),
    (Program::Redis, true),
    (Program::Redis, false),
    (Program::Mosquitto, true),
    (Program::Ngircd, true),
    (Program::Ngircd, false),
];
const KEPT: [(Program, bool); 3] = [(Program::TopChat, true), (Program::Nats, true), (Program::Mosquitto, true)];

fn comparisons(members: usize) -> [Comparison; 10] {
    let group = Pattern::Group { senders: members };
    let direct = Pattern::Direct { senders: members };
    let of = |name, pattern, window| Comparison { name, pattern, window, burst: None, text: None, is_kept: false };
    [
        of("group, window 1000", group, 1000),
        of("group, window 1", group, 1),
        of("direct, window 1000", direct, 1000),
        of("ping-pong", Pattern::PingPong, 1),
        Comparison { text: Some(2048), ..of("group, window 1000, text of 2048", group, 1000) },
        Comparison { burst: Some(BURST), ..of("group, bursts of 10 × 100", group, 1000) },
        of("group, nine beside a fast reader, window 10", Pattern::Beside { is_slow: false }, 10),
        of("group, nine beside a slow reader, window 10", Pattern::Beside { is_slow: true }, 10),
        Comparison { is_kept: true, ..of("group, window 1000, kept", group, 1000) },
        Comparison { is_kept: true, ..of("ping-pong, kept", Pattern::PingPong, 1) },
    ]
}

/// One of the numbers of an outcome.
type Pick = fn(&Outcome) -> f64;

/// What was measured of one system in one case, a value per round.
struct Line {
    case: usize,
    system: System,
    outcomes: Vec<Outcome>,
    failure: Option<String>,
}

/// Measures, prints, and writes what is asked for.
pub(crate) fn run(common: &Common, svg: Option<&std::path::Path>) -> io::Result<()> {
    let keys = Keys::new(3072, common.text)?;
    let comparisons = comparisons(common.members);
    let mut lines = Vec::new();
    for (case, comparison) in comparisons.iter().enumerate().filter(|(_, case)| case.name.contains(&common.only)) {
        let systems: &[(Program, bool)] = if comparison.is_kept { &KEPT } else { &LIVE };
        // A line of IRC is too short for other texts.
        let fits = |program| program != Program::Ngircd || comparison.text.is_none();
        lines.extend(systems.iter().filter(|(program, _)| fits(*program)).map(|(program, is_secured)| {
            let system = System { program: *program, is_secured: *is_secured, is_kept: comparison.is_kept };
            Line { case, system, outcomes: Vec::new(), failure: None }
        }));
    }
    for round in 0..common.rounds {
        for line in lines.iter_mut().filter(|line| line.failure.is_none()) {
            let comparison = &comparisons[line.case];
            match measure(common, &keys, line.system, comparison) {
                Ok(outcome) => {
                    eprintln!(
                        "round {}, {}, {}: {}/s",
                        round + 1,
                        comparison.name,
                        line.system.name(),
                        short(outcome.rate)
                    );
                    line.outcomes.push(outcome);
                }
                Err(error) => {
                    eprintln!("{}, {}: {error}", comparison.name, line.system.name());
                    line.failure = Some(error.to_string());
                }
            }
        }
    }
    report(common, &comparisons, &lines, svg)
}

/// One case on a server of its own, so that none has another's past.
fn measure(common: &Common, keys: &Keys, system: System, comparison: &Comparison) -> io::Result<Outcome> {
    let is_group = matches!(comparison.pattern, Pattern::Group { .. } | Pattern::Beside { .. });
    let to = if is_group { To::Group } else { To::Member(1) };
    let started = system.start(common.program(), keys, common.members)?;
    let text = comparison.text.unwrap_or(common.text);
    let mut connections = system.gather(&started, keys, common.members, to, text)?;
    let time = Duration::from_secs_f64(common.seconds);
    let threads = if comparison.window == 1 { 1 } else { common.threads };
    let awaits_answers = comparison.is_kept && comparison.pattern != Pattern::PingPong;
    let Comparison { pattern, window, burst, .. } = *comparison;
    let case = Case { pattern, window, burst, awaits_answers, warm_up: time / 4, time, threads };
    drive::run(&mut connections, common.members, &case, 1, started.running.id())
}

fn report(
    common: &Common,
    comparisons: &[Comparison],
    lines: &[Line],
    svg: Option<&std::path::Path>,
) -> io::Result<()> {
    let mut text = format!("{}\n\n", versions().join(", "));
    let mut bars = Vec::new();
    for (case, comparison) in comparisons.iter().enumerate() {
        let of_case: Vec<_> = lines.iter().filter(|line| line.case == case).collect();
        let Some(own) = of_case.first() else { continue };
        let mut table = Table::new(&[
            comparison.name,
            "deliveries/s",
            "TopChat is … times as fast",
            "server CPU s per million",
            "TopChat takes … times as much",
            "p50 µs",
            "p99 µs",
            "lost or doubled",
        ]);
        for line in &of_case {
            table.row(row(own, line));
            if comparison.burst.is_none() {
                bars.push(plot::Bar { group: comparison.name, name: line.system.name(), value: rate(line) });
            }
        }
        text += &table.to_markdown();
        text += "\n";
    }
    text += &floor(comparisons, lines).to_markdown();
    text += "\n";
    text += &targets(comparisons, lines).to_markdown();
    println!("{text}");
    for program in [Program::Nats, Program::Mosquitto, Program::Redis, Program::Ngircd] {
        let system =
            System { program, is_secured: true, is_kept: matches!(program, Program::Nats | Program::Mosquitto) };
        println!("configuration of {}:\n{}", system.name(), system.configuration("FOLDER", "PORT"));
    }
    if let Some(file) = svg {
        std::fs::write(file, plot::svg(&bars))?;
    }
    let rows: Vec<_> = lines
        .iter()
        .map(|line| {
            let (case, system) = (comparisons[line.case].name, line.system.name());
            json!({ "case": case, "system": system, "rounds": numbers(&line.outcomes), "failure": line.failure })
        })
        .collect();
    table::write(common, "peers", &text, &json!({ "part": "peers", "versions": versions(), "rows": rows }))
}

/// What a thread per client costs beside others, and what TopChat's own work costs above that.
fn floor(comparisons: &[Comparison], lines: &[Line]) -> Table {
    let (stream, talk, direct, pairs) = ("group, window 1000", "group, window 1", "direct, window 1000", "ping-pong");
    let rows: [(_, _, _, Pick); 10] = [
        ("group, window 1000, TLS: deliveries/s", stream, true, |outcome| outcome.rate),
        ("group, window 1000, TLS: server CPU per delivery", stream, true, |outcome| outcome.server_cpu),
        ("group, window 1, TLS: deliveries/s", talk, true, |outcome| outcome.rate),
        ("direct, window 1000, TLS: deliveries/s", direct, true, |outcome| outcome.rate),
        ("direct, window 1000, TLS: server CPU per delivery", direct, true, |outcome| outcome.server_cpu),
        ("ping-pong, TLS: p50", pairs, true, |outcome| outcome.delay(0.5)),
        ("ping-pong, TLS: p99", pairs, true, |outcome| outcome.delay(0.99)),
        ("ping-pong, TLS: server CPU per delivery", pairs, true, |outcome| outcome.server_cpu),
        ("ping-pong: p50", pairs, false, |outcome| outcome.delay(0.5)),
        ("ping-pong: p99", pairs, false, |outcome| outcome.delay(0.99)),
    ];
    let mut table = Table::new(&["floor", "of nats-server", "of redis-server", "TopChat of the floor"]);
    for (what, case, is_secured, pick) in rows {
        let of = |program| find(comparisons, lines, case, program, is_secured);
        let cell = |own: Option<&Line>, other: Option<&Line>| {
            own.zip(other)
                .map_or_else(|| "–".to_owned(), |(own, other)| format!("{} ×", short(ratio(own, other, pick))))
        };
        for (floor, name) in [(Program::Bare, "bare"), (Program::Acknowledged, "acknowledged")] {
            let Some(floor) = of(floor) else { continue };
            let mut row = vec![format!("{what}, {name}")];
            row.extend([Program::Nats, Program::Redis].map(|other| cell(Some(floor), of(other))));
            row.push(cell(of(Program::TopChat), Some(floor)));
            table.row(row);
        }
    }
    table
}

/// What the project set out to reach, and what came of it.
fn targets(comparisons: &[Comparison], lines: &[Line]) -> Table {
    use Program::{Mosquitto, Nats, Redis, TopChat};
    let rate: Pick = |outcome| outcome.rate;
    let p50: Pick = |outcome| outcome.delay(0.5);
    let p99: Pick = |outcome| outcome.delay(0.99);
    let (stream, talk, kept) = ("group, window 1000", "group, window 1", "group, window 1000, kept");
    let wanted = [
        ("group, window 1000: deliveries/s of nats-server with TLS", "≥ 2 ×", stream, Nats, true, rate),
        ("the same of nats-server without TLS", "≥ 1 ×", stream, Nats, false, rate),
        ("the same of mosquitto with TLS", "≥ 10 ×", stream, Mosquitto, true, rate),
        ("server CPU per delivery of nats-server with TLS", "≤ 0.5 ×", stream, Nats, true, |outcome| {
            outcome.server_cpu
        }),
        ("kept: deliveries/s of JetStream with files", "≥ 5 ×", kept, Nats, true, rate),
        ("kept: deliveries/s of mosquitto with QoS 1", "≥ 5 ×", kept, Mosquitto, true, rate),
        ("group, window 1: deliveries/s of nats-server with TLS", "≥ 1 ×", talk, Nats, true, rate),
        ("the same of redis-server with TLS", "≥ 0.4 ×", talk, Redis, true, rate),
        ("ping-pong, p50 of nats-server with TLS", "≤ 1 ×", "ping-pong", Nats, true, p50),
        ("ping-pong, p99 of nats-server with TLS", "≤ 1 ×", "ping-pong", Nats, true, p99),
        ("ping-pong, p50 of redis-server with TLS", "≤ 1 ×", "ping-pong", Redis, true, p50),
        ("ping-pong, p99 of redis-server with TLS", "≤ 1 ×", "ping-pong", Redis, true, p99),
    ];
    let mut table = Table::new(&["target", "wanted", "measured"]);
    for (what, wanted, case, program, is_secured, pick) in wanted {
        let find = |program, is_secured| find(comparisons, lines, case, program, is_secured);
        if let (Some(own), Some(other)) = (find(TopChat, true), find(program, is_secured)) {
            table.row(vec![what.to_owned(), wanted.to_owned(), format!("{} ×", short(ratio(own, other, pick)))]);
        }
    }
    for (what, on_disk, in_memory) in [
        ("live delivery, kept: p50 of that in memory mode, group, window 1000", kept, stream),
        ("the same of a ping-pong", "ping-pong, kept", "ping-pong"),
    ] {
        let of = |case| find(comparisons, lines, case, TopChat, true);
        if let (Some(own), Some(other)) = (of(on_disk), of(in_memory)) {
            table.row(vec![what.to_owned(), "1 ×".to_owned(), format!("{} ×", short(ratio(own, other, p50)))]);
        }
    }
    table
}

/// What was measured of a program in a case.
fn find<'a>(
    comparisons: &[Comparison],
    lines: &'a [Line],
    case: &str,
    program: Program,
    is_secured: bool,
) -> Option<&'a Line> {
    lines.iter().find(|line| {
        let System { program: its, is_secured: tls, .. } = line.system;
        comparisons[line.case].name == case && its == program && tls == is_secured
    })
}

/// Of the same round, so that what else the machine does meets both; the median of them.
fn ratio(own: &Line, other: &Line, pick: Pick) -> f64 {
    let pairs = own.outcomes.iter().zip(&other.outcomes);
    median(&pairs.map(|(own, other)| pick(own) / pick(other)).collect::<Vec<_>>())
}

fn rate(line: &Line) -> f64 {
    median(&line.outcomes.iter().map(|outcome| outcome.rate).collect::<Vec<_>>())
}

fn row(own: &Line, line: &Line) -> Vec<String> {
    let of = |line: &Line, pick: Pick| median(&line.outcomes.iter().map(pick).collect::<Vec<_>>());
    let ratio = |pick: Pick| ratio(own, line, pick);
    let lost: u64 = line.outcomes.iter().map(|outcome| outcome.missing + outcome.disorder).sum();
    vec![
        line.failure.as_ref().map_or_else(|| line.system.name(), |why| format!("{}: {why}", line.system.name())),
        short(of(line, |outcome| outcome.rate)),
        short(ratio(|outcome| outcome.rate)),
        short(of(line, |outcome| outcome.server_cpu)),
        short(ratio(|outcome| outcome.server_cpu)),
        short(of(line, |outcome| outcome.delay(0.5))),
        short(of(line, |outcome| outcome.delay(0.99))),
        lost.to_string(),
    ]
}

/// What the programs say of themselves.
fn versions() -> Vec<String> {
    let ask = |program: &str, argument: &str| {
        let path = format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default());
        let said = Command::new(program).arg(argument).env("PATH", path).output().map(|output| output.stdout);
        let said = String::from_utf8_lossy(&said.unwrap_or_default()).into_owned();
        said.lines().next().unwrap_or(program).split(" sha=").next().unwrap_or(program).to_owned()
    };
    let mut versions = vec![format!("TopChat {}", env!("CARGO_PKG_VERSION"))];
    versions.extend([
        ask("nats-server", "--version"),
        ask("mosquitto", "-h"),
        ask("redis-server", "--version"),
        ask("ngircd", "--version"),
    ]);
    versions.push(openssl::version::version().to_owned());
    versions
}
