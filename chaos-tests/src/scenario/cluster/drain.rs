//! A rolling upgrade under load: drain a node, end it, start it, take the drain back, and on to the
//! next. Where `RIALTO_OLD_BIN` names the program of an older version, the cluster is founded and
//! begins with that, and each node comes back with the new one: for most of the time two versions
//! work together. Without it the upgrade is a restart. No command fails; connections to the node that ends are closed
//! between commands and come back elsewhere.

use super::{Plan, Promise, Stage, on_stage};
use crate::failure::{Failure, Result};
use crate::figures::Times;
use crate::scenario::Tier;
use crate::workload::tally::Sample;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long a command may wait for a slot that moves, 99 of 100.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a node may take to give all away and end.
const EXIT: Duration = Duration::from_secs(30);

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Nodes that were drained, ended and started again.
    pub rounds: u64,
    /// The program of the older version that they began with.
    pub from: Option<PathBuf>,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Connections that the ending nodes closed.
    pub closed: u64,
    /// Commands while slots moved, on nodes that stayed.
    pub commands: Times,
    /// How long each drain took.
    pub drains: Times,
    /// How long each end took.
    pub ends: Times,
    /// How long their clients took to be logged in elsewhere.
    pub back: Times,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, from, acknowledged, closed, commands, drains, ends, back } = self;
        if let Some(from) = from {
            write!(f, "upgraded from {}: ", from.display())?;
        }
        write!(
            f,
            "{rounds} drains, 0 failed commands, {acknowledged} acknowledged, {closed} connections closed, back after \
             {back}; commands meanwhile {commands}; drains {drains}; ends {ends}"
        )
    }
}

/// Each node once, or three times.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    let old_binary = std::env::var_os("RIALTO_OLD_BIN").map(PathBuf::from);
    Plan { old_binary, ..Plan::new("cluster-drain", tier, seed, (3, 9)) }
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
    let clock = stage.cluster.weather.clock;
    let (mut drains, mut ends, mut windows) = (Times::default(), Times::default(), Vec::new());
    for round in 0..plan.rounds {
        let node = round as usize % 3;
        let name = stage.cluster.node(node)?.file.name.clone();
        // Asked of another node than the one that is drained.
        let other = (node + 1) % 3;
        let from_us = clock.now_us();
        let begun = Instant::now();
        stage.cluster.rialto(other, &["node", "drain", &name, "--wait"]).await?;
        drains.0.push(begun.elapsed().as_micros() as u64);
        stage.cluster.wait_balanced(&[node]).await?;
        let begun = Instant::now();
        stage.cluster.terminate(node).await?;
        ends.0.push(begun.elapsed().as_micros() as u64);
        windows.push((node, from_us, clock.now_us()));
        stage.cluster.replace(node)?;
        let from_us = clock.now_us();
        stage.cluster.boot_undrained(node, other).await?;
        stage.cluster.wait_balanced(&[]).await?;
        windows.push((node, from_us, clock.now_us()));
    }
    sleep(Duration::from_secs(1)).await;
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    let figures = Figures {
        rounds: plan.rounds,
        from: plan.old_binary.clone(),
        acknowledged: outcome.acknowledged,
        closed: outcome.counts.excused,
        commands: meanwhile(&outcome.counts.samples, &windows),
        drains,
        ends,
        back: Times(outcome.counts.back_after_us),
    };
    let (pause, exit) = (stage.bar(PAUSE), stage.bar(EXIT));
    if figures.commands.percentile(99) > pause || figures.ends.percentile(100) > exit {
        return Err(Failure(format!("a pause may be {pause:.1?}, an end {exit:.1?}: {figures}")));
    }
    Ok(figures)
}

/// What commands took that met one of these times, but for those of the node that was drained.
pub(super) fn meanwhile(samples: &[Sample], windows: &[(usize, u64, u64)]) -> Times {
    let meets = |one: &&Sample| {
        windows.iter().any(|(node, from_us, until_us)| {
            one.node != *node && one.started_us <= *until_us && one.ended_us >= *from_us
        })
    };
    Times(samples.iter().filter(meets).map(|one| one.ended_us - one.started_us).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_commands_of_other_nodes_within_the_time_count() {
        let sample = |node, started_us, ended_us| Sample { user: 0, node, started_us, ended_us };
        let samples =
            [sample(0, 10, 20), sample(1, 10, 25), sample(1, 95, 140), sample(1, 200, 210)];
        assert_eq!(meanwhile(&samples, &[(0, 20, 100)]), Times(vec![15, 45]));
    }
}
