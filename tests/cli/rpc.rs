//! `topchat rpc`: what a bot relies on, alone and beside other clients of the same account.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{ChildStdin, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};
use topchat::wire::to_server::Mode;
use topchat::wire::{ToClient, ToServer};

use super::home::{Home, lines, without_contact};
use crate::liar::server::Liar;
use crate::support::PATIENCE;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{CLIENT, Finished, Running};
use crate::support::pty::Terminal;
use crate::support::raw::RawClient;
use crate::support::server::TestServer;

/// How long a line that may come or not is waited for.
const SHORT: Duration = Duration::from_millis(100);

/// A running `topchat rpc`.
struct Rpc {
    running: Running,
    stdin: ChildStdin,
    stdout: Receiver<String>,
    /// Notifications that came before they were asked for.
    told: VecDeque<Value>,
    last: u64,
}

impl Rpc {
    fn start(home: &Home) -> Self {
        let mut command = home.topchat(&["rpc", "--password-file", "password"]);
        let mut running = Running::start(command.stdin(Stdio::piped()));
        let stdout = lines(running.child().stdout.take().expect("stdout is piped"));
        let stdin = running.child().stdin.take().expect("stdin is piped");
        running.wait_for("one JSON-RPC 2.0 request a line");
        Self { running, stdin, stdout, told: VecDeque::new(), last: 0 }
    }

    fn writes(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    #[track_caller]
    fn line(&self) -> Value {
        let line = self.stdout.recv_timeout(PATIENCE).expect("a line must come");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// The next line that is an answer.
    #[track_caller]
    fn answer(&mut self) -> Value {
        loop {
            let line = self.line();
            match line.get("method") {
                Some(_) => self.told.push_back(line),
                None => return line,
            }
        }
    }

    #[track_caller]
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        self.writes(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string());
        let answer = self.answer();
        assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(id)), "{answer}");
        answer
    }

    #[track_caller]
    fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("error").is_none(), "{answer}");
        answer["result"].clone()
    }

    #[track_caller]
    fn error(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params);
        assert!(answer.get("result").is_none(), "{answer}");
        answer["error"].clone()
    }

    /// The parameters of the next notification, which must be this one.
    #[track_caller]
    fn told(&mut self, method: &str) -> Value {
        let told = self.told.pop_front().unwrap_or_else(|| self.line());
        assert_eq!((&told["method"], &told["params"]["type"]), (&json!(method), &json!(method)), "{told}");
        assert!(told.get("id").is_none(), "{told}");
        told["params"].clone()
    }

    #[track_caller]
    fn told_state(&mut self, state: &str) {
        let status = self.told("status");
        assert_eq!(status["state"], state, "{status}");
    }

    #[track_caller]
    fn told_text(&mut self, text: &str) {
        let message = self.told("message");
        assert_eq!(message["text"], text, "{message}");
    }

    /// It is offline until then.
    #[track_caller]
    fn told_until(&mut self, state: &str) {
        loop {
            let status = self.told("status");
            match status["state"].as_str() {
                Some("offline") => {}
                found => return assert_eq!(found, Some(state), "{status}"),
            }
        }
    }

    fn finish(self) -> Finished {
        let Self { mut running, stdin, stdout, .. } = self;
        drop(stdin);
        let status = running.wait();
        let stdout = stdout.iter().map(|line| line + "\n").collect();
        Finished { code: status.code(), stdout, stderr: running.seen.join("\n") }
    }
}

fn pair() -> (TestServer, Home, Home) {
    let server = TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    (server, alice, bob)
}

#[track_caller]
fn says(home: &Home, to: &str, text: &str) {
    let finished = home.run_in(&["send", to, text]);
    assert_eq!(finished.code, Some(0), "{finished:?}");
}

