//! Runs one scenario by hand: `cargo run -p chaos-tests -- kill9 --seed 7 --full`.
// It drives real processes, and what it prints is its result.
#![allow(clippy::print_stdout)]

use chaos_tests::failure::Result;
use chaos_tests::scenario::store_trouble::Trouble;
use chaos_tests::scenario::{
    Tier, bulk_kill, disk_full, durability, frozen, kill9, large_message, seed_from_env,
    slow_client, store_dead, store_figures, store_trouble,
};
use chaos_tests::world::Store;
use clap::{Parser, ValueEnum};
use std::process::ExitCode;

/// One scenario against one node.
#[derive(Parser)]
struct Arguments {
    /// Which
    scenario: Scenario,
    /// The seed; a fresh one where absent
    #[arg(long)]
    seed: Option<u64>,
    /// The long tier
    #[arg(long)]
    full: bool,
    /// How often kill9 kills
    #[arg(long)]
    rounds: Option<u64>,
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
    })
}

async fn kill(arguments: &Arguments, mut plan: kill9::Plan) -> Result<String> {
    plan.rounds = arguments.rounds.unwrap_or(plan.rounds);
    Ok(kill9::run(&plan).await?.to_string())
}
