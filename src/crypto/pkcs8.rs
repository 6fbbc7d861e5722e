//! Private keys in files: encrypted PKCS#8 PEM.
//!
//! Written here because the openssl crate's own writer derives the file's key with 2048 rounds of PBKDF2, which slow
//! nobody down; this one uses scrypt with the parameters and the encoding of `openssl pkcs8 -topk8 -scrypt`:
//!
//! ```text
//! EncryptedPrivateKeyInfo                         RFC 5958, section 3
//!   PBES2                                         RFC 8018, section 6.2
//!     scrypt: salt 16, N = 16384, r = 8, p = 1    RFC 7914, section 7 (keyLength left out: AES-256 says it)
//!     AES-256-CBC: IV 16
//!   encrypted PrivateKeyInfo
//! ```

use data_encoding::BASE64;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::symm::{self, Cipher};
use zeroize::Zeroizing;

use super::keys::KeyError;
use super::random;

const LABEL: &str = "ENCRYPTED PRIVATE KEY";

const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

/// 1.2.840.113549.1.5.13
const PBES2: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
/// 1.3.6.1.4.1.11591.4.11
const SCRYPT: [u8; 9] = [0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];
/// 2.16.840.1.101.3.4.1.42
const AES_256_CBC: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// Cost of one guess at the passphrase: 128·N·r = 16 MiB of memory, and some 50 ms.
const N: u16 = 16384;
const R: u8 = 8;
const P: u8 = 1;
/// What OpenSSL may use for it: those 16 MiB and a little.
const SCRYPT_MEMORY: u64 = 32 * 1024 * 1024;

/// How OpenSSL names reasons for which it never came to try the passphrase.
const UNSUPPORTED: [&str; 5] =
    ["illegal scrypt parameters", "memory limit exceeded", "unknown cipher", "unknown pbe algorithm", "unsupported"];

/// Encrypts a DER PrivateKeyInfo.
pub(super) fn encrypt(key: &[u8], passphrase: &[u8]) -> Result<Zeroizing<String>, KeyError> {
    let (salt, iv) = (random::bytes(), random::bytes());
    let sealed = seal(key, passphrase, &salt, &iv).map_err(KeyError::while_doing("encrypting a key file"))?;
    Ok(Zeroizing::new(pem(LABEL, &encode(&salt, &iv, &sealed))))
}

/// Opens what [`encrypt`] or the `openssl` command wrote.
pub(super) fn decrypt(text: &[u8], passphrase: &[u8]) -> Result<PKey<Private>, KeyError> {
    let der = read_pem(text)?;
    if !is_encrypted_key_info(&der) {
        return Err(KeyError::Malformed);
    }
    // With a callback OpenSSL never turns to the terminal by itself.
    PKey::private_key_from_pkcs8_callback(&der, |buffer| {
        let room = buffer.get_mut(..passphrase.len()).ok_or_else(ErrorStack::get)?;
        room.copy_from_slice(passphrase);
        Ok(passphrase.len())
    })
    .map_err(|errors| why(&errors))
}

/// One PEM block (RFC 7468).
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        BASE64.encode_append(line, &mut text);
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn seal(key: &[u8], passphrase: &[u8], salt: &[u8; 16], iv: &[u8; 16]) -> Result<Vec<u8>, ErrorStack> {
    let mut file_key = Zeroizing::new([0; 32]);
    let (n, r, p) = (N.into(), R.into(), P.into());
    openssl::pkcs5::scrypt(passphrase, salt, n, r, p, SCRYPT_MEMORY, file_key.as_mut())?;
    symm::encrypt(Cipher::aes_256_cbc(), file_key.as_ref(), Some(iv), key)
}

fn encode(salt: &[u8], iv: &[u8], sealed: &[u8]) -> Vec<u8> {
    let scrypt_parameters = element(
        SEQUENCE,
        &[
            &element(OCTET_STRING, &[salt]),
            &element(INTEGER, &[&N.to_be_bytes()]),
            &element(INTEGER, &[&[R]]),
            &element(INTEGER, &[&[P]]),
        ],
    );
    let derivation = element(SEQUENCE, &[&element(OBJECT, &[&SCRYPT]), &scrypt_parameters]);
    let cipher = element(SEQUENCE, &[&element(OBJECT, &[&AES_256_CBC]), &element(OCTET_STRING, &[iv])]);
    let scheme = element(SEQUENCE, &[&element(OBJECT, &[&PBES2]), &element(SEQUENCE, &[&derivation, &cipher])]);
    element(SEQUENCE, &[&scheme, &element(OCTET_STRING, &[sealed])])
}

/// One DER element: tag, shortest length, content (X.690, section 8.1).
fn element(tag: u8, content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let length = u16::try_from(content.len()).expect("a key file is far below 64 KiB");
    let mut der = vec![tag];
    match (u8::try_from(length), length.to_be_bytes()) {
        (Ok(short @ ..=0x7f), _) => der.push(short),
        (Ok(one), _) => der.extend([0x81, one]),
        (Err(_), [high, low]) => der.extend([0x82, high, low]),
    }
    der.extend(content);
    der
}

/// The bytes of the first PEM block, if it is an encrypted PKCS#8 key.
fn read_pem(text: &[u8]) -> Result<Vec<u8>, KeyError> {
    let text = std::str::from_utf8(text).map_err(|_| KeyError::Malformed)?;
    let (_, block) = text.split_once("-----BEGIN ").ok_or(KeyError::Malformed)?;
    let (label, body) = block.split_once("-----").ok_or(KeyError::Malformed)?;
    match label {
        LABEL => {}
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "DSA PRIVATE KEY" | "EC PRIVATE KEY" => return Err(KeyError::NotEncrypted),
        _ => return Err(KeyError::Malformed),
    }
    let (body, _) = body.split_once("-----END ENCRYPTED PRIVATE KEY-----").ok_or(KeyError::Malformed)?;
    let digits: String = body.split_ascii_whitespace().collect();
    BASE64.decode(digits.as_bytes()).map_err(|_| KeyError::Malformed)
}

/// Whether this is the frame of an EncryptedPrivateKeyInfo and nothing more, so that what OpenSSL fails at later
/// is the passphrase.
fn is_encrypted_key_info(der: &[u8]) -> bool {
    let inner = || {
        let (whole, after) = read_element(der, SEQUENCE)?;
        let (_scheme, rest) = read_element(whole, SEQUENCE)?;
        let (sealed, end) = read_element(rest, OCTET_STRING)?;
        Some(after.is_empty() && end.is_empty() && !sealed.is_empty() && sealed.len().is_multiple_of(8))
    };
    inner().unwrap_or(false)
}

/// The content of the element that `der` begins with, and what comes after it.
fn read_element(der: &[u8], expected: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest): (usize, &[u8]) = match der {
        [tag, 0x82, high, low, rest @ ..] if *tag == expected => (u16::from_be_bytes([*high, *low]).into(), rest),
        [tag, 0x81, length, rest @ ..] if *tag == expected => ((*length).into(), rest),
        [tag, length @ ..=0x7f, rest @ ..] if *tag == expected => ((*length).into(), rest),
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn why(errors: &ErrorStack) -> KeyError {
    let reasons = || errors.errors().iter().filter_map(|error| error.reason());
    let is_unsupported = reasons().any(|reason| UNSUPPORTED.iter().any(|start| reason.starts_with(start)));
    if is_unsupported { KeyError::Unsupported } else { KeyError::Passphrase }
}