#[test]
fn every_method_answers_as_the_command_of_its_name_does() {
    let (_server, alice, bob) = pair();
    let listening = bob.listen(&["--json", "--count", "2"]);
    let mut rpc = Rpc::start(&alice);
    assert_eq!(rpc.result("contacts", json!({})), json!([]));
    let sent = rpc.result("send", json!({ "to": "bob", "text": "two\nlines" }));
    let message: Value = serde_json::from_str(&listening.line()).unwrap();
    assert_eq!((&message["text"], &message["id"]), (&json!("two\nlines"), &sent["id"]));
    assert_eq!((&sent["type"], &sent["to"], &sent["state"]), (&json!("sent"), &json!("bob"), &json!("delivered")));
    let sent = rpc.result("send", json!({ "to": "ALL", "text": "all", "timeout": 5 }));
    assert_eq!((&sent["state"], &sent["recipients"]), (&json!("sent"), &json!(1)));
    assert_eq!(listening.finish().code, Some(0));

    let users = rpc.result("users", json!({}));
    let names: Vec<_> = users.as_array().unwrap().iter().map(|user| user["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["alice", "bob"]);
    assert_eq!(rpc.result("users", json!({ "online": true })), json!([]), "nobody receives now");

    let (own, theirs) = (ALICE.identity.public().fingerprint().to_hex(), BOB.identity.public().fingerprint().to_hex());
    assert_eq!(rpc.result("fingerprint", json!([]))["fingerprint"], own);
    let compared = rpc.result("fingerprint", json!({ "name": "bob" }));
    assert_eq!((&compared["fingerprint"], compared["safety"].as_str().unwrap().len()), (&json!(theirs), 60));
    assert_eq!(rpc.result("trust", json!({ "name": "bob", "fingerprint": theirs }))["type"], "trusted");
    assert_eq!(rpc.result("contacts", json!({}))[0]["key"], "known");
    let wrong = rpc.error("verify", json!({ "name": "bob", "fingerprint": own }));
    assert_eq!((&wrong["code"], &wrong["data"]["exit"]), (&json!(-32004), &json!(4)));
    assert_eq!(rpc.result("verify", json!({ "name": "bob", "fingerprint": theirs }))["type"], "verified");
    assert_eq!(rpc.result("contacts", json!({}))[0]["key"], "verified");

    let finished = rpc.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""));
    assert_eq!(without_contact(&finished.stderr), "rpc as alice: one JSON-RPC 2.0 request a line");
}

#[test]
fn what_can_not_be_done_is_told_with_exit_code_and_hint() {
    let (_server, alice, _bob) = pair();
    let mut rpc = Rpc::start(&alice);
    for (method, params, code, message, hint) in [
        (
            "send",
            json!({ "to": "bobb", "text": "hi" }),
            -32007,
            "no user \"bobb\" here. Did you mean bob? Nothing was sent.",
            json!("see who there is: topchat users"),
        ),
        (
            "send",
            json!({ "to": "bob", "text": "x".repeat(4097) }),
            -32002,
            "the text is longer than 4096 bytes. Nothing was sent.",
            json!("split it, or send a file some other way"),
        ),
        (
            "fingerprint",
            json!({ "name": "B\u{f6}b" }),
            -32002,
            "\"B\u{f6}b\" can't be a name: a name begins with a letter from a to z",
            json!("names are a-z, 0-9, _ and -, begin with a letter and have at most 32 characters"),
        ),
    ] {
        let error = rpc.error(method, params);
        assert_eq!((&error["code"], &error["message"]), (&json!(code), &json!(message)), "{error}");
        assert_eq!(error["data"], json!({ "exit": -32000 - code, "hint": hint }), "{error}");
    }
    let error = rpc.error("send", json!({ "to": "bob" }));
    assert_eq!(error, json!({ "code": -32602, "message": "invalid params: missing field `text`" }));
    assert_eq!(rpc.error("sned", json!({}))["code"], -32601);
    for (line, code) in [("{", -32700), ("\"", -32700), ("7", -32600), ("[]", -32600), ("{\"id\":1}", -32600)] {
        rpc.writes(line);
        assert_eq!(rpc.answer()["error"]["code"], code, "{line}");
    }
    // One answer to three of five, in their order; none to a notification, whatever becomes of it.
    rpc.writes(
        r#"[{"jsonrpc":"2.0","id":"a","method":"contacts"},{"jsonrpc":"2.0","method":"nothing"},7,
        "#
        .trim(),
    );
    assert_eq!(rpc.answer()["error"]["code"], -32700, "a batch is one line");
    rpc.writes(
        r#"[{"jsonrpc":"2.0","id":"a","method":"contacts"},{"jsonrpc":"2.0","method":"x"},7,{"jsonrpc":"2.0","id":null,"method":"x"}]"#,
    );
    let answers = rpc.answer();
    let ids: Vec<_> = answers.as_array().unwrap().iter().map(|answer| answer["id"].clone()).collect();
    assert_eq!(ids, [json!("a"), Value::Null, Value::Null], "{answers}");
    rpc.writes(r#"{"jsonrpc":"2.0","method":"send","params":{"to":"nobody","text":"x"}}"#);
    rpc.writes(r#"[{"jsonrpc":"2.0","method":"nothing"}]"#);
    rpc.writes(&"x".repeat(100_000));
    let too_long = rpc.answer();
    assert_eq!(too_long["error"]["message"], "parse error: the line is too long", "nothing was answered in between");
    let finished = rpc.finish();
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""));
}

