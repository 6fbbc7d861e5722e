//! `docs/JSON.md` is what programs rely on: its tables and examples are read from the page itself and compared with what both
//! programs print.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use topchat::wire::ToServer;
use topchat::wire::to_server::Mode;

use crate::cli::home::Home;
use crate::cli::server::run;
use crate::support::people::{ALICE, BOB, CAROL};
use crate::support::process::{Finished, ServerProcess};
use crate::support::raw::RawClient;

const PAGE: &str = include_str!("../docs/JSON.md");
/// What stands in every line and in no table.
const EVERYWHERE: [&str; 2] = ["v", "type"];

/// Which program prints it, and the `type` of the line.
type Name = (String, String);

/// What the page tells of one sort of lines.
#[derive(Clone, Debug, Default)]
struct Sort {
    fields: BTreeMap<String, Field>,
    examples: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Field {
    /// Any of these.
    types: Vec<String>,
    optional: bool,
}

fn sorts() -> BTreeMap<Name, Sort> {
    let mut sorts: BTreeMap<Name, Sort> = BTreeMap::new();
    let (mut program, mut names, mut table, mut code) = (String::new(), Vec::new(), false, false);
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            (program, names) = (title.to_owned(), Vec::new());
        } else if let Some(title) = line.strip_prefix("### ") {
            let words = title.split(", ").map(|word| word.split(' ').next().unwrap().to_owned());
            names = words.map(|word| (program.clone(), word)).collect();
            names
                .iter()
                .for_each(|name| assert!(sorts.insert(name.clone(), Sort::default()).is_none(), "{name:?} twice"));
        } else if line.starts_with("```") {
            code = line == "```json";
        } else if code {
            let example: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let name = (program.clone(), example["type"].as_str().unwrap_or_default().to_owned());
            assert!(names.contains(&name), "an example of {name:?} among {names:?}");
            sorts.get_mut(&name).unwrap().examples.push(example);
        } else {
            table = line == "| Field | Type | What it is |" || (table && line.starts_with('|'));
            if let Some(cells) = line.strip_prefix("| `").filter(|_| table) {
                let cells: Vec<_> = cells.split(" | ").collect();
                let (types, optional) =
                    cells[1].split_once(", optional").map_or((cells[1], false), |(types, _)| (types, true));
                let field = Field { types: types.split(" or ").map(str::to_owned).collect(), optional };
                let key = cells[0].trim_end_matches('`').to_owned();
                names.iter().for_each(|name| {
                    sorts.get_mut(name).unwrap().fields.insert(key.clone(), field.clone());
                });
            }
        }
    }
    assert!(sorts.len() > 15, "{:?}", sorts.keys());
    sorts
}

/// Compares an object with the page, and gives its sort.
#[track_caller]
fn check(sorts: &BTreeMap<Name, Sort>, program: &str, line: &Value) -> Name {
    let object = line.as_object().unwrap_or_else(|| panic!("{line} is no object"));
    assert_eq!(object.get("v"), Some(&Value::from(1)), "{line}");
    let name = (program.to_owned(), object["type"].as_str().unwrap_or_default().to_owned());
    let sort = sorts.get(&name).unwrap_or_else(|| panic!("docs/JSON.md does not tell of {name:?}: {line}"));
    let mut found = BTreeMap::new();
    flatten("", object, &mut found);
    for (key, is) in found.iter().filter(|(key, _)| !EVERYWHERE.contains(&key.as_str())) {
        let field = sort.fields.get(key).unwrap_or_else(|| panic!("docs/JSON.md does not tell of {key} in {line}"));
        assert!(field.types.iter().any(|told| told == is), "{key} is {is}, not {:?}, in {line}", field.types);
    }
    for (key, _) in sort.fields.iter().filter(|(_, field)| !field.optional) {
        assert!(found.contains_key(key), "{key} is missing in {line}");
    }
    name
}

