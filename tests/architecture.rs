//! The invariants of ARCHITECTURE.md, held by reading the sources and the documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One source file without its tests and comments.
struct Source {
    /// Relative to `src/`.
    path: String,
    code: String,
    /// First sentence of its first line of documentation.
    summary: String,
}

#[test]
fn every_layer_imports_only_from_below() {
    for source in sources() {
        let layer = layer_of(&source.path);
        let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            panic!("src/{} belongs to no layer of this test", source.path);
        };
        for imported in imports(&source.code) {
            let allowed = imported == layer || below.contains(&imported.as_str());
            assert!(allowed, "src/{} ({layer}) must not import crate::{imported}", source.path);
        }
    }
}

/// So a circle across folders can't be. The two halves' own files, `mod.rs`, put the others together and may name all.
#[test]
fn a_folder_imports_only_from_those_before_it() {
    let sources = sources();
    for (side, order) in [("client", CLIENT_ORDER), ("server", SERVER_ORDER)] {
        let rank = |name: &str| order.iter().position(|known| *known == name);
        for source in sources.iter().filter(|source| source.path.starts_with(&format!("{side}/"))) {
            let module: Vec<_> = source.path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect();
            let Some(own) = module.get(1) else { continue };
            let Some(own_rank) = rank(own) else { panic!("src/{} is not in the order of {side}/", source.path) };
            for path in paths(&source.code, &module).iter().filter(|path| path.first() == Some(&side.to_owned())) {
                let imported = path.get(1).map_or("mod.rs", String::as_str);
                assert!(
                    rank(imported).is_some_and(|rank| rank <= own_rank),
                    "src/{} must not import {}: {imported} does not stand before {own}",
                    source.path,
                    path.join("::")
                );
            }
        }
    }
}

#[test]
fn the_server_cannot_seal_or_open() {
    for source in sources().iter().filter(|source| source.path.starts_with("server/")) {
        for module in crypto_modules(&source.code) {
            let allowed = ["bundle", "certificate", "digest", "keys", "random", "scram"].contains(&module.as_str());
            assert!(allowed, "src/{} names crypto::{module}", source.path);
        }
        for word in ["SealWith", "OpenWith", "GroupKey", "PrivateKey", "envelope::open", "envelope::seal"] {
            assert!(!source.code.contains(word), "src/{} names {word}", source.path);
        }
    }
}

#[test]
fn outside_libraries_stay_where_they_belong() {
    for (word, places) in [
        ("openssl::", &["crypto/", "transport/"][..]),
        ("byteorder", &["wire/"]),
        ("TcpStream", &["transport/", "server/acceptor.rs", "client/net/connect.rs"]),
        ("TcpListener", &["server/acceptor.rs", "server/mod.rs", "server/net/bind_address.rs"]),
        ("UdpSocket", &[]),
        ("std::net::", &["transport/", "server/", "client/net/connect.rs", "client/model/address.rs"]),
    ] {
        for source in sources().iter().filter(|source| source.code.contains(word)) {
            let belongs = places.iter().any(|place| source.path.starts_with(place));
            assert!(belongs, "src/{} must not use {word}", source.path);
        }
    }
}

#[test]
fn pure_parts_touch_no_socket_thread_clock_or_file() {
    for pure in [
        "wire/",
        "names.rs",
        "text.rs",
        "limits.rs",
        "server/registry/hub.rs",
        "server/registry/online.rs",
        "server/session/state.rs",
        "server/net/rate_limit.rs",
        "server/log/group.rs",
        "server/log/mailbox.rs",
        "server/log/mailboxes.rs",
        "server/log/recipients.rs",
        "server/log/unwritten.rs",
        "server/log/receipts.rs",
        "server/log/memory/dedup.rs",
        "server/log/quotas.rs",
        "server/log/memory/cache.rs",
        "server/log/files/record.rs",
        "server/net/throttle.rs",
        "client/chat/commands/parse.rs",
        "client/ui/render.rs",
        "client/ui/words.rs",
        "client/receive/mod.rs",
        "client/receive/key_lookup.rs",
        "client/receive/open.rs",
        "client/receive/deferred.rs",
        "transport/liveness.rs",
    ] {
        for source in sources().iter().filter(|source| source.path.starts_with(pure)) {
            for word in [
                "TcpStream",
                "TcpListener",
                "UdpSocket",
                "std::thread",
                "std::fs",
                "Instant::now",
                "SystemTime",
                "Mutex",
            ] {
                assert!(!source.code.contains(word), "src/{} uses {word}", source.path);
            }
        }
    }
}

