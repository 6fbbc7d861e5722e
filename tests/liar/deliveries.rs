//! Lies among the messages: what is shown was signed by whom it says, and nobody learns whether a message opened.

use topchat::crypto::envelope::{self, SealWith};
use topchat::crypto::group_key::GroupKeys;
use topchat::wire::{Envelope, Header, ToClient, ToServer, signed};

use super::lies::{by_hand, header, signed_by_bob, text};
use super::server::talk;
use super::stage::{Stage, THE_END, decoded, shown, told};
use crate::cli::home::lightly_locked;
use crate::support::people::{ALICE, BOB, CAROL, GROUP, PASSWORD};
use crate::support::process::private_file;

#[test]
fn from_decryption_on_nothing_is_sent_whether_a_message_opens_or_not() {
    let stage = Stage::new();
    // Bob's key is known from here on, so that both runs begin alike.
    stage.play(&[]);

    let good = |id| BOB.seal_to(&ALICE, "hello", id);
    let mut changed_bit = good(3).ciphertext;
    changed_bit[17] ^= 1;
    let sealed = |to, id, plaintext: &[u8]| by_hand(&stage.home, header(to, id), plaintext);
    let lies = [
        signed_by_bob(header("alice", 1), [0; 32], vec![0x55; 256]),
        // A number over the modulus.
        signed_by_bob(header("alice", 2), [0; 32], vec![0xff; 256]),
        signed_by_bob(header("alice", 3), good(3).commitment, changed_bit),
        // A block too many.
        signed_by_bob(header("alice", 4), good(4).commitment, good(4).ciphertext.repeat(2)),
        // Good text under the commitment to another.
        signed_by_bob(header("alice", 5), [1; 32], good(5).ciphertext),
        // A salt alone, another type of content, no UTF-8.
        sealed("alice", 6, &[9; 16]),
        sealed("alice", 7, &[&[9; 16], &b"\x02hi"[..]].concat()),
        sealed("alice", 8, &text(b"caf\xe9")),
        sealed("ALL", 9, &text(b"caf\xe9")),
        signed_by_bob(header("ALL", 10), [0; 32], vec![0x55; 64]),
    ];
    let truths: Vec<_> = (101..=110).map(|id| good(id).encode()).collect();
    let (opened, finished) = stage.play(&truths);
    assert_eq!(shown(&finished).len(), 11);
    let (not_opened, finished) = stage.play(&lies.map(|lie| lie.encode()));
    assert_eq!(not_opened, opened, "the client talks differently when messages don't open");
    assert_eq!(shown(&finished), [THE_END]);
    let expected = (1..=10).map(|id: u8| format!("a message from bob (#{id:02x}{id:02x}) could not be opened"));
    assert_eq!(told(&finished), expected.collect::<Vec<_>>());
}

#[test]
fn a_changed_byte_in_any_part_is_rejected_and_not_shown() {
    let stage = Stage::new();
    let good = BOB.seal_to(&ALICE, "hello", 3).encode();
    let parsed = Envelope::parse(&good).unwrap();
    let header = parsed.header_bytes.len();
    // The last byte of msg_id, seq, sent_ms, H, C and S; prev is 0 and any other one would break the layout.
    let last_bytes = [header - 25, header - 17, header - 1, header + 31, header + 36 + 255, good.len() - 1];
    let deliveries = last_bytes.map(|position| {
        let mut changed = good.clone();
        changed[position] ^= 4;
        changed
    });
    let (_, finished) = stage.play(&deliveries);
    assert_eq!(shown(&finished), [THE_END]);
    let told = told(&finished);
    assert_eq!(told.len(), deliveries.len(), "{told:?}");
    for line in &told {
        let rejected = "REJECTED a message marked from bob (#";
        let why = "): the signature does not match bob's key. It was not shown.";
        assert!(line.starts_with(rejected) && line.ends_with(why), "{line}");
    }
}

