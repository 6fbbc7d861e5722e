//! What is told about the command lines (help, man pages, README) is the same everywhere, and `make install` puts all
//! of it in its place.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;
use topchat::client::model::event::Mark;

use crate::support::process::{self, CLIENT, SERVER, ServerProcess};

#[path = "../scripts/pages/main.rs"]
#[expect(dead_code, reason = "the tests need no main")]
mod generator;

#[test]
fn every_man_page_names_the_flags_of_its_help() {
    let place = TempDir::new().unwrap();
    generator::man_pages(place.path()).unwrap();
    let mut pages = names_in(place.path());
    for (program, words) in commands() {
        let name = [&[program.as_str()], &words.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat().join("-");
        let page = fs::read_to_string(place.path().join(format!("{name}.1"))).unwrap();
        let page = page.replace("\\-", "-").replace("\\fB", " ");
        let help = help(&program, &words);
        for find in [flags, variables] {
            assert_eq!(find(&page), find(&help), "{name}");
        }
        assert!(page.contains(&format!("\n.TH {name} 1 ")), "{page}");
        assert!(pages.remove(&format!("{name}.1")), "{name}");
    }
    assert_eq!(pages, BTreeSet::new(), "pages of commands that are not there");
}

#[test]
fn the_readme_names_every_flag_and_variable_of_the_help_and_no_other() {
    let readme = repository_file("README.md");
    let help: String = commands().iter().map(|(program, words)| help(program, words)).collect();
    let scripts: String = ["gen-des-key.sh", "gen-group-key.sh", "gen-user-keys.sh"].map(script_help).concat();
    let told = flags(&readme);
    let missing: Vec<_> = flags(&help).into_iter().filter(|flag| !told.contains(flag)).collect();
    assert_eq!(missing, [""; 0], "the README must name these (section \"Settings\" or the table of commands)");
    let known = &(&flags(&help) | &flags(&scripts)) | &flags("systemctl enable --now");
    let unknown: Vec<_> = told.into_iter().filter(|flag| !known.contains(flag)).collect();
    assert_eq!(unknown, [""; 0], "the README names flags that no program has");
    assert_eq!(variables(&readme), variables(&help), "environment variables");
}

#[test]
fn the_readme_names_every_command() {
    let readme = repository_file("README.md");
    for (program, words) in commands() {
        if let [word, ..] = &words[..] {
            assert!(readme.contains(&format!("{program} {word}")), "README.md must tell of {program} {word}");
        }
        if let [.., last] = &words[..] {
            assert!(readme.contains(last.as_str()), "README.md must tell of {program} {}", words.join(" "));
        }
    }
}

#[test]
fn the_readme_explains_every_mark() {
    let readme = repository_file("README.md");
    for mark in [Mark::New, Mark::Known, Mark::Verified, Mark::Former] {
        assert!(readme.contains(&format!("| `[signed, {} key]` |", mark.word())), "{mark:?}");
    }
    // The words of one's own messages and those behind a received one's, as the sources have them.
    let words = [repository_file("src/client/chat/outgoing/pending.rs"), repository_file("src/client/ui/render.rs")];
    let told: Vec<_> = words.iter().flat_map(|source| marks(source)).collect();
    assert!(told.len() > 8, "{told:?}");
    for words in told {
        assert!(readme.contains(&words), "the README must explain {words:?}");
    }
}

/// String literals that become marks: of `State`s in `pending.rs`, and what `render.rs` pushes behind a mark.
fn marks(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| line.contains("(State::") || line.contains("mark.push_str("));
    let literals = lines.filter_map(|line| line.split('"').nth(1));
    literals.map(|words| words.replace("{reached}", "2").replace("{total}", "3")).collect()
}

#[test]
fn completions_know_every_command_and_flag() {
    let place = TempDir::new().unwrap();
    generator::completions(place.path()).unwrap();
    for (program, words) in commands() {
        for file in [format!("{program}.bash"), format!("_{program}"), format!("{program}.fish")] {
            let text = fs::read_to_string(place.path().join(&file)).unwrap();
            for word in &words {
                assert!(text.contains(word.as_str()), "{file} lacks {word}");
            }
            for flag in flags(&help(&program, &words)) {
                let fish = format!("-l {}", flag.trim_start_matches('-'));
                assert!(text.contains(&flag) || text.contains(&fish), "{file} lacks {flag}");
            }
        }
    }
    let read = Command::new("bash").args(["-n", "topchat.bash"]).current_dir(place.path()).status();
    assert!(read.expect("these tests need bash").success());
}