#[test]
fn the_ten_steps_of_receiving_read_and_write_no_file() {
    for pure in ["mod.rs", "key_lookup.rs", "open.rs", "deferred.rs"] {
        let sources = sources();
        let path = format!("client/receive/{pure}");
        let source = sources.iter().find(|source| source.path == path).unwrap();
        for word in ["Contacts", "Inbox", "History", "look_again", "storage", "Error>", "now_ms"] {
            assert!(!source.code.contains(word), "src/{path} uses {word}");
        }
    }
}

/// So a simulation sees and may break all of it.
#[test]
fn what_is_kept_goes_through_the_machine() {
    let kept = ["storage/", "server/accounts/", "server/clock.rs", "server/log/", "client/state/", "client/trust/"];
    // It moves a whole folder, which no simulation does.
    let is_kept = |path: &str| path != "client/state/archive.rs" && kept.iter().any(|prefix| path.starts_with(prefix));
    for source in sources().iter().filter(|source| is_kept(&source.path)) {
        let code = source.code.replace("std::fs::TryLockError", "").replace("std::fs::FileType", "");
        for word in
            ["std::fs", "os::unix::fs::MetadataExt", "Instant::now", "SystemTime", ".elapsed()", "thread::sleep"]
        {
            assert!(!code.contains(word), "src/{} uses {word}", source.path);
        }
    }
}

#[test]
fn every_time_out_stands_in_limits() {
    for source in sources().iter().filter(|source| source.path != "limits.rs") {
        for word in ["Duration::from_secs(", "Duration::from_millis("] {
            let with_number = source
                .code
                .match_indices(word)
                .any(|(at, _)| source.code[at + word.len()..].starts_with(|first: char| first.is_ascii_digit()));
            assert!(!with_number, "src/{} has a time-out of its own", source.path);
        }
    }
}

#[test]
fn nothing_is_left_open_and_nothing_unwraps() {
    for source in sources() {
        for word in ["todo!", "unimplemented!", ".unwrap()", "dbg!", "unsafe {"] {
            assert!(!source.code.contains(word), "src/{} has {word}", source.path);
        }
    }
}

#[test]
fn unsafe_code_is_forbidden_and_documentation_asked_for() {
    let lib = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    assert!(lib.contains("#![forbid(unsafe_code)]") && lib.contains("#![warn(missing_docs)]"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in DOCUMENTS {
        let path = root().join(document);
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{document}: {error}"));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let found = path.parent().unwrap().join(file);
            assert!(found.exists(), "{document} links to {target}");
        }
    }
}

#[test]
fn the_folders_of_the_map_are_those_that_there_are() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for folder in sources().iter().filter_map(|source| source.path.rsplit_once('/')).map(|(folder, _)| folder) {
        // What lies beside a file of its name is parts of that file.
        if root().join(format!("src/{folder}.rs")).exists() {
            continue;
        }
        let name = folder.rsplit('/').next().unwrap();
        assert!(map.contains(&format!("`{name}/`")), "ARCHITECTURE.md says nothing of src/{folder}");
    }
    for named in map.split('`').skip(1).step_by(2).filter(|word| word.ends_with(".rs") && !word.starts_with("tests/")) {
        assert!(root().join("src").join(named).exists(), "ARCHITECTURE.md names src/{named}");
    }
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    for source in sources() {
        let words = source.summary.split_whitespace().count();
        assert!(words >= 1, "src/{} does not say what it is", source.path);
    }
}