#[test]
fn a_message_is_never_shown_as_from_somebody_else() {
    let stage = Stage::new();
    // Bob's message with Carol's name over it: under his fingerprint, and under hers.
    let bobs = BOB.seal_to(&ALICE, "I owe you", 4);
    let relabelled = |fingerprint| {
        let header = Header { sender: CAROL.name.clone(), sender_fp: fingerprint, ..bobs.header.clone() };
        Envelope { header_bytes: header.encode(), header, ..bobs.clone() }.encode()
    };
    // Carol takes the signature off and signs the rest as her own: the commitment names Bob.
    let resigned = {
        let header = Header {
            sender: CAROL.name.clone(),
            sender_fp: CAROL.identity.public().fingerprint(),
            sender_bundle: 1,
            ..bobs.header.clone()
        };
        let header_bytes = header.encode();
        let bytes = signed::envelope(&header_bytes, &bobs.commitment, &bobs.ciphertext);
        Envelope { signature: CAROL.identity.sign(&bytes).unwrap(), header, header_bytes, ..bobs.clone() }.encode()
    };
    let (_, finished) = stage.play(&[
        CAROL.seal_to(&ALICE, "hi", 5).encode(),
        relabelled(CAROL.identity.public().fingerprint()),
        resigned,
        relabelled(BOB.identity.public().fingerprint()),
    ]);
    assert_eq!(shown(&finished), ["carol > you  hi", THE_END]);
    assert_eq!(
        told(&finished),
        [
            "REJECTED a message marked from carol (#0404): the signature does not match carol's key. It was not shown.",
            "a message from carol (#0404) could not be opened",
            "a message marked from carol (#0404) was not shown: the server gives no key of carol that holds",
        ]
    );
}

#[test]
fn a_copy_is_shown_once_and_noticed() {
    let stage = Stage::new();
    let message = BOB.seal_to(&ALICE, "once", 7).encode();
    let other = BOB.seal_to(&ALICE, "other text under the same id", 7).encode();
    let (_, finished) = stage.play(&[message.clone(), message, other]);
    assert_eq!(shown(&finished), ["bob   > you  once", THE_END]);
    let told = told(&finished);
    assert!(told[0].starts_with("ignored a copy of bob's message #0707 (already received "), "{told:?}");
    assert_eq!(told[1], "REJECTED a message from bob (#0707): that id was used for other text before");
}

/// T25: what was received is known in another run of the client, too.
#[test]
fn a_copy_that_comes_after_a_restart_of_the_client_is_still_a_copy() {
    let stage = Stage::new();
    let message = BOB.seal_to(&ALICE, "once", 7).encode();
    let (_, finished) = stage.play(std::slice::from_ref(&message));
    assert_eq!(shown(&finished), ["bob   > you  once", THE_END]);
    let (_, finished) = stage.play(&vec![message; 100]);
    assert_eq!(shown(&finished), [THE_END]);
    let told = told(&finished);
    assert!(told[0].starts_with("ignored a copy of bob's message #0707 (already received "), "{told:?}");
    assert!(told.len() <= 21, "{told:?}");
}

#[test]
fn junk_under_a_real_messages_id_does_not_hide_it() {
    let stage = Stage::new();
    let real = BOB.seal_to(&ALICE, "the real one", 8);
    let mut unsigned = real.clone();
    unsigned.ciphertext.fill(0x55);
    let signed_junk = signed_by_bob(header("alice", 8), [0; 32], vec![0x55; 256]);
    let (_, finished) = stage.play(&[unsigned.encode(), signed_junk.encode(), real.encode()]);
    assert_eq!(shown(&finished), ["bob   > you  the real one", THE_END]);
    assert_eq!(
        told(&finished),
        [
            "REJECTED a message marked from bob (#0808): the signature does not match bob's key. It was not shown.",
            "a message from bob (#0808) could not be opened",
        ]
    );
}

