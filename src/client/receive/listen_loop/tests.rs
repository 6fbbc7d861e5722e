use super::*;
use crate::client::keys::group_file::GroupFile;
use crate::client::message_tests::{bob, header, sealed};
use crate::client::model::event::KeyChange;
use crate::client::model::pin::{Found, Keyring, Met, Pin};
use crate::client::peer_tests::{next, pair, say};
use crate::crypto::keys::PublicKey;
use crate::names::UserName;
use crate::wire::{DeliveryId, Fingerprint};

/// Keys that can't be read.
struct Broken;

impl Keyring for Broken {
    fn pinned(&self, _name: &UserName) -> Result<Option<Pin>, Error> {
        Err(Error::Interrupted)
    }

    fn meet(&self, _found: &Found) -> Result<Met, Error> {
        Err(Error::Interrupted)
    }

    fn changed(&self, _name: &UserName, _now: Fingerprint) -> Result<KeyChange, Error> {
        Err(Error::Interrupted)
    }

    fn vouched(&self, _name: &UserName, _by: Fingerprint, _former: &[PublicKey]) -> Result<(), Error> {
        Err(Error::Interrupted)
    }

    fn takes_new(&self) -> bool {
        true
    }
}

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

/// The acknowledgement is on its way before any key is asked for: what the keyring says can't keep it back.
#[test]
fn a_message_is_acknowledged_even_if_no_key_can_be_looked_at() {
    let (mut server, link) = pair();
    let delivery = DeliveryId { epoch: 1, number: 5 };
    say(&mut server, &ToClient::Deliver { delivery, backlog: false, envelope: sealed(header(1), "hi").encode() });
    let member = bob(GroupFile::default());
    let place = tempfile::tempdir().unwrap();
    let (inbox, ledger) = Inbox::open(place.path()).unwrap();
    let mut receiving = Receiving {
        feed: None,
        inbox,
        receiver: Receiver::new(&member, &Broken, ledger),
        history: None,
        left: Left::new(false),
    };
    let over = Stop::new().unwrap();
    let ended = listen(&link, Reading::default(), VecDeque::new(), &mut receiving, &mut Nobody, &over);
    assert!(matches!(ended, Err(Error::Interrupted)));
    // Without an acknowledgement the server hears the end instead.
    drop(link);
    assert_eq!(next(&mut server), ToServer::Ack(delivery));
}
