//! The contacts' identity keys, pinned at first contact.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard};

use super::pins::{Choice, Contact, Pins};
use crate::client::error::Error;
use crate::client::error::trust::TrustError;
use crate::client::model::event::{KeyChange, Mark};
use crate::client::model::pin::NewKeys;
use crate::client::model::pin::{Found, Met, Pin};
use crate::client::state::state_file::{Document, Stamp, StateFile};
use crate::client::ui::output::now_ms;
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::keys::PublicKey;
use crate::limits::{CONTACTS_FILE_MAX, CONTACTS_MAX};
use crate::names::UserName;
use crate::sync::lock;
use crate::wire::Fingerprint;

/// The pins of one account on one server. Other processes may change them at any time.
pub struct Contacts {
    file: StateFile,
    new_keys: NewKeys,
    memory: Mutex<Memory>,
}

/// What was read last, and whose key was pinned in this run, by whichever process.
#[derive(Default)]
struct Memory {
    stamp: Option<Stamp>,
    known: HashMap<UserName, Known>,
    new: HashSet<UserName>,
}

struct Known {
    pin: Pin,
    contact: Contact,
}

impl Memory {
    /// A key that is pinned in place of another one, which did not hand over to it, is as new as a first one, whichever
    /// process pinned it; not one whose fingerprint was given.
    fn take(&mut self, known: HashMap<UserName, Known>) {
        for (name, Known { pin, contact }) in &known {
            let was = self.known.get(name).map(|known| known.pin.key.fingerprint());
            let has_handed_over = pin.former.iter().any(|former| Some(former.key.fingerprint()) == was);
            if contact.was_named() || has_handed_over {
                self.new.remove(name);
            } else if was != Some(pin.key.fingerprint()) {
                self.new.insert(name.clone());
            }
        }
        self.known = known;
    }

    /// What is pinned, marked as the lines of this run mark it.
    fn pin(&self, name: &UserName) -> Option<Pin> {
        let mut pin = self.known.get(name)?.pin.clone();
        if pin.mark == Mark::Known && self.new.contains(name) {
            pin.mark = Mark::New;
        }
        Some(pin)
    }
}

impl Contacts {
    /// The pins in this folder, which is made if it is missing. Refuses a file that holds something else.
    pub fn open(folder: &Path, new_keys: NewKeys) -> Result<Self, Error> {
        let file = StateFile::new(folder, "contacts.json")?;
        let contacts = Self { file, new_keys, memory: Mutex::default() };
        contacts.refresh()?;
        // A file that is gone looks like one that never was, to whoever asks only whether it has changed.
        contacts.file.read::<Pins>()?;
        contacts.memory().new.clear();
        Ok(contacts)
    }

    /// What is held for this name.
    pub fn pinned(&self, name: &UserName) -> Result<Option<Pin>, Error> {
        self.refresh()?;
        Ok(self.memory().pin(name))
    }

    /// Compares what the server gave with what is held, durably: the key of a name seen for the first time is pinned, one that
    /// the pinned key has handed over to takes its place, and any other one stops what goes to that name.
    pub fn meet(&self, found: &Found) -> Result<Met, Error> {
        let bundle = &found.bundle;
        if let Some(met) = self.has_met(bundle)? {
            return Ok(met);
        }
        self.file.change(|pins: &mut Pins| {
            let Some(contact) = pins.contacts.get_mut(bundle.name.as_str()) else {
                if !self.takes_new() {
                    return Err(Error::Trust(TrustError::NotPinned {
                        name: bundle.name.clone(),
                        now: bundle.identity.fingerprint(),
                    }));
                }
                self.make_sure_of_room(pins, bundle)?;
                pins.contacts.insert(bundle.name.to_string(), Contact::new(bundle, now_ms()));
                return Ok(Met::First);
            };
            let (_, held) = self.read(bundle.name.as_str(), contact)?;
            contact.meet(&held, found, now_ms())
        })
    }

