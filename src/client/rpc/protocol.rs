//! JSON-RPC 2.0 as lines: what one asks for, and those that answer. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::client::error::Error;
use crate::client::model::invocation::Invocation;
use crate::client::model::suite::Wanted;
use crate::client::ui::json;
use crate::client::ui::lines::Line;
use crate::error::Explain;
use crate::hint::Hint;

/// What one line holds.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    One(Request),
    /// Several, whose answers go into one line.
    Batch(Vec<Request>),
}

/// One request, or what stands in the place of one.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    /// Comes back with the answer; a notification has none, and gets none.
    pub(super) id: Option<Id>,
    /// What is to be done.
    pub(super) call: Result<Call, Fault>,
}

/// What a request is called by: a string, a number or null, as it was written. A number goes back with all its digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Id(String);

impl Id {
    /// That of what has none.
    pub(super) fn null() -> Self {
        Self("null".to_owned())
    }

    fn of(json: &str) -> Option<Self> {
        let fits =
            json == "null" || json.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit());
        fits.then(|| Self(json.to_owned()))
    }

    /// As JSON.
    pub(super) fn json(&self) -> &str {
        &self.0
    }
}

/// What can be asked for.
#[derive(Debug, PartialEq)]
pub(super) enum Call {
    Send(Send),
    /// Tell what comes from now on.
    Subscribe,
    /// Tell it no more.
    Unsubscribe,
    Users(Users),
    Fingerprint(Whose),
    /// Mark a key as verified.
    Verify(Key),
    /// Go on with a key.
    Trust(Key),
    Contacts,
}

/// What is to be sent.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Send {
    /// A name, or ALL.
    pub(super) to: String,
    pub(super) text: String,
    /// Group messages: DES-ECB.
    #[serde(default)]
    pub(super) ecb: bool,
    /// Direct messages: by this suite, if that is not weaker than what the recipient prefers.
    #[serde(default)]
    pub(super) suite: Option<Wanted>,
    /// How many seconds to wait for the delivery.
    #[serde(default)]
    pub(super) timeout: Option<u64>,
}

/// Which accounts.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Users {
    /// Only those who are here now.
    #[serde(default)]
    pub(super) online: bool,
}

/// Whose fingerprint.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Whose {
    /// One's own if nobody is named.
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// A contact's key.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Key {
    pub(super) name: String,
    /// The beginning of its fingerprint.
    pub(super) fingerprint: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Why something can't be carried out: the errors of JSON-RPC 2.0.
#[derive(Debug, PartialEq)]
pub(super) enum Fault {
    /// No JSON.
    Parse(String),
    /// JSON, but no request.
    Invalid(&'static str),
    /// Nothing of that name.
    NoMethod(String),
    /// Not what this method wants.
    Params(String),
}

/// Reads a line. An empty one asks for nothing.
pub(super) fn parse(line: Line) -> Option<Asked> {
    let text = match line {
        Line::Text(text) if text.trim().is_empty() => return None,
        Line::Text(text) => text,
        Line::TooLong => return Some(faulty(Fault::Parse("the line is too long".to_owned()))),
        Line::NotUtf8 => return Some(faulty(Fault::Parse("the line is not UTF-8".to_owned()))),
    };
    Some(match text.trim_start().starts_with('[') {
        true => match serde_json::from_str::<Vec<&RawValue>>(&text) {
            Err(error) => faulty(Fault::Parse(error.to_string())),
            Ok(requests) if requests.is_empty() => faulty(Fault::Invalid("an empty batch")),
            Ok(requests) => Asked::Batch(requests.into_iter().map(request).collect()),
        },
        false => match serde_json::from_str(&text) {
            Err(error) => faulty(Fault::Parse(error.to_string())),
            Ok(value) => Asked::One(request(value)),
        },
    })
}

/// Whatever is wrong with something that has no id of its own is answered with the id null.
fn faulty(fault: Fault) -> Asked {
    Asked::One(Request { id: Some(Id::null()), call: Err(fault) })
}

fn request(value: &RawValue) -> Request {
    let Ok(object) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()) else {
        return Request { id: Some(Id::null()), call: Err(Fault::Invalid("a request is an object")) };
    };
    let id = object.get("id").map(|id| Id::of(id.get()));
    match checked(&id, &object) {
        Ok((method, params)) => Request { id: id.flatten(), call: call(&method, params) },
        // Whether it was meant as a notification is not known.
        Err(why) => Request { id: Some(id.flatten().unwrap_or_else(Id::null)), call: Err(Fault::Invalid(why)) },
    }
}

