//! Runs the threads of a session until one of them, the server or a signal ends it.

use std::sync::{Mutex, PoisonError};
use std::thread;

use super::connection::Circuit;
use crate::client::error::Error;
use crate::sync::lock;
use crate::transport::{Stop, wait_input};

/// What a thread does.
type Run<'a> = dyn FnOnce(&Stop) -> Result<(), Error> + Send + 'a;

/// One thread: its name and what it does until it is asked to end.
pub(crate) struct Part<'a> {
    /// As `ps -T` shows it.
    pub name: &'static str,
    /// Ends soon after the [`Stop`] is asked, or by itself, which ends the others.
    pub run: Box<Run<'a>>,
}

/// Runs all parts. The first one to end tells how the session ended; a signal is [`Error::Interrupted`],
/// unless it was a polite request (SIGTERM).
pub(crate) fn conduct<'a>(circuit: &Circuit, stop: &Stop, parts: Vec<Part<'a>>) -> Result<(), Error> {
    let over = Stop::new().map_err(Error::system("making a wake-up"))?;
    let first = Mutex::new(None);
    let ended = |result| {
        lock(&first).get_or_insert(result);
        over.ask();
        circuit.wake();
    };
    thread::scope(|scope| -> Result<(), Error> {
        let mut running = Vec::new();
        for part in parts {
            let (over, ended) = (&over, &ended);
            let spawned = thread::Builder::new().name(part.name.to_owned()).spawn_scoped(scope, move || {
                let _ended = EndAll { over, circuit };
                ended((part.run)(over));
            });
            match spawned {
                Ok(thread) => running.push(thread),
                Err(source) => ended(Err(Error::System { doing: "starting a thread", source })),
            }
        }
        while !stop.is_asked() && !over.is_asked() {
            wait_input(stop.wakeup(), over.wakeup(), None).map_err(Error::system("waiting"))?;
        }
        if stop.is_asked() {
            ended(if stop.is_interrupt() { Err(Error::Interrupted) } else { Ok(()) });
        }
        // It goes on as the same panic: left to the scope it would be told of once more, in other words.
        if let Some(panic) = running.into_iter().find_map(|thread| thread.join().err()) {
            std::panic::resume_unwind(panic);
        }
        Ok(())
    })?;
    circuit.finish();
    first.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(Ok(()))
}

/// Ends the other threads when it is dropped, also by a panic.
struct EndAll<'a> {
    over: &'a Stop,
    circuit: &'a Circuit,
}

impl Drop for EndAll<'_> {
    fn drop(&mut self) {
        self.over.ask();
        self.circuit.wake();
    }
}
