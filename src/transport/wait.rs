//! Waiting for a socket, a wake-up from another thread, or the clock.

use std::io;
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

/// What a connection waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes to read.
    pub read: bool,
    /// Room to write.
    pub write: bool,
}

/// What there is. Errors and hang-ups of the socket show as readable: reading tells which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// The socket has bytes, an end, or an error.
    pub readable: bool,
    /// The socket takes bytes.
    pub writable: bool,
    /// Another thread called [`Wakeup::wake`].
    pub woken: bool,
}

/// A second handle on a connection's socket, to wait on while another thread uses the connection.
pub struct Watch(pub(super) Arc<TcpStream>);

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Ends another thread's [`wait`].
pub struct Wakeup(OwnedFd);

impl Wakeup {
    /// A wake-up that nobody has called yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    /// Wakes the waiting thread, or lets its next wait return at once.
    pub fn wake(&self) {
        // It fails only when 2^64 - 2 wake-ups wait already, and then the thread wakes anyway.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Forgets the wake-ups so far.
    pub fn reset(&self) {
        // Nothing to read means nothing to forget.
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until the socket is ready for `interest`, `wakeup` is called or `deadline` is reached. Forgets the wake-up.
///
/// Without interest the socket is not looked at: it would tell of its peer's end again and again.
pub fn wait(socket: &impl AsFd, interest: Interest, wakeup: &Wakeup, deadline: Option<Instant>) -> io::Result<Ready> {
    let events = events(interest);
    let mut watched = [PollFd::new(wakeup, PollFlags::IN), PollFd::new(socket, events)];
    let watching = if events.is_empty() { 1 } else { watched.len() };
    poll_until(&mut watched[..watching], deadline)?;
    let [woken, socket] = watched.map(|watched| watched.revents());
    let ready = Ready {
        readable: socket.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR),
        writable: socket.intersects(PollFlags::OUT | PollFlags::HUP | PollFlags::ERR),
        woken: woken.contains(PollFlags::IN),
    };
    if ready.woken {
        wakeup.reset();
    }
    Ok(ready)
}

/// Waits until one of them is ready for what it is waited for, or `wakeup` is called, which it does not forget.
pub fn wait_any<'a>(
    sockets: impl IntoIterator<Item = (BorrowedFd<'a>, Interest)>,
    wakeup: &'a Wakeup,
    deadline: Option<Instant>,
) -> io::Result<()> {
    let mut watched = vec![PollFd::new(wakeup, PollFlags::IN)];
    watched.extend(sockets.into_iter().map(|(socket, interest)| PollFd::from_borrowed_fd(socket, events(interest))));
    poll_until(&mut watched, deadline)
}

/// Whether the other end is gone altogether, and not only done with sending.
pub fn has_hung_up(socket: &impl AsFd) -> bool {
    let mut watched = [PollFd::new(socket, PollFlags::empty())];
    let looked = poll_until(&mut watched, Some(Instant::now()));
    looked.is_ok() && watched.iter().any(|socket| socket.revents().contains(PollFlags::HUP))
}

/// Waits for input (a listening socket, a terminal, a pipe) or `wakeup`, which it does not forget.
pub fn wait_input(input: &impl AsFd, wakeup: &Wakeup, deadline: Option<Instant>) -> io::Result<Ready> {
    let mut watched = [PollFd::new(wakeup, PollFlags::IN), PollFd::new(input, PollFlags::IN)];
    poll_until(&mut watched, deadline)?;
    let [woken, input] = watched.map(|watched| watched.revents());
    Ok(Ready { readable: !input.is_empty(), writable: false, woken: woken.contains(PollFlags::IN) })
}

/// Waits until output (a terminal, a pipe) takes something, or `wakeup`, which it does not forget.
pub fn wait_output(output: &impl AsFd, wakeup: &Wakeup, deadline: Option<Instant>) -> io::Result<Ready> {
    let mut watched = [PollFd::new(wakeup, PollFlags::IN), PollFd::new(output, PollFlags::OUT)];
    poll_until(&mut watched, deadline)?;
    let [woken, output] = watched.map(|watched| watched.revents());
    Ok(Ready { readable: false, writable: !output.is_empty(), woken: woken.contains(PollFlags::IN) })
}

fn events(interest: Interest) -> PollFlags {
    let mut events = PollFlags::empty();
    events.set(PollFlags::IN, interest.read);
    events.set(PollFlags::OUT, interest.write);
    events
}

/// An interrupted wait counts as one that found nothing: every caller looks again.
fn poll_until(watched: &mut [PollFd<'_>], deadline: Option<Instant>) -> io::Result<()> {
    let timeout = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match poll(watched, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Shutdown, TcpListener};
    use std::time::Duration;

    use super::*;

    /// Whoever waits for nothing of a socket must not be woken by its end over and over: that would be a busy loop.
    #[test]
    fn a_socket_that_is_waited_for_in_no_way_wakes_nobody() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        drop(listener.accept().unwrap());
        near.shutdown(Shutdown::Both).unwrap();
        let wakeup = Wakeup::new().unwrap();
        let until = Instant::now() + Duration::from_millis(50);
        let ready = wait(&near, Interest::default(), &wakeup, Some(until)).unwrap();
        assert_eq!(ready, Ready::default());
        assert!(Instant::now() >= until);
        let ready = wait(&near, Interest { read: true, write: false }, &wakeup, None).unwrap();
        assert!(ready.readable);
    }
}
