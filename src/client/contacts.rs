//! The contacts' identity keys, pinned at first contact.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use super::Error;
use super::event::Mark;
use super::json;
use super::keyring::{Keyring, Pin};
use super::state_file::{Document, Stamp, StateFile, VERSION};
use crate::crypto::bundle::VerifiedBundle;
use crate::crypto::keys::PublicKey;
use crate::limits::CONTACTS_MAX;
use crate::names::UserName;

/// The pins of one account on one server. Other processes may change them at any time.
pub struct Contacts {
    file: StateFile,
    memory: Mutex<Memory>,
}

/// What was read last, and what was pinned in this run.
#[derive(Default)]
struct Memory {
    stamp: Option<Stamp>,
    keys: HashMap<UserName, Arc<PublicKey>>,
    new: HashSet<UserName>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Pins {
    v: u32,
    contacts: BTreeMap<String, Contact>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Contact {
    /// 64 hex digits, for people who look into the file.
    fingerprint: String,
    /// DER SubjectPublicKeyInfo in hex.
    identity: String,
    first_seen: String,
}

impl Default for Pins {
    fn default() -> Self {
        Self { v: VERSION, contacts: BTreeMap::new() }
    }
}

impl Document for Pins {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Contacts {
    /// The pins in this folder, which is made if it is missing. Refuses a file that holds something else.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let contacts = Self { file: StateFile::new(folder, "contacts.json")?, memory: Mutex::default() };
        contacts.refresh()?;
        Ok(contacts)
    }

    /// Compares a bundle's identity with the pinned one, and pins it if none is.
    pub fn check(&self, bundle: &VerifiedBundle) -> Result<Pin, Error> {
        let pin = self.pin(bundle)?;
        match pin.key.fingerprint() {
            pinned if pinned == bundle.identity.fingerprint() => Ok(pin),
            pinned => {
                let (name, now) = (bundle.name.clone(), bundle.identity.fingerprint());
                Err(Error::KeyChanged { name, pinned, now })
            }
        }
    }

    /// Pins this key in place of the one before. The person has compared it.
    pub fn trust(&self, bundle: &VerifiedBundle) -> Result<(), Error> {
        self.file.change(|pins: &mut Pins| {
            self.make_sure_of_room(pins, bundle)?;
            pins.contacts.insert(bundle.name.to_string(), contact(bundle));
            Ok(())
        })?;
        self.memory().new.remove(&bundle.name);
        Ok(())
    }

    fn make_sure_of_room(&self, pins: &Pins, bundle: &VerifiedBundle) -> Result<(), Error> {
        match pins.contacts.len() < CONTACTS_MAX || pins.contacts.contains_key(bundle.name.as_str()) {
            true => Ok(()),
            false => Err(Error::ContactsFull { path: self.file.path().to_owned() }),
        }
    }

    fn refresh(&self) -> Result<(), Error> {
        let stamp = self.file.stamp();
        if stamp == self.memory().stamp {
            return Ok(());
        }
        let pins: Pins = self.file.read()?;
        let keys = pins.contacts.iter().map(|(name, contact)| self.read(name, contact)).collect::<Result<_, _>>()?;
        let mut memory = self.memory();
        memory.stamp = stamp;
        memory.keys = keys;
        Ok(())
    }

    fn read(&self, name: &str, contact: &Contact) -> Result<(UserName, Arc<PublicKey>), Error> {
        let malformed = |what: &str| self.file.malformed(format!("contact \"{}\": {what}", crate::text::visible(name)));
        let name = name.parse().map_err(|_| malformed("that can't be a name"))?;
        let der = HEXLOWER.decode(contact.identity.as_bytes()).map_err(|_| malformed("the identity is not hex"))?;
        let key = PublicKey::from_der(&der).map_err(|why| malformed(&why.to_string()))?;
        match key.fingerprint().to_hex() == contact.fingerprint {
            true => Ok((name, Arc::new(key))),
            false => Err(malformed("the fingerprint is not that of the identity")),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keyring for Contacts {
    fn pinned(&self, name: &UserName) -> Result<Option<Pin>, Error> {
        self.refresh()?;
        let memory = self.memory();
        let mark = if memory.new.contains(name) { Mark::New } else { Mark::Known };
        Ok(memory.keys.get(name).map(|key| Pin { key: Arc::clone(key), mark }))
    }

    fn pin(&self, bundle: &VerifiedBundle) -> Result<Pin, Error> {
        if let Some(pin) = self.pinned(&bundle.name)? {
            return Ok(pin);
        }
        let first = self.file.change(|pins: &mut Pins| {
            let first = !pins.contacts.contains_key(bundle.name.as_str());
            self.make_sure_of_room(pins, bundle)?;
            pins.contacts.entry(bundle.name.to_string()).or_insert_with(|| contact(bundle));
            Ok(first)
        })?;
        if first {
            self.memory().new.insert(bundle.name.clone());
        }
        let pin = self.pinned(&bundle.name)?;
        pin.ok_or_else(|| self.file.malformed("a contact that was just written is not there".to_owned()))
    }
}

fn contact(bundle: &VerifiedBundle) -> Contact {
    Contact {
        fingerprint: bundle.identity.fingerprint().to_hex(),
        identity: HEXLOWER.encode(bundle.identity.to_der()),
        first_seen: json::time(jiff::Timestamp::now().as_millisecond()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::keys::PrivateKey;
    use crate::crypto::test_keys::{ALICE, BOB, BOB_ENCRYPTION};
    use crate::storage::private;

    fn bundle(identity: &PrivateKey) -> VerifiedBundle {
        VerifiedBundle {
            name: "bob".parse().unwrap(),
            number: 1,
            identity: identity.public().clone(),
            encryption: BOB_ENCRYPTION.public().clone(),
        }
    }

    #[test]
    fn the_first_key_is_pinned_and_another_one_is_a_change() {
        let place = tempfile::tempdir().unwrap();
        let contacts = Contacts::open(place.path()).unwrap();
        assert!(contacts.pinned(&"bob".parse().unwrap()).unwrap().is_none());
        assert_eq!(contacts.check(&bundle(&BOB)).unwrap().mark, Mark::New);
        let changed = contacts.check(&bundle(&ALICE));
        let (was, is) = (BOB.public().fingerprint(), ALICE.public().fingerprint());
        assert!(matches!(changed, Err(Error::KeyChanged { pinned, now, .. }) if pinned == was && now == is));
    }

    #[test]
    fn a_later_run_knows_the_key_and_a_trusted_one_takes_its_place() {
        let place = tempfile::tempdir().unwrap();
        Contacts::open(place.path()).unwrap().check(&bundle(&BOB)).unwrap();
        let contacts = Contacts::open(place.path()).unwrap();
        assert_eq!(contacts.check(&bundle(&BOB)).unwrap().mark, Mark::Known);
        contacts.trust(&bundle(&ALICE)).unwrap();
        assert_eq!(contacts.check(&bundle(&ALICE)).unwrap().mark, Mark::Known);
        assert!(contacts.check(&bundle(&BOB)).is_err());
    }

    #[test]
    fn what_another_process_pins_is_seen() {
        let place = tempfile::tempdir().unwrap();
        let (one, other) = (Contacts::open(place.path()).unwrap(), Contacts::open(place.path()).unwrap());
        one.check(&bundle(&BOB)).unwrap();
        assert!(other.check(&bundle(&ALICE)).is_err());
        one.trust(&bundle(&ALICE)).unwrap();
        other.check(&bundle(&ALICE)).unwrap();
    }

    /// The longest keys of as many contacts as there may be, with the longest names.
    #[test]
    fn a_full_list_of_contacts_can_be_read_and_takes_no_more() {
        let place = tempfile::tempdir().unwrap();
        let contacts = Contacts::open(place.path()).unwrap();
        let key = PrivateKey::generate(crate::limits::RSA_BITS_MAX).unwrap();
        let named = |number: usize| VerifiedBundle {
            name: format!("{number:a>32}").parse().unwrap(),
            number: 1,
            identity: key.public().clone(),
            encryption: BOB_ENCRYPTION.public().clone(),
        };
        let fill = |pins: &mut Pins| {
            pins.contacts.extend((0..CONTACTS_MAX).map(|number| {
                let bundle = named(number);
                (bundle.name.to_string(), contact(&bundle))
            }));
            Ok(())
        };
        contacts.file.change(fill).unwrap();
        for refused in [contacts.pin(&bundle(&BOB)).map(|_| ()), contacts.trust(&bundle(&BOB))] {
            assert!(matches!(refused, Err(Error::ContactsFull { .. })));
        }
        let contacts = Contacts::open(place.path()).unwrap();
        assert_eq!(contacts.check(&named(7)).unwrap().mark, Mark::Known);
        contacts.trust(&named(7)).unwrap();
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let place = tempfile::tempdir().unwrap();
        let contacts = Contacts::open(place.path()).unwrap();
        contacts.check(&bundle(&BOB)).unwrap();
        let too_long = contacts.file.change(|pins: &mut Pins| {
            pins.contacts.values_mut().for_each(|contact| contact.first_seen = "x".repeat(2 << 20));
            Ok(())
        });
        assert!(matches!(too_long, Err(Error::File(crate::storage::FileError::TooLarge { .. }))));
        Contacts::open(place.path()).unwrap().check(&bundle(&BOB)).unwrap();
    }

    #[test]
    fn a_damaged_file_is_refused_by_name() {
        let fingerprint = BOB.public().fingerprint().to_hex();
        let other = HEXLOWER.encode(ALICE.public().to_der());
        let lie = format!(
            r#"{{"v":1,"contacts":{{"bob":{{"fingerprint":"{fingerprint}","identity":"{other}","first_seen":""}}}}}}"#
        );
        for junk in ["{", "{\"v\":1}", &lie] {
            let place = tempfile::tempdir().unwrap();
            private::create_new(&place.path().join("contacts.json"), junk.as_bytes()).unwrap();
            let Err(error) = Contacts::open(place.path()) else { panic!("{junk} was taken") };
            assert!(error.to_string().contains("contacts.json"), "{error}");
        }
    }
}