#[test]
fn two_bots_of_one_account_hear_everything_and_one_goes_on_when_the_other_is_killed() {
    let (_server, alice, bob) = pair();
    let (mut first, mut second) = (Rpc::start(&bob), Rpc::start(&bob));
    assert_eq!(first.result("subscribe", json!({}))["state"], "receiving");
    assert_eq!(first.result("subscribe", json!({}))["state"], "receiving", "once is enough");
    assert_eq!(second.result("subscribe", json!({}))["state"], "attached");
    says(&alice, "bob", "one");
    first.told_text("one");
    second.told_text("one");
    first.running.kill();
    assert!(bob.path(&socket_of(&bob)).exists(), "what a killed one leaves is taken over");
    second.told_state("receiving");
    says(&alice, "bob", "two");
    let mut message = second.told("message");
    if message["repeated"] == true {
        // The killed one had told it, and not yet noted that.
        assert_eq!(message["text"], "one");
        message = second.told("message");
    }
    assert_eq!(message["text"], "two");
    assert_eq!(second.result("unsubscribe", json!({}))["state"], "none");
    assert!(!bob.path(&socket_of(&bob)).exists());
    says(&alice, "bob", "three");
    assert_eq!(second.result("subscribe", json!({}))["state"], "receiving");
    let message = second.told("message");
    assert_eq!((&message["text"], &message["backlog"]), (&json!("three"), &json!(true)));
    assert_eq!(second.finish().code, Some(0));
}

fn socket_of(home: &Home) -> String {
    format!("state/{}/bob/client.sock", home.server)
}

#[test]
fn a_bot_works_beside_the_chat_of_its_account_and_goes_on_after_it() {
    let (_server, alice, bob) = pair();
    let mut rpc = Rpc::start(&bob);
    assert_eq!(rpc.result("subscribe", json!({}))["state"], "receiving");
    let chat = bob.chat();
    rpc.told_state("attached");
    says(&alice, "bob", "to both");
    rpc.told_text("to both");
    assert!(chat.line().contains("alice > you  to both"));
    let heard = alice.listen(&["--json", "--count", "1"]);
    assert_eq!(rpc.result("send", json!({ "to": "alice", "text": "from the bot" }))["state"], "delivered");
    assert!(heard.line().contains("from the bot"));
    heard.finish();
    assert_eq!(chat.finish().code, Some(0), "nobody put it out");
    rpc.told_state("receiving");
    says(&alice, "bob", "to the bot alone");
    rpc.told_text("to the bot alone");
    assert_eq!(rpc.finish().code, Some(0));
}

