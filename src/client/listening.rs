//! The listening thread: receives frames, acknowledges, verifies, opens and shows.

use std::collections::VecDeque;
use std::time::Instant;

use super::Error;
use super::dialogue::answered;
use super::event::Event;
use super::link::{Link, Reading};
use super::output::now_ms;
use super::reason::{Asked, Refusal};
use super::receive::{Action, Now, Receiver};
use crate::transport::Stop;
use crate::wire::{ToClient, ToServer};

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
        if over.is_asked() || !audience.due(Instant::now())? {
            return Ok(());
        }
        waiting.extend(link.receive(&mut reading, audience.deadline())?);
    }
}

/// One frame. False ends the listening.
fn take(link: &Link, frame: ToClient, receiver: &mut Receiver<'_>, audience: &mut dyn Audience) -> Result<bool, Error> {
    let now = Now { instant: Instant::now(), unix_ms: now_ms() };
    let actions = match frame {
        ToClient::Bye(reason) => return Err(Error::Refused(Refusal { asked: Asked::Session, reason })),
        ToClient::Deliver { delivery, backlog, envelope } => receiver.delivered(delivery, backlog, &envelope, now)?,
        frame if answered(&frame).is_some_and(Receiver::asked) => match frame {
            ToClient::Found { request, bundle } => receiver.found(request, &bundle, now)?,
            frame => receiver.not_found(answered(&frame).unwrap_or_default(), now),
        },
        frame => {
            audience.other(frame)?;
            return Ok(true);
        }
    };
    let mut go_on = true;
    for action in actions {
        match action {
            Action::Ack(delivery) => link.send(&ToServer::Ack(delivery))?,
            Action::Lookup { request, name, fingerprint } => {
                link.send(&ToServer::Lookup { request, name, fingerprint: Some(fingerprint) })?;
            }
            Action::Show(event) => go_on &= audience.show(event)?,
        }
    }
    Ok(go_on)
}
