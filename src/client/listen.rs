//! `topchat listen`: messages on stdout as they come.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::conduct::{Part, conduct};
use super::config::Config;
use super::event::Event;
use super::export::export;
use super::listening::{Audience, listen};
use super::output::now_ms;
use super::receive::Receiver;
use super::render::Page;
use super::screen;
use super::{Error, json, output, session};
use crate::transport::Stop;
use crate::wire::ToClient;
use crate::wire::to_server::Mode;

/// What is wanted.
pub struct Wanted {
    /// End after so many messages.
    pub count: Option<u64>,
    /// Write each message's parts here.
    pub export: Option<PathBuf>,
}

/// Prints messages until there are enough, the time is over, or somebody ends it.
pub fn command(config: &Config, wanted: Wanted, stop: &Stop, begun: &dyn Fn()) -> Result<(), Error> {
    let name = session::choose(config)?;
    let session = session::open(config, &name, Mode::Receiving)?;
    begun();
    config.say(&format!("listening as {name}"));
    let (link, reading, waiting) = session.dialogue.into_parts();
    let mut receiver = Receiver::new(&session.member, &session.contacts);
    let begun = Instant::now();
    let until = config.timeout.map(|timeout| begun + timeout);
    let page = screen::page(&std::io::stdout());
    let mut printer = Printer { config, wanted, page, got: 0, begun, until };
    let printing = &mut printer;
    let interrupted = conduct(
        &link,
        stop,
        vec![Part {
            name: "listening",
            run: Box::new(|over| listen(&link, reading, waiting, &mut receiver, printing, over)),
        }],
    );
    match (interrupted, printer.missing()) {
        // Asked to end politely, but before the work was done.
        (Ok(()), true) if stop.is_asked() => Err(Error::Interrupted),
        (Ok(()), true) => Err(printer.timed_out()),
        (result, _) => result,
    }
}

struct Printer<'a> {
    config: &'a Config,
    wanted: Wanted,
    page: Page,
    got: u64,
    begun: Instant,
    until: Option<Instant>,
}

impl Printer<'_> {
    fn missing(&self) -> bool {
        self.wanted.count.is_some_and(|count| self.got < count)
    }

    fn timed_out(&self) -> Error {
        let secs = Duration::as_secs(&self.begun.elapsed());
        Error::ListenTimedOut { got: self.got, wanted: self.wanted.count.unwrap_or(0), secs }
    }

    fn has_enough(&self) -> bool {
        self.wanted.count.is_some_and(|count| self.got >= count)
    }
}

impl Audience for Printer<'_> {
    fn show(&mut self, event: Event) -> Result<bool, Error> {
        match event {
            // What came in the same moment as the last message wanted is left alone: exactly so many are printed.
            Event::Message(_) if self.has_enough() => {}
            Event::Message(opened) => {
                if let Some(dir) = &self.wanted.export {
                    // A copy from an earlier run is there already.
                    export(dir, &opened).or_else(|error| match error {
                        Error::File(crate::storage::FileError::Exists { .. }) => {
                            log::warn!("{error}");
                            Ok(())
                        }
                        error => Err(error),
                    })?;
                }
                output::line(&match self.config.json {
                    true => json::message(&opened),
                    false => self.page.message(&opened, now_ms()),
                })?;
                self.got += 1;
            }
            Event::Notice(notice) if self.config.json => output::line(&json::notice(&notice))?,
            Event::Notice(notice) => {
                // What went wrong is said even to those who want few words.
                let plain = Page { colour: false, ..self.page.clone() };
                output::words(&format!("{}\n", plain.notice(&notice, now_ms())));
            }
        }
        Ok(!self.has_enough())
    }

    fn other(&mut self, _frame: ToClient) -> Result<(), Error> {
        Ok(())
    }

    fn deadline(&self) -> Option<Instant> {
        self.until
    }

    fn due(&mut self, now: Instant) -> Result<bool, Error> {
        Ok(!self.has_enough() && self.until.is_none_or(|until| now < until))
    }
}
