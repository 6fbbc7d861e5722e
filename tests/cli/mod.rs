//! What people and scripts see of both programs: every word on stderr, what is on stdout, and the exit code.

pub mod home;

mod accounts;
mod admin;
mod bot;
mod chat;
mod contacts;
mod doctor;
mod environment;
mod exit_codes;
mod first_start;
mod group_keys;
mod hints;
mod history;
mod keys;
mod keys_renew;
mod keys_transfer;
mod left_overs;
mod messages;
mod mistakes;
mod network;
mod password_changes;
pub mod restored;
mod rpc;
mod scripting;
pub mod server;
mod suites;
mod typing;
