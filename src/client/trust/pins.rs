//! What the file of contacts holds, and what a key that was seen makes of it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::model::event::{KeyChange, Mark};
use crate::client::model::pin::{Former, Found, Met, Pin, Signer};
use crate::client::state::state_file::Document;
use crate::client::ui::json;
use crate::crypto::bundle::{self, VerifiedBundle};
use crate::crypto::curve::VerifyingKey;
use crate::crypto::keys::PublicKey;
use crate::limits::{CONTACTS_FILE_MAX, FORMER_KEYS, FORMER_MS, OTHER_KEYS};
use crate::names::UserName;
use crate::wire::{Fingerprint, Prefers};

/// All contacts of one account on one server.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pins {
    v: u32,
    pub(crate) contacts: BTreeMap<String, Contact>,
}

/// One of them.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contact {
    /// 64 hex digits, for people who look into the file.
    fingerprint: String,
    /// DER SubjectPublicKeyInfo in hex.
    identity: String,
    first_seen: String,
    /// When the person compared it.
    #[serde(default)]
    verified: Option<String>,
    /// When the person compared one that has led to it by handovers, the latest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verified_before: Option<String>,
    /// The person gave its fingerprint when they chose it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    named: bool,
    /// The highest bundle number that was seen of this identity; 0 if none is known.
    #[serde(default)]
    bundle: u64,
    /// SHA-256 of all that was signed in that bundle.
    #[serde(default)]
    digest: Option<String>,
    /// Its Ed25519 keys, the present one first.
    #[serde(default)]
    ed25519: Vec<SignerKey>,
    /// A bundle that prefers modern was seen of this name: nothing weaker is sent to it, whoever holds it later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    modern: bool,
    /// The last bundle prefers modern.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    prefers_modern: bool,
    /// Classic messages that came until then are shown, though the name is remembered to ask for modern ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted: Option<String>,
    /// The highest bundle number that the identity has named in a message.
    #[serde(default, skip_serializing_if = "is_zero")]
    announced: u64,
    #[serde(default)]
    former: Vec<FormerKey>,
    #[serde(default)]
    changed: Option<Changed>,
    /// Fingerprints of other keys that were seen in this name, the newest last.
    #[serde(default)]
    others: Vec<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct FormerKey {
    identity: String,
    /// When it handed over.
    since: String,
    /// Ed25519 keys in the last bundle that was seen of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ed25519: Vec<SignerKey>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SignerKey {
    /// DER SubjectPublicKeyInfo in hex.
    key: String,
    /// When messages under it no longer count, as Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<i64>,
}

impl From<&Signer> for SignerKey {
    fn from(signer: &Signer) -> Self {
        Self { key: HEXLOWER.encode(signer.key.to_der()), until_ms: signer.until_ms }
    }
}

impl SignerKey {
    fn of(bundle: &VerifiedBundle) -> Vec<Self> {
        Signer::of(bundle).iter().map(Self::from).collect()
    }

    fn read(&self) -> Result<Signer, String> {
        let der = HEXLOWER.decode(self.key.as_bytes()).map_err(|_| "an Ed25519 key is not hex".to_owned())?;
        let key = VerifyingKey::from_der(&der).map_err(|why| why.to_string())?;
        Ok(Signer { key: Arc::new(key), until_ms: self.until_ms })
    }
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Changed {
    fingerprint: String,
    seen: String,
}

/// What a person decided about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// To go on with it, though nobody has compared it.
    Trusted,
    /// To go on with it: its fingerprint was given.
    Named,
    /// That it is the contact's: it was compared.
    Verified,
}

impl Default for Pins {
    fn default() -> Self {
        Self { v: VERSION, contacts: BTreeMap::new() }
    }
}

impl Document for Pins {
    const VERSION: u32 = VERSION;
    const LONGEST: u64 = CONTACTS_FILE_MAX;

    fn version(&self) -> u32 {
        self.v
    }
}

impl Contact {
    /// A contact seen for the first time, or one whose key was replaced.
    pub(crate) fn new(bundle: &VerifiedBundle, now_ms: i64) -> Self {
        Self {
            fingerprint: bundle.identity.fingerprint().to_hex(),
            identity: HEXLOWER.encode(bundle.identity.to_der()),
            first_seen: json::time(now_ms),
            verified: None,
            verified_before: None,
            named: false,
            bundle: bundle.number,
            digest: Some(HEXLOWER.encode(&bundle.digest)),
            ed25519: SignerKey::of(bundle),
            modern: bundle.prefers == Prefers::Modern,
            prefers_modern: bundle.prefers == Prefers::Modern,
            accepted: None,
            announced: 0,
            former: Vec::new(),
            changed: None,
            others: Vec::new(),
        }
    }

