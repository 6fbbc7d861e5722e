//! Messages on their way to the disk, and when the thread that writes is woken for them. Pure.

use std::sync::Arc;

use super::Durability;
use super::files::record::Meta;
use super::memory::frames::Frames;
use crate::limits::LOG_BATCH;
use crate::names::UserName;

/// A message on its way to the disk.
pub(super) struct Unwritten {
    pub(super) meta: Meta,
    pub(super) frame: Frames,
    pub(super) to: Option<Arc<UserName>>,
}

/// What the thread that writes does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum WriterState {
    /// It will look for more by itself.
    #[default]
    Working,
    /// It will in a moment, unless something can't wait so long.
    Resting,
    /// It waits for anything.
    Idle,
}

/// All of them, in order.
pub(super) struct Queue {
    messages: Vec<Unwritten>,
    bytes: usize,
    pub(super) durability: Durability,
    /// What the thread that writes does meanwhile.
    pub(super) writer: WriterState,
    pub(super) is_stopping: bool,
}

impl Queue {
    pub(super) fn new(durability: Durability) -> Self {
        Self { messages: Vec::new(), bytes: 0, durability, writer: WriterState::default(), is_stopping: false }
    }

    pub(super) fn push(&mut self, message: Unwritten) {
        self.bytes += message.frame.len();
        self.messages.push(message);
    }

    /// Takes what is to be written next.
    pub(super) fn take(&mut self) -> Vec<Unwritten> {
        let mut bytes = 0;
        let fits = |message: &&Unwritten| {
            bytes += message.frame.len();
            bytes <= LOG_BATCH
        };
        let count = self.messages.iter().take_while(fits).count();
        let later = self.messages.split_off(count);
        let now = std::mem::replace(&mut self.messages, later);
        self.bytes -= now.iter().map(|message| message.frame.len()).sum::<usize>();
        now
    }

    /// These could not be written and are tried again, before all others.
    pub(super) fn put_back(&mut self, mut batch: Vec<Unwritten>) {
        self.bytes += batch.iter().map(|message| message.frame.len()).sum::<usize>();
        batch.append(&mut self.messages);
        self.messages = batch;
    }

    /// Nothing more will be written.
    pub(super) fn give_up(&mut self) {
        self.messages.clear();
        self.bytes = 0;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Number of the first message.
    pub(super) fn first(&self) -> Option<u64> {
        self.messages.first().map(|first| first.meta.number)
    }

    /// Whether what waits is worth a write: what a sender waits for always is, else a whole batch.
    pub(super) fn is_due(&self) -> bool {
        match self.durability {
            Durability::Disk => !self.is_empty(),
            Durability::Memory => self.bytes >= LOG_BATCH,
        }
    }

    /// Whether the thread that writes must be woken, which the caller does once it holds the lock no more.
    pub(super) fn needs_writer(&mut self) -> bool {
        let needs = match self.writer {
            WriterState::Working => false,
            WriterState::Resting => self.is_stopping || self.is_due(),
            WriterState::Idle => true,
        };
        if needs {
            self.writer = WriterState::Working;
        }
        needs
    }
}
