//! Being asked to end: a flag, a wake-up, and the signals that set them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};

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

    /// Asks on SIGINT, SIGTERM and SIGQUIT, from a thread named `signals`. A second one ends the process at once, after `at_once`.
    /// SIGUSR1 and SIGUSR2 mean nothing, and SIGHUP means what `hangup` says.
    ///
    /// A file over its size limit (`ulimit -f`) then is an error of the write, no longer a signal that kills.
    pub fn on_signals(hangup: Hangup, at_once: impl Fn() + Send + 'static) -> io::Result<Self> {
        let stop = Self::new()?;
        signal_hook::flag::register(SIGXFSZ, Arc::default())?;
        let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGQUIT, SIGUSR1, SIGUSR2])?;
        if hangup == Hangup::IsNothing || !is_hangup_ignored() {
            signals.add_signal(SIGHUP)?;
        }
        let asked = stop.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            for signal in signals.forever() {
                match signal {
                    SIGUSR1 | SIGUSR2 => log::info!("a signal that means nothing here: {}", name(signal)),
                    SIGHUP if hangup == Hangup::IsNothing => log::info!("SIGHUP: there is nothing to reload"),
                    // It comes from the shell and from the kernel.
                    SIGHUP if asked.is_asked() => {}
                    _ if asked.is_asked() => {
                        at_once();
                        std::process::exit(128 + signal);
                    }
                    _ => asked.ask_because(signal),
                }
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

/// What it means that the terminal is gone (SIGHUP).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// The program ends, unless it was started to outlive its terminal (`nohup`).
    IsTheEnd,
    /// The program has no terminal: somebody wants it to read its settings anew, as other servers do.
    IsNothing,
}

/// Whether whoever started this process ignores SIGHUP (proc(5), `SigIgn`): a handler would undo that.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}

fn name(signal: i32) -> &'static str {
    signal_hook::low_level::signal_name(signal).unwrap_or("?")
}

const ASKED: i32 = -1;