/// Only one of them can have what comes until the chat begins; the other one must not snatch it.
#[test]
fn two_bots_make_way_for_the_chat() {
    let (_server, alice, bob) = pair();
    let (mut first, mut second) = (Rpc::start(&bob), Rpc::start(&bob));
    assert_eq!(first.result("subscribe", json!({}))["state"], "receiving");
    assert_eq!(second.result("subscribe", json!({}))["state"], "attached");
    let chat = bob.chat();
    first.told_state("attached");
    second.told_state("attached");
    says(&alice, "bob", "to all");
    first.told_text("to all");
    second.told_text("to all");
    assert!(chat.line().contains("to all"));
    assert_eq!(chat.finish().code, Some(0));
}

#[test]
fn a_bot_that_begins_beside_the_chat_reads_along() {
    let (_server, alice, bob) = pair();
    let chat = bob.chat();
    let mut rpc = Rpc::start(&bob);
    assert_eq!(rpc.result("subscribe", json!({}))["state"], "attached");
    says(&alice, "ALL", "hello");
    rpc.told_text("hello");
    assert!(chat.line().contains("hello"));
    assert_eq!(rpc.finish().code, Some(0));
    assert_eq!(chat.finish().code, Some(0));
}

/// The same beside the chat in a terminal, which is not disturbed.
#[test]
fn a_bot_works_beside_somebody_who_types() {
    let (_server, alice, bob) = pair();
    let mut command = bob.topchat(&["--password-file", "password", "--quiet"]);
    let mut terminal = Terminal::start(command.env("TERM", "xterm-256color"));
    terminal.wait_for_line("ALL> ");
    terminal.types("half a li");
    let mut rpc = Rpc::start(&bob);
    assert_eq!(rpc.result("subscribe", json!({}))["state"], "attached");
    says(&alice, "bob", "to both");
    rpc.told_text("to both");
    terminal.wait_for("to both");
    terminal.wait_for_line("ALL> half a li");
    let heard = alice.listen(&["--json", "--count", "1"]);
    assert_eq!(rpc.result("send", json!({ "to": "alice", "text": "from the bot" }))["state"], "delivered");
    assert!(heard.line().contains("from the bot"));
    terminal.types("\x03/quit\r");
    assert_eq!(terminal.end().code(), Some(0));
    rpc.told_state("receiving");
    assert_eq!(rpc.finish().code, Some(0));
}

/// Who runs the program on the other end of the socket is checked: only the owner is told anything.
#[test]
fn nobody_else_reads_along() {
    let (_server, alice, bob) = pair();
    let mut command = bob.bound_by_modes(CLIENT);
    command.env("TOPCHAT_SERVER", &bob.server).env("TOPCHAT_KEYS_DIR", "keys").env("TOPCHAT_STATE_DIR", "state");
    let mut listening = Running::start(command.args(["listen", "--password-file", "password"]));
    listening.wait_for("listening as bob");
    says(&alice, "bob", "one");
    let socket = bob.path(&socket_of(&bob));
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    // Whoever is not root is kept out by that; root runs these tests as somebody else than the client.
    if rustix::process::geteuid().is_root() {
        let mut stream = UnixStream::connect(&socket).unwrap();
        says(&alice, "bob", "two");
        let mut read = String::new();
        stream.read_to_string(&mut read).unwrap();
        assert_eq!(read, "");
    }
}

#[test]
fn another_machine_that_takes_over_ends_the_subscription_and_not_the_program() {
    let (server, alice, bob) = pair();
    let mut rpc = Rpc::start(&bob);
    rpc.result("subscribe", json!({}));
    let elsewhere = RawClient::again(server.address, &BOB, Mode::Receiving);
    let ended = rpc.told("status");
    assert_eq!((&ended["state"], &ended["error"]["code"]), (&json!("ended"), &json!(-32003)), "{ended}");
    drop(elsewhere);
    assert_eq!(rpc.result("subscribe", json!({}))["state"], "receiving");
    says(&alice, "bob", "back");
    rpc.told_text("back");
    assert_eq!(rpc.finish().code, Some(0));
}

