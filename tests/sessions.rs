//! The server over real sockets: registration, login, seats, states.

use std::sync::Arc;

use topchat::crypto::scram;
use topchat::names::UserName;
use topchat::server::accounts::{Accounts, Invite, InviteCode, Ledger};
use topchat::server::clock::RunClock;
use topchat::server::net::surroundings::Surroundings;
use topchat::server::{Registration, Settings, Why};
use topchat::storage::folder::LockedFolder;
use topchat::wire::to_client::{Admission, Entry, Reason, State, ToClient};
use topchat::wire::to_server::{Mode, Scope, ToServer};
use topchat::wire::{Code, DeliveryId, MessageId};

use crate::support::people::{ALICE, BOB, CAROL, Person, VERIFIER, password};
use crate::support::raw::{RawClient, error_code};
use crate::support::server::TestServer;

fn name(text: &str) -> UserName {
    text.parse().unwrap()
}

fn status(id: u8, state: State, reached: u32, total: u32) -> ToClient {
    ToClient::Status { msg_id: MessageId([id; 16]), state, reached, total }
}

#[test]
fn a_direct_message_arrives_byte_for_byte_and_is_confirmed() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let sent = ALICE.seal_to(&BOB, "lunch?", 1);
    assert_eq!(alice.send_envelope(&sent), status(1, State::Accepted, 0, 1));
    let got = bob.take_delivery();
    assert_eq!(got.encode(), sent.encode());
    assert_eq!(BOB.open(&got), "lunch?");
    assert_eq!(alice.next(), status(1, State::Delivered, 1, 1));
}

#[test]
fn a_group_message_reaches_everybody_else_once() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut carol = RawClient::member(server.address, &CAROL, Mode::Receiving);
    assert_eq!(alice.send_envelope(&ALICE.seal_to_all("hello", 2)), status(2, State::Accepted, 0, 2));
    for (client, person) in [(&mut bob, &*BOB), (&mut carol, &*CAROL)] {
        assert_eq!(person.open(&client.take_delivery()), "hello");
        client.expect_nothing();
    }
    assert_eq!(alice.next(), status(2, State::Delivered, 2, 2));
    alice.expect_nothing();
}

#[test]
fn a_message_to_all_with_nobody_there_is_accepted_for_none() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    assert_eq!(alice.send_envelope(&ALICE.seal_to_all("hello", 2)), status(2, State::Accepted, 0, 0));
}

#[test]
fn a_message_to_nobody_is_refused_and_one_to_someone_away_is_queued() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut on_an_errand = RawClient::member(server.address, &BOB, Mode::Errand);
    let sent = ALICE.seal_to(&BOB, "hi", 1);
    assert_eq!(alice.send_envelope(&sent), status(1, State::Queued, 0, 1));
    assert_eq!(error_code(&alice.send_envelope(&ALICE.seal_to(&CAROL, "hi", 2))), Code::NoSuchUser);
    on_an_errand.expect_nothing();
    let mut bob = RawClient::again(server.address, &BOB, Mode::Receiving);
    let (delivery, backlog, envelope) = bob.next_delivery();
    assert!(backlog);
    assert_eq!(envelope, sent);
    bob.send(&ToServer::Ack(delivery));
    assert_eq!(alice.next(), status(1, State::Delivered, 1, 1));
    bob.expect_nothing();
}

