//! A store that is gone for twenty seconds, or half a minute: every client has a temporary error within ten seconds,
//! `/readyz` says 503, and when the store is back, so is the node, with everything that it had
//! acknowledged and nothing twice (docs/foundationdb.md, "Longer than ten seconds").

use super::{Tier, ask, gather, liveness, verdict};
use crate::checkers::{self, Evidence};
use crate::failure::{Failure, Result};
use crate::fault;
use crate::imap::ImapClient;
use crate::ledger::{Ledger, Sent};
use crate::message;
use crate::net::{Endpoint, PATIENCE};
use crate::random::Random;
use crate::smtp::{Door, Fate, SmtpClient};
use crate::workload::{self, Load};
use crate::world::{DOMAIN, Options, Store, World};
use codec_imap::response::Status;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How long the store is gone: twice what clients wait, and longer.
const OUTAGE_S: (u64, u64) = (20, 30);

/// What a run saw.
#[derive(Debug, Default)]
pub struct Figures {
    /// Acknowledged messages and changes.
    pub acknowledged: u64,
    /// Messages that were given back with 451, and those of them that are there all the same.
    pub deferred: (usize, usize),
    /// How long a message waited for its answer while the store was gone.
    pub smtp_answer: Duration,
    /// The same for APPEND.
    pub imap_answer: Duration,
    /// How long the node needed to be ready after the store was back.
    pub ready_after: Duration,
    /// What `rialto store verify` said.
    pub verified: String,
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(tier: Tier, seed: u64) -> Result<Figures> {
    let (name, store) = ("store-dead".to_owned(), Store::FoundationDb);
    let options = Options { name, seed, mailboxes: 5, store, ..Options::default() };
    let mut world = World::start(options).await?;
    let outcome = story(&mut world, tier, seed).await;
    let mut figures = outcome.map_err(|error| world.with_log(&error))?;
    fault::terminate(&mut world).await?;
    figures.verified = world.verify_store().await?;
    world.pass();
    Ok(figures)
}

async fn story(world: &mut World, tier: Tier, seed: u64) -> Result<Figures> {
    let endpoint = world.endpoint()?;
    let ledger = Arc::new(Ledger::default());
    let users = world.users();
    let load = Load { seed, round: 1, senders: 4, shelvers: 3, users, each: tier.pick(60, 300) };
    let mut figures = Figures::default();
    let mut reader = ImapClient::open(&endpoint, "carol").await?;
    reader.ok("SELECT INBOX").await?;
    let running = workload::start(&endpoint, &load, &ledger);
    while ledger.acknowledged() < 60 {
        sleep(Duration::from_millis(5)).await;
        if let [first, ..] = ledger.trouble().as_slice() {
            return Err(Failure(format!("while the node was well: {first}")));
        }
    }
    ledger.set_dying(true);
    let outage = Duration::from_secs(tier.pick(OUTAGE_S.0, OUTAGE_S.1));
    world.standin()?.die(outage).await?;
    let gone = Instant::now();
    let probed = probe(world, &endpoint, &ledger, seed, &mut reader, &mut figures).await;
    sleep(outage.saturating_sub(gone.elapsed())).await;
    probed?;
    let back = Instant::now();
    while !world.is_ready().await? {
        if back.elapsed() > PATIENCE {
            return Err(Failure::from("the store is back, but the node does not get ready"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    figures.ready_after = back.elapsed();
    running.finish().await;
    ledger.set_dying(false);
    liveness(&endpoint, &ledger, &format!("l{seed}"), "bob").await?;
    world.wait_for_empty_queue().await?;
    let evidence = gather(world, &endpoint, &ledger).await?;
    figures.deferred = deferred(&evidence);
    let mut violations = checkers::judge(&evidence);
    violations.extend(ask(world, &evidence).await?);
    verdict(&violations)?;
    figures.acknowledged = ledger.acknowledged();
    Ok(figures)
}

/// While the store is gone: what new clients and old ones are told, and how soon.
async fn probe(
    world: &World,
    endpoint: &Endpoint,
    ledger: &Ledger,
    seed: u64,
    reader: &mut ImapClient,
    figures: &mut Figures,
) -> Result<()> {
    sleep(Duration::from_secs(1)).await;
    if world.is_ready().await? {
        return Err(Failure::from("the store is gone, and /readyz says 200"));
    }
    let mut random = Random::new(seed, 41);
    let (id, from, to) = (format!("dead{seed}"), "probe@chaos.example", format!("bob@{DOMAIN}"));
    let bytes = message::make(&id, from, std::slice::from_ref(&to), 900, &mut random);
    let mut client = SmtpClient::open(endpoint, Door::Transfer, "").await?;
    let begun = Instant::now();
    // Both at once: each may wait for ten seconds.
    let sending = async { (client.send(from, &[to], &bytes).await, begun.elapsed()) };
    let appending = async {
        let answer = reader.append("INBOX", "", b"Subject: nothing\r\n\r\n").await;
        (answer, begun.elapsed())
    };
    let ((fate, smtp_answer), (answer, imap_answer)) = tokio::join!(sending, appending);
    (figures.smtp_answer, figures.imap_answer) = (smtp_answer, imap_answer);
    let told = match &fate {
        Fate::Deferred(_) => Ok(()),
        Fate::Refused(text) if text.starts_with('4') => Ok(()),
        other => Err(Failure(format!("the store is gone, and a message's fate is {other:?}"))),
    };
    ledger.note_sent(Sent { id, users: vec!["bob".into()], bytes, fate });
    told?;
    let answer = answer?;
    let is_temporary = answer.code.first().is_some_and(|word| word.is("UNAVAILABLE"));
    if answer.status != Status::No || !is_temporary {
        return Err(Failure(format!("the store is gone, and APPEND says {answer:?}")));
    }
    Ok(())
}

/// Messages that were given back, and how many of them are there.
fn deferred(evidence: &Evidence) -> (usize, usize) {
    let all: Vec<&Sent> =
        evidence.sent.iter().filter(|sent| matches!(sent.fate, Fate::Deferred(_))).collect();
    let inboxes = || evidence.mailboxes.values().filter_map(|mailbox| mailbox.get("INBOX"));
    let is_there =
        |id: &str| inboxes().any(|inbox| inbox.messages.iter().any(|seen| seen.id == id));
    (all.len(), all.iter().filter(|sent| is_there(&sent.id)).count())
}
