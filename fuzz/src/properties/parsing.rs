//! Bytes and texts of strangers: whatever is accepted has one encoding, and nothing is believed that is not there.

use topchat::crypto::bundle;
use topchat::crypto::curve::{SealingKey, VerifyingKey};
use topchat::crypto::keys::PublicKey;
use topchat::limits::{
    FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, NAME_MAX, PROXY_HEADER_MAX, RSA_BITS_MAX, RSA_BITS_MIN, SPKI_MAX,
};
use topchat::names::{Recipient, UserName};
use topchat::text::{visible, visible_lines};
use topchat::wire::forwarded::{self, Forwarded};
use topchat::wire::frame::{self, FrameBuffer};
use topchat::wire::{Bundle, Envelope, Fingerprint, ToClient, ToServer};

use super::Choices;
use crate::support::people::{ALICE, BOB};

/// Frames of both directions: what decodes encodes to the same bytes, and the frames of a stream don't depend on how it
/// is cut into reads.
pub fn frame_decode(data: &[u8]) {
    let Some((pieces, stream)) = data.split_first() else { return };
    one_frame(stream);
    let limit = if pieces & 1 == 0 { FRAME_MAX } else { FRAME_MAX_BEFORE_LOGIN };
    let whole = frames(stream, stream.len().max(1), limit);
    assert_eq!(frames(stream, usize::from(pieces >> 1) + 1, limit), whole, "frames depend on the reads");
    for (kind, body) in whole.0 {
        assert!(body.len() < limit);
        one_frame(&[&[kind][..], &body].concat());
    }
}

fn one_frame(bytes: &[u8]) {
    let Some((kind, body)) = bytes.split_first() else { return };
    let encoded = || frame::encode(*kind, body);
    if let Ok(message) = ToServer::decode(*kind, body) {
        assert_eq!(message.encode(), encoded(), "{message:?}");
    }
    if let Ok(message) = ToClient::decode(*kind, body) {
        assert_eq!(message.encode(), encoded(), "{message:?}");
    }
}

/// The whole frames of a stream that comes in pieces, and whether it ended by an error.
fn frames(stream: &[u8], piece: usize, limit: usize) -> (Vec<(u8, Vec<u8>)>, bool) {
    let (mut buffer, mut found) = (FrameBuffer::default(), Vec::new());
    for piece in stream.chunks(piece) {
        let room = buffer.room(piece.len());
        room.iter_mut().zip(piece).for_each(|(to, from)| *to = *from);
        buffer.filled(piece.len());
        loop {
            match buffer.next_frame(limit) {
                Ok(Some((kind, body))) => found.push((kind, body.to_vec())),
                Ok(None) => break,
                Err(_) => return (found, true),
            }
        }
    }
    (found, false)
}

/// A proxy's header: what is read of it does not depend on how it comes, and never more than what is missing is asked for.
pub fn forwarded_parse(data: &[u8]) {
    let mut taken = 0;
    let read = loop {
        match forwarded::read(data.get(..taken).unwrap_or_default()) {
            Ok(Forwarded::Missing(missing)) if taken + missing <= data.len() => {
                assert!(missing > 0, "a header that asks for nothing never ends");
                taken += missing;
            }
            read => break read,
        }
    };
    assert!(taken <= 16 + PROXY_HEADER_MAX);
    if let Ok(Forwarded::FromV4(_) | Forwarded::FromV6(_) | Forwarded::ByItself) = read {
        // One more byte would be TLS's, and one less is not enough.
        let length = data.get(14..16).map_or(0, |length| usize::from(length[0]) << 8 | usize::from(length[1]));
        assert_eq!(taken, 16 + length);
        (0..taken).for_each(|cut| assert!(matches!(forwarded::read(&data[..cut]), Ok(Forwarded::Missing(_))), "{cut}"));
    }
}

