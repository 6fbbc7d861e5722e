use std::collections::BTreeMap;

use super::*;
use crate::client::net::request::refused;
use crate::crypto::keys::PrivateKey;
use crate::crypto::test_keys::{self, ALICE, BOB, BOB_ENCRYPTION};
use crate::limits::PAGE_NAMES;
use crate::wire::to_client::Reason;

/// A server in memory.
pub(crate) struct Fake {
    bundles: BTreeMap<UserName, Vec<u8>>,
}

impl Fake {
    pub(crate) fn with(names: &[(&str, &PrivateKey)]) -> Self {
        let bundle = |name: &UserName, key| test_keys::bundle(name.as_str(), key, BOB_ENCRYPTION.public(), 1).encode();
        let bundles = names.iter().map(|(name, key)| {
            let name: UserName = name.parse().unwrap();
            (name.clone(), bundle(&name, key))
        });
        Self { bundles: bundles.collect() }
    }

    fn page(&self, request: u32, after: Option<&UserName>) -> ToClient {
        let mut names = self.bundles.keys().filter(|name| after.is_none_or(|after| *name > after));
        let entries: Vec<_> =
            names.by_ref().take(PAGE_NAMES).map(|name| Entry { name: name.clone(), online: false }).collect();
        ToClient::Page { request, more: names.next().is_some(), entries }
    }
}

impl Ask for Fake {
    fn ask(&mut self, question: &dyn Fn(u32) -> ToServer) -> Result<ToClient, Error> {
        refused(match question(7) {
            ToServer::Lookup { request, name, .. } => match self.bundles.get(&name) {
                Some(bundle) => ToClient::Found { request, bundle: bundle.clone(), lineage: Vec::new() },
                None => ToClient::Error { request, reason: Reason::new(Code::NoSuchUser) },
            },
            ToServer::List { request, after, .. } => self.page(request, after.as_ref()),
            other => panic!("{} was asked", other.field()),
        })
    }
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let mut server = Fake::with(&[("bob", &BOB), ("carol", &ALICE)]);
    let Err(error) = look_up(&mut server, &"carl".parse().unwrap()) else { panic!("carl was found") };
    assert_eq!(error.to_string(), "no user \"carl\" here. Did you mean carol?");
}

#[test]
fn keys_of_another_account_are_refused() {
    let mut server = Fake::with(&[("bob", &BOB)]);
    let bundle = server.bundles.values().next().unwrap().clone();
    server.bundles.insert("carol".parse().unwrap(), bundle);
    let refused = look_up(&mut server, &"carol".parse().unwrap());
    assert!(matches!(refused, Err(Error::Trust(TrustError::BundleOfAnother { .. }))));
}

#[test]
fn all_pages_of_a_list_are_read() {
    let names: Vec<_> = (0..PAGE_NAMES * 2 + 3).map(|number| format!("u{number:04}")).collect();
    let mut server = Fake { bundles: names.iter().map(|name| (name.parse().unwrap(), Vec::new())).collect() };
    let listed = list(&mut server, Scope::All).unwrap();
    assert!(listed.iter().map(|entry| entry.name.as_str()).eq(names.iter().map(String::as_str)));
}
