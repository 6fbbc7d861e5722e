//! Invites: how often one counts, whatever happens meanwhile.

use super::failing_disk::FailingStore;
use super::*;
use crate::server::accounts::file::{load, replay};
use crate::server::accounts::writer::Writer;

const DAY: u64 = 24 * 3600 * 1000;
/// When [`account`]s are made.
const NOW: u64 = 1_700_000_000_000;

fn invite(uses: u32) -> Invite {
    Invite::new(&InviteCode::new(), uses, NOW - DAY, NOW + DAY)
}

fn with(invite: Invite) -> (Place, LockedFolder, impl Ledger) {
    let place = Place::new();
    let (folder, accounts) = place.open().unwrap();
    accounts.add_invite(invite).unwrap();
    (place, folder, accounts)
}

/// How often each invite was used.
fn used(accounts: &impl Ledger) -> Vec<u32> {
    accounts.invites().unwrap().iter().map(Invite::used).collect()
}

#[test]
fn an_invite_makes_as_many_accounts_as_it_is_for_and_no_more() {
    let invite = invite(2);
    let (place, folder, accounts) = with(invite);
    let code = Some(invite.hash());
    assert_eq!(accounts.register_by_invite(account("alice", 1), code), Ok(Outcome::Changed));
    assert_eq!(accounts.register_by_invite(account("alice", 1), code), Ok(Outcome::Unchanged));
    assert_eq!(used(&accounts), [1]);
    drop((accounts, folder));
    let (_folder, accounts) = place.open().unwrap();
    assert_eq!(accounts.invites().unwrap(), [Invite { used: 1, ..invite }]);
    assert_eq!(accounts.register_by_invite(account("bob", 2), code), Ok(Outcome::Changed));
    assert_eq!(accounts.register_by_invite(account("carol", 3), code), Err(ChangeError::InviteRefused));
    // An answer that was lost is given again, also when the last use is gone, or with no code at all.
    for code in [code, None] {
        assert_eq!(accounts.register_by_invite(account("bob", 2), code), Ok(Outcome::Unchanged));
    }
    accounts.delete(&account("bob", 2)).unwrap();
    assert_eq!(accounts.register_by_invite(account("bob", 2), code), Err(ChangeError::InviteRefused));
}

#[test]
fn without_a_good_invite_nobody_learns_who_is_there_and_a_taken_name_uses_none() {
    let late = Invite::new(&InviteCode::new(), 1, NOW - DAY, NOW);
    let good = invite(1);
    let (_place, _folder, accounts) = with(late);
    accounts.add_invite(good).unwrap();
    accounts.register(account("alice", 1)).unwrap();
    for code in [None, Some(late.hash()), Some(InviteCode::new().hash())] {
        for name in ["alice", "bob"] {
            assert_eq!(accounts.register_by_invite(account(name, 9), code), Err(ChangeError::InviteRefused));
        }
    }
    assert_eq!(accounts.register_by_invite(account("alice", 9), Some(good.hash())), Err(ChangeError::NameTaken));
    accounts.revoke(good.hash()).unwrap();
    assert_eq!(accounts.revoke(good.hash()), Err(ChangeError::NoSuchInvite));
    assert_eq!(accounts.register_by_invite(account("bob", 9), Some(good.hash())), Err(ChangeError::InviteRefused));
    assert_eq!(used(&accounts), [0]);
    assert_eq!(accounts.figures().unwrap().accounts, 1);
}

#[test]
fn of_many_who_race_for_one_invite_exactly_one_wins() {
    let invite = invite(1);
    let (place, folder, accounts) = with(invite);
    let winners = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for identity in 0..16 {
            let (accounts, winners) = (&accounts, &winners);
            scope.spawn(move || {
                let own = account(&format!("user{identity}"), identity);
                match accounts.register_by_invite(own.clone(), Some(invite.hash())) {
                    Ok(Outcome::Changed) => winners.lock().unwrap().push(own),
                    other => assert_eq!(other, Err(ChangeError::InviteRefused)),
                }
            });
        }
    });
    let winners = winners.into_inner().unwrap();
    assert_eq!(winners.len(), 1);
    drop((accounts, folder));
    let (_folder, accounts) = place.open().unwrap();
    assert_eq!(all(&accounts), winners);
    assert_eq!(used(&accounts), [1]);
}

#[test]
fn within_one_batch_the_last_use_is_given_once_and_a_failed_disk_gives_it_back() {
    let invite = invite(1);
    let code = Some(invite.hash());
    let table = Arc::new(RwLock::new(Table::default()));
    let store = FailingStore::new(2, 1);
    let mut writer = Writer::new(Arc::clone(&table), store.clone(), MANY, clock());
    assert_eq!(writer.settle(vec![Change::AddInvite(invite)]), [Ok(Outcome::Changed)]);
    let batch =
        || vec![Change::RegisterByInvite(account("alice", 1), code), Change::RegisterByInvite(account("bob", 2), code)];
    assert_eq!(writer.settle(batch()), [Err(ChangeError::Storage); 2]);
    assert_eq!(table.read().unwrap().find_invite(&invite.hash()), Some(&invite));
    assert_eq!(writer.settle(batch()), [Ok(Outcome::Changed), Err(ChangeError::InviteRefused)]);
    let place = Place::with(&store.acknowledged());
    let (loaded, _) = load(&place.file(), &clock()).unwrap();
    assert_eq!(loaded.all().map(|account| account.name().as_str()).collect::<Vec<_>>(), ["alice"]);
    assert_eq!(loaded.find_invite(&invite.hash()), Some(&Invite { used: 1, ..invite }));
}

