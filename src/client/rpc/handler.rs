//! Carries out requests, over a connection that is got back when it is lost and closed when it is idle.

use std::sync::Arc;
use std::time::Duration;

use super::protocol;
use super::protocol::{Call, Key, Request, Send, Users, Whose};
use super::stdout::Stdout;
use super::subscription::Subscription;
use crate::client::config::{self, Config};
use crate::client::error::Error;
use crate::client::keys::folder::KeyFolder;
use crate::client::keys::group_file;
use crate::client::net::directory;
use crate::client::net::reconnect::is_lost;
use crate::client::net::session;
use crate::client::net::session::Session;
use crate::client::net::trust::{self, Digits, Meant, Verification};
use crate::client::send::{deliver, text};
use crate::client::trust::verification::Comparison;
use crate::client::ui::json;
use crate::limits::{ANSWER_WITHIN, TIMEOUT_SECS_MAX};
use crate::names::{Recipient, UserName};
use crate::transport::Stop;
use crate::wire::Fingerprint;
use crate::wire::to_server::Scope;

/// What requests are carried out with.
pub(super) struct Handler<'a> {
    config: &'a Config,
    session: Session,
    connected: bool,
    subscription: Option<Subscription>,
    over: &'a Stop,
    stdout: Arc<Stdout>,
}

impl<'a> Handler<'a> {
    /// With a session that has just begun. `over` is asked when nobody reads stdout any more.
    pub(super) fn new(config: &'a Config, session: Session, over: &'a Stop, stdout: Arc<Stdout>) -> Self {
        Self { config, session, connected: true, subscription: None, over, stdout }
    }

    /// Whether there is a connection that could be idle.
    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// Closes an idle connection: the next request that needs one opens it again.
    pub(super) fn hang_up(&mut self) {
        if std::mem::take(&mut self.connected) {
            self.session.dialogue.link().finish();
        }
    }

    /// Ends everything.
    pub(super) fn close(mut self) {
        if let Some(subscription) = self.subscription.take() {
            subscription.end();
        }
        self.hang_up();
    }

    /// Carries it out, and gives the answer, which a notification has none of.
    pub(super) fn answer(&mut self, request: Request) -> Option<String> {
        let Request { id, call } = request;
        let done = call.map(|call| self.call(call));
        let id = id?;
        Some(match done {
            Ok(Ok(result)) => protocol::done(&id, &result),
            Ok(Err(error)) => protocol::failed(&id, &error, &self.config.invocation),
            Err(fault) => protocol::refused(&id, &fault),
        })
    }

    fn call(&mut self, call: Call) -> Result<String, Error> {
        match call {
            Call::Send(wanted) => self.send(wanted),
            Call::Subscribe => self.subscribe(),
            Call::Unsubscribe => Ok(self.unsubscribe()),
            Call::Users(wanted) => self.users(&wanted),
            Call::Fingerprint(whose) => self.fingerprint(&whose),
            Call::Verify(key) => self.verify(&key),
            Call::Trust(key) => self.trust(&key),
            Call::Contacts => self.contacts(),
        }
    }

    fn send(&mut self, wanted: Send) -> Result<String, Error> {
        let Send { to, text, ecb, suite, timeout } = wanted;
        let (to, text, suite) = (config::recipient(&to)?, text::check(text)?, suite.map(Into::into));
        let message = deliver::Message { to, text, ecb, suite };
        let group = if message.to == Recipient::All { Some(group_file::need(self.config)?) } else { None };
        let given = timeout.map(|secs| Duration::from_secs(secs.min(TIMEOUT_SECS_MAX)));
        let limit = given.or(self.config.timeout).unwrap_or(ANSWER_WITHIN);
        let config = self.config;
        let sent = self.ask(|session| deliver::deliver(config, session, &message, group.as_ref(), limit))?;
        sent.confirmed(&message.to)?;
        Ok(sent.object(&message.to))
    }

