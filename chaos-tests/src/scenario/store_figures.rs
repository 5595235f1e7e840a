//! What the node asks of a cluster's store for its work, as the store counts it: transactions and
//! reads per message and per FETCH, and how a large message is cut into transactions.

use crate::failure::{Failure, Result};
use crate::fault;
use crate::imap::ImapClient;
use crate::ledger::Ledger;
use crate::message;
use crate::net::Endpoint;
use crate::random::Random;
use crate::scenario::{Tier, liveness};
use crate::smtp::{Door, Fate, SmtpClient};
use crate::standin::Stats;
use crate::world::{DOMAIN, Options, Store, World};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Mailboxes that get mail, and connections that send it.
const MAILBOXES: u16 = 40;
const CONNECTIONS: u64 = 10;

/// Size of the large message, in bytes.
const LARGE_BYTES: u64 = 50_000_000;

/// What some work cost, per unit of it.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cost {
    /// Units of work: messages, FETCHes.
    pub units: u64,
    /// Commits that wrote.
    pub commits: f64,
    /// Read versions: transactions that read.
    pub read_versions: f64,
    /// Rows and pages of rows read.
    pub reads: f64,
    /// Bytes of the commits.
    pub bytes: f64,
}

impl Cost {
    fn between(before: &Stats, after: &Stats, units: u64) -> Result<Cost> {
        let per = |name: &str| after.since(before, name).map(|n| n as f64 / units.max(1) as f64);
        Ok(Cost {
            units,
            commits: per("applied")?,
            read_versions: per("read_versions")?,
            reads: per("gets")? + per("pages")?,
            bytes: per("commit_bytes")?,
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { units, commits, read_versions, reads, bytes } = self;
        write!(
            f,
            "{commits:.2} commits, {read_versions:.2} read versions, {reads:.2} reads, {bytes:.0} \
             bytes written (mean of {units})"
        )
    }
}

/// What a run saw.
#[derive(Debug, Default)]
pub struct Figures {
    /// A message to one mailbox, all to different ones at a time.
    pub message: Cost,
    /// What the node asks by itself, in a second.
    pub idle: Cost,
    /// A FETCH of what the node has in memory: flags, envelope, structure.
    pub fetch: Cost,
    /// A FETCH of a body of 5 kB.
    pub body: Cost,
    /// The large message: its arrival and delivery.
    pub large: Cost,
    /// The largest commit of all, in bytes.
    pub largest_commit: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { message, idle, fetch, body, large, largest_commit } = self;
        write!(f, "a message: {message}\n  a second of nothing: {idle}\n")?;
        write!(f, "  FETCH of what is in memory: {fetch}\n  FETCH of a body: {body}\n")?;
        write!(f, "  a message of 50 MB: {large}\n  largest commit {largest_commit} bytes")
    }
}

/// Runs it.
///
/// # Errors
/// If anything is refused or does not come back.
pub async fn run(tier: Tier, seed: u64) -> Result<Figures> {
    let (name, store) = ("store-figures".to_owned(), Store::FoundationDb);
    let options = Options { name, seed, mailboxes: MAILBOXES, store, ..Options::default() };
    let mut world = World::start(options).await?;
    let endpoint = world.endpoint()?;
    liveness(&endpoint, &Ledger::default(), "warm", "carol").await?;
    // The first message of a mailbox makes it; that is no message's price.
    deliver(&world, &endpoint, seed, 1).await?;
    let before = world.standin()?.stats().await?;
    let rounds = tier.pick(10, 50);
    deliver(&world, &endpoint, seed + 1, rounds).await?;
    let after = world.standin()?.stats().await?;
    let units = rounds * u64::from(MAILBOXES);
    let message = Cost::between(&before, &after, units)?;
    let idle = idle(&mut world).await?;
    let count = tier.pick(300, 3_000);
    let items = "UID FLAGS RFC822.SIZE ENVELOPE BODYSTRUCTURE";
    let memory = fetch(&mut world, &endpoint, items, count).await?;
    let body = fetch(&mut world, &endpoint, "UID BODY.PEEK[]", count).await?;
    let large = large(&mut world, &endpoint, seed).await?;
    let largest_commit = world.standin()?.stats().await?.get("commit_bytes_max")?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(Figures { message, idle, fetch: memory, body, large, largest_commit })
}

async fn idle(world: &mut World) -> Result<Cost> {
    const SECONDS: u64 = 5;
    let before = world.standin()?.stats().await?;
    sleep(Duration::from_secs(SECONDS)).await;
    Cost::between(&before, &world.standin()?.stats().await?, SECONDS)
}

/// `rounds` messages to each mailbox, and all of them delivered.
async fn deliver(world: &World, endpoint: &Endpoint, seed: u64, rounds: u64) -> Result<()> {
    let mut senders = JoinSet::new();
    for number in 0..CONNECTIONS {
        let endpoint = endpoint.clone();
        senders.spawn(async move {
            let mut random = Random::new(seed, number);
            let mut client = SmtpClient::open(&endpoint, Door::Transfer, "").await?;
            // No mailbox is that of two connections.
            let users = (number + 1..=u64::from(MAILBOXES)).step_by(CONNECTIONS as usize);
            for user in (0..rounds).flat_map(|_| users.clone()) {
                let to = vec![format!("user{user}@{DOMAIN}")];
                send(&mut client, &to, 5_000, &mut random).await?;
            }
            client.quit().await;
            Ok::<(), Failure>(())
        });
    }
    while let Some(outcome) = senders.join_next().await {
        outcome.map_err(|error| Failure(error.to_string()))??;
    }
    world.wait_for_empty_queue().await
}

async fn send(
    client: &mut SmtpClient,
    to: &[String],
    bytes: u64,
    random: &mut Random,
) -> Result<()> {
    let from = "figures@chaos.example";
    let bytes = message::make(&format!("f{}", random.next_u64()), from, to, bytes, random);
    match client.send(from, to, &bytes).await {
        Fate::Acknowledged => Ok(()),
        other => Err(Failure(format!("a message of {} bytes: {other:?}", bytes.len()))),
    }
}

/// The same message again and again.
async fn fetch(world: &mut World, endpoint: &Endpoint, items: &str, count: u64) -> Result<Cost> {
    let mut client = ImapClient::open(endpoint, "user1").await?;
    client.ok("EXAMINE INBOX").await?;
    let line = format!("FETCH 1 ({items})");
    client.ok(&line).await?;
    let before = world.standin()?.stats().await?;
    for _ in 0..count {
        client.ok(&line).await?;
    }
    let after = world.standin()?.stats().await?;
    client.logout().await;
    Cost::between(&before, &after, count)
}

async fn large(world: &mut World, endpoint: &Endpoint, seed: u64) -> Result<Cost> {
    let mut random = Random::new(seed, 77);
    let mut client = SmtpClient::open(endpoint, Door::Transfer, "").await?;
    let before = world.standin()?.stats().await?;
    send(&mut client, &[format!("bob@{DOMAIN}")], LARGE_BYTES, &mut random).await?;
    world.wait_for_empty_queue().await?;
    let after = world.standin()?.stats().await?;
    client.quit().await;
    Cost::between(&before, &after, 1)
}
