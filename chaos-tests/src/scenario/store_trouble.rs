//! What happens to a cluster's store while it is in use: a recovery of eight seconds, processes that
//! are killed, conflicts and commits of which nobody knows whether they happened. Clients of a node
//! wait a little, and notice nothing else (docs/foundationdb.md, "What an outage looks like").

use super::{Tier, ask, gather, liveness, verdict};
use crate::binary::Mutant;
use crate::checkers;
use crate::failure::{Failure, Result};
use crate::fault;
use crate::ledger::Ledger;
use crate::net::PATIENCE;
use crate::random::Random;
use crate::workload::{self, Load};
use crate::world::{Options, Store, World};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What happens to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It answers nothing for eight seconds; commits under way may have happened or not.
    Recovery,
    /// It is killed (SIGKILL) and comes back after at most two seconds, again and again.
    Kills,
    /// 5 % of the commits end unknown, 5 % with a conflict that nobody caused, 1 % land late. Of the
    /// last, clients may be told to try again: nobody can wait for them.
    Faults,
}

impl Trouble {
    fn name(self) -> &'static str {
        match self {
            Trouble::Recovery => "store-recovery",
            Trouble::Kills => "store-kills",
            Trouble::Faults => "store-faults",
        }
    }
}

/// What a run saw.
#[derive(Debug, Default)]
pub struct Figures {
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Messages in all mailboxes at the end.
    pub seen: usize,
    /// Commits that the store made since it was last started.
    pub commits: u64,
    /// Of those that it was asked for: ended unknown, landed late, failed by injected faults.
    pub hurt: [u64; 3],
    /// How long after the trouble the next acknowledgement came.
    pub back_after: Duration,
    /// What `rialto store verify` said.
    pub verified: String,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { acknowledged, seen, commits, hurt: [unknown, late, faults], .. } = self;
        let (back_after, verified) = (self.back_after, &self.verified);
        write!(
            f,
            "{acknowledged} acknowledged, {seen} messages seen, {commits} commits ({faults} hurt, \
             {unknown} unknown, {late} landed late), back after {back_after:.1?}; {verified}"
        )
    }
}

/// Runs it.
///
/// # Errors
/// The violations, an error that a client was told, or why it could not run.
pub async fn run(tier: Tier, seed: u64, trouble: Trouble) -> Result<Figures> {
    run_as(tier, seed, trouble, None).await
}

/// The same with a deliberate fault of the node.
///
/// # Errors
/// As [`run`].
pub async fn run_as(
    tier: Tier,
    seed: u64,
    trouble: Trouble,
    mutant: Option<Mutant>,
) -> Result<Figures> {
    let name = mutant.map_or(trouble.name(), Mutant::word).to_owned();
    let store = Store::FoundationDb;
    let options = Options { name, seed, mailboxes: 5, store, mutant, ..Options::default() };
    let mut world = World::start(options).await?;
    let outcome = story(&mut world, tier, seed, trouble).await;
    let mut figures = outcome.map_err(|error| world.with_log(&error))?;
    fault::terminate(&mut world).await?;
    figures.verified = world.verify_store().await?;
    world.pass();
    Ok(figures)
}

async fn story(world: &mut World, tier: Tier, seed: u64, trouble: Trouble) -> Result<Figures> {
    let endpoint = world.endpoint()?;
    let ledger = Arc::new(Ledger::default());
    let each = if trouble == Trouble::Faults { tier.pick(60, 2_000) } else { tier.pick(50, 400) };
    let load = Load { seed, round: 1, senders: 6, shelvers: 4, users: world.users(), each };
    let mut figures = Figures::default();
    if trouble == Trouble::Faults {
        let rates = ["--unknown", "0.05", "--late", "0.01", "--conflicts", "0.05"];
        world.standin()?.control(&[&["faults"], &rates[..]].concat()).await?;
        ledger.set_dying(true);
    }
    let running = workload::start(&endpoint, &load, &ledger);
    let back_after = hurt(world, &ledger, seed, tier, trouble).await;
    running.finish().await;
    if let [first, ..] = ledger.trouble().as_slice() {
        let count = ledger.trouble().len();
        return Err(Failure(format!("{count} clients met more than a wait: {first}")));
    }
    figures.back_after = back_after?;
    ledger.set_dying(false);
    let stats = world.standin()?.control(&["settle"]).await?;
    figures.commits = stats.get("applied")?;
    figures.hurt = [stats.get("unknown")?, stats.get("late_landed")?, stats.get("faults")?];
    world.wait_for_empty_queue().await?;
    let evidence = gather(world, &endpoint, &ledger).await?;
    figures.seen = evidence
        .mailboxes
        .values()
        .flat_map(|mailbox| mailbox.values())
        .map(|folder| folder.messages.len())
        .sum();
    let mut violations = checkers::judge(&evidence);
    violations.extend(ask(world, &evidence).await?);
    // A commit that may land late ends the start of a mailbox, and the next command begins another.
    let is_expected = |text: &str| text.starts_with("rialto_actor_failures_total");
    violations.retain(|found| trouble != Trouble::Faults || !is_expected(&found.text));
    verdict(&violations)?;
    liveness(&endpoint, &ledger, &format!("l{seed}"), "carol").await?;
    figures.acknowledged = ledger.acknowledged();
    Ok(figures)
}

/// Hurts the store in the middle of the load; how long after that the load went on.
async fn hurt(
    world: &mut World,
    ledger: &Ledger,
    seed: u64,
    tier: Tier,
    trouble: Trouble,
) -> Result<Duration> {
    let mut random = Random::new(seed, 31);
    let standin = world.standin()?;
    match trouble {
        Trouble::Faults => return Ok(Duration::ZERO),
        Trouble::Recovery => {
            wait_for(ledger, 60).await?;
            standin.control(&["recover", "8000"]).await?;
            sleep(Duration::from_secs(8)).await;
        }
        Trouble::Kills => {
            for _ in 0..tier.pick(3, 12) {
                wait_for(ledger, ledger.acknowledged() + random.range(20..100)).await?;
                standin.kill9().await?;
                sleep(random.below_ms(2_000)).await;
                standin.boot().await?;
            }
        }
    }
    let begun = Instant::now();
    wait_for(ledger, ledger.acknowledged() + 1).await?;
    Ok(begun.elapsed())
}

async fn wait_for(ledger: &Ledger, acknowledged: u64) -> Result<()> {
    let begun = Instant::now();
    while ledger.acknowledged() < acknowledged {
        if begun.elapsed() > PATIENCE {
            let count = ledger.acknowledged();
            return Err(Failure(format!("the load stands still at {count} of {acknowledged}")));
        }
        sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
