//! `topchat rpc`: JSON-RPC 2.0, one object a line, on stdin and stdout.
//!
//! Requests are carried out one after the other, over a session that is there for errands alone, as that of `topchat send`:
//! it replaces nobody, and is closed while nothing is asked for. What comes is told by a thread of its own
//! ([`subscription`]), in between.

mod handler;
mod open;
mod protocol;
mod stdout;
mod subscription;

use std::io;
use std::sync::Arc;
use std::time::Instant;

use super::config::Config;
use super::error::Error;
use super::net::connection::Circuit;
use super::net::session;
use super::net::threads::{Part, conduct};
use super::ui::lines::Lines;
use crate::limits::{ERRAND_IDLE, INPUT_READ, REQUEST_ENDS_WITHIN};
use crate::transport::{Stop, wait_input};
use handler::Handler;
use open::Open;
use stdout::Stdout;

/// Answers requests until stdin ends or somebody ends it.
pub(super) fn command(config: &Config, stop: &Stop, begun: &dyn Fn()) -> Result<(), Error> {
    let session = session::for_errand(config)?;
    begun();
    config.say(format!("rpc as {}: one JSON-RPC 2.0 request a line", session.again.member.name));
    let (open, stdout) = (Open::default(), Arc::new(Stdout::default()));
    let run = |over: &Stop| {
        let mut handler = Handler::new(config, session, over, Arc::clone(&stdout));
        let served = serve(&mut handler, &open, &stdout, over);
        handler.close();
        served
    };
    // The handler ends by itself: it holds no connection that somebody has to be woken from. But what it does may take longer than
    // the end of the program may.
    let end = |over: &Stop| {
        while !over.is_asked() {
            wait_input(over.wakeup(), over.wakeup(), None).map_err(Error::system("waiting"))?;
        }
        match open.cut(REQUEST_ENDS_WITHIN) {
            Some(answer) => {
                let never = Stop::new().map_err(Error::system("making a wake-up"))?;
                stdout.line(&answer, Some(Instant::now() + REQUEST_ENDS_WITHIN / 4), &never)
            }
            None => Ok(()),
        }
    };
    let parts = vec![Part { name: "requests", run: Box::new(run) }, Part { name: "ending", run: Box::new(end) }];
    match conduct(&Circuit::default(), stop, parts) {
        Ok(()) if open.was_cut() => Err(Error::Interrupted),
        ended => ended,
    }
}

fn serve(handler: &mut Handler<'_>, open: &Open, stdout: &Stdout, over: &Stop) -> Result<(), Error> {
    let input = |source| Error::Input { what: "stdin", source };
    let (stdin, mut lines, mut buffer) = (io::stdin(), Lines::default(), [0; INPUT_READ]);
    while !over.is_asked() {
        let idle = Instant::now() + ERRAND_IDLE;
        let ready = wait_input(&stdin, over.wakeup(), handler.is_connected().then_some(idle)).map_err(input)?;
        if !ready.readable {
            if Instant::now() >= idle {
                handler.hang_up();
            }
            continue;
        }
        let read = match rustix::io::read(&stdin, &mut buffer) {
            Ok(read) => read,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(input(error.into())),
        };
        let complete = match read {
            0 => lines.finish().into_iter().collect(),
            read => lines.push(&buffer[..read]),
        };
        for line in complete.into_iter().take_while(|_| !over.is_asked()) {
            let answer =
                protocol::parse(line).and_then(|asked| open.carry_out(asked, |request| handler.answer(request)));
            if let Some(answer) = answer {
                stdout.line(&answer, None, over)?;
            }
        }
        if read == 0 {
            break;
        }
    }
    Ok(())
}
