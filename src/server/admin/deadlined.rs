//! A socket of the administration whose other end can't keep anybody waiting for longer than a deadline.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Reading and writing end with an error at one moment, however slowly bytes come or go.
pub(super) struct Deadlined<'a> {
    stream: &'a UnixStream,
    until: Instant,
}

impl<'a> Deadlined<'a> {
    pub(super) fn new(stream: &'a UnixStream, within: Duration) -> Self {
        Self { stream, until: Instant::now() + within }
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Deadlined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer).map_err(timed_out)
    }
}

impl Write for Deadlined<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The next line without its end, `None` at the end of the stream; one that is cut off or longer than `limit` is an error.
pub(super) fn next_line(stream: &mut BufReader<Deadlined<'_>>, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    stream.take(limit).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if line.len() as u64 + 1 == limit => Err(io::ErrorKind::InvalidData.into()),
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// A socket's time-out looks like one that has nothing now.
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ADMIN_WITHIN;

    fn lines_of(bytes: &[u8], limit: u64) -> Vec<Result<Vec<u8>, io::ErrorKind>> {
        let (mut near, far) = UnixStream::pair().unwrap();
        near.write_all(bytes).unwrap();
        drop(near);
        let mut reader = BufReader::new(Deadlined::new(&far, ADMIN_WITHIN));
        let mut lines = Vec::new();
        loop {
            match next_line(&mut reader, limit) {
                Ok(Some(line)) => lines.push(Ok(line)),
                Ok(None) => return lines,
                Err(error) => {
                    lines.push(Err(error.kind()));
                    return lines;
                }
            }
        }
    }

    #[test]
    fn lines_have_an_end_and_a_limit() {
        assert_eq!(lines_of(b"one\n\ntwo\n", 4), [Ok(b"one".to_vec()), Ok(vec![]), Ok(b"two".to_vec())]);
        assert_eq!(lines_of(b"four\n", 4), [Err(io::ErrorKind::InvalidData)]);
        assert_eq!(lines_of(b"one\ntw", 4), [Ok(b"one".to_vec()), Err(io::ErrorKind::UnexpectedEof)]);
        assert_eq!(lines_of(b"", 4), []);
    }

    #[test]
    fn the_deadline_is_one_for_all_however_often_something_comes() {
        let (near, far) = UnixStream::pair().unwrap();
        let mut late = Deadlined::new(&far, Duration::ZERO);
        (&near).write_all(b"something").unwrap();
        assert_eq!(late.read(&mut [0; 4]).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(late.write(b"x").unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
