//! One node is slow, for half a minute each: its links, its processor, its way to the store; and
//! its clock is wrong by a day, both ways. Nothing is lost or wrong. A wrong clock is noticed by
//! nobody. Until a slow node is drained, clients of others may be told a temporary error where the
//! mailbox is the slow node's; it must be drained, and then be well again. Whoever has nothing to do
//! with that should hardly notice: what commands take on other nodes, of mailboxes of other nodes, is
//! printed beside what they took before.

use super::{Plan, Promise, Stage, on_stage};
use crate::cluster::brake::Brake;
use crate::failure::{Failure, Result};
use crate::figures::Times;
use crate::random::Random;
use crate::scenario::Tier;
use crate::switch::rules::Party;
use crate::workload::tally::{Counts, Sample};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How late everything comes on a slow link, in each direction.
const LINK_DELAY: Duration = Duration::from_millis(200);

/// The same between a node and the store: whatever it asks is answered 300 ms later.
const STORE_DELAY: Duration = Duration::from_millis(150);

/// What a slow processor leaves, in percent of one.
const CPU_PERCENT: u32 = 10;

/// How long all is well before, how long the cluster has to get used to it, and how long is measured
/// then.
const BEFORE: Duration = Duration::from_secs(8);
const SETTLE: Duration = Duration::from_secs(20);
const MEASURED: Duration = Duration::from_secs(10);

/// A node that is slow for so many mailboxes must have been drained of them after so long: ten
/// seconds of proof, readings every five, and the moves.
const MAILBOXES_MIN: usize = 2;
const DRAINED: Duration = Duration::from_secs(40);

/// How many times slower than before 99 of 100 commands should be at most.
const BAR: f64 = 2.0;

/// Where Debian puts the library that sets a process's clock.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// How a node is slow, or wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What it says to the other nodes and hears from them comes late.
    Link,
    /// It has a tenth of a processor.
    Cpu,
    /// What it says to the store and hears from it comes late.
    Store,
    /// Its clock is so many days from the others'.
    Clock(i8),
}

const KINDS: [Kind; 5] = [Kind::Link, Kind::Cpu, Kind::Store, Kind::Clock(1), Kind::Clock(-1)];

/// What one slow node meant.
#[derive(Debug)]
pub struct Spell {
    /// How it was slow.
    pub kind: Kind,
    /// By which means.
    pub means: &'static str,
    /// Commands on other nodes and other nodes' mailboxes, before.
    pub before: Times,
    /// The same while it was slow, when the cluster had got used to it.
    pub others: Times,
    /// Commands on other nodes and mailboxes that were the slow node's.
    pub own: Times,
    /// How many of the mailboxes it owned, and how many of those it still had in the end.
    pub slots: (usize, usize),
    /// After how long it had none of them any more.
    pub drained_after: Option<Duration>,
    /// How often clients of other nodes were told a temporary error, or cut off.
    pub noticed: usize,
}

impl fmt::Display for Spell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spell { kind, means, before, others, own, slots: (had, kept), noticed, .. } = self;
        let drained =
            self.drained_after.map_or("never".into(), |after| format!("after {after:.1?}"));
        let [was, is] = [before, others].map(|times| times.percentile(99).as_secs_f64());
        let times = is / was.max(0.000_001);
        let verdict = if times <= BAR { "within" } else { "above" };
        write!(
            f,
            "\n  {kind:?} ({means}): before {before}; others' mailboxes {others}, {times:.1} times, \
             {verdict} {BAR}; its own {own}; of {had} mailboxes it kept {kept}, drained {drained}; others noticed {noticed} times"
        )
    }
}

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Each spell.
    pub spells: Vec<Spell>,
    /// What was passed over, and why.
    pub skipped: Vec<String>,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Commits that were judged.
    pub commits: usize,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { spells, skipped, acknowledged, commits } = self;
        let count = spells.len();
        write!(f, "{count} spells, {acknowledged} acknowledged, {commits} commits judged")?;
        spells.iter().try_for_each(|spell| spell.fmt(f))?;
        skipped.iter().try_for_each(|why| write!(f, "\n  SKIPPED: {why}"))
    }
}

/// Each kind once, or three times.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    let library = PathBuf::from(FAKETIME);
    let clocks = library.exists().then_some(library);
    Plan { clocks, ..Plan::new("cluster-slow", tier, seed, (5, 15)) }
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    on_stage(plan, true, async |stage| story(stage, plan).await).await
}

