//! `kill -9` in the middle of commands over thousands of messages (docs/decisions/0011): a COPY shows
//! all or nothing at every moment, also while its job goes on after the restart; a MOVE may stop
//! anywhere, but each message is in exactly one folder.

use super::{liveness, verdict};
use crate::checkers::{quota_equals_sum, store_clean};
use crate::failure::{Failure, Result};
use crate::fault;
use crate::imap::ImapClient;
use crate::ledger::Ledger;
use crate::net::Endpoint;
use crate::observe;
use crate::random::Random;
use crate::scenario::Tier;
use crate::world::{Options, World};
use codec_imap::client::Value;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Messages in the folder: several times what one transaction takes.
const MESSAGES: u64 = 3_200;

/// How long the folders are watched after a restart: a job that goes on must have ended by then.
const WATCH: Duration = Duration::from_secs(5);

/// What a run saw.
#[derive(Debug, Default)]
pub struct Figures {
    /// COPYs that were there after the restart, of all.
    pub copied: (u64, u64),
    /// For each MOVE, how many messages were in the new folder in the end.
    pub moved: Vec<u64>,
}

/// Runs it.
///
/// # Errors
/// The first broken promise, or why it could not run.
pub async fn run(tier: Tier, seed: u64) -> Result<Figures> {
    let mut world =
        World::start(Options { name: "bulk".into(), seed, ..Options::default() }).await?;
    let outcome = story(&mut world, tier, seed).await;
    let figures = outcome.map_err(|error| world.with_log(&error))?;
    fault::terminate(&mut world).await?;
    world.pass();
    Ok(figures)
}

async fn story(world: &mut World, tier: Tier, seed: u64) -> Result<Figures> {
    let endpoint = world.endpoint()?;
    let mut random = Random::new(seed, 7);
    let mut figures = Figures::default();
    fill(&endpoint).await?;
    for round in 0..tier.pick(3, 12) {
        let target = format!("copy-{round}");
        strike(world, &endpoint, "COPY", "many", &target, random.below_ms(200)).await?;
        let [source, copied] = watch(&endpoint, ["many", &target], |source, copied| {
            source == MESSAGES && (copied == 0 || copied == MESSAGES)
        })
        .await?;
        figures.copied.0 += u64::from(copied == source);
        figures.copied.1 += 1;
    }
    let mut source = "many".to_owned();
    for round in 0..tier.pick(3, 12) {
        let target = format!("move-{round}");
        strike(world, &endpoint, "MOVE", &source, &target, random.below_ms(200)).await?;
        let [_, moved] =
            watch(&endpoint, [&source, &target], |left, moved| left + moved == MESSAGES).await?;
        figures.moved.push(moved);
        if moved == MESSAGES {
            source = target;
        } else {
            // Back again, undisturbed, so that the next round has all of them.
            let mut client = ImapClient::open(&endpoint, "alice").await?;
            client.ok(&format!("SELECT \"{target}\"")).await?;
            if moved > 0 {
                client.ok(&format!("UID MOVE 1:* \"{source}\"")).await?;
            }
        }
    }
    let mailbox = observe::mailbox(&endpoint, "alice").await?;
    let mut violations = quota_equals_sum::check(&world.doors(), "alice", &mailbox).await?;
    violations.extend(store_clean::check(&world.doors(), &world.log()).await?);
    verdict(&violations)?;
    liveness(&endpoint, &Ledger::default(), &format!("b{seed}"), "alice").await?;
    Ok(figures)
}

/// Fills the folder `many`: some by APPEND, the rest by copies of them.
async fn fill(endpoint: &Endpoint) -> Result<()> {
    let mut client = ImapClient::open(endpoint, "alice").await?;
    client.ok("CREATE many").await?;
    let mut count = MESSAGES >> 6;
    for number in 0..count {
        let message = format!("Subject: bulk {number}\r\n\r\nx\r\n");
        client.append("many", "", message.as_bytes()).await?.ok("APPEND")?;
    }
    client.ok("SELECT many").await?;
    while count < MESSAGES {
        client.ok("COPY 1:* many").await?;
        client.ok("NOOP").await?;
        count *= 2;
    }
    client.logout().await;
    Ok(())
}

/// Starts the command, kills the node after a while, and starts it again.
async fn strike(
    world: &mut World,
    endpoint: &Endpoint,
    command: &str,
    source: &str,
    target: &str,
    after: Duration,
) -> Result<()> {
    let mut client = ImapClient::open(endpoint, "alice").await?;
    client.ok(&format!("CREATE \"{target}\"")).await?;
    client.ok(&format!("SELECT \"{source}\"")).await?;
    client.write(format!("x UID {command} 1:* \"{target}\"\r\n").as_bytes()).await?;
    sleep(after).await;
    fault::kill9(world).await?;
    world.boot().await?;
    Ok(())
}

/// Counts both folders again and again; each time it must be right.
async fn watch(
    endpoint: &Endpoint,
    names: [&str; 2],
    is_right: impl Fn(u64, u64) -> bool,
) -> Result<[u64; 2]> {
    let mut client = ImapClient::open(endpoint, "alice").await?;
    let begun = Instant::now();
    let mut last = None;
    let mut same = 0;
    // Without a job the counts never change; half a second of that is enough.
    while begun.elapsed() < WATCH && same < 25 {
        let [first, second] = counts(&mut client, names).await?;
        if !is_right(first, second) {
            return Err(Failure(format!("{names:?} hold {first} and {second}")));
        }
        same = if last == Some([first, second]) { same + 1 } else { 0 };
        last = Some([first, second]);
        sleep(Duration::from_millis(20)).await;
    }
    client.logout().await;
    last.ok_or_else(|| Failure::from("never counted"))
}

/// How many messages there are in both at one moment: counted until two counts agree.
async fn counts(client: &mut ImapClient, names: [&str; 2]) -> Result<[u64; 2]> {
    let mut before = None;
    loop {
        let now = [count(client, names[0]).await?, count(client, names[1]).await?];
        if before == Some(now) {
            return Ok(now);
        }
        before = Some(now);
    }
}

async fn count(client: &mut ImapClient, name: &str) -> Result<u64> {
    let answer = client.ok(&format!("STATUS \"{name}\" (MESSAGES)")).await?;
    let status = answer.untagged.iter().find_map(|line| line.data("STATUS")?.get(1)?.list());
    let number = status.and_then(|items| items.get(1)).and_then(Value::number);
    number.ok_or_else(|| Failure(format!("STATUS {name} tells no MESSAGES")))
}
