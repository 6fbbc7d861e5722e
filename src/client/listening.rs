//! The listening thread: receives frames, acknowledges, verifies, opens and shows.

use std::collections::VecDeque;
use std::time::Instant;

use super::Error;
use super::dialogue::answered;
use super::event::Event;
use super::link::{Link, Reading};
use super::output::now_ms;
use super::reason::{Asked, Refusal};
use super::receive::{Action, Delivered, Now, Receiver};
use crate::transport::Stop;
use crate::wire::{Envelope, ToClient, ToServer};

/// Who looks at what comes.
pub trait Audience {
    /// A message or a notice. False ends the listening.
    fn show(&mut self, event: Event) -> Result<bool, Error>;

    /// A frame that is no delivery and nothing that the receiver asked for.
    fn other(&mut self, frame: ToClient) -> Result<(), Error>;

    /// When [`Self::due`] is to be called, if nothing comes before.
    fn deadline(&self) -> Option<Instant>;

    /// Called after everything that came, and at the deadline. False ends the listening.
    fn due(&mut self, now: Instant) -> Result<bool, Error>;
}

/// Listens until the audience has enough, the server says goodbye, or `over` is asked.
pub fn listen(
    link: &Link,
    mut reading: Reading,
    mut waiting: VecDeque<ToClient>,
    receiver: &mut Receiver<'_>,
    audience: &mut dyn Audience,
    over: &Stop,
) -> Result<(), Error> {
    loop {
        for frame in waiting.drain(..) {
            if !take(link, frame, receiver, audience)? {
                return Ok(());
            }
        }
        let given_up = receiver.due(now());
        if over.is_asked() || !perform(link, given_up, audience)? || !audience.due(Instant::now())? {
            return Ok(());
        }
        let deadline = audience.deadline().into_iter().chain(receiver.deadline()).min();
        waiting.extend(link.receive(&mut reading, deadline)?);
    }
}

/// One frame. False ends the listening.
fn take(link: &Link, frame: ToClient, receiver: &mut Receiver<'_>, audience: &mut dyn Audience) -> Result<bool, Error> {
    let now = now();
    let actions = match frame {
        ToClient::Bye(reason) => return Err(Error::Refused(Refusal { asked: Asked::Session, reason })),
        ToClient::Deliver { delivery, backlog, envelope } => {
            let parsed = Envelope::parse(&envelope);
            // Before any key is looked at: neither whether nor when this goes out depends on what the message holds.
            link.send(&ToServer::Ack(delivery))?;
            match parsed {
                Ok(envelope) => receiver.arrived(Delivered { envelope, backlog }, now)?,
                Err(_) => vec![receiver.malformed()],
            }
        }
        frame if answered(&frame).is_some_and(Receiver::asked) => match frame {
            ToClient::Found { request, bundle } => receiver.found(request, &bundle, now)?,
            frame => receiver.not_found(answered(&frame).unwrap_or_default(), now)?,
        },
        frame => {
            audience.other(frame)?;
            return Ok(true);
        }
    };
    perform(link, actions, audience)
}

/// What the receiver wants done. False ends the listening.
fn perform(link: &Link, actions: Vec<Action>, audience: &mut dyn Audience) -> Result<bool, Error> {
    let mut go_on = true;
    for action in actions {
        match action {
            Action::Lookup { request, name, fingerprint } => {
                link.send(&ToServer::Lookup { request, name, fingerprint: Some(fingerprint) })?;
            }
            Action::Show(event) => go_on &= audience.show(event)?,
        }
    }
    Ok(go_on)
}

fn now() -> Now {
    Now { instant: Instant::now(), unix_ms: now_ms() }
}

#[cfg(test)]
#[path = "listening_tests.rs"]
mod tests;
