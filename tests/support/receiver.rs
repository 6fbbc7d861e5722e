//! The client's receiving side without a network: its own files of pins, in memory where there is `/dev/shm`.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;
use topchat::client::keys::group_file::GroupFile;
use topchat::client::keys::member::Member;
use topchat::crypto::group_key::GroupKeys;
use topchat::crypto::keys::PrivateKey;

use super::people::{ALICE, BOB, GROUP, Person};

/// Alice and Bob as the receiver takes them.
pub static MEMBERS: LazyLock<(Member, Member)> = LazyLock::new(|| (member(&ALICE), member(&BOB)));

fn member(person: &Person) -> Member {
    let again = |key: &PrivateKey| PrivateKey::from_pem(key.to_pem(b"x").unwrap().as_bytes(), b"x").unwrap();
    let group = Some(GroupKeys::parse(&GROUP.to_text()).unwrap());
    Member {
        name: person.name.clone(),
        identity: again(&person.identity),
        encryption: again(&person.encryption),
        retired: Vec::new(),
        former: Vec::new(),
        group: GroupFile::fixed(group),
    }
}

/// A folder that goes with the test.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}
