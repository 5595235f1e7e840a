//! Three nodes, real processes, one store: what is promised of them while they die, stop, are cut
//! off, leave and come.

use crate::scenario;
use chaos_tests::failure::Result;
use chaos_tests::scenario::Tier;
use chaos_tests::scenario::cluster::{
    Plan, all, drain, haproxy, idle_failover, join, kill, partition, slow, stop, store,
};

fn check<F>(plan: fn(Tier, u64) -> Plan, run: impl FnOnce(Plan) -> F)
where
    F: Future<Output = Result<String>>,
{
    let name = plan(Tier::Smoke, 0).name;
    let figures = scenario(name, |seed| run(plan(Tier::from_env(), seed)));
    eprintln!("{name}: {}", figures.unwrap_or_else(|error| panic!("{error}")));
}

/// Those that take minutes.
fn check_if_full<F>(plan: fn(Tier, u64) -> Plan, run: impl FnOnce(Plan) -> F)
where
    F: Future<Output = Result<String>>,
{
    match Tier::from_env() {
        Tier::Full => check(plan, run),
        Tier::Smoke => eprintln!("{}: only with RIALTO_TIER=full", plan(Tier::Smoke, 0).name),
    }
}

#[test]
fn nodes_die_one_after_the_other_and_nothing_acknowledged_is_lost_or_doubled() {
    check(kill::plan, |plan| async move { Ok(kill::run(&plan).await?.to_string()) });
}

#[test]
fn sessions_in_idle_hear_of_each_message_once_though_owners_die() {
    check(
        idle_failover::plan,
        |plan| async move { Ok(idle_failover::run(&plan).await?.to_string()) },
    );
}

#[test]
fn no_command_fails_in_a_rolling_restart() {
    check(drain::plan, |plan| async move { Ok(drain::run(&plan).await?.to_string()) });
}

#[test]
fn an_owner_that_was_stopped_commits_nothing_and_shows_nothing_old() {
    check_if_full(stop::plan, |plan| async move { Ok(stop::run(&plan).await?.to_string()) });
}

#[test]
fn nodes_that_hear_each_other_serve_on_however_the_network_is_cut() {
    check_if_full(
        partition::plan,
        |plan| async move { Ok(partition::run(&plan).await?.to_string()) },
    );
}

#[test]
fn all_nodes_die_at_once_and_come_back_with_everything() {
    check_if_full(all::plan, |plan| async move { Ok(all::run(&plan).await?.to_string()) });
}

#[test]
fn nobody_notices_that_a_node_joins() {
    check_if_full(join::plan, |plan| async move { Ok(join::run(&plan).await?.to_string()) });
}

#[test]
fn an_outage_of_the_store_costs_three_nodes_time_or_temporary_errors() {
    check_if_full(store::plan, |plan| async move { Ok(store::run(&plan).await?.to_string()) });
}

#[test]
fn a_slow_node_or_a_wrong_clock_makes_nothing_wrong() {
    check_if_full(slow::plan, |plan| async move { Ok(slow::run(&plan).await?.to_string()) });
}

#[test]
fn behind_haproxy_clients_of_a_dead_node_are_back_soon_and_others_notice_nothing() {
    check_if_full(haproxy::plan, |plan| async move { Ok(haproxy::run(&plan).await?.to_string()) });
}
