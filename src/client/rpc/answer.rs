//! The lines that JSON-RPC 2.0 answers with. Pure.

use serde::Serialize;
use serde_json::Value;

use super::request::{Fault, Id};
use crate::client::error::Error;
use crate::client::model::invocation::Invocation;
use crate::client::ui::json;
use crate::error::Explain;
use crate::hint::Hint;

/// An error as JSON-RPC has it.
#[derive(Serialize)]
struct Failure {
    code: i32,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// What a shell script learns from the command of the same name.
#[derive(Serialize)]
struct Data {
    exit: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// `result` is JSON.
pub(super) fn done(id: &Id, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, json::escaped(id.json()))
}

/// A request that could not be carried out.
pub(super) fn failed(id: &Id, error: &Error, invocation: &Invocation) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"error":{}}}"#, json::escaped(id.json()), text(&failure(error, invocation)))
}

/// A line that is no request that can be carried out.
pub(super) fn refused(id: &Id, fault: &Fault) -> String {
    let (code, message) = match fault {
        Fault::Parse(why) => (-32700, format!("parse error: {why}")),
        Fault::Invalid(why) => (-32600, format!("invalid request: {why}")),
        Fault::NoMethod(name) => (-32601, format!("method not found: {name}")),
        Fault::Params(why) => (-32602, format!("invalid params: {why}")),
    };
    format!(
        r#"{{"jsonrpc":"2.0","id":{},"error":{}}}"#,
        json::escaped(id.json()),
        text(&Failure { code, message, data: None })
    )
}

/// The answers to a batch; none if nobody wants one.
pub(super) fn batch(answers: &[String]) -> Option<String> {
    (!answers.is_empty()).then(|| format!("[{}]", answers.join(",")))
}

/// Something that nobody asked for: `line` is an object of `listen --json`, and its type the method. Anything else is nothing.
pub(super) fn notification(line: &str) -> Option<String> {
    let object: Value = serde_json::from_str(line).ok()?;
    let method = object.get("type")?.as_str().filter(|name| NOTIFICATIONS.contains(name))?;
    Some(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{line}}}"#))
}

/// That nothing comes any more, and why.
pub(super) fn ended(error: &Error, invocation: &Invocation) -> String {
    #[derive(Serialize)]
    struct Ended {
        r#type: &'static str,
        state: &'static str,
        why: String,
        error: Failure,
    }
    json::line(&Ended { r#type: "status", state: "ended", why: error.to_string(), error: failure(error, invocation) })
}

fn failure(error: &Error, invocation: &Invocation) -> Failure {
    let typed = |words: &Hint| invocation.shown(words).text;
    let exit = error.exit() as u8;
    Failure {
        code: OWN_ERRORS - i32::from(exit),
        message: typed(&error.message()),
        data: Some(Data { exit, hint: error.hint().map(|hint| typed(&hint)) }),
    }
}

fn text(object: &impl Serialize) -> String {
    json::escaped(&serde_json::to_string(object).expect("these objects have text keys only"))
}

/// What may be told without being asked for.
const NOTIFICATIONS: [&str; 3] = ["message", "notice", "status"];
/// The codes from here to 99 below are left to each program: this one takes away the exit code.
const OWN_ERRORS: i32 = -32000;

#[cfg(test)]
mod tests {
    use super::*;

    /// That of a request.
    fn id(json: &str) -> Id {
        use crate::client::rpc::request::{Asked, Request, parse};
        use crate::client::ui::lines::Line;
        match parse(Line::Text(format!(r#"{{"id":{json}}}"#))) {
            Some(Asked::One(Request { id: Some(id), .. })) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_of_our_own_tells_what_a_script_would_learn() {
        let error = Error::NoSuchUser { name: "carl".parse().unwrap(), nearest: None }.not_sent();
        assert_eq!(
            failed(&id(r#""a\u001b""#), &error, &Invocation::default()),
            concat!(
                r#"{"jsonrpc":"2.0","id":"a\u001b","error":{"code":-32007,"message":"no user \"carl\" here. Nothing was sent.","#,
                r#""data":{"exit":7,"hint":"see who there is: topchat users"}}}"#
            )
        );
        assert!(failed(&Id::null(), &Error::TextNotUtf8, &Invocation::default()).ends_with(r#""data":{"exit":2}}}"#));
    }

    #[test]
    fn the_faults_have_the_codes_of_the_specification() {
        for (fault, start) in [
            (
                Fault::Parse("x".into()),
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: x"}}"#,
            ),
            (
                Fault::Invalid("x"),
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"invalid request: x"}}"#,
            ),
            (
                Fault::NoMethod("\u{202e}x".into()),
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32601,"message":"method not found: \u202ex"}}"#,
            ),
            (
                Fault::Params("x".into()),
                r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32602,"message":"invalid params: x"}}"#,
            ),
        ] {
            assert_eq!(refused(&Id::null(), &fault), start);
        }
    }

    #[test]
    fn a_batch_without_answers_is_no_line() {
        assert_eq!(batch(&[]), None);
        assert_eq!(batch(&["1".to_owned(), "2".to_owned()]).as_deref(), Some("[1,2]"));
    }

    #[test]
    fn only_lines_of_a_known_sort_are_passed_on() {
        let line = r#"{"v":1,"type":"message","text":"hi"}"#;
        let told = format!(r#"{{"jsonrpc":"2.0","method":"message","params":{line}}}"#);
        assert_eq!(notification(line), Some(told));
        for line in ["", "{", r#"{"type":"user"}"#, r#"{"type":"x\"y"}"#, "[]"] {
            assert_eq!(notification(line), None, "{line}");
        }
    }
}
