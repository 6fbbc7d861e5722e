//! Who may make an account on the server: asked before anybody is led through a password and keys.

use super::config::Config;
use super::connect::connect;
use super::dialogue::Dialogue;
use super::prompt::Terminal;
use super::reason::Asked;
use super::{Error, Refusal, invite, session};
use crate::names::UserName;
use crate::wire::to_client::{Admission, Reason};
use crate::wire::{Code, ToClient, ToServer};

/// The invite code for a new account, if there is one: the one given, else the one that the person types where the server
/// wants one. What the server would refuse in any case is refused here.
pub fn admit(
    config: &Config,
    name: &UserName,
    given: Option<String>,
    terminal: Option<&Terminal>,
) -> Result<Option<String>, Error> {
    let refused = |code| {
        let asked = Asked::Register(name.clone());
        Err(Error::Refused(Refusal { asked, reason: Reason::new(code) }))
    };
    match session::patiently(config, || ask(config))? {
        Admission::Closed => refused(Code::RegistrationClosed),
        Admission::Invite if given.is_none() => match terminal {
            Some(terminal) => invite::ask_first(terminal).map(Some),
            None => refused(Code::InviteRefused),
        },
        Admission::Invite | Admission::Open => Ok(given),
    }
}

/// The connection ends behind the answer: whoever types now holds none open.
fn ask(config: &Config) -> Result<Admission, Error> {
    let mut dialogue = Dialogue::new(connect(config)?.link, config.server.to_string());
    dialogue.send(&ToServer::AskPolicy)?;
    match dialogue.next()? {
        ToClient::Policy { admission } => {
            dialogue.link().finish();
            Ok(admission)
        }
        other => Err(dialogue.unexpected(other, "Policy")),
    }
}
