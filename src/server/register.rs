//! The Register API, and what an account's owner may change later.

use std::sync::Arc;
use std::time::Instant;

use super::accounts::{Account, ChangeError, Outcome};
use super::session::{End, Session, State};
use super::shared::{Registration, unix_ms};
use crate::crypto::bundle::{self, BundleError};
use crate::limits::{SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN};
use crate::wire::to_client::Reason;
use crate::wire::{self, Code, ToClient, Verifier};

impl Session<'_> {
    /// `Register`: answered only when the account is on disk.
    pub(super) fn register(&mut self, bundle: Vec<u8>, verifier: Verifier, proof: &[u8]) -> Result<(), End> {
        match self.try_register(bundle, verifier, proof)? {
            Ok(()) => self.reply(&ToClient::Registered),
            Err(reason) => self.refuse(0, reason),
        }
        Ok(())
    }

    /// `SetPassword`: answered only when the new verifier is on disk.
    pub(super) fn set_password(&mut self, request: u32, verifier: Verifier) {
        let State::Member(seat) = &self.state else { return };
        let account = Arc::clone(&seat.account);
        let changed = if iterations_fit(&verifier) {
            self.shared.accounts.set_verifier(&account, verifier).map_err(code_of)
        } else {
            Err(Code::BadVerifier)
        };
        match changed {
            Ok(_) => {
                log::info!("{} changed the password", account.name());
                self.reply(&ToClient::Done { request });
            }
            Err(code) => self.refuse(request, Reason::new(code)),
        }
    }

    /// `DeleteAccount`: ends every session of the account.
    pub(super) fn delete_account(&mut self, request: u32) -> Result<(), End> {
        let State::Member(seat) = &self.state else { return Err(End::because(Code::NotNow)) };
        let account = Arc::clone(&seat.account);
        let name = account.name();
        if let Err(error) = self.shared.accounts.delete(&account) {
            self.refuse(request, Reason::new(code_of(error)));
            return Ok(());
        }
        self.shared.store.remove(name);
        log::info!("{name} deleted the account");
        self.reply(&ToClient::Done { request });
        let sessions = self.shared.hub().sessions_of(name);
        for session in sessions {
            session.close(Code::Deleted);
        }
        Ok(())
    }

    fn try_register(&mut self, bytes: Vec<u8>, verifier: Verifier, proof: &[u8]) -> Result<Result<(), Reason>, End> {
        if self.shared.settings.registration == Registration::Closed {
            return Ok(Err(Reason::new(Code::RegistrationClosed)));
        }
        if !self.tries.register() {
            return Ok(Err(Reason::new(Code::NotNow)));
        }
        let admitted = self.shared.throttle().may_register(self.source, Instant::now());
        if let Err(retry) = admitted {
            return Ok(Err(Reason::retry_after(Code::Throttled, retry.seconds())));
        }
        if !iterations_fit(&verifier) {
            return Ok(Err(Reason::new(Code::BadVerifier)));
        }
        let checked = match bundle::verify(&bytes) {
            Ok(checked) => checked,
            Err(error) => {
                log::debug!("a registration was refused: {error}");
                return Ok(Err(Reason::new(code_of_bundle(&error))));
            }
        };
        if !bundle::check_proof(&checked.identity, &self.connection.exporter()?, &bytes, proof) {
            return Ok(Err(Reason::new(Code::BadSignature)));
        }
        let account = Account::new(bytes, verifier, unix_ms())?;
        let registered = self.shared.accounts.register(account.clone());
        if registered == Ok(Outcome::Changed) {
            self.shared.store.join(&account);
            log::info!("{} registered from {}", checked.name, self.source);
        }
        Ok(registered.map(|_| ()).map_err(|error| Reason::new(code_of(error))))
    }
}

fn iterations_fit(verifier: &Verifier) -> bool {
    (SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(&verifier.iterations)
}

fn code_of(error: ChangeError) -> Code {
    match error {
        ChangeError::Full => Code::AccountsFull,
        ChangeError::NameTaken => Code::NameTaken,
        ChangeError::NoSuchUser => Code::NoSuchUser,
        ChangeError::Storage => Code::Storage,
    }
}

fn code_of_bundle(error: &BundleError) -> Code {
    match error {
        BundleError::Layout(wire::Error::Name { .. }) => Code::BadName,
        BundleError::Layout(_) => Code::Malformed,
        BundleError::Signature => Code::BadSignature,
        BundleError::Key { .. } | BundleError::SameKey => Code::BadKey,
    }
}
