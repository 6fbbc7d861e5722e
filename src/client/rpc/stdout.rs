//! stdout of `topchat rpc`: lines whole and in order, for a reader that takes its time, or that is none.

use std::io;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use crate::client::error::Error;
use crate::limits::OUTPUT_CHUNK;
use crate::sync::lock;
use crate::transport::{Stop, wait_output};

/// What is to be written, by whichever thread finds that it can be: none holds up another by its waiting.
#[derive(Default)]
pub(super) struct Stdout {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    unwritten: Vec<u8>,
    /// Bytes in all so far.
    written: u64,
}

impl Stdout {
    /// Writes a line. If it is not taken until `deadline`, or until `over` is asked, that is [`Error::OutputUnread`]; the line, which
    /// may be half written, goes before the next one then.
    pub(super) fn line(&self, line: &str, deadline: Option<Instant>, over: &Stop) -> Result<(), Error> {
        let mut queue = self.queue();
        queue.unwritten.extend_from_slice(line.as_bytes());
        queue.unwritten.push(b'\n');
        drop(queue);
        self.flush(deadline, over)
    }

    /// Writes what there is so far, under the same conditions.
    pub(super) fn flush(&self, deadline: Option<Instant>, over: &Stop) -> Result<(), Error> {
        let stdout = io::stdout();
        let end = self.queue().end();
        loop {
            let is_writable =
                wait_output(&stdout, over.wakeup(), Some(Instant::now())).map_err(Error::output)?.writable;
            let mut queue = self.queue();
            if queue.written >= end {
                return Ok(());
            }
            if is_writable {
                queue.write(&stdout).map_err(Error::output)?;
                continue;
            }
            drop(queue);
            if over.is_asked() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Err(Error::OutputUnread);
            }
            wait_output(&stdout, over.wakeup(), deadline).map_err(Error::output)?;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        lock(&self.queue)
    }
}

impl Queue {
    fn end(&self) -> u64 {
        self.written + self.unwritten.len() as u64
    }

    /// Once, no more than is taken at once.
    fn write(&mut self, stdout: &io::Stdout) -> io::Result<()> {
        let chunk = self.unwritten.get(..OUTPUT_CHUNK).unwrap_or(&self.unwritten);
        match rustix::io::write(stdout, chunk) {
            Ok(count) => {
                self.unwritten.drain(..count);
                self.written += count as u64;
                Ok(())
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
