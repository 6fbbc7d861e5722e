//! The Login API: SCRAM-SHA-256 bound to the connection, and a signature by the identity key.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Session, State};
use crate::crypto::keys::PublicKey;
use crate::crypto::scram::{self, ServerChallenge, ServerFirst};
use crate::limits::{FULL_RETRY_SECS, SESSIONS_PER_ACCOUNT, SESSIONS_RETRY_SECS};
use crate::names::UserName;
use crate::server::accounts::{Account, Ledger};
use crate::server::clock::unix_ms;
use crate::server::log::{Mail, Receiver};
use crate::server::net::end::End;
use crate::server::net::preauth::GuestPass;
use crate::server::registry::handle::Presence;
use crate::server::registry::hub::NoSeat;
use crate::server::registry::seat::Seat;
use crate::wire::to_client::Reason;
use crate::wire::to_server::Mode;
use crate::wire::{Code, ToClient, count, signed};

/// A login whose challenge was sent, or is about to be.
pub(crate) struct Challenge {
    name: UserName,
    mode: Mode,
    /// Whose identity key was proved; to everybody else the name is one that doesn't exist.
    account: Option<Arc<Account>>,
    scram: ServerChallenge,
}

/// A challenge that is sent later, because of failures before. Until then nothing is taken from the client.
pub(crate) struct Slowed {
    challenge: Challenge,
    until: Instant,
}

impl Challenge {
    /// The account and the server's own proof, if all is right.
    ///
    /// A key is read and a signature checked in any case, also for an unknown name: all refusals take the same time.
    fn check(
        &self,
        client_final: &str,
        signature: &[u8],
        exporter: &[u8; 32],
        decoy: &[u8],
    ) -> Option<(Arc<Account>, String)> {
        let outcome = self.scram.check(client_final, exporter).ok();
        let auth_message = outcome.as_ref().map_or("", |outcome| outcome.auth_message.as_str());
        let is_signed = holds_key(self.account.as_deref(), decoy, &signed::login(auth_message), signature);
        let outcome = outcome.filter(|outcome| outcome.proof_holds && is_signed)?;
        Some((Arc::clone(self.account.as_ref()?), outcome.server_final))
    }
}

/// Whether the account's identity key has signed these bytes. It takes the same time if there is no account.
fn holds_key(account: Option<&Account>, decoy: &[u8], bytes: &[u8], signature: &[u8]) -> bool {
    let keys = account.map(Account::keys);
    let identity = PublicKey::from_der(keys.as_ref().map_or(decoy, |keys| keys.identity.as_slice()));
    identity.is_ok_and(|identity| identity.verify(bytes, signature)) && account.is_some()
}

