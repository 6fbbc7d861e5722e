//! Sealing, verifying and opening beside the bare operations of OpenSSL on the same inputs.

use std::fs;
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use criterion::Criterion;
use openssl::derive::Deriver;
use openssl::encrypt::{Decrypter, Encrypter};
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Padding;
use openssl::sha::sha256;
use openssl::sign::{Signer, Verifier};
use openssl::symm::{Cipher, decrypt, decrypt_aead, encrypt, encrypt_aead};
use serde_json::json;
use topchat::crypto::curve::{OpeningKey, SigningKey};
use topchat::crypto::digest;
use topchat::crypto::envelope::{self, OpenWith, SealWith};
use topchat::crypto::group_key::{self, GroupKeys};
use topchat::crypto::keys::PrivateKey;
use topchat::wire::{Envelope, Suite};

use super::Common;
use super::dialect::To;
use super::table::{self, Table, median, short};
use super::topchat::Keys;

/// The project's work and the bare operations it rests on.
struct Pair {
    name: &'static str,
    /// Median and its 95 % interval, in microseconds.
    own: [f64; 3],
    bare: [f64; 3],
    /// Turn by turn, the median: what else the machine does meets both.
    in_turn: f64,
}

/// Measures, prints, and writes what is asked for.
pub(crate) fn run(common: &Common) -> io::Result<()> {
    let mut table =
        Table::new(&["keys (RSA bits, or modern), work", "µs", "bare OpenSSL, µs", "ratio", "ratio, in turn"]);
    let mut rows = Vec::new();
    let mut add = |keys: &str, pairs: Vec<Pair>| {
        for Pair { name, own, bare, in_turn } in pairs {
            let ratio = own[0] / bare[0];
            let cells = [own[0], bare[0], ratio, in_turn].map(short);
            table.row(std::iter::once(format!("{keys}, {name}")).chain(cells).collect());
            rows.push(json!({ "keys": keys, "work": name, "us": own[0], "us_interval": own[1..], "bare_us": bare[0],
                "bare_us_interval": bare[1..], "ratio": ratio, "ratio_in_turn": in_turn }));
        }
    };
    for bits in [2048, 3072, 4096] {
        add(&bits.to_string(), pairs(bits, common)?);
    }
    add("modern", modern(common)?);
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
        let mut header = shapes.envelope(0, to, common.text).header;
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
    let check = |sealed: &Envelope| assert!(envelope::verify(sealed, identity.public()), "what was signed verifies");
    let measure = |name, own: &dyn Fn(), bare: &dyn Fn()| pair(name, bits, common.seconds, own, bare);
    [
        measure("seal direct", &|| drop(black_box(seal(To::Member(1)))), &|| {
            sign(signing, &signed[0]);
            public_encrypt(decrypting, &plain);
        }),
        measure("verify direct", &|| check(&direct), &|| verify(signing, &signed[0], &direct.signature)),
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
        measure("verify group", &|| check(&to_all), &|| verify(signing, &signed[1], &to_all.signature)),
        measure("verify and open group", &|| open(&to_all), &|| {
            verify(signing, &signed[1], &to_all.signature);
            des(false);
            black_box((sha256(&hashed), sha256(&signed[1])));
        }),
    ]
    .into_iter()
    .collect()
}

