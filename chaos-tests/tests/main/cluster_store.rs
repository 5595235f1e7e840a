//! The same promises with the mail in a cluster's store, for which the stand-in stands in.

use crate::scenario;
use chaos_tests::scenario::store_trouble::{self, Trouble};
use chaos_tests::scenario::{Tier, kill9, store_dead, store_figures};
use chaos_tests::world::Store;
use std::time::Duration;

fn check_kill9(name: &str, store: Store) {
    let figures = scenario(name, |seed| async move {
        kill9::run(&kill9::Plan::over(Tier::from_env(), seed, store)).await
    });
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{name}: {figures}");
    assert!(figures.acknowledged > 0);
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill_9_of_the_node() {
    check_kill9("kill9-fdb", Store::FoundationDb);
}

/// The database dies with the node, and its log keeps what was acknowledged.
#[test]
fn the_stand_in_that_a_node_starts_keeps_what_was_acknowledged() {
    check_kill9("kill9-own", Store::OwnStandin);
}

fn check_trouble(trouble: Trouble) -> store_trouble::Figures {
    let name = format!("{trouble:?}");
    let figures = scenario(&name, |seed| store_trouble::run(Tier::from_env(), seed, trouble));
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("{name}: {figures}");
    assert!(figures.acknowledged > 0);
    figures
}

#[test]
fn no_client_notices_a_recovery_of_eight_seconds() {
    check_trouble(Trouble::Recovery);
}

#[test]
fn no_client_notices_that_the_store_is_killed_and_started_again() {
    check_trouble(Trouble::Kills);
}

#[test]
fn conflicts_unknown_and_late_commits_lose_and_double_nothing() {
    let figures = check_trouble(Trouble::Faults);
    let [unknown, _, faults] = figures.hurt;
    assert!(unknown > 0 && faults > unknown, "nothing was hurt: {figures}");
    assert!(figures.acknowledged > 200, "the load came to nothing: {figures}");
}

#[test]
fn a_dead_store_means_temporary_errors_and_nothing_lost() {
    let figures = scenario("store-dead", |seed| store_dead::run(Tier::from_env(), seed));
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("store-dead: {figures:?}");
    // Ten seconds are promised; the rest is for a machine that is busy with other things.
    for waited in [figures.smtp_answer, figures.imap_answer] {
        assert!(waited < Duration::from_secs(15), "{figures:?}");
    }
}

#[test]
fn a_message_costs_the_cluster_what_it_may() {
    let figures = scenario("store-figures", |seed| store_figures::run(Tier::from_env(), seed));
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("store-figures: {figures}");
    // The node's own business, renewing its right to write above all, goes on beside the work.
    assert!(figures.message.commits <= 2.2, "{figures}");
    // Two checks that the node still owns the mailbox: one for the answer, one for the news that
    // come behind it; and for a body a read of its chunk.
    assert!(figures.fetch.reads <= 2.3 && figures.fetch.commits <= 0.1, "{figures}");
    assert!(figures.body.reads <= 3.3 && figures.body.commits <= 0.1, "{figures}");
    assert!(figures.large.commits <= 80.0, "{figures}");
    assert!(figures.largest_commit <= 1_000_000, "{figures}");
}
