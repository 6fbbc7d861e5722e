//! Shows that something that takes a while goes on.
//!
//! On a terminal with dots: `making your keys (two of RSA 3072)...... done in 2 s`.

use std::io::IsTerminal;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use crate::client::config::Config;
use crate::client::error::Error;
use crate::limits::PROGRESS_EVERY;

/// Does the work and says so, with a further dot for each moment on a terminal.
pub(crate) fn show<R>(config: &Config, words: &str, work: impl FnOnce() -> Result<R, Error>) -> Result<R, Error> {
    let begun = Instant::now();
    config.say_begun(&format!("{words}..."));
    let result = match std::io::stderr().is_terminal() {
        true => with_dots(config, work),
        false => work(),
    };
    match &result {
        Ok(_) => config.say(format!(" done in {} s", begun.elapsed().as_secs_f64().round().max(1.0))),
        // The error begins a line of its own.
        Err(_) => config.say(""),
    }
    result
}

fn with_dots<R>(config: &Config, work: impl FnOnce() -> R) -> R {
    std::thread::scope(|scope| {
        // Dropped when the work ends, also by a panic, which ends the dots.
        let (_ends, ended) = channel::<()>();
        scope.spawn(move || {
            while ended.recv_timeout(PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
                config.say_begun(".");
            }
        });
        work()
    })
}
