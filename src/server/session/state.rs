//! What a session may do when. Pure: the table of states and frames (`docs/PROTOCOL.md`, "States").

use crate::limits::{LOGIN_TRIES, REGISTRATIONS_PER_CONNECTION};
use crate::wire::ToServer;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A challenge was sent; its answer is awaited.
    Challenged,
    /// TLS is up, nobody has logged in.
    Guest,
    Member,
}

/// What is to be done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It has its place here.
    Handle,
    /// It is refused with `NotNow`; nothing changes.
    NotNow,
}

/// Whether `frame` has a place in `phase`.
pub(crate) fn verdict(phase: Phase, frame: &ToServer) -> Verdict {
    let fits = match frame {
        ToServer::Bye | ToServer::Ping { .. } | ToServer::Pong { .. } => true,
        ToServer::AskPolicy { .. } | ToServer::Register { .. } | ToServer::LoginStart { .. } => phase == Phase::Guest,
        ToServer::LoginProof { .. } => phase == Phase::Challenged,
        ToServer::Ack(_)
        | ToServer::DeleteAccount { .. }
        | ToServer::List { .. }
        | ToServer::Lookup { .. }
        | ToServer::Seen { .. }
        | ToServer::Send { .. }
        | ToServer::SetPassword { .. }
        | ToServer::UpdateKeys { .. }
        | ToServer::Watch { .. } => phase == Phase::Member,
    };
    if fits { Verdict::Handle } else { Verdict::NotNow }
}

/// Counts what a guest may try only so often on one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tries {
    failed_logins: u32,
    registrations: u32,
}

impl Tries {
    /// A login failed. False when that was the last try.
    pub(crate) fn login_failed(&mut self) -> bool {
        self.failed_logins += 1;
        self.failed_logins < LOGIN_TRIES
    }

    /// A registration is asked for. False when there were enough.
    pub(crate) fn register(&mut self) -> bool {
        self.registrations += 1;
        self.registrations <= REGISTRATIONS_PER_CONNECTION
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::to_server::{Mode, Scope};
    use crate::wire::{DeliveryId, Verifier};

    fn every_frame() -> Vec<ToServer> {
        let verifier = Verifier { salt: [0; 16], iterations: 1, stored_key: [0; 32], server_key: [0; 32] };
        vec![
            ToServer::Ack(DeliveryId { epoch: 1, number: 1 }),
            ToServer::AskPolicy { invite: String::new() },
            ToServer::Bye,
            ToServer::DeleteAccount { request: 1 },
            ToServer::List { request: 1, scope: Scope::All, after: None },
            ToServer::LoginProof { client_final: String::new(), signature: Vec::new() },
            ToServer::LoginStart { mode: Mode::Errand, client_first: String::new(), signature: Vec::new() },
            ToServer::Lookup { request: 1, name: "bob".parse().unwrap(), fingerprint: None },
            ToServer::Ping { token: 1 },
            ToServer::Pong { token: 1 },
            ToServer::Register {
                bundle: Vec::new(),
                verifier: verifier.clone(),
                invite: String::new(),
                proof: Vec::new(),
            },
            ToServer::Seen { kept: 1 },
            ToServer::Send { envelope: Vec::new() },
            ToServer::SetPassword { request: 1, verifier },
            ToServer::UpdateKeys { request: 1, bundle: Vec::new(), handover: Vec::new(), proof: Vec::new() },
            ToServer::Watch { on: true },
        ]
    }

    #[track_caller]
    fn allowed(phase: Phase, expected: &[&str]) {
        let frames = every_frame();
        let allowed: Vec<_> =
            frames.iter().filter(|f| verdict(phase, f) == Verdict::Handle).map(ToServer::field).collect();
        assert_eq!(allowed, expected);
    }

    #[test]
    fn a_guest_may_register_and_begin_to_log_in() {
        allowed(Phase::Guest, &["AskPolicy", "Bye", "LoginStart", "Ping", "Pong", "Register"]);
    }

    #[test]
    fn a_challenge_is_answered_or_left() {
        allowed(Phase::Challenged, &["Bye", "LoginProof", "Ping", "Pong"]);
    }

    #[test]
    fn a_member_may_not_log_in_or_register_again() {
        let expected = [
            "Ack",
            "Bye",
            "DeleteAccount",
            "List",
            "Lookup",
            "Ping",
            "Pong",
            "Seen",
            "Send",
            "SetPassword",
            "UpdateKeys",
            "Watch",
        ];
        allowed(Phase::Member, &expected);
    }

    #[test]
    fn the_third_failed_login_is_the_last() {
        let mut tries = Tries::default();
        assert_eq!([tries.login_failed(), tries.login_failed(), tries.login_failed()], [true, true, false]);
        assert_eq!([tries.register(), tries.register()], [true, false]);
    }
}