#[test]
fn an_envelope_in_anothers_name_is_refused_and_not_passed_on() {
    let server = TestServer::start();
    let mut mallory = RawClient::member(server.address, &CAROL, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let forged = ALICE.seal_to(&BOB, "from alice?", 1);
    assert_eq!(error_code(&mallory.send_envelope(&forged)), Code::NotYours);
    let own_name_but_another_key = Person::new("carol");
    let forged = own_name_but_another_key.seal_to(&BOB, "from carol?", 2);
    assert_eq!(error_code(&mallory.send_envelope(&forged)), Code::NotYours);
    bob.expect_nothing();
}

#[test]
fn the_eleventh_is_told_full_and_a_leavers_seat_is_free_at_once() {
    let server = TestServer::start();
    let names: Vec<UserName> = (0..11).map(|n| name(&format!("user{n}"))).collect();
    let mut clients: Vec<RawClient> =
        names[..10].iter().map(|name| RawClient::member_as(server.address, &ALICE, name, Mode::Receiving)).collect();
    let mut eleventh = RawClient::connect(server.address);
    assert_eq!(eleventh.register_as(&ALICE, &names[10]), ToClient::Registered);
    let full = Reason { limit: 10, ..Reason::retry_after(Code::Full, 30) };
    let answer = eleventh.login_as(&ALICE, &names[10], Mode::Receiving);
    assert_eq!(answer, ToClient::Error { request: 0, reason: full.clone() });
    assert_eq!(eleventh.next(), ToClient::Bye(full));
    eleventh.expect_end();

    let mut leaver = clients.pop().unwrap();
    leaver.send(&ToServer::Bye);
    leaver.expect_end();
    let welcome = RawClient::connect(server.address).login_as(&ALICE, &names[10], Mode::Receiving);
    let ToClient::Welcome { seats_taken, seats, .. } = welcome else { panic!("no welcome but {welcome:?}") };
    assert_eq!((seats_taken, seats), (10, 10));
}

#[test]
fn an_account_has_four_sessions_and_its_chat_always() {
    let server = TestServer::start();
    let mut errands = vec![RawClient::member(server.address, &ALICE, Mode::Errand)];
    errands.extend((0..3).map(|_| RawClient::again(server.address, &ALICE, Mode::Errand)));
    let mut fifth = RawClient::connect(server.address);
    let full = Reason { limit: 4, ..Reason::retry_after(Code::TooManySessions, 2) };
    let answer = fifth.login(&ALICE, Mode::Errand);
    assert_eq!(answer, ToClient::Error { request: 0, reason: full.clone() });
    assert_eq!(fifth.next(), ToClient::Bye(full));
    fifth.expect_end();
    let mut chat = RawClient::again(server.address, &ALICE, Mode::Receiving);
    let mut newer = RawClient::again(server.address, &ALICE, Mode::Receiving);
    chat.expect_bye(Code::Replaced);
    let leaver = errands.pop().unwrap();
    leaver.reset();
    assert_eq!(error_code(&RawClient::connect(server.address).login(&ALICE, Mode::Errand)), Code::TooManySessions);
    errands.iter_mut().chain([&mut newer]).for_each(RawClient::expect_nothing);
    let _bob = RawClient::member(server.address, &BOB, Mode::Errand);
}

/// Connections from elsewhere fill the room; whoever comes from another place finds one all the same.
#[test]
fn strangers_of_one_place_do_not_keep_others_out() {
    let server = TestServer::with(Settings { max_clients: 1, ..Settings::default() });
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    let from = |host: u8| RawClient::try_connect_from([127, 0, 0, host].into(), server.address);
    let mut silent: Vec<RawClient> =
        [2, 3].into_iter().flat_map(|host| (0..8).map(move |_| host)).map(|host| from(host).unwrap()).collect();
    assert!(from(2).is_err() && from(3).is_err(), "each has its eight");
    let mut alice = from(4).expect("the place of the oldest");
    assert!(matches!(alice.login(&ALICE, Mode::Receiving), ToClient::Welcome { .. }));
    silent.remove(0).expect_bye(Code::Full);
    silent.iter_mut().for_each(RawClient::expect_nothing);
}

#[test]
fn connections_that_do_not_log_in_take_no_seat() {
    let server = TestServer::with(Settings { max_clients: 1, ..Settings::default() });
    let silent: Vec<RawClient> = (0..15).map(|_| RawClient::connect(server.address)).collect();
    let alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    drop((silent, alice));
}

#[test]
fn over_the_guests_budget_the_connection_is_closed_before_tls() {
    let server = TestServer::with(Settings { max_clients: 1, ..Settings::default() });
    let silent: Vec<RawClient> = (0..16).map(|_| RawClient::connect(server.address)).collect();
    assert!(RawClient::try_connect(server.address).is_err());
    drop(silent);
}

#[test]
fn a_newer_session_replaces_the_older_and_nothing_is_lost_or_doubled() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut old = RawClient::member(server.address, &BOB, Mode::Receiving);
    assert_eq!(alice.send_envelope(&ALICE.seal_to(&BOB, "before", 1)), status(1, State::Accepted, 0, 1));
    let mut new = RawClient::connect(server.address);
    assert!(matches!(new.login(&BOB, Mode::Receiving), ToClient::Welcome { seats_taken: 2, .. }));
    assert_eq!(BOB.open(&old.take_delivery()), "before");
    old.expect_bye(Code::Replaced);
    // What was not acknowledged when the new session came goes to it too: the client knows it by its id.
    assert_eq!(BOB.open(&new.take_delivery()), "before");
    assert_eq!(alice.next(), status(1, State::Delivered, 1, 1));
    assert_eq!(alice.send_envelope(&ALICE.seal_to(&BOB, "after", 2)), status(2, State::Accepted, 0, 1));
    assert_eq!(BOB.open(&new.take_delivery()), "after");
    new.expect_nothing();
}

