//! `topchat rpc`: JSON-RPC 2.0, one object a line, on stdin and stdout.
//!
//! Requests are carried out one after the other, over a session that is there for errands alone, as that of `topchat send`:
//! it replaces nobody, and is closed while nothing is asked for. What comes is told by a thread of its own
//! ([`subscription`]), in between.

mod answer;
mod desk;
mod request;
mod subscription;

use std::io;
use std::time::Instant;

use self::desk::Desk;
use self::request::Asked;
use super::circuit::Circuit;
use super::conduct::{Part, conduct};
use super::config::Config;
use super::lines::Lines;
use super::{Error, output, session};
use crate::limits::{ERRAND_IDLE, INPUT_READ};
use crate::transport::{Stop, wait_input};

/// Answers requests until stdin ends or somebody ends it.
pub fn command(config: &Config, stop: &Stop, begun: &dyn Fn()) -> Result<(), Error> {
    let session = session::for_errand(config)?;
    begun();
    config.say(&format!("rpc as {}: one JSON-RPC 2.0 request a line", session.again.member.name));
    let run = |over: &Stop| {
        let mut desk = Desk::new(config, session, over);
        let served = serve(&mut desk, over);
        desk.close();
        served
    };
    // The desk ends by itself: it holds no connection that somebody has to be woken from.
    conduct(&Circuit::default(), stop, vec![Part { name: "requests", run: Box::new(run) }])
}

fn serve(desk: &mut Desk<'_>, over: &Stop) -> Result<(), Error> {
    let input = |source| Error::Input { what: "stdin", source };
    let (stdin, mut lines, mut buffer) = (io::stdin(), Lines::default(), [0; INPUT_READ]);
    while !over.is_asked() {
        let idle = Instant::now() + ERRAND_IDLE;
        let ready = wait_input(&stdin, over.wakeup(), desk.is_connected().then_some(idle)).map_err(input)?;
        if !ready.readable {
            if Instant::now() >= idle {
                desk.hang_up();
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
            read => lines.push(buffer.get(..read).unwrap_or_default()),
        };
        for line in complete.into_iter().take_while(|_| !over.is_asked()) {
            if let Some(answer) = request::parse(line).and_then(|asked| carry_out(desk, asked)) {
                output::line(&answer)?;
            }
        }
        if read == 0 {
            break;
        }
    }
    Ok(())
}

/// What goes on stdout for it, if anything does.
fn carry_out(desk: &mut Desk<'_>, asked: Asked) -> Option<String> {
    match asked {
        Asked::One(request) => desk.answer(request),
        Asked::Batch(requests) => {
            let answers: Vec<_> = requests.into_iter().filter_map(|request| desk.answer(request)).collect();
            answer::batch(&answers)
        }
    }
}
