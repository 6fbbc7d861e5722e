//! Key files, envelopes and the certificate, made and checked with the `openssl` command alone.
//!
//! The command is needed: without it these tests fail. Only single DES depends on what the system offers.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use tempfile::TempDir;

use topchat::crypto::envelope::{self, OpenWith, SealWith};
use topchat::crypto::group_key::{GroupKey, GroupKeys};
use topchat::crypto::keys::{KeyError, PrivateKey};
use topchat::crypto::{certificate, digest};
use topchat::limits::TEXT_MAX;
use topchat::wire::{Envelope, Fingerprint, Header, MessageId, Suite, signed};

pub(super) const PASSPHRASE: &str = "correct horse";
const KEY_ID: &str = "3f2a0102030405060708090a0b0c0d0e";
const KEY: &str = "0123456789abcdef";

static ALICE: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());
static BOB_ENCRYPTION: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate(2048).unwrap());

/// A folder to exchange files with the command in.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `openssl` here; words that name a file written here are that file.
    #[track_caller]
    pub(super) fn openssl(&self, command: &str) -> Vec<u8> {
        let output = self.run(command);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {command}: {errors}");
        output.stdout
    }

    fn run(&self, command: &str) -> Output {
        let mut openssl = Command::new("openssl");
        openssl.args(command.split(' ')).current_dir(self.0.path());
        openssl.output().expect("these tests need the openssl command")
    }

    #[track_caller]
    pub(super) fn openssl_text(&self, command: &str) -> String {
        String::from_utf8(self.openssl(command)).unwrap()
    }
}

fn has_single_des(folder: &Folder) -> bool {
    let providers = folder.run("list -providers -provider legacy -provider default");
    providers.status.success() && String::from_utf8_lossy(&providers.stdout).contains("legacy")
}

fn header(suite: Suite, recipient: &str, recipient_fp: Fingerprint) -> Header {
    Header {
        suite,
        sender: "alice".parse().unwrap(),
        sender_fp: ALICE.public().fingerprint(),
        sender_bundle: 1,
        recipient: recipient.parse().unwrap(),
        recipient_fp,
        msg_id: MessageId([5; 16]),
        seq: 1,
        prev: 0,
        sent_ms: 1_700_000_000_000,
    }
}

fn to_bob() -> Header {
    header(Suite::Direct, "bob", BOB_ENCRYPTION.public().fingerprint())
}

fn to_all(suite: Suite, key: &GroupKey) -> Header {
    header(suite, "ALL", envelope::group_fingerprint(&key.id))
}

fn group_keys() -> GroupKeys {
    GroupKeys::parse(&format!("topchat-group-key v1\n{KEY_ID} {KEY}\n")).unwrap()
}

/// Short, several languages, several lines, and the longest.
fn texts() -> [String; 4] {
    ["hi".to_owned(), "żółć 日本語 👩\u{200d}👧".to_owned(), "two\nlines".to_owned(), "x".repeat(TEXT_MAX)]
}

/// Writes an envelope's parts and checks its signature and commitment; the plaintext is what the command decrypted.
#[track_caller]
fn check_signature_and_commitment(folder: &Folder, envelope: &Envelope, plaintext: &[u8]) {
    folder.file("tbs.bin", &envelope.signed_bytes());
    folder.file("sig.bin", &envelope.signature);
    folder.file("sender.pub.pem", ALICE.public().to_pem().as_bytes());
    let verdict = folder.openssl_text("dgst -sha256 -verify sender.pub.pem -signature sig.bin tbs.bin");
    assert_eq!(verdict, "Verified OK\n");

    folder.file("committed.bin", &[b"TopChat-commit-v1\0", &envelope.header_bytes[..], plaintext].concat());
    assert_eq!(folder.openssl("dgst -sha256 -binary committed.bin"), envelope.commitment);
}

#[test]
fn a_direct_envelope_is_checked_and_opened_by_the_command() {
    let folder = Folder::new();
    folder.file("bob.pem", BOB_ENCRYPTION.to_pem(PASSPHRASE.as_bytes()).unwrap().as_bytes());
    folder.file("passphrase", PASSPHRASE.as_bytes());
    for text in texts() {
        let sealed = envelope::seal(to_bob(), &text, SealWith::Direct(BOB_ENCRYPTION.public()), &ALICE).unwrap();
        let mut plaintext = Vec::new();
        for chunk in sealed.ciphertext.chunks(256) {
            folder.file("chunk", chunk);
            plaintext.extend(folder.openssl(
                "pkeyutl -decrypt -inkey bob.pem -passin file:passphrase -pkeyopt rsa_padding_mode:pkcs1 -in chunk",
            ));
        }
        assert_eq!(plaintext.get(16..), Some(&[b"\x01", text.as_bytes()].concat()[..]));
        check_signature_and_commitment(&folder, &sealed, &plaintext);
    }
}