    fn subscribe(&mut self) -> Result<String, Error> {
        if let Some(ended) = self.subscription.take_if(|subscription| subscription.has_ended()) {
            ended.end();
        }
        match &self.subscription {
            Some(going_on) => Ok(going_on.state()),
            None => {
                let again = &self.session.again;
                let name = again.member.name.clone();
                let begun = Subscription::begin(self.config, name, Arc::clone(&again.secret), self.over, &self.stdout)?;
                Ok(self.subscription.insert(begun).state())
            }
        }
    }

    fn unsubscribe(&mut self) -> String {
        if let Some(subscription) = self.subscription.take() {
            subscription.end();
        }
        crate::client::receive::feed::status("none", None)
    }

    fn users(&mut self, wanted: &Users) -> Result<String, Error> {
        let scope = if wanted.online { Scope::Online } else { Scope::All };
        let entries = self.ask(|session| directory::list(&mut session.dialogue, scope))?;
        Ok(list(entries.iter().map(json::user)))
    }

    fn contacts(&self) -> Result<String, Error> {
        let all = self.session.contacts.list()?;
        Ok(list(all.iter().map(|(name, pin)| json::contact(name, pin))))
    }

    fn fingerprint(&mut self, whose: &Whose) -> Result<String, Error> {
        let (own, key) = self.own()?;
        let name = whose.name.as_deref().map(config::name).transpose()?.filter(|name| *name != own);
        let Some(name) = name else { return Ok(json::fingerprint("fingerprint", &own, key, None)) };
        let theirs = match self.session.contacts.pinned(&name)? {
            Some(pin) => pin.key.fingerprint(),
            None => {
                let asked = |session: &mut Session| trust::contact(&mut session.dialogue, &session.contacts, &name);
                self.ask(asked)?.bundle.identity.fingerprint()
            }
        };
        let comparison = Comparison::new((&own, key), (&name, theirs));
        Ok(json::fingerprint("fingerprint", &name, theirs, Some(comparison.digits())))
    }

    fn own(&self) -> Result<(UserName, Fingerprint), Error> {
        let own = self.session.again.member.name.clone();
        let key = KeyFolder::new(&self.config.users_dir(), &own).public_identity()?.fingerprint();
        Ok((own, key))
    }

    fn verify(&mut self, key: &Key) -> Result<String, Error> {
        let name = config::name(&key.name)?;
        let digits = Digits::to_verify(&key.fingerprint)?;
        let asked = |session: &mut Session| Verification::begin(&mut session.dialogue, &session.contacts, &name);
        let verification = self.ask(asked)?;
        verification.check(&digits)?;
        verification.confirm(&self.session.contacts)?;
        Ok(json::fingerprint("verified", &name, verification.fingerprint(), None))
    }

    fn trust(&mut self, key: &Key) -> Result<String, Error> {
        let name = config::name(&key.name)?;
        let meant = Meant::typed(&key.fingerprint)?;
        let asked =
            |session: &mut Session| trust::trust(&mut session.dialogue, &session.contacts, &name, meant.clone());
        let now = self.ask(asked)?;
        Ok(json::fingerprint("trusted", &name, now, None))
    }

    /// Asks over the connection. One that was lost meanwhile, which shows only now, is opened again once.
    fn ask<T>(&mut self, mut question: impl FnMut(&mut Session) -> Result<T, Error>) -> Result<T, Error> {
        let was_connected = self.connected;
        self.connect()?;
        match question(&mut self.session) {
            Err(error) if is_lost(&error) => {
                self.hang_up();
                if !was_connected {
                    return Err(error);
                }
                self.connect()?;
                question(&mut self.session)
            }
            result => result,
        }
    }

    fn connect(&mut self) -> Result<(), Error> {
        if !self.connected {
            self.session.dialogue = session::log_in_again(self.config, &self.session.again)?;
            self.connected = true;
        }
        Ok(())
    }
}

/// Objects as one array.
fn list(objects: impl Iterator<Item = String>) -> String {
    format!("[{}]", objects.collect::<Vec<_>>().join(","))
}