#[test]
fn a_folder_is_seen_at_one_glance() {
    let mut folders = BTreeMap::<String, usize>::new();
    for source in sources() {
        let folder = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *folders.entry(folder.to_owned()).or_default() += 1;
    }
    for (folder, files) in folders {
        assert!(files <= FILES_IN_A_FOLDER, "src/{folder} has {files} files");
    }
}

/// Every promise of SECURITY.md has a row of tests, and every test that is named there is one.
#[test]
fn the_tests_that_hold_each_promise_exist() {
    let page = fs::read_to_string(root().join("SECURITY.md")).unwrap();
    let (promises, tests) = page.split_once("## The tests that hold it").unwrap();
    let tests = tests.split("\n## ").next().unwrap();
    let rows = |part: &str| -> Vec<String> {
        let cells =
            part.lines().filter_map(|line| line.strip_prefix("| ")).map(|line| line.split(" |").next().unwrap());
        cells.filter(|cell| cell.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned).collect()
    };
    assert_eq!(rows(promises), rows(tests));
    assert!((1..=22).all(|row| rows(tests).contains(&row.to_string())), "the threat model has 22 rows");
    let known = tests_of(&root().join("src")) + &tests_of(&root().join("tests"));
    for row in tests.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| # ")) {
        let named: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty() || row.contains("nothing is promised"), "no test in {row}");
        let cells: Vec<_> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let &[_, _, modern] = &cells[..] else { panic!("a number, classic, modern: {row}") };
        let words = ["the same", "nothing is promised", "no test of its own yet"];
        assert!(modern.contains('`') || words.contains(&modern), "what holds for modern: {row}");
        for test in named {
            assert!(known.lines().any(|line| line == test), "SECURITY.md names {test}, which is no test");
        }
    }
}

/// The names of all tests below a folder, one a line.
fn tests_of(folder: &Path) -> String {
    let mut names = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names += &tests_of(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("#[test]\n").skip(1).filter_map(|rest| rest.trim_start().strip_prefix("fn "));
            after.for_each(|rest| names += &format!("{}\n", rest.split('(').next().unwrap_or_default()));
        }
    }
    names
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    collect(&root().join("src"), &mut found);
    assert!(found.len() > 30, "the sources must be found");
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test(&path) {
            let relative = path.strip_prefix(root().join("src")).unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            found.push(Source { path: relative, code: code(&text), summary: summary(&text) });
        }
    }
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests")
        || path
            .file_stem()
            .is_some_and(|stem| stem == "tests" || stem == "test_keys" || stem.to_string_lossy().ends_with("_tests"))
}

/// Everything before the tests, without comments.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = before_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn summary(text: &str) -> String {
    let first = text.lines().find_map(|line| line.strip_prefix("//! ")).unwrap_or_default();
    let sentence = first.split_once(". ").map_or(first, |(sentence, _)| sentence);
    sentence.trim_end_matches('.').to_owned()
}

