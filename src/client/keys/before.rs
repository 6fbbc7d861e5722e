//! What the server knew of an account before its last changes: `before.json` beside the key files.
//!
//! A server can be set back to an older copy of its data. Then it wants the password and the identity from before, which nobody types
//! or holds any more; so this machine keeps what logs in with them, and brings the changes to the server again (`restored.rs`). What
//! is kept of a former password is no password: it is what was derived from it for that server (RFC 5802, section 3), sealed for
//! the account's encryption key, so the present password opens it and the former one opens nothing.
//!
//! It goes when the server was seen to know the change on [`KNOWN_DAYS`] days, counted one at a time by logins that found it so. A day
//! counts if it is later than the one seen last: a clock that leaps counts as one day, whatever the leap.

use std::path::PathBuf;

use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};

use super::folder::KeyFolder;
use crate::client::error::Error;
use crate::client::state::state_file::VERSION;
use crate::client::ui::output::now_ms;
use crate::crypto::bundle::{self, BundleError, VerifiedBundle};
use crate::crypto::keys::{PrivateKey, PublicKey};
use crate::crypto::scram::Salted;
use crate::limits::{BEFORE_MAX, KNOWN_DAYS, SMALL_FILE_MAX};
use crate::storage::{FileError, private};
use crate::text::visible;
use crate::wire::Fingerprint;

/// What is kept of one account.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Before {
    v: u32,
    /// Those that took the place of another, the oldest first.
    bundles: Vec<Change>,
    passwords: Vec<Password>,
}

/// A key bundle that the server has taken.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Change {
    number: u64,
    bundle: String,
    /// Empty if the identity stayed.
    handover: String,
    known: Days,
}

/// A password that the server took another one in place of.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Password {
    salt: String,
    iterations: u32,
    /// Fingerprint of the encryption key that opens it.
    for_key: String,
    sealed: String,
    known: Days,
}

/// On how many days the server was seen to know what came after.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Days {
    count: u32,
    /// The day seen last, counted from 1970.
    last: i64,
}

/// What brings one change of the keys to a server again.
pub(crate) struct Renewal {
    /// The bundle, byte for byte as the server had it.
    pub bytes: Vec<u8>,
    pub handover: Vec<u8>,
    /// The bundle, checked.
    pub bundle: VerifiedBundle,
}

impl Default for Before {
    fn default() -> Self {
        Self { v: VERSION, bundles: Vec::new(), passwords: Vec::new() }
    }
}

impl KeyFolder {
    /// What is kept of this account; a file that never was keeps nothing. One that is gone, is told: it is needed only with a
    /// server that is set back.
    pub(crate) fn before(&self) -> Result<Before, Error> {
        let path = self.before_file();
        let malformed = |why: String| Error::State { path: path.clone(), why };
        let bytes = match private::read(&path, SMALL_FILE_MAX) {
            Ok(bytes) => bytes,
            Err(FileError::Missing { .. }) => {
                if self.has_former_identities() {
                    log::warn!(
                        "{} is gone: with a server that is set back to before the last changes of the keys or the password, \
                         nobody can log in",
                        visible(&path.to_string_lossy())
                    );
                }
                return Ok(Before::default());
            }
            Err(error) => return Err(error.into()),
        };
        let before: Before = serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
        match before.v {
            VERSION => Ok(before),
            version => Err(malformed(format!("version {version}, this program knows {VERSION}"))),
        }
    }

    /// The same for a login, which does not depend on it.
    pub(crate) fn before_or_nothing(&self) -> Before {
        self.before().inspect_err(|error| log::warn!("{error}")).unwrap_or_default()
    }

    /// On disk when this returns. The folder's lock is held.
    pub(crate) fn keep_before(&self, before: &Before) -> Result<(), Error> {
        Ok(private::replace(&self.before_file(), &before.text())?)
    }

    /// As it is to be when the new password counts.
    pub(crate) fn keep_before_new(&self, before: &Before) -> Result<(), Error> {
        Ok(private::replace(&self.before_new_file(), &before.text())?)
    }

    /// Drops what the server was seen to know for long enough, and the former identities that only that needed.
    pub(crate) fn saw(&self, bundle: u64, is_present_password: bool) -> Result<(), Error> {
        let mut before = self.before_or_nothing();
        if !before.count(bundle, is_present_password, today()) {
            return Ok(());
        }
        let Some(_lock) = self.try_lock()? else { return Ok(()) };
        let mut before = self.before()?;
        before.count(bundle, is_present_password, today());
        let is_known = |days: &Days| days.count >= KNOWN_DAYS;
        before.bundles.retain(|change| !is_known(&change.known));
        before.passwords.retain(|password| !is_known(&password.known));
        self.keep_before(&before)?;
        match before.bundles.is_empty() {
            true => self.drop_former_identities(),
            false => Ok(()),
        }
    }

