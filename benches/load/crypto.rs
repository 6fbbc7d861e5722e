//! Sealing, verifying and opening beside the bare operations of OpenSSL on the same inputs, in turn.

use std::hint::black_box;
use std::io;
use std::time::Instant;

use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sha::sha256;
use openssl::sign::{Signer, Verifier};
use openssl::symm::{Cipher, decrypt, encrypt};
use serde_json::json;
use topchat::crypto::envelope::{self, OpenWith, SealWith};
use topchat::crypto::group_key::GroupKeys;
use topchat::crypto::keys::PrivateKey;
use topchat::wire::Envelope;

use super::Common;
use super::dialect::To;
use super::table::{self, Table, median, short};
use super::topchat::Keys;

/// Microseconds of the project's work and of the bare operations it rests on, and their ratio turn by turn.
struct Pair {
    name: &'static str,
    own: f64,
    bare: f64,
    ratio: f64,
}

/// Measures, prints, and writes what is asked for.
pub fn run(common: &Common) -> io::Result<()> {
    let mut table = Table::new(&["RSA, work", "µs", "bare OpenSSL, µs", "ratio"]);
    let mut rows = Vec::new();
    for bits in [2048, 3072, 4096] {
        for Pair { name, own, bare, ratio } in pairs(bits, common)? {
            eprintln!("RSA {bits}, {name}: {}", short(ratio));
            table.row(vec![format!("{bits}, {name}"), short(own), short(bare), short(ratio)]);
            rows.push(json!({ "bits": bits, "work": name, "us": own, "bare_us": bare, "ratio": ratio }));
        }
    }
    let text = table.to_markdown();
    println!("{text}");
    table::write(common, "crypto", &text, &json!({ "part": "crypto", "rows": rows }))
}

fn pairs(bits: u32, common: &Common) -> io::Result<Vec<Pair>> {
    let failed = io::Error::other::<topchat::crypto::keys::KeyError>;
    let keys = [PrivateKey::generate(bits).map_err(failed)?, PrivateKey::generate(bits).map_err(failed)?];
    let [identity, encryption] = &keys;
    let bare = [bare_key(identity)?, bare_key(encryption)?];
    let [signing, decrypting] = &bare;
    let group = GroupKeys::generate().map_err(io::Error::other)?;
    let shapes = Keys::new(2048, common.text)?;
    let text = "x".repeat(common.text);
    let seal = |to: To| {
        let mut header = shapes.envelope(0, to).header;
        let (with, fingerprint) = match to {
            To::Group => (SealWith::Group(group.writer()), envelope::group_fingerprint(&group.writer().id)),
            To::Member(_) => (SealWith::Direct(encryption.public()), encryption.public().fingerprint()),
        };
        (header.sender_fp, header.recipient_fp) = (identity.public().fingerprint(), fingerprint);
        envelope::seal(header, &text, with, identity).expect("these keys seal")
    };
    let open = |sealed: &Envelope| {
        let with =
            if sealed.ciphertext.len() < 256 { OpenWith::Group(group.writer()) } else { OpenWith::Direct(encryption) };
        assert!(envelope::verify(sealed, identity.public()), "what was signed verifies");
        black_box(envelope::open(sealed, with).expect("what was sealed opens"));
    };
    let (direct, to_all) = (seal(To::Member(1)), seal(To::Group));
    let plain = vec![b'x'; 17 + common.text];
    let signed = [direct.signed_bytes(), to_all.signed_bytes()];
    let hashed = [to_all.header_bytes.as_slice(), &plain].concat();
    let des = |is_sealing: bool| {
        let work = if is_sealing { encrypt } else { decrypt };
        let input: &[u8] = if is_sealing { &plain } else { &to_all.ciphertext[8..] };
        // A key of another would not fit the padding, so what comes out is not looked at.
        let _ = black_box(work(Cipher::des_ede3_cbc(), &[0x5b; 24], Some(&[7; 8]), input));
    };
    let count = 20 + (common.seconds * 200.0) as usize;
    let measure = |name, own: &dyn Fn(), bare: &dyn Fn()| pair(name, count, own, bare);
    Ok(vec![
        measure("seal direct", &|| drop(black_box(seal(To::Member(1)))), &|| {
            sign(signing, &signed[0]);
            public_encrypt(decrypting, &plain);
        }),
        measure("verify and open direct", &|| open(&direct), &|| {
            verify(signing, &signed[0], &direct.signature);
            private_decrypt(decrypting, &direct.ciphertext);
        }),
        measure("direct, end to end", &|| open(&seal(To::Member(1))), &|| {
            sign(signing, &signed[0]);
            public_encrypt(decrypting, &plain);
            verify(signing, &signed[0], &direct.signature);
            private_decrypt(decrypting, &direct.ciphertext);
        }),
        measure("seal group", &|| drop(black_box(seal(To::Group))), &|| {
            sign(signing, &signed[1]);
            des(true);
        }),
        measure("verify and open group", &|| open(&to_all), &|| {
            verify(signing, &signed[1], &to_all.signature);
            des(false);
            black_box((sha256(&hashed), sha256(&signed[1])));
        }),
    ])
}

/// The two in turn, so often; medians.
fn pair(name: &'static str, count: usize, own: &dyn Fn(), bare: &dyn Fn()) -> Pair {
    let time = |work: &dyn Fn()| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64() * 1e6
    };
    let times: Vec<_> = (0..count).map(|_| (time(own), time(bare))).collect();
    let of = |pick: fn(&(f64, f64)) -> f64| median(&times.iter().map(pick).collect::<Vec<_>>());
    Pair { name, own: of(|pair| pair.0), bare: of(|pair| pair.1), ratio: of(|pair| pair.0 / pair.1) }
}

fn bare_key(key: &PrivateKey) -> io::Result<PKey<Private>> {
    let pem = key.to_pem(b"a passphrase").map_err(io::Error::other)?;
    Ok(PKey::private_key_from_pem_passphrase(pem.as_bytes(), b"a passphrase")?)
}

fn sign(key: &PKey<Private>, bytes: &[u8]) {
    let mut signer = Signer::new(MessageDigest::sha256(), key).expect("SHA-256 is there");
    black_box(signer.sign_oneshot_to_vec(bytes).expect("an RSA key signs"));
}

fn verify(key: &PKey<Private>, bytes: &[u8], signature: &[u8]) {
    let mut verifier = Verifier::new(MessageDigest::sha256(), key).expect("SHA-256 is there");
    assert!(verifier.verify_oneshot(signature, bytes).expect("an RSA key verifies"), "it was signed by this key");
}

fn public_encrypt(key: &PKey<Private>, plain: &[u8]) {
    let mut encrypter = Encrypter::new(key).expect("an RSA key encrypts");
    encrypter.set_rsa_padding(Padding::PKCS1).expect("RSA has this padding");
    let mut sealed = vec![0; encrypter.encrypt_len(plain).expect("a block has a length")];
    black_box(encrypter.encrypt(plain, &mut sealed).expect("it fits one block"));
}

fn private_decrypt(key: &PKey<Private>, sealed: &[u8]) {
    let mut decrypter = Decrypter::new(key).expect("an RSA key decrypts");
    decrypter.set_rsa_padding(Padding::PKCS1).expect("RSA has this padding");
    let mut plain = vec![0; decrypter.decrypt_len(sealed).expect("a block has a length")];
    black_box(decrypter.decrypt(sealed, &mut plain).expect("it was encrypted for this key"));
}
