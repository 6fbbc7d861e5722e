//! `docs/PROTOCOL.md` is normative, so its examples and tables are read from the page itself and compared with
//! what the program makes and takes.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER};
use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::{Id, PKey};
use openssl::sha::{sha256, sha512};
use openssl::sign::Signer;
use openssl::symm::Cipher;
use topchat::crypto::curve::OpeningKey;
use topchat::crypto::group_key::GroupKeys;
use topchat::crypto::safety::SafetyNumber;
use topchat::crypto::{bundle, envelope};
use topchat::wire::frame::FrameBuffer;
use topchat::wire::to_client::{Admission, Entry, Reason, State};
use topchat::wire::to_server::{Mode, Scope};
use topchat::wire::{
    Bundle, Code, DeliveryId, Envelope, Fingerprint, MessageId, Predecessor, Prefers, Suite, ToClient, ToServer,
    Verifier,
};

const PAGE: &str = include_str!("../docs/PROTOCOL.md");

#[test]
fn every_client_frame_is_encoded_as_on_the_page() {
    assert_eq!(client_frames().iter().map(ToServer::field).collect::<Vec<_>>(), ToServer::NAMES);
    for frame in client_frames() {
        let golden = golden(&format!("ToServer.{}", frame.field()));
        assert_eq!(HEXLOWER.encode(&frame.encode()), HEXLOWER.encode(&golden), "{}", frame.field());
        assert_eq!(decoded(&golden, ToServer::decode), frame);
    }
}

#[test]
fn every_server_frame_is_encoded_as_on_the_page() {
    assert_eq!(server_frames().iter().map(ToClient::field).collect::<Vec<_>>(), ToClient::NAMES);
    for frame in server_frames() {
        let golden = golden(&format!("ToClient.{}", frame.field()));
        assert_eq!(HEXLOWER.encode(&frame.encode()), HEXLOWER.encode(&golden), "{}", frame.field());
        assert_eq!(decoded(&golden, ToClient::decode), frame);
    }
}

#[test]
fn the_page_has_an_example_of_every_frame_and_no_other() {
    let mut expected: Vec<String> = ToServer::NAMES.iter().map(|name| format!("ToServer.{name}")).collect();
    expected.extend(ToClient::NAMES.iter().map(|name| format!("ToClient.{name}")));
    expected.push("Bundle".to_owned());
    let envelopes = ["Direct", "DirectModern", "Group", "GroupEcb", "GroupModern"];
    expected.extend(envelopes.map(|suite| format!("Envelope.{suite}")));
    expected.sort();
    assert_eq!(examples().into_keys().collect::<Vec<_>>(), expected);
}

#[test]
fn every_cut_and_every_extended_frame_is_refused() {
    for (name, golden) in examples() {
        let Some((kind, body)) = golden.get(4..).and_then(<[u8]>::split_first) else { panic!("{name} is no frame") };
        let decodes: fn(u8, &[u8]) -> bool = match name.split_once('.') {
            Some(("ToServer", frame)) if frame != "Send" => |kind, body| ToServer::decode(kind, body).is_ok(),
            Some(("ToClient", frame)) if frame != "Deliver" => |kind, body| ToClient::decode(kind, body).is_ok(),
            _ => continue,
        };
        assert!(decodes(*kind, body), "{name}");
        assert!(!decodes(*kind, &[body, &[0]].concat()), "{name} with a byte too many");
        for length in 0..body.len() {
            assert!(!decodes(*kind, &body[..length]), "{name} cut to {length}");
        }
    }
}

#[test]
fn the_codes_on_the_page_are_the_programs() {
    let rows: Vec<(u16, &str)> = PAGE
        .split_once("## 8. Codes")
        .map(|(_, table)| table.lines().filter_map(code_row).collect())
        .unwrap_or_default();
    let codes: Vec<(u16, String)> = Code::ALL.iter().map(|code| (*code as u16, format!("{code:?}"))).collect();
    let rows: Vec<(u16, String)> = rows.into_iter().map(|(number, name)| (number, name.to_owned())).collect();
    assert_eq!(rows, codes);
}

