//! The server's session: any frames in any order get the answer that the table of states promises, and never stop the server.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use topchat::server::Settings;
use topchat::server::net::throttle::Slowness;
use topchat::wire::to_client::Reason;
use topchat::wire::to_server::{Mode, Scope};
use topchat::wire::{Code, DeliveryId, Fingerprint, ToClient, ToServer};

use super::Choices;
use crate::support::people::{ALICE, BOB, CAROL, VERIFIER};
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// For guests, who fail to log in; and for members.
static SERVER: LazyLock<TestServer> = LazyLock::new(server);
static SERVER_OF_MEMBERS: LazyLock<TestServer> = LazyLock::new(server);

fn server() -> TestServer {
    let server =
        TestServer::with(Settings { max_clients: 64, rate: 0, slowness: Slowness::NONE, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    server
}

/// How far the connection has come, as the test believes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Guest,
    Challenged,
}

/// Frames of a guest or a member: the first byte says which.
pub fn state_machine(data: &[u8]) {
    let mut choices = Choices::new(data);
    match choices.byte() & 1 {
        0 => guest(&mut choices),
        _ => member(&mut choices),
    }
    assert_eq!(
        RawClient::connect(SERVER.address).ask(&ToServer::Ping { token: 5 }),
        ToClient::Pong { token: 5 },
        "the server is gone"
    );
}

/// Frames of a guest on a new connection: good ones, changed ones, and pieces of both. Every frame is answered as
/// `docs/PROTOCOL.md` says, section 2.2, and somebody else is served all the while.
fn guest(choices: &mut Choices<'_>) {
    let mut client = RawClient::connect(SERVER.address);
    let (mut state, mut registered, mut failed) = (State::Guest, false, 0);
    for step in 0..24 {
        if choices.is_empty() {
            break;
        }
        let frame = frame(choices, &client);
        let changed = if choices.byte() & 7 == 0 { changed(&frame, choices) } else { None };
        if let Some(bytes) = changed {
            // It may mean anything; what follows is of no meaning then, but for the server's health. Read until the end
            // the server would wait for its client to leave first.
            client.send_bytes(&bytes);
            client.send(&ToServer::Ping { token: LAST });
            while client.try_next().is_ok_and(|frame| !is_last(&frame)) {}
            break;
        }
        client.send(&frame);
        if matches!(frame, ToServer::Bye) {
            break;
        }
        let expected = expected(&frame, state, registered);
        if expected != Expected::Nothing {
            let answer = client.next();
            assert!(expected.is(&answer), "{frame:?} in {state:?} (step {step}) was answered by {answer:?}");
            (state, failed) = after(state, &frame, &answer, failed);
            registered |= matches!((&frame, &answer), (ToServer::Register { .. }, ToClient::Error { .. }))
                && !matches!(expected, Expected::Code(Code::NotNow));
        }
        if failed == 3 {
            assert_eq!(client.next(), ToClient::Bye(Reason::new(Code::LoginRefused)));
            break;
        }
    }
}

/// Frames of a member, on a connection that is kept from input to input: a login costs its client half a second.
fn member(choices: &mut Choices<'_>) {
    static MEMBER: Mutex<Option<RawClient>> = Mutex::new(None);
    let mut kept = MEMBER.lock().unwrap_or_else(PoisonError::into_inner);
    let mut client = kept.take().unwrap_or_else(newcomer);
    for step in 0..24 {
        if choices.is_empty() {
            break;
        }
        let frame = frame(choices, &client);
        let changed = if choices.byte() == 0xff { changed(&frame, choices) } else { None };
        if let Some(bytes) = changed {
            client.send_bytes(&bytes);
            client.send(&ToServer::Ping { token: LAST });
            // Whatever it meant, it was answered in some way, and the server goes on.
            while client.try_next().is_ok_and(|frame| !is_last(&frame)) {}
            return;
        }
        if matches!(frame, ToServer::Bye | ToServer::DeleteAccount { .. }) {
            continue;
        }
        client.send(&frame);
        if matches!(frame, ToServer::Pong { .. }) {
            continue;
        }
        let answer = client.next();
        assert!(is_answer(&frame, &answer), "{frame:?} of a member (step {step}) was answered by {answer:?}");
    }
    client.expect_nothing();
    *kept = Some(client);
}

/// An account of its own: a changed frame may have changed the last one's password, or deleted it.
fn newcomer() -> RawClient {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("member-{}", COUNT.fetch_add(1, Ordering::Relaxed)).parse().unwrap();
    RawClient::member_as(SERVER_OF_MEMBERS.address, &BOB, &name, Mode::Errand)
}

/// Whether this may be the answer to a member's frame.
fn is_answer(frame: &ToServer, answer: &ToClient) -> bool {
    let refused = |request: u32, codes: &[Code]| match answer {
        ToClient::Error { request: answered, reason } => {
            *answered == request && reason.code.is_some_and(|code| codes.contains(&code))
        }
        _ => false,
    };
    match frame {
        ToServer::Ack(_) => refused(0, &[Code::BadAck]),
        ToServer::List { request, .. } => {
            matches!(answer, ToClient::Page { request: answered, .. } if answered == request)
        }
        ToServer::Lookup { request, .. } => refused(*request, &[Code::NoSuchUser, Code::NoSuchKey]),
        ToServer::Ping { token } => *answer == ToClient::Pong { token: *token },
        ToServer::SetPassword { request, .. } => *answer == ToClient::Done { request: *request },
        ToServer::Send { .. } => {
            matches!(answer, ToClient::Refused { reason, .. } if reason.code == Some(Code::NotYours))
        }
        ToServer::UpdateKeys { request, .. } => refused(*request, &[Code::BadName, Code::BadSignature, Code::NotYours]),
        _ => refused(0, &[Code::NotNow]),
    }
}

/// The frame with changes, its length true: else the server would wait for the rest.
fn changed(frame: &ToServer, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
    let mut bytes = frame.encode();
    choices.change(&mut bytes);
    let length = u32::try_from(bytes.len().saturating_sub(4)).unwrap().to_be_bytes();
    bytes.resize(bytes.len().max(4), 0);
    bytes.iter_mut().zip(length).for_each(|(to, from)| *to = from);
    (bytes != frame.encode()).then_some(bytes)
}

fn is_last(frame: &ToClient) -> bool {
    matches!(frame, ToClient::Bye(_) | ToClient::Pong { token: LAST })
}

/// No other ping has it.
const LAST: u64 = u64::MAX;

/// What the next frame has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Challenge,
    Code(Code),
    Nothing,
    Pong(u64),
    /// By a code other than that for a wrong state.
    Refusal,
}