    /// Messages came under this key, which is none of those held for the name, and nothing leads to it from them: stops
    /// what goes to that name, durably.
    pub fn changed(&self, name: &UserName, now: Fingerprint) -> Result<KeyChange, Error> {
        self.file.change(|pins: &mut Pins| {
            let contact = pins
                .contacts
                .get_mut(name.as_str())
                .ok_or_else(|| Error::Trust(TrustError::NoContact { name: name.clone() }))?;
            let (_, held) = self.read(name.as_str(), contact)?;
            Ok(contact.other(name, &held, now, now_ms()))
        })
    }

    /// The identity `by` has named this bundle of its own in a message: until it is shown, nothing classic goes to that name.
    pub fn announced(&self, name: &UserName, by: Fingerprint, number: u64) -> Result<(), Error> {
        self.file.change(|pins: &mut Pins| {
            if let Some(contact) = pins.contacts.get_mut(name.as_str()) {
                contact.announce(by, number);
            }
            Ok(())
        })
    }

    /// The key `by`, if it is the one held for this name, vouches for keys that it has replaced: messages under them count for a
    /// while.
    pub fn vouched(&self, name: &UserName, by: Fingerprint, former: &[PublicKey]) -> Result<(), Error> {
        if former.is_empty() {
            return Ok(());
        }
        self.file.change(|pins: &mut Pins| {
            if let Some(contact) = pins.contacts.get_mut(name.as_str()) {
                contact.vouched(by, former);
            }
            Ok(())
        })
    }

    /// Whether the key of a name seen for the first time is taken as the server gives it.
    pub fn takes_new(&self) -> bool {
        self.new_keys == NewKeys::First
    }

    /// The same as [`Self::meet`], where nothing can be done with a key about which the person has not chosen.
    pub fn check(&self, found: &Found) -> Result<Met, Error> {
        match self.meet(found)? {
            Met::Changed(change) => Err(Error::Trust(TrustError::KeyChanged(Box::new(change)))),
            met => Ok(met),
        }
    }

    /// An error while the person has not chosen one of this name's keys.
    pub fn settled(&self, name: &UserName) -> Result<(), Error> {
        let change = self.pinned(name)?.and_then(|pin| pin.change(name));
        change.map_or(Ok(()), |change| Err(Error::Trust(TrustError::KeyChanged(Box::new(change)))))
    }

    /// The person has chosen this key: it is pinned, in place of any other one.
    pub fn choose(&self, bundle: &VerifiedBundle, choice: Choice) -> Result<(), Error> {
        let stays = self.file.change(|pins: &mut Pins| {
            self.make_sure_of_room(pins, bundle)?;
            let contact = pins.contacts.entry(bundle.name.to_string());
            Ok(contact.or_insert_with(|| Contact::new(bundle, now_ms())).choose(bundle, choice, now_ms()))
        })?;
        self.refresh()?;
        if stays {
            self.memory().new.remove(&bundle.name);
        }
        Ok(())
    }

    /// The person takes what came of this contact by a weaker suite than it asks for. Whether it still asks for more.
    pub fn accept(&self, name: &UserName) -> Result<bool, Error> {
        self.file.change(|pins: &mut Pins| match pins.contacts.get_mut(name.as_str()) {
            Some(contact) => Ok(contact.accept(now_ms())),
            None => Err(Error::Trust(TrustError::NoContact { name: name.clone() })),
        })
    }

    /// The person takes back that they compared this contact's key. False if they never had.
    pub fn unverify(&self, name: &UserName) -> Result<bool, Error> {
        self.file.change(|pins: &mut Pins| match pins.contacts.get_mut(name.as_str()) {
            Some(contact) => Ok(contact.unverify()),
            None => Err(Error::Trust(TrustError::NoContact { name: name.clone() })),
        })
    }

    /// Takes a contact out. One about whose keys the person has not chosen stays: its next key would be taken as a first one.
    pub fn forget(&self, name: &UserName) -> Result<(), Error> {
        self.file.change(|pins: &mut Pins| {
            let contact = pins
                .contacts
                .get(name.as_str())
                .ok_or_else(|| Error::Trust(TrustError::NoContact { name: name.clone() }))?;
            match self.read(name.as_str(), contact)?.1.changed {
                Some(_) => Err(Error::Trust(TrustError::NotChosen { name: name.clone() })),
                None => {
                    pins.contacts.remove(name.as_str());
                    Ok(())
                }
            }
        })
    }

