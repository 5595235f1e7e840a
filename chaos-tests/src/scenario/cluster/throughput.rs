//! What three nodes do beside one on the same processors, over the same store: as many messages and
//! IMAP commands as clients that never pause can make. A figure, no test: nothing is hurt, and
//! three processes on the cores of one cannot do more than one; what they do less is what being a
//! cluster costs.

use crate::cluster::weather::Weather;
use crate::cluster::{Cluster, Options};
use crate::failure::Result;
use crate::figures::Times;
use crate::history::Clock;
use crate::ledger::Ledger;
use crate::net::Endpoint;
use crate::scenario::Tier;
use crate::workload::Load;
use crate::workload::roaming::{self, Mix};
use crate::world::{self, World};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long before the clock runs.
const WARM_UP: Duration = Duration::from_secs(3);

/// What some nodes did.
#[derive(Debug)]
pub struct Rates {
    /// Messages a second that were acknowledged.
    pub messages: f64,
    /// Commands a second on flags of messages, half of them reads.
    pub commands: f64,
    /// What those took.
    pub times: Times,
}

impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Rates { messages, commands, times } = self;
        write!(f, "{messages:.0} messages/s and {commands:.0} commands/s ({times})")
    }
}

/// One node, and three.
#[derive(Debug)]
pub struct Figures {
    /// One node.
    pub one: Rates,
    /// Three.
    pub three: Rates,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { one, three } = self;
        let [messages, commands] = [three.messages / one.messages, three.commands / one.commands];
        write!(
            f,
            "one node: {one}; three: {three}; three over one: {messages:.2} in messages, \
             {commands:.2} in commands"
        )
    }
}

/// Measures both, one after the other.
///
/// # Errors
/// If one does not start.
pub async fn run(tier: Tier, seed: u64) -> Result<Figures> {
    let time = Duration::from_secs(tier.pick(10, 30));
    let name = "cluster-throughput".to_owned();
    let store = world::Store::FoundationDb;
    let options = world::Options { name, seed, mailboxes: 9, store, ..Default::default() };
    let mut world = World::start(options).await?;
    let one = rates(vec![world.endpoint()?], world.users(), seed, time).await?;
    world.pass();
    drop(world);
    let name = "cluster-throughput".to_owned();
    let options =
        Options { name, seed, nodes: 3, mailboxes: 9, is_ungated: true, ..Default::default() };
    let mut cluster = Cluster::start(options).await?;
    let three = rates(cluster.endpoints()?, cluster.users(), seed, time).await?;
    cluster.pass();
    Ok(Figures { one, three })
}

async fn rates(
    endpoints: Vec<Endpoint>,
    users: Vec<String>,
    seed: u64,
    time: Duration,
) -> Result<Rates> {
    let weather = Arc::new(Weather::new(Clock::default(), endpoints.len()));
    let ledger = Arc::new(Ledger::default());
    let registers = users.len();
    let load = Load { seed, round: 1, senders: 6, shelvers: 0, users, each: u64::MAX };
    let mix = Mix {
        load,
        pace: Duration::ZERO,
        register_sessions: 2,
        register_pace: Duration::ZERO,
        asks_first: false,
        registers,
        idlers: 0,
    };
    let running = roaming::start(endpoints, &weather, &ledger, &mix).await?;
    sleep(WARM_UP).await;
    let (before, begun) = (running.field.tally.counts(), Instant::now());
    sleep(time).await;
    let (after, seconds) = (running.field.tally.counts(), begun.elapsed().as_secs_f64());
    running.finish().await;
    let samples = after.samples.get(before.samples.len()..).unwrap_or_default();
    let messages = after.acknowledged_us.len() - before.acknowledged_us.len();
    Ok(Rates {
        messages: messages as f64 / seconds,
        commands: samples.len() as f64 / seconds,
        times: Times(samples.iter().map(|one| one.ended_us - one.started_us).collect()),
    })
}
