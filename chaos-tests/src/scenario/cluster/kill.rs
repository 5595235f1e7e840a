//! `kill -9` of one node after the other under load: owners, Raft's leader, anybody. Clients of the
//! nodes that live on notice nothing but time; those of the dead one come back elsewhere.

use super::{Outcome, Plan, Promise, Stage, on_stage};
use crate::failure::{Failure, Result};
use crate::figures::{Times, Unavailability};
use crate::scenario::Tier;
use crate::schedule::{self, Blow};
use std::fmt;
use std::time::Duration;
use tokio::time::sleep;

/// What is promised for a mailbox whose owner dies: half of the times below the first, 99 of 100
/// below the second.
const AWAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Kills.
    pub rounds: u64,
    /// How long mailboxes were away.
    pub unavailability: Unavailability,
    /// How long clients of dead nodes took to be logged in elsewhere.
    pub back: Times,
    /// How slow the machine is.
    pub slowness: f64,
    /// The longest start after a kill.
    pub slowest_start: Duration,
    /// Everything else.
    pub outcome: Outcome,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, unavailability, back, slowness, slowest_start, outcome } = self;
        let Outcome { acknowledged, counts, commits, seen, verified, .. } = outcome;
        write!(
            f,
            "{rounds} kills, {acknowledged} acknowledged, {} commands and messages went well, \
             {} of dead nodes broke, {} noticed; mailboxes away: {unavailability}; back after \
             {back}; start at most {slowest_start:.1?}; {seen} messages, {commits} commits judged; \
             slowness {slowness:.1}; {verified}",
            counts.fine,
            counts.excused,
            counts.noticed.len(),
        )
    }
}

/// Six kills, or two hundred.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan::new("cluster-kill", tier, seed, (6, 200))
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
    let mut slowest_start = Duration::ZERO;
    let users = stage.cluster.users().len();
    for blow in schedule::blows(plan.seed, plan.rounds, 3, users) {
        let Blow { after, victim, down } = blow;
        sleep(after).await;
        let node = stage.pick(victim).await?;
        stage.kill9(node).await?;
        sleep(down).await;
        slowest_start = slowest_start.max(stage.cluster.boot(node).await?);
        stage.cluster.wait_served().await?;
    }
    sleep(Duration::from_secs(2)).await;
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    let figures = Figures {
        rounds: plan.rounds,
        unavailability: stage.unavailability.clone(),
        back: Times(outcome.counts.back_after_us.clone()),
        slowness: stage.slowness,
        slowest_start,
        outcome,
    };
    let owners = figures.unavailability.of_owners();
    let (half, most) = (stage.bar(AWAY.0), stage.bar(AWAY.1));
    if owners.percentile(50) > half || owners.percentile(99) > most {
        return Err(Failure(format!("mailboxes may be away {half:.1?} and {most:.1?}: {figures}")));
    }
    Ok(figures)
}
