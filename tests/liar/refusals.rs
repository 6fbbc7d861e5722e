//! What a server refuses, or says goodbye with, as the person reads it: words, hint and exit code.

use topchat::crypto::envelope::{self, SealWith};
use topchat::limits::LEFT_MESSAGES;
use topchat::wire::to_client::Reason;
use topchat::wire::{Code, DeliveryId, Envelope, Header, MessageId, ToClient, ToServer};

use super::server::Liar;
use crate::cli::home::{Home, refused, without_contact};
use crate::support::people::{ALICE, BOB, GROUP};

#[test]
fn a_goodbye_is_told_with_what_to_do_about_it() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    for (code, exit, told) in [
        (
            Code::Kicked,
            6,
            "error: the server's owner ended this session\nhint: ask the server's owner; you can log in again: topchat\n",
        ),
        (
            Code::KeysReplaced,
            4,
            "error: your keys were replaced by another program of yours\nhint: start again: topchat\n",
        ),
        (
            Code::Replaced,
            3,
            "error: a newer session of this account took over\nhint: what comes now goes to that session only; log in again to take it back: topchat\n",
        ),
        (Code::Disabled, 6, "error: this account was disabled by the server's owner\nhint: ask the server's owner\n"),
        (Code::Deleted, 6, "error: this account was deleted\n"),
    ] {
        for words in [&["users"][..], &["listen"]] {
            let client = home.start(words);
            let mut line = liar.member();
            line.send(&ToClient::Bye(Reason::new(code)));
            line.drain();
            let finished = client.finish();
            let said = without_contact(&finished.stderr).trim_start_matches("listening as alice\n");
            assert_eq!((finished.code, said), (Some(exit), told), "{words:?}");
        }
    }
}

#[test]
fn a_message_that_is_not_taken_is_told_with_whom_it_did_not_reach() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    for (code, exit, told) in [
        (
            Code::Away,
            7,
            "error: not delivered: bob is away\n\
             hint: nothing is stored; send it again when they are here (topchat users --online)\n",
        ),
        (
            Code::NoSuchUser,
            7,
            "error: no user \"bob\" here. Nothing was sent.\nhint: see who there is: topchat users\n",
        ),
        (Code::MailboxFull, 7, "error: not delivered: the mailbox is full\n"),
    ] {
        let client = home.start(&["send", "bob", "hi"]);
        let mut line = liar.member();
        line.answer_lookup(BOB.bundle());
        let ToServer::Send { envelope } = line.take() else { panic!("no Send") };
        let msg_id = Envelope::parse(&envelope).unwrap().header.msg_id;
        line.send(&ToClient::Refused { msg_id, reason: Reason::new(code) });
        line.drain();
        refused(&client.finish(), exit, told);
    }
}

/// More than one run leaves for the next one; what was taken is shown by that.
#[test]
fn too_much_that_is_left_is_told_with_the_command_that_reads_it() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    let client = home.start(&["listen", "--no-backlog"]);
    let mut line = liar.member();
    let first = BOB.seal_to_all("hi", 1);
    let numbered = |number: u64| {
        let header = Header {
            msg_id: MessageId((0xff00_u128 + u128::from(number)).to_be_bytes()),
            seq: number,
            ..first.header.clone()
        };
        let envelope = envelope::seal(header, "hi", SealWith::Group(GROUP.writer()), &BOB.identity).unwrap();
        let delivery = DeliveryId { epoch: 1, number };
        ToClient::Deliver { delivery, backlog: true, envelope: envelope.encode() }.encode()
    };
    line.send_bytes(&numbered(1));
    let request = loop {
        if let ToServer::Lookup { request, .. } = line.take() {
            break request;
        }
    };
    line.send(&ToClient::Found { request, bundle: BOB.bundle(), lineage: Vec::new() });
    line.send_bytes(&(2..=LEFT_MESSAGES as u64 + 1).flat_map(numbered).collect::<Vec<_>>());
    line.drain();
    let finished = client.finish();
    assert_eq!(
        (finished.code, without_contact(&finished.stderr)),
        (
            Some(3),
            "listening as alice\nerror: 2001 messages were left for later already\nhint: read them: topchat listen --timeout 5\n"
        )
    );
}
