//! The Register API, and what an account's owner may change later.

use std::sync::Arc;
use std::time::Instant;

use super::{Session, State};
use crate::crypto::bundle::{self, BundleError};
use crate::limits::SCRAM_ITERATIONS;
use crate::server::accounts::{Account, ChangeError, InviteCode, Ledger, Outcome};
use crate::server::clock::unix_ms;
use crate::server::log::Mail;
use crate::server::net::end::End;
use crate::server::net::throttle::RetryAfter;
use crate::server::settings::Registration;
use crate::wire::to_client::Reason;
use crate::wire::{self, Code, ToClient, Verifier};

impl Session<'_> {
    /// `Register`: answered only when the account is on disk.
    pub(crate) fn register(
        &mut self,
        bundle: Vec<u8>,
        verifier: Verifier,
        invite: &str,
        proof: &[u8],
    ) -> Result<(), End> {
        match self.try_register(bundle, verifier, invite, proof)? {
            Ok(Outcome::Changed) => self.reply(&ToClient::Registered),
            Ok(Outcome::Unchanged) => self.reply(&ToClient::RegisteredBefore),
            Err(reason) => self.refuse(0, reason),
        }
        Ok(())
    }

    /// `AskPolicy`: a code is judged as a registration would, and each one that is not good counts as one.
    pub(crate) fn tell_policy(&mut self, invite: &str) {
        let is_asked = !invite.is_empty() && self.shared.registration == Registration::Invite;
        let judged = match is_asked {
            true => self.judge(invite),
            false => Ok(()),
        };
        match judged {
            Ok(()) => self.reply(&ToClient::Policy { admission: self.shared.registration.into() }),
            Err(reason) => self.refuse(0, reason),
        }
    }

    fn judge(&self, invite: &str) -> Result<(), Reason> {
        let now = Instant::now();
        let mut throttle = self.shared.throttle();
        let throttled = |retry: RetryAfter| Reason::retry_after(Code::Throttled, retry.seconds());
        throttle.has_room_to_register(self.source, now).map_err(throttled)?;
        let admitted = InviteCode::parse(invite).map_or(Ok(false), |code| self.shared.accounts.admits(code.hash()));
        match admitted.map_err(|_| Reason::new(Code::Storage))? {
            true => Ok(()),
            false => {
                throttle.may_register(self.source, now).map_err(throttled)?;
                Err(Reason::new(Code::InviteRefused))
            }
        }
    }

    /// `SetPassword`: answered only when the new verifier is on disk.
    pub(crate) fn set_password(&mut self, request: u32, verifier: Verifier) {
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
    pub(crate) fn delete_account(&mut self, request: u32) -> Result<(), End> {
        let State::Member(seat) = &self.state else { return Err(End::because(Code::NotNow)) };
        let account = Arc::clone(&seat.account);
        let name = account.name();
        if let Err(error) = self.shared.accounts.delete(&account) {
            self.refuse(request, Reason::new(code_of(error)));
            return Ok(());
        }
        self.shared.mail.remove(&account);
        log::info!("{name} deleted the account");
        self.reply(&ToClient::Done { request });
        let sessions = self.shared.hub().sessions_of(name);
        for session in sessions {
            session.close(Code::Deleted);
        }
        Ok(())
    }

    fn try_register(
        &mut self,
        bytes: Vec<u8>,
        verifier: Verifier,
        invite: &str,
        proof: &[u8],
    ) -> Result<Result<Outcome, Reason>, End> {
        if self.shared.registration == Registration::Closed {
            return Ok(Err(Reason::new(Code::RegistrationClosed)));
        }
        if !self.tries.register() {
            return Ok(Err(Reason::new(Code::NotNow)));
        }
        let code = InviteCode::parse(invite).map(|code| code.hash());
        let by_invite = self.shared.registration == Registration::Invite;
        // Who has a good code pays for nobody else's tries at that address.
        let has_good_code = by_invite && code.map_or(Ok(false), |code| self.shared.accounts.admits(code))?;
        if !has_good_code {
            let admitted = self.shared.throttle().may_register(self.source, Instant::now());
            if let Err(retry) = admitted {
                return Ok(Err(Reason::retry_after(Code::Throttled, retry.seconds())));
            }
        }
        if !iterations_fit(&verifier) {
            return Ok(Err(Reason::new(Code::BadVerifier)));
        }
        let checked = match bundle::verify(&bytes) {
            Ok(checked) => checked,
            Err(error) => return Ok(Err(Reason::new(code_of_bundle(error)?))),
        };
        if !bundle::check_proof(&checked.identity, &self.line.connection.exporter()?, &bytes, proof) {
            return Ok(Err(Reason::new(Code::BadSignature)));
        }
        let account = Account::new(bytes, verifier, unix_ms())?.joining(self.shared.mail.next_start());
        let registered = if by_invite {
            self.shared.accounts.register_by_invite(account.clone(), code)
        } else {
            self.shared.accounts.register(account.clone())
        };
        if registered == Ok(Outcome::Changed) {
            self.shared.mail.join(&account);
            // Whoever deleted it at once may have told the store before.
            let present = self.shared.accounts.find(account.name())?;
            if present.is_none_or(|present| present.joined() != account.joined()) {
                self.shared.mail.remove(&account);
            }
            log::info!("{} registered from {}", checked.name, self.source);
        }
        Ok(registered.map_err(|error| Reason::new(code_of(error))))
    }
}

/// One figure for all accounts: the challenge of a name that doesn't exist shows it too, so it tells nothing.
fn iterations_fit(verifier: &Verifier) -> bool {
    verifier.iterations == SCRAM_ITERATIONS
}

pub(crate) fn code_of(error: ChangeError) -> Code {
    match error {
        ChangeError::Full => Code::AccountsFull,
        ChangeError::InviteRefused => Code::InviteRefused,
        ChangeError::NameTaken => Code::NameTaken,
        ChangeError::NoSuchInvite | ChangeError::NoSuchUser => Code::NoSuchUser,
        ChangeError::Stale => Code::StaleBundle,
        ChangeError::Storage => Code::Storage,
    }
}

/// A name that can't be one is a person's mistake; any other flaw of the layout is a program's, and ends the session.
pub(crate) fn code_of_bundle(error: BundleError) -> Result<Code, End> {
    log::debug!("a key bundle was refused: {error}");
    match error {
        BundleError::Layout(wire::Error::Name { .. }) => Ok(Code::BadName),
        BundleError::Layout(error) => Err(error.into()),
        BundleError::Possession | BundleError::Signature => Ok(Code::BadSignature),
        BundleError::Key { .. } | BundleError::SameKey => Ok(Code::BadKey),
    }
}
