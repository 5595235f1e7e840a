//! Clients that drip or never read must cost nobody else anything: every queue is
//! bounded. Dozens of them hang about while a normal client is served.

use super::{Tier, liveness};
use crate::failure::{Failure, Result};
use crate::imap::ImapClient;
use crate::ledger::Ledger;
use crate::net::Endpoint;
use crate::world::{DOMAIN, Options, World};
use crate::{fault, message, random::Random};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

/// What a run saw.
#[derive(Debug, Default)]
pub struct Figures {
    /// Slow clients at once.
    pub slow: usize,
    /// The longest way of a normal message from SMTP to IMAP meanwhile.
    pub slowest: Duration,
    /// The node's memory before and with the slow clients, in bytes.
    pub memory_bytes: (u64, u64),
}

/// Memory that all slow clients together may cost, in bytes.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Size of the message that clients ask for and do not read, in bytes.
const LARGE_BYTES: u64 = 8 << 20;

/// Runs it.
///
/// # Errors
/// If a normal client is not served, or memory grows without bound.
pub async fn run(tier: Tier, seed: u64) -> Result<Figures> {
    let mut world =
        World::start(Options { name: "slow".into(), seed, ..Options::default() }).await?;
    let endpoint = world.endpoint()?;
    let ledger = Ledger::default();
    let each = tier.pick(10, 40);
    let mut appender = ImapClient::open(&endpoint, "alice").await?;
    let mut random = Random::new(seed, 2);
    let to = [format!("alice@{DOMAIN}")];
    let large = message::make("large", "x@chaos.example", &to, LARGE_BYTES, &mut random);
    appender.append("INBOX", "", &large).await?.ok("APPEND of a large message")?;
    let before = world.memory_bytes()?.0;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..each {
        clients.spawn(drip(endpoint.clone(), 25, "MAIL FROM:<slow@chaos.example>\r\n"));
        clients.spawn(drip(endpoint.clone(), 143, "a LOGIN alice nothing\r\n"));
        clients.spawn(never_read(endpoint.clone()));
    }
    let mut figures = Figures { slow: clients.len(), ..Figures::default() };
    for number in 0..5 {
        sleep(Duration::from_millis(500)).await;
        let id = format!("n{seed}-{number}");
        figures.slowest = figures.slowest.max(liveness(&endpoint, &ledger, &id, "bob").await?);
        let now = world.memory_bytes()?.0;
        figures.memory_bytes = (before, now.max(figures.memory_bytes.1));
    }
    clients.abort_all();
    let grown = figures.memory_bytes.1.saturating_sub(before);
    if grown > MEMORY_BYTES_MAX {
        return Err(Failure(format!("{} slow clients cost {grown} bytes", figures.slow)));
    }
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(figures)
}

/// One byte after the other, for as long as it is let.
async fn drip(endpoint: Endpoint, port: u16, line: &'static str) -> Result<()> {
    let mut stream = endpoint.connect(port).await?;
    for byte in line.bytes().cycle() {
        stream.write_all(&[byte]).await?;
        sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Asks for the large message again and again and reads nothing of it.
async fn never_read(endpoint: Endpoint) -> Result<()> {
    let mut client = ImapClient::open(&endpoint, "alice").await?;
    client.ok("EXAMINE INBOX").await?;
    for number in 0..20 {
        client.write(format!("x{number} FETCH 1 BODY.PEEK[]\r\n").as_bytes()).await?;
    }
    std::future::pending().await
}
