//! Changes under commits whose outcome is not known.

use crate::{address, new_account, node, with_domain};
use base::Kind;
use base::universe::Universe;
use contract_directory::{AccountChange, Actor, DirectoryAdmin, NewGroup};
use store_memory::{CommitFault, Faults};
use store_testing::memory;

#[test]
fn an_unknown_commit_never_makes_an_account_twice() {
    use CommitFault::{Busy, Conflict, TooOld, UnknownApplied, UnknownNotApplied};
    let scripts: [&[CommitFault]; 6] = [
        &[UnknownApplied],
        &[UnknownNotApplied],
        &[UnknownNotApplied, UnknownApplied],
        &[UnknownNotApplied, UnknownNotApplied, UnknownNotApplied],
        &[UnknownApplied, UnknownApplied],
        &[Conflict, UnknownNotApplied, TooOld, Busy, UnknownApplied],
    ];
    for script in scripts {
        Universe::run(1, async |env| {
            let store = memory(&env);
            let node = with_domain(&env, &store).await;
            let audited = node.audit(100).await.unwrap().len();
            script.iter().for_each(|fault| store.memory().fail_next_commit(*fault));
            let made = node.create_account(&Actor::System, new_account("alice", "x")).await;
            assert_eq!(made.unwrap().address, address("alice"), "{script:?}");
            let again = node.create_account(&Actor::System, new_account("alice", "x")).await;
            assert_eq!(again.unwrap_err().kind, Kind::AlreadyExists);
            assert_eq!(node.list_accounts(None, 10).await.unwrap().len(), 1, "{script:?}");
            assert_eq!(node.audit(100).await.unwrap().len(), audited + 1, "{script:?}");
        });
    }
}

#[test]
fn every_kind_of_change_survives_an_unknown_commit() {
    for fault in [CommitFault::UnknownApplied, CommitFault::UnknownNotApplied] {
        Universe::run(2, async |env| {
            let store = memory(&env);
            let by = Actor::Operator;
            let node = with_domain(&env, &store).await;
            let fail = || store.memory().fail_next_commit(fault);
            let many = (0..1_000).map(|n| new_account(&format!("user{n}"), "x")).collect();
            fail();
            assert_eq!(node.create_accounts(&by, many).await.unwrap(), 1_000);
            let group = NewGroup {
                address: address("team"),
                display_name: String::new(),
                members: vec![address("user1")],
                authenticated_only: true,
            };
            fail();
            let group = node.create_group(&by, group).await.unwrap();
            let accounts = node.list_accounts(None, 1).await.unwrap();
            let change =
                AccountChange { add_aliases: vec![address("alias")], ..AccountChange::default() };
            fail();
            node.update_account(&by, accounts[0].id, change).await.unwrap();
            fail();
            node.remove_account(&by, accounts[0].id).await.unwrap();
            fail();
            node.remove_group(&by, group.id).await.unwrap();
            let actions: Vec<_> =
                node.audit(7).await.unwrap().into_iter().map(|record| record.action).collect();
            let expect = [
                "group.remove",
                "account.remove",
                "account.update",
                "group.create",
                "account.create",
                "account.create",
                "domain.create",
            ];
            assert_eq!(actions, expect, "each once");
            assert_eq!(node.list_accounts(None, 2_000).await.unwrap().len(), 999);
        });
    }
}

/// Leaving more groups than one transaction takes, interrupted in the middle.
#[test]
fn who_is_in_very_many_groups_leaves_them_all() {
    Universe::run(6, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        let by = Actor::Operator;
        let account = node.create_account(&by, new_account("alice", "x")).await.unwrap();
        for number in 0..2_100 {
            let group = NewGroup {
                address: address(&format!("group{number}")),
                display_name: String::new(),
                members: vec![address("alice")],
                authenticated_only: true,
            };
            node.create_group(&by, group).await.unwrap();
        }
        store.memory().fail_next_commit(CommitFault::UnknownApplied);
        store.memory().fail_next_commit(CommitFault::OutOfSpace);
        assert!(node.remove_account(&by, account.id).await.is_err());
        node.remove_account(&by, account.id).await.unwrap();
        let groups = node.list_groups(None, 5_000).await.unwrap();
        assert_eq!(groups.len(), 2_100);
        assert!(groups.iter().all(|group| group.members.is_empty()));
    });
}

#[test]
fn a_commit_that_lands_late_is_never_reported_as_done_nor_repeated() {
    Universe::run(3, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        store.memory().fail_next_commit(CommitFault::Late);
        let made = node.create_account(&Actor::System, new_account("alice", "x")).await;
        let error = made.unwrap_err();
        assert!(error.is_temporary(), "{error:?}");
        store.memory().land_late_commits();
        let again = node.create_account(&Actor::System, new_account("alice", "x")).await;
        assert_eq!(again.unwrap_err().kind, Kind::AlreadyExists);
        assert_eq!(node.list_accounts(None, 10).await.unwrap().len(), 1);
        assert_eq!(node.audit(10).await.unwrap().len(), 2, "the domain and the account");
    });
}

#[test]
fn a_refused_or_failed_change_leaves_no_audit_record() {
    Universe::run(4, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        let audited = node.audit(100).await.unwrap();
        store.memory().fail_next_commit(CommitFault::OutOfSpace);
        let full = node.create_account(&Actor::System, new_account("alice", "x")).await;
        assert_eq!(full.unwrap_err().kind, Kind::OutOfSpace);
        store.memory().inject(Faults { busy: 1.0, ..Faults::default() });
        let down = node.create_account(&Actor::System, new_account("alice", "x")).await;
        assert!(down.unwrap_err().is_temporary());
        store.memory().inject(Faults::default());
        let other = crate::node(&env, &store);
        assert_eq!(other.audit(100).await.unwrap(), audited);
        assert_eq!(other.list_accounts(None, 10).await.unwrap().len(), 0);
    });
}

#[test]
fn two_nodes_bootstrap_at_once() {
    Universe::run(5, async |env| {
        let store = memory(&env);
        store.memory().inject(Faults { conflict: 0.2, interleave: 0.5, ..Faults::default() });
        let first = || service_directory::Bootstrap {
            domain: "rialto.test".into(),
            accounts: (0..700).map(|n| new_account(&format!("user{n}"), "x")).collect(),
        };
        let (a, b) = (node(&env, &store), node(&env, &store));
        let made = futures::try_join!(a.bootstrap(first()), b.bootstrap(first())).unwrap();
        assert!(made.0 + made.1 <= 700, "{made:?}");
        assert_eq!(a.list_accounts(None, 1_000).await.unwrap().len(), 700);
        assert_eq!(b.bootstrap(first()).await.unwrap(), 0, "nothing is missing");
    });
}
