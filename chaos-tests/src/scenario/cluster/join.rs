//! A fourth node joins under load and gets its share: no command fails, nobody is cut off.

use super::drain::meanwhile;
use super::{Plan, Promise, Stage, on_stage};
use crate::failure::{Failure, Result};
use crate::figures::Times;
use crate::scenario::Tier;
use std::fmt;
use std::time::{Duration, Instant};

/// How long a command may wait for a slot that moves, 99 of 100.
const PAUSE: Duration = Duration::from_millis(250);

/// How far from an even share each node may be in the end, in percent of it.
const IMBALANCE_PERCENT: u64 = 5;

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// How many slots each node has in the end.
    pub slots: Vec<u16>,
    /// From the invitation to the balance.
    pub took: Duration,
    /// Commands while slots moved.
    pub commands: Times,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { acknowledged, slots, took, commands } = self;
        write!(
            f,
            "{acknowledged} acknowledged, 0 failed commands, slots {slots:?} after {took:.1?}; \
             commands meanwhile {commands} (p99 may be {PAUSE:?})"
        )
    }
}

/// One node joins.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan::new("cluster-join", tier, seed, (1, 1))
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    on_stage(plan, false, async |stage| story(stage).await).await
}

async fn story(stage: &mut Stage) -> Result<Figures> {
    let mix = stage.mix();
    stage.load(&mix).await?;
    let clock = stage.cluster.weather.clock;
    let (begun, from_us) = (Instant::now(), clock.now_us());
    let number = stage.cluster.join().await?;
    stage.cluster.wait_balanced(&[]).await?;
    let took = begun.elapsed();
    let windows = [(usize::MAX, from_us, clock.now_us())];
    let status = stage.cluster.status(number).await?;
    let slots: Vec<u16> = status.nodes.iter().map(|member| member.slots).collect();
    let outcome = stage.judge(Promise::NothingNoticed).await?;
    let commands = meanwhile(&outcome.counts.samples, &windows);
    let acknowledged = outcome.acknowledged;
    let figures = Figures { acknowledged, slots, took, commands };
    let pause = stage.bar(PAUSE);
    if figures.commands.percentile(99) > pause {
        return Err(Failure(format!("a pause may be {pause:.1?}: {figures}")));
    }
    if !is_even(&figures.slots) {
        return Err(Failure(format!("within {IMBALANCE_PERCENT} % of even: {figures}")));
    }
    Ok(figures)
}

fn is_even(slots: &[u16]) -> bool {
    let share =
        slots.iter().map(|count| u64::from(*count)).sum::<u64>() / slots.len().max(1) as u64;
    let off = |count: &u16| u64::from(*count).abs_diff(share) * 100;
    slots.iter().all(|count| off(count) <= share * IMBALANCE_PERCENT)
}

#[cfg(test)]
mod tests {
    use super::is_even;

    #[test]
    fn even_is_within_five_percent() {
        assert!(is_even(&[1_024, 1_024, 1_024, 1_024]) && is_even(&[1_000, 1_050, 1_024, 1_022]));
        assert!(!is_even(&[1_365, 1_365, 1_366, 0]) && !is_even(&[900, 1_066, 1_066, 1_064]));
    }
}
