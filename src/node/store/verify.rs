//! `rialto store verify`: reads everything that is stored and checks that it is what it should be.
//!
//! 1. Every row of the table file against its checksum (embedded; FoundationDB checks its own).
//! 2. Every blob against the hash that is its name, and each of its chunks against its checksum.
//! 3. Every mailbox: all statements of one row about another; every blob that a message names is
//!    there, and held by that message.
//! 4. Every queued message: its entry can be read, and the same of its blobs.
//! 5. Every row of the directory: all of them can be read, addresses point at who has them, and the
//!    other way round.
//! 6. Whether it is half a copy, or its data has moved.
//!
//! Blobs and uploads that nobody holds, though their time is over, are counted: they cost room only.
//!
//! Not looked at: blobs of attachments, the state of a queued message's recipients.
//!
//! Nothing is changed, and everything is read so that it gives way to other work. While a node
//! serves, a mailbox may be written between two reads, which looks like damage; so what is wrong is
//! looked at again, and told only if it stays.

mod queue;

use super::Backend;
use base::env::Env;
use base::{AccountId, Result};
use contract_blob::{BlobId, Holder};
use contract_store::{Store, Transaction};
use futures::StreamExt;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use store_blobs::{Leftovers, StoreBlobs};
use tokio::sync::watch;

/// What the keys of blobs begin with.
const BLOBS: &[u8] = b"B";

/// How many blobs one step reads.
const BLOBS_AT_ONCE: usize = 100;

/// How many blobs are looked up at once.
const LOOKUPS_AT_ONCE: usize = 32;

/// How often a mailbox with problems is looked at.
const LOOKS: u32 = 4;

/// How many problems are spelt out.
const PROBLEMS_MAX: usize = 1_000;

/// What was read, and what is wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    /// Whether the rows of the table file have been read.
    table: bool,
    blobs: u64,
    blob_bytes: u64,
    mailboxes: u64,
    messages: u64,
    queued: u64,
    accounts: u64,
    groups: u64,
    /// What nobody holds though its time is over.
    leftovers: Leftovers,
    /// What is wrong, as sentences for an operator.
    pub problems: Vec<String>,
    problem_count: u64,
}

impl Findings {
    fn problem(&mut self, text: String) {
        self.problem_count += 1;
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(text);
        }
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.problem_count == 0
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { blobs, mailboxes, messages, queued, accounts, groups, problem_count, .. } = self;
        let table = if self.table { "all rows, " } else { "" };
        let megabytes = self.blob_bytes >> 20;
        write!(
            f,
            "{table}{blobs} blobs ({megabytes} MiB), {accounts} accounts, {groups} groups, "
        )?;
        write!(f, "{mailboxes} mailboxes with {messages} messages, {queued} queued; ")?;
        let Leftovers { blobs, uploads } = self.leftovers;
        if blobs + uploads > 0 {
            write!(f, "{blobs} blobs and {uploads} uploads that nobody holds are overdue; ")?;
        }
        write!(f, "{problem_count} problems")
    }
}

/// Checks everything; `told` hears how far it has come.
///
/// # Errors
/// The store's. Damage is not an error but a finding.
pub(crate) async fn run(
    backend: &Backend,
    env: &Env,
    told: &watch::Sender<Findings>,
) -> Result<Findings> {
    let mut findings = Findings::default();
    if let Backend::Embedded(store) = backend {
        let damaged = store.scrub().await.map_err(base::Error::unavailable)?;
        for key in damaged {
            findings.problem(format!("the row {} has a wrong checksum", key.escape_ascii()));
        }
        findings.table = true;
        told.send_replace(findings.clone());
    }
    let store: Arc<dyn Store> = Arc::new(Background(backend.store()));
    if let Some(why) = store_copy::why_not_served(&store).await? {
        findings.problem(why);
    }
    let blobs = StoreBlobs::open_existing(store.clone(), env).await?;
    match &blobs {
        Some(blobs) => {
            scrub_blobs(blobs, &mut findings, told).await?;
            findings.leftovers = blobs.leftovers().await?;
        }
        None if queue::holds_rows(&store, BLOBS).await? => {
            findings.problem("the key by which blobs are named is missing".to_owned());
        }
        None => {}
    }
    let directory = service_directory::verify(&store).await?;
    findings.accounts = directory.accounts;
    findings.groups = directory.groups;
    directory.problems.into_iter().for_each(|text| findings.problem(text));
    told.send_replace(findings.clone());
    queue::check(&store, blobs.as_ref(), &mut findings, told).await?;
    let mut after = None;
    while let Some(account) = service_mailbox::next_mailbox(&store, after).await? {
        let problems = look_again(&store, blobs.as_ref(), account, &mut findings).await?;
        problems.into_iter().for_each(|text| findings.problem(format!("{account}: {text}")));
        findings.mailboxes += 1;
        told.send_replace(findings.clone());
        after = Some(account);
    }
    Ok(findings)
}

async fn scrub_blobs(
    blobs: &StoreBlobs,
    findings: &mut Findings,
    told: &watch::Sender<Findings>,
) -> Result<()> {
    let mut after = None;
    loop {
        let step = blobs.scrub(after, BLOBS_AT_ONCE).await?;
        findings.blobs += step.examined;
        findings.blob_bytes += step.bytes;
        for (_, error) in step.damaged {
            findings.problem(error.to_string());
        }
        told.send_replace(findings.clone());
        match step.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// The problems of a mailbox that are there each time it is looked at.
async fn look_again(
    store: &Arc<dyn Store>,
    blobs: Option<&StoreBlobs>,
    account: AccountId,
    findings: &mut Findings,
) -> Result<BTreeSet<String>> {
    let mut lasting: Option<BTreeSet<String>> = None;
    for _ in 0..LOOKS {
        let report = service_mailbox::verify(store, account).await?;
        let mut problems: BTreeSet<String> = report.problems.into_iter().collect();
        problems.extend(missing(blobs, report.holds).await?);
        let left = match lasting {
            Some(before) => before.intersection(&problems).cloned().collect(),
            None => {
                findings.messages += report.messages;
                problems
            }
        };
        if left.is_empty() {
            return Ok(left);
        }
        lasting = Some(left);
    }
    Ok(lasting.unwrap_or_default())
}

/// What is wrong with blobs that somebody names and must hold.
async fn missing(
    blobs: Option<&StoreBlobs>,
    named: BTreeSet<(BlobId, Holder)>,
) -> Result<Vec<String>> {
    let looks = futures::stream::iter(named)
        .map(|(id, holder)| async move {
            match blobs {
                Some(blobs) => (id, blobs.is_held(id, &holder).await),
                None => (id, Ok(false)),
            }
        })
        .buffer_unordered(LOOKUPS_AT_ONCE);
    let mut looks = std::pin::pin!(looks);
    let mut problems = Vec::new();
    while let Some((id, held)) = looks.next().await {
        match held {
            Ok(true) => {}
            Ok(false) => problems.push(format!("{id:?} is named, and is not there or not held")),
            Err(error) if error.kind == base::Kind::Corrupt => problems.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(problems)
}

/// A store all of whose transactions give way to others. (One that is begun again after an error
/// does so no longer, on FoundationDB.)
struct Background(Arc<dyn Store>);

impl Store for Background {
    fn begin(&self) -> Box<dyn Transaction> {
        let tx = self.0.begin();
        tx.set_batch_priority();
        tx
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }
}
