//! New keys for an account.

use std::sync::Arc;

use super::register::{code_of, code_of_bundle};
use super::{Session, State};
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::crypto::keys::PublicKey;
use crate::server::accounts::{Account, Ledger};
use crate::server::net::end::End;
use crate::wire::to_client::Reason;
use crate::wire::{Code, ToClient};

impl Session<'_> {
    /// `UpdateKeys`: answered only when the new keys are on disk; ends every other session of the account.
    pub(crate) fn update_keys(
        &mut self,
        request: u32,
        bundle: Vec<u8>,
        handover: Vec<u8>,
        proof: &[u8],
    ) -> Result<(), End> {
        match self.try_update_keys(bundle, handover, proof)? {
            Ok(()) => self.reply(&ToClient::Done { request }),
            Err(code) => self.refuse(request, Reason::new(code)),
        }
        Ok(())
    }

    fn try_update_keys(&mut self, bytes: Vec<u8>, handover: Vec<u8>, proof: &[u8]) -> Result<Result<(), Code>, End> {
        let State::Member(seat) = &self.state else { return Err(End::because(Code::NotNow)) };
        let account = Arc::clone(&seat.account);
        let checked = match bundle::verify(&bytes) {
            Ok(checked) => checked,
            Err(error) => return Ok(Err(code_of_bundle(error)?)),
        };
        let is_proved = bundle::check_update_proof(&checked.identity, &self.line.connection.exporter()?, &bytes, proof);
        if !is_proved || !follows(&account, &checked, &handover) {
            return Ok(Err(Code::BadSignature));
        }
        if let Err(error) = self.shared.accounts.set_keys(&account, bytes, handover) {
            return Ok(Err(code_of(error)));
        }
        log::info!("{} has new keys (bundle {})", account.name(), checked.number);
        self.go_on_renewed(&account);
        Ok(Ok(()))
    }

    /// The session that brought the keys is the account's still; the others know only the old ones. Where all keys stay, all
    /// sessions go on.
    fn go_on_renewed(&mut self, account: &Account) {
        if let (State::Member(seat), Ok(Some(renewed))) = (&mut self.state, self.shared.accounts.find(account.name())) {
            seat.account = Arc::clone(&renewed);
            if renewed.has_same_keys(account) {
                return;
            }
        }
        let sessions = self.shared.hub().sessions_of(account.name());
        for session in sessions.iter().filter(|session| !Arc::ptr_eq(&session.outbox, &self.outbox)) {
            session.close(Code::KeysReplaced);
        }
    }
}

/// Whether the account's present identity and the bundle's vouch for each other: by being the same, or by the handover. One that was handed
/// over to already may be so again, as long as the bundle is the same: the answer may have been lost.
fn follows(account: &Account, new: &VerifiedBundle, handover: &[u8]) -> bool {
    let (now, fingerprint) = (account.keys(), new.identity.fingerprint());
    if new.name != *account.name() {
        return false;
    }
    if fingerprint == account.identity() {
        return handover.is_empty() || new.number == now.number;
    }
    PublicKey::from_der(&now.identity).is_ok_and(|old| bundle::check_handover(&new.name, &old, &new.identity, handover))
}
