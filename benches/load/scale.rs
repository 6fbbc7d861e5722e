//! How costs grow: with sessions, with accounts, with messages that wait.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tempfile::TempDir;
use topchat::limits::{DESCRIPTORS_BESIDE, DESCRIPTORS_PER_CLIENT};
use topchat::server::accounts::{Account, Accounts, Ledger};
use topchat::server::clock::RunClock;
use topchat::storage::folder::LockedFolder;

use super::Common;
use super::dialect::{Conn, Seen, To, stamp};
use super::drive::{self, Case, Outcome, Pattern};
use super::pipe::TURN;
use super::process::{self, TopChatServer, data};
use super::relay;
use super::systems::{Program, System};
use super::table::{self, Table, median, short};
use super::topchat::{Keys, name, tls};

/// Measures, prints, and writes what is asked for.
pub(crate) fn run(common: &Common) -> io::Result<()> {
    let keys = Keys::new(2048, common.text)?;
    let (sessions, session_rows) = sessions(common, &keys)?;
    let (accounts, account_rows) = accounts(common, &keys)?;
    let (messages, message_rows) = messages(common, &keys)?;
    let text = [sessions, accounts, messages].map(|table| table.to_markdown()).join("\n");
    println!("{text}");
    let rows = json!({ "sessions": session_rows, "accounts": account_rows, "messages": message_rows });
    table::write(common, "scale", &text, &json!({ "part": "scale", "rows": rows }))
}

/// How many sessions of those asked for the descriptors suffice for: the server's are the scarcer ones, since a client takes
/// some there (`each`) and one here. Takes as many as it may have.
fn descriptors(wanted: usize, each: u64) -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let most = limit.maximum.unwrap_or(u64::MAX).saturating_sub(DESCRIPTORS_BESIDE) / each;
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if most < wanted {
        eprintln!("{most} sessions in place of {wanted}: a process may not open more files here (`ulimit -Hn`)");
    }
    Ok(wanted.min(most))
}

/// Sizes up to the greatest that was asked for.
fn sizes(all: &[usize], most: usize) -> impl Iterator<Item = usize> {
    all.iter().copied().filter(move |size| *size <= most)
}

fn sessions(common: &Common, keys: &Keys) -> io::Result<(Table, Vec<serde_json::Value>)> {
    let mut table = Table::new(&[
        "sessions",
        "KiB each",
        "logins per s of server CPU",
        "idle CPU, % of a core",
        "one to ALL, ms",
        "µs of server CPU per recipient",
        "the same, bare relay",
        "bare relay, acknowledged",
    ]);
    let mut rows = Vec::new();
    let most = descriptors(common.most_sessions, DESCRIPTORS_PER_CLIENT)?;
    let bare_most = descriptors(BARE_MOST, BARE_DESCRIPTORS)?;
    // Fewer than asked for by a little are worth measuring, too.
    let all = [10, 100, 1000, 10_000.min(most.max(1001))];
    for count in sizes(&all, most) {
        let most = count.to_string();
        let arguments = [&relay::SETTINGS[..], &["--durability", "memory", "--max-clients", &most]].concat();
        let server = TopChatServer::start(common.program(), keys, count, &arguments)?;
        let id = server.running.id();
        let (memory, before) = (resident_kib(id), process::cpu(id));
        let mut connections = log_in(&server, keys, count)?;
        let logins = count as f64 / (process::cpu(id) - before);
        // Longer than the server keeps the buffers of a login.
        std::thread::sleep(Duration::from_secs(3));
        let each = (resident_kib(id) - memory) / count as f64;
        let before = process::cpu(id);
        std::thread::sleep(Duration::from_secs(3));
        let idle = (process::cpu(id) - before) / 3.0 * 100.0;
        let outcome = one_to_all(common, &mut connections, count, id)?;
        drop((connections, server));
        let delay = (count - 1) as f64 / outcome.rate * 1e3;
        let mut bare = [f64::NAN; 2];
        if count <= bare_most {
            bare = [
                bare_to_all(common, keys, count, Program::Bare)?,
                bare_to_all(common, keys, count, Program::Acknowledged)?,
            ];
        }
        let cells = [each, logins, idle, delay, outcome.server_cpu, bare[0], bare[1]];
        eprintln!("{count} sessions: {cells:?}, {} lost", outcome.missing);
        table.row(std::iter::once(most.clone()).chain(cells.map(short)).collect());
        rows.push(json!({ "sessions": count, "kib": each, "logins_per_cpu_s": logins, "idle_percent": idle,
            "to_all_ms": delay, "cpu_us_per_recipient": outcome.server_cpu, "missing": outcome.missing,
            "bare_cpu_us_per_recipient": bare[0], "acknowledged_cpu_us_per_recipient": bare[1] }));
    }
    Ok((table, rows))
}

