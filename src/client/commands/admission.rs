//! Who may make an account on the server: asked before anybody is led through a password and keys.

use super::invite;
use crate::client::config::Config;
use crate::client::error::Error;
use crate::client::model::refusal::Asked;
use crate::client::model::refusal::Refusal;
use crate::client::net::connect::connect;
use crate::client::net::request::Dialogue;
use crate::client::net::session;
use crate::client::ui::prompt::Terminal;
use crate::names::UserName;
use crate::wire::to_client::{Admission, Reason};
use crate::wire::{Code, ToClient, ToServer};

/// The invite code for a new account, if one is needed: the one given, else one that the person types, which the server finds
/// good. What the server would refuse in any case is refused here.
pub(crate) fn admit(
    config: &Config,
    name: &UserName,
    given: Option<String>,
    terminal: Option<&Terminal>,
) -> Result<Option<String>, Error> {
    let refused = |code| {
        let asked = Asked::Register(name.clone());
        Err(Error::Refused(Refusal { asked, reason: Reason::new(code) }))
    };
    invite::with_invite(terminal, given, |invite| match session::patiently(config, || ask(config, name, invite))? {
        Admission::Closed => refused(Code::RegistrationClosed),
        Admission::Invite if invite.is_empty() => refused(Code::InviteRefused),
        Admission::Invite | Admission::Open => Ok(Some(invite.to_owned()).filter(|invite| !invite.is_empty())),
    })
}

/// The connection ends behind the answer: whoever types now holds none open.
fn ask(config: &Config, name: &UserName, invite: &str) -> Result<Admission, Error> {
    let mut dialogue = Dialogue::new(connect(config)?.link, config.server.to_string());
    dialogue.asks(Asked::Register(name.clone()));
    dialogue.send(&ToServer::AskPolicy { invite: invite.to_owned() })?;
    match dialogue.next()? {
        ToClient::Policy { admission } => {
            dialogue.link().finish();
            Ok(admission)
        }
        other => Err(dialogue.unexpected(other, "Policy")),
    }
}