/// One acknowledgement settles hundreds of messages at once, and the news of all of them goes to their sender.
#[test]
fn a_recipient_cannot_get_a_sender_cut_by_acknowledging_all_at_once() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    let mut last = None;
    for number in 1..=200 {
        let sent = alice.send_envelope(&ALICE.seal_to(&BOB, "hi", number));
        assert_eq!(sent, status(number, State::Accepted, 0, 1));
        last = Some(bob.next_delivery().0);
    }
    bob.send(&ToServer::Ack(last.unwrap()));
    for number in 1..=200 {
        assert_eq!(alice.next(), status(number, State::Delivered, 1, 1));
    }
    alice.expect_nothing();
}

#[test]
fn a_recipient_that_leaves_unacknowledged_leaves_the_message_queued() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut bob = RawClient::member(server.address, &BOB, Mode::Receiving);
    assert_eq!(alice.send_envelope(&ALICE.seal_to(&BOB, "hi", 1)), status(1, State::Accepted, 0, 1));
    assert!(matches!(bob.next(), ToClient::Deliver { .. }));
    drop(bob);
    assert_eq!(alice.next(), status(1, State::Queued, 0, 1));
}

#[test]
fn frames_in_a_wrong_state_are_refused_and_change_nothing() {
    let server = TestServer::start();
    let mut guest = RawClient::connect(server.address);
    let delivery = DeliveryId { epoch: 1, number: 1 };
    let list = ToServer::List { request: 5, scope: Scope::All, after: None };
    for (frame, request) in [
        (ToServer::Send { envelope: ALICE.seal_to_all("x", 1).encode() }, 0),
        (ToServer::Ack(delivery), 0),
        (list.clone(), 5),
        (ToServer::SetPassword { request: 6, verifier: VERIFIER.clone() }, 6),
        (ToServer::DeleteAccount { request: 7 }, 7),
        (ToServer::Lookup { request: 8, name: name("bob"), fingerprint: None }, 8),
        (ToServer::LoginProof { client_final: "c=,r=,p=".to_owned(), signature: Vec::new() }, 0),
    ] {
        let refused = ToClient::Error { request, reason: Reason::new(Code::NotNow) };
        assert_eq!(guest.ask(&frame), refused, "{}", frame.field());
    }
    assert_eq!(guest.register(&ALICE), ToClient::Registered);
    assert!(matches!(guest.login(&ALICE, Mode::Receiving), ToClient::Welcome { .. }));
    assert_eq!(error_code(&guest.register(&BOB)), Code::NotNow);
    assert_eq!(error_code(&guest.login(&ALICE, Mode::Receiving)), Code::NotNow);
    assert_eq!(error_code(&guest.ask(&ToServer::Ack(delivery))), Code::BadAck);
    let page = ToClient::Page { request: 5, more: false, entries: vec![Entry { name: name("alice"), online: true }] };
    assert_eq!(guest.ask(&list), page);
}

