//! What a crash, a lost file and a flipped bit make of the folders of both programs, by real processes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use topchat::wire::ToClient;
use topchat::wire::to_server::Mode;

use crate::cli::home::Home;
use crate::durability::rounds;
use crate::support::Random;
use crate::support::people::{ALICE, BOB};
use crate::support::process::{Finished, Running, SERVER, ServerProcess, Watch, command, run};
use crate::support::raw::RawClient;

/// Killed after each file of the data folder in turn, until the owner's socket, the last one, has come.
#[test]
fn kill_dash_nine_at_any_moment_of_the_first_start_leaves_a_folder_that_starts() {
    let is_storm = rounds() > 10;
    let mut random = Random(0x5eed_f125);
    for moment in (1..).step_by(if is_storm { 1 } else { 3 }) {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        let watch = Watch::on(&data);
        let mut first =
            Running::start(command(SERVER, folder.path()).args(["--listen", "127.0.0.1:0", "--data-dir", "data"]));
        let (mut come, mut is_last) = (0, false);
        let has_come = watch.wait_until(
            |name| {
                come += 1;
                is_last = name == "admin.sock";
                come == moment || is_last
            },
            &first,
        );
        assert!(has_come, "moment {moment}: the first start failed");
        // And somewhere before the next one.
        std::thread::sleep(std::time::Duration::from_micros(random.below(2000) as u64));
        first.kill();
        let second = ServerProcess::start(folder.path());
        assert!(!second.running.seen.iter().any(|line| line.contains("warning")), "{:?}", second.running.seen);
        assert_eq!(RawClient::connect(second.address).register(&ALICE), ToClient::Registered, "moment {moment}");
        drop(second);
        let third = ServerProcess::start(folder.path());
        drop(RawClient::again(third.address, &ALICE, Mode::Errand));
        if is_last {
            assert!(moment > 8, "{moment} moments are too few");
            return;
        }
    }
}

/// Every file that a client has made, taken away: a command that needs it names it with what is at stake, and nothing is begun anew.
#[test]
fn a_file_of_a_clients_state_that_is_gone_is_named_and_never_begun_anew() {
    let place = Place::new();
    let mut named = 0;
    for file in files(&place.home.path("state")) {
        let away = place.home.path("away");
        fs::rename(&file, &away).unwrap();
        let shown = file.strip_prefix(place.home.folder.path()).unwrap().display().to_string();
        let told: Vec<Finished> = place.all_commands();
        let stderr: String = told.iter().map(|finished| finished.stderr.as_str()).collect();
        let is_manifest = shown.ends_with("manifest");
        let gone = format!("{shown} is gone");
        let remedy = format!("touch {shown}.lost; then a new one is made, and ");
        if is_manifest {
            assert!(
                shown == "state/manifest" || stderr.contains(", but no manifest: either that file is gone, or "),
                "{stderr}"
            );
        } else {
            assert!(stderr.contains(&gone) && stderr.contains(&remedy), "{shown}: {stderr}");
        }
        assert!(!file.exists(), "{shown} was begun anew");
        fs::rename(&away, &file).unwrap();
        named += 1;
    }
    assert!(named >= 10, "{named} files");
    assert!(place.all_commands().iter().all(|finished| finished.code == Some(0)));
}

