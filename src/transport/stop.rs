//! Being asked to end: a flag, a wake-up, and the signals that set them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

use super::Wakeup;

/// Asks one thread to end, from another thread or from a signal.
#[derive(Clone)]
pub struct Stop {
    inner: Arc<Inner>,
}

struct Inner {
    /// 0: go on; a signal's number; or [`ASKED`].
    cause: AtomicI32,
    wakeup: Wakeup,
}

impl Stop {
    /// Nobody has asked yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self { inner: Arc::new(Inner { cause: AtomicI32::new(0), wakeup: Wakeup::new()? }) })
    }

    /// Asks on SIGINT and SIGTERM, from a thread named `signals`. A second signal ends the process at once,
    /// after `at_once`.
    ///
    /// A file over its size limit (`ulimit -f`) then is an error of the write, no longer a signal that kills.
    pub fn on_signals(at_once: impl Fn() + Send + 'static) -> io::Result<Self> {
        let stop = Self::new()?;
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
        let asked = stop.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                if asked.is_asked() {
                    at_once();
                    std::process::exit(128 + signal);
                }
                asked.ask_because(signal);
            }
        })?;
        Ok(stop)
    }

    /// Asks to end.
    pub fn ask(&self) {
        self.ask_because(ASKED);
    }

    /// Whether somebody asked.
    pub fn is_asked(&self) -> bool {
        self.inner.cause.load(Ordering::Acquire) != 0
    }

    /// Whether Ctrl-C was what asked.
    pub fn is_interrupt(&self) -> bool {
        self.inner.cause.load(Ordering::Acquire) == SIGINT
    }

    /// Stays ready from the moment that somebody asked; never reset it.
    pub fn wakeup(&self) -> &Wakeup {
        &self.inner.wakeup
    }

    fn ask_because(&self, cause: i32) {
        let _ = self.inner.cause.compare_exchange(0, cause, Ordering::AcqRel, Ordering::Acquire);
        self.inner.wakeup.wake();
    }
}

const ASKED: i32 = -1;