#[test]
fn a_lost_answer_to_a_registration_locks_nobody_out() {
    let server = TestServer::start();
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::RegisteredBefore);
    let taken = RawClient::connect(server.address).register_as(&BOB, &ALICE.name);
    assert_eq!(error_code(&taken), Code::NameTaken);
}

#[test]
fn accounts_outlive_the_server() {
    let server = TestServer::start();
    assert_eq!(RawClient::connect(server.address).register(&ALICE), ToClient::Registered);
    let folder = server.stop();
    let accounts = std::fs::read_to_string(folder.path().join("data/accounts.jsonl")).unwrap();
    assert_eq!(accounts.lines().count(), 2, "a title and a record");
    assert!(!accounts.contains("correct horse"));
}

#[test]
fn a_closed_server_registers_nobody() {
    let server = TestServer::with(Settings { registration: Some(Registration::Closed), ..Settings::default() });
    let refused = RawClient::connect(server.address).register(&ALICE);
    assert_eq!(error_code(&refused), Code::RegistrationClosed);
}

#[test]
fn who_may_register_is_told_to_guests_who_ask_and_to_nobody_else() {
    for (registration, admission) in [
        (Registration::Open, Admission::Open),
        (Registration::Invite, Admission::Invite),
        (Registration::Closed, Admission::Closed),
    ] {
        let settings = Settings { registration: Some(registration), ..Settings::default() };
        let server = TestServer::with(settings.clone());
        let mut guest = RawClient::connect(server.address);
        for _ in 0..2 {
            let ask = ToServer::AskPolicy { invite: String::new() };
            assert_eq!(guest.ask(&ask), ToClient::Policy { admission });
        }
    }
    let server = TestServer::start();
    let mut member = RawClient::member(server.address, &ALICE, Mode::Errand);
    assert_eq!(error_code(&member.ask(&ToServer::AskPolicy { invite: String::new() })), Code::NotNow);
}

#[test]
fn a_server_by_invite_registers_whoever_has_a_code_and_says_nothing_else_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let code = InviteCode::new();
    {
        let data = LockedFolder::open(&folder.path().join("data")).unwrap();
        let accounts = Accounts::open(&data, 10, Arc::new(RunClock::after(0))).unwrap();
        accounts.add_invite(Invite::new(&code, 1, 0, u64::MAX)).unwrap();
    }
    let settings = Settings { registration: Some(Registration::Invite), ..Settings::default() };
    let server = TestServer::again(folder, settings);
    for wrong in ["", "7K3M", &InviteCode::new().to_string(), &"x".repeat(64)] {
        let refused = RawClient::connect(server.address).register_by(&ALICE, wrong);
        assert_eq!(error_code(&refused), Code::InviteRefused, "{wrong}");
    }
    let typed = code.to_string().to_lowercase();
    assert_eq!(RawClient::connect(server.address).register_by(&ALICE, &typed), ToClient::Registered);
    assert_eq!(error_code(&RawClient::connect(server.address).register_by(&BOB, &typed)), Code::InviteRefused);
    // A lost answer locks nobody out, whatever became of the code.
    for code in [&typed, ""] {
        assert_eq!(RawClient::connect(server.address).register_by(&ALICE, code), ToClient::RegisteredBefore);
    }
    // A name that is taken looks like one that is free to whoever has no code.
    assert_eq!(error_code(&RawClient::connect(server.address).register_as(&BOB, &ALICE.name)), Code::InviteRefused);
}