/// Neither the one that receives nor the one that reads along comes back in its place.
#[test]
fn another_machine_that_takes_over_is_put_out_by_no_bot_of_this_one() {
    let (server, alice, bob) = pair();
    let chat = bob.chat();
    let mut rpc = Rpc::start(&bob);
    assert_eq!(rpc.result("subscribe", json!({}))["state"], "attached");
    let mut elsewhere = RawClient::again(server.address, &BOB, Mode::Receiving);
    let ended = rpc.told("status");
    assert_eq!((&ended["state"], &ended["error"]["code"]), (&json!("ended"), &json!(-32003)), "{ended}");
    assert_eq!(chat.finish().code, Some(3));
    elsewhere.expect_nothing();
    says(&alice, "bob", "to the other machine");
    assert!(matches!(elsewhere.next(), ToClient::Deliver { .. }));
    assert_eq!(rpc.finish().code, Some(0));
}

#[test]
fn a_server_that_comes_back_is_found_again() {
    let (server, alice, bob) = pair();
    let address = server.address.to_string();
    let mut rpc = Rpc::start(&bob);
    rpc.result("subscribe", json!({}));
    let folder = server.stop();
    rpc.told_state("offline");
    let error = rpc.error("users", json!({}));
    assert_eq!((&error["code"], &error["data"]["exit"]), (&json!(-32003), &json!(3)), "{error}");
    let _server = TestServer::back(folder, &address);
    rpc.told_until("online");
    assert_eq!(rpc.result("users", json!({})).as_array().unwrap().len(), 2);
    says(&alice, "bob", "again");
    rpc.told_text("again");
    assert_eq!(rpc.finish().code, Some(0));
}

/// The chat that told it what comes ends while there is no server: the bot takes over as soon as there is one.
#[test]
fn a_bot_that_takes_over_without_a_server_goes_on_trying() {
    let (server, alice, bob) = pair();
    let address = server.address.to_string();
    let chat = bob.chat();
    let mut rpc = Rpc::start(&bob);
    assert_eq!(rpc.result("subscribe", json!({}))["state"], "attached");
    let folder = server.stop();
    rpc.told_state("offline");
    assert_eq!(chat.finish().code, Some(0));
    rpc.told_state("offline");
    let _server = TestServer::back(folder, &address);
    rpc.told_until("receiving");
    says(&alice, "bob", "again");
    rpc.told_text("again");
    assert_eq!(rpc.finish().code, Some(0));
}

