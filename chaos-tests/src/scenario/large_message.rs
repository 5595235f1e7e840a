//! One large message streams through: neither its arrival nor its FETCH may cost memory by its size
//! (large bodies never travel through inboxes).

use crate::failure::{Failure, Result};
use crate::fault;
use crate::imap::ImapClient;
use crate::ledger::Ledger;
use crate::message;
use crate::net::Endpoint;
use crate::random::Random;
use crate::scenario::liveness;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::world::{DOMAIN, Options, World};

/// Size of the message, in bytes.
const MESSAGE_BYTES: u64 = 50_000_000;

/// What a run saw; memory in bytes.
#[derive(Debug, Default)]
pub struct Figures {
    /// Resident before.
    pub idle: u64,
    /// The most while it arrived.
    pub arriving: u64,
    /// Resident before it was fetched.
    pub between: u64,
    /// The most while it was fetched.
    pub fetching: u64,
}

impl Figures {
    /// The most that it cost at a time, in bytes.
    #[must_use]
    pub fn cost(&self) -> u64 {
        let arriving = self.arriving.saturating_sub(self.idle);
        arriving.max(self.fetching.saturating_sub(self.between))
    }
}

/// Runs it twice on one node: with the first message the store's cache, which has a bound of its
/// own, fills between arrival and FETCH; with the second it is full.
///
/// # Errors
/// If the message is not taken or does not come back.
pub async fn run(seed: u64) -> Result<[Figures; 2]> {
    let options = Options { name: "large".into(), seed, ..Options::default() };
    let mut world = World::start(options).await?;
    let endpoint = world.endpoint()?;
    liveness(&endpoint, &Ledger::default(), "warm", "carol").await?;
    let first = one(&world, &endpoint, seed, 1).await?;
    let second = one(&world, &endpoint, seed, 2).await?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok([first, second])
}

async fn one(world: &World, endpoint: &Endpoint, seed: u64, number: u64) -> Result<Figures> {
    let mut random = Random::new(seed, number);
    let (from, to) = ("sender@chaos.example", vec![format!("bob@{DOMAIN}")]);
    let bytes = message::make("large", from, &to, MESSAGE_BYTES, &mut random);
    let mut figures = Figures { idle: world.forget_peak()?, ..Figures::default() };
    let mut client = SmtpClient::open(endpoint, Door::Transfer, "").await?;
    let fate = client.send(from, &to, &bytes).await;
    if fate != Fate::Acknowledged {
        return Err(Failure(format!("50 MB: {fate:?}")));
    }
    world.wait_for_empty_queue().await?;
    figures.arriving = world.memory_bytes()?.1;
    let mut client = ImapClient::open(endpoint, "bob").await?;
    client.ok("EXAMINE INBOX").await?;
    figures.between = world.forget_peak()?;
    let fetched = client.ok(&format!("FETCH {number} BODY.PEEK[]")).await?;
    figures.fetching = world.memory_bytes()?.1;
    let data = fetched.untagged.iter().find_map(|line| line.fetch());
    let whole = data.and_then(|data| data.payload("BODY[]").cloned()).unwrap_or_default();
    if !whole.ends_with(&bytes) {
        return Err(Failure::from("50 MB came back changed"));
    }
    Ok(figures)
}
