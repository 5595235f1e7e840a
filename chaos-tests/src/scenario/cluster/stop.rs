//! The owner of a mailbox is stopped where it is (SIGSTOP) for ten seconds, in the middle of
//! whatever it does, and goes on as if nothing had happened: what it thought of as its own is others'
//! by then. It commits nothing and shows nothing old.

use super::{Plan, Promise, Stage, on_stage};
use crate::binary::Mutant;
use crate::checkers::stale_epoch;
use crate::failure::{Failure, Result};
use crate::figures::Unavailability;
use crate::random::Random;
use crate::scenario::{Tier, verdict};
use crate::schedule::Victim;
use std::fmt;
use std::time::Duration;
use tokio::time::sleep;

/// How long it is stopped.
const FROZEN: Duration = Duration::from_secs(10);

/// How long where the node is a mutant: enough to be declared dead, since the test is to be quick.
const FROZEN_MUTANT: Duration = Duration::from_secs(5);

/// How soon somebody else must own what it owned.
const TAKEOVER: Duration = Duration::from_secs(2);

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Stops.
    pub rounds: u64,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Commits that were judged.
    pub commits: usize,
    /// How long mailboxes were away.
    pub unavailability: Unavailability,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, acknowledged, commits, unavailability } = self;
        write!(
            f,
            "{rounds} stops, {acknowledged} acknowledged, {commits} commits judged; mailboxes \
             away: {unavailability}"
        )
    }
}

/// Two stops, or fifty.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan::new("cluster-stop", tier, seed, (2, 50))
}

/// A few short stops of a mutant, which ends with the first that is noticed.
#[must_use]
pub fn plan_mutant(seed: u64, mutant: Mutant) -> Plan {
    Plan { mutant: Some(mutant), ..Plan::new(mutant.word(), Tier::Smoke, seed, (5, 5)) }
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    on_stage(plan, false, async |stage| story(stage, plan).await).await
}

async fn story(stage: &mut Stage, plan: &Plan) -> Result<Figures> {
    let mut mix = stage.mix();
    if plan.mutant.is_some() {
        // So that whoever wakes up finds writes that wait for it.
        mix.register_sessions *= 3;
    }
    stage.load(&mix).await?;
    let mut random = Random::new(plan.seed, 930_000);
    let users = stage.cluster.users().len() as u64;
    let frozen = if plan.mutant.is_some() { FROZEN_MUTANT } else { FROZEN };
    for _ in 0..plan.rounds {
        sleep(Duration::from_secs(1) + random.below_ms(1_000)).await;
        let node = stage.pick(Victim::OwnerOf(random.range(0..users) as usize)).await?;
        stage.freeze(node).await?;
        sleep(frozen).await;
        stage.cluster.thaw(node)?;
        // What it does in its first moments is what is looked for.
        sleep(Duration::from_secs(1)).await;
        stage.cluster.wait_served().await?;
        stage.cluster.weather.end(node);
        verdict(&stale_epoch::check(&stage.cluster.journal.entries()))?;
    }
    sleep(Duration::from_secs(2)).await;
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    let figures = Figures {
        rounds: plan.rounds,
        acknowledged: outcome.acknowledged,
        commits: outcome.commits,
        unavailability: stage.unavailability.clone(),
    };
    let bar = stage.bar(TAKEOVER);
    if figures.unavailability.of_owners().percentile(99) > bar {
        return Err(Failure(format!("a takeover may take {bar:.1?}: {figures}")));
    }
    Ok(figures)
}