    /// What is held, read strictly; the error says what is wrong.
    pub(crate) fn pin(&self) -> Result<Pin, String> {
        let key = key(&self.identity)?;
        if key.fingerprint().to_hex() != self.fingerprint {
            return Err("the fingerprint is not that of the identity".to_owned());
        }
        let former = |former: &FormerKey| {
            let until_ms = millisecond(&former.since)?.saturating_add(FORMER_MS);
            let signers = former.ed25519.iter().map(SignerKey::read).collect::<Result<_, _>>()?;
            Ok(Former { key: Arc::new(self::key(&former.identity)?), until_ms, signers })
        };
        let verified_ms = self.verified.as_deref().map(millisecond).transpose()?;
        Ok(Pin {
            key: Arc::new(key),
            mark: if verified_ms.is_some() { Mark::Verified } else { Mark::Known },
            since_ms: millisecond(&self.first_seen)?,
            verified_ms,
            verified_before_ms: self.verified_before.as_deref().map(millisecond).transpose()?,
            former: self.former.iter().map(former).collect::<Result<_, String>>()?,
            changed: self.changed.as_ref().map(|changed| fingerprint(&changed.fingerprint)).transpose()?,
            others: self.others.iter().map(|other| fingerprint(other)).collect::<Result<_, String>>()?,
            signers: self.ed25519.iter().map(SignerKey::read).collect::<Result<_, _>>()?,
            modern: self.modern,
            prefers: if self.prefers_modern { Prefers::Modern } else { Prefers::Classic },
            accepted_ms: self.accepted.as_deref().map(millisecond).transpose()?,
            bundle: self.bundle,
            announced: self.announced,
        })
    }

    /// Whether the person gave the key's fingerprint when they chose it.
    pub(crate) fn was_named(&self) -> bool {
        self.named
    }

    /// Whether [`Self::meet`] would only repeat what stands here.
    pub(crate) fn has_met(&self, bundle: &VerifiedBundle) -> bool {
        let is = |known: &str| known == bundle.identity.fingerprint().to_hex();
        match &self.changed {
            Some(changed) => is(&changed.fingerprint) || is(&self.fingerprint),
            None => is(&self.fingerprint) && self.number_of(bundle) == Number::Same,
        }
    }

    /// Compares what a server gave with `held`, which stands here. An open change stays open whatever the server gives.
    pub(crate) fn meet(&mut self, held: &Pin, found: &Found, now_ms: i64) -> Result<Met, Error> {
        let Found { bundle, lineage } = found;
        let (pinned, given) = (held.key.fingerprint(), bundle.identity.fingerprint());
        if let Some(change) = held.change(&bundle.name) {
            return Ok(Met::Changed(if given == pinned {
                change
            } else {
                self.other(&bundle.name, held, given, now_ms)
            }));
        }
        if given == pinned {
            return self.same(bundle);
        }
        // As a server has it that was set back: nothing is sent under it, but nobody has changed anything.
        if held.former.iter().any(|former| former.key.fingerprint() == given) {
            let (name, given, known) = (bundle.name.clone(), bundle.number, self.bundle);
            return Err(Error::Trust(TrustError::OldBundle { name, given, known }));
        }
        match bundle::succession(bundle, lineage, pinned) {
            Ok(former) => {
                self.moved(bundle, &former, now_ms);
                Ok(Met::Moved)
            }
            Err(why) => {
                log::info!("{}: {why}", bundle.name);
                Ok(Met::Changed(self.other(&bundle.name, held, given, now_ms)))
            }
        }
    }

    /// Another key was seen, that nothing leads to.
    pub(crate) fn other(&mut self, name: &UserName, held: &Pin, now: Fingerprint, now_ms: i64) -> KeyChange {
        let fingerprint = now.to_hex();
        self.remember(&fingerprint);
        self.changed = Some(Changed { fingerprint, seen: json::time(now_ms) });
        held.change_to(name, now)
    }

    /// The key `by`, if it is pinned, vouches for keys that it has replaced. They count no longer than if they had handed over
    /// when it was pinned, however often a server shows them.
    pub(crate) fn vouched(&mut self, by: Fingerprint, former: &[PublicKey]) {
        if by.to_hex() != self.fingerprint {
            return;
        }
        for identity in former.iter().map(|key| HEXLOWER.encode(key.to_der())) {
            if self.former.len() < FORMER_KEYS && !self.former.iter().any(|known| known.identity == identity) {
                self.former.push(FormerKey { identity, since: self.first_seen.clone(), ed25519: Vec::new() });
            }
        }
    }

    /// The person takes what came classic so far. If the contact no longer asks for modern, all goes on so; gives whether it does.
    pub(crate) fn accept(&mut self, now_ms: i64) -> bool {
        self.accepted = Some(json::time(now_ms + 999));
        self.modern &= self.prefers_modern;
        self.modern
    }

    /// The identity `by` has named this bundle of its own in a message.
    pub(crate) fn announce(&mut self, by: Fingerprint, number: u64) {
        if by.to_hex() == self.fingerprint {
            self.announced = self.announced.max(number);
        }
    }