fn checked(
    id: &Option<Option<Id>>,
    object: &BTreeMap<String, &RawValue>,
) -> Result<(String, Option<Value>), &'static str> {
    let value = |name: &str| object.get(name).and_then(|value| serde_json::from_str::<Value>(value.get()).ok());
    if value("jsonrpc").as_ref().and_then(Value::as_str) != Some("2.0") {
        return Err("\"jsonrpc\" must be \"2.0\"");
    }
    if matches!(id, Some(None)) {
        return Err("\"id\" must be a string, a number or null");
    }
    let params = match (object.contains_key("params"), value("params")) {
        (false, _) => None,
        (true, Some(params @ (Value::Array(_) | Value::Object(_)))) => Some(params),
        (true, _) => return Err("\"params\" must be an object or an array"),
    };
    match value("method") {
        Some(Value::String(method)) => Ok((method, params)),
        _ => Err("\"method\" must be a string"),
    }
}

fn call(method: &str, params: Option<Value>) -> Result<Call, Fault> {
    Ok(match method {
        "send" => Call::Send(read(params)?),
        "subscribe" => read(params).map(|Nothing {}| Call::Subscribe)?,
        "unsubscribe" => read(params).map(|Nothing {}| Call::Unsubscribe)?,
        "users" => Call::Users(read(params)?),
        "fingerprint" => Call::Fingerprint(read(params)?),
        "verify" => Call::Verify(read(params)?),
        "trust" => Call::Trust(read(params)?),
        "contacts" => read(params).map(|Nothing {}| Call::Contacts)?,
        other => return Err(Fault::NoMethod(other.to_owned())),
    })
}

/// Parameters by name. None at all may also be an empty array.
fn read<T: DeserializeOwned>(params: Option<Value>) -> Result<T, Fault> {
    let params = match params {
        None => Value::Object(Map::new()),
        Some(Value::Array(array)) if array.is_empty() => Value::Object(Map::new()),
        Some(Value::Array(_)) => return Err(Fault::Params("they go by name: an object".to_owned())),
        Some(params) => params,
    };
    serde_json::from_value(params).map_err(|error| Fault::Params(error.to_string()))
}

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

/// Something that nobody asked for: `line` is an object of `listen --json`, and its type the method.
pub(super) fn notification(method: &str, line: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{line}}}"#)
}

