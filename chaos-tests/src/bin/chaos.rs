//! Runs one scenario by hand: `cargo run -p chaos-tests -- kill9 --seed 7 --full`.
// It drives real processes, and what it prints is its result.
#![allow(clippy::print_stdout)]

use chaos_tests::failure::Result;
use chaos_tests::scenario::cluster::{
    Plan, all, drain, haproxy, idle_failover, join, kill as cluster_kill, partition, slow, stop,
    store, throughput,
};
use chaos_tests::scenario::store_trouble::Trouble;
use chaos_tests::scenario::{
    Tier, bulk_kill, disk_full, durability, frozen, kill9, large_message, seed_from_env,
    slow_client, store_dead, store_figures, store_trouble,
};
use chaos_tests::world::Store;
use clap::{Parser, ValueEnum};
use std::process::ExitCode;

/// One scenario against one node, or a cluster of three.
#[derive(Parser)]
struct Arguments {
    /// Which
    scenario: Scenario,
    /// The seed; where absent, what RIALTO_SEED says: a number or `random`
    #[arg(long)]
    seed: Option<u64>,
    /// The long tier
    #[arg(long)]
    full: bool,
    /// How often kill9 kills, or a scenario of a cluster does what it does
    #[arg(long)]
    rounds: Option<u64>,
    /// Reads of registers begin with a NOOP: to look past reads that are stale without
    #[arg(long)]
    asks_first: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Scenario {
    Kill9,
    Durability,
    SlowClient,
    Frozen,
    DiskFull,
    LargeMessage,
    BulkKill,
    /// kill9 with the mail in the stand-in for FoundationDB
    Kill9Fdb,
    /// kill9 with the stand-in that the node starts itself
    Kill9Own,
    StoreRecovery,
    StoreKills,
    StoreFaults,
    StoreDead,
    StoreFigures,
    /// kill -9 of one node after the other: owners, the leader, anybody
    ClusterKill,
    /// The owner of a mailbox is stopped for ten seconds
    ClusterStop,
    /// The nodes do not hear each other, in every way
    ClusterPartition,
    /// All nodes die at once
    ClusterAll,
    /// A rolling upgrade, from the program that RIALTO_OLD_BIN names; else a restart
    ClusterDrain,
    /// A fourth node joins
    ClusterJoin,
    /// The store is away for three nodes
    ClusterStore,
    /// Slow links, a slow processor, a slow store, a wrong clock
    ClusterSlow,
    /// HAProxy in front, and a node dies
    ClusterHaproxy,
    /// What three nodes do beside one
    ClusterThroughput,
    /// Many sessions in IDLE while owners die
    IdleFailover,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(seed_from_env);
    println!("seed {seed}");
    match run(&arguments, seed).await {
        Ok(figures) => {
            println!("ok: {figures}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments, seed: u64) -> Result<String> {
    let tier = if arguments.full { Tier::Full } else { Tier::Smoke };
    Ok(match arguments.scenario {
        Scenario::Kill9 => kill(arguments, kill9::Plan::new(tier, seed)).await?,
        Scenario::Kill9Fdb => {
            kill(arguments, kill9::Plan::over(tier, seed, Store::FoundationDb)).await?
        }
        Scenario::Kill9Own => {
            kill(arguments, kill9::Plan::over(tier, seed, Store::OwnStandin)).await?
        }
        Scenario::StoreRecovery => {
            store_trouble::run(tier, seed, Trouble::Recovery).await?.to_string()
        }
        Scenario::StoreKills => store_trouble::run(tier, seed, Trouble::Kills).await?.to_string(),
        Scenario::StoreFaults => store_trouble::run(tier, seed, Trouble::Faults).await?.to_string(),
        Scenario::StoreDead => format!("{:?}", store_dead::run(tier, seed).await?),
        Scenario::StoreFigures => store_figures::run(tier, seed).await?.to_string(),
        Scenario::Durability => format!("{:?}", durability::by_trace(seed, None).await?),
        Scenario::SlowClient => format!("{:?}", slow_client::run(tier, seed).await?),
        Scenario::Frozen => format!("{} acknowledged", frozen::run(tier, seed).await?),
        Scenario::BulkKill => format!("{:?}", bulk_kill::run(tier, seed).await?),
        Scenario::LargeMessage => format!("{:?}", large_message::run(seed).await?),
        Scenario::DiskFull => format!("{:?}", disk_full::run(seed).await?),
        of_cluster => Box::pin(cluster(arguments, of_cluster, tier, seed)).await?,
    })
}

async fn cluster(
    arguments: &Arguments,
    scenario: Scenario,
    tier: Tier,
    seed: u64,
) -> Result<String> {
    let name = scenario.to_possible_value().map(|value| value.get_name().to_owned());
    let plan = |plan: fn(Tier, u64) -> Plan| {
        let mut plan = plan(tier, seed);
        plan.rounds = arguments.rounds.unwrap_or(plan.rounds);
        plan.asks_first = arguments.asks_first;
        plan
    };
    Ok(match scenario {
        Scenario::ClusterKill => cluster_kill::run(&plan(cluster_kill::plan)).await?.to_string(),
        Scenario::ClusterStop => stop::run(&plan(stop::plan)).await?.to_string(),
        Scenario::ClusterPartition => partition::run(&plan(partition::plan)).await?.to_string(),
        Scenario::ClusterAll => all::run(&plan(all::plan)).await?.to_string(),
        Scenario::ClusterDrain => drain::run(&plan(drain::plan)).await?.to_string(),
        Scenario::ClusterJoin => join::run(&plan(join::plan)).await?.to_string(),
        Scenario::ClusterStore => store::run(&plan(store::plan)).await?.to_string(),
        Scenario::ClusterSlow => slow::run(&plan(slow::plan)).await?.to_string(),
        Scenario::ClusterHaproxy => haproxy::run(&plan(haproxy::plan)).await?.to_string(),
        Scenario::ClusterThroughput => throughput::run(tier, seed).await?.to_string(),
        Scenario::IdleFailover => idle_failover::run(&plan(idle_failover::plan)).await?.to_string(),
        _ => return Err(format!("{name:?} is no scenario of a cluster").into()),
    })
}

async fn kill(arguments: &Arguments, mut plan: kill9::Plan) -> Result<String> {
    plan.rounds = arguments.rounds.unwrap_or(plan.rounds);
    Ok(kill9::run(&plan).await?.to_string())
}