#[test]
fn a_direct_envelope_made_with_the_command_opens() {
    let folder = Folder::new();
    folder.file("alice.pem", ALICE.to_pem(PASSPHRASE.as_bytes()).unwrap().as_bytes());
    folder.file("bob.pub.pem", BOB_ENCRYPTION.public().to_pem().as_bytes());
    folder.file("passphrase", PASSPHRASE.as_bytes());
    let text = "y".repeat(600);
    let plaintext = [&[9; 16], &b"\x01"[..], text.as_bytes()].concat();

    let mut made = Envelope {
        header: to_bob(),
        header_bytes: to_bob().encode(),
        commitment: digest::sha256(&signed::commitment(&to_bob().encode(), &plaintext)),
        ciphertext: Vec::new(),
        signature: Vec::new(),
    };
    for chunk in plaintext.chunks(245) {
        folder.file("chunk", chunk);
        let sealed =
            folder.openssl("pkeyutl -encrypt -pubin -inkey bob.pub.pem -pkeyopt rsa_padding_mode:pkcs1 -in chunk");
        made.ciphertext.extend(sealed);
    }
    folder.file("tbs.bin", &made.signed_bytes());
    made.signature = folder.openssl("dgst -sha256 -sign alice.pem -passin file:passphrase tbs.bin");

    let received = Envelope::parse(&made.encode()).unwrap();
    assert!(envelope::verify(&received, ALICE.public()));
    assert_eq!(*envelope::open(&received, OpenWith::Direct(&BOB_ENCRYPTION)).unwrap(), text);
}

#[test]
fn a_group_envelope_is_checked_and_opened_by_the_command() {
    let folder = Folder::new();
    let keys = group_keys();
    for text in texts() {
        let seal = |suite| {
            let with = SealWith::Group(keys.writer());
            envelope::seal(to_all(suite, keys.writer()), &text, with, &ALICE).unwrap()
        };
        let cbc = seal(Suite::GroupCbc);
        let (iv, sealed) = cbc.ciphertext.split_at(8);
        folder.file("sealed", sealed);
        let iv = HEXLOWER.encode(iv);
        let plaintext = folder.openssl(&format!("enc -d -des-ede3-cbc -K {KEY}{KEY}{KEY} -iv {iv} -in sealed"));
        assert_eq!(plaintext.get(16..), Some(&[b"\x01", text.as_bytes()].concat()[..]));
        check_signature_and_commitment(&folder, &cbc, &plaintext);
        if has_single_des(&folder) {
            let single = format!("enc -d -des-cbc -provider legacy -provider default -K {KEY} -iv {iv} -in sealed");
            assert_eq!(folder.openssl(&single), plaintext);
        }

        let ecb = seal(Suite::GroupEcb);
        folder.file("sealed", &ecb.ciphertext);
        let plaintext = folder.openssl(&format!("enc -d -des-ede3 -K {KEY}{KEY}{KEY} -in sealed"));
        check_signature_and_commitment(&folder, &ecb, &plaintext);
        if has_single_des(&folder) {
            let single = format!("enc -d -des-ecb -provider legacy -provider default -K {KEY} -in sealed");
            assert_eq!(folder.openssl(&single), plaintext);
        }
    }
}

#[test]
fn a_group_envelope_made_with_the_command_opens() {
    let folder = Folder::new();
    let keys = group_keys();
    let header = to_all(Suite::GroupCbc, keys.writer());
    let plaintext = [&[9; 16], &b"\x01hi all"[..]].concat();
    folder.file("plaintext", &plaintext);
    let iv = "1234567890abcdef";
    let sealed = match has_single_des(&folder) {
        true => {
            folder.openssl(&format!("enc -des-cbc -provider legacy -provider default -K {KEY} -iv {iv} -in plaintext"))
        }
        false => folder.openssl(&format!("enc -des-ede3-cbc -K {KEY}{KEY}{KEY} -iv {iv} -in plaintext")),
    };
    let mut made = Envelope {
        header_bytes: header.encode(),
        commitment: digest::sha256(&signed::commitment(&header.encode(), &plaintext)),
        header,
        ciphertext: [HEXLOWER.decode(iv.as_bytes()).unwrap(), sealed].concat(),
        signature: Vec::new(),
    };
    made.signature = ALICE.sign(&made.signed_bytes()).unwrap();
    assert_eq!(*envelope::open(&made, OpenWith::Group(keys.writer())).unwrap(), "hi all");
}