/// Every field with its type; those of an object within it behind a dot.
fn flatten(before: &str, object: &Map<String, Value>, found: &mut BTreeMap<String, &'static str>) {
    for (key, value) in object {
        let key = format!("{before}{key}");
        if let Value::Object(inner) = value {
            flatten(&format!("{key}."), inner, found);
        }
        let is = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        found.insert(key, is);
    }
}

#[test]
fn every_example_is_what_its_table_says() {
    let sorts = sorts();
    for ((program, name), sort) in &sorts {
        assert!(!sort.fields.is_empty(), "{name} has no table");
        for example in &sort.examples {
            check(&sorts, program, example);
        }
    }
}

#[test]
fn every_notice_of_the_program_is_told_of_and_no_other() {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/client/model/event.rs")).unwrap();
    let declared = |start: &str| names_in(source.split(start).nth(1).unwrap().split("\n}\n").next().unwrap());
    let (kinds, mut names) = declared("pub enum Notice {");
    names.extend(declared("pub struct KeyChange {").1);
    names.insert("notice".to_owned());
    let table = PAGE.split("| `notice` | What happened |").nth(1).unwrap().split("\n\n").next().unwrap();
    let told = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    assert_eq!(told.map(str::to_owned).collect::<BTreeSet<_>>(), kinds);
    let notice = ("topchat".to_owned(), "notice".to_owned());
    assert_eq!(sorts()[&notice].fields.keys().cloned().collect::<BTreeSet<_>>(), names);
}

/// The variants and the fields of a declaration, by the names that serde gives them.
fn names_in(declaration: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut kinds, mut fields, mut renamed) = (BTreeSet::new(), BTreeSet::new(), None);
    for line in declaration.lines().map(str::trim).filter(|line| !line.starts_with("///")) {
        if let Some((_, name)) = line.split_once("rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if line.starts_with(char::is_uppercase) {
            let name = line.split(|c: char| !c.is_alphanumeric()).next().unwrap();
            kinds.insert(renamed.take().unwrap_or_else(|| kebab(name)));
        } else if let Some((name, _)) = line.trim_start_matches("pub ").split_once(": ") {
            fields.insert(renamed.take().unwrap_or_else(|| name.to_owned()));
        }
    }
    (kinds, fields)
}

fn kebab(name: &str) -> String {
    let lower = |(at, c): (usize, char)| if c.is_uppercase() && at > 0 { format!("-{c}") } else { c.to_string() };
    name.char_indices().map(lower).collect::<String>().to_lowercase()
}

/// What a program printed, line by line.
#[track_caller]
fn printed(finished: &Finished) -> Vec<Value> {
    assert_eq!(finished.code, Some(0), "{finished:?}");
    let lines: Vec<_> = finished.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!lines.is_empty(), "{finished:?}");
    lines
}

