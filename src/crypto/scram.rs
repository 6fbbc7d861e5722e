//! stub
#![allow(missing_docs)]
use crate::{names::UserName, wire::Verifier};
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum ScramError { #[error("stub")] Stub }
/// NFC-normalised, 8-128 bytes, no NUL.
pub struct Password;
impl Password { pub fn new(_typed: &str) -> Result<Self, PasswordError> { todo!() } pub fn as_bytes(&self) -> &[u8] { todo!() } }
#[derive(Debug, thiserror::Error, PartialEq, Eq, Clone)]
#[non_exhaustive]
pub enum PasswordError { #[error("stub")] Stub }
pub fn verifier(_password: &Password) -> Result<Verifier, ScramError> { todo!() }
// Client: typestate, each step consumes the last.
pub struct ClientFirst;
impl ClientFirst { pub fn new(_name: &UserName, _exporter: &[u8;32]) -> Self { todo!() } pub fn message(&self) -> &str { todo!() }
  pub fn answer(self, _server_first: &str, _password: &Password) -> Result<ClientFinal, ScramError> { todo!() } }
pub struct ClientFinal;
impl ClientFinal { pub fn message(&self) -> &str { todo!() } pub fn auth_message(&self) -> &str { todo!() } pub fn verify(&self, _server_final: &str) -> Result<(), ScramError> { todo!() } }
// Server.
pub struct ServerFirst;
impl ServerFirst {
  /// The name in a client-first-message.
  pub fn parse(_client_first: &str) -> Result<Self, ScramError> { todo!() }
  pub fn name(&self) -> &UserName { todo!() }
  pub fn challenge(self, _verifier: &Verifier) -> ServerChallenge { todo!() }
}
pub struct ServerChallenge;
impl ServerChallenge { pub fn message(&self) -> &str { todo!() }
  /// Ok(auth outcome): malformed or channel binding mismatch is Err.
  pub fn check(&self, _client_final: &str, _exporter: &[u8;32]) -> Result<ServerOutcome, ScramError> { todo!() } }
pub struct ServerOutcome { pub proof_holds: bool, pub auth_message: String, pub server_final: String }
