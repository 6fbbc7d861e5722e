//! The login: SCRAM-SHA-256 bound to the connection, and a signature by the identity key.

use super::request::Dialogue;
use crate::client::error::Error;
use crate::client::error::server::ServerError;
use crate::client::model::refusal::{Asked, Refusal};
use crate::client::state::seen::Reached;
use crate::crypto::keys::PrivateKey;
use crate::crypto::scram::{ClientFirst, Password, Salted, ScramError};
use crate::names::UserName;
use crate::wire::to_client::Reason;
use crate::wire::to_server::Mode;
use crate::wire::{Code, ToClient, ToServer, signed};

/// How many are here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Welcome {
    /// Seats taken, one's own included.
    pub taken: u32,
    pub seats: u32,
    /// Number of the account's key bundle there.
    pub bundle: u64,
    /// Number of the last message that is safe on the server's disk.
    pub kept: u64,
}

/// A login that was taken.
pub(crate) struct LoggedIn {
    /// What the server said.
    pub welcome: Welcome,
    /// What the password was derived to.
    pub salted: Salted,
    /// It was kept from a former password.
    pub by_former: bool,
}

/// What is kept of a former password with this salt and these rounds.
pub(crate) type Kept<'a> = &'a dyn Fn(&[u8; 16], u32) -> Option<Salted>;

/// Logs in. When this returns, the server has proved that it knows the account, too.
pub(crate) fn log_in(
    dialogue: &mut Dialogue,
    name: &UserName,
    identity: &PrivateKey,
    password: &Password,
    kept: Kept<'_>,
    mode: Mode,
) -> Result<LoggedIn, Error> {
    dialogue.asks(Asked::Login(name.clone()));
    let exporter = dialogue.link().exporter()?;
    let first = ClientFirst::new(name, &exporter);
    let sign = |bytes: &[u8]| identity.sign(bytes).map_err(Error::key("identity.pem"));
    let signature = sign(&signed::login_start(&exporter, name))?;
    dialogue.send(&ToServer::LoginStart { mode, client_first: first.message().to_owned(), signature })?;
    let server_first = match dialogue.next()? {
        ToClient::Challenge { server_first } => server_first,
        other => return Err(dialogue.unexpected(other, "Challenge")),
    };
    let last =
        first.answer_with(&server_first, password, kept).map_err(|why| Error::Server(ServerError::Scram { why }))?;
    let signature = sign(&signed::login(last.auth_message()))?;
    dialogue.send(&ToServer::LoginProof { client_final: last.message().to_owned(), signature })?;
    let (server_final, welcome) = match dialogue.next()? {
        ToClient::Welcome { server_final, seats_taken, seats, bundle, kept, acknowledged } => {
            dialogue.logged_in(Reached { acknowledged, kept });
            (server_final, Welcome { taken: seats_taken, seats, bundle, kept })
        }
        other => return Err(dialogue.unexpected(other, "Welcome")),
    };
    last.verify(&server_final).map_err(|why| refused(name, why))?;
    dialogue.asks(Asked::Session);
    let (salted, by_former) = last.into_salted();
    Ok(LoggedIn { welcome, salted, by_former })
}

fn refused(name: &UserName, why: ScramError) -> Error {
    match why {
        ScramError::Refused => {
            Error::Refused(Refusal { asked: Asked::Login(name.clone()), reason: Reason::new(Code::LoginRefused) })
        }
        why => Error::Server(ServerError::Scram { why }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::peer_tests::{next, pair, say};
    use crate::crypto::scram::{self, ServerFirst};
    use crate::crypto::test_keys::ALICE;
    use crate::error::{Exit, Explain};
    use crate::transport::Connection;

    fn alice() -> UserName {
        "alice".parse().unwrap()
    }

    fn password(text: &str) -> Password {
        Password::new(text).unwrap()
    }

    /// Logs Alice in with `password1` at a server that knows `known`, and answers a proof with what `answer` makes
    /// of whether it holds and of the server's own proof.
    fn login(known: &str, answer: impl FnOnce(bool, String) -> ToClient + Send) -> Result<Welcome, Error> {
        let (mut server, link) = pair();
        let verifier = scram::verifier(&password(known)).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || serve(&mut server, &verifier, answer));
            let mut dialogue = Dialogue::new(link, "test".to_owned());
            log_in(&mut dialogue, &alice(), &ALICE, &password("password1"), &|_, _| None, Mode::Errand)
                .map(|logged_in| logged_in.welcome)
        })
    }

    fn serve(server: &mut Connection, verifier: &crate::wire::Verifier, answer: impl FnOnce(bool, String) -> ToClient) {
        let ToServer::LoginStart { client_first, signature, .. } = next(server) else { panic!("no LoginStart") };
        let proof = signed::login_start(&server.exporter().unwrap(), &alice());
        assert!(ALICE.public().verify(&proof, &signature));
        let challenge = ServerFirst::parse(&client_first).unwrap().challenge(verifier);
        say(server, &ToClient::Challenge { server_first: challenge.message().to_owned() });
        let ToServer::LoginProof { client_final, signature } = next(server) else { panic!("no LoginProof") };
        let outcome = challenge.check(&client_final, &server.exporter().unwrap()).unwrap();
        assert!(ALICE.public().verify(&signed::login(&outcome.auth_message), &signature));
        say(server, &answer(outcome.proof_holds, outcome.server_final));
    }

    fn welcome(server_final: String) -> ToClient {
        ToClient::Welcome { server_final, seats_taken: 1, seats: 10, bundle: 1, kept: 0, acknowledged: 0 }
    }

    #[test]
    fn the_right_password_logs_in() {
        let logged_in = login("password1", |holds, server_final| {
            assert!(holds);
            welcome(server_final)
        });
        assert_eq!(logged_in.unwrap(), Welcome { taken: 1, seats: 10, bundle: 1, kept: 0 });
    }

    #[test]
    fn a_server_that_does_not_know_the_account_is_not_believed() {
        for known in ["password1", "password2"] {
            let liar = login(known, |_, _| welcome(format!("v={}", "A".repeat(43) + "=")));
            assert_eq!(liar.unwrap_err().exit(), Exit::Identity, "{known}");
        }
    }

    #[test]
    fn a_refused_login_is_a_wrong_name_or_password() {
        let refused = login("password2", |holds, _| {
            assert!(!holds);
            ToClient::Error { request: 0, reason: Reason::new(Code::LoginRefused) }
        });
        let error = refused.unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit()), ("wrong name or password.", Exit::Refused));
    }
}
