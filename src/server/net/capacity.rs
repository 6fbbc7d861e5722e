//! How many clients this machine can hold: asked at start, since running out of threads later ends the whole process.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits::{DESCRIPTORS_BESIDE, DESCRIPTORS_PER_CLIENT, MAPPINGS_BESIDE, MAPPINGS_PER_CLIENT};
use crate::server::error::{Scarce, ServerError};

/// Refuses more clients than the machine can hold. Takes as many descriptors for this process as it may have.
pub(crate) fn check(clients: usize) -> Result<(), ServerError> {
    let descriptors = getrlimit(Resource::Nofile);
    // It may be forbidden; then what there is counts.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: descriptors.maximum, ..descriptors });
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let mappings = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    let mappings = mappings.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    match most(mappings, descriptors) {
        (most, scarce) if clients as u64 > most => Err(ServerError::TooManyClients { clients, most, scarce }),
        _ => Ok(()),
    }
}

/// How many clients there can be, and because of what not more.
fn most(mappings: u64, descriptors: u64) -> (u64, Scarce) {
    let by_mappings = mappings.saturating_sub(MAPPINGS_BESIDE) / MAPPINGS_PER_CLIENT;
    let by_descriptors = descriptors.saturating_sub(DESCRIPTORS_BESIDE) / DESCRIPTORS_PER_CLIENT;
    match by_mappings <= by_descriptors {
        true => (by_mappings, Scarce::Mappings),
        false => (by_descriptors, Scarce::Descriptors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scarcer_limits_the_clients() {
        // Linux's usual values.
        let (clients, scarce) = most(65_530, 1_048_576);
        assert!((15_000..16_384).contains(&clients), "{clients}");
        assert_eq!(scarce, Scarce::Mappings);
        let (clients, scarce) = most(65_530, 1024);
        assert!((400..512).contains(&clients), "{clients}");
        assert_eq!(scarce, Scarce::Descriptors);
        assert_eq!(most(0, 0).0, 0);
    }

    #[test]
    fn the_default_fits_and_what_does_not_names_the_most_that_does() {
        check(crate::limits::CLIENTS_DEFAULT).unwrap();
        let Err(ServerError::TooManyClients { clients, most, .. }) = check(100_000_000) else { panic!("too many") };
        assert_eq!(clients, 100_000_000);
        check(usize::try_from(most).unwrap()).unwrap();
    }
}