/// More than the pipe and the socket hold. The chat shows it all; the bot learns that it missed some.
#[test]
fn a_bot_that_does_not_read_never_holds_up_the_chat() {
    let (server, _alice, bob) = pair();
    let chat = bob.chat();
    let mut command = bob.topchat(&["rpc", "--password-file", "password"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = running.child().stdin.take().unwrap();
    let mut stdout = BufReader::new(running.child().stdout.take().unwrap());
    stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n").unwrap();
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert!(answer.contains("attached"), "{answer}");
    // As JSON each of these characters has six.
    let long = "\u{1}".repeat(4000);
    let mut raw = RawClient::again(server.address, &ALICE, Mode::Errand);
    let mut send = |text: &str, id: u8| {
        raw.send(&ToServer::Send { envelope: ALICE.seal_to(&BOB, text, id).encode() });
        assert!(matches!(raw.next(), ToClient::Status { .. }));
        assert!(matches!(raw.next(), ToClient::Status { .. }), "delivered");
    };
    for id in 0..40 {
        send(&format!("{id}: {long}"), id);
        assert!(chat.line().contains(&format!("alice > you  {id}: ")));
    }
    let stdout = lines(stdout);
    let is_told = (40..=255).any(|id| {
        send("short", id);
        chat.line();
        stdout.try_iter().chain(stdout.recv_timeout(SHORT)).any(|line| line.contains("\"state\":\"behind\""))
    });
    assert!(is_told, "it must be told");
    assert_eq!(chat.finish().code, Some(0));
}

/// It receives itself, and what it was given fills the pipe: the inbox goes to whoever wants it.
#[test]
fn a_bot_that_nobody_reads_keeps_no_chat_from_its_messages() {
    let (server, _alice, bob) = pair();
    let mut command = bob.topchat(&["rpc", "--password-file", "password"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut stdin = running.child().stdin.take().unwrap();
    let mut stdout = BufReader::new(running.child().stdout.take().unwrap());
    stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n").unwrap();
    let mut answer = String::new();
    stdout.read_line(&mut answer).unwrap();
    assert!(answer.contains("receiving"), "{answer}");
    // As JSON each of these characters has six.
    let long = "\u{1}".repeat(4000);
    let mut raw = RawClient::again(server.address, &ALICE, Mode::Errand);
    for id in 0..8 {
        raw.send(&ToServer::Send { envelope: ALICE.seal_to(&BOB, &format!("{id}: {long}"), id).encode() });
    }
    running.wait_for("nobody reads the output: messages wait until somebody does");
    let listening = bob.listen(&["--count", "1"]);
    raw.send(&ToServer::Send { envelope: ALICE.seal_to(&BOB, "last", 99).encode() });
    assert!(listening.line().contains("alice > you  "));
    assert_eq!(listening.finish().code, Some(0));
    // Once it is read, it goes on, and nothing is missing.
    let stdout = lines(stdout);
    let mut told = String::new();
    while !told.contains("\"text\":\"last\"") {
        told += &stdout.recv_timeout(PATIENCE).expect("a line must come");
    }
    running.signal("TERM");
    assert_eq!(running.wait().code(), Some(0));
}

/// The server takes the message and never answers.
#[test]
fn a_request_that_a_signal_cuts_off_is_answered_with_what_became_of_it() {
    let liar = Liar::start();
    let home = Home::with_keys(liar.address(), &ALICE);
    std::thread::scope(|scope| {
        let line = scope.spawn(|| liar.member());
        let mut rpc = Rpc::start(&home);
        let mut line = line.join().unwrap();
        rpc.writes(
            r#"{"jsonrpc":"2.0","id":18446744073709551617,"method":"send","params":{"to":"ALL","text":"hi","timeout":600}}"#,
        );
        assert!(matches!(line.take(), ToServer::Send { .. }));
        rpc.running.signal("TERM");
        let answer = rpc.stdout.recv_timeout(PATIENCE).expect("an answer must come");
        let begin = r#"{"jsonrpc":"2.0","id":18446744073709551617,"error":{"code":-32130,"message":"interrupted""#;
        assert!(answer.starts_with(begin), "{answer}");
        assert_eq!(rpc.running.wait().code(), Some(130));
    });
}

#[test]
fn a_bot_ends_when_nobody_reads_it_and_by_a_signal() {
    let (_server, alice, bob) = pair();
    let mut rpc = Rpc::start(&bob);
    rpc.result("subscribe", json!({}));
    rpc.running.signal("TERM");
    assert_eq!(rpc.running.wait().code(), Some(0));

    let mut command = bob.topchat(&["rpc", "--password-file", "password"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    running.wait_for("one JSON-RPC 2.0 request a line");
    let mut stdin = running.child().stdin.take().unwrap();
    let stdout = lines(running.child().stdout.take().unwrap());
    stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n").unwrap();
    assert!(stdout.recv_timeout(PATIENCE).unwrap().contains("receiving"));
    drop(stdout);
    // The thread that reads the pipe finds out with the next line that nobody takes it from there; then the pipe is closed.
    let mut last = None;
    for text in ["one", "two", "three"] {
        last = Some(alice.run_in(&["send", "bob", text]).code);
    }
    assert_eq!(last, Some(Some(0)));
    assert_eq!(running.wait().code(), Some(0));
}
