//! All nodes die at once, as when the power fails, and are started again: what was acknowledged is
//! there, and the cluster serves soon.

use super::{Plan, Promise, Stage, on_stage, wait_usable};
use crate::failure::Result;
use crate::figures::Times;
use crate::random::Random;
use crate::scenario::Tier;
use std::fmt;
use std::time::Duration;
use tokio::time::sleep;

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// How often.
    pub rounds: u64,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// From the start of the processes until every mailbox answered.
    pub cold_starts: Times,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, acknowledged, cold_starts } = self;
        write!(f, "{rounds} times all, {acknowledged} acknowledged, served after {cold_starts}")
    }
}

/// Twice, or ten times.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan::new("cluster-all", tier, seed, (2, 10))
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
    let mut random = Random::new(plan.seed, 940_000);
    let mut cold_starts = Times::default();
    for _ in 0..plan.rounds {
        sleep(Duration::from_secs(1) + random.below_ms(2_000)).await;
        let all = stage.cluster.running();
        // Hurt all of them before the first is gone: nobody is left to notice.
        all.iter().for_each(|node| stage.cluster.weather.begin(*node));
        for node in all {
            stage.cluster.kill9(node).await?;
        }
        let begun = std::time::Instant::now();
        stage.cluster.boot_all().await?;
        wait_usable(&stage.cluster).await?;
        stage.cluster.running().into_iter().for_each(|node| stage.cluster.weather.end(node));
        cold_starts.0.push(begun.elapsed().as_micros() as u64);
    }
    sleep(Duration::from_secs(2)).await;
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    Ok(Figures { rounds: plan.rounds, acknowledged: outcome.acknowledged, cold_starts })
}