/// What parses is encoded to the same bytes, and a look at its header finds the same header.
pub fn envelope_parse(data: &[u8]) {
    let parsed = Envelope::parse(data);
    assert_eq!(Envelope::check(data), parsed.clone().map(|envelope| envelope.header));
    let Ok(envelope) = parsed else { return };
    assert_eq!(envelope.encode(), data);
    assert_eq!(Envelope::peek(data).as_ref(), Ok(&envelope.header));
    assert_eq!(envelope.header.encode(), envelope.header_bytes);
    assert!(envelope.header.seq > envelope.header.prev);
}

/// Bundles and the keys in them: one encoding, sizes within bounds, and a signature that holds for the genuine bytes only.
pub fn bundle_parse(data: &[u8]) {
    public_key(data);
    curve_keys(data);
    if let Ok(bundle) = Bundle::parse(data) {
        assert_eq!(bundle.encode(), data);
        public_key(&bundle.identity);
        public_key(&bundle.encryption);
        [&bundle.ed25519, &bundle.x25519].into_iter().for_each(|key| curve_keys(key));
        bundle.former.iter().for_each(|former| curve_keys(&former.key));
    }
    let mut choices = Choices::new(data);
    let genuine = if choices.byte() & 1 == 0 { GENUINE.0.as_slice() } else { GENUINE.1.as_slice() };
    let mut bytes = genuine.to_vec();
    choices.change(&mut bytes);
    match bundle::verify(&bytes) {
        Ok(_) => assert!(bytes == GENUINE.0 || bytes == GENUINE.1, "a changed bundle was accepted"),
        Err(_) => assert_ne!(bytes, genuine),
    }
}

static GENUINE: std::sync::LazyLock<(Vec<u8>, Vec<u8>)> = std::sync::LazyLock::new(|| (ALICE.bundle(), BOB.bundle()));

fn public_key(der: &[u8]) {
    let Ok(key) = PublicKey::from_der(der) else { return };
    assert_eq!(key.to_der(), der);
    assert!((RSA_BITS_MIN..=RSA_BITS_MAX).contains(&key.bits()) && der.len() <= SPKI_MAX);
}

/// Keys of the modern suites have one encoding, and none is of both kinds.
fn curve_keys(der: &[u8]) {
    let (signs, opens) = (VerifyingKey::from_der(der), SealingKey::from_der(der));
    assert!(signs.is_err() || opens.is_err());
    signs.iter().for_each(|key| assert_eq!(key.to_der(), der));
    opens.iter().for_each(|key| assert_eq!(key.to_der(), der));
}

/// Nothing that a terminal obeys, hides or turns around comes out, and what came out stays as it is.
pub fn sanitize(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let shown = visible(&text);
    assert!(!shown.chars().any(is_dangerous), "{shown:?}");
    assert_eq!(visible(&shown), shown);
    for line in visible_lines(&text) {
        assert!(!line.chars().any(is_dangerous), "{line:?}");
        assert_eq!(visible(&line), line);
    }
}

/// As hostile.md lists them, and written apart from `text.rs`: controls, C1, bidirectional ones, line and paragraph separators.
pub(super) fn is_dangerous(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2060}'..='\u{2069}').contains(&c)
        || ('\u{e0000}'..='\u{e007f}').contains(&c)
}

/// A name is `[a-z][a-z0-9_-]{0,31}` and not `all`; it is spelt in one way.
pub fn name_canonical(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = text.parse::<UserName>();
    assert_eq!(parsed.is_ok(), is_name(&text), "{text:?}");
    match &parsed {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert_eq!(visible(&text), text);
        }
        Err(error) => assert!(!error.to_string().chars().any(is_dangerous), "{error:?}"),
    }
    match text.parse::<Recipient>() {
        Ok(Recipient::All) => assert_eq!(text, "ALL"),
        Ok(Recipient::User(name)) => assert_eq!(Some(name), parsed.ok()),
        Err(_) => assert!(parsed.is_err()),
    }
    if let Some(fingerprint) = Fingerprint::from_hex(&text) {
        assert_eq!(Fingerprint::from_hex(&fingerprint.grouped()), Some(fingerprint));
    }
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase())
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-')
        && text.len() <= NAME_MAX
        && text != "all"
}
