//! The client's receiving side without a network: its own files of pins, in memory where there is `/dev/shm`.

use std::path::Path;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;
use topchat::client::keys::group_file::GroupFile;
use topchat::client::keys::member::Member;
use topchat::crypto::group_key::GroupKeys;

use super::people::{ALICE, BOB, GROUP, Person, copy};

/// Alice and Bob as the receiver takes them.
pub static MEMBERS: LazyLock<(Arc<Member>, Arc<Member>)> = LazyLock::new(|| (member(&ALICE), member(&BOB)));

fn member(person: &Person) -> Arc<Member> {
    let group = Some(GroupKeys::parse(&GROUP.to_text()).unwrap());
    Arc::new(Member {
        name: person.name.clone(),
        identity: copy(&person.identity),
        encryption: copy(&person.encryption),
        ed25519: copy(&person.ed25519),
        x25519: copy(&person.x25519),
        bundle: 1,
        prefers: topchat::wire::Prefers::Classic,
        retired: Vec::new(),
        former: Vec::new(),
        group: GroupFile::fixed(group),
    })
}

/// A folder that goes with the test.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