/// Alice, bob and carol, and the server's owner; every sort of line once at least.
#[test]
fn both_programs_print_what_the_page_says_and_all_of_it() {
    let owner = Home::at("127.0.0.1:1");
    let server = ServerProcess::with(owner.folder.path(), &["--registration", "open"]);
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let sorts = sorts();
    let mut seen = BTreeSet::new();
    let mut see = |program: &str, lines: Vec<Value>| {
        seen.extend(lines.iter().map(|line| check(&sorts, program, line)));
    };

    std::fs::remove_file(bob.path("keys/group.key")).unwrap();
    let listening = bob.start(&["listen", "--json", "--count", "2", "--timeout", "60"]);
    for words in [&["send", "bob", "one", "--json", "--history"][..], &["send", "ALL", "two", "--json"]] {
        see("topchat", printed(&alice.run_in(words)));
    }
    see("topchat", printed(&alice.run_in(&["send", "bob", "three", "--json"])));
    let heard = printed(&listening.finish());
    assert!(heard.iter().any(|line| line["notice"] == "other-group-key"), "{heard:?}");
    see("topchat", heard);
    let fingerprint = BOB.identity.public().fingerprint().to_hex();
    for words in [
        &["users", "--json"][..],
        &["suite", "--json"],
        &["contacts", "--json"],
        &["fingerprint", "bob", "--json"],
        &["fingerprint", "--json"],
        &["trust", "bob", &fingerprint, "--json"],
        &["verify", "bob", "--fingerprint", &fingerprint, "--json"],
        &["contacts", "--json"],
        &["history", "--json"],
        &["group", "list", "--json"],
        &["doctor", "--json"],
        &["keys", "renew", "--key-bits", "2048", "--json"],
    ] {
        see("topchat", printed(&alice.run_in(words)));
    }
    let new = Home::new(server.address);
    see("topchat", printed(&new.run_in(&["register", "dave", "--bits", "2048", "--json"])));
    let requests = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"subscribe\"}\n{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"unsubscribe\"}";
    let answers = printed(&bob.run_with(&["rpc"], requests.as_bytes()));
    see("topchat", answers.iter().filter_map(|answer| answer.get("result").cloned()).collect());

    let _here = RawClient::member(server.address, &CAROL, Mode::Receiving);
    // A wrong password of somebody who has the key.
    let mut guesser = RawClient::connect(server.address);
    let proof = match guesser.begin_login(&BOB, Mode::Errand) {
        ToServer::LoginProof { client_final, .. } => ToServer::LoginProof { client_final, signature: vec![7; 256] },
        other => other,
    };
    guesser.ask(&proof);
    let invite = printed(&run(&owner, &["user", "invite", "--json"]));
    let id = invite[0]["id"].as_str().unwrap().to_owned();
    see("topchat-server", invite);
    for words in [
        &["user", "invites", "--json"][..],
        &["user", "revoke", &id, "--json"],
        &["user", "list", "--json"],
        &["status", "--json"],
        &["doctor", "--json"],
        &["unlock", "bob", "--json"],
        &["kick", "carol", "--json"],
    ] {
        see("topchat-server", printed(&run(&owner, words)));
    }
    drop(server);
    let mut stopped = run(&owner, &["status", "--json"]);
    assert_eq!(stopped.code.replace(0), Some(3), "{stopped:?}");
    see("topchat-server", printed(&stopped));
    let told: BTreeSet<_> = sorts.keys().cloned().collect();
    assert_eq!(seen, told, "every sort of line on the page, and no other");
}

/// The conversation on the page, had with the real program.
#[test]
fn the_conversation_of_the_page_goes_as_it_says() {
    let block = PAGE.split("```rpc\n").nth(1).unwrap().split("```").next().unwrap();
    let server = crate::support::server::TestServer::start();
    let (alice, bob) = (Home::of_member(server.address, &ALICE), Home::of_member(server.address, &BOB));
    let listening = bob.listen(&["--json"]);
    let requests: String =
        block.lines().filter_map(|line| line.strip_prefix("--> ")).map(|line| format!("{line}\n")).collect();
    let answers: Vec<_> = printed(&alice.run_with(&["rpc"], requests.as_bytes())).iter().map(without_ids).collect();
    let expected =
        block.lines().filter_map(|line| line.strip_prefix("<-- ")).map(|line| serde_json::from_str(line).unwrap());
    let (told, expected): (Vec<Value>, Vec<Value>) = expected.partition(|line: &Value| line.get("method").is_some());
    assert_eq!(answers, expected.iter().map(without_ids).collect::<Vec<_>>());
    for notification in told {
        check(&sorts(), "topchat", &notification["params"]);
        assert_eq!(notification["params"]["type"], notification["method"]);
    }
    drop(listening);
}

/// The same with one id in place of all messages' ids.
fn without_ids(line: &Value) -> Value {
    let mut line = line.clone();
    if let Some(id) = line.pointer_mut("/result/id") {
        assert_eq!(id.as_str().map(str::len), Some(32), "{id}");
        *id = Value::Null;
    }
    line
}
