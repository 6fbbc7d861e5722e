//! The server's TLS certificate, made at its first start.

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, KeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};
use zeroize::Zeroizing;

use super::keys::KeyError;

const COMMON_NAME: &str = "topchat-server";
/// "No well-defined expiration date" (RFC 5280, section 4.1.2.5): clients pin the key, not a date.
const NEVER: &str = "99991231235959Z";
/// X.509 counts versions from 0.
const VERSION_3: i32 = 2;
/// Positive and at most 20 bytes (RFC 5280, section 4.1.2.2).
const SERIAL_BITS: i32 = 159;

/// A certificate and its key. No `Debug`: it would show the key.
pub struct CertificatePem {
    /// X.509 in PEM.
    pub certificate: String,
    /// Unencrypted PKCS#8 in PEM: the server starts without anybody at a keyboard.
    pub key: Zeroizing<String>,
}

/// A new self-signed certificate: ECDSA over P-256, for `topchat-server`, valid from now on and for ever.
pub fn self_signed() -> Result<CertificatePem, KeyError> {
    make().map_err(KeyError::while_doing("making a certificate"))
}

pub(super) fn make() -> Result<CertificatePem, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let certificate = certify(&key)?.to_pem()?;
    let key = Zeroizing::new(key.private_key_to_pem_pkcs8()?);
    Ok(CertificatePem {
        certificate: pem_text(&certificate).to_owned(),
        key: Zeroizing::new(pem_text(&key).to_owned()),
    })
}

fn certify(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", COMMON_NAME)?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(VERSION_3)?;
    builder.set_serial_number(serial.to_asn1_integer()?.as_ref())?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::from_str_x509(NEVER)?.as_ref())?;
    builder.set_pubkey(key)?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    let names = SubjectAlternativeName::new().dns(COMMON_NAME).build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn pem_text(pem: &[u8]) -> &str {
    std::str::from_utf8(pem).expect("PEM is ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_signed_by_its_own_key_and_never_ends() {
        let made = self_signed().unwrap();
        let certificate = X509::from_pem(made.certificate.as_bytes()).unwrap();
        let key = PKey::private_key_from_pem(made.key.as_bytes()).unwrap();
        assert!(certificate.verify(&key).unwrap());
        assert!(certificate.public_key().unwrap().public_eq(&key));
        assert_eq!(certificate.not_after().to_string(), "Dec 31 23:59:59 9999 GMT");
        assert_eq!(certificate.version(), VERSION_3);
        assert!(made.key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    }

    #[test]
    fn no_two_certificates_are_the_same() {
        assert_ne!(self_signed().unwrap().certificate, self_signed().unwrap().certificate);
    }
}