impl Expected {
    fn is(self, answer: &ToClient) -> bool {
        let code = match answer {
            ToClient::Error { reason, .. } => reason.code,
            _ => None,
        };
        match self {
            Self::Challenge => matches!(answer, ToClient::Challenge { .. }),
            Self::Code(expected) => code == Some(expected),
            Self::Nothing => false,
            Self::Pong(token) => *answer == ToClient::Pong { token },
            Self::Refusal => code.is_some_and(|code| code != Code::NotNow),
        }
    }
}

fn expected(frame: &ToServer, state: State, registered: bool) -> Expected {
    match (frame, state) {
        (ToServer::Ping { token }, _) => Expected::Pong(*token),
        (ToServer::Pong { .. }, _) => Expected::Nothing,
        (ToServer::LoginStart { .. }, State::Guest) => Expected::Challenge,
        (ToServer::LoginProof { .. }, State::Challenged) => Expected::Refusal,
        (ToServer::Register { .. }, State::Guest) if !registered => Expected::Refusal,
        _ => Expected::Code(Code::NotNow),
    }
}

fn after(state: State, frame: &ToServer, answer: &ToClient, failed: u32) -> (State, u32) {
    match (frame, answer) {
        (_, ToClient::Challenge { .. }) => (State::Challenged, failed),
        (ToServer::LoginProof { .. }, ToClient::Error { reason, .. }) if state == State::Challenged => {
            (State::Guest, failed + u32::from(reason.code == Some(Code::LoginRefused)))
        }
        _ => (state, failed),
    }
}

/// One frame; none that could succeed in changing anything, so that the server stays the same from input to input.
fn frame(choices: &mut Choices<'_>, client: &RawClient) -> ToServer {
    let request = u32::from(choices.byte());
    match choices.byte() % 15 {
        0 => ToServer::Ack(DeliveryId { epoch: request.into(), number: choices.byte().into() }),
        1 => ToServer::Bye,
        2 => ToServer::DeleteAccount { request },
        3 => ToServer::List { request, scope: Scope::All, after: Some(BOB.name.clone()) },
        4 => ToServer::LoginProof { client_final: client_final(choices), signature: vec![7; 256] },
        5..=7 => {
            let which = choices.byte();
            let name = if which & 1 == 0 { BOB.name.clone() } else { "nobody".parse().unwrap() };
            let client_first = format!("p=tls-exporter,,n={name},r=nonce{request}");
            match which & 2 {
                0 => ToServer::LoginStart { mode: Mode::Errand, client_first, signature: vec![7; 256] },
                _ => client.login_start(&BOB, &name, Mode::Errand, &client_first),
            }
        }
        8 => ToServer::Lookup { request, name: CAROL.name.clone(), fingerprint: Some(Fingerprint([1; 32])) },
        9 => ToServer::Ping { token: request.into() },
        10 => ToServer::Pong { token: request.into() },
        // Another one's proof.
        11 => match client.registration(&CAROL, &ALICE.name) {
            ToServer::Register { bundle, verifier, invite, .. } => {
                ToServer::Register { bundle, verifier, invite, proof: vec![9; 256] }
            }
            other => other,
        },
        12 => ToServer::Send { envelope: ALICE.seal_to_all("hi", 1).encode() },
        13 => ToServer::SetPassword { request, verifier: VERIFIER.clone() },
        _ => {
            let (bundle, proof) = (CAROL.bundle_as(&BOB.name), vec![8; 256]);
            ToServer::UpdateKeys { request, bundle, handover: vec![8; 256], proof }
        }
    }
}

fn client_final(choices: &mut Choices<'_>) -> String {
    let text = String::from_utf8_lossy(choices.bytes(40)).into_owned();
    match choices.byte() % 3 {
        0 => text.chars().take(300).collect(),
        1 => format!("c={text},r=nonce,p=AAAA"),
        _ => format!("c=biws,r={text},p={}", data_encoding::BASE64.encode(&[0; 32])),
    }
}
