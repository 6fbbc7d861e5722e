//! SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), bound to the TLS connection by its exporter (RFC 9266).
//!
//! The server learns neither the password nor anything that logs in as its owner, and proves in turn that it holds the
//! verifier. Both sides are values: texts in, texts out.

use std::num::NonZeroU32;

use data_encoding::BASE64;
use openssl::hash::MessageDigest;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::keys::{KeyError, PrivateKey, PublicKey};
use super::{digest, direct, random};
use crate::limits::{
    PASSWORD_MAX, PASSWORD_MIN, SCRAM_ITERATIONS, SCRAM_ITERATIONS_MAX, SCRAM_ITERATIONS_MIN, SCRAM_NONCE_MAX,
};
use crate::names::{NameError, UserName};
use crate::wire::Verifier;

/// Channel binding by the TLS exporter, no other identity to act for (RFC 5802, section 7, `gs2-header`).
const GS2_HEADER: &str = "p=tls-exporter,,";
/// What a server answers to a proof that does not hold.
const INVALID_PROOF: &str = "e=invalid-proof";
/// Bytes of randomness in each side's nonce.
const NONCE: usize = 24;

/// Why a login can't go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScramError {
    /// The exchange is not bound to this TLS connection: somebody may stand between.
    #[error("the login is not bound to this connection")]
    ChannelBinding,
    /// OpenSSL could not derive the key, for lack of memory.
    #[error("OpenSSL failed while deriving a key from the password")]
    Derivation,
    /// The server asks for too little or too much work.
    #[error("the server asks for {found} rounds, allowed are {SCRAM_ITERATIONS_MIN} to {SCRAM_ITERATIONS_MAX}")]
    Iterations {
        /// What it asks for.
        found: u32,
    },
    /// An attribute that is missing, too much, in another place, or not in its one canonical form.
    #[error("the login message's {field} is malformed")]
    Malformed {
        /// What was expected there.
        field: &'static str,
    },
    /// Not an account's name.
    #[error("the login message's name: {0}")]
    Name(#[from] NameError),
    /// A nonce that does not belong to this exchange.
    #[error("the login message's nonce is not that of this login")]
    Nonce,
    /// The server refused the proof.
    #[error("the server refused the login")]
    Refused,
    /// The server does not hold this account's verifier: it is not the one where the account was made.
    #[error("the server could not prove that it knows this account")]
    ServerSignature,
}

/// A password: NFC-normalised, 8 to 128 bytes, no NUL. Wiped after use; no `Debug`.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes what a person typed.
    pub fn new(typed: &str) -> Result<Self, PasswordError> {
        // Room for the longest password from the start, so that no copy is left behind by growing; typed text that is
        // far longer can't become a password by normalisation (NFC shrinks a text to a third of its bytes at most).
        if typed.len() > 4 * PASSWORD_MAX {
            return Err(PasswordError::TooLong { bytes: typed.len() });
        }
        let mut text = Zeroizing::new(String::with_capacity(16 * PASSWORD_MAX));
        text.extend(typed.nfc());
        match text.len() {
            bytes @ ..PASSWORD_MIN => Err(PasswordError::TooShort { bytes }),
            PASSWORD_MIN..=PASSWORD_MAX if text.contains('\0') => Err(PasswordError::Nul),
            PASSWORD_MIN..=PASSWORD_MAX => Ok(Self(text)),
            bytes => Err(PasswordError::TooLong { bytes }),
        }
    }

    /// The password as it goes into key derivation; also what locks the key files.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Why a text is no password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// A NUL character: other programs would cut the password there.
    #[error("a password can't contain a NUL character")]
    Nul,
    /// More than [`PASSWORD_MAX`] bytes.
    #[error("a password has at most {PASSWORD_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// Fewer than [`PASSWORD_MIN`] bytes.
    #[error("a password has at least {PASSWORD_MIN} bytes, this one has {bytes}")]
    TooShort {
        /// Its length in bytes.
        bytes: usize,
    },
}

/// What the server is to keep of a password, with a new salt. Takes some tenths of a second, on purpose.
pub fn verifier(password: &Password) -> Result<Verifier, ScramError> {
    let salt = random::bytes();
    let salted = salted_password(password.as_bytes(), &salt, SCRAM_ITERATIONS)?;
    Ok(Verifier {
        salt,
        iterations: SCRAM_ITERATIONS,
        stored_key: digest::sha256(&client_key(&salted)[..]),
        server_key: *server_key(&salted),
    })
}

