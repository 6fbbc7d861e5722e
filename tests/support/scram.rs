//! The client's side of a login, written anew from the protocol document. What takes long, deriving keys from a password,
//! is done once for each salt: hundreds of logins of the tests use the same one.

use std::collections::HashMap;
use std::sync::Mutex;

use data_encoding::BASE64;
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sha::sha256;
use openssl::sign::Signer;

/// `gs2-header`: bound to the connection by its exporter.
const HEADER: &str = "p=tls-exporter,,";

/// A login that has begun.
pub struct First {
    exporter: [u8; 32],
    bare: String,
}

/// A login that was answered.
pub struct Last {
    pub message: String,
    pub auth_message: String,
    server_key: [u8; 32],
}

impl First {
    pub fn new(name: &str, exporter: [u8; 32]) -> Self {
        let mut nonce = [0; 18];
        rand_bytes(&mut nonce).unwrap();
        Self { exporter, bare: format!("n={name},r={}", BASE64.encode(&nonce)) }
    }

    pub fn message(&self) -> String {
        format!("{HEADER}{}", self.bare)
    }

    pub fn answer(self, server_first: &str, password: &[u8]) -> Last {
        let part =
            |prefix| server_first.split(',').find_map(|part| part.strip_prefix(prefix)).expect("all three parts");
        let salted = salted(password, &BASE64.decode(part("s=").as_bytes()).unwrap(), part("i=").parse().unwrap());
        let binding = BASE64.encode(&[HEADER.as_bytes(), &self.exporter].concat());
        let without_proof = format!("c={binding},r={}", part("r="));
        let auth_message = format!("{},{server_first},{without_proof}", self.bare);
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&sha256(&client_key), auth_message.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, byte)| key ^ byte).collect();
        let message = format!("{without_proof},p={}", BASE64.encode(&proof));
        Last { message, auth_message, server_key: hmac(&salted, b"Server Key") }
    }
}

impl Last {
    /// The server must know the account, too.
    #[track_caller]
    pub fn verify(&self, server_final: &str) {
        let expected = BASE64.encode(&hmac(&self.server_key, self.auth_message.as_bytes()));
        assert_eq!(server_final, format!("v={expected}"), "the server must prove itself");
    }
}

type Derived = HashMap<(Vec<u8>, Vec<u8>, usize), [u8; 32]>;

fn salted(password: &[u8], salt: &[u8], rounds: usize) -> [u8; 32] {
    static DERIVED: Mutex<Option<Derived>> = Mutex::new(None);
    let mut derived = DERIVED.lock().unwrap();
    let known = derived.get_or_insert_default();
    *known.entry((password.to_vec(), salt.to_vec(), rounds)).or_insert_with(|| {
        let mut salted = [0; 32];
        pbkdf2_hmac(password, salt, rounds, MessageDigest::sha256(), &mut salted).unwrap();
        salted
    })
}

fn hmac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let key = PKey::hmac(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.sign_oneshot_to_vec(bytes).unwrap().try_into().unwrap()
}
