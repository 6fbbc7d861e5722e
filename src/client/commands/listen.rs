//! `topchat listen`: messages on stdout as they come.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::model::event::{Notice, Opened};
use crate::client::net::connection::Circuit;
use crate::client::net::session::{self, Session};
use crate::client::net::threads::{Part, conduct};
use crate::client::receive::Receiver;
use crate::client::receive::follow::{Follower, listen_on};
use crate::client::receive::listen_loop::{Audience, Receiving};
use crate::client::receive::skip_backlog::Left;
use crate::client::state::inbox::Inbox;
use crate::client::ui::output::{self, now_ms};
use crate::client::ui::render::Page;
use crate::client::ui::{json, page};
use crate::error::{Exit, Failure};
use crate::storage::{FileError, private};
use crate::transport::Stop;
use crate::wire::ToClient;
use crate::wire::to_server::Mode;

/// What is wanted.
pub(crate) struct Wanted {
    /// End after so many messages.
    pub count: Option<u64>,
    /// Write each message's parts here.
    pub export: Option<PathBuf>,
    /// Leave what waited already.
    pub no_backlog: bool,
}

/// Prints messages until there are enough, the time is over, or somebody ends it. A lost connection is got back.
pub(crate) fn command(config: &Config, wanted: Wanted, stop: &Stop, begun: &dyn Fn()) -> Result<(), Error> {
    let name = session::choose(config)?;
    wanted.export.as_deref().map(check_export).transpose()?;
    let Session { dialogue, again, contacts, .. } = session::open(config, &name, Mode::Receiving)?;
    begun();
    let folder = config.account_state(&name);
    let (inbox, ledger) = Inbox::open(&folder)?;
    config.say(format!("listening as {name}"));
    let history = again.member.history(config);
    let receiver = Receiver::new(&again.member, &contacts, ledger);
    let mut receiving = Receiving::new(&folder, inbox, receiver, history.as_ref());
    receiving.left = Left::new(wanted.no_backlog);
    let circuit = Circuit::default();
    let begun = Instant::now();
    let until = config.timeout.map(|timeout| begun + timeout);
    let page = page::of(&config.invocation, &std::io::stdout());
    let mut printer = Printer { config, wanted, page, got: 0, begun, until };
    let printing = &mut printer;
    let interrupted = conduct(
        &circuit,
        stop,
        vec![Part {
            name: "listening",
            run: Box::new(|over| listen_on(config, &again, dialogue, &circuit, &mut receiving, printing, over)),
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
        let (got, wanted) = (self.got, self.wanted.count.unwrap_or(0));
        Failure::new(Exit::Local, format!("{got} of {wanted} messages came in {secs} s")).into()
    }

    fn has_enough(&self) -> bool {
        self.wanted.count.is_some_and(|count| self.got >= count)
    }

    /// What went wrong is said even to those who want few words.
    fn plain(&self) -> Page {
        Page { colour: false, ..self.page.clone() }
    }
}

impl Audience for Printer<'_> {
    /// What came in the same moment as the last message wanted stays in the inbox: exactly so many are printed.
    fn room(&self) -> Option<u64> {
        self.wanted.count.map(|count| count.saturating_sub(self.got))
    }

    fn message(&mut self, opened: &Opened) -> Result<(), Error> {
        if let Some(dir) = &self.wanted.export {
            // A copy from an earlier run is there already.
            export(dir, opened).or_else(|error| match error {
                Error::File(crate::storage::FileError::Exists { .. }) => {
                    log::warn!("{error}");
                    Ok(())
                }
                error => Err(error),
            })?;
        }
        output::line(&match self.config.json {
            true => json::message(opened),
            false => self.page.message(opened, now_ms()),
        })?;
        self.got += 1;
        Ok(())
    }

    fn notice(&mut self, notice: &Notice) -> Result<(), Error> {
        if self.config.json {
            return output::line(&json::notice(notice));
        }
        output::words(&format!("{}\n", self.plain().notice(notice, now_ms())));
        Ok(())
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

impl Follower for Printer<'_> {
    fn connected(&mut self, is_back: bool) -> Result<(), Error> {
        if is_back {
            self.config.say(self.plain().remark("connected again", now_ms()));
        }
        Ok(())
    }

    fn lost(&mut self, words: &str) -> Result<(), Error> {
        output::words(&format!("{}\n", self.plain().remark(words, now_ms())));
        Ok(())
    }
}

/// Whether messages can be written there: told before any is waited for.
fn check_export(dir: &Path) -> Result<(), Error> {
    private::ensure_folder(dir)?;
    Ok(private::check_room(dir)?)
}

/// Writes `DIR/ID/{hdr,h,ct,sig,tbs}.bin` and `sender.pub.pem`, and `ed25519.pub.pem` of what that key has signed, with the last 64 bytes of
/// `sig.bin`. Nothing is overwritten.
fn export(dir: &Path, opened: &Opened) -> Result<(), Error> {
    let envelope = &opened.envelope;
    // It may have gone since it was checked.
    private::ensure_folder(dir)?;
    let folder = dir.join(envelope.header.msg_id.to_hex());
    DirBuilder::new().mode(0o700).create(&folder).map_err(|source| match source.kind() {
        std::io::ErrorKind::AlreadyExists => FileError::Exists { path: folder.clone() },
        _ => FileError::Io { doing: "making the folder", path: folder.clone(), source },
    })?;
    let (signed, sender) = (envelope.signed_bytes(), opened.signed_by.identity.to_pem());
    let parts: [(&str, &[u8]); 6] = [
        ("hdr.bin", &envelope.header_bytes),
        ("h.bin", &envelope.commitment),
        ("ct.bin", &envelope.ciphertext),
        ("sig.bin", &envelope.signature),
        ("tbs.bin", &signed),
        ("sender.pub.pem", sender.as_bytes()),
    ];
    for (name, bytes) in parts {
        private::create_new(&folder.join(name), bytes)?;
    }
    if let Some(key) = &opened.signed_by.ed25519 {
        private::create_new(&folder.join("ed25519.pub.pem"), key.to_pem().as_bytes())?;
    }
    Ok(())
}