#[test]
fn install_puts_everything_in_its_place_and_uninstall_takes_all_of_it_away() {
    let place = Built::new();
    let output = place.run(&["install"], "/usr");
    assert!(output.status.success(), "{output:?}");

    let usr = place.path("dest/usr");
    for (file, mode) in [
        ("bin/topchat", 0o755),
        ("bin/topchat-server", 0o755),
        ("share/man/man1/topchat.1", 0o644),
        ("share/man/man1/topchat-send.1", 0o644),
        ("share/man/man1/topchat-server-user-invite.1", 0o644),
        ("share/bash-completion/completions/topchat", 0o644),
        ("share/zsh/site-functions/_topchat-server", 0o644),
        ("share/fish/vendor_completions.d/topchat.fish", 0o644),
        ("share/doc/topchat/README.md", 0o644),
        ("share/doc/topchat/docs/PROTOCOL.md", 0o644),
        ("share/doc/topchat/keys/README.md", 0o644),
        ("share/topchat/gen-des-key.sh", 0o755),
        ("lib/systemd/system/topchat-server.service", 0o644),
        ("lib/sysusers.d/topchat.conf", 0o644),
    ] {
        let found = fs::metadata(usr.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{file}");
    }
    assert_eq!(fs::read_to_string(usr.join("bin/topchat")).unwrap(), "a program");
    assert!(!String::from_utf8(output.stdout).unwrap().contains("PATH"), "a package is used from elsewhere");

    fs::write(usr.join("bin/other"), "of somebody else").unwrap();
    fs::create_dir(usr.join("share/other")).unwrap();
    assert!(place.run(&["install"], "/usr").status.success(), "installing again replaces what is there");
    assert!(place.run(&["uninstall"], "/usr").status.success());
    assert_eq!(files_below(&place.path("dest")), [usr.join("bin/other")]);
    assert_eq!(names_in(&usr), ["bin", "share"].map(str::to_owned).into());
    assert_eq!(names_in(&usr.join("share")), ["other".to_owned()].into());
}

#[test]
fn uninstall_leaves_the_folders_that_were_there_before() {
    let place = Built::new();
    fs::create_dir_all(place.path("dest/opt/share/man")).unwrap();
    assert!(place.run(&["install"], "/opt/topchat").status.success());
    assert!(place.run(&["install"], "/opt").status.success());
    assert!(place.run(&["uninstall"], "/opt/topchat").status.success());
    assert!(place.path("dest/opt/bin/topchat").exists());
    assert!(!place.path("dest/opt/topchat").exists());
    assert!(place.run(&["uninstall"], "/opt").status.success());
    assert_eq!(names_in(&place.path("dest/opt")), ["share".to_owned()].into());
    assert_eq!(names_in(&place.path("dest/opt/share")), ["man".to_owned()].into());
    assert_eq!(names_in(&place.path("dest/opt/share/man")), BTreeSet::new());
}

#[test]
fn the_unit_starts_what_was_installed() {
    for prefix in ["/usr", "/opt/topchat-1.0"] {
        let place = Built::new();
        assert!(place.run(&["install"], prefix).status.success());
        let file = place.path("dest").join(&prefix[1..]).join("lib/systemd/system/topchat-server.service");
        let unit = fs::read_to_string(file).unwrap();
        let start = format!("\nExecStart={prefix}/bin/topchat-server --data-dir /var/lib/topchat\n");
        assert!(unit.contains(&start) && !unit.contains("@BINDIR@"), "{unit}");
    }
}

#[test]
fn install_says_what_is_where_and_what_is_still_to_do() {
    let place = Built::new();
    let prefix = place.path("own");
    let own = prefix.to_str().unwrap();
    let says = |path: &str| {
        let output = place.command(&["install"], own).env_remove("DESTDIR").env("PATH", path).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let there = format!(
        "programs      {own}/bin/topchat, topchat-server\n\
         man pages     {own}/share/man/man1\n\
         completions   {own}/share for bash, zsh and fish\n\
         documents     {own}/share/doc/topchat\n\
         key scripts   {own}/share/topchat\n\
         service       {own}/lib/systemd/system/topchat-server.service\n"
    );
    let path = format!(
        "not yet found: {own}/bin is not in PATH. To be put into ~/.profile:\n    export PATH=\"{own}/bin:$PATH\"\n"
    );
    let service = format!(
        "as a service, by root:\n    systemd-sysusers {own}/lib/sysusers.d/topchat.conf && \
         systemctl enable --now {own}/lib/systemd/system/topchat-server.service\n"
    );
    assert_eq!(says("/usr/bin:/bin"), format!("{there}{path}{service}"));
    assert_eq!(says(&format!("/usr/bin:{own}/bin:/bin")), format!("{there}{service}"));
}

#[test]
fn an_installed_server_names_the_installed_client() {
    let place = Built::new();
    for (name, program) in [("topchat", CLIENT), ("topchat-server", SERVER)] {
        fs::remove_file(place.path("built/release").join(name)).unwrap();
        std::os::unix::fs::symlink(program, place.path("built/release").join(name)).unwrap();
    }
    assert!(place.run(&["install"], "/usr").status.success());
    let program = place.path("dest/usr/bin/topchat-server");
    let mut command = process::command(program.to_str().unwrap(), place.0.path());
    let server = ServerProcess::run(command.args(["--listen", "127.0.0.1:0", "--data-dir", "data"]));
    let ready = format!(
        "ready. Next, in another terminal:  topchat --server {}        (Ctrl-C stops the server)",
        server.address
    );
    assert_eq!(server.running.seen.last(), Some(&ready));
}

#[test]
fn install_says_what_is_wrong_and_leaves_no_half_of_it() {
    let place = Built::new();
    fs::remove_file(place.path("built/man/topchat.1")).unwrap();
    let words = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();
    let output = place.run(&["install"], "/usr");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(words(&output), "error: not everything is built\nhint: make build man completions\n");

    for prefix in ["relative", "/with space", "/with%percent"] {
        assert_eq!(place.run(&["install"], prefix).status.code(), Some(2), "{prefix}");
    }
    for arguments in [&[][..], &["--frce"]] {
        assert_eq!(place.run(arguments, "/usr").status.code(), Some(2));
    }
    assert!(!place.path("dest").exists());
}

/// What a build leaves, without a build.
struct Built(TempDir);

impl Built {
    fn new() -> Self {
        let place = Self(TempDir::new().unwrap());
        for folder in ["built/release", "built/man", "built/completions"] {
            fs::create_dir_all(place.path(folder)).unwrap();
        }
        for program in ["topchat", "topchat-server"] {
            fs::write(place.path("built/release").join(program), "a program").unwrap();
        }
        generator::man_pages(&place.path("built/man")).unwrap();
        generator::completions(&place.path("built/completions")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Under a strict umask, as an administrator may have it.
    fn run(&self, arguments: &[&str], prefix: &str) -> Output {
        self.command(arguments, prefix).output().unwrap()
    }

    fn command(&self, arguments: &[&str], prefix: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", r#"umask 077; exec "$@""#, "sh"]).arg(root().join("scripts/install.sh")).args(arguments);
        command.env("DESTDIR", self.path("dest")).env("PREFIX", prefix).env("TARGET", self.path("built"));
        command
    }
}

/// Every command of both programs, the programs themselves included, as words.
fn commands() -> Vec<(String, Vec<String>)> {
    fn add(program: &str, above: &[String], command: &clap::Command, all: &mut Vec<(String, Vec<String>)>) {
        all.push((program.to_owned(), above.to_vec()));
        for below in command.get_subcommands().filter(|below| below.get_name() != "help" && !below.is_hide_set()) {
            add(program, &[above, &[below.get_name().to_owned()]].concat(), below, all);
        }
    }
    let mut all = Vec::new();
    for program in generator::programs() {
        add(program.get_name(), &[], &program, &mut all);
    }
    assert!(all.len() > 20, "{all:?}");
    all
}

/// What the real program prints.
fn help(program: &str, words: &[String]) -> String {
    let binary = if program == "topchat" { CLIENT } else { SERVER };
    let finished = process::run(process::command(binary, Path::new("/")).args(words).arg("--help"), b"");
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{words:?}");
    finished.stdout
}

fn script_help(script: &str) -> String {
    let output = Command::new(root().join("scripts").join(script)).arg("--help").output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Every `--flag` in a text.
fn flags(text: &str) -> BTreeSet<String> {
    let starts = text.match_indices("--").map(|(at, _)| at);
    let begins = starts.filter(|at| !text[..*at].ends_with(|before: char| before == '-' || before.is_alphanumeric()));
    let names = begins.map(|at| text[at + 2..].split(|c: char| c != '-' && !c.is_ascii_alphanumeric()).next().unwrap());
    let named = names.filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase()));
    named.map(|name| format!("--{}", name.trim_end_matches('-'))).collect()
}

/// Every `TOPCHAT_VARIABLE` in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let rests = text.match_indices("TOPCHAT_").map(|(at, _)| &text[at..]);
    let names = rests.map(|rest| rest.split(|c: char| c != '_' && !c.is_ascii_uppercase()).next().unwrap());
    names.map(str::to_owned).collect()
}

fn names_in(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

fn repository_file(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
