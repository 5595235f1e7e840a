//! Bulk jobs whose owner has gone: found, and gone on with, though nobody may ever ask for their
//! mailboxes again.
//!
//! While there is a job in a mailbox, a row of its own names that mailbox. At the service's start,
//! and whenever slots become this node's, those rows are looked through and the mailboxes that are
//! this node's are activated, one after another; an active mailbox goes on with its job by itself.
//! There are as many rows as jobs under way in the whole cluster, few as a rule, and one pass serves
//! all the slots that came meanwhile.

use crate::actor::{MailboxActor, Message};
use crate::context::Context;
use crate::retry::Attempts;
use crate::rows::keys::Keys;
use base::actor::Population;
use base::{AccountId, Deadline, Kind, Result};
use contract_store::{Isolation, RangeRead};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How many rows are read in one transaction.
const PAGE_ROWS: usize = 200;

/// How long one mailbox may take to be activated.
const ACTIVATION_TIME: Duration = Duration::from_secs(10);

/// How long to wait after a pass that did not reach every mailbox, and how often to try again. A
/// mailbox that is not reached by then waits for somebody to ask for it.
const AGAIN: Duration = Duration::from_secs(5);
const PASSES_MAX: u32 = 60;

/// Whoever holds it may ask for another look; dropping it ends the looking.
pub(crate) struct Resume(watch::Sender<()>);

impl Resume {
    /// Looks again: slots have come.
    pub(crate) fn look(&self) {
        self.0.send_replace(());
    }
}

/// Looks at once, and whenever it is asked for.
pub(crate) fn start(
    context: Arc<Context>,
    population: Population<AccountId, MailboxActor>,
) -> Resume {
    let (asking, mut asked) = watch::channel(());
    asked.mark_changed();
    tokio::spawn(async move {
        while asked.changed().await.is_ok() {
            for _ in 0..PASSES_MAX {
                match pass(&context, &population).await {
                    Ok(()) => break,
                    Err(error) => tracing::warn!(%error, "jobs that were left behind wait"),
                }
                context.env.clock.sleep(AGAIN).await;
            }
        }
    });
    Resume(asking)
}

/// Activates every mailbox of this node in which there is a job.
///
/// # Errors
/// The first one, after all have been tried.
async fn pass(context: &Context, population: &Population<AccountId, MailboxActor>) -> Result<()> {
    let mut outcome = Ok(());
    let mut next = Some(RangeRead::all(&Keys::job_marks()));
    while let Some(read) = next {
        let tx = context.store.begin();
        let mut attempts = Attempts::default();
        let page = loop {
            match tx.get_range(&read.clone().limit(PAGE_ROWS), Isolation::Snapshot).await {
                Ok(page) => break page,
                Err(error) => attempts.again(&*tx, error).await?,
            }
        };
        let accounts = page.rows.iter().filter_map(|row| Keys::parse_job_mark(&row.key));
        for account in accounts.filter(|account| is_here(context, *account)) {
            match population.cast(&account, Message::Resume, deadline()).await {
                Ok(()) => tracing::info!(mailbox = %account, "activated for its job"),
                // Not this node's any more, or removed meanwhile.
                Err(error) if matches!(error.kind, Kind::Fenced | Kind::NotFound) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        next = read.after(&page);
    }
    outcome
}

fn deadline() -> Deadline {
    Deadline::after(ACTIVATION_TIME)
}

/// Whether this node owns a mailbox, as far as it knows.
pub(crate) fn is_here(context: &Context, account: AccountId) -> bool {
    let control = &context.control;
    let owner = control.owner(control.slot_of_account(account));
    owner.is_some_and(|owner| owner.node == control.node())
}