#[test]
fn a_key_file_of_ours_is_taken_by_the_command() {
    let folder = Folder::new();
    folder.file("passphrase", PASSPHRASE.as_bytes());
    folder.file("ours.pem", ALICE.to_pem(PASSPHRASE.as_bytes()).unwrap().as_bytes());
    let public = folder.openssl_text("pkey -in ours.pem -passin file:passphrase -pubout");
    assert_eq!(public, ALICE.public().to_pem());
    let check = folder.openssl_text("pkey -in ours.pem -passin file:passphrase -check -noout");
    assert!(check.contains("Key is valid"), "{check}");
}

#[test]
fn key_files_of_the_command_are_taken_however_it_encrypted_them() {
    let folder = Folder::new();
    folder.file("passphrase", PASSPHRASE.as_bytes());
    folder.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out clear.pem");
    folder.openssl("pkcs8 -topk8 -scrypt -in clear.pem -out scrypt.pem -passout file:passphrase");
    folder.openssl("pkcs8 -topk8 -in clear.pem -out pbkdf2.pem -passout file:passphrase");
    folder.openssl("pkey -aes-128-cbc -in clear.pem -out aes128.pem -passout file:passphrase");
    let public = folder.openssl_text("pkey -in clear.pem -pubout");
    for name in ["scrypt.pem", "pbkdf2.pem", "aes128.pem"] {
        let pem = fs::read(folder.path(name)).unwrap();
        let key = PrivateKey::from_pem(&pem, PASSPHRASE.as_bytes()).unwrap();
        assert_eq!(key.public().to_pem(), public, "{name}");
        assert_eq!(PrivateKey::from_pem(&pem, b"wrong horse").err(), Some(KeyError::Passphrase), "{name}");
    }
}

#[test]
fn a_key_file_of_ours_has_the_structure_of_the_commands() {
    let folder = Folder::new();
    folder.file("passphrase", PASSPHRASE.as_bytes());
    folder.file("ours.pem", ALICE.to_pem(PASSPHRASE.as_bytes()).unwrap().as_bytes());
    folder.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out clear.pem");
    folder.openssl("pkcs8 -topk8 -scrypt -in clear.pem -out theirs.pem -passout file:passphrase");
    let structure = |name: &str| -> Vec<String> {
        let parsed = folder.openssl_text(&format!("asn1parse -in {name}"));
        // "   13:d=3  hl=2 l=   9 prim: OBJECT            :PBES2", without offsets, lengths and random strings.
        let kind = |line: &str| line.split_once(": ").map(|(_, kind)| kind.trim().to_owned()).unwrap();
        let stable = |kind: String| if kind.starts_with("OCTET") { "OCTET STRING".to_owned() } else { kind };
        parsed.lines().map(kind).map(stable).collect()
    };
    assert_eq!(structure("ours.pem"), structure("theirs.pem"));
    assert!(structure("ours.pem").iter().any(|line| line.ends_with(":4000")), "N = 16384");
}

#[test]
fn key_files_that_can_not_be_used_are_told_apart() {
    let folder = Folder::new();
    folder.file("passphrase", PASSPHRASE.as_bytes());
    let refused = |make: &str, why: KeyError| {
        let pem = folder.openssl(make);
        assert_eq!(PrivateKey::from_pem(&pem, PASSPHRASE.as_bytes()).err(), Some(why), "{make}");
    };
    let encrypted = "-aes256 -pass file:passphrase";
    refused(
        &format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 {encrypted}"),
        KeyError::TooSmall { bits: 1024 },
    );
    refused(
        &format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 {encrypted}"),
        KeyError::Exponent,
    );
    refused(
        &format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 {encrypted}"),
        KeyError::WrongKind { wanted: "RSA" },
    );
    refused(
        &format!("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 {encrypted}"),
        KeyError::WrongKind { wanted: "RSA" },
    );
    refused("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", KeyError::NotEncrypted);
}

#[test]
fn the_certificate_is_read_by_the_command() {
    let folder = Folder::new();
    folder.file("server.pem", certificate::self_signed().unwrap().certificate.as_bytes());
    let text = folder.openssl_text("x509 -in server.pem -noout -subject -nameopt RFC2253 -enddate");
    assert_eq!(text, "subject=CN=topchat-server\nnotAfter=Dec 31 23:59:59 9999 GMT\n");
    folder.openssl("verify -CAfile server.pem server.pem");
}