/// A verifier for a name that nobody has, the same each time, so that unknown names and wrong passwords look alike.
/// `secret` is the server's own; no password fits.
pub fn fake_verifier(secret: &[u8; 32], name: &UserName) -> Verifier {
    let derive = |label: &str| digest::hmac(secret, format!("{label}\0{name}").as_bytes());
    let mut salt = [0; 16];
    salt.iter_mut().zip(derive("salt")).for_each(|(to, from)| *to = from);
    Verifier { salt, iterations: SCRAM_ITERATIONS, stored_key: derive("stored key"), server_key: derive("server key") }
}

/// `SaltedPassword` with what it was made with. A client may keep it in place of the password (RFC 5802, section 3): it logs in
/// where the password had this salt, and nowhere else. No `Debug`.
#[derive(Clone)]
pub struct Salted {
    /// The account's.
    pub salt: [u8; 16],
    /// PBKDF2's rounds.
    pub iterations: u32,
    password: Zeroizing<[u8; 32]>,
}

impl Salted {
    /// Takes some tenths of a second, on purpose.
    pub(crate) fn derive(password: &[u8], salt: [u8; 16], iterations: u32) -> Result<Self, ScramError> {
        Ok(Self { salt, iterations, password: salted_password(password, &salt, iterations)? })
    }

    /// As it may lie on disk: whoever has the private half of `key` can open it.
    pub fn lock(&self, key: &PublicKey) -> Result<Vec<u8>, KeyError> {
        direct::encrypt(key, &Zeroizing::new([&self.password[..], &self.salt].concat()))
    }

    /// Opens what [`Self::lock`] made of one with this salt; `None` if it is anything else.
    pub fn unlock(key: &PrivateKey, salt: [u8; 16], iterations: u32, locked: &[u8]) -> Option<Self> {
        let opened = direct::decrypt(key, locked).filter(|opened| opened.whole)?;
        let (password, with) = opened.plaintext.split_at_checked(32)?;
        let password = Zeroizing::new(password.try_into().ok()?);
        (*with == salt).then_some(Self { salt, iterations, password })
    }
}

/// The client has said who it is.
pub struct ClientFirst {
    gs2_header: &'static str,
    exporter: Vec<u8>,
    nonce: String,
    message: String,
}

impl ClientFirst {
    /// Begins a login on the connection with this TLS exporter value.
    pub fn new(name: &UserName, exporter: &[u8; 32]) -> Self {
        Self::with(GS2_HEADER, name, exporter.to_vec(), new_nonce())
    }

    /// `client-first-message`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Answers the server's challenge. Takes some tenths of a second, on purpose.
    pub fn answer(self, server_first: &str, password: &Password) -> Result<ClientFinal, ScramError> {
        self.answer_with(server_first, password, |_, _| None)
    }

    /// The same with what `kept` has for its salt and rounds, if it has anything.
    pub fn answer_with(
        self,
        server_first: &str,
        password: &Password,
        kept: impl FnOnce(&[u8; 16], u32) -> Option<Salted>,
    ) -> Result<ClientFinal, ScramError> {
        let challenge = Challenge::parse(server_first)?;
        if !(SCRAM_ITERATIONS_MIN..=SCRAM_ITERATIONS_MAX).contains(&challenge.iterations) {
            return Err(ScramError::Iterations { found: challenge.iterations });
        }
        let kept = kept(&challenge.salt, challenge.iterations);
        let is_kept = kept.is_some();
        let derive = || Salted::derive(password.as_bytes(), challenge.salt, challenge.iterations);
        let salted = kept.map_or_else(derive, Ok)?;
        self.answer_challenge(&challenge, salted, is_kept)
    }

    fn with(gs2_header: &'static str, name: &UserName, exporter: Vec<u8>, nonce: String) -> Self {
        let message = format!("{gs2_header}n={name},r={nonce}");
        Self { gs2_header, exporter, nonce, message }
    }