/// One sender, and each message only once all have the one before.
fn one_to_all(common: &Common, connections: &mut [Conn], count: usize, server: u32) -> io::Result<Outcome> {
    let time = Duration::from_secs_f64(common.seconds.max(2.0));
    let pattern = Pattern::Group { senders: 1 };
    let case = Case { pattern, window: 1, burst: None, awaits_answers: false, warm_up: time / 4, time, threads: 1 };
    drive::run(connections, count, &case, 1, server)
}

/// What the same takes of a server that does nothing but this: microseconds of its CPU per recipient.
fn bare_to_all(common: &Common, keys: &Keys, count: usize, program: Program) -> io::Result<f64> {
    let bare = System { program, is_secured: true, is_kept: false };
    let started = bare.start(common.program(), keys, count)?;
    let mut connections = bare.gather(&started, keys, count, To::Group, common.text)?;
    let outcome = one_to_all(common, &mut connections, count, started.running.id())?;
    eprintln!("{count} sessions, {}: {} µs, {} lost", bare.name(), outcome.server_cpu, outcome.missing);
    Ok(outcome.server_cpu)
}

/// All members, by some threads.
fn log_in(server: &TopChatServer, keys: &Keys, count: usize) -> io::Result<Vec<Conn>> {
    const THREADS: usize = 8;
    let part = |first: usize| -> io::Result<Vec<Conn>> {
        let tls = tls()?;
        (first..count).step_by(THREADS).map(|member| keys.connect(server.address, member, &tls)).collect()
    };
    let mut connections = Vec::with_capacity(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS.min(count)).map(|first| scope.spawn(move || part(first))).collect();
        for thread in threads {
            connections.extend(thread.join().map_err(|_| io::Error::other("a thread panicked"))??);
        }
        Ok(connections)
    })
}

fn accounts(common: &Common, keys: &Keys) -> io::Result<(Table, Vec<serde_json::Value>)> {
    let mut table = Table::new(&["accounts", "start, ms", "read, ms", "parsed, ms", "ratio", "one more, ms"]);
    let mut rows = Vec::new();
    for count in sizes(&[100, 1000, 10_000, 100_000], common.most_accounts) {
        let folder = tempfile::tempdir()?;
        process::register(&data(&folder), keys, count)?;
        let one_more = {
            let locked = LockedFolder::open(&data(&folder)).map_err(io::Error::other)?;
            let accounts =
                Accounts::open(&locked, 2 * count, Arc::new(RunClock::after(0))).map_err(io::Error::other)?;
            let register = |member: usize| -> io::Result<f64> {
                let bundle = keys.bundle(&name(member)).encode();
                let account = Account::new(bundle, keys.verifier(), CREATED_MS).map_err(io::Error::other)?;
                let began = Instant::now();
                accounts.register(account).map_err(io::Error::other)?;
                Ok(began.elapsed().as_secs_f64() * 1e3)
            };
            median(&(count..count + 50).map(register).collect::<io::Result<Vec<_>>>()?)
        };
        let (_, start) = start_up(common, folder, &["--max-accounts", "200000"])?;
        let cells = [start.started, start.read, start.parsed, start.ratio(), one_more];
        eprintln!("{count} accounts: {cells:?}");
        table.row(std::iter::once(count.to_string()).chain(cells.map(short)).collect());
        rows.push(json!({ "accounts": count, "start_ms": start.started, "read_ms": start.read,
            "parsed_ms": start.parsed, "one_more_ms": one_more }));
    }
    Ok((table, rows))
}

fn messages(common: &Common, keys: &Keys) -> io::Result<(Table, Vec<serde_json::Value>)> {
    let mut table = Table::new(&[
        "messages that wait",
        "accounts",
        "start, ms",
        "read, ms",
        "parsed, ms",
        "ratio",
        "µs of server CPU for one more",
    ]);
    let mut rows = Vec::new();
    let mut add = |count: usize, accounts: usize, start: StartUp, one_more: f64| {
        let cells = [start.started, start.read, start.parsed, start.ratio(), one_more];
        eprintln!("{count} messages, {accounts} accounts: {cells:?}");
        table.row([count, accounts].map(|count| count.to_string()).into_iter().chain(cells.map(short)).collect());
        rows.push(json!({ "messages": count, "accounts": accounts, "start_ms": start.started, "read_ms": start.read,
            "parsed_ms": start.parsed, "one_more_cpu_us": one_more }));
    };
    for count in sizes(&[1000, 10_000, 100_000, 1_000_000], common.most_messages) {
        let folder = tempfile::tempdir()?;
        process::register(&data(&folder), keys, MAILBOXES + 1)?;
        let (folder, one_more) = waiting(common, keys, folder, count)?;
        let (folder, start) = start_up(common, folder, &relay::SETTINGS)?;
        add(count, MAILBOXES + 1, start, one_more);
        if count == common.most_messages {
            fs::remove_file(data(&folder).join("accounts.jsonl"))?;
            process::register(&data(&folder), keys, common.most_accounts)?;
            let (_, start) = start_up(common, folder, &relay::SETTINGS)?;
            add(count, common.most_accounts, start, f64::NAN);
        }
    }
    Ok((table, rows))
}

