//! Every row of the directory is looked at, and whatever does not fit is told.

use crate::{address, new_account, with_domain};
use base::{AccountId, Universe};
use contract_directory::{AccountChange, Actor, DirectoryAdmin, GroupChange, NewGroup};
use contract_store::{Isolation, KeyRange, RangeRead, Store};
use service_directory::verify;
use std::sync::Arc;
use store_testing::TestStore;

/// Somebody with an alias, and a group of two; what is in the store is as it should be.
async fn filled(store: &Arc<dyn Store>, node: &dyn DirectoryAdmin) -> AccountId {
    let alice = node.create_account(&Actor::System, new_account("alice", "secret")).await.unwrap();
    let change = AccountChange { add_aliases: vec![address("Al.ias")], ..AccountChange::default() };
    node.update_account(&Actor::System, alice.id, change).await.unwrap();
    let bob = node.create_account(&Actor::System, new_account("bob", "secret")).await.unwrap();
    let new = NewGroup {
        address: address("team"),
        display_name: String::new(),
        members: vec![address("Alice"), address("bob")],
        authenticated_only: false,
    };
    let team = node.create_group(&Actor::System, new).await.unwrap();
    let change = GroupChange { add: vec![address("elsewhere")], ..GroupChange::default() };
    node.update_group(&Actor::System, team.id, change).await.unwrap();
    node.remove_account(&Actor::System, bob.id).await.unwrap();
    let report = verify(store).await.unwrap();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!((report.accounts, report.groups, report.addresses), (1, 1, 3));
    assert_eq!(report.members, 2);
    assert!(report.changes >= 5);
    alice.id
}

#[test]
fn rows_that_do_not_fit_are_found() {
    Universe::run(1, async |env| {
        let store = store_testing::open(&env);
        let node = with_domain(&env, &store).await;
        let TestStore { dynamic: store, .. } = store;
        let alice = filled(&store, &*node).await;
        let rows = async |prefix: &[u8]| {
            let tx = store.begin();
            let read = RangeRead::all(&KeyRange::prefix(prefix));
            tx.get_range(&read, Isolation::Snapshot).await.unwrap().rows
        };
        // Takes the first row with a prefix away, or puts another in its place, and back.
        let check = async |prefix: &[u8], place: usize, value: Option<&[u8]>, expect: &[&str]| {
            let row = rows(prefix).await[place].clone();
            let set = async |value: Option<&[u8]>| {
                let tx = store.begin();
                match value {
                    Some(value) => tx.set(&row.key, value),
                    None => tx.clear(&row.key),
                }
                tx.commit().await.unwrap();
            };
            set(value).await;
            let report = verify(&store).await.unwrap();
            assert_eq!(report.problems.len(), expect.len(), "{:#?}", report.problems);
            for (problem, expect) in report.problems.iter().zip(expect) {
                assert!(problem.contains(expect), "{problem} instead of {expect}");
            }
            assert_eq!(report.is_sound(), expect.is_empty());
            set(Some(&row.value)).await;
        };
        let bad = Some(&b"\x01"[..]);
        // Addresses: the alias, the primary one, the group's.
        let nobody = |address: &str| format!("its address {address} has no row");
        check(b"C/n", 0, None, &[&nobody("Al.ias@rialto.test")]).await;
        check(b"C/n", 1, None, &[&nobody("alice@rialto.test")]).await;
        check(b"C/n", 2, None, &[&nobody("team@rialto.test")]).await;
        check(b"C/n", 0, bad, &["damaged", "damaged"]).await;
        let other = rows(b"C/n").await[2].value.clone();
        let expect = ["which has not this address", "is somebody else's"];
        check(b"C/n", 0, Some(&other), &expect).await;
        let primary = rows(b"C/n").await[1].value.clone();
        check(b"C/n", 0, Some(&primary), &["it is wrong about the primary address"]).await;
        // Accounts and groups: the two addresses, the password; the address, the members.
        let not_there = format!("it points at {alice}, which is not there");
        check(b"C/a", 0, None, &[&not_there, &not_there, "it is of no account"]).await;
        check(b"C/a", 0, bad, &["damaged"; 3]).await;
        let no_group = ["which is not there", "there is no group", "there is no group"];
        check(b"C/g", 0, None, &no_group).await;
        check(b"C/o", 0, None, &["it is missing from the list of groups"]).await;
        check(b"C/m", 0, bad, &["damaged"]).await;
        let other = rows(b"C/m").await[1].value.clone();
        check(b"C/m", 0, Some(&other), &["it is that of elsewhere@rialto.test"]).await;
        check(b"C/y", 0, None, &["does not know of this membership"]).await;
        for prefix in [b"C/w", b"C/d", b"C/x", b"C/f", b"C/u"] {
            check(prefix, 0, Some(b"\x09\xff"), &["damaged"]).await;
        }
        assert!(verify(&store).await.unwrap().is_sound());
    });
}