/// What is known of a spell while the load still runs.
struct Window {
    kind: Kind,
    means: &'static str,
    node: usize,
    /// Whose mailbox is whose, by the user's number, before and in the end.
    owners: [BTreeMap<usize, usize>; 2],
    drained_after: Option<Duration>,
    before_us: (u64, u64),
    measured_us: (u64, u64),
}

async fn story(stage: &mut Stage, plan: &Plan) -> Result<Figures> {
    let mix = stage.mix();
    stage.load(&mix).await?;
    let mut random = Random::new(plan.seed, 960_000);
    let (mut windows, mut skipped) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        let kind = KINDS[(plan.seed + round) as usize % KINDS.len()];
        if matches!(kind, Kind::Clock(_)) && plan.clocks.is_none() {
            skipped.push(format!("{kind:?}, no {FAKETIME} (.ci/apt faketime)"));
            continue;
        }
        let node = victim(&stage.cluster.owned().await?, random.range(0..3) as usize);
        let window = spell(stage, kind, node).await?;
        if !matches!(kind, Kind::Clock(_)) {
            call_back(stage, node).await?;
        }
        windows.push(window);
    }
    let outcome = stage.judge(Promise::TemporaryErrors).await?;
    let counts = &outcome.counts;
    let figures = Figures {
        spells: windows.iter().map(|window| figures(counts, window)).collect(),
        skipped,
        acknowledged: outcome.acknowledged,
        commits: outcome.commits,
    };
    let first = counts.noticed.first();
    match figures.spells.iter().find_map(|spell| Some((wrong(spell)?, spell))) {
        Some((why, spell)) => Err(Failure(format!("{why}: {spell}; {first:?}; {figures}"))),
        None => Ok(figures),
    }
}

fn wrong(spell: &Spell) -> Option<&'static str> {
    let is_clock = matches!(spell.kind, Kind::Clock(_));
    match is_clock {
        true if spell.noticed > 0 => Some("a wrong clock was noticed"),
        false if spell.slots.0 >= MAILBOXES_MIN && spell.drained_after.is_none() => {
            Some("a slow node kept its mailboxes")
        }
        _ => None,
    }
}

/// The node that is to be slow: this one, or the next of which some mailboxes are.
fn victim(owned: &BTreeMap<usize, usize>, first: usize) -> usize {
    let count = |node: usize| owned.values().filter(|owner| **owner == node).count();
    let mut nodes = (0..3).map(|next| (first + next) % 3);
    nodes.find(|node| count(*node) >= MAILBOXES_MIN).unwrap_or(first)
}

/// A node that was drained for being slow comes back by itself after a minute; not to wait for that,
/// an operator does it.
async fn call_back(stage: &Stage, node: usize) -> Result<()> {
    let name = stage.cluster.node(node)?.file.name.clone();
    stage.cluster.rialto((node + 1) % 3, &["node", "undrain", &name]).await?;
    stage.cluster.wait_balanced(&[]).await?;
    Ok(())
}

async fn spell(stage: &mut Stage, kind: Kind, node: usize) -> Result<Window> {
    let clock = stage.cluster.weather.clock;
    let from_us = clock.now_us();
    sleep(BEFORE).await;
    let before_us = (from_us, clock.now_us());
    let owned = stage.cluster.owned().await?;
    let mut brake = None;
    // A wrong clock is no excuse.
    if !matches!(kind, Kind::Clock(_)) {
        stage.cluster.weather.begin(node);
    }
    match kind {
        Kind::Link => {
            let others = (0..3).filter(|other| *other != node).map(Party::Node);
            stage.cluster.rules.slow(&both_ways(Party::Node(node), others), LINK_DELAY, None);
        }
        Kind::Store => {
            let pairs = both_ways(Party::Node(node), [Party::Store]);
            stage.cluster.rules.slow(&pairs, STORE_DELAY, None);
        }
        Kind::Cpu => {
            let pid = stage.cluster.node(node)?.pid().unwrap_or_default();
            brake = Some(Brake::put_on(pid, CPU_PERCENT)?);
        }
        Kind::Clock(days) => stage.cluster.node(node)?.set_clock(days)?,
    }
    let means = match kind {
        Kind::Link => "switch",
        Kind::Store => "gate",
        Kind::Cpu => brake.as_ref().map_or("", Brake::means),
        Kind::Clock(_) => "faketime",
    };
    let begun = Instant::now();
    let mut drained_after = None;
    if matches!(kind, Kind::Clock(_)) {
        sleep(SETTLE).await;
    } else {
        drained_after = drained(stage, &owned, node).await?;
    }
    sleep(SETTLE.saturating_sub(begun.elapsed())).await;
    let from_us = clock.now_us();
    sleep(MEASURED).await;
    let measured_us = (from_us, clock.now_us());
    let kept = stage.cluster.owned().await?;
    drop(brake);
    stage.cluster.rules.heal();
    if matches!(kind, Kind::Clock(_)) {
        stage.cluster.node(node)?.set_clock(0)?;
    }
    stage.cluster.wait_served().await?;
    sleep(Duration::from_secs(2)).await;
    stage.cluster.weather.end(node);
    Ok(Window { kind, means, node, owners: [owned, kept], drained_after, before_us, measured_us })
}