    /// The person has chosen this key. What was seen beside it is remembered as not chosen.
    /// True if it was pinned already.
    pub(crate) fn choose(&mut self, bundle: &VerifiedBundle, choice: Choice, now_ms: i64) -> bool {
        let now = bundle.identity.fingerprint().to_hex();
        let stays = now == self.fingerprint;
        if !stays {
            let was = self.fingerprint.clone();
            self.remember(&was);
            let (others, modern) = (std::mem::take(&mut self.others), self.modern);
            *self = Self { others, ..Self::new(bundle, now_ms) };
            self.modern |= modern;
        }
        self.others.retain(|other| *other != now);
        self.changed = None;
        self.named |= choice != Choice::Trusted;
        if choice == Choice::Verified {
            self.verified = Some(json::time(now_ms));
        }
        stays
    }

    /// The person takes back that they compared it. False if they never had.
    pub(crate) fn unverify(&mut self) -> bool {
        // What was compared before keys were handed over is taken back with it: it would go on vouching for the new one.
        let before = self.verified_before.take();
        self.verified.take().or(before).is_some()
    }

    fn same(&mut self, bundle: &VerifiedBundle) -> Result<Met, Error> {
        let (name, given) = (bundle.name.clone(), bundle.number);
        match self.number_of(bundle) {
            Number::Older => Err(Error::Trust(TrustError::OldBundle { name, given, known: self.bundle })),
            Number::Reused => Err(Error::Trust(TrustError::BundleReused { name, number: given })),
            Number::Same => Ok(Met::Stays),
            Number::Newer => {
                self.bundle = given;
                self.digest = Some(HEXLOWER.encode(&bundle.digest));
                self.ed25519 = SignerKey::of(bundle);
                Ok(self.wishes(bundle))
            }
        }
    }

    /// What a newer bundle asks for. A wish for modern is taken at once; that it is taken back is told, and asks for the person's word
    /// where they have compared the contact's key.
    fn wishes(&mut self, bundle: &VerifiedBundle) -> Met {
        self.prefers_modern = bundle.prefers == Prefers::Modern;
        match (self.modern, bundle.prefers) {
            (_, Prefers::Modern) => {
                self.modern = true;
                Met::Stays
            }
            (true, Prefers::Classic) => {
                self.modern = self.verified.is_some() || self.verified_before.is_some();
                Met::TookBack { stays: self.modern }
            }
            (false, Prefers::Classic) => Met::Stays,
        }
    }

    fn number_of(&self, bundle: &VerifiedBundle) -> Number {
        let is_same = self.digest.as_deref() == Some(HEXLOWER.encode(&bundle.digest).as_str());
        match bundle.number.cmp(&self.bundle) {
            std::cmp::Ordering::Less => Number::Older,
            std::cmp::Ordering::Greater => Number::Newer,
            std::cmp::Ordering::Equal if is_same => Number::Same,
            std::cmp::Ordering::Equal => Number::Reused,
        }
    }

    /// The keys in `former` have handed over, the newest first. Nobody has compared the new one.
    fn moved(&mut self, bundle: &VerifiedBundle, former: &[PublicKey], now_ms: i64) {
        let since = json::time(now_ms);
        let old = former.iter().map(|key| HEXLOWER.encode(key.to_der()));
        let present = std::mem::take(&mut self.ed25519);
        let former_key = |identity: String| {
            // What is known of Ed25519 keys is known of the identity that was pinned.
            let ed25519 = if identity == self.identity { present.clone() } else { Vec::new() };
            FormerKey { identity, since: since.clone(), ed25519 }
        };
        let mut all: Vec<_> = old.map(former_key).collect();
        all.extend(std::mem::take(&mut self.former));
        // The oldest go, by their number alone: a clock that is far ahead today must not decide for tomorrow.
        all.truncate(FORMER_KEYS);
        let others = std::mem::take(&mut self.others);
        let verified_before = self.verified.take().or_else(|| self.verified_before.take());
        let modern = self.modern;
        *self = Self { former: all, others, verified_before, ..Self::new(bundle, now_ms) };
        self.modern |= modern;
    }

    fn remember(&mut self, other: &str) {
        self.others.retain(|known| known != other);
        self.others.push(other.to_owned());
        let surplus = self.others.len().saturating_sub(OTHER_KEYS);
        self.others.drain(..surplus);
    }
}

/// How a bundle stands among those of its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Newer,
    Same,
    /// The same number for something else.
    Reused,
    Older,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn key(hex: &str) -> Result<PublicKey, String> {
    let der = HEXLOWER.decode(hex.as_bytes()).map_err(|_| "the identity is not hex".to_owned())?;
    PublicKey::from_der(&der).map_err(|why| why.to_string())
}

fn fingerprint(hex: &str) -> Result<Fingerprint, String> {
    Fingerprint::from_hex(hex).ok_or_else(|| "a fingerprint that is none".to_owned())
}

fn millisecond(time: &str) -> Result<i64, String> {
    let read: Result<jiff::Timestamp, _> = time.parse();
    read.map(|time| time.as_millisecond()).map_err(|_| "a time that is none".to_owned())
}

/// The first one had no more than the key and when it was seen.
const VERSION: u32 = 4;

#[cfg(test)]
mod tests;