#[test]
fn what_is_for_somebody_else_or_another_key_is_not_shown() {
    let stage = Stage::new();
    let to_carol = BOB.seal_to(&CAROL, "for carol alone", 9);
    // The server writes Alice's name over Carol's: her name, then her key too.
    let mut renamed = to_carol.header.clone();
    renamed.recipient = "alice".parse().unwrap();
    let renamed = Envelope { header_bytes: renamed.encode(), header: renamed, ..to_carol.clone() };
    let mut rekeyed = renamed.header.clone();
    rekeyed.recipient_fp = ALICE.encryption.public().fingerprint();
    let rekeyed = Envelope { header_bytes: rekeyed.encode(), header: rekeyed, ..to_carol.clone() };
    // A note to herself is for her; one in her name that she did not write is not.
    let own = ALICE.seal_to(&ALICE, "from myself", 10);
    let mut forged = ALICE.seal_to(&ALICE, "not from myself", 11);
    forged.signature = BOB.identity.sign(&forged.signed_bytes()).unwrap();
    let deliveries = [to_carol, renamed, rekeyed, own, forged].map(|envelope| envelope.encode());
    let (_, finished) = stage.play(&deliveries);
    assert_eq!(shown(&finished), ["alice > you  from myself", THE_END]);
    let rejected = |from: &str, id: &str| {
        format!(
            "REJECTED a message marked from {from} (#{id}): the signature does not match {from}'s key. It was not shown."
        )
    };
    let not_for_me =
        |from: &str, id: &str| format!("a message marked from {from} (#{id}) is not for you. It was not shown.");
    assert_eq!(
        told(&finished),
        [not_for_me("bob", "0909"), rejected("bob", "0909"), rejected("bob", "0909"), rejected("alice", "0b0b")]
    );
}

#[test]
fn another_group_key_is_named_after_the_signature_held() {
    let stage = Stage::new();
    let others = GroupKeys::generate().unwrap();
    let key = others.writer();
    let header = BOB.header("ALL", envelope::group_fingerprint(&key.id), 11);
    let sealed = envelope::seal(header, "hi", SealWith::Group(key), &BOB.identity).unwrap();
    let mut unsigned = sealed.clone();
    unsigned.signature[5] ^= 1;
    let (_, finished) = stage.play(&[sealed.encode(), unsigned.encode()]);
    assert_eq!(shown(&finished), [THE_END]);
    assert_eq!(
        told(&finished),
        [
            format!(
                "a message to ALL from bob uses group key {}; yours is {}. Ask bob for the new key file.",
                key.short_id(),
                GROUP.writer().short_id()
            ),
            "REJECTED a message marked from bob (#0b0b): the signature does not match bob's key. It was not shown."
                .to_owned(),
        ]
    );
}

/// Nothing but the acknowledgement is sent because of it; it is kept over restarts, and shown once the key is here.
#[test]
fn a_message_for_a_key_of_ones_own_that_is_elsewhere_waits_until_it_is_here() {
    let stage = Stage::new();
    let elsewhere = &CAROL.encryption;
    let header = BOB.header("alice", elsewhere.public().fingerprint(), 12);
    let sealed = envelope::seal(header, "for the other machine", SealWith::Direct(elsewhere.public()), &BOB.identity);
    let (sent, finished) = stage.play(&[sealed.unwrap().encode()]);
    assert_eq!(sent.len(), 3, "two acknowledgements and a goodbye: {sent:?}");
    assert!(sent[..2].iter().all(|frame| matches!(decoded(frame), ToServer::Ack(_))), "{sent:?}");
    assert_eq!(shown(&finished), [THE_END]);
    let line = format!(
        "a message from bob is sealed for a key ({}) that is not on this machine. It waits here: if another machine of \
         yours has it, topchat keys export there, topchat keys import FILE here, then start again.",
        elsewhere.public().fingerprint().short()
    );
    assert_eq!(told(&finished), std::slice::from_ref(&line));
    let (_, again) = stage.play(&[]);
    assert_eq!((shown(&again), told(&again)), (vec![THE_END.to_owned()], vec![line]));
    let hex = elsewhere.public().fingerprint().to_hex();
    let folder = stage.home.path("keys/users/alice/retired");
    std::fs::create_dir(&folder).unwrap();
    private_file(&folder, &format!("0000000002-{}.pem", &hex[..16]), &lightly_locked(elsewhere, PASSWORD));
    let (_, there) = stage.play(&[]);
    assert_eq!(shown(&there), ["bob   > you  for the other machine", THE_END]);
    assert!(told(&there).is_empty(), "{there:?}");
}

