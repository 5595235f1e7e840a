//! What signing in costs.

use crate::counters::Counters;
use crate::{attempt, config, new_account, with_domain};
use base::Kind;
use base::universe::Universe;
use contract_directory::{AccountChange, Actor, Directory, DirectoryAdmin, NewAccount, Secret};
use service_directory::{DirectoryConfig, DirectoryService, HashParameters};
use std::time::Duration;
use store_testing::{memory, open};

#[test]
fn a_verified_password_costs_no_hash_and_no_store_for_a_while() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    Universe::run(1, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        node.create_account(&Actor::System, new_account("alice", "right")).await.unwrap();
        env.clock.sleep(Duration::from_secs(1)).await;

        // A client that opens many connections at once.
        let before = counters.hashes();
        let right = attempt("alice", "right");
        let logins = (0..16).map(|_| node.authenticate(&right));
        assert!(futures::future::join_all(logins).await.iter().all(Result::is_ok));
        assert_eq!(counters.hashes() - before, 1);

        let (hashes, reads) = (counters.hashes(), store.memory().stats().point_reads);
        for _ in 0..1_000 {
            node.authenticate(&right).await.unwrap();
        }
        assert_eq!((counters.hashes(), store.memory().stats().point_reads), (hashes, reads));

        env.clock.sleep(Duration::from_millis(config().verified_ttl_ms)).await;
        node.authenticate(&right).await.unwrap();
        assert_eq!(counters.hashes(), hashes + 1, "it is not believed for ever");
    });
}

#[test]
fn attack_08_attack_35_every_refusal_costs_one_hash() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    Universe::run(2, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        node.create_account(&Actor::System, new_account("alice", "right")).await.unwrap();
        let off = node.create_account(&Actor::System, new_account("off", "right")).await.unwrap();
        let disable = AccountChange { enabled: Some(false), ..AccountChange::default() };
        node.update_account(&Actor::System, off.id, disable).await.unwrap();
        let none = NewAccount { password: None, ..new_account("none", "") };
        node.create_account(&Actor::System, none).await.unwrap();
        for (login, password) in [
            ("alice", "wrong"),
            ("nobody", "wrong"),
            ("alice@far.test", "right"),
            ("off", "right"),
            ("off", "wrong"),
            ("none", "wrong"),
        ] {
            let (hashes, reads) = (counters.hashes(), store.memory().stats().begun);
            let error = node.authenticate(&attempt(login, password)).await.unwrap_err();
            assert_eq!(error.kind, Kind::BadCredentials, "{login}");
            assert_eq!(counters.hashes() - hashes, 1, "{login} {password}");
            assert_eq!(store.memory().stats().begun - reads, 2, "{login} {password}");
        }
        assert_eq!(counters.get("rialto_directory_auth_failures_total"), 6);
    });
}

#[test]
fn attack_14_an_absurd_password_costs_nothing() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    Universe::run(3, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        let before = (counters.hashes(), store.memory().stats().begun);
        let megabyte = "x".repeat(1 << 20);
        for (login, password) in [("alice", &*megabyte), (&*megabyte, "x"), ("a\0b", "x")] {
            let error = node.authenticate(&attempt(login, password)).await.unwrap_err();
            assert_eq!(error.kind, Kind::BadCredentials);
        }
        assert_eq!((counters.hashes(), store.memory().stats().begun), before);
    });
}

#[test]
fn passwords_are_hashed_anew_after_the_parameters_changed() {
    let counters = Counters::default();
    let _guard = metrics::set_default_local_recorder(&counters);
    Universe::run(4, async |env| {
        let store = open(&env);
        let first = with_domain(&env, &store).await;
        first.create_account(&Actor::System, new_account("alice", "right")).await.unwrap();
        let stronger = DirectoryConfig {
            hash: HashParameters { memory_kib: 128, passes: 2, lanes: 1 },
            ..config()
        };
        for expect in [2, 1] {
            let shared = store.dynamic.clone();
            let node = DirectoryService::start(stronger.clone(), shared, env.clone());
            let before = counters.hashes();
            node.authenticate(&attempt("alice", "right")).await.unwrap();
            assert_eq!(counters.hashes() - before, expect);
        }
        // The other node, still with its old parameters, can read it.
        first.authenticate(&attempt("alice", "right")).await.unwrap();
    });
}

#[test]
fn a_node_that_lost_the_store_says_so_and_trusts_its_cache_for_seconds_only() {
    Universe::run(5, async |env| {
        let store = memory(&env);
        let node = with_domain(&env, &store).await;
        node.create_account(&Actor::System, new_account("alice", "right")).await.unwrap();
        env.clock.sleep(Duration::from_secs(1)).await;
        node.authenticate(&attempt("alice", "right")).await.unwrap();
        let down = store_memory::Faults { busy: 1.0, ..store_memory::Faults::default() };
        store.memory().inject(down);
        node.authenticate(&attempt("alice", "right")).await.unwrap();
        env.clock.sleep(Duration::from_secs(60)).await;
        let error = node.authenticate(&attempt("alice", "right")).await.unwrap_err();
        assert!(error.is_temporary(), "{error:?}");
        let error = node.authenticate(&attempt("nobody", "right")).await.unwrap_err();
        assert!(error.is_temporary(), "never a wrong no: {error:?}");
        let error = node.resolve(&crate::address("nobody")).await.unwrap_err();
        assert!(error.is_temporary(), "{error:?}");
        store.memory().inject(store_memory::Faults::default());
        env.clock.sleep(Duration::from_secs(60)).await;
        node.authenticate(&attempt("alice", "right")).await.unwrap();
    });
}

#[test]
fn a_password_is_never_printed() {
    Universe::run(6, async |env| {
        let store = open(&env);
        let node = with_domain(&env, &store).await;
        let login = attempt("alice", "hush-hush");
        assert!(!format!("{login:?}").contains("hush"));
        let new = new_account("alice", "hush\nhush");
        assert!(!format!("{new:?}").contains("hush"));
        let error = node.create_account(&Actor::System, new).await.unwrap_err();
        assert!(!format!("{error:?}").contains("hush"));
        let change =
            AccountChange { password: Some(Secret("hush".into())), ..AccountChange::default() };
        assert!(!format!("{change:?}").contains("hush"));
    });
}
