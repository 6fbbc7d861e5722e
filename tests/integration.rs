//! Tests of the whole from outside, in one binary so that they link once.

mod architecture;
mod cli;
mod client_storm;
mod clocks;
mod crypto;
mod durability;
mod floods;
mod fuzz;
mod hostile;
mod json_document;
mod keys_storm;
mod liar;
mod links;
mod messages;
mod pace;
mod pages;
mod protocol_document;
mod proxies;
mod renewal;
mod scripts;
mod sessions;
mod strangers;
mod support;
mod thieves;
mod watching;
