use super::*;
use crate::client::keys::group_file::GroupFile;
use crate::client::message_tests::{bob, header, sealed};
use crate::client::model::pin::NewKeys;
use crate::client::peer_tests::{next, pair, say};
use crate::client::trust::contacts::Contacts;
use crate::storage::private;
use crate::wire::DeliveryId;
use std::sync::Arc;

/// Looks at nothing.
struct Nobody;

impl Audience for Nobody {
    fn room(&self) -> Option<u64> {
        None
    }

    fn message(&mut self, _opened: &Opened) -> Result<(), Error> {
        Ok(())
    }

    fn notice(&mut self, _notice: &Notice) -> Result<(), Error> {
        Ok(())
    }

    fn other(&mut self, _frame: ToClient) -> Result<(), Error> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn due(&mut self, _now: Instant) -> Result<bool, Error> {
        Ok(true)
    }
}

/// The acknowledgement is on its way before any key is asked for: contacts that can't be read don't keep it back.
#[test]
fn a_message_is_acknowledged_even_if_no_key_can_be_looked_at() {
    let (mut server, link) = pair();
    let delivery = DeliveryId { epoch: 1, number: 5 };
    say(&mut server, &ToClient::Deliver { delivery, backlog: false, envelope: sealed(header(1), "hi").encode() });
    let member = Arc::new(bob(GroupFile::default()));
    let place = tempfile::tempdir().unwrap();
    let (inbox, ledger) = Inbox::open(place.path()).unwrap();
    let contacts = Arc::new(Contacts::open(place.path(), NewKeys::First).unwrap());
    private::create_new(&place.path().join("contacts.json"), b"junk").unwrap();
    let mut receiving = Receiving::new(place.path(), inbox, Receiver::new(&member, &contacts, ledger), None);
    let over = Stop::new().unwrap();
    let ended = listen(&link, Reading::default(), VecDeque::new(), &mut receiving, &mut Nobody, &over);
    assert!(ended.unwrap_err().to_string().contains("contacts.json"));
    // Without an acknowledgement the server hears the end instead.
    drop(link);
    assert_eq!(next(&mut server), ToServer::Ack(delivery));
}
