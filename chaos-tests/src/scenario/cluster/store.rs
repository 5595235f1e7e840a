//! The store is away for three nodes: for eight seconds, as while it recovers, nobody notices but
//! time; for thirty, temporary errors, and nothing lost (docs/foundationdb.md, "What an outage looks
//! like"). No node takes anything over meanwhile: all are away from it alike.

use super::{Plan, Promise, Stage, on_stage};
use crate::failure::Result;
use crate::figures::Times;
use crate::scenario::Tier;
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// A short outage, within what clients wait.
const RECOVERY: Duration = Duration::from_secs(8);

/// A long one.
const OUTAGE: Duration = Duration::from_secs(30);

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// How often each.
    pub rounds: u64,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// What clients were told during the long outages.
    pub told: usize,
    /// How soon all was served after each.
    pub served: Times,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, acknowledged, told, served } = self;
        write!(
            f,
            "{rounds} recoveries and outages, {acknowledged} acknowledged, clients were told {told} \
             times; served again after {served}"
        )
    }
}

/// One outage of each kind, or three.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan::new("cluster-store", tier, seed, (1, 3))
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    on_stage(plan, false, async |stage| story(stage, plan).await).await
}

async fn story(stage: &mut Stage, plan: &Plan) -> Result<Figures> {
    let mix = stage.mix();
    stage.load(&mix).await?;
    let mut served = Times::default();
    for _ in 0..plan.rounds {
        let recovery = RECOVERY.as_millis().to_string();
        stage.cluster.standin.control(&["recover", &recovery]).await?;
        sleep(RECOVERY).await;
        served.0.push(stage.cluster.wait_served().await?.as_micros() as u64);
        sleep(Duration::from_secs(3)).await;
    }
    for _ in 0..plan.rounds {
        let nodes = stage.cluster.running();
        nodes.iter().for_each(|node| stage.cluster.weather.begin(*node));
        stage.cluster.standin.die(OUTAGE).await?;
        sleep(OUTAGE).await;
        let begun = Instant::now();
        stage.cluster.wait_served().await?;
        for node in &nodes {
            while !stage.cluster.node(*node)?.admin().is_ready().await.unwrap_or_default() {
                sleep(Duration::from_millis(50)).await;
            }
        }
        served.0.push(begun.elapsed().as_micros() as u64);
        sleep(Duration::from_secs(3)).await;
        nodes.iter().for_each(|node| stage.cluster.weather.end(*node));
        sleep(Duration::from_secs(3)).await;
    }
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    let (acknowledged, told) = (outcome.acknowledged, outcome.counts.excused as usize);
    Ok(Figures { rounds: plan.rounds, acknowledged, told, served })
}