    /// The file.
    pub(crate) fn before_file(&self) -> PathBuf {
        self.path().join(BEFORE)
    }

    /// The file that takes its place when the new password counts.
    pub(crate) fn before_new_file(&self) -> PathBuf {
        self.path().join(format!("{BEFORE}.new"))
    }
}

impl Before {
    /// The password is about to be another one; what logged in until now is sealed for `key`.
    pub(crate) fn add_password(&mut self, salted: &Salted, key: &PublicKey) -> Result<(), Error> {
        let sealed = salted.lock(key).map_err(Error::key(BEFORE))?;
        let salt = HEXLOWER.encode(&salted.salt);
        self.passwords.retain(|password| password.salt != salt);
        self.passwords.push(Password {
            salt,
            iterations: salted.iterations,
            for_key: key.fingerprint().to_hex(),
            sealed: BASE64.encode(&sealed),
            known: Days::from(today()),
        });
        let excess = self.passwords.len().saturating_sub(BEFORE_MAX);
        self.passwords.drain(..excess);
        Ok(())
    }

    /// The server has taken this bundle.
    pub(crate) fn add_bundle(&mut self, number: u64, bytes: &[u8], handover: &[u8]) {
        if self.bundles.iter().any(|change| change.number == number) {
            return;
        }
        self.bundles.push(Change {
            number,
            bundle: BASE64.encode(bytes),
            handover: BASE64.encode(handover),
            known: Days::from(today()),
        });
        self.bundles.sort_by_key(|change| change.number);
        let excess = self.bundles.len().saturating_sub(BEFORE_MAX);
        self.bundles.drain(..excess);
    }

    /// The server has refused it.
    pub(crate) fn drop_bundle(&mut self, number: u64) {
        self.bundles.retain(|change| change.number != number);
    }

    /// What logs in where the password had this salt, opened with the key that `open` knows for the fingerprint.
    pub(crate) fn password(
        &self,
        salt: &[u8; 16],
        iterations: u32,
        open: impl FnOnce(Fingerprint, &dyn Fn(&PrivateKey) -> Option<Salted>) -> Option<Salted>,
    ) -> Option<Salted> {
        let digits = HEXLOWER.encode(salt);
        let password = self.passwords.iter().find(|one| one.salt == digits && one.iterations == iterations)?;
        let sealed = BASE64.decode(password.sealed.as_bytes()).ok()?;
        open(Fingerprint::from_hex(&password.for_key)?, &|key| Salted::unlock(key, *salt, iterations, &sealed))
    }

    /// The changes of the keys after the bundle with this number, the oldest first.
    pub(crate) fn renewals_after(&self, number: u64) -> Result<Vec<Renewal>, BundleError> {
        let after = self.bundles.iter().filter(|change| change.number > number);
        let renewal = |change: &Change| {
            let decode = |text: &String| BASE64.decode(text.as_bytes()).map_err(|_| BundleError::Signature);
            let (bytes, handover) = (decode(&change.bundle)?, decode(&change.handover)?);
            let bundle = bundle::verify(&bytes)?;
            Ok(Renewal { bytes, handover, bundle })
        };
        after.map(renewal).collect()
    }

    /// Whether there is a change after the bundle with this number.
    pub(crate) fn is_ahead_of(&self, number: u64) -> bool {
        self.bundles.iter().any(|change| change.number > number)
    }

    /// A login today found the server with this bundle. Gives whether that is news.
    fn count(&mut self, bundle: u64, is_present_password: bool, today: i64) -> bool {
        let mut is_news = false;
        for change in self.bundles.iter_mut().filter(|change| change.number <= bundle) {
            is_news |= change.known.see(today);
        }
        for password in self.passwords.iter_mut().filter(|_| is_present_password) {
            is_news |= password.known.see(today);
        }
        is_news
    }

    fn text(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("these objects have text keys only");
        text.push(b'\n');
        text
    }
}

impl Days {
    fn from(today: i64) -> Self {
        Self { count: 0, last: today }
    }