#[test]
fn cut_at_any_byte_account_and_use_are_both_there_or_neither() {
    let invite = invite(3);
    let (place, folder, accounts) = with(invite);
    for (text, identity) in [("alice", 1), ("bob", 2), ("carol", 3)] {
        accounts.register_by_invite(account(text, identity), Some(invite.hash())).unwrap();
    }
    drop((accounts, folder));
    let good = place.content();
    // The title, and the invite.
    let first: usize = good.split_inclusive(|byte| *byte == b'\n').take(2).map(<[u8]>::len).sum();
    for cut in first..=good.len() {
        fs::write(place.file(), &good[..cut]).unwrap();
        let (table, _) = replay(&place.file()).unwrap();
        let used = table.find_invite(&invite.hash()).unwrap().used() as usize;
        assert_eq!(used, table.len(), "cut at {cut}");
    }
}

#[test]
fn an_invite_looks_as_documented_and_no_file_holds_its_code() {
    let code = InviteCode::new();
    let (place, _folder, accounts) = with(Invite::new(&code, 1, NOW, NOW + DAY));
    accounts.register_by_invite(account("alice", 1), Some(code.hash())).unwrap();
    accounts.revoke(code.hash()).unwrap();
    let hash = serde_json::to_string(&code.hash()).unwrap();
    let [made, registered, revoked] = &lines(&place.records())[..] else { panic!("three records") };
    assert_eq!(
        *made,
        format!(r#"{{"op":"invite","code":{hash},"created_ms":{NOW},"expires_run_ms":{},"uses":1}}"#, NOW + DAY)
    );
    assert!(registered.ends_with(&format!(r#","invite":{hash}}}"#)), "{registered}");
    assert_eq!(*revoked, format!(r#"{{"op":"revoke","code":{hash}}}"#));
    let content = String::from_utf8(place.content()).unwrap();
    assert!(!content.contains(&code.to_string()) && !content.contains(&code.to_string().replace('-', "")));
}

#[test]
fn bad_invite_records_are_refused() {
    let invite = invite(1);
    let id = invite.hash().id();
    let (place, folder, accounts) = with(invite);
    accounts.register_by_invite(account("alice", 1), Some(invite.hash())).unwrap();
    drop((accounts, folder));
    let [made, alice] = &lines(&place.records())[..] else { panic!("two records") };
    let other = Place::new();
    let (_folder, accounts) = other.open().unwrap();
    accounts.register(account("bob", 2)).unwrap();
    let hash = serde_json::to_string(&invite.hash()).unwrap();
    let bob = lines(&other.records())[0].replace("\"}", &format!("\",\"invite\":{hash}}}"));
    for (content, words) in [
        (format!("{made}\n{made}\n"), format!("line 3: invite {id} is made a second time")),
        (format!("{alice}\n"), format!("line 2: there is no invite {id}")),
        (format!("{made}\n{alice}\n{bob}\n"), format!("line 4: invite {id} is used more often than it may be")),
        (format!("{{\"op\":\"revoke\",\"code\":{hash}}}\n"), format!("line 2: there is no invite {id}")),
    ] {
        let place = Place::with(content.as_bytes());
        let error = place.open().unwrap_err().to_string();
        assert!(error.ends_with(&words), "{error}");
        assert_eq!(place.content(), sealed(0, content.as_bytes()));
    }
}

#[test]
fn a_rewritten_database_keeps_the_invites_that_are_good_and_how_often_they_were_used() {
    let place = Place::new();
    let (folder, accounts) = place.open().unwrap();
    let now = crate::server::clock::unix_ms();
    let (good, late) = (Invite::new(&InviteCode::new(), 2, now, now + DAY), Invite::new(&InviteCode::new(), 1, 1, 2));
    accounts.add_invite(good).unwrap();
    accounts.add_invite(late).unwrap();
    accounts.register_by_invite(account("alice", 1), Some(good.hash())).unwrap();
    drop((accounts, folder));
    let disable = "{\"op\":\"disable\",\"name\":\"alice\"}\n".repeat(2000);
    fs::write(place.file(), sealed(0, &[place.records(), disable.into_bytes()].concat())).unwrap();
    let (folder, accounts) = place.open().unwrap();
    let kept = [Invite { used: 1, ..good }];
    assert_eq!(accounts.invites().unwrap(), kept);
    assert_eq!(lines(&place.records()).len(), 3, "an invite, an account, which is disabled");
    drop((accounts, folder));
    assert_eq!(place.open().unwrap().1.invites().unwrap(), kept);
}

#[test]
fn a_database_without_invites_is_read_and_goes_on() {
    let place = Place::with(&example());
    let before = place.content();
    assert!(!String::from_utf8(before.clone()).unwrap().contains("invite"));
    let (folder, accounts) = place.open().unwrap();
    assert!(accounts.invites().unwrap().is_empty());
    let invite = invite(1);
    accounts.add_invite(invite).unwrap();
    accounts.register_by_invite(account("dave", 8), Some(invite.hash())).unwrap();
    drop((accounts, folder));
    assert!(place.content().starts_with(&before));
    assert_eq!(place.open().unwrap().1.figures().unwrap().accounts, 3);
}

/// Age is time that the server ran: the wall clock of a registration says nothing.
#[test]
fn no_clock_that_leaps_or_goes_back_ends_an_invite_or_prolongs_it() {
    for (expires, created_ms, outcome) in
        [(NOW + DAY, u64::MAX, Ok(Outcome::Changed)), (NOW, 0, Err(ChangeError::InviteRefused))]
    {
        let invite = Invite::new(&InviteCode::new(), 1, NOW, expires);
        let (_place, _folder, accounts) = with(invite);
        let alice = account("alice", 1);
        let alice = Account::new(alice.bundle().to_vec(), alice.verifier().clone(), created_ms).unwrap();
        assert_eq!(accounts.register_by_invite(alice, Some(invite.hash())), outcome);
    }
}
