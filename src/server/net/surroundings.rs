//! What runs this server, as its environment tells.
//!
//! Under a service manager and in a container it stands where others may come in, whatever address it listens on.

use std::ffi::OsString;
use std::io::IsTerminal;

/// What runs the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surroundings {
    /// A container, or a pod of several that share their loopback address.
    Container,
    /// systemd, as a service.
    Systemd,
}

/// What runs this process, as far as it matters.
pub fn look() -> Option<Surroundings> {
    told_by(|variable| std::env::var_os(variable), std::io::stderr().is_terminal())
}

/// Terminals of a desktop are services of systemd too, and their children inherit its variables: somebody who sees what the server says
/// is no service manager.
fn told_by(variable: impl Fn(&str) -> Option<OsString>, is_seen: bool) -> Option<Surroundings> {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if CONTAINER.iter().any(|name| is_set(name)) {
        Some(Surroundings::Container)
    } else if !is_seen && SYSTEMD.iter().any(|name| is_set(name)) {
        Some(Surroundings::Systemd)
    } else {
        None
    }
}

/// Set by systemd-nspawn, podman and LXC (systemd's Container Interface), and by Kubernetes.
const CONTAINER: [&str; 2] = ["container", "KUBERNETES_SERVICE_HOST"];
/// systemd.exec(5), "Environment Variables Set or Propagated by the Service Manager".
const SYSTEMD: [&str; 3] = ["INVOCATION_ID", "JOURNAL_STREAM", "NOTIFY_SOCKET"];

#[cfg(test)]
mod tests {
    use super::*;

    fn told(set: &[(&str, &str)], is_seen: bool) -> Option<Surroundings> {
        told_by(|name| set.iter().find(|(set, _)| *set == name).map(|(_, value)| value.into()), is_seen)
    }

    #[test]
    fn systemd_and_containers_are_told_by_their_variables() {
        for name in SYSTEMD {
            assert_eq!(told(&[(name, "x")], false), Some(Surroundings::Systemd), "{name}");
            assert_eq!(told(&[(name, "x")], true), None, "a terminal of a desktop");
        }
        for name in CONTAINER {
            for is_seen in [false, true] {
                assert_eq!(told(&[(name, "podman")], is_seen), Some(Surroundings::Container), "{name}");
            }
        }
        for is_seen in [false, true] {
            assert_eq!(told(&[], is_seen), None);
            assert_eq!(told(&[("container", ""), ("INVOCATION_ID", ""), ("HOME", "/root")], is_seen), None);
        }
    }
}