    fn answer_challenge(
        self,
        challenge: &Challenge<'_>,
        salted: Salted,
        is_kept: bool,
    ) -> Result<ClientFinal, ScramError> {
        match challenge.nonce.strip_prefix(&self.nonce) {
            None | Some("") => return Err(ScramError::Nonce),
            Some(_servers_part) => {}
        }
        let bare = self.message.strip_prefix(self.gs2_header).unwrap_or_default();
        let binding = channel_binding(self.gs2_header, &self.exporter);
        let without_proof = format!("{binding},r={}", challenge.nonce);
        let auth_message = format!("{bare},{},{without_proof}", challenge.message);

        let proof = proof(&client_key(&salted.password), &auth_message);
        Ok(ClientFinal {
            message: format!("{without_proof},p={}", BASE64.encode(&proof)),
            server_signature: digest::hmac(&server_key(&salted.password)[..], auth_message.as_bytes()),
            auth_message,
            salted,
            is_kept,
        })
    }
}

/// The client has proved that it knows the password, and waits for the server's proof.
pub struct ClientFinal {
    message: String,
    auth_message: String,
    server_signature: [u8; 32],
    salted: Salted,
    is_kept: bool,
}

impl ClientFinal {
    /// `client-final-message`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// `AuthMessage`: what the identity key signs besides.
    pub fn auth_message(&self) -> &str {
        &self.auth_message
    }

    /// What it was answered with, and whether that was kept from before.
    pub fn into_salted(self) -> (Salted, bool) {
        (self.salted, self.is_kept)
    }

    /// Checks `server-final-message`: only then is this the server that the account was made on.
    pub fn verify(&self, server_final: &str) -> Result<(), ScramError> {
        if server_final.starts_with("e=") {
            return Err(ScramError::Refused);
        }
        let [signature] = attributes(server_final, [("v=", "server signature")])?;
        let signature = decode::<32>("server signature", signature)?;
        match digest::equal(&signature, &self.server_signature) {
            true => Ok(()),
            false => Err(ScramError::ServerSignature),
        }
    }
}

/// The server has read who wants to log in.
pub struct ServerFirst {
    name: UserName,
    nonce: String,
    bare: String,
}

impl ServerFirst {
    /// Reads `client-first-message`.
    pub fn parse(client_first: &str) -> Result<Self, ScramError> {
        let bare = client_first.strip_prefix(GS2_HEADER).ok_or(ScramError::ChannelBinding)?;
        let [name, nonce] = attributes(bare, [("n=", "name"), ("r=", "nonce")])?;
        check_nonce(nonce)?;
        Ok(Self { name: name.parse()?, nonce: nonce.to_owned(), bare: bare.to_owned() })
    }

    /// Who wants to log in.
    pub fn name(&self) -> &UserName {
        &self.name
    }

    /// Challenges the client; for an unknown name with its [`fake_verifier`].
    pub fn challenge(self, verifier: &Verifier) -> ServerChallenge {
        let nonce = format!("{}{}", self.nonce, new_nonce());
        ServerChallenge::with(self.bare, nonce, verifier)
    }
}

/// The server has challenged the client.
pub struct ServerChallenge {
    bare: String,
    nonce: String,
    message: String,
    verifier: Verifier,
}

impl ServerChallenge {
    /// `server-first-message`.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Checks `client-final-message` on the connection with this TLS exporter value.
    ///
    /// A message that is malformed or bound to another connection is an error; whether the proof holds is in the
    /// outcome, computed in the same time either way.
    pub fn check(&self, client_final: &str, exporter: &[u8; 32]) -> Result<ServerOutcome, ScramError> {
        self.check_bound(client_final, &channel_binding(GS2_HEADER, exporter))
    }

    fn with(bare: String, nonce: String, verifier: &Verifier) -> Self {
        let message = format!("r={nonce},s={},i={}", BASE64.encode(&verifier.salt), verifier.iterations);
        Self { bare, nonce, message, verifier: verifier.clone() }
    }

    fn check_bound(&self, client_final: &str, expected: &str) -> Result<ServerOutcome, ScramError> {
        let [binding, nonce, proof] =
            attributes(client_final, [("c=", "channel binding"), ("r=", "nonce"), ("p=", "proof")])?;
        if format!("c={binding}") != *expected {
            return Err(ScramError::ChannelBinding);
        }
        if nonce != self.nonce {
            return Err(ScramError::Nonce);
        }
        let proof = decode::<32>("proof", proof)?;
        let auth_message = format!("{},{},c={binding},r={nonce}", self.bare, self.message);

        let client_key = xor(&proof, &digest::hmac(&self.verifier.stored_key, auth_message.as_bytes()));
        let proof_holds = digest::equal(&digest::sha256(&client_key[..]), &self.verifier.stored_key);
        let signature = digest::hmac(&self.verifier.server_key, auth_message.as_bytes());
        let server_final = format!("v={}", BASE64.encode(&signature));
        Ok(ServerOutcome {
            proof_holds,
            auth_message,
            // The signature lets its reader test guesses of the password at leisure, so only who knows it gets it.
            server_final: if proof_holds { server_final } else { INVALID_PROOF.to_owned() },
        })
    }
}

