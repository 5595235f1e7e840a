use crate::scenario;
use chaos_tests::scenario::{
    Tier, bulk_kill, disk_full, durability, frozen, kill9, large_message, slow_client,
};

#[test]
fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let figures = scenario("kill9", |seed| async move {
        kill9::run(&kill9::Plan::new(Tier::from_env(), seed)).await
    });
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("kill9: {figures}");
    assert!(figures.acknowledged > 0);
}

#[test]
fn a_frozen_node_loses_and_doubles_nothing() {
    let count = scenario("frozen", |seed| frozen::run(Tier::from_env(), seed));
    let count = count.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("frozen: {count} acknowledged");
}

#[test]
fn slow_clients_cost_nobody_else_anything() {
    let figures = scenario("slow", |seed| slow_client::run(Tier::from_env(), seed));
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("slow: {figures:?}");
}

#[test]
fn a_full_disk_refuses_mail_for_a_while_and_keeps_what_it_has() {
    let outcome = scenario("disk_full", disk_full::run);
    match outcome.unwrap_or_else(|error| panic!("{error}")) {
        disk_full::Outcome::Skipped(why) => eprintln!("disk_full: SKIPPED, no tmpfs: {why}"),
        ran => eprintln!("disk_full: {ran:?}"),
    }
}

#[test]
fn each_message_is_acknowledged_after_a_sync() {
    let counted = scenario("syncs", |seed| durability::by_counter(seed, None));
    eprintln!("syncs: {:?}", counted.unwrap_or_else(|error| panic!("{error}")));
    if !durability::has_strace() {
        eprintln!("traced: SKIPPED, no strace on this machine");
        return;
    }
    let traced = scenario("traced", |seed| durability::by_trace(seed, None));
    eprintln!("traced: {:?}", traced.unwrap_or_else(|error| panic!("{error}")));
}

/// The bound is the one that the benchmarks are held to, from the first message on.
#[test]
fn a_message_of_50_mb_costs_at_most_64_mb() {
    let figures = scenario("large", large_message::run);
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    eprintln!("large: {figures:?}");
    for figures in figures {
        assert!(figures.cost() <= 64 << 20, "{figures:?}");
    }
}

#[test]
fn kill_9_in_a_bulk_command_leaves_no_half_copy_and_no_stray() {
    let figures = scenario("bulk", |seed| bulk_kill::run(Tier::from_env(), seed));
    eprintln!("bulk: {:?}", figures.unwrap_or_else(|error| panic!("{error}")));
}
