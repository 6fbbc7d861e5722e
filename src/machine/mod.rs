//! The machine below the programs: its files and its clocks.
//!
//! All that keeps something goes through here, so that a simulation can put a world of its own in their place: with the feature
//! `simulation` a thread can enter one (`world`). No program is built with it, and without it these are thin names for what the
//! standard library does.

pub mod fs;
pub mod time;
#[cfg(feature = "simulation")]
pub mod world;