    /// All of them, in alphabetical order.
    pub fn list(&self) -> Result<Vec<(UserName, Pin)>, Error> {
        self.refresh()?;
        let memory = self.memory();
        let mut all: Vec<_> = memory.known.keys().filter_map(|name| Some((name.clone(), memory.pin(name)?))).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        Ok(all)
    }

    fn make_sure_of_room(&self, pins: &Pins, bundle: &VerifiedBundle) -> Result<(), Error> {
        match pins.contacts.len() < CONTACTS_MAX || pins.contacts.contains_key(bundle.name.as_str()) {
            true => Ok(()),
            false => Err(Error::Trust(TrustError::ContactsFull { path: self.file.path().to_owned() })),
        }
    }

    fn refresh(&self) -> Result<(), Error> {
        while !self.is_fresh()? {}
        Ok(())
    }

    /// Whether what was read last is what the file holds. If not it is read, and taken only if the file is still the same by
    /// then: a thread that was slow must not put what is old over what another one has read meanwhile.
    fn is_fresh(&self) -> Result<bool, Error> {
        let stamp = self.file.stamp();
        if stamp == self.memory().stamp {
            return Ok(true);
        }
        let pins: Pins = self.file.read()?;
        let known = |(name, contact): (String, Contact)| {
            let (name, pin) = self.read(&name, &contact)?;
            Ok((name, Known { pin, contact }))
        };
        let known = pins.contacts.into_iter().map(known).collect::<Result<_, Error>>()?;
        let mut memory = self.memory();
        let is_same = stamp == self.file.stamp();
        if is_same {
            memory.stamp = stamp;
            memory.take(known);
        }
        Ok(is_same)
    }

    fn read(&self, name: &str, contact: &Contact) -> Result<(UserName, Pin), Error> {
        let malformed = |what: &str| self.file.malformed(format!("contact \"{}\": {what}", crate::text::visible(name)));
        let pin = contact.pin().map_err(|why| malformed(&why))?;
        let name = name.parse().map_err(|_| malformed("that can't be a name"))?;
        Ok((name, pin))
    }

    /// Whether the file needs no change to answer this.
    fn has_met(&self, bundle: &VerifiedBundle) -> Result<Option<Met>, Error> {
        self.refresh()?;
        let memory = self.memory();
        let known = memory.known.get(&bundle.name).filter(|known| known.contact.has_met(bundle));
        Ok(known.map(|known| known.pin.change(&bundle.name).map_or(Met::Stays, Met::Changed)))
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }
}

/// The contacts of this folder as a value for another machine; `None` if there never were any.
pub(crate) fn exported(folder: &Path) -> Result<Option<serde_json::Value>, Error> {
    let contacts = Contacts::open(folder, NewKeys::First)?;
    if !contacts.file.path().exists() {
        return Ok(None);
    }
    let pins: Pins = contacts.file.read()?;
    Ok(Some(serde_json::to_value(pins).expect("a document has text keys only")))
}

/// The contacts in such a value, if they can be opened.
pub(crate) fn imported(value: &serde_json::Value) -> Option<Pins> {
    let pins: Pins = serde_json::from_value(value.clone()).ok()?;
    let is_whole = |(name, contact): (&String, &Contact)| contact.pin().is_ok() && UserName::from_str(name).is_ok();
    let fits = crate::client::state::state_file::sealed(&pins).is_ok_and(|text| text.len() as u64 <= CONTACTS_FILE_MAX);
    (fits && pins.version() == Pins::VERSION && pins.contacts.iter().all(is_whole)).then_some(pins)
}

/// Puts these into a folder that has none. Whether it had none.
pub(crate) fn put(folder: &Path, pins: Pins) -> Result<bool, Error> {
    StateFile::new(folder, "contacts.json")?.create(pins)
}

#[cfg(test)]
mod tests;
