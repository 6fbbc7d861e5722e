//! How costs grow: with sessions, with accounts, with messages that wait.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use topchat::server::accounts::{Account, Accounts};
use topchat::storage::folder::LockedFolder;

use super::Common;
use super::dialect::{Conn, Seen, To, stamp};
use super::drive::{self, Case, Pattern};
use super::process::{self, TopChatServer, data};
use super::relay;
use super::table::{self, Table, median, short};
use super::topchat::{Keys, name, tls};

/// Measures, prints, and writes what is asked for.
pub fn run(common: &Common) -> io::Result<()> {
    let keys = Keys::new(2048, common.text)?;
    let (sessions, session_rows) = sessions(common, &keys)?;
    let (accounts, account_rows) = accounts(common, &keys)?;
    let (messages, message_rows) = messages(common, &keys)?;
    let text = [sessions, accounts, messages].map(|table| table.to_markdown()).join("\n");
    println!("{text}");
    let rows = json!({ "sessions": session_rows, "accounts": account_rows, "messages": message_rows });
    table::write(common, "scale", &text, &json!({ "part": "scale", "rows": rows }))
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
    ]);
    let mut rows = Vec::new();
    for count in sizes(&[10, 100, 1000, 10_000], common.most_sessions) {
        let most = count.to_string();
        let arguments = [&relay::SETTINGS[..], &["--durability", "memory", "--max-clients", &most]].concat();
        let server = TopChatServer::start(common.program(), keys, count, &arguments)?;
        let id = server.running.id();
        let (memory, before) = (resident_kib(id), process::cpu(id));
        let mut connections = log_in(&server, keys, count)?;
        let logins = count as f64 / (process::cpu(id) - before);
        // Longer than the server keeps the buffers of a login.
        std::thread::sleep(Duration::from_millis(1500));
        let each = (resident_kib(id) - memory) / count as f64;
        let before = process::cpu(id);
        std::thread::sleep(Duration::from_secs(3));
        let idle = (process::cpu(id) - before) / 3.0 * 100.0;
        let time = Duration::from_secs_f64(common.seconds.max(2.0));
        let pattern = Pattern::Group { senders: 1 };
        let case = Case { pattern, window: 1, awaits_answers: false, warm_up: time / 4, time, threads: 1 };
        let outcome = drive::run(&mut connections, count, &case, 1, id)?;
        let delay = (count - 1) as f64 / outcome.rate * 1e3;
        let cells = [each, logins, idle, delay, outcome.server_cpu];
        eprintln!("{count} sessions: {cells:?}, {} lost", outcome.missing);
        table.row(std::iter::once(most.clone()).chain(cells.map(short)).collect());
        rows.push(json!({ "sessions": count, "kib": each, "logins_per_cpu_s": logins, "idle_percent": idle,
            "to_all_ms": delay, "cpu_us_per_recipient": outcome.server_cpu, "missing": outcome.missing }));
    }
    Ok((table, rows))
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
    let mut table = Table::new(&["accounts", "start, ms", "read and parsed, ms", "ratio", "one more, ms"]);
    let mut rows = Vec::new();
    for count in sizes(&[100, 1000, 10_000, 100_000], common.most_accounts) {
        let folder = tempfile::tempdir()?;
        process::register(&data(&folder), keys, count)?;
        let one_more = {
            let locked = LockedFolder::open(&data(&folder)).map_err(io::Error::other)?;
            let accounts = Accounts::open(&locked, 2 * count).map_err(io::Error::other)?;
            let register = |member: usize| -> io::Result<f64> {
                let bundle = keys.bundle(&name(member)).encode();
                let account = Account::new(bundle, keys.verifier(), CREATED_MS).map_err(io::Error::other)?;
                let began = Instant::now();
                accounts.register(account).map_err(io::Error::other)?;
                Ok(began.elapsed().as_secs_f64() * 1e3)
            };
            median(&(count..count + 50).map(register).collect::<io::Result<Vec<_>>>()?)
        };
        let (parsed, folder, start) = start_up(common, folder, &["--max-accounts", "200000"])?;
        drop(folder);
        eprintln!("{count} accounts: start {start} ms, parsed in {parsed} ms, one more {one_more} ms");
        let cells = [start, parsed, start / parsed, one_more].map(short);
        table.row(std::iter::once(count.to_string()).chain(cells).collect());
        rows.push(json!({ "accounts": count, "start_ms": start, "parsed_ms": parsed, "one_more_ms": one_more }));
    }
    Ok((table, rows))
}

fn messages(common: &Common, keys: &Keys) -> io::Result<(Table, Vec<serde_json::Value>)> {
    let mut table =
        Table::new(&["messages that wait", "start, ms", "files read, ms", "ratio", "µs of server CPU for one more"]);
    let mut rows = Vec::new();
    for count in sizes(&[1000, 10_000, 100_000, 1_000_000], common.most_messages) {
        let arguments = [&relay::SETTINGS[..], &["--durability", "memory"]].concat();
        let folder = tempfile::tempdir()?;
        process::register(&data(&folder), keys, MAILBOXES + 1)?;
        let mut server = TopChatServer::on(common.program(), folder, &arguments)?;
        let mut conn = keys.connect(server.address, 0, &tls()?)?;
        fill(&mut conn, 0, count)?;
        let before = process::cpu(server.running.id());
        fill(&mut conn, count, MORE)?;
        let one_more = (process::cpu(server.running.id()) - before) / MORE as f64 * 1e6;
        drop(conn);
        let folder = server.running.stop()?;
        let (parsed, folder, start) = start_up(common, folder, &relay::SETTINGS)?;
        drop(folder);
        eprintln!("{count} messages: start {start} ms, read in {parsed} ms, one more {one_more} µs");
        let cells = [start, parsed, start / parsed, one_more].map(short);
        table.row(std::iter::once(count.to_string()).chain(cells).collect());
        rows.push(json!({ "messages": count, "start_ms": start, "read_ms": parsed, "one_more_cpu_us": one_more }));
    }
    Ok((table, rows))
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
        conn.pipe.read_turn(|pipe| {
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

/// Milliseconds for reading and parsing what is in a folder, and for starting the server on it: medians of some tries.
fn start_up(common: &Common, folder: TempDir, arguments: &[&str]) -> io::Result<(f64, TempDir, f64)> {
    let (mut folder, mut parsed, mut started) = (folder, Vec::new(), Vec::new());
    for _ in 0..3 {
        let began = Instant::now();
        parse(&data(&folder))?;
        parsed.push(began.elapsed().as_secs_f64() * 1e3);
        let began = Instant::now();
        let mut server = TopChatServer::on(common.program(), folder, arguments)?;
        started.push(began.elapsed().as_secs_f64() * 1e3);
        folder = server.running.stop()?;
    }
    Ok((median(&parsed), folder, median(&started)))
}

/// What `cat` and serde_json would do.
fn parse(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            parse(&path)?;
        } else if path.extension().is_some_and(|kind| kind == "jsonl") {
            let lines = fs::read(path)?;
            for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                std::hint::black_box(serde_json::from_slice::<serde_json::Value>(line)?);
            }
        } else if path.is_file() {
            std::hint::black_box(fs::read(path)?);
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

/// Accounts that are away.
const MAILBOXES: usize = 10;
/// Messages that wait for their answer.
const WINDOW: usize = 200;
/// Messages by which the cost of one more is measured.
const MORE: usize = 5000;
const CREATED_MS: u64 = 1_795_000_000_000;
