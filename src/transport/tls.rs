//! TLS settings: version 1.3 only, ALPN `topchat/2`, no tickets, no early data (RFC 8446, RFC 7301).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::ssl::{
    AlpnError, ErrorCode, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslRef,
    SslSessionCacheMode, SslStream, SslVerifyMode, SslVersion, select_next_proto,
};
use openssl::x509::X509;
use rustix::fs::OFlags;

use super::TransportError;
use crate::sync::lock;
use crate::wire::{ALPN, ALPN_OUTDATED, Fingerprint};

/// A server's certificate and settings.
pub struct ServerTls {
    context: SslContext,
    identity: Fingerprint,
}

impl ServerTls {
    /// From the PEM texts of a certificate and its private key.
    pub fn new(certificate_pem: &[u8], key_pem: &[u8]) -> Result<Self, TransportError> {
        let mut builder = builder(SslMethod::tls_server())?;
        let identity =
            Self::load(&mut builder, certificate_pem, key_pem).map_err(|stack| TransportError::from_stack(&stack))?;
        builder.set_alpn_select_callback(|_, offered| {
            let agreed = select_next_proto(ALPN_LIST, offered);
            agreed.or_else(|| select_next_proto(ALPN_OUTDATED_LIST, offered)).ok_or(AlpnError::ALERT_FATAL)
        });
        Ok(Self { context: builder.build(), identity })
    }

    /// SHA-256 of the certificate's SubjectPublicKeyInfo: what clients pin.
    pub fn identity(&self) -> Fingerprint {
        self.identity
    }

    pub(super) fn session(&self) -> Result<Ssl, TransportError> {
        session(&self.context)
    }

    fn load(
        builder: &mut SslContextBuilder,
        certificate_pem: &[u8],
        key_pem: &[u8],
    ) -> Result<Fingerprint, openssl::error::ErrorStack> {
        let certificate = X509::from_pem(certificate_pem)?;
        builder.set_certificate(&certificate)?;
        // The callback answers instead of OpenSSL's own, which would ask on the terminal.
        let key = PKey::private_key_from_pem_callback(key_pem, |_| Ok(0))?;
        builder.set_private_key(&key)?;
        builder.check_private_key()?;
        spki_fingerprint(&certificate)
    }
}

/// A client's settings.
pub struct ClientTls {
    context: SslContext,
}

impl ClientTls {
    /// Settings of this program.
    pub fn new() -> Result<Self, TransportError> {
        let mut builder = builder(SslMethod::tls_client())?;
        builder.set_alpn_protos(ALPN_LIST).map_err(|stack| TransportError::from_stack(&stack))?;
        Ok(Self { context: builder.build() })
    }

    pub(super) fn session(&self) -> Result<Ssl, TransportError> {
        session(&self.context)
    }
}

/// The other side's key, once the handshake is done. Servers ask for no client certificate and get `None`.
pub(super) fn peer_identity(tls: &SslRef) -> Option<Fingerprint> {
    tls.peer_certificate().and_then(|certificate| spki_fingerprint(&certificate).ok())
}

/// Whether both sides agreed on this protocol. Without it a browser or another service would be taken for a peer.
pub(super) fn speaks_topchat(tls: &SslRef) -> bool {
    tls.selected_alpn_protocol() == Some(ALPN.as_bytes())
}

/// Whether the client speaks the version before this one, and nothing newer.
pub(super) fn is_outdated(tls: &SslRef) -> bool {
    tls.selected_alpn_protocol() == Some(ALPN_OUTDATED.as_bytes())
}

/// The channel binding of RFC 9266, section 2: unique to this connection, known to both ends, never sent.
pub(super) fn exporter(tls: &SslRef) -> Result<[u8; 32], TransportError> {
    let mut value = [0; 32];
    tls.export_keying_material(&mut value, "EXPORTER-Channel-Binding", Some(b""))
        .map_err(|stack| TransportError::from_stack(&stack))?;
    Ok(value)
}

fn session(context: &SslContext) -> Result<Ssl, TransportError> {
    Ssl::new(context).map_err(|stack| TransportError::from_stack(&stack))
}

fn builder(method: SslMethod) -> Result<SslContextBuilder, TransportError> {
    let mut builder = SslContextBuilder::new(method).map_err(|stack| TransportError::from_stack(&stack))?;
    configure(&mut builder).map_err(|stack| TransportError::from_stack(&stack))?;
    if let Some(file) = key_log() {
        builder.set_keylog_callback(|_, line| log_key(file, line));
    }
    Ok(builder)
}

fn configure(builder: &mut SslContextBuilder) -> Result<(), openssl::error::ErrorStack> {
    // openssl.cnf may have set each of the following for every program of the machine: here it is what the protocol says.
    builder.clear_options(SslOptions::NO_TLSV1_3);
    builder.set_max_proto_version(Some(SslVersion::TLS1_3))?;
    builder.set_min_proto_version(Some(SslVersion::TLS1_3))?;
    builder.set_security_level(SECURITY_LEVEL);
    builder.set_sigalgs_list(SIGNATURES)?;
    set_groups(builder)?;
    // Trust comes from the pinned key, which the client compares before a byte of login leaves; the handshake itself proves that
    // the other side holds that key. A server asks for no certificate.
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_COMPRESSION | SslOptions::CIPHER_SERVER_PREFERENCE);
    builder.set_ciphersuites(CIPHERSUITES)?;
    builder.set_num_tickets(0)?;
    builder.set_max_early_data(0)?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // Partial and moved writes: what TLS did not take yet may be joined with what comes next.
    builder.set_mode(SslMode::ENABLE_PARTIAL_WRITE | SslMode::ACCEPT_MOVING_WRITE_BUFFER | SslMode::RELEASE_BUFFERS);
    // One system call brings many records.
    builder.set_read_ahead(true);
    Ok(())
}

