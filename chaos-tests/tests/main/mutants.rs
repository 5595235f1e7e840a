//! Each deliberate fault of the product is noticed, and by the checker that is meant to: else a
//! passing run would say nothing.

use crate::scenario;
use chaos_tests::binary::Mutant;
use chaos_tests::checkers::{acknowledged_once, durable_before_ack, stale_epoch};
use chaos_tests::failure::Failure;
use chaos_tests::scenario::cluster::stop;
use chaos_tests::scenario::store_trouble::{self, Trouble};
use chaos_tests::scenario::{Tier, durability, kill9};

fn check_caught(checker: &str, outcome: Result<impl std::fmt::Debug, Failure>) {
    match outcome {
        Ok(figures) => panic!("the mutant was not noticed: {figures:?}"),
        Err(error) => {
            assert!(error.0.contains(checker), "noticed by something else: {error}");
            let lines: Vec<&str> = error.0.lines().take(3).collect();
            eprintln!("caught: {}", lines.join("\n    "));
        }
    }
}

/// Kills a mutant until a checker notices; at most so often, within the time a mutant may live.
fn hunt(mutant: Mutant, checker: &str) {
    let outcome = scenario(mutant.word(), |seed| async move {
        let mut plan = kill9::Plan::new(Tier::Smoke, seed);
        plan.name = mutant.word().to_owned();
        plan.rounds = 10;
        plan.mutant = Some(mutant);
        kill9::run(&plan).await
    });
    check_caught(checker, outcome);
}

#[test]
fn acknowledge_before_commit_is_caught_by_the_ledger() {
    hunt(Mutant::AckBeforeCommit, acknowledged_once::NAME);
}

#[test]
fn no_dedupe_key_is_caught_by_the_ledger() {
    hunt(Mutant::NoDedupe, acknowledged_once::NAME);
}

#[test]
fn no_fsync_is_caught_by_the_syncs() {
    let mutant = Some(Mutant::NoFsync);
    let counted = scenario("no-fsync counted", |seed| durability::by_counter(seed, mutant));
    check_caught(durable_before_ack::NAME, counted);
    if durability::has_strace() {
        let traced = scenario("no-fsync traced", |seed| durability::by_trace(seed, mutant));
        check_caught(durable_before_ack::NAME, traced);
    }
}

#[test]
fn acknowledge_before_commit_is_caught_by_the_syncs() {
    if !durability::has_strace() {
        eprintln!("SKIPPED: no strace on this machine");
        return;
    }
    let mutant = Some(Mutant::AckBeforeCommit);
    let traced = scenario("early traced", |seed| durability::by_trace(seed, mutant));
    check_caught(durable_before_ack::NAME, traced);
}

#[test]
fn skipping_the_fence_is_caught_at_the_store() {
    let mutant = Mutant::SkipFence;
    let stopped =
        scenario(
            mutant.word(),
            |seed| async move { stop::run(&stop::plan_mutant(seed, mutant)).await },
        );
    check_caught(stale_epoch::NAME, stopped);
}

#[test]
fn blind_retry_of_unknown_commits_is_caught_by_the_ledger() {
    let mutant = Mutant::BlindRetry;
    let hurt = scenario(mutant.word(), |seed| {
        store_trouble::run_as(Tier::Smoke, seed, Trouble::Faults, Some(mutant))
    });
    check_caught(acknowledged_once::NAME, hurt);
}
