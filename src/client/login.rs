//! The login: SCRAM-SHA-256 bound to the connection, and a signature by the identity key.

use super::Error;
use super::dialogue::Dialogue;
use super::reason::{Asked, Refusal};
use crate::crypto::keys::PrivateKey;
use crate::crypto::scram::{ClientFirst, Password, ScramError};
use crate::names::UserName;
use crate::wire::to_client::Reason;
use crate::wire::to_server::Mode;
use crate::wire::{Code, ToClient, ToServer, signed};

/// How many are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Seats taken, one's own included.
    pub taken: u32,
    /// Seats in all.
    pub seats: u32,
}

/// Logs in. When this returns, the server has proved that it knows the account, too.
pub fn log_in(
    dialogue: &mut Dialogue,
    name: &UserName,
    identity: &PrivateKey,
    password: &Password,
    mode: Mode,
) -> Result<Welcome, Error> {
    dialogue.asks(Asked::Login(name.clone()));
    let first = ClientFirst::new(name, &dialogue.link().exporter()?);
    dialogue.send(&ToServer::LoginStart { mode, client_first: first.message().to_owned() })?;
    let server_first = match dialogue.next()? {
        ToClient::Challenge { server_first } => server_first,
        other => return Err(dialogue.unexpected(other, "Challenge")),
    };
    let last = first.answer(&server_first, password).map_err(|why| Error::Scram { why })?;
    let signature = identity
        .sign(&signed::login(last.auth_message()))
        .map_err(|why| Error::Key { path: "identity.pem".into(), why })?;
    dialogue.send(&ToServer::LoginProof { client_final: last.message().to_owned(), signature })?;
    let (server_final, welcome) = match dialogue.next()? {
        ToClient::Welcome { server_final, seats_taken, seats } => (server_final, Welcome { taken: seats_taken, seats }),
        other => return Err(dialogue.unexpected(other, "Welcome")),
    };
    last.verify(&server_final).map_err(|why| refused(name, why))?;
    dialogue.asks(Asked::Session);
    Ok(welcome)
}

fn refused(name: &UserName, why: ScramError) -> Error {
    match why {
        ScramError::Refused => {
            Error::Refused(Refusal { asked: Asked::Login(name.clone()), reason: Reason::new(Code::LoginRefused) })
        }
        why => Error::Scram { why },
    }
}