#[test]
fn the_bundle_on_the_page_is_genuine() {
    let bytes = golden("Bundle");
    let checked = bundle::verify(&bytes).expect("the page says that its signature holds");
    assert_eq!((checked.name.as_str(), checked.number), ("alice", 2));
    assert_eq!((checked.prefers, checked.former[0].retired_ms), (Prefers::Modern, 1_795_000_000_000));
    assert_eq!(Bundle::parse(&bytes).unwrap().encode(), bytes);
}

#[test]
fn the_envelopes_on_the_page_are_genuine() {
    let sender = bundle::verify(&golden("Bundle")).unwrap();
    for (name, suite) in [
        ("Envelope.Group", Suite::GroupCbc),
        ("Envelope.GroupEcb", Suite::GroupEcb),
        ("Envelope.Direct", Suite::Direct),
        ("Envelope.DirectModern", Suite::DirectModern),
        ("Envelope.GroupModern", Suite::GroupModern),
    ] {
        let bytes = golden(name);
        let parsed = Envelope::parse(&bytes).unwrap();
        assert_eq!(parsed.encode(), bytes, "{name}");
        assert_eq!(parsed.header.suite, suite, "{name}");
        assert_eq!((parsed.header.sender_fp, parsed.header.sender_bundle), (sender.identity.fingerprint(), 2));
        let holds = match suite.is_modern() {
            true => envelope::verify_modern(&parsed, &sender.ed25519),
            false => envelope::verify(&parsed, &sender.identity),
        };
        assert!(holds, "{name}");
    }
}

#[test]
fn the_group_envelopes_on_the_page_hold_the_text_that_it_says() {
    let file = "topchat-group-key v1\n000102030405060708090a0b0c0d0e0f 0123456789abcdef\n";
    let keys = GroupKeys::parse(file).unwrap();
    for name in ["Envelope.Group", "Envelope.GroupEcb"] {
        let parsed = Envelope::parse(&golden(name)).unwrap();
        let text = envelope::open(&parsed, envelope::OpenWith::Group(keys.writer())).unwrap();
        assert_eq!(text.as_str(), "hello everybody", "{name}");
    }
    let digits: String = (0..32).map(|byte| format!("{byte:02x}")).collect();
    let file = format!("topchat-group-key v1\n101112131415161718191a1b1c1d1e1f {digits}\n");
    let keys = GroupKeys::parse(&file).unwrap();
    let parsed = Envelope::parse(&golden("Envelope.GroupModern")).unwrap();
    let text = envelope::open(&parsed, envelope::OpenWith::Group(keys.writer())).unwrap();
    assert_eq!(text.as_str(), "hello everybody");
}

#[test]
fn the_modern_direct_envelope_on_the_page_holds_the_text_that_it_says() {
    let secret = HEXLOWER.decode(b"497b4502664cfea5d5af0b39934dac72242a74f8480451e1aee7d6a53320333d").unwrap();
    let key = PKey::private_key_from_raw_bytes(&secret, Id::X25519).unwrap();
    let pem = key.private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"correct horse").unwrap();
    let key = OpeningKey::from_pem(&pem, b"correct horse").unwrap();
    let parsed = Envelope::parse(&golden("Envelope.DirectModern")).unwrap();
    let text = envelope::open(&parsed, envelope::OpenWith::DirectModern(&key)).unwrap();
    assert_eq!(text.as_str(), "hello bob");
}

