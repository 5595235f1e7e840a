//! The network between the nodes is cut in every way, for twenty seconds each: the nodes that hear
//! each other serve on, a node that is cut off answers a temporary error within ten seconds or
//! serves what is still its own, and after the heal all is one cluster again.

use super::{Plan, Promise, Stage, on_stage};
use crate::failure::{Failure, Result};
use crate::figures::Times;
use crate::imap::ImapClient;
use crate::scenario::Tier;
use crate::schedule;
use crate::switch::rules::{Kind, cuts};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// How long each cut lasts.
const CUT: Duration = Duration::from_secs(20);

/// From when on the majority serves as if nothing were.
const SETTLED: Duration = Duration::from_secs(2);

/// How soon a node that is cut off answers, whatever it says.
const ANSWER: Duration = Duration::from_secs(10);

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Partitions.
    pub rounds: u64,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Commands on the majority's nodes, from two seconds after each cut on.
    pub majority: Times,
    /// How long nodes that were cut off took to answer.
    pub minority: Times,
    /// How long after each heal all was one cluster.
    pub healed: Times,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, acknowledged, majority, minority, healed } = self;
        write!(
            f,
            "{rounds} partitions, {acknowledged} acknowledged; the majority's commands {majority}; \
             the minority's answers {minority}; one cluster again after {healed}"
        )
    }
}

/// Each kind of partition once, or fifty in turn.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan::new("cluster-partition", tier, seed, (6, 50))
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    on_stage(plan, true, async |stage| story(stage, plan).await).await
}

/// The nodes whose clients may meet something.
fn hurt(kind: Kind) -> Vec<usize> {
    match kind {
        Kind::Isolated(node) | Kind::Mute(node) | Kind::Deaf(node) | Kind::StoreLess(node) => {
            vec![node]
        }
        Kind::Bridge(a, b) => vec![a, b],
        Kind::Ring => vec![0, 1, 2],
    }
}

async fn story(stage: &mut Stage, plan: &Plan) -> Result<Figures> {
    let mix = stage.mix();
    stage.load(&mix).await?;
    let clock = stage.cluster.weather.clock;
    let (mut minority, mut healed) = (Times::default(), Times::default());
    let mut windows: Vec<(Vec<usize>, u64, u64)> = Vec::new();
    for kind in schedule::partitions(plan.seed, plan.rounds, 3) {
        sleep(Duration::from_secs(2)).await;
        let hurt = hurt(kind);
        let mut probe = match kind {
            Kind::Isolated(node) => {
                Some(ImapClient::open(&stage.cluster.endpoints()?[node], "carol").await?)
            }
            _ => None,
        };
        hurt.iter().for_each(|node| stage.cluster.weather.begin(*node));
        stage.cluster.cut(&cuts(kind, 3));
        let (begun, from_us) = (Instant::now(), clock.now_us());
        if let Some(client) = &mut probe {
            sleep(SETTLED).await;
            let asked = Instant::now();
            // OK, NO and the end of the connection are answers; silence is none.
            let answer =
                timeout(stage.bar(ANSWER), client.command("STATUS INBOX (MESSAGES)")).await;
            minority.0.push(asked.elapsed().as_micros() as u64);
            answer.map_err(|_| Failure(format!("{kind:?}: the node does not answer")))?.ok();
        }
        sleep(CUT.saturating_sub(begun.elapsed())).await;
        windows.push((hurt.clone(), from_us, clock.now_us()));
        stage.cluster.rules.heal();
        healed.0.push(stage.cluster.wait_served().await?.as_micros() as u64);
        sleep(Duration::from_secs(1)).await;
        hurt.iter().for_each(|node| stage.cluster.weather.end(*node));
    }
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    // On the slowest machine some of each cut must be left to look at.
    let settled_us = stage.bar(SETTLED).min(CUT / 2).as_micros() as u64;
    let is_majority = |one: &&crate::workload::tally::Sample| {
        windows.iter().any(|(hurt, from_us, until_us)| {
            let is_within = one.started_us >= from_us + settled_us && one.started_us <= *until_us;
            is_within && !hurt.contains(&one.node)
        })
    };
    let majority = outcome.counts.samples.iter().filter(is_majority);
    Ok(Figures {
        rounds: plan.rounds,
        acknowledged: outcome.acknowledged,
        majority: Times(majority.map(|one| one.ended_us - one.started_us).collect()),
        minority,
        healed,
    })
}
