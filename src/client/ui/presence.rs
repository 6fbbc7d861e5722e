//! Who came and who left, as one line: `carol and dave are here; eve left`. Pure.

use crate::names::UserName;
use crate::wire::to_client::Entry;

/// The line, about those of the names that are `wanted`; none if nothing is left to tell.
pub(crate) fn line(
    entries: &[Entry],
    (more_came, more_left): (u32, u32),
    wanted: impl Fn(&UserName) -> bool,
) -> Option<String> {
    let told = |online: bool, more: u32| {
        let names = entries.iter().filter(|entry| entry.online == online && wanted(&entry.name));
        people(names.map(|entry| entry.name.as_str()).collect(), more)
    };
    let came = told(true, more_came).map(|(who, are)| format!("{who} {are} here"));
    let left = told(false, more_left).map(|(who, _)| format!("{who} left"));
    let parts: Vec<_> = came.into_iter().chain(left).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// `carol, dave and 3 more`, and whether they are one or many.
fn people(names: Vec<&str>, more: u32) -> Option<(String, &'static str)> {
    let are = if names.len() as u64 + u64::from(more) == 1 { "is" } else { "are" };
    let mut all: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if more > 0 {
        all.push(if all.is_empty() { more.to_string() } else { format!("{more} more") });
    }
    let last = all.pop()?;
    Some((if all.is_empty() { last } else { format!("{} and {last}", all.join(", ")) }, are))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comings_and_goings_are_one_line() {
        let entries = |names: &[&str]| -> Vec<Entry> {
            let entry = |name: &&str| Entry { name: name[1..].parse().unwrap(), online: name.starts_with('+') };
            names.iter().map(entry).collect()
        };
        for (names, more, expected) in [
            (&["+carol"][..], (0, 0), Some("carol is here")),
            (&["+carol", "+dave", "-eve"], (0, 0), Some("carol and dave are here; eve left")),
            (
                &["-bob", "+carol", "+dave", "-eve"],
                (3, 1),
                Some("carol, dave and 3 more are here; bob, eve and 1 more left"),
            ),
            (&["+alice"], (0, 0), None),
            (&["+alice", "-bob"], (0, 0), Some("bob left")),
            (&[], (1, 2), Some("1 is here; 2 left")),
            (&[], (0, 0), None),
        ] {
            let shown = line(&entries(names), more, |name| name.as_str() != "alice");
            assert_eq!(shown.as_deref(), expected, "{names:?}");
        }
    }
}