/// Waits until a node has none of the mailboxes any more; after how long.
async fn drained(
    stage: &Stage,
    owned: &BTreeMap<usize, usize>,
    node: usize,
) -> Result<Option<Duration>> {
    let (begun, most) = (Instant::now(), stage.bar(DRAINED).min(DRAINED * 2));
    if !owned.values().any(|owner| *owner == node) {
        return Ok(None);
    }
    while begun.elapsed() < most {
        if !stage.cluster.owned().await?.values().any(|owner| *owner == node) {
            return Ok(Some(begun.elapsed()));
        }
        sleep(Duration::from_millis(500)).await;
    }
    Ok(None)
}

fn both_ways(one: Party, others: impl IntoIterator<Item = Party>) -> Vec<(Party, Party)> {
    others.into_iter().flat_map(|other| [(one, other), (other, one)]).collect()
}

fn figures(counts: &Counts, window: &Window) -> Spell {
    let Window { kind, means, node, owners: [owned, kept], before_us, measured_us, .. } = window;
    let times = |(from_us, until_us): &(u64, u64), is_own: bool| {
        let is_counted = |one: &&Sample| {
            let is_within = (*from_us..=*until_us).contains(&one.started_us);
            is_within && one.node != *node && (owned.get(&one.user) == Some(node)) == is_own
        };
        Times(
            counts
                .samples
                .iter()
                .filter(is_counted)
                .map(|one| one.ended_us - one.started_us)
                .collect(),
        )
    };
    let count = |owners: &BTreeMap<usize, usize>| owners.values().filter(|o| *o == node).count();
    let spell_us = before_us.1..=measured_us.1;
    Spell {
        kind: *kind,
        means,
        before: times(before_us, false),
        others: times(measured_us, false),
        own: times(measured_us, true),
        slots: (count(owned), count(kept)),
        drained_after: window.drained_after,
        noticed: counts.noticed_at_us.iter().filter(|at| spell_us.contains(at)).count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_counts_others_commands_and_tells_whose_mailbox_it_was() {
        let sample = |user, node, started_us, took| Sample {
            user,
            node,
            started_us,
            ended_us: started_us + took,
        };
        let samples = [
            sample(0, 1, 5, 10),
            sample(1, 1, 5, 99),
            sample(0, 1, 105, 15),
            sample(1, 1, 105, 70),
            sample(0, 2, 105, 500),
            sample(0, 1, 205, 600),
        ];
        let window = Window {
            kind: Kind::Link,
            means: "rules",
            node: 2,
            owners: [[(0, 1), (1, 2)].into(), [(0, 1), (1, 1)].into()],
            drained_after: None,
            before_us: (0, 50),
            measured_us: (100, 200),
        };
        let noticed_at_us = vec![40, 60, 150, 250];
        let counts = Counts { samples: samples.to_vec(), noticed_at_us, ..Counts::default() };
        let spell = figures(&counts, &window);
        assert_eq!(spell.noticed, 2);
        let both = (spell.before.clone(), spell.others.clone());
        assert_eq!(both, (Times(vec![10]), Times(vec![15])));
        assert_eq!((spell.own.clone(), spell.slots), (Times(vec![70]), (1, 0)));
        assert_eq!(wrong(&spell), None);
        let kept = Spell { slots: (2, 2), ..spell };
        assert_eq!(wrong(&kept), Some("a slow node kept its mailboxes"));
        let drained_after = Some(Duration::from_secs(20));
        let noticed = Spell { drained_after, noticed: 1, ..kept };
        assert_eq!(wrong(&noticed), None);
        assert!(wrong(&Spell { kind: Kind::Clock(1), ..noticed }).is_some());
        let owned = BTreeMap::from([(0, 1), (1, 1), (2, 0)]);
        assert_eq!([0, 1, 2].map(|first| victim(&owned, first)), [1, 1, 1]);
        assert_eq!(victim(&BTreeMap::new(), 2), 2);
    }
}
