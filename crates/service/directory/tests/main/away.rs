//! A store that does not answer: lookups and sign-ins are told so in time, and nobody pays for it.

use crate::{address, attempt, config, new_account, node, with_domain};
use base::env::Env;
use base::universe::Universe;
use base::{AccountId, Kind, Result};
use contract_directory::{
    Actor, Directory, DirectoryAdmin, GroupId, LoginAttempt, NewGroup, Resolved,
};
use futures::future::join_all;
use service_directory::{DirectoryConfig, DirectoryService};
use std::sync::Arc;
use std::time::Duration;
use store_memory::Faults;
use store_testing::{TestStore, memory};

/// How long a client may wait.
const IN_TIME: Duration = Duration::from_secs(10);

/// A store with `alice`, who is in the group `team`, and a node that has looked at nothing yet.
async fn new_node(env: &Env) -> (TestStore, Arc<DirectoryService>, AccountId, GroupId) {
    let store = memory(env);
    let first = with_domain(env, &store).await;
    let alice = first.create_account(&Actor::System, new_account("alice", "right")).await;
    let team = NewGroup {
        address: address("team"),
        display_name: String::new(),
        members: vec![address("alice")],
        authenticated_only: false,
    };
    let team = first.create_group(&Actor::System, team).await.unwrap().id;
    let node = node(env, &store);
    env.clock.sleep(Duration::from_secs(1)).await;
    (store, node, alice.unwrap().id, team)
}

/// Waits for an answer; it must be "not now", and there in time.
async fn not_now<T>(env: &Env, what: &str, answer: impl Future<Output = Result<T>>) {
    let began = env.clock.monotonic();
    let answer = answer.await.map(drop).map_err(|error| error.kind);
    let took = env.clock.monotonic().saturating_sub(began);
    assert_eq!(answer, Err(Kind::Unavailable), "{what}");
    assert!(took <= IN_TIME + Duration::from_millis(10), "{what} took {took:?}");
}

#[test]
fn every_lookup_is_answered_in_time() {
    Universe::run(1, async |env| {
        let (store, node, alice, team) = new_node(&env).await;
        let looked = node.account(alice).await.unwrap();
        let other = self::node(&env, &store);
        env.clock.sleep(Duration::from_secs(1)).await;
        store.memory().set_silent(true);

        // What is known is still told, for a while.
        let began = env.clock.monotonic();
        assert_eq!(node.account(alice).await.unwrap(), looked);
        assert_eq!(env.clock.monotonic(), began);

        let (known, unknown) = (address("alice"), address("nobody"));
        not_now(&env, "RCPT", other.resolve(&known)).await;
        not_now(&env, "RCPT of nobody", other.resolve(&unknown)).await;
        not_now(&env, "<postmaster>", other.domains()).await;
        not_now(&env, "MAIL", other.may_send_as(&looked, &known)).await;
        not_now(&env, "a session's account", other.account(alice)).await;
        not_now(&env, "expanding", other.expand(team, 0, 10)).await;
        for password in ["right", "wrong"] {
            not_now(&env, "LOGIN", other.authenticate(&attempt("alice", password))).await;
        }
        not_now(&env, "LOGIN of nobody", other.authenticate(&attempt("nobody", "right"))).await;

        store.memory().set_silent(false);
        assert!(matches!(other.resolve(&known).await.unwrap(), Resolved::Account(_)));
        assert_eq!(other.authenticate(&attempt("alice", "right")).await.unwrap().id, alice);
    });
}

#[test]
fn a_recovery_of_eight_seconds_is_waited_for() {
    Universe::run(2, async |env| {
        let (store, node, alice, _) = new_node(&env).await;
        store.memory().set_silent(true);
        let speaks = async {
            env.clock.sleep(Duration::from_secs(8)).await;
            store.memory().set_silent(false);
        };
        let (to, right) = (address("alice"), attempt("alice", "right"));
        let (resolved, account, ()) =
            futures::join!(node.resolve(&to), node.authenticate(&right), speaks);
        assert!(matches!(resolved.unwrap(), Resolved::Account(_)));
        assert_eq!(account.unwrap().id, alice);
    });
}

/// Those who wait behind each other for their turn have one deadline each, not one after another.
#[test]
fn many_sign_ins_at_once_are_all_answered_in_time() {
    Universe::run(3, async |env| {
        let (store, node, alice, _) = new_node(&env).await;
        store.memory().inject(Faults { interleave: 1.0, ..Faults::default() });
        let right = attempt("alice", "right");
        let begin = env.clock.monotonic();
        let falls_silent = async {
            // Some have their turn by then, the others wait for it.
            for _ in 0..6 {
                tokio::task::yield_now().await;
            }
            store.memory().set_silent(true);
        };
        let (answers, ()) =
            futures::join!(join_all((0..50).map(|_| node.authenticate(&right))), falls_silent);
        let took = env.clock.monotonic().saturating_sub(begin);
        assert!(took <= IN_TIME + Duration::from_millis(10), "{took:?}");
        let kinds = answers.into_iter().map(|answer| answer.map_err(|error| error.kind));
        assert!(kinds.into_iter().all(|kind| kind == Err(Kind::Unavailable)));
        store.memory().set_silent(false);
        assert_eq!(node.authenticate(&right).await.unwrap().id, alice, "nobody was charged");
    });
}

/// Signs in while the store falls silent after so many reads of the attempt.
async fn cut_off(
    env: &Env,
    store: &TestStore,
    node: &Arc<DirectoryService>,
    attempt: LoginAttempt,
    after_reads: u64,
) -> Option<Kind> {
    env.clock.sleep(Duration::from_secs(1)).await;
    let silent_at = store.memory().stats().point_reads + after_reads;
    let node = node.clone();
    let signing_in = tokio::spawn(async move { node.authenticate(&attempt).await });
    while store.memory().stats().point_reads < silent_at && !signing_in.is_finished() {
        tokio::task::yield_now().await;
    }
    store.memory().set_silent(true);
    let outcome = signing_in.await.unwrap();
    store.memory().set_silent(false);
    outcome.err().map(|error| error.kind)
}

#[test]
fn an_attempt_that_the_store_cut_off_is_charged_to_nobody() {
    Universe::run(4, async |env| {
        let (store, first, ..) = new_node(&env).await;
        drop(first);
        // Nobody is recognised: each attempt goes all the way.
        let config = DirectoryConfig { verified_ttl_ms: 0, ..config() };
        let node = DirectoryService::start(config, store.dynamic.clone(), env.clone());
        store.memory().inject(Faults { interleave: 1.0, ..Faults::default() });
        let mut cut = 0;
        for after_reads in 0..=6 {
            // Many more than are free, and their waits are longer than those for the store.
            for number in 0..14 {
                let outcome =
                    cut_off(&env, &store, &node, attempt("alice", "right"), after_reads).await;
                assert!(
                    matches!(outcome, None | Some(Kind::Unavailable)),
                    "attempt {number}, cut off after {after_reads} reads: {outcome:?}"
                );
                cut += u32::from(outcome.is_some());
            }
        }
        assert!(cut >= 6 * 14, "only {cut} attempts were cut off");
        node.authenticate(&attempt("alice", "right")).await.unwrap();
    });
}
