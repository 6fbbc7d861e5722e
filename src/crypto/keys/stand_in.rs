//! What stands in for RSA in a simulation, whose subject is what becomes of messages: it proves and hides nothing.

use super::PublicKey;
use crate::crypto::digest::sha256;
use crate::machine::world;

/// Whether this thread is in a world that wants it.
pub(in crate::crypto) fn is_wanted() -> bool {
    world::ask(|world| world.stands_in_for_rsa()).unwrap_or(false)
}

/// As long as a signature: a digest of key and message.
pub(in crate::crypto) fn sign(key: &PublicKey, message: &[u8]) -> Vec<u8> {
    let digest = sha256(&[&key.fingerprint().0[..], &sha256(message)].concat());
    digest.iter().copied().cycle().take(key.bits().div_ceil(8) as usize).collect()
}

/// One block of `size` bytes: the chunk's length, the chunk, zeros.
pub(in crate::crypto) fn seal(chunk: &[u8], size: usize) -> Vec<u8> {
    let mut block = vec![0; size];
    block[..2].copy_from_slice(&(chunk.len() as u16).to_be_bytes());
    block[2..][..chunk.len()].copy_from_slice(chunk);
    block
}

/// The length of the chunk that comes out.
pub(in crate::crypto) fn open(block: &[u8], chunk: &mut [u8]) -> usize {
    let length = usize::from(u16::from_be_bytes([block[0], block[1]]));
    match block.get(2..2 + length) {
        Some(sealed) => {
            chunk[..length].copy_from_slice(sealed);
            length
        }
        None => 0,
    }
}
