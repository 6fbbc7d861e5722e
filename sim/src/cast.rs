//! Who there can be: names, and keys that are made once for all seeds, since RSA's take long.

use std::rc::Rc;
use std::sync::LazyLock;

use topchat::client::simulation::{Account, Keys};
use topchat::crypto::group_key::{Cipher, GroupKeys};
use topchat::machine::world;
use topchat::names::UserName;
use topchat::wire::Prefers;

use crate::world::World;

/// An account that can be registered.
pub(crate) struct Role {
    /// What its client speaks for.
    pub(crate) account: Account,
    /// Signed by RSA.
    pub(crate) bundle: Vec<u8>,
    /// Signed by what stands in for it.
    pub(crate) bundle_of_stand_in: Vec<u8>,
}

/// A person, who may have one account after the other.
pub(crate) struct Person {
    pub(crate) name: UserName,
    pub(crate) roles: Vec<Role>,
}

/// All of them, who ask for classic messages, or for modern ones.
pub(crate) fn cast(is_modern: bool) -> &'static [Person] {
    static CLASSIC: LazyLock<Vec<Person>> = LazyLock::new(|| make(Prefers::Classic));
    static MODERN: LazyLock<Vec<Person>> = LazyLock::new(|| make(Prefers::Modern));
    if is_modern { &MODERN } else { &CLASSIC }
}

const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];
/// How often one can come anew under the same name.
pub(crate) const LIVES: usize = 2;

fn make(prefers: Prefers) -> Vec<Person> {
    let cipher = if prefers == Prefers::Modern { Cipher::Aes } else { Cipher::Des };
    let group = GroupKeys::generate_for(cipher).to_text();
    let group = group.as_str();
    let role = |name: &UserName| {
        let keys = Keys::generate().expect("OpenSSL makes keys");
        let bundle = |keys: &Keys| keys.bundle(name, 1, prefers).expect("OpenSSL signs");
        let of_stand_in = {
            let _entered = world::enter(Rc::new(World::new(0, true)));
            bundle(&keys)
        };
        let group = GroupKeys::parse(group).expect("a key file that was made");
        let bundle = bundle(&keys);
        Role { account: Account::new(name, keys, 1, prefers, group), bundle, bundle_of_stand_in: of_stand_in }
    };
    let person = |name: &str| {
        let name: UserName = name.parse().expect("a name");
        Person { roles: (0..LIVES).map(|_| role(&name)).collect(), name }
    };
    std::thread::scope(|scope| {
        let making = NAMES.map(|name| scope.spawn(move || person(name)));
        making.into_iter().map(|person| person.join().expect("keys were made")).collect()
    })
}