/// What became of a login.
pub struct ServerOutcome {
    /// Whether the client knows the password.
    pub proof_holds: bool,
    /// `AuthMessage`: what the identity signature is over.
    pub auth_message: String,
    /// `server-final-message`: the server's proof, or `e=invalid-proof`.
    pub server_final: String,
}

/// A parsed `server-first-message`.
struct Challenge<'a> {
    message: &'a str,
    nonce: &'a str,
    salt: [u8; 16],
    iterations: u32,
}

impl<'a> Challenge<'a> {
    fn parse(message: &'a str) -> Result<Self, ScramError> {
        let [nonce, salt, iterations] = attributes(message, [("r=", "nonce"), ("s=", "salt"), ("i=", "iterations")])?;
        check_nonce(nonce)?;
        Ok(Self { message, nonce, salt: decode("salt", salt)?, iterations: number("iterations", iterations)?.get() })
    }
}

/// Exactly these attributes in exactly this order; what they stand for is for the error.
/// Extensions, `m=` among them, are therefore refused, as RFC 5802 (section 5.1) asks.
fn attributes<'a, const N: usize>(
    message: &'a str,
    expected: [(&str, &'static str); N],
) -> Result<[&'a str; N], ScramError> {
    let mut values = [""; N];
    let mut parts = message.split(',');
    for (value, (prefix, field)) in values.iter_mut().zip(expected) {
        *value = parts.next().and_then(|part| part.strip_prefix(prefix)).ok_or(ScramError::Malformed { field })?;
    }
    match parts.next() {
        None => Ok(values),
        Some(_) => Err(ScramError::Malformed { field: "end" }),
    }
}

/// Printable ASCII (the comma is out already), not empty, not so long that answers would not fit.
fn check_nonce(nonce: &str) -> Result<(), ScramError> {
    let is_printable = nonce.bytes().all(|byte| byte.is_ascii_graphic());
    match is_printable && (1..=SCRAM_NONCE_MAX).contains(&nonce.len()) {
        true => Ok(()),
        false => Err(ScramError::Malformed { field: "nonce" }),
    }
}

/// Canonical base64 (RFC 4648, section 4) of exactly `N` bytes.
fn decode<const N: usize>(field: &'static str, text: &str) -> Result<[u8; N], ScramError> {
    let malformed = ScramError::Malformed { field };
    let bytes = BASE64.decode(text.as_bytes()).map_err(|_| malformed.clone())?;
    bytes.try_into().map_err(|_| malformed)
}

/// A decimal number as `posit-number` has it: digits, the first not zero.
fn number(field: &'static str, text: &str) -> Result<NonZeroU32, ScramError> {
    let is_canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_canonical).ok_or(ScramError::Malformed { field })
}

fn new_nonce() -> String {
    BASE64.encode(&random::bytes::<NONCE>())
}

/// The attribute `c=`: `gs2-header`, then the channel binding data (RFC 9266, section 2: the exporter value).
fn channel_binding(gs2_header: &str, exporter: &[u8]) -> String {
    format!("c={}", BASE64.encode(&[gs2_header.as_bytes(), exporter].concat()))
}

/// `SaltedPassword`: PBKDF2-HMAC-SHA256 (RFC 8018, section 5.2).
fn salted_password(password: &[u8], salt: &[u8], iterations: u32) -> Result<Zeroizing<[u8; 32]>, ScramError> {
    let mut salted = Zeroizing::new([0; 32]);
    let iterations = iterations.try_into().map_err(|_| ScramError::Derivation)?;
    openssl::pkcs5::pbkdf2_hmac(password, salt, iterations, MessageDigest::sha256(), salted.as_mut())
        .map_err(|_| ScramError::Derivation)?;
    Ok(salted)
}