/// The first of the lists of groups that this OpenSSL has.
fn set_groups(builder: &mut SslContextBuilder) -> Result<(), openssl::error::ErrorStack> {
    let [better @ .., last] = GROUPS;
    match better.iter().any(|groups| builder.set_groups_list(groups).is_ok()) {
        true => Ok(()),
        false => builder.set_groups_list(last),
    }
}

fn spki_fingerprint(certificate: &X509) -> Result<Fingerprint, openssl::error::ErrorStack> {
    let spki = certificate.public_key()?.public_key_to_der()?;
    let digest = openssl::hash::hash(MessageDigest::sha256(), &spki)?;
    Ok(Fingerprint(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")))
}

/// `SSLKEYLOGFILE`: lets the owner of this end look at the protocol in Wireshark. Opened once; without it everything goes on.
fn key_log() -> Option<&'static Mutex<File>> {
    static FILE: OnceLock<Option<Mutex<File>>> = OnceLock::new();
    let opened = FILE.get_or_init(|| {
        let path = key_log_path()?;
        match open_key_log(&path) {
            Ok(file) => {
                log::warn!("SSLKEYLOGFILE is set: whoever reads that file can read this connection");
                Some(Mutex::new(file))
            }
            Err(error) => {
                log::warn!(
                    "SSLKEYLOGFILE names {}, which can't be written: {error}; no keys are logged",
                    path.display()
                );
                None
            }
        }
    });
    opened.as_ref()
}

/// What `SSLKEYLOGFILE` names, and whether it can be written.
pub fn check_key_log() -> Option<(PathBuf, io::Result<()>)> {
    let path = key_log_path()?;
    let opened = open_key_log(&path).map(drop);
    Some((path, opened))
}

fn key_log_path() -> Option<PathBuf> {
    std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// Waits for nobody: a named pipe that nobody reads is refused, and one that is read too slowly loses lines.
fn open_key_log(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open(2) are an int");
    OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(path)
}

fn log_key(file: &Mutex<File>, line: &str) {
    let mut file = lock(file);
    // In one piece: a pipe takes all of it or nothing (pipe(7)).
    if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
        log::warn!("SSLKEYLOGFILE: {error}");
    }
}

/// A whole handshake of these settings with themselves, on a socket pair: what openssl.cnf forbids shows here, and is not taken for a
/// fault of the other side or of a file.
pub fn check_handshake(certificate_pem: &[u8], key_pem: &[u8]) -> Result<(), TransportError> {
    let (near, far) = UnixStream::pair().map_err(TransportError::io("making a pair of sockets"))?;
    for end in [&near, &far] {
        end.set_nonblocking(true).map_err(TransportError::io("preparing the socket"))?;
    }
    let (client, server) = (ClientTls::new()?, ServerTls::new(certificate_pem, key_pem)?);
    let stream = |session, end| SslStream::new(session, end).map_err(|stack| TransportError::from_stack(&stack));
    let (mut client, mut server) = (stream(client.session()?, near)?, stream(server.session()?, far)?);
    for _ in 0..FLIGHTS_MAX {
        let (connected, accepted) = (is_done(client.connect())?, is_done(server.accept())?);
        if connected && accepted {
            return Ok(());
        }
    }
    Err(TransportError::Tls { reason: "the handshake does not end".to_owned() })
}

fn is_done(step: Result<(), openssl::ssl::Error>) -> Result<bool, TransportError> {
    match step {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.code(), ErrorCode::WANT_READ | ErrorCode::WANT_WRITE) => Ok(false),
        Err(error) => Err(TransportError::from_ssl(error)),
    }
}

/// All that RFC 8446, appendix B.4 recommends, first the one that every implementation has and that takes the least time: every
/// byte to every recipient is encrypted anew.
const CIPHERSUITES: &str = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/// 112 bits, OpenSSL's own default since 3.2: all that is set here has more (SSL_CTX_set_security_level(3)).
const SECURITY_LEVEL: u32 = 2;

/// What a server's key may sign the handshake with: ECDSA over P-256, which every server makes for itself, and what an owner may have
/// put in its place.
const SIGNATURES: &str = "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:\
                          rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512";

/// More turns than a handshake takes, with a second hello in it.
const FLIGHTS_MAX: usize = 16;

/// Key exchange, the best first: what OpenSSL 3.5 and later do by themselves, a hybrid with ML-KEM among it; what all others do; what a
/// library without Curve25519 does.
const GROUPS: [&str; 3] = ["DEFAULT", "X25519:P-256:X448:P-384:P-521", "P-256:P-384:P-521"];

/// The protocol's name behind its length (RFC 7301, section 3.1).
const ALPN_LIST: &[u8] = b"\x09topchat/2";
const ALPN_OUTDATED_LIST: &[u8] = b"\x09topchat/1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_hold_the_protocol_names() {
        assert_eq!(ALPN_LIST.split_first(), Some((&9, ALPN.as_bytes())));
        assert_eq!(ALPN_OUTDATED_LIST.split_first(), Some((&9, ALPN_OUTDATED.as_bytes())));
    }
}