/// The same of the modern suites. HKDF is HMACs over SHA-256, which count as bare.
fn modern(common: &Common) -> io::Result<Vec<Pair>> {
    let failed = io::Error::other::<topchat::crypto::keys::KeyError>;
    let (ed25519, x25519) = (SigningKey::generate().map_err(failed)?, OpeningKey::generate().map_err(failed)?);
    let bare = [PKey::generate_ed25519()?, PKey::generate_x25519()?];
    let [signing, agreeing] = &bare;
    let group = GroupKeys::generate_for(group_key::Cipher::Aes);
    let shapes = Keys::new(2048, common.text)?;
    let text = "x".repeat(common.text);
    let seal = |to: To| {
        let mut header = shapes.envelope(0, to, common.text).header;
        let with = match to {
            To::Group => SealWith::Group(group.writer()),
            To::Member(_) => SealWith::DirectModern(x25519.public()),
        };
        header.suite = if to == To::Group { Suite::GroupModern } else { Suite::DirectModern };
        header.recipient_fp = with.fingerprint();
        envelope::seal_modern(header, &text, with, &ed25519).expect("these keys seal")
    };
    let open = |sealed: &Envelope, with: OpenWith<'_>| {
        assert!(envelope::verify_modern(sealed, ed25519.public()), "what was signed verifies");
        black_box(envelope::open(sealed, with).expect("what was sealed opens"));
    };
    let (direct, to_all) = (seal(To::Member(1)), seal(To::Group));
    let padded = vec![b'x'; (19 + common.text).next_multiple_of(64)];
    let bound = [&direct.header_bytes[..], &[7; 32]].concat();
    let hashed = [&direct.header_bytes[..], &padded].concat();
    let (signed, signature) = (direct.signed_bytes(), ed_sign(signing, &direct.signed_bytes()));
    let hkdf = |hmacs: usize| {
        for _ in 0..hmacs {
            black_box(digest::hmac(&[7; 32], &[8; 100]));
        }
    };
    let mut tag = [0; 16];
    let gcm = encrypt_aead(Cipher::aes_256_gcm(), &[7; 32], Some(&[8; 12]), &bound, &padded, &mut tag)?;
    let gcm_seal = || {
        let sealed = encrypt_aead(Cipher::aes_256_gcm(), &[7; 32], Some(&[8; 12]), &bound, &padded, &mut [0; 16]);
        black_box(sealed.expect("AES-GCM is there"));
    };
    let gcm_open = || {
        let opened = decrypt_aead(Cipher::aes_256_gcm(), &[7; 32], Some(&[8; 12]), &bound, &gcm, &tag);
        black_box(opened.expect("it was sealed so"));
    };
    let agree = |with: &PKey<Private>| {
        let mut deriver = Deriver::new(with).expect("X25519 is there");
        deriver.set_peer(agreeing).expect("a good key");
        black_box(deriver.derive_to_vec().expect("no zero"));
    };
    let measure = |name, own: &dyn Fn(), bare: &dyn Fn()| pair(name, 0, common.seconds, own, bare);
    let commit = || {
        black_box(sha256(&hashed));
    };
    [
        measure("seal direct", &|| drop(black_box(seal(To::Member(1)))), &|| {
            agree(&PKey::generate_x25519().expect("X25519 is there"));
            hkdf(5);
            commit();
            gcm_seal();
            ed_sign(signing, &signed);
        }),
        measure("verify and open direct", &|| open(&direct, OpenWith::DirectModern(&x25519)), &|| {
            ed_verify(signing, &signed, &signature);
            agree(agreeing);
            hkdf(5);
            gcm_open();
            commit();
        }),
        measure("seal group", &|| drop(black_box(seal(To::Group))), &|| {
            hkdf(2);
            commit();
            gcm_seal();
            ed_sign(signing, &signed);
        }),
        measure("verify and open group", &|| open(&to_all, OpenWith::Group(group.writer())), &|| {
            ed_verify(signing, &signed, &signature);
            hkdf(2);
            gcm_open();
            commit();
        }),
    ]
    .into_iter()
    .collect()
}

/// Each by criterion, then the two in turn.
fn pair(name: &'static str, bits: u32, seconds: f64, own: &dyn Fn(), bare: &dyn Fn()) -> io::Result<Pair> {
    let folder = tempfile::tempdir()?;
    let time = Duration::from_secs_f64(seconds / 2.0);
    let mut criterion = Criterion::default().without_plots().with_output_color(false).output_directory(folder.path());
    criterion = criterion.sample_size(SAMPLES).nresamples(10_000).warm_up_time(time / 4).measurement_time(time);
    let mut measure = |kind: &str, work: &dyn Fn()| {
        let id = format!("{bits}, {name}, {kind}");
        criterion.bench_function(&id, |bencher| bencher.iter(work));
        // The only folder in there: its name is criterion's affair.
        let path = fs::read_dir(folder.path())?.next().ok_or(io::ErrorKind::NotFound)??.path();
        let estimate = estimate(&fs::read(path.join("new/estimates.json"))?);
        fs::remove_dir_all(path)?;
        estimate
    };
    let (own_time, bare_time) = (measure("TopChat", own)?, measure("bare", bare)?);
    let turns = (seconds * 1e6 / (own_time[0] + bare_time[0])).clamp(10.0, 400.0) as usize;
    Ok(Pair { name, own: own_time, bare: bare_time, in_turn: in_turn(turns, own, bare) })
}

/// Median and its interval in microseconds, of what criterion writes.
fn estimate(json: &[u8]) -> io::Result<[f64; 3]> {
    let median = serde_json::from_slice::<serde_json::Value>(json)?["median"].take();
    let interval = &median["confidence_interval"];
    let nanos = [&median["point_estimate"], &interval["lower_bound"], &interval["upper_bound"]];
    Ok(nanos.map(|value| value.as_f64().unwrap_or(f64::NAN) / 1e3))
}

fn in_turn(turns: usize, own: &dyn Fn(), bare: &dyn Fn()) -> f64 {
    let time = |work: &dyn Fn()| {
        let began = Instant::now();
        work();
        began.elapsed().as_secs_f64()
    };
    median(&(0..turns).map(|_| time(own) / time(bare)).collect::<Vec<_>>())
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

fn ed_sign(key: &PKey<Private>, bytes: &[u8]) -> Vec<u8> {
    let mut signer = Signer::new_without_digest(key).expect("Ed25519 is there");
    black_box(signer.sign_oneshot_to_vec(bytes).expect("an Ed25519 key signs"))
}

fn ed_verify(key: &PKey<Private>, bytes: &[u8], signature: &[u8]) {
    let mut verifier = Verifier::new_without_digest(key).expect("Ed25519 is there");
    assert!(verifier.verify_oneshot(signature, bytes).expect("an Ed25519 key verifies"), "it was signed by this key");
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

/// Criterion's samples of each work.
const SAMPLES: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criterion_writes_what_is_read() {
        let hash = || {
            black_box(sha256(b"some"));
        };
        let pair = pair("nothing", 2048, 0.02, &|| (), &hash).unwrap();
        assert!(pair.own.iter().chain(&pair.bare).all(|time| time.is_finite()));
        assert!(pair.own[0] < pair.bare[0] && pair.in_turn < 1.0);
    }
}