#[test]
fn who_may_register_depends_on_who_can_connect() {
    let by_default = |address: &str, proxies, surroundings| {
        let addresses: Vec<_> = address.split(' ').map(|one| one.parse().unwrap()).collect();
        Registration::by_default(&addresses, proxies, surroundings)
    };
    for (address, expected) in [
        ("127.0.0.1:1", Registration::Open),
        ("127.8.9.1:1", Registration::Open),
        ("[::1]:1", Registration::Open),
        ("[::ffff:127.0.0.1]:1", Registration::Open),
        ("127.0.0.1:1 [::1]:1", Registration::Open),
        ("127.0.0.1:1 192.0.2.1:1", Registration::Closed),
        ("0.0.0.0:1", Registration::Closed),
        ("[::]:1", Registration::Closed),
        ("192.0.2.1:1", Registration::Closed),
    ] {
        let why = if expected == Registration::Open { Why::Here } else { Why::Others };
        assert_eq!(by_default(address, false, None), (expected, why), "{address}");
    }
    assert_eq!(by_default("127.0.0.1:1", true, None), (Registration::Closed, Why::Proxy));
    for surroundings in [Surroundings::Container, Surroundings::Systemd] {
        let closed = (Registration::Closed, Why::Runs(surroundings));
        assert_eq!(by_default("127.0.0.1:1", false, Some(surroundings)), closed);
    }
}

#[test]
fn the_directory_gives_keys_by_name_and_fingerprint() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Errand);
    assert_eq!(RawClient::connect(server.address).register(&BOB), ToClient::Registered);
    let lookup = |name, fingerprint| ToServer::Lookup { request: 3, name, fingerprint };
    let found = ToClient::Found { request: 3, bundle: BOB.bundle(), lineage: Vec::new() };
    let key = BOB.identity.public().fingerprint();
    assert_eq!(alice.ask(&lookup(name("bob"), None)), found);
    assert_eq!(alice.ask(&lookup(name("bob"), Some(key))), found);
    let another = alice.ask(&lookup(name("alice"), Some(key)));
    assert_eq!(error_code(&another), Code::NoSuchKey);
    assert_eq!(error_code(&alice.ask(&lookup(name("carol"), None))), Code::NoSuchUser);
}

#[test]
fn a_deleted_account_is_gone_and_its_sessions_with_it() {
    let server = TestServer::start();
    let mut chat = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut errand = RawClient::connect(server.address);
    assert!(matches!(errand.login(&ALICE, Mode::Errand), ToClient::Welcome { .. }));
    assert_eq!(errand.ask(&ToServer::DeleteAccount { request: 9 }), ToClient::Done { request: 9 });
    errand.expect_bye(Code::Deleted);
    chat.expect_bye(Code::Deleted);
    assert_eq!(error_code(&RawClient::connect(server.address).login(&ALICE, Mode::Errand)), Code::LoginRefused);
    assert_eq!(RawClient::connect(server.address).register_as(&BOB, &ALICE.name), ToClient::Registered);
}

#[test]
fn a_stopping_server_says_so() {
    let server = TestServer::start();
    let mut alice = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let stopping = std::thread::spawn(move || server.stop());
    alice.expect_bye(Code::ShuttingDown);
    stopping.join().unwrap();
}

/// The challenge was for the old password; the session that is there must stay in its seat, where others find it.
#[test]
fn a_login_that_is_out_of_date_takes_nobodys_seat() {
    let server = TestServer::start();
    let mut chat = RawClient::member(server.address, &ALICE, Mode::Receiving);
    let mut late = RawClient::connect(server.address);
    let proof = late.begin_login(&ALICE, Mode::Receiving);
    let mut errand = RawClient::again(server.address, &ALICE, Mode::Errand);
    let verifier = scram::verifier(&password()).unwrap();
    assert_eq!(errand.ask(&ToServer::SetPassword { request: 1, verifier }), ToClient::Done { request: 1 });
    assert_eq!(error_code(&late.ask(&proof)), Code::LoginRefused);
    let entries = vec![Entry { name: name("alice"), online: true }];
    let online = ToServer::List { request: 2, scope: Scope::Online, after: None };
    assert_eq!(chat.ask(&online), ToClient::Page { request: 2, more: false, entries });
    assert_eq!(errand.ask(&ToServer::DeleteAccount { request: 3 }), ToClient::Done { request: 3 });
    chat.expect_bye(Code::Deleted);
}
