//! What a lying server, or a peer in league with it, makes of messages.

use topchat::crypto::digest::sha256;
use topchat::crypto::envelope;
use topchat::names::UserName;
use topchat::wire::{Envelope, Fingerprint, Header, Suite, signed};

use crate::cli::home::Home;
use crate::support::people::{ALICE, BOB, GROUP, Person};

/// A message of Bob's to Alice with this plaintext under a signature that holds, sealed by the openssl command.
pub fn by_hand(home: &Home, header: Header, plaintext: &[u8]) -> Envelope {
    home.file("plain.bin", plaintext);
    let ciphertext = match header.suite {
        Suite::Direct => {
            home.file("to.pem", ALICE.encryption.public().to_pem().as_bytes());
            home.openssl("pkeyutl -encrypt -pubin -inkey to.pem -pkeyopt rsa_padding_mode:pkcs1 -in plain.bin")
        }
        Suite::DirectModern | Suite::GroupModern => panic!("no text is sealed by hand in {:?}", header.suite),
        Suite::GroupCbc | Suite::GroupEcb => {
            let text = GROUP.to_text();
            let key = text.lines().last().and_then(|entry| entry.split(' ').nth(1)).unwrap().repeat(3);
            let iv = [7; 8];
            let hex = data_encoding::HEXLOWER.encode(&iv);
            let body = home.openssl(&format!("enc -des-ede3-cbc -K {key} -iv {hex} -in plain.bin"));
            [&iv[..], &body].concat()
        }
    };
    let commitment = sha256(&signed::commitment(&header.encode(), plaintext));
    signed_by_bob(header, commitment, ciphertext)
}

pub fn signed_by_bob(header: Header, commitment: [u8; 32], ciphertext: Vec<u8>) -> Envelope {
    let header_bytes = header.encode();
    let signature = BOB.identity.sign(&signed::envelope(&header_bytes, &commitment, &ciphertext)).unwrap();
    Envelope { header, header_bytes, commitment, ciphertext, signature }
}

pub fn header(to: &str, id: u8) -> Header {
    let fingerprint = match to {
        "ALL" => envelope::group_fingerprint(&GROUP.writer().id),
        _ => ALICE.encryption.public().fingerprint(),
    };
    BOB.header(to, fingerprint, id)
}

pub fn text(bytes: &[u8]) -> Vec<u8> {
    [&[9; 16], &b"\x01"[..], bytes].concat()
}

/// With other fields in the header, under the signature that there is.
pub fn relabelled(envelope: &Envelope, change: impl FnOnce(&mut Header)) -> Envelope {
    let mut header = envelope.header.clone();
    change(&mut header);
    Envelope { header_bytes: header.encode(), header, ..envelope.clone() }
}

/// In another's name and fingerprint.
pub fn attributed_to(envelope: &Envelope, name: &UserName, fingerprint: Fingerprint) -> Envelope {
    relabelled(envelope, |header| (header.sender, header.sender_fp) = (name.clone(), fingerprint))
}

/// Signed by `person`, whatever the header says.
pub fn signed_by(person: &Person, envelope: Envelope) -> Envelope {
    let signature = person.identity.sign(&envelope.signed_bytes()).unwrap();
    Envelope { signature, ..envelope }
}

/// Surreptitious forwarding: the plaintext of a message, which its recipient knows, sealed anew for Alice, commitment and
/// signature kept (T27). `P` has to fit one block.
pub fn resealed_for_alice(home: &Home, envelope: &Envelope, recipient: &Person) -> Envelope {
    let pem = recipient.encryption.to_pem(b"x").unwrap();
    home.file("from.pem", pem.as_bytes());
    home.file("sealed.bin", &envelope.ciphertext);
    let plaintext =
        home.openssl("pkeyutl -decrypt -inkey from.pem -passin pass:x -pkeyopt rsa_padding_mode:pkcs1 -in sealed.bin");
    home.file("plain.bin", &plaintext);
    home.file("to.pem", ALICE.encryption.public().to_pem().as_bytes());
    let ciphertext =
        home.openssl("pkeyutl -encrypt -pubin -inkey to.pem -pkeyopt rsa_padding_mode:pkcs1 -in plain.bin");
    Envelope { ciphertext, ..envelope.clone() }
}