/// Fills a folder with so many messages; microseconds of the server's CPU for one more.
fn waiting(common: &Common, keys: &Keys, folder: TempDir, count: usize) -> io::Result<(TempDir, f64)> {
    let arguments = [&relay::SETTINGS[..], &["--durability", "memory"]].concat();
    let mut server = TopChatServer::on(common.program(), folder, &arguments)?;
    let mut conn = keys.connect(server.address, 0, &tls()?)?;
    fill(&mut conn, 0, count)?;
    let before = process::cpu(server.running.id());
    fill(&mut conn, count, MORE)?;
    let one_more = (process::cpu(server.running.id()) - before) / MORE as f64 * 1e6;
    drop(conn);
    Ok((server.running.stop()?, one_more))
}

/// Sends messages to people who are away, and waits until all are accepted.
fn fill(conn: &mut Conn, first: usize, count: usize) -> io::Result<()> {
    let (mut sent, mut answered, mut seen) = (0, 0, Vec::new());
    while answered < count {
        while sent < count && sent - answered < WINDOW {
            let number = (first + sent) as u64;
            let to = To::Member(1 + (first + sent) % MAILBOXES);
            conn.dialect.publish(to, &stamp(0, 0, number), &mut conn.pipe.outgoing);
            sent += 1;
        }
        conn.pipe.flush()?;
        conn.pipe.read_turn(TURN, |pipe| {
            let (bytes, out) = pipe.both();
            let taken = conn.dialect.take(bytes, out, &mut seen);
            pipe.consume(taken);
        })?;
        let answers = seen.drain(..).filter(|seen| *seen == Seen::Answer).count();
        answered += answers;
        if answers == 0 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}

/// Milliseconds, medians of some tries.
struct StartUp {
    /// Reading all files.
    read: f64,
    /// Parsing what was read.
    parsed: f64,
    /// The server's start.
    started: f64,
}

impl StartUp {
    fn ratio(&self) -> f64 {
        self.started / (self.read + self.parsed)
    }
}

/// Reads and parses what is in a folder, and starts the server on it.
fn start_up(common: &Common, mut folder: TempDir, arguments: &[&str]) -> io::Result<(TempDir, StartUp)> {
    let (mut read, mut parsed, mut started) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut times = [Duration::ZERO; 2];
        parse(&data(&folder), &mut times)?;
        read.push(times[0].as_secs_f64() * 1e3);
        parsed.push(times[1].as_secs_f64() * 1e3);
        let began = Instant::now();
        let mut server = TopChatServer::on(common.program(), folder, arguments)?;
        started.push(began.elapsed().as_secs_f64() * 1e3);
        folder = server.running.stop()?;
    }
    Ok((folder, StartUp { read: median(&read), parsed: median(&parsed), started: median(&started) }))
}

/// What `cat` and serde_json would do, file by file. The log is no JSON: it is parsed as if its bytes stood in Base64, a KiB in
/// each line.
fn parse(folder: &Path, times: &mut [Duration; 2]) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            parse(&path, times)?;
        } else if path.is_file() {
            let began = Instant::now();
            let mut bytes = fs::read(&path)?;
            times[0] += began.elapsed();
            if path.extension().is_none_or(|kind| kind != "jsonl") {
                let line = |part| format!("{{\"envelope\":\"{}\"}}\n", BASE64.encode(part));
                bytes = bytes.chunks(1024).map(line).collect::<String>().into_bytes();
            }
            let began = Instant::now();
            for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                std::hint::black_box(serde_json::from_slice::<serde_json::Value>(line)?);
            }
            times[1] += began.elapsed();
        }
    }
    Ok(())
}

/// KiB of memory that a process has in use (proc(5): `VmRSS`).
fn resident_kib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(f64::NAN)
}

/// Most clients of the bare relay.
const BARE_MOST: usize = 1000;
/// Descriptors that it takes for each: the socket twice, and the wake-up.
const BARE_DESCRIPTORS: u64 = 3;
/// Accounts that are away: enough that no mailbox is full.
const MAILBOXES: usize = 20;
/// Messages that wait for their answer.
const WINDOW: usize = 200;
/// Messages by which the cost of one more is measured.
const MORE: usize = 20_000;
const CREATED_MS: u64 = 1_795_000_000_000;
