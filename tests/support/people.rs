//! Accounts with real keys, made once for all tests: RSA keys take long to make.

use std::sync::LazyLock;

use topchat::crypto::bundle::{self, Contents};
use topchat::crypto::curve::{OpeningKey, SigningKey};
use topchat::crypto::envelope::{self, OpenWith, SealWith};
use topchat::crypto::group_key::{Cipher, GroupKeys};
use topchat::crypto::keys::{KeyPair, PrivateKey, PublicKey};
use topchat::crypto::scram::{self, Password};
use topchat::names::{Recipient, UserName};
use topchat::wire::{Bundle, Envelope, Fingerprint, Header, MessageId, Prefers, Suite, Verifier};

/// Somebody with four keys and a password.
pub struct Person {
    pub name: UserName,
    pub identity: PrivateKey,
    pub encryption: PrivateKey,
    pub ed25519: SigningKey,
    pub x25519: OpeningKey,
}

pub static ALICE: LazyLock<Person> = LazyLock::new(|| Person::new("alice"));
pub static BOB: LazyLock<Person> = LazyLock::new(|| Person::new("bob"));
pub static CAROL: LazyLock<Person> = LazyLock::new(|| Person::new("carol"));

pub static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| scram::verifier(&password()).unwrap());
pub static GROUP: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::generate().unwrap());

pub static GROUP_MODERN: LazyLock<GroupKeys> = LazyLock::new(|| GroupKeys::generate_for(Cipher::Aes));

/// The password of every [`Person`].
pub const PASSWORD: &str = "correct horse";

pub fn password() -> Password {
    Password::new(PASSWORD).unwrap()
}

/// Makes them now: on a busy machine that can take longer than a server waits for a login.
pub fn make() {
    for person in [&ALICE, &BOB, &CAROL] {
        LazyLock::force(person);
    }
    LazyLock::force(&VERIFIER);
}

/// The same key once more.
pub fn copy<K: KeyPair>(key: &K) -> K {
    K::from_pem(key.to_pem(b"x").unwrap().as_bytes(), b"x").unwrap()
}

impl Person {
    pub fn new(name: &str) -> Self {
        let [identity, encryption] = [(), ()].map(|()| PrivateKey::generate(2048).unwrap());
        let (ed25519, x25519) = (SigningKey::generate().unwrap(), OpeningKey::generate().unwrap());
        Self { name: name.parse().unwrap(), identity, encryption, ed25519, x25519 }
    }

    /// A bundle with another encryption key, or of another number.
    pub fn bundle_with(&self, encryption: &PublicKey, number: u64) -> Bundle {
        self.bundle_of(&self.name, &self.identity, encryption, number)
    }

    pub fn bundle_of(&self, name: &UserName, identity: &PrivateKey, encryption: &PublicKey, number: u64) -> Bundle {
        let (ed25519, x25519) = (&self.ed25519, self.x25519.public());
        let (former, prefers) = (&[], Prefers::Classic);
        bundle::make(&Contents { name, identity, encryption, ed25519, x25519, former, prefers, number }).unwrap()
    }

    /// One's bundle with that wish.
    pub fn bundle_asking(&self, prefers: Prefers, number: u64) -> Bundle {
        let (name, identity, encryption) = (&self.name, &self.identity, self.encryption.public());
        let (ed25519, x25519, former) = (&self.ed25519, self.x25519.public(), &[]);
        bundle::make(&Contents { name, identity, encryption, ed25519, x25519, former, prefers, number }).unwrap()
    }

    /// The same modern keys with other RSA keys, under this name.
    pub fn with(&self, name: &UserName, identity: PrivateKey, encryption: PrivateKey) -> Self {
        Self { name: name.clone(), identity, encryption, ed25519: copy(&self.ed25519), x25519: copy(&self.x25519) }
    }

    /// The same keys under another name: many accounts without many keys.
    pub fn bundle_as(&self, name: &UserName) -> Vec<u8> {
        self.bundle_of(name, &self.identity, self.encryption.public(), 1).encode()
    }

    pub fn bundle(&self) -> Vec<u8> {
        self.bundle_as(&self.name)
    }

    pub fn header(&self, to: &str, recipient_fp: Fingerprint, id: u8) -> Header {
        let recipient: Recipient = to.parse().unwrap();
        let suite = if recipient == Recipient::All { Suite::GroupCbc } else { Suite::Direct };
        Header {
            suite,
            sender: self.name.clone(),
            sender_fp: self.identity.public().fingerprint(),
            sender_bundle: 1,
            recipient,
            recipient_fp,
            msg_id: MessageId([id; 16]),
            seq: 1,
            prev: 0,
            sent_ms: 1_795_000_000_000,
        }
    }

    pub fn seal_to(&self, to: &Person, text: &str, id: u8) -> Envelope {
        let key: &PublicKey = to.encryption.public();
        let header = self.header(to.name.as_str(), key.fingerprint(), id);
        envelope::seal(header, text, SealWith::Direct(key), &self.identity).unwrap()
    }

    pub fn seal_to_all(&self, text: &str, id: u8) -> Envelope {
        let key = GROUP.writer();
        let header = self.header("ALL", envelope::group_fingerprint(&key.id), id);
        envelope::seal(header, text, SealWith::Group(key), &self.identity).unwrap()
    }

    pub fn seal_modern_to(&self, to: &Person, text: &str, id: u8) -> Envelope {
        let key = to.x25519.public();
        let header = Header { suite: Suite::DirectModern, ..self.header(to.name.as_str(), key.fingerprint(), id) };
        envelope::seal_modern(header, text, SealWith::DirectModern(key), &self.ed25519).unwrap()
    }

    pub fn seal_modern_to_all(&self, text: &str, id: u8) -> Envelope {
        let key = GROUP_MODERN.writer();
        let fingerprint = envelope::group_fingerprint(&key.id);
        let header = Header { suite: Suite::GroupModern, ..self.header("ALL", fingerprint, id) };
        envelope::seal_modern(header, text, SealWith::Group(key), &self.ed25519).unwrap()
    }

    pub fn open(&self, envelope: &Envelope) -> String {
        let with = match envelope.header.suite {
            Suite::Direct => OpenWith::Direct(&self.encryption),
            Suite::DirectModern => OpenWith::DirectModern(&self.x25519),
            Suite::GroupCbc | Suite::GroupEcb => OpenWith::Group(GROUP.writer()),
            Suite::GroupModern => OpenWith::Group(GROUP_MODERN.writer()),
        };
        envelope::open(envelope, with).unwrap().to_string()
    }
}