#[test]
fn bytes_that_are_no_message_are_acknowledged_and_told_in_one_line() {
    let stage = Stage::new();
    let good = BOB.seal_to(&ALICE, "hello", 12).encode();
    let mut named = good.clone();
    named[7..10].copy_from_slice(b"\x1b[2");
    let lies = [Vec::new(), b"hello".to_vec(), good[..good.len() - 1].to_vec(), [&good[..], b"\0"].concat(), named];
    let (sent, finished) = stage.play(&lies);
    assert_eq!(shown(&finished), [THE_END]);
    let told = told(&finished);
    assert!(
        told.iter().all(|line| line == "the server passed on bytes that are no message. Nothing was shown."),
        "{told:?}"
    );
    assert_eq!(told.len(), lies.len());
    let acks = sent.iter().filter(|frame| matches!(decoded(frame), ToServer::Ack(_))).count();
    assert_eq!(acks, lies.len() + 1);
}

#[test]
fn no_text_reaches_the_terminal_raw() {
    let stage = Stage::new();
    let text = "a\u{1b}[2J\u{9b}31m\u{202e}\u{2066}\u{7}\u{8}\u{7f}\r12:00 carol > you  I owe you\nsecond\u{2028}line\u{85}\u{e0041}";
    let (_, finished) = stage.play(&[BOB.seal_to(&ALICE, text, 13).encode()]);
    let allowed =
        |c: char| c == '\n' || !c.is_control() && !matches!(c, '\u{202e}' | '\u{2066}' | '\u{2028}' | '\u{e0041}');
    for stream in [&finished.stdout, &finished.stderr] {
        assert!(stream.chars().all(allowed), "{stream:?}");
    }
    let lines: Vec<_> = finished.stdout.lines().collect();
    assert!(
        lines[1].contains("bob   > you  a^[[2J<U+009B>31m<U+202E><U+2066>^G^H^?^M12:00 carol > you  I owe you"),
        "{lines:?}"
    );
    assert_eq!(lines[2], "               | second<U+2028>line<U+0085><U+E0041>");
}

#[test]
fn an_oracles_questions_are_told_twenty_times_and_no_more() {
    let stage = Stage::new();
    let lies: Vec<_> =
        (0..30).map(|id| signed_by_bob(header("alice", 100 + id), [0; 32], vec![0x55; 256]).encode()).collect();
    let (sent, finished) = stage.play(&lies);
    let told = told(&finished);
    assert_eq!(told.len(), 21, "{told:?}");
    assert_eq!(told[20], "further lines about messages marked from bob are held back for an hour: there are too many");
    assert_eq!(shown(&finished), [THE_END]);
    assert!(talk(&sent).is_empty(), "{sent:?}");
}

#[test]
fn a_key_that_the_server_does_not_give_leaves_the_message_unshown() {
    let stage = Stage::new();
    for bundle in [CAROL.bundle(), CAROL.bundle_as(&BOB.name), b"junk".to_vec()] {
        let (mut line, listening) = stage.listen();
        line.deliver(BOB.seal_to(&ALICE, "hello", 14).encode());
        let ToServer::Ack(_) = line.take() else { panic!("no Ack") };
        let ToServer::Lookup { request, fingerprint, .. } = line.take() else { panic!("no Lookup") };
        assert_eq!(fingerprint, Some(BOB.identity.public().fingerprint()));
        line.send(&ToClient::Found { request, bundle, lineage: Vec::new() });
        line.end();
        let finished = listening.finish();
        assert_eq!(shown(&finished), [""; 0]);
        assert_eq!(
            told(&finished),
            ["a message marked from bob (#0e0e) was not shown: the server gives no key of bob that holds"]
        );
    }
}
