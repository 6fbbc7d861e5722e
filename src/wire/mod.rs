//! The protocol as values: bytes in, values out, and back. No input or output, no cryptography.
//!
//! `docs/PROTOCOL.md` is the normative text; its examples are this module's tests.
//! Everything from the network passes through the one strict [`Reader`](reader::Reader).

pub mod bundle;
pub mod code;
pub mod deliver;
pub mod envelope;
pub mod fingerprint;
pub mod forwarded;
pub mod frame;
pub mod reader;
pub mod signed;
mod table;
pub mod to_client;
pub mod to_server;
pub mod writer;

pub use bundle::{Bundle, FormerSigner, Predecessor, Prefers};
pub use code::Code;
pub use envelope::{Envelope, Header, Kind, MessageId, Suite};
pub use fingerprint::Fingerprint;
pub use reader::Error;
pub use to_client::ToClient;
pub use to_server::ToServer;

/// ALPN protocol name of this version.
pub const ALPN: &str = "topchat/2";

/// That of the version before, which a server agrees to only to say that the client must be updated.
pub const ALPN_OUTDATED: &str = "topchat/1";

/// One of a session's deliveries. A message that comes again in another session keeps its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    /// Tells one session from another.
    pub epoch: u64,
    /// Where the message stands in the server's log.
    pub number: u64,
}

impl DeliveryId {
    fn read(reader: &mut reader::Reader<'_>) -> Result<Self, Error> {
        Ok(Self { epoch: reader.u64("epoch")?, number: reader.u64("number")? })
    }

    fn write(self, writer: &mut writer::Writer) {
        writer.u64(self.epoch);
        writer.u64(self.number);
    }
}

/// What a server keeps of a password: SCRAM's verifier (RFC 5802, section 3), never the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    /// Random salt of PBKDF2.
    pub salt: [u8; 16],
    /// PBKDF2 rounds.
    pub iterations: u32,
    /// `H(HMAC(SaltedPassword, "Client Key"))`.
    pub stored_key: [u8; 32],
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; 32],
}

/// Tells the rounds only: the rest helps to guess the password.
impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Verifier {
    fn read(reader: &mut reader::Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            salt: reader.array("salt")?,
            iterations: reader.u32("iterations")?,
            stored_key: reader.array("stored_key")?,
            server_key: reader.array("server_key")?,
        })
    }

    fn write(&self, writer: &mut writer::Writer) {
        writer.bytes(&self.salt);
        writer.u32(self.iterations);
        writer.bytes(&self.stored_key);
        writer.bytes(&self.server_key);
    }
}

/// A count as it stands on the wire.
pub fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
