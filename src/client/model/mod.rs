//! Values that the whole client shares: addresses, events, deadlines, pins, refusals.

pub(crate) mod address;
pub(crate) mod deadline;
pub mod event;
pub mod invocation;
pub mod pin;
pub(crate) mod refusal;
pub mod state_folder;
pub mod suite;
