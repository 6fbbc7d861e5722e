//! The connection that a long session has at this moment, if it has one.

use std::sync::{Arc, Mutex, MutexGuard};

use super::connection::Link;
use crate::sync::lock;

/// Replaced at every reconnect, and empty in between.
#[derive(Default)]
pub(crate) struct Circuit {
    link: Mutex<Option<Arc<Link>>>,
}

impl Circuit {
    /// The connection, unless there is none now.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.current().clone()
    }

    /// Whether this one is still the connection.
    pub(crate) fn is(&self, link: &Arc<Link>) -> bool {
        self.current().as_ref().is_some_and(|current| Arc::ptr_eq(current, link))
    }

    /// From now on this one, or none.
    pub(crate) fn set(&self, link: Option<Arc<Link>>) {
        *self.current() = link;
    }

    /// Ends the wait of the thread that receives.
    pub(crate) fn wake(&self) {
        if let Some(link) = self.link() {
            link.wake();
        }
    }

    /// Says goodbye, as far as the socket takes it.
    pub(crate) fn finish(&self) {
        if let Some(link) = self.link() {
            link.finish();
        }
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Link>>> {
        lock(&self.link)
    }
}
