//! `kill -9` in the middle of a load, again and again: start, load, kill at a seeded number of
//! acknowledgements and some milliseconds, start on the same data (now and then with another kill
//! in the middle of the start), look, judge, send on.

use super::{Tier, ask, gather, liveness, verdict};
use crate::binary::Mutant;
use crate::checkers::{self, Evidence, Violation, uids};
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

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Names the run's directory.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// How often the node is killed.
    pub rounds: u64,
    /// SMTP connections.
    pub senders: u64,
    /// IMAP sessions.
    pub shelvers: u64,
    /// Each round's kill comes after so many acknowledgements at most.
    pub acknowledgements: u64,
    /// Where the mail is.
    pub store: Store,
    /// A deliberate fault.
    pub mutant: Option<Mutant>,
}

impl Plan {
    /// The plan of a tier.
    #[must_use]
    pub fn new(tier: Tier, seed: u64) -> Plan {
        Plan {
            name: "kill9".to_owned(),
            seed,
            rounds: tier.pick(8, 30),
            senders: tier.pick(8, 16),
            shelvers: tier.pick(4, 8),
            acknowledgements: tier.pick(300, 600),
            store: Store::Embedded,
            mutant: None,
        }
    }

    /// The plan over another store: fewer kills, since what is tested is that the node comes back
    /// to a store that lived on.
    #[must_use]
    pub fn over(tier: Tier, seed: u64, store: Store) -> Plan {
        let name = if store == Store::OwnStandin { "kill9-own" } else { "kill9-fdb" };
        let rounds = tier.pick(3, 15);
        Plan { name: name.to_owned(), rounds, store, ..Plan::new(tier, seed) }
    }
}

/// What a run saw.
#[derive(Debug, Default)]
pub struct Figures {
    /// Kills.
    pub rounds: u64,
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Messages whose sender does not know.
    pub unknown: usize,
    /// Messages in all mailboxes at the end.
    pub seen: usize,
    /// The longest start after a kill.
    pub slowest_start: Duration,
    /// The longest way from a message sent after the start to IMAP.
    pub slowest_liveness: Duration,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { rounds, acknowledged, unknown, seen, slowest_start, slowest_liveness } = self;
        write!(
            f,
            "{rounds} kills, {acknowledged} acknowledged, {unknown} in doubt, {seen} messages seen, \
             start after a kill at most {slowest_start:.0?}, liveness at most {slowest_liveness:.0?}"
        )
    }
}

/// Runs the plan.
///
/// # Errors
/// All violations of the first round that has some, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    let mut world = World::start(Options {
        name: plan.name.clone(),
        seed: plan.seed,
        mailboxes: 5,
        mutant: plan.mutant,
        store: plan.store,
        ..Options::default()
    })
    .await?;
    let ledger = Arc::new(Ledger::default());
    let mut figures = Figures::default();
    let mut memory = uids::Memory::default();
    for round in 1..=plan.rounds {
        let outcome = one_round(&mut world, plan, round, &ledger, &mut memory, &mut figures).await;
        outcome.map_err(|error| {
            let error = error.while_doing(format!("seed {} round {round}", plan.seed));
            world.with_log(&error)
        })?;
        figures.rounds = round;
    }
    figures.acknowledged = ledger.acknowledged();
    figures.unknown = ledger
        .sent()
        .iter()
        .filter(|sent| matches!(sent.fate, crate::smtp::Fate::Unknown(_)))
        .count();
    let status = fault::terminate(&mut world).await?;
    if !status.success() {
        return Err(Failure(format!("SIGTERM: the node ended with {status}")));
    }
    if plan.store == Store::FoundationDb {
        world.verify_store().await?;
    }
    world.pass();
    Ok(figures)
}

async fn one_round(
    world: &mut World,
    plan: &Plan,
    round: u64,
    ledger: &Arc<Ledger>,
    memory: &mut uids::Memory,
    figures: &mut Figures,
) -> Result<()> {
    let endpoint = world.endpoint()?;
    let load = Load {
        seed: plan.seed,
        round,
        senders: plan.senders,
        shelvers: plan.shelvers,
        users: world.users(),
        each: 100_000,
    };
    let running = workload::start(&endpoint, &load, ledger);
    let waited = wait_for_moment(plan, round, ledger).await;
    ledger.set_dying(true);
    fault::kill9(world).await?;
    running.finish().await;
    ledger.set_dying(false);
    waited?;
    if let [first, ..] = ledger.trouble().as_slice() {
        return Err(Failure(format!("while the node was well: {first}")));
    }
    let mut random = Random::new(plan.seed, 950_000 + round);
    if random.chance(40) {
        world.boot_and_die(random.below_ms(600)).await?;
    }
    figures.slowest_start = figures.slowest_start.max(world.boot().await?);
    world.wait_for_empty_queue().await?;
    let evidence = gather(world, &endpoint, ledger).await?;
    figures.seen = seen(&evidence);
    let mut violations: Vec<Violation> = checkers::judge(&evidence);
    violations.extend(memory.check(&evidence));
    violations.extend(ask(world, &evidence).await?);
    verdict(&violations)?;
    settle(ledger, &evidence);
    for user in ["bob", "carol"] {
        let id = format!("l{}-{round}-{user}", plan.seed);
        let took = liveness(&endpoint, ledger, &id, user).await?;
        figures.slowest_liveness = figures.slowest_liveness.max(took);
    }
    Ok(())
}

/// Waits for the seeded moment of the kill.
async fn wait_for_moment(plan: &Plan, round: u64, ledger: &Ledger) -> Result<()> {
    let mut random = Random::new(plan.seed, 900_000 + round);
    let least = plan.acknowledgements / 4;
    let goal = ledger.acknowledged() + random.range(least..plan.acknowledgements);
    let begun = Instant::now();
    while ledger.acknowledged() < goal {
        if begun.elapsed() > PATIENCE {
            let count = ledger.acknowledged();
            return Err(Failure(format!("the load stands still at {count} of {goal}")));
        }
        if let [first, ..] = ledger.trouble().as_slice() {
            return Err(Failure(format!("while the node was well: {first}")));
        }
        sleep(Duration::from_millis(1)).await;
    }
    sleep(random.below_ms(20)).await;
    Ok(())
}

fn seen(evidence: &Evidence) -> usize {
    let folders = evidence.mailboxes.values().flat_map(|mailbox| mailbox.values());
    folders.map(|folder| folder.messages.len()).sum()
}

/// What was in doubt is known now: the ledger takes over what is there, and holds the server to it
/// in the next round.
fn settle(ledger: &Ledger, evidence: &Evidence) {
    for (session, mut shelved) in ledger.all_shelved() {
        if let Some(change) = shelved.pending.take() {
            let mut done = shelved.shelf.clone();
            change.apply(&mut done);
            for (place, ids) in done {
                shelved.shelf.entry(place).or_default().extend(ids);
            }
            for (place, ids) in &mut shelved.shelf {
                let folder = evidence.mailboxes.get(&place.0).and_then(|seen| seen.get(&place.1));
                let here = |id: &str| folder?.messages.iter().find(|seen| seen.id == id);
                ids.retain(|id, _| here(id).is_some());
                for (id, flags) in ids.iter_mut() {
                    if let Some(seen) = here(id) {
                        flags.clone_from(&seen.flags);
                    }
                }
            }
        }
        ledger.put_shelved(session, shelved);
    }
}
