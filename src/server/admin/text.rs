//! Answers of the administration as people read them: data for stdout, words for stderr.

use super::handler::word_for;
use super::protocol::{Change, Row, Running, Slow, Status};
use crate::text::visible;
use crate::wire::Fingerprint;

/// A row as text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// For stdout: what a script may read.
    pub(super) data: String,
    /// For stderr: what a person reads.
    pub(super) words: String,
}

/// How a row looks. Every text in it is made safe for the terminal, whoever answered.
pub(super) fn show(row: &Row) -> Shown {
    match row {
        Row::Account { name, created, disabled, fingerprint } => {
            let state = if *disabled { "disabled" } else { "enabled" };
            let grouped = Fingerprint::from_hex(fingerprint).map_or_else(|| fingerprint.clone(), Fingerprint::grouped);
            data(&format!("{name:<32}  {state:<8}  {created}  {grouped}"))
        }
        Row::Changed { name, change: Change::Enabled, .. } => words(&format!("enabled {name}")),
        Row::Changed { name, change, sessions } => {
            let ended = match sessions {
                0 => "no session of it was here".to_owned(),
                1 => "1 session ended".to_owned(),
                many => format!("{many} sessions ended"),
            };
            words(&format!("{} {name}; {ended}", word_for(*change)))
        }
        Row::Invite { code: Some(code), registration, expires, uses, .. } => {
            Shown { data: data(code).data, words: words(&handing_out(registration.as_deref(), expires, *uses)).words }
        }
        Row::Invite { id, state, created, expires, uses, used, .. } => {
            data(&format!("{id}  {state:<8}  {used} of {uses} used  made {created}  good until {expires}"))
        }
        Row::Revoked { id } => words(&format!("revoked {id}; accounts that it made stay")),
        Row::Session { name, mode, since, source, waiting } => {
            let waiting = waiting.map_or_else(String::new, |count| format!("  {count} not acknowledged"));
            data(&format!("session        {name}  {mode}  since {since}  from {source}{waiting}"))
        }
        Row::Slowed { what, source, name, count, secs } => data(&slowed(*what, source, name.as_deref(), *count, *secs)),
        Row::Unlocked { lifted, whose } => words(&unlocked(*lifted, whose.as_deref())),
        Row::Status(status) => status_lines(status).map(|line| data(&line)).fold(Shown::default(), joined),
    }
}

fn status_lines(status: &Status) -> impl Iterator<Item = String> {
    let Status { version, accounts, disabled, invites, log_bytes, running } = status;
    let mut lines = Vec::new();
    match running {
        Some(running) => lines.extend(running_lines(version, running)),
        None => lines.push(format!("topchat-server {version}   not running")),
    }
    lines.push(format!("accounts       {accounts}, {disabled} of them disabled"));
    lines.push(format!("invites        {invites} open"));
    if let Some(Running { waiting_direct, waiting_group, .. }) = running {
        lines.push(format!("messages       {waiting_direct} direct ones wait, {waiting_group} to ALL are kept"));
    }
    lines.push(format!("message log    {}", size(*log_bytes)));
    if let Some(Running { slowed: count @ 1.., .. }) = running {
        lines.push(format!(
            "slowed         {count} because of failed logins or many registrations; topchat-server unlock lifts it"
        ));
    }
    lines.into_iter()
}

fn running_lines(version: &str, running: &Running) -> [String; 5] {
    let Running { pid, addresses, identity, since, uptime_secs, clients, seats, guests, registration, .. } = running;
    [
        format!("topchat-server {version}   process {pid}, running for {} (since {since})", span(*uptime_secs)),
        format!("listening      {}", addresses.join(", ")),
        format!("identity       {identity}"),
        format!("clients        {clients} of {seats}, and {guests} connections that have not logged in"),
        format!("registration   {registration}"),
    ]
}