fn client_key(salted: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(digest::hmac(salted, b"Client Key"))
}

fn server_key(salted: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(digest::hmac(salted, b"Server Key"))
}

/// `ClientProof`.
fn proof(client_key: &[u8; 32], auth_message: &str) -> [u8; 32] {
    let stored_key = digest::sha256(client_key);
    *xor(client_key, &digest::hmac(&stored_key, auth_message.as_bytes()))
}

fn xor(a: &[u8; 32], b: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    let mut mixed = Zeroizing::new(*a);
    mixed.iter_mut().zip(b).for_each(|(to, from)| *to ^= from);
    mixed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::test_keys::{BOB_ENCRYPTION, CAROL_ENCRYPTION};

    const EXPORTER: [u8; 32] = [0x5a; 32];

    fn alice() -> UserName {
        "alice".parse().unwrap()
    }

    fn password(typed: &str) -> Password {
        Password::new(typed).unwrap()
    }

    /// A verifier with few rounds, so that the tests are quick.
    fn quick_verifier(typed: &str) -> Verifier {
        let salt = random::bytes();
        let salted = salted_password(typed.as_bytes(), &salt, 4096).unwrap();
        let stored_key = digest::sha256(&client_key(&salted)[..]);
        Verifier { salt, iterations: 4096, stored_key, server_key: *server_key(&salted) }
    }

    /// The client's answer without its look at the rounds.
    fn quick_answer(client: ClientFirst, server_first: &str, typed: &str) -> ClientFinal {
        let challenge = Challenge::parse(server_first).unwrap();
        let salted = Salted::derive(typed.as_bytes(), challenge.salt, challenge.iterations).unwrap();
        client.answer_challenge(&challenge, salted, false).unwrap()
    }

    fn challenged(verifier: &Verifier) -> (ClientFirst, ServerChallenge) {
        let client = ClientFirst::new(&alice(), &EXPORTER);
        let server = ServerFirst::parse(client.message()).unwrap().challenge(verifier);
        (client, server)
    }

    #[test]
    fn the_exchange_of_rfc_7677_comes_out() {
        let name = "user".parse().unwrap();
        let client = ClientFirst::with("n,,", &name, Vec::new(), "rOprNGfwEbeRWgbNEkqO".to_owned());
        assert_eq!(client.message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");

        let salt = decode("salt", "W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let salted = salted_password(b"pencil", &salt, 4096).unwrap();
        let stored_key = digest::sha256(&client_key(&salted)[..]);
        let verifier = Verifier { salt, iterations: 4096, stored_key, server_key: *server_key(&salted) };
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0".to_owned();
        let server = ServerChallenge::with("n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(), nonce, &verifier);
        let server_first = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        assert_eq!(server.message(), server_first);

        let client = quick_answer(client, server_first, "pencil");
        let client_final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(client.message(), client_final);

        let outcome = server.check_bound(client_final, &channel_binding("n,,", &[])).unwrap();
        assert!(outcome.proof_holds);
        assert_eq!(outcome.server_final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(outcome.auth_message, client.auth_message());
        assert_eq!(client.verify(&outcome.server_final), Ok(()));
    }

    #[test]
    fn both_sides_prove_themselves_with_the_rounds_of_today() {
        let verifier = verifier(&password("correct horse")).unwrap();
        let (client, server) = challenged(&verifier);
        let client = client.answer(server.message(), &password("correct horse")).unwrap();
        let outcome = server.check(client.message(), &EXPORTER).unwrap();
        assert!(outcome.proof_holds);
        assert_eq!(outcome.auth_message, client.auth_message());
        assert_eq!(client.verify(&outcome.server_final), Ok(()));
    }

    #[test]
    fn what_is_kept_of_a_former_password_logs_in_under_its_salt_alone_and_opens_with_its_key_alone() {
        let former = quick_verifier("former password");
        let salted = Salted::derive(b"former password", former.salt, former.iterations).unwrap();
        let locked = salted.lock(BOB_ENCRYPTION.public()).unwrap();
        let unlock = |key, salt| Salted::unlock(key, salt, former.iterations, &locked);
        assert!(unlock(&CAROL_ENCRYPTION, former.salt).is_none());
        assert!(unlock(&BOB_ENCRYPTION, [0; 16]).is_none());
        assert!(Salted::unlock(&BOB_ENCRYPTION, former.salt, 4096, b"").is_none());
        let kept = unlock(&BOB_ENCRYPTION, former.salt).unwrap();
        let (client, server) = challenged(&former);
        let challenge = Challenge::parse(server.message()).unwrap();
        let last = client.answer_challenge(&challenge, kept, true).unwrap();
        let outcome = server.check(last.message(), &EXPORTER).unwrap();
        assert!(outcome.proof_holds);
        assert_eq!(last.verify(&outcome.server_final), Ok(()));
        assert!(last.into_salted().1);
    }

    #[test]
    fn a_wrong_password_gets_no_signature_to_guess_against() {
        let (client, server) = challenged(&quick_verifier("right password"));
        let client = quick_answer(client, server.message(), "wrong password");
        let outcome = server.check(client.message(), &EXPORTER).unwrap();
        assert!(!outcome.proof_holds);
        assert_eq!(outcome.server_final, "e=invalid-proof");
        assert_eq!(client.verify(&outcome.server_final), Err(ScramError::Refused));
    }

    #[test]
    fn an_unknown_name_is_challenged_like_a_known_one_and_never_let_in() {
        let fake = fake_verifier(&[9; 32], &alice());
        assert!(fake == fake_verifier(&[9; 32], &alice()));
        assert!(fake.salt != fake_verifier(&[9; 32], &"bob".parse().unwrap()).salt);
        assert!(fake.salt != fake_verifier(&[8; 32], &alice()).salt);
        assert_eq!(fake.iterations, SCRAM_ITERATIONS);
        let (client, server) = challenged(&fake);
        let client = client.answer(server.message(), &password("correct horse")).unwrap();
        assert!(!server.check(client.message(), &EXPORTER).unwrap().proof_holds);
    }

    #[test]
    fn a_login_holds_on_its_own_connection_only() {
        let (client, server) = challenged(&quick_verifier("right password"));
        let client = quick_answer(client, server.message(), "right password");
        let error = server.check(client.message(), &[0; 32]).err();
        assert_eq!(error, Some(ScramError::ChannelBinding));
    }

    #[test]
    fn a_login_can_not_be_replayed() {
        let verifier = quick_verifier("right password");
        let (client, server) = challenged(&verifier);
        let client = quick_answer(client, server.message(), "right password");
        let (_, later) = challenged(&verifier);
        assert_eq!(later.check(client.message(), &EXPORTER).err(), Some(ScramError::Nonce));
    }

    #[test]
    fn the_client_refuses_too_little_and_too_much_work() {
        for iterations in [1, 4096, 599_999, 10_000_001, u32::MAX] {
            let (client, server) = challenged(&Verifier { iterations, ..quick_verifier("right password") });
            let error = client.answer(server.message(), &password("right password")).err();
            assert_eq!(error, Some(ScramError::Iterations { found: iterations }));
        }
    }

    #[test]
    fn the_client_refuses_a_nonce_that_does_not_extend_its_own() {
        let refused = |nonce: &dyn Fn(&ClientFirst) -> String| {
            let client = ClientFirst::new(&alice(), &EXPORTER);
            let first = format!("r={},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=600000", nonce(&client));
            assert_eq!(client.answer(&first, &password("right password")).err(), Some(ScramError::Nonce), "{first}");
        };
        refused(&|client| client.nonce.clone());
        refused(&|_| "another".to_owned());
        refused(&|client| format!("x{}", client.nonce));
    }

    #[test]
    fn the_client_refuses_a_server_that_can_not_prove_itself() {
        let (client, server) = challenged(&quick_verifier("right password"));
        let client = quick_answer(client, server.message(), "right password");
        let forged = format!("v={}", BASE64.encode(&[7; 32]));
        assert_eq!(client.verify(&forged), Err(ScramError::ServerSignature));
        for server_final in ["", "v=", "v=AAAA", "x=1", &format!("{forged},x=1")] {
            assert!(matches!(client.verify(server_final), Err(ScramError::Malformed { .. })), "{server_final}");
        }
    }

    #[track_caller]
    fn first_refused(message: &str, why: ScramError) {
        assert_eq!(ServerFirst::parse(message).err(), Some(why), "{message}");
    }

    #[test]
    fn a_first_message_has_one_form() {
        assert_eq!(ServerFirst::parse("p=tls-exporter,,n=alice,r=abc").unwrap().name(), &alice());
        first_refused("", ScramError::ChannelBinding);
        first_refused("n,,n=alice,r=abc", ScramError::ChannelBinding);
        first_refused("y,,n=alice,r=abc", ScramError::ChannelBinding);
        first_refused("p=tls-unique,,n=alice,r=abc", ScramError::ChannelBinding);
        first_refused("p=tls-exporter,a=bob,n=alice,r=abc", ScramError::ChannelBinding);
        first_refused("p=tls-exporter,,m=x,n=alice,r=abc", ScramError::Malformed { field: "name" });
        first_refused("p=tls-exporter,,r=abc,n=alice", ScramError::Malformed { field: "name" });
        first_refused("p=tls-exporter,,n=alice", ScramError::Malformed { field: "nonce" });
        first_refused("p=tls-exporter,,n=alice,r=", ScramError::Malformed { field: "nonce" });
        first_refused("p=tls-exporter,,n=alice,r=a\u{e9}", ScramError::Malformed { field: "nonce" });
        first_refused("p=tls-exporter,,n=alice,r=abc,x=1", ScramError::Malformed { field: "end" });
        first_refused("p=tls-exporter,,n=Alice,r=abc", ScramError::Name(NameError::FirstCharacter));
        let long = format!("p=tls-exporter,,n=alice,r={}", "a".repeat(SCRAM_NONCE_MAX + 1));
        first_refused(&long, ScramError::Malformed { field: "nonce" });
    }

    #[test]
    fn a_challenge_has_one_form() {
        let salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
        assert!(Challenge::parse(&format!("r=abc,s={salt},i=600000")).is_ok());
        for iterations in ["", "0", "0600000", "+600000", "600000 ", "4294967296", "-1"] {
            let error = Challenge::parse(&format!("r=abc,s={salt},i={iterations}")).err();
            assert_eq!(error, Some(ScramError::Malformed { field: "iterations" }), "{iterations}");
        }
        for salt in ["", "W22ZaJ0SNY7soEsUEjb6gQ", "W22ZaJ0SNY7soEsUEjb6gR==", "AAAA", "W22ZaJ0SNY7soEsUEjb6gQ== "] {
            let error = Challenge::parse(&format!("r=abc,s={salt},i=600000")).err();
            assert_eq!(error, Some(ScramError::Malformed { field: "salt" }), "{salt}");
        }
        assert!(Challenge::parse(&format!("m=x,r=abc,s={salt},i=600000")).is_err());
        assert!(Challenge::parse(&format!("r=abc,s={salt},i=600000,x=1")).is_err());
    }

    #[test]
    fn every_changed_character_of_a_final_message_is_refused() {
        let (client, server) = challenged(&quick_verifier("right password"));
        let client = quick_answer(client, server.message(), "right password");
        for position in 0..client.message().len() {
            let mut changed = client.message().as_bytes().to_vec();
            changed[position] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            let accepted = server.check(&changed, &EXPORTER).is_ok_and(|outcome| outcome.proof_holds);
            assert!(!accepted, "{changed}");
        }
    }

    #[test]
    fn passwords_that_look_the_same_are_the_same() {
        let composed = password("pässwörd");
        let decomposed = password("pa\u{308}sswo\u{308}rd");
        assert_eq!(composed.as_bytes(), decomposed.as_bytes());
    }

    #[test]
    fn a_password_has_8_to_128_bytes_and_no_nul() {
        assert_eq!(Password::new("1234567").err(), Some(PasswordError::TooShort { bytes: 7 }));
        assert_eq!(Password::new("").err(), Some(PasswordError::TooShort { bytes: 0 }));
        assert!(Password::new("12345678").is_ok());
        assert!(Password::new(&"x".repeat(128)).is_ok());
        assert_eq!(Password::new(&"x".repeat(129)).err(), Some(PasswordError::TooLong { bytes: 129 }));
        assert_eq!(Password::new(&"x".repeat(1 << 20)).err(), Some(PasswordError::TooLong { bytes: 1 << 20 }));
        assert_eq!(Password::new("1234567\0").err(), Some(PasswordError::Nul));
        // Three code points of three bytes each make one of three: 42 syllables fit.
        assert!(Password::new(&"\u{1112}\u{1161}\u{11ab}".repeat(42)).is_ok());
    }
}
