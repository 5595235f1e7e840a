//! The stories: each starts a world, hurts it, and answers with what it saw or with why it failed.

use crate::checkers::{self, Evidence, Violation, quota_equals_sum, store_clean};
use crate::failure::{Failure, Result};
use crate::imap::ImapClient;
use crate::ledger::Ledger;
use crate::message;
use crate::net::{Endpoint, PATIENCE};
use crate::observe;
use crate::random::Random;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::world::{DOMAIN, World};
use std::time::{Duration, Instant};
use tokio::time::sleep;

pub mod bulk_kill;
pub mod cluster;
pub mod disk_full;
pub mod durability;
pub mod frozen;
pub mod kill9;
pub mod large_message;
pub mod slow_client;
pub mod store_dead;
pub mod store_figures;
pub mod store_trouble;

/// How much of everything: `smoke` fits into minutes on two busy cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// For every `make test`.
    Smoke,
    /// For the long run (`RIALTO_TIER=full`).
    Full,
}

impl Tier {
    /// The tier that the environment asks for.
    #[must_use]
    pub fn from_env() -> Tier {
        match std::env::var("RIALTO_TIER").as_deref() {
            Ok("full") => Tier::Full,
            _ => Tier::Smoke,
        }
    }

    /// One of two figures.
    pub fn pick<T>(self, smoke: T, full: T) -> T {
        if self == Tier::Smoke { smoke } else { full }
    }
}

/// The seed of the environment (`RIALTO_SEED`): a number, or `random` for a fresh one. Without it
/// always the same, so that a run depends on luck as little as it can.
///
/// # Panics
/// Where it is neither.
#[must_use]
pub fn seed_from_env() -> u64 {
    let told = std::env::var("RIALTO_SEED").unwrap_or_default();
    match told.trim() {
        "" => 1,
        "random" => {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.map_or(1, |since| u64::from(since.subsec_micros()))
        }
        number => match number.parse() {
            Ok(seed) => seed,
            Err(_) => panic!("RIALTO_SEED={told}: neither a number nor `random`"),
        },
    }
}

/// What is there now, with what the ledger says.
async fn gather(world: &World, endpoint: &Endpoint, ledger: &Ledger) -> Result<Evidence> {
    let mut evidence =
        Evidence { sent: ledger.sent(), shelved: ledger.all_shelved(), ..Evidence::default() };
    for user in world.users() {
        let seen = observe::mailbox(endpoint, &user).await;
        let seen = seen.map_err(|error| error.while_doing(format!("looking at {user}")))?;
        evidence.mailboxes.insert(user, seen);
    }
    Ok(evidence)
}

/// The checkers that ask the node.
async fn ask(world: &World, evidence: &Evidence) -> Result<Vec<Violation>> {
    let mut violations = store_clean::check(&world.doors(), &world.log()).await?;
    for (user, mailbox) in &evidence.mailboxes {
        violations.extend(quota_equals_sum::check(&world.doors(), user, mailbox).await?);
    }
    Ok(violations)
}

/// The liveness phase: what is sent now is acknowledged, and IMAP shows it; how long that took.
///
/// # Errors
/// If it does not, within [`PATIENCE`].
pub async fn liveness(
    endpoint: &Endpoint,
    ledger: &Ledger,
    id: &str,
    user: &str,
) -> Result<Duration> {
    let begun = Instant::now();
    let mut random = Random::new(0, 0);
    let from = "liveness@chaos.example";
    let to = vec![format!("{user}@{DOMAIN}")];
    let bytes = message::make(id, from, &to, 600, &mut random);
    let mut client = SmtpClient::open(endpoint, Door::Transfer, "").await?;
    let fate = client.send(from, &to, &bytes).await;
    client.quit().await;
    let sent = crate::ledger::Sent { id: id.to_owned(), users: vec![user.to_owned()], bytes, fate };
    let fate = sent.fate.clone();
    ledger.note_sent(sent);
    if fate != Fate::Acknowledged {
        return Err(Failure(format!("liveness: {id} was not taken: {fate:?}")));
    }
    let mut client = ImapClient::open(endpoint, user).await?;
    client.ok("SELECT INBOX").await?;
    let search = format!("UID SEARCH HEADER {} \"{id}\"", message::ID_HEADER);
    while begun.elapsed() < PATIENCE {
        client.ok("NOOP").await?;
        let found = client.ok(&search).await?;
        let hits = found.untagged.iter().filter_map(|line| line.data("SEARCH")).flatten().count();
        if hits > 0 {
            client.logout().await;
            return Ok(begun.elapsed());
        }
        sleep(Duration::from_millis(20)).await;
    }
    Err(Failure(format!("liveness: {id} was acknowledged, but IMAP does not show it")))
}

/// Nothing, or all violations as one failure.
fn verdict(violations: &[Violation]) -> Result<()> {
    if violations.is_empty() { Ok(()) } else { Err(Failure(checkers::report(violations))) }
}
