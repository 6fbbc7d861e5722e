//! Reading the log and the cursors at the start, and what they say of each account's mailbox.

use std::path::Path;
use std::sync::Arc;

use super::files::cursors::{Cursors, Mark};
use super::files::segment::{Proof, Segments};
use super::order::{self, Order};
use super::recipients::Handle;
use super::{Durability, Quotas, StoreError, owner};
use crate::names::{Recipient, UserName};
use crate::server::accounts::{Account, Unavailable};
use crate::server::clock::{Reading, RunClock, Step, unix_ms};
use crate::server::folder::{CURSORS, MESSAGES};
use crate::storage::disk::Disk;

/// What was read, to go on with.
pub(super) struct Recovered<H> {
    pub(super) order: Order<H>,
    pub(super) segments: Segments,
    pub(super) cursors: Cursors,
    pub(super) reading: Reading,
}

/// Reads the log of a data folder. Nothing is changed unless all of it is good.
pub(super) fn read<H: Handle>(
    folder: &Path,
    accounts: impl Iterator<Item = Result<Arc<Account>, Unavailable>>,
    quotas: Quotas,
    durability: Durability,
    clock: &RunClock,
    segment_bytes: u64,
    disk: impl Fn() -> Box<dyn Disk>,
) -> Result<Recovered<H>, StoreError> {
    let (mut cursors, found) = Cursors::read(folder.join(CURSORS))?;
    let before = found.mark.map(|mark| mark.reading).unwrap_or_default();
    clock.raise(before.run_ms);
    let mut order = Order::new(quotas, durability);
    let mut unknown = Vec::new();
    // Of accounts that are gone, too: numbers go on behind all that were ever used.
    let ends = found.cursors.values().map(|(.., joined, cursor)| (cursor.number, *joined, cursor.group));
    let (acknowledged, mut last, group) = ends.fold((0, 0, 0), |(number, last, group), (at, joined, of_group)| {
        let message = if at == joined { 0 } else { at };
        (message.max(number), at.max(joined).max(last), of_group.max(group))
    });
    for account in accounts {
        let owner = owner(&*account?);
        last = last.max(owner.joined);
        let line = found.cursors.get(&owner.name);
        let line = line.filter(|(name, identity, joined, _)| owner.is_whose(name, *identity, *joined));
        if line.is_none() {
            unknown.push((owner.joined, owner.name.clone()));
        }
        order.index().add(owner, line.map(|(.., cursor)| *cursor));
    }
    let mut starts = Starts::new(unknown);
    let proof = Proof {
        // One that is torn may have told that some are deleted since.
        first: found.mark.filter(|_| !found.is_torn).map(|mark| mark.first),
        safe: found.mark.map_or(0, |mark| mark.safe).max(acknowledged),
    };
    let path = folder.join(MESSAGES);
    cursors.make_safe()?;
    let segments = Segments::open(path, disk(), segment_bytes, proof, |meta, envelope, place| {
        clock.raise(meta.run_ms);
        let header = order::header_of(envelope);
        let is_group = header.as_ref().is_some_and(|header| header.recipient == Recipient::All);
        order.index().group.count_on_from(meta.group.saturating_sub(is_group.into()));
        while let Some(name) = starts.due(meta.number) {
            order.index().restore_start(&name);
        }
        match header {
            Some(header) => order.restore(&meta, &header, envelope.len(), place),
            None => log::error!("message {} of the log is no envelope; nobody will get it", meta.number),
        }
    })?;
    let reading = Reading { run_ms: clock.now_ms(), unix_ms: unix_ms() };
    if let Some(step) = Step::since_last_run(before, reading) {
        log::warn!("{step}");
    }
    cursors.settle(disk(), Mark { first: segments.first(0), safe: segments.safe(), reading })?;
    last = last.max(segments.safe());
    order.index().group.count_on_from(group);
    while let Some(name) = starts.due(u64::MAX) {
        order.index().restore_start(&name);
    }
    order.restored(last, segments.safe());
    Ok(Recovered { order, segments, cursors, reading })
}

/// Accounts without a line in the file of cursors, by where they began: they are told as the log is read past it.
pub(super) struct Starts {
    /// Latest first.
    by_number: Vec<(u64, UserName)>,
}

impl Starts {
    pub(super) fn new(mut by_number: Vec<(u64, UserName)>) -> Self {
        by_number.sort_unstable_by(|a, b| b.cmp(a));
        Self { by_number }
    }

    /// Those who began before this message, and were not told before.
    pub(super) fn due(&mut self, number: u64) -> Option<UserName> {
        self.by_number.pop_if(|(joined, _)| *joined < number).map(|(_, name)| name)
    }
}