impl Session<'_> {
    /// `LoginStart`: every name gets a challenge, whether it exists or not; but who has not proved its key gets it late, and that of a
    /// name that doesn't exist.
    pub(crate) fn login_start(&mut self, mode: Mode, client_first: &str, signature: &[u8]) -> Result<(), End> {
        let now = Instant::now();
        let first = ServerFirst::parse(client_first).map_err(|error| {
            log::debug!("a malformed login: {error}");
            End::because(Code::Malformed)
        })?;
        let name = first.name().clone();
        let proof = signed::login_start(&self.line.connection.exporter()?, &name);
        let found = self.shared.accounts.find(&name)?;
        let is_proved = holds_key(found.as_deref(), &self.shared.decoy, &proof, signature);
        let account = found.filter(|_| is_proved);
        // Made for every name, so that a challenge takes the same time whether it is needed or not.
        let fake = scram::fake_verifier(&self.shared.secret, &name);
        let scram = first.challenge(account.as_ref().map_or(&fake, |account| account.verifier()));
        let pass = self.take_pass()?;
        pass.tell(is_proved);
        let delay = match &account {
            Some(_) => self.shared.throttle().owner(self.source, &name, now),
            None => self.shared.throttle().stranger(self.source, now),
        };
        let challenge = Challenge { name, mode, account, scram };
        self.state = State::Slowed(Slowed { challenge, until: now + delay }, pass);
        self.challenge_if_due();
        Ok(())
    }

    /// Sends the challenge of a login that was slowed, if its time has come.
    pub(crate) fn challenge_if_due(&mut self) {
        if self.slowed_until().is_none_or(|until| Instant::now() < until) {
            return;
        }
        if let State::Slowed(slowed, pass) = std::mem::replace(&mut self.state, State::Leaving) {
            self.reply(&ToClient::Challenge { server_first: slowed.challenge.scram.message().to_owned() });
            self.state = State::Challenged(slowed.challenge, pass);
        }
    }

    /// Until when a login waits for its challenge.
    pub(crate) fn slowed_until(&self) -> Option<Instant> {
        match &self.state {
            State::Slowed(slowed, _) => Some(slowed.until),
            _ => None,
        }
    }

    /// `LoginProof`: password, key and connection must all be right; which was wrong is not told.
    pub(crate) fn login_proof(&mut self, client_final: &str, signature: &[u8]) -> Result<(), End> {
        let State::Challenged(challenge, pass) = std::mem::replace(&mut self.state, State::Leaving) else {
            return Err(End::because(Code::NotNow));
        };
        self.state = State::Guest(pass);
        let exporter = self.line.connection.exporter()?;
        let checked = challenge.check(client_final, signature, &exporter, &self.shared.decoy);
        let Some((account, server_final)) = checked else {
            if challenge.account.is_some() {
                self.shared.throttle().guessed(self.source, &challenge.name, Instant::now());
            }
            return self.login_refused(&challenge.name);
        };
        self.shared.throttle().succeeded(self.source, &challenge.name);
        self.let_in(account, challenge.mode, server_final)
    }

    fn login_refused(&mut self, name: &UserName) -> Result<(), End> {
        log::info!("a login as {name} from {} was refused", self.source);
        self.refuse(0, Reason::new(Code::LoginRefused));
        if self.tries.login_failed() { Ok(()) } else { Err(End::because(Code::LoginRefused)) }
    }

    fn let_in(&mut self, account: Arc<Account>, mode: Mode, server_final: String) -> Result<(), End> {
        if account.is_disabled() {
            self.refuse(0, Reason::new(Code::Disabled));
            return Err(End::because(Code::Disabled));
        }
        // One that is out of date takes nobody's seat.
        if let Err(code) = self.still_holds(&account) {
            return self.refuse_outdated(&account, code);
        }
        let outbox = Arc::clone(&self.outbox);
        let presence = Presence { outbox, mode, source: self.source, since_ms: unix_ms() };
        let entered = self.shared.hub().enter(self.id, account.name(), mode, presence);
        let seated = match entered {
            Ok(seated) => seated,
            Err(why) => {
                log::info!("{} found no free seat", account.name());
                let full = self.full(why);
                self.refuse(0, full.clone());
                return Err(End::Because(full));
            }
        };
        // It has no seat any more, so nobody else could end it.
        if let Some(replaced) = &seated.replaced {
            replaced.close(Code::Replaced);
        }
        // Again, behind `enter`: whoever deletes or disables the account or sets a password from now on finds this
        // session, and so does whoever replaces its keys.
        if let Err(code) = self.still_holds(&account) {
            self.shared.hub().leave(self.id);
            return self.refuse_outdated(&account, code);
        }
        if mode == Mode::Receiving {
            self.line.receiver = Some(Receiver::attach(&self.shared.mail, &account, &self.outbox));
        }
        let bundle = account.keys().number;
        let seat = Seat::new(&self.shared.hub, self.id, account, mode);
        seat.say_arrived(self.source, seated.taken, self.shared.settings.max_clients);
        self.reply(&ToClient::Welcome {
            server_final,
            seats_taken: count(seated.taken),
            seats: count(self.shared.settings.max_clients),
            bundle,
            kept: self.shared.mail.kept(),
            acknowledged: self.line.receiver.as_ref().map_or(0, Receiver::acknowledged_before),
        });
        self.logged_in(seat);
        Ok(())
    }

    /// `Seen`: a client's word is no proof, but the owner who restored a backup learns what that has taken back, and one who did not,
    /// that something is wrong with the disk. One line is enough.
    pub(crate) fn seen(&self, kept: u64) {
        let State::Member(seat) = &self.state else { return };
        let here = self.shared.mail.kept();
        if kept > here && !self.shared.was_set_back.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{} was here when the log went up to message {kept}, and now it ends at {here}: the data folder is an older copy",
                seat.account.name()
            );
        }
    }

    fn still_holds(&self, proved: &Account) -> Result<(), Code> {
        let now = self.shared.accounts.find(proved.name()).map_err(|_| Code::Storage)?;
        still_holds(proved, now.as_deref())
    }

    fn refuse_outdated(&mut self, account: &Account, code: Code) -> Result<(), End> {
        if code == Code::LoginRefused {
            return self.login_refused(account.name());
        }
        self.refuse(0, Reason::new(code));
        Err(End::because(code))
    }

    /// Only an account's owner gets so far, and may know how many seats there are.
    fn full(&self, why: NoSeat) -> Reason {
        let (code, limit, retry_secs) = match why {
            NoSeat::Full => (Code::Full, self.shared.settings.max_clients, FULL_RETRY_SECS),
            NoSeat::TooMany => (Code::TooManySessions, SESSIONS_PER_ACCOUNT, SESSIONS_RETRY_SECS),
        };
        Reason { limit: count(limit), ..Reason::retry_after(code, retry_secs) }
    }

    fn take_pass(&mut self) -> Result<GuestPass, End> {
        match std::mem::replace(&mut self.state, State::Leaving) {
            State::Guest(pass) | State::Challenged(_, pass) | State::Slowed(_, pass) => Ok(pass),
            State::Leaving | State::Member(_) => Err(End::because(Code::NotNow)),
        }
    }
}

/// Whether what a login has proved is still so by `now`.
fn still_holds(proved: &Account, now: Option<&Account>) -> Result<(), Code> {
    match now {
        Some(now) if now.origin() != proved.origin() || now.verifier() != proved.verifier() => Err(Code::LoginRefused),
        Some(now) if now.bundle() != proved.bundle() => Err(Code::KeysReplaced),
        Some(now) if now.is_disabled() => Err(Code::Disabled),
        Some(_) => Ok(()),
        None => Err(Code::LoginRefused),
    }
}
