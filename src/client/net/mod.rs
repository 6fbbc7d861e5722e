//! The connection to the server: connect, log in, request, reconnect.

pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod directory;
pub(crate) mod login;
pub(crate) mod reconnect;
pub(crate) mod request;
pub(crate) mod restored;
pub(crate) mod session;
pub(crate) mod threads;
pub(crate) mod trust;
