//! How much may wait for whom.

use std::time::Duration;

use crate::limits;

/// What the owner may set. Each has its reason in [`limits`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Direct messages per account.
    pub messages: usize,
    /// Bytes of direct messages per account.
    pub bytes: usize,
    /// Direct messages per account and sender.
    pub per_sender: usize,
    /// How long a direct message waits at least.
    pub age: Duration,
    /// Group messages for those who are away.
    pub group: usize,
    /// Group messages for a connected client that reads slowly.
    pub group_lag: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            messages: limits::MAILBOX_MESSAGES,
            bytes: limits::MAILBOX_BYTES,
            per_sender: limits::MAILBOX_PER_SENDER,
            age: days(limits::MAILBOX_DAYS),
            group: limits::GROUP_MESSAGES,
            group_lag: limits::GROUP_LAG,
        }
    }
}

impl Quotas {
    /// Whether one more of `size` bytes fits a mailbox that holds so much.
    pub(super) fn admit(&self, held: Held, size: usize, is_connected: bool) -> bool {
        let factor = if is_connected { limits::MAILBOX_CONNECTED } else { 1 };
        held.messages < self.messages * factor
            && held.of_sender < self.per_sender * factor
            && held.bytes + size <= self.bytes * factor
    }
}

/// What waits in one mailbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) messages: usize,
    pub(super) of_sender: usize,
    pub(super) bytes: usize,
}

/// So many days.
pub(crate) fn days(count: u32) -> Duration {
    Duration::from_secs(u64::from(count) * 24 * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_over_a_limit_is_refused_and_a_connected_one_takes_more() {
        let quotas = Quotas { messages: 3, bytes: 100, per_sender: 2, ..Quotas::default() };
        let held = |messages, of_sender, bytes| Held { messages, of_sender, bytes };
        for (held, size, away, connected) in [
            (held(2, 1, 90), 10, true, true),
            (held(3, 1, 90), 10, false, true),
            (held(2, 2, 90), 10, false, true),
            (held(2, 1, 91), 10, false, true),
            (held(15, 1, 91), 10, false, false),
            (held(2, 10, 91), 10, false, false),
            (held(2, 1, 491), 10, false, false),
        ] {
            let admitted = [false, true].map(|is_connected| quotas.admit(held, size, is_connected));
            assert_eq!(admitted, [away, connected], "{held:?}");
        }
    }
}