/// Computed here with OpenSSL's primitives alone: the example serves whoever writes another client.
#[test]
fn the_scram_example_on_the_page_follows_rfc_5802() {
    let lines = scram_example();
    let [salt, exporter] = ["salt", "exporter"].map(|name| HEXLOWER.decode(lines[name].as_bytes()).unwrap());
    let mut salted = [0; 32];
    pbkdf2_hmac(lines["password"].as_bytes(), &salt, 600_000, MessageDigest::sha256(), &mut salted).unwrap();
    let client_key = hmac(&salted, b"Client Key");
    let stored_key = sha256(&client_key);
    let server_key = hmac(&salted, b"Server Key");
    assert_eq!(lines["stored_key"], HEXLOWER.encode(&stored_key));
    assert_eq!(lines["server_key"], HEXLOWER.encode(&server_key));

    let (without_proof, proof) = lines["client_final"].split_once(",p=").unwrap();
    let binding = BASE64.encode(&[b"p=tls-exporter,,".as_slice(), &exporter].concat());
    assert!(without_proof.starts_with(&format!("c={binding},r=")));
    let bare = lines["client_first"].strip_prefix("p=tls-exporter,,").unwrap();
    let auth_message = format!("{bare},{},{without_proof}", lines["server_first"]);
    let signature = hmac(&stored_key, auth_message.as_bytes());
    let expected: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
    assert_eq!(proof, BASE64.encode(&expected));
    let server_signature = hmac(&server_key, auth_message.as_bytes());
    assert_eq!(lines["server_final"], format!("v={}", BASE64.encode(&server_signature)));
}

#[test]
fn the_safety_number_on_the_page_is_computed_as_the_page_says() {
    let lines = block("safety");
    let sides = ["alice", "bob"].map(|name| (name.parse().unwrap(), Fingerprint::from_hex(lines[name]).unwrap()));
    let [(alice, alices), (bob, bobs)] = &sides;
    assert_eq!(SafetyNumber::of((alice, *alices), (bob, *bobs)).grouped(), lines["number"]);
    let half = |name: &str| {
        let fingerprint = HEXLOWER.decode(lines[name].as_bytes()).unwrap();
        let bytes = [b"TopChat-safety-v1\0", &[name.len() as u8][..], name.as_bytes(), &fingerprint].concat();
        let groups: Vec<String> = sha512(&bytes)[..30]
            .chunks(5)
            .map(|group| format!("{:05}", group.iter().fold(0u64, |sum, byte| sum * 256 + u64::from(*byte)) % 100_000))
            .collect();
        groups.join(" ")
    };
    let mut halves = [half("alice"), half("bob")];
    halves.sort();
    assert_eq!(halves.join(" "), lines["number"]);
}

fn client_frames() -> Vec<ToServer> {
    vec![
        ToServer::Register { bundle: vec![0xb0; 4], verifier: verifier(), invite: String::new(), proof: vec![0xf0; 4] },
        ToServer::LoginStart {
            mode: Mode::Receiving,
            client_first: "p=tls-exporter,,n=alice,r=nonce".to_owned(),
            signature: vec![0xf4; 4],
        },
        ToServer::LoginProof { client_final: "c=Yg==,r=nonce,p=cA==".to_owned(), signature: vec![0xf1; 4] },
        ToServer::Send { envelope: vec![0xe0; 4] },
        ToServer::Ack(DELIVERY),
        ToServer::Lookup { request: 7, name: "bob".parse().unwrap(), fingerprint: Some(Fingerprint([0xfb; 32])) },
        ToServer::List { request: 7, scope: Scope::Online, after: Some("alice".parse().unwrap()) },
        ToServer::SetPassword { request: 7, verifier: verifier() },
        ToServer::DeleteAccount { request: 7 },
        ToServer::Ping { token: TOKEN },
        ToServer::Pong { token: TOKEN },
        ToServer::Bye,
        ToServer::UpdateKeys { request: 7, bundle: vec![0xb0; 4], handover: vec![0xf2; 4], proof: vec![0xf3; 4] },
        ToServer::Watch { on: true },
        ToServer::AskPolicy { invite: "7K3M-Q9XT".to_owned() },
        ToServer::Seen { kept: 42 },
    ]
}

