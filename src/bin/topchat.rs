//! The client: command line in, exit code out.

use std::process::ExitCode;

use clap::CommandFactory;
use topchat::client::cli::options::{Command, Options};
use topchat::client::{self, Error};
use topchat::environment;
use topchat::error::{Exit, Explain, describe};

fn main() -> ExitCode {
    topchat::logging::start(log::LevelFilter::Warn);
    let options = match Options::typed(std::env::args_os()) {
        Ok(options) => options,
        Err(error) => return topchat::usage::tell(&error, Options::command(), std::env::args_os()).into(),
    };
    environment::know_variables(&[Options::command(), topchat::server::options::Options::command()]);
    // It tells them itself.
    if !matches!(options.command, Some(Command::Doctor)) {
        environment::warn_of_unknown_variables();
    }
    let invocation = options.invocation.clone();
    match client::run(options) {
        Ok(()) => Exit::Done.into(),
        // Nobody is left to read more, or they know what they did.
        Err(error @ (Error::OutputClosed | Error::Interrupted)) => error.exit().into(),
        Err(error) => {
            let message = invocation.shown(&error.message()).text;
            let hint = error.hint().map(|hint| invocation.shown(&hint).text);
            let hint = environment::naming_variables(&message, hint);
            client::words(&format!("{}\n", describe(&message, hint.as_deref())));
            error.exit().into()
        }
    }
}
