//! Who came and who left, told to those who watch: once a second at most, and the net change only.
//!
//! One thread makes one frame for all of them, so that the cost of a second is that of the changes and the watchers, and never of
//! one times the other. It holds no lock while it puts the frame into their outboxes, which leave it out where too much waits.

use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use super::handle::Presence;
use super::hub::{Hub, News};
use crate::limits::{PRESENCE_EVERY, PRESENCE_NAMES};
use crate::names::UserName;
use crate::server::log::{Handle, Saying};
use crate::sync::lock;
use crate::wire::to_client::Entry;
use crate::wire::{ToClient, count};

/// The thread that tells.
pub(crate) struct Broadcast {
    /// Dropped at the end, which wakes the thread.
    goes_on: Sender<()>,
    thread: JoinHandle<()>,
}

impl Broadcast {
    /// Tells from now on.
    pub(crate) fn begin(hub: Arc<Mutex<Hub<Presence>>>) -> io::Result<Self> {
        let (goes_on, over) = channel();
        let tell = move || {
            while over.recv_timeout(PRESENCE_EVERY) == Err(RecvTimeoutError::Timeout) {
                let news = lock(&hub).news();
                news.iter().for_each(tell);
            }
        };
        let thread = thread::Builder::new().name("presence".to_owned()).spawn(tell)?;
        Ok(Self { goes_on, thread })
    }

    /// Tells nothing any more.
    pub(crate) fn end(self) {
        drop(self.goes_on);
        if self.thread.join().is_err() {
            log::error!("the thread that tells who comes and leaves has failed");
        }
    }
}

fn tell(news: &News<Presence>) {
    let frame = frame(&news.names).encode();
    for watcher in &news.watchers {
        if watcher.outbox.say(&frame, Saying::News).0 {
            watcher.outbox.send_or_wake();
        }
    }
}

fn frame(names: &[(UserName, bool)]) -> ToClient {
    let (named, others) = names.split_at(names.len().min(PRESENCE_NAMES));
    let more = |online: bool| count(others.iter().filter(|(_, is_online)| *is_online == online).count());
    let entries = named.iter().map(|(name, online)| Entry { name: name.clone(), online: *online });
    ToClient::Presence { more_came: more(true), more_left: more(false), entries: entries.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_so_many_names_only_their_number_is_told() {
        let name = |number: usize| format!("u{number:03}").parse().unwrap();
        let names: Vec<_> = (0..PRESENCE_NAMES + 7).map(|number| (name(number), number % 3 == 0)).collect();
        let ToClient::Presence { more_came, more_left, entries } = frame(&names) else { panic!("another frame") };
        assert_eq!((entries.len(), more_came, more_left), (PRESENCE_NAMES, 2, 5));
        assert!(ToClient::decode(0x90, &frame(&names).encode()[5..]).is_ok());
        assert_eq!(entries[1], Entry { name: name(1), online: false });
    }
}