/// Modules of `crypto` that are named, also within `crypto::{…}`.
fn crypto_modules(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    for rest in code.split("crypto::").skip(1) {
        let names = rest.strip_prefix('{').map_or_else(
            || vec![rest],
            |list| list.split('}').next().unwrap_or_default().split(',').map(str::trim).collect(),
        );
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            found.push(name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

/// First names after `crate::`, also within `use crate::{…}`.
fn imports(code: &str) -> Vec<String> {
    let after = code.split("crate::").skip(1);
    after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()).collect()
}

/// All paths within the crate that a module's code names, from the crate's root.
fn paths(code: &str, module: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split("use ").skip(1).filter_map(|rest| rest.split(';').next()) {
        flatten("", statement, &mut found);
    }
    for root in ["crate::", "super::"] {
        let inline = code.match_indices(root).map(|(at, _)| &code[at..]);
        found
            .extend(inline.map(|rest| {
                rest.split(|c: char| !c.is_alphanumeric() && !"_:".contains(c)).next().unwrap().to_owned()
            }));
    }
    let names = |path: &String| path.split("::").map(|name| name.trim().to_owned()).collect::<Vec<_>>();
    let mut absolute = Vec::new();
    for mut path in found.iter().map(names) {
        path.retain(|name| !name.is_empty());
        let up = path.iter().take_while(|name| *name == "super").count();
        match path.first().map(String::as_str) {
            Some("crate") => absolute.push(path.split_off(1)),
            Some("super") if up <= module.len() => {
                let above = module[..module.len() - up].iter().map(|name| (*name).to_owned());
                absolute.push(above.chain(path.split_off(up)).collect());
            }
            _ => {}
        }
    }
    absolute
}

/// The paths of a `use` statement without its braces.
fn flatten(before: &str, tree: &str, found: &mut Vec<String>) {
    let Some((prefix, group)) = tree.split_once('{').filter(|(prefix, _)| !prefix.contains(',')) else {
        found.push(format!("{before}{}", tree.split(" as ").next().unwrap_or_default().trim()));
        return;
    };
    let (mut depth, mut begin) = (0, 0);
    for (at, sign) in group.char_indices() {
        match sign {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                flatten(&format!("{before}{}", prefix.trim()), &group[begin..at], found);
                begin = at + 1;
            }
            _ => {}
        }
    }
}

fn layer_of(path: &str) -> &str {
    path.split(['/', '.']).next().unwrap_or_default()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// About ten are seen at a glance; the flat folders of formats and primitives, and the log, have a few more.
const FILES_IN_A_FOLDER: usize = 16;

/// What each layer may import. Siblings don't stand in each other's list.
const LAYERS: &[(&str, &[&str])] = &[
    ("bin", &[]),
    (
        "client",
        &[
            "crypto",
            "doctor",
            "environment",
            "error",
            "hint",
            "limits",
            "logging",
            "machine",
            "names",
            "storage",
            "sync",
            "text",
            "transport",
            "version",
            "wire",
        ],
    ),
    ("crypto", &["error", "limits", "machine", "names", "text", "wire"]),
    ("doctor", &["crypto", "environment", "error", "hint", "storage", "text", "transport"]),
    ("environment", &["crypto", "error", "hint", "sync", "text", "transport"]),
    ("error", &["hint"]),
    ("hint", &["text"]),
    ("lib", &[]),
    ("limits", &[]),
    ("logging", &["sync", "text"]),
    ("machine", &[]),
    ("names", &["limits", "text"]),
    (
        "server",
        &[
            "crypto",
            "doctor",
            "environment",
            "error",
            "hint",
            "limits",
            "machine",
            "names",
            "storage",
            "sync",
            "text",
            "transport",
            "version",
            "wire",
        ],
    ),
    ("storage", &["error", "hint", "limits", "machine", "names", "sync", "text"]),
    ("sync", &[]),
    ("text", &[]),
    ("transport", &["error", "limits", "names", "sync", "text", "wire"]),
    ("usage", &["environment", "error", "text"]),
    ("version", &["crypto"]),
    ("wire", &["error", "limits", "names", "text"]),
];

/// Folders and single files of the client, each above those that it may import.
const CLIENT_ORDER: &[&str] = &[
    "model",
    "error",
    "config",
    "ui",
    "state",
    "keys",
    "trust",
    "net",
    "receive",
    "send",
    "chat",
    "rpc",
    "commands",
    "cli",
    "simulation",
];

/// The same of the server.
const SERVER_ORDER: &[&str] = &[
    "clock",
    "folder",
    "accounts",
    "log",
    "error",
    "net",
    "settings",
    "data",
    "options",
    "registry",
    "shared",
    "session",
    "acceptor",
    "admin",
    "mod.rs",
    "doctor",
    "simulation",
];

const DOCUMENTS: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "README.md",
    "SECURITY.md",
    "docs/JSON.md",
    "docs/PROTOCOL.md",
    "keys/README.md",
];