/// A line of another client as such a notification; one of another sort is nothing.
pub(super) fn passed_on(line: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow)]
        r#type: Cow<'a, str>,
    }
    let Typed { r#type } = serde_json::from_str(line).ok()?;
    NOTIFICATIONS.contains(&r#type.as_ref()).then(|| notification(&r#type, line))
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

    fn one(line: &str) -> Request {
        match parse(Line::Text(line.to_owned())) {
            Some(Asked::One(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    fn id(json: &str) -> Option<Id> {
        Id::of(json)
    }

    #[test]
    fn an_id_comes_back_as_it_was_written() {
        for written in
            ["18446744073709551616", "-9223372036854775809", "1e400", "0.10", "null", r#""\u0061\/""#, "\"\"", "7"]
        {
            let line = format!(r#"{{"jsonrpc":"2.0","id": {written} ,"method":"users"}}"#);
            let request = one(&line);
            assert_eq!(request.id, id(written));
            assert!(request.call.is_ok(), "{line}");
            assert_eq!(request.id.unwrap().json(), written);
        }
        for other in ["{}", "[1]", "true", "false"] {
            assert_eq!(id(other), None);
        }
    }

    #[test]
    fn a_request_has_a_method_and_parameters_by_name() {
        let request = one(r#"{"jsonrpc":"2.0","id":7,"method":"send","params":{"to":"bob","text":"hi"}}"#);
        let send = Send { to: "bob".into(), text: "hi".into(), ecb: false, suite: None, timeout: None };
        assert_eq!(request, Request { id: id("7"), call: Ok(Call::Send(send)) });
        for params in ["", r#","params":{}"#, r#","params":[]"#] {
            let request = one(&format!(r#"{{"jsonrpc":"2.0","method":"subscribe"{params}}}"#));
            assert_eq!(request, Request { id: None, call: Ok(Call::Subscribe) }, "{params}");
        }
        assert_eq!(parse(Line::Text(" \t".into())), None);
    }

    #[test]
    fn what_is_no_request_is_told_with_the_id_that_can_be_read() {
        for (line, expected) in [
            ("1", "null"),
            (r#"{"id":1}"#, "1"),
            (r#"{"jsonrpc":"1.0","id":"a","method":"users"}"#, "\"a\""),
            (r#"{"jsonrpc":"2.0","id":[1],"method":"users"}"#, "null"),
            (r#"{"jsonrpc":"2.0","id":2,"method":3}"#, "2"),
            (r#"{"jsonrpc":"2.0","id":2,"method":"users","params":"x"}"#, "2"),
            (r#"{"jsonrpc":"2.0","method":1,"params":"bar"}"#, "null"),
            ("[]", "null"),
        ] {
            let request = one(line);
            assert!(matches!(request.call, Err(Fault::Invalid(_))), "{line}: {request:?}");
            assert_eq!(request.id, id(expected), "{line}");
        }
        for line in ["{", "", "\"", "[1,", "{\"jsonrpc\": \"2.0\", \"method\": \"foobar, \"params\": \"bar\", \"baz]"] {
            let asked = parse(Line::Text(format!("{line}x")));
            let Some(Asked::One(Request { id: null, call: Err(Fault::Parse(_)) })) = asked else {
                panic!("{line}: {asked:?}")
            };
            assert_eq!(null, id("null"));
        }
        for line in [Line::TooLong, Line::NotUtf8] {
            assert!(matches!(parse(line), Some(Asked::One(Request { call: Err(Fault::Parse(_)), .. }))));
        }
    }

    #[test]
    fn a_batch_keeps_its_order_and_each_of_its_faults() {
        let Some(Asked::Batch(requests)) = parse(Line::Text(
            r#"[{"jsonrpc":"2.0","id":1,"method":"contacts"},1,{"jsonrpc":"2.0","method":"nothing"}]"#.into(),
        )) else {
            panic!("no batch")
        };
        assert_eq!(requests[0], Request { id: id("1"), call: Ok(Call::Contacts) });
        assert_eq!(requests[1].id, id("null"));
        assert!(matches!(requests[1].call, Err(Fault::Invalid(_))));
        assert_eq!(requests[2], Request { id: None, call: Err(Fault::NoMethod("nothing".into())) });
    }

    #[test]
    fn parameters_must_be_what_the_method_wants() {
        for (method, params, why) in [
            ("send", r#"{"to":"bob"}"#, "missing field `text`"),
            ("send", r#"{"to":"bob","text":1}"#, "invalid type: integer `1`, expected a string"),
            ("users", r#"{"on":true}"#, "unknown field `on`, expected `online`"),
            ("verify", r#"["bob","91c0"]"#, "they go by name: an object"),
            ("subscribe", r#"{"x":1}"#, "unknown field `x`, there are no fields"),
        ] {
            let request = one(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#));
            assert_eq!(request.call, Err(Fault::Params(why.to_owned())), "{method} {params}");
        }
    }

    /// That of a request.
    fn asked_id(json: &str) -> Id {
        match parse(Line::Text(format!(r#"{{"id":{json}}}"#))) {
            Some(Asked::One(Request { id: Some(id), .. })) => id,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_error_of_our_own_tells_what_a_script_would_learn() {
        let error = Error::NoSuchUser { name: "carl".parse().unwrap(), nearest: None }.not_sent();
        assert_eq!(
            failed(&asked_id(r#""a\u001b""#), &error, &Invocation::default()),
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
        assert_eq!(passed_on(line), Some(told));
        for line in ["", "{", r#"{"type":"user"}"#, r#"{"type":"x\"y"}"#, "[]"] {
            assert_eq!(passed_on(line), None, "{line}");
        }
    }
}
