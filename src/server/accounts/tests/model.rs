//! Random changes, compared with a plain map.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Delete(u8, u8),
    Register(u8, u8),
    Reopen,
    SetDisabled(u8, u8, bool),
    SetVerifier(u8, u8, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let (who, identity) = (0..4u8, 0..2u8);
    prop_oneof![
        4 => (who.clone(), identity.clone()).prop_map(|(who, identity)| Step::Register(who, identity)),
        2 => (who.clone(), identity.clone()).prop_map(|(who, identity)| Step::Delete(who, identity)),
        2 => (who.clone(), identity.clone(), any::<u8>()).prop_map(|(who, identity, of)| Step::SetVerifier(who, identity, of)),
        2 => (who, identity, any::<bool>()).prop_map(|(who, identity, is)| Step::SetDisabled(who, identity, is)),
        1 => Just(Step::Reopen),
    ]
}

type Model = BTreeMap<UserName, Account>;

/// The plain meaning of a change.
fn expected(model: &mut Model, who: &Account, change: impl FnOnce(&mut Account)) -> Result<Outcome, ChangeError> {
    match model.get_mut(who.name()).filter(|found| found.identity() == who.identity()) {
        None => Err(ChangeError::NoSuchUser),
        Some(found) => {
            change(found);
            Ok(Outcome::Changed)
        }
    }
}

fn expected_registration(model: &mut Model, who: &Account) -> Result<Outcome, ChangeError> {
    match model.get(who.name()) {
        Some(found) if found.identity() == who.identity() => Ok(Outcome::Unchanged),
        Some(_) => Err(ChangeError::NameTaken),
        None => {
            model.insert(who.name().clone(), who.clone());
            Ok(Outcome::Changed)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_changes_do_what_a_plain_map_does(steps in prop::collection::vec(step(), 1..40)) {
        let place = Place::new();
        let mut model = Model::new();
        let mut opened = Some(place.open().unwrap());
        let person = |who: u8, identity| account(["alice", "bob", "carol", "dave"][usize::from(who)], identity);
        for step in steps {
            if matches!(step, Step::Reopen) {
                drop(opened.take());
                opened = Some(place.open().unwrap());
            }
            let (_, accounts) = opened.as_ref().unwrap();
            match step {
                Step::Delete(who, identity) => {
                    let who = person(who, identity);
                    let outcome = expected(&mut model, &who, |_| {});
                    if outcome.is_ok() {
                        model.remove(who.name());
                    }
                    prop_assert_eq!(accounts.delete(&who), outcome);
                }
                Step::Register(who, identity) => {
                    let who = person(who, identity);
                    prop_assert_eq!(accounts.register(who.clone()), expected_registration(&mut model, &who));
                }
                Step::Reopen => {}
                Step::SetDisabled(who, identity, is) => {
                    let who = person(who, identity);
                    let outcome = expected(&mut model, &who, |found| found.disabled = is);
                    prop_assert_eq!(accounts.set_disabled(&who, is).is_ok(), outcome.is_ok());
                }
                Step::SetVerifier(who, identity, of) => {
                    let who = person(who, identity);
                    let outcome = expected(&mut model, &who, |found| found.verifier = verifier(of));
                    prop_assert_eq!(accounts.set_verifier(&who, verifier(of)), outcome);
                }
            }
            prop_assert_eq!(all(accounts), model.values().cloned().collect::<Vec<_>>());
        }
    }
}