    fn see(&mut self, today: i64) -> bool {
        self.count += u32::from(today > self.last);
        std::mem::replace(&mut self.last, today) != today
    }
}

fn today() -> i64 {
    now_ms().div_euclid(24 * 3600 * 1000)
}

/// The file's name.
const BEFORE: &str = "before.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{self, ALICE, BOB_ENCRYPTION, CAROL_ENCRYPTION};

    fn renewed(number: u64) -> Before {
        let mut before = Before::default();
        let made = test_keys::bundle("alice", &ALICE, BOB_ENCRYPTION.public(), number);
        before.add_bundle(number, &made.encode(), b"");
        before
    }

    #[test]
    fn what_the_server_lacks_is_known_with_its_bytes() {
        let mut before = renewed(3);
        before.add_bundle(2, b"junk", b"");
        assert_eq!(before.renewals_after(2).unwrap().iter().map(|one| one.bundle.number).collect::<Vec<_>>(), [3]);
        assert!(before.renewals_after(1).is_err(), "what does not hold is not sent");
        assert!(before.is_ahead_of(2) && !before.is_ahead_of(3));
        before.add_bundle(3, b"other", b"");
        assert!(before.renewals_after(2).is_ok(), "the first one of a number stays");
    }

    #[test]
    fn thirty_days_on_which_the_server_knew_the_change_are_thirty_days_however_the_clock_leaps() {
        let (mut before, start) = (renewed(2), today());
        let count = |before: &Before| before.bundles[0].known.count;
        before.count(1, true, start + 1);
        assert_eq!(count(&before), 0, "the server does not know it");
        for _ in 0..5 {
            before.count(2, true, start + 1);
        }
        assert_eq!(count(&before), 1, "one day, whatever the number of logins");
        before.count(2, true, start + 4000);
        assert_eq!(count(&before), 2, "a leap is one day");
        before.count(2, true, start + 2);
        assert_eq!(count(&before), 2, "nor is the leap back");
        for day in 3..=30 {
            before.count(2, true, start + day);
        }
        assert_eq!(count(&before), KNOWN_DAYS);
    }

    #[test]
    fn what_is_kept_goes_when_the_server_has_known_the_change_for_long() {
        let place = tempfile::tempdir().unwrap();
        let folder = KeyFolder::new(place.path(), &"alice".parse().unwrap());
        private::ensure_folder(folder.path()).unwrap();
        let mut before = renewed(2);
        before.bundles[0].known = Days { count: KNOWN_DAYS - 1, last: today() };
        folder.keep_before(&before).unwrap();
        folder.saw(2, true).unwrap();
        assert!(folder.before().unwrap().is_ahead_of(1), "today was counted");
        before.bundles[0].known.last -= 1;
        folder.keep_before(&before).unwrap();
        folder.saw(1, true).unwrap();
        assert!(folder.before().unwrap().is_ahead_of(1));
        folder.saw(2, true).unwrap();
        assert!(!folder.before().unwrap().is_ahead_of(1));
    }

    #[test]
    fn a_former_password_opens_with_the_key_it_was_sealed_for_and_for_its_salt_alone() {
        let salted = Salted::derive(b"password1", [7; 16], 4096).unwrap();
        let mut before = Before::default();
        before.add_password(&salted, BOB_ENCRYPTION.public()).unwrap();
        let open = |salt, key: &PrivateKey| before.password(&salt, salted.iterations, |_, unlock| unlock(key));
        assert!(open([7; 16], &BOB_ENCRYPTION).is_some());
        assert!(open([8; 16], &BOB_ENCRYPTION).is_none());
        assert!(open([7; 16], &CAROL_ENCRYPTION).is_none());
        assert!(before.password(&[7; 16], 1, |_, unlock| unlock(&BOB_ENCRYPTION)).is_none());
        assert!(!String::from_utf8(before.text()).unwrap().contains("password1"));
    }

    #[test]
    fn a_damaged_file_is_told_and_holds_up_no_login() {
        let place = tempfile::tempdir().unwrap();
        let folder = KeyFolder::new(place.path(), &"alice".parse().unwrap());
        private::ensure_folder(folder.path()).unwrap();
        for junk in ["", "{}", "{\"v\":1,\"bundles\":[],\"passwords\":[]}"] {
            private::replace(&folder.before_file(), junk.as_bytes()).unwrap();
            assert!(matches!(folder.before(), Err(Error::State { .. })), "{junk}");
            assert!(!folder.before_or_nothing().is_ahead_of(0));
        }
    }
}