fn slowed(what: Slow, source: &str, name: Option<&str>, count: u32, secs: u64) -> String {
    let what = match what {
        Slow::Logins => {
            format!("logins without the key from {source}: {count} failed, the next is answered after {secs} s")
        }
        Slow::Passwords => {
            let name = name.unwrap_or_default();
            format!("logins of {name} from {source}: {count} wrong passwords, the next is answered after {secs} s")
        }
        Slow::Registrations => {
            format!("registrations from {source}: {count} within the hour, the next may come in {}", span(secs))
        }
    };
    format!("slowed         {what}")
}

fn unlocked(lifted: usize, whose: Option<&str>) -> String {
    let of = whose.map_or(String::new(), |whose| format!(" of {whose}"));
    match lifted {
        0 => format!("nothing{of} was slowed"),
        _ => {
            format!("unlocked {}; {lifted} {} slowed", whose.unwrap_or("all"), if lifted == 1 { "was" } else { "were" })
        }
    }
}

fn handing_out(registration: Option<&str>, expires: &str, uses: u32) -> String {
    let whom = match uses {
        1 => "for one account".to_owned(),
        many => format!("for {many} accounts"),
    };
    let how = "topchat register NAME --invite-file FILE, or typed when asked for";
    let mut words = format!("{whom}, until {expires}; it is not shown again. Used with: {how}");
    if let Some(other) = registration.filter(|registration| *registration != "invite") {
        words.push_str(match other {
            "open" => "\nregistration is open: nobody needs a code. To let people in by code only, start the server with --registration invite",
            _ => "\nregistration is closed: no code helps. To let people in by code, start the server with --registration invite",
        });
    }
    words
}

/// `3 d 4 h`, `2 h 5 min`, `12 s`: the two largest parts.
fn span(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..=9999 => format!("{bytes} bytes"),
        10_000..=9_999_999 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / (1024 * 1024)),
    }
}

fn data(text: &str) -> Shown {
    Shown { data: lines(text), words: String::new() }
}

fn words(text: &str) -> Shown {
    Shown { data: String::new(), words: lines(text) }
}

fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", visible(line))).collect()
}

fn joined(mut all: Shown, next: Shown) -> Shown {
    all.data.push_str(&next.data);
    all.words.push_str(&next.words);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_short() {
        let spans = [0, 59, 60, 3600, 86_399, 86_400 * 3 + 4000].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "1 h 0 min", "23 h 59 min", "3 d 1 h"]);
        assert_eq!([0, 9999, 10_240, 20 << 20].map(size), ["0 bytes", "9999 bytes", "10 KiB", "20 MiB"]);
    }

    #[test]
    fn a_change_tells_how_many_sessions_it_ended() {
        let change = |sessions| show(&Row::Changed { name: "bob".into(), change: Change::Kicked, sessions }).words;
        assert_eq!(change(0), "kicked bob; no session of it was here\n");
        assert_eq!([change(1), change(2)], ["kicked bob; 1 session ended\n", "kicked bob; 2 sessions ended\n"]);
    }

    #[test]
    fn what_answers_can_not_play_tricks_on_the_terminal() {
        let evil = || "a\u{1b}[2J\u{202e}".to_owned();
        let rows = [
            Row::Account { name: evil(), created: evil(), disabled: false, fingerprint: evil() },
            Row::Changed { name: evil(), change: Change::Enabled, sessions: 0 },
            Row::Revoked { id: evil() },
            Row::Slowed { what: Slow::Passwords, source: evil(), name: Some(evil()), count: 1, secs: 1 },
            Row::Unlocked { lifted: 1, whose: Some(evil()) },
            Row::Session { name: evil(), mode: evil(), since: evil(), source: evil(), waiting: Some(1) },
            Row::Invite {
                id: evil(),
                state: evil(),
                created: evil(),
                expires: evil(),
                uses: 1,
                used: 0,
                code: Some(evil()),
                registration: Some(evil()),
            },
        ];
        for row in rows {
            let shown = show(&row);
            let text = shown.data + &shown.words;
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && text.contains("^[[2J"), "{text}");
        }
    }
}