fn server_frames() -> Vec<ToClient> {
    vec![
        ToClient::Registered,
        ToClient::Challenge { server_first: "r=nonce,s=c2FsdA==,i=600000".to_owned() },
        ToClient::Welcome {
            server_final: "v=c2ln".to_owned(),
            seats_taken: 2,
            seats: 10,
            bundle: 3,
            kept: 42,
            acknowledged: 41,
        },
        ToClient::Status { msg_id: MessageId([0xa1; 16]), state: State::Delivered, reached: 1, total: 1 },
        ToClient::Refused { msg_id: MessageId([0xa1; 16]), reason: Reason::new(Code::Away) },
        ToClient::Deliver { delivery: DELIVERY, backlog: false, envelope: vec![0xe0; 4] },
        ToClient::Found {
            request: 7,
            bundle: vec![0xb0; 4],
            lineage: vec![Predecessor { identity: vec![0xb1; 4], handover: vec![0xf2; 4] }],
        },
        ToClient::Page { request: 7, more: true, entries: vec![entry("alice", true), entry("bob", false)] },
        ToClient::Done { request: 7 },
        ToClient::Ping { token: TOKEN },
        ToClient::Pong { token: TOKEN },
        ToClient::Error { request: 0, reason: Reason { limit: 10, ..Reason::retry_after(Code::Full, 30) } },
        ToClient::Bye(Reason::new(Code::Replaced)),
        ToClient::Skipped { count: 42 },
        ToClient::Presence { more_came: 3, more_left: 0, entries: vec![entry("carol", true), entry("eve", false)] },
        ToClient::Policy { admission: Admission::Invite },
        ToClient::RegisteredBefore,
    ]
}

fn verifier() -> Verifier {
    Verifier { salt: [0x5a; 16], iterations: 600_000, stored_key: [0x5b; 32], server_key: [0x5c; 32] }
}

fn entry(name: &str, online: bool) -> Entry {
    Entry { name: name.parse().unwrap(), online }
}

fn decoded<T>(frame: &[u8], decode: fn(u8, &[u8]) -> Result<T, topchat::wire::Error>) -> T {
    let mut buffer = FrameBuffer::default();
    buffer.room(frame.len())[..frame.len()].copy_from_slice(frame);
    buffer.filled(frame.len());
    let (kind, body) = buffer.next_frame(16384).unwrap().expect("one whole frame");
    decode(kind, body).unwrap()
}

fn golden(name: &str) -> Vec<u8> {
    examples().remove(name).unwrap_or_else(|| panic!("the page has no example named {name}"))
}

/// Blocks of the form: a fence, `hex NAME`, lines of hex digits, a fence.
fn examples() -> BTreeMap<String, Vec<u8>> {
    PAGE.split("```hex ")
        .skip(1)
        .map(|block| {
            let (name, rest) = block.split_once('\n').expect("a name, then lines");
            let (hex, _) = rest.split_once("```").expect("a closing fence");
            let digits: String = hex.split_whitespace().collect();
            (name.to_owned(), HEXLOWER.decode(digits.as_bytes()).expect("hex digits"))
        })
        .collect()
}

fn scram_example() -> BTreeMap<&'static str, &'static str> {
    block("scram")
}

/// A block of lines, each a name and a value.
fn block(name: &str) -> BTreeMap<&'static str, &'static str> {
    let (_, block) = PAGE.split_once(&format!("```{name}\n")).expect("the page has such an example");
    let (block, _) = block.split_once("```").expect("a closing fence");
    block.lines().filter_map(|line| line.split_once(' ')).collect()
}

fn hmac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let key = PKey::hmac(key).unwrap();
    let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
    signer.sign_oneshot_to_vec(bytes).unwrap()
}

/// `| 5 | Full | … |`
fn code_row(line: &str) -> Option<(u16, &str)> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    Some((cells.next()?.parse().ok()?, cells.next()?))
}

const DELIVERY: DeliveryId = DeliveryId { epoch: 0x0000_019a_b2c3_d4e5, number: 42 };
const TOKEN: u64 = 0x0102_0304_0506_0708;
