//! Tests of the whole from outside, in one binary so that they link once.

// Nothing is reachable from outside a test, and what is shared between its files may say `pub`.
#![allow(unreachable_pub)]

mod architecture;
mod cli;
mod client_storm;
mod clocks;
mod crypto;
mod damage;
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