/// Whatever one flipped bit hits, a program goes on as before, or says that something is wrong: it believes nothing else, ends by no
/// panic, and what was there before is there when the bit is right again.
#[test]
fn a_bit_that_flipped_at_any_byte_of_a_folder_is_never_believed() {
    let mut place = Place::new();
    let contacts = place.home.run_in(&["contacts"]).stdout;
    let [history, users] = ["history", "users"].map(|word| place.home.run_in(&[word]).stdout);
    let mut random = Random(0x5eed_b175);
    for folder in ["state", "keys"] {
        for file in files(&place.home.path(folder)) {
            for _ in 0..rounds().div_ceil(10) {
                let whole = fs::read(&file).unwrap();
                let (at, bit) = (random.below(whole.len()), random.below(8));
                flip(&file, &whole, at, bit);
                // Both need the keys; only one of them a server.
                let other = if file.to_string_lossy().contains("history") { "history" } else { "users" };
                let told = ["contacts", other].map(|word| place.home.run_in(&[word]));
                let case = format!("{} byte {at} bit {bit}: {told:?}", file.display());
                for (finished, before) in told.iter().zip([&contacts, if other == "users" { &users } else { &history }])
                {
                    let is_same = finished.stdout == *before;
                    assert!(is_same || finished.code != Some(0), "believed: {case}");
                }
                assert!(told.iter().all(|finished| finished.code != Some(101)), "{case}");
                fs::write(&file, &whole).unwrap();
            }
        }
    }
    assert_eq!(place.home.run_in(&["contacts"]).stdout, contacts);

    place.server.running.kill();
    let list = |place: &Place| run(owner(place).args(["user", "list"]), b"");
    let accounts = list(&place).stdout;
    for file in files(&place.owner.path().join("data")) {
        for _ in 0..rounds().div_ceil(5) {
            let whole = fs::read(&file).unwrap();
            let (at, bit) = (random.below(whole.len()), random.below(8));
            flip(&file, &whole, at, bit);
            let listed = list(&place);
            let mut server = Running::start(owner(&place).args(["--listen", "127.0.0.1:0"]));
            let ready = server.wait_for_either("ready", "error: ");
            server.kill();
            let case = format!("{} byte {at} bit {bit}: {listed:?}, {ready:?}", file.display());
            // The last record may be one that a crash tore: it is told, and kept beside the file.
            let is_told = listed.code != Some(0) || listed.stderr.contains(".torn-");
            assert!(listed.stdout == accounts || is_told, "believed: {case}");
            assert_ne!(listed.code, Some(101), "{case}");
            put_back(&place, &file, &whole);
        }
    }
    assert_eq!(list(&place).stdout, accounts);
}

/// A server and a client of it that has one of everything.
struct Place {
    owner: tempfile::TempDir,
    server: ServerProcess,
    home: Home,
}

impl Place {
    fn new() -> Self {
        let owner = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(owner.path());
        let home = Home::of_member(server.address, &ALICE);
        drop(RawClient::member(server.address, &BOB, Mode::Errand));
        assert_eq!(home.run_in(&["history", "on"]).code, Some(0));
        assert_eq!(home.run_in(&["send", "bob", "hi"]).code, Some(0));
        let finished = home.run_with(&["login"], b"hello all\n@bob hello\n/block bob\n/bell off\n/quit\n");
        assert_eq!(finished.code, Some(0), "{finished:?}");
        Self { owner, server, home }
    }

    fn all_commands(&self) -> Vec<Finished> {
        let chat = self.home.run_with(&["login"], b"/quit\n");
        let others = [&["send", "bob", "hi"][..], &["history"]].map(|words| self.home.run_in(words));
        others.into_iter().chain([chat]).collect()
    }
}

fn owner(place: &Place) -> std::process::Command {
    let mut command = command(SERVER, place.owner.path());
    command.args(["--data-dir", "data"]);
    command
}

/// Those that hold something, below a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() && entry.metadata().unwrap().len() > 0 => found.push(entry.path()),
            _ => {}
        }
    }
    found.retain(|path| !path.to_string_lossy().ends_with("lock"));
    found.sort();
    found
}

fn flip(file: &Path, whole: &[u8], at: usize, bit: usize) {
    let mut bytes = whole.to_vec();
    bytes[at] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

/// As it was, without the copy of a torn end.
fn put_back(place: &Place, file: &Path, whole: &[u8]) {
    fs::write(file, whole).unwrap();
    let torn = files(&place.owner.path().join("data"));
    torn.iter()
        .filter(|path| path.to_string_lossy().contains(".torn-"))
        .for_each(|path| fs::remove_file(path).unwrap());
}
