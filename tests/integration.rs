//! Tests of the whole from outside, in one binary so that they link once.

mod architecture;
mod crypto;
mod durability;
mod hostile;
mod messages;
mod protocol_document;
mod scripts;
mod sessions;
mod support;
