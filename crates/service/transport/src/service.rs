//! The service's ends: accepting for callers, the host for the router, the queue for
//! administrators.

use crate::actor::{Args, Message, QueueActor};
use crate::context::{Config, Context};
use crate::due::Due;
use crate::{admin, settle};
use async_trait::async_trait;
use base::actor::{Population, PopulationOptions};
use base::env::Env;
use base::router::{Host, LocalRouter, Parcel, Router, ServiceId, Target};
use base::{Deadline, Error, QueueId, Result, SessionId, Slot, Timestamp};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use contract_store::{
    Attempt, Body, BodyError, Isolation, KeyRange, RangeRead, Store, Transaction, transact,
};
use contract_transport::{
    QueueAdmin, QueueCall, QueueHint, QueuedMessage, Submission, Transport, rows,
};
use futures::StreamExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How long a slot's owner may take to answer an administrator or a wake-up.
const CALL_TIME: Duration = Duration::from_secs(10);

/// The most messages in a queue actor's inbox.
const INBOX_CAPACITY: usize = 256;

/// How often all slots that have messages are woken, for those whose hints were lost. With nothing
/// queued it costs one read.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How many slots are woken at once: one that is slow to answer must not hold up the others.
const WAKES_AT_ONCE: usize = 32;

/// How soon a slot whose owner could not be reached is woken again, in milliseconds.
const AGAIN_MS: i64 = 1_000;

/// What the service stands on.
pub struct Parts {
    /// The outside world.
    pub env: Env,
    /// Where queues are stored.
    pub store: Arc<dyn Store>,
    /// Where bodies are stored.
    pub blobs: Arc<dyn Blobs>,
    /// Who owns what.
    pub control: Arc<dyn Control>,
    /// Who is who.
    pub directory: Arc<dyn Directory>,
    /// Where mail goes.
    pub mailboxes: Arc<dyn Mailboxes>,
    /// The way to other actors.
    pub router: Arc<dyn Router>,
}

/// The transport service of a node.
pub struct TransportService {
    context: Arc<Context>,
    population: Population<Slot, QueueActor>,
}

/// Starts serving this node's queues: registers their host with `local`, goes on with whatever
/// was accepted before, and gives the service for callers on this node.
///
/// # Errors
/// [`base::Kind::Unavailable`] without a store.
pub async fn start(
    config: Config,
    parts: Parts,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    let Parts { env, store, blobs, control, directory, mailboxes, router } = parts;
    let session = SessionId(env.random.u128());
    let rounds = Arc::new(Semaphore::new(config.rounds_at_once));
    let idle = config.idle;
    let context = Arc::new(Context {
        config,
        env,
        store,
        blobs,
        control,
        directory,
        mailboxes,
        router,
        rounds,
        due: Due::default(),
        working: Mutex::default(),
        session,
        sequence: AtomicU64::new(0),
    });
    let options = PopulationOptions {
        inbox_capacity: INBOX_CAPACITY,
        idle,
        actors_max: usize::from(Slot::COUNT),
    };
    let args = {
        let context = context.clone();
        move |slot: &Slot| Args { context: context.clone(), slot: *slot }
    };
    let population = Population::new(options, args);
    local.register(ServiceId::QUEUE, Arc::new(QueueHost { population: population.clone() }));
    let service = Arc::new(TransportService { context, population });
    service.wake_waiting_slots().await?;
    tokio::spawn(keep_waking(Arc::downgrade(&service)));
    Ok(service)
}

/// Wakes slots when something in them is due, for as long as the service lives. Hints may be lost,
/// so now and then every slot that has messages is woken.
async fn keep_waking(service: std::sync::Weak<TransportService>) {
    let mut looked = Duration::ZERO;
    while let Some(service) = service.upgrade() {
        let context = service.context.clone();
        if context.env.clock.monotonic().saturating_sub(looked) >= LOOK_EVERY {
            looked = context.env.clock.monotonic();
            if let Err(error) = service.wake_waiting_slots().await {
                tracing::debug!(%error, "the queues could not be looked through");
            }
        }
        let now = context.env.clock.now();
        let (slots, next) = context.due.take(now);
        let wakes = slots.into_iter().map(|slot| service.wake(slot));
        futures::stream::iter(wakes).buffer_unordered(WAKES_AT_ONCE).collect::<Vec<()>>().await;
        drop(service);
        let wait_ms = next.map_or(i64::MAX, |next| next.unix_ms.saturating_sub(now.unix_ms));
        let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0)).min(LOOK_EVERY);
        tokio::select! {
            biased;
            () = context.due.changed() => {}
            () = context.env.clock.sleep(wait) => {}
        }
    }
}

impl TransportService {
    async fn wake(&self, slot: Slot) {
        if let Err(error) = self.ask(slot, QueueCall::Wake).await {
            tracing::debug!(%slot, %error, "a queue could not be woken yet");
            let soon = self.context.env.clock.now().plus_ms(AGAIN_MS);
            self.context.due.wake_at(slot, soon);
        }
    }

    /// Wakes every slot of this node that has messages, after a start.
    async fn wake_waiting_slots(&self) -> Result<()> {
        let slots = transact(&self.context.store, WaitingSlots).await?;
        let mine = |slot: &Slot| {
            let owner = self.context.control.owner(*slot);
            owner.is_some_and(|owner| owner.node == self.context.control.node())
        };
        for slot in slots.into_iter().filter(mine) {
            self.context.due.wake_at(slot, Timestamp::default());
        }
        Ok(())
    }

    async fn ask(&self, slot: Slot, call: QueueCall) -> Result<()> {
        let target = self.context.target(slot);
        self.context.router.ask(target, call, Deadline::after(CALL_TIME)).await
    }

    /// Asks all queue actors to stop, and waits until they have.
    ///
    /// # Errors
    /// [`base::Kind::Timeout`] if some have not by the deadline.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        self.population.stop_all(deadline).await
    }
}

#[async_trait]
impl Transport for TransportService {
    async fn accept(&self, submission: Submission) -> Result<()> {
        let context = &self.context;
        let accepted = context.env.clock.now();
        let slot = context.control.slot_of_queue(submission.queue);
        let body = Accept { context, submission: &submission, slot, accepted };
        transact(&context.store, body).await?;
        metrics::counter!("rialto_transport_accepted_total").increment(1);
        tracing::info!(
            target: "tracking", event = "RECEIVE", source = "SMTP", queue = %submission.queue,
            recipients = submission.envelope.recipients.len(),
            size_bytes = submission.content.size_bytes(),
        );
        settle::send_hint(context, submission, accepted);
        Ok(())
    }

    fn hint(&self, hint: QueueHint) {
        let slot = self.context.control.slot_of_queue(hint.queue);
        self.context.router.hint(self.context.target(slot), Parcel::typed(QueueCall::Hint(hint)));
    }
}

/// Writes a submission.
struct Accept<'a> {
    context: &'a Context,
    submission: &'a Submission,
    slot: Slot,
    accepted: Timestamp,
}

impl Body<()> for Accept<'_> {
    fn run<'b>(
        &'b mut self,
        tx: &'b dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'b, Result<(), BodyError>> {
        Box::pin(async move {
            let key = rows::entry_key(self.slot, self.submission.queue);
            if attempt.maybe_committed && tx.get(&key, Isolation::Serializable).await?.is_some() {
                return Ok(());
            }
            // If it was committed and is done already, it is written again: the mailboxes' dedupe
            // rows make that harmless.
            let blobs = &*self.context.blobs;
            rows::write(tx, blobs, self.slot, self.submission, self.accepted).await?;
            Ok(())
        })
    }
}

/// Finds the slots that have messages, skipping from slot to slot.
struct WaitingSlots;

impl Body<BTreeSet<Slot>> for WaitingSlots {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<BTreeSet<Slot>, BodyError>> {
        Box::pin(async move {
            let mut slots = BTreeSet::new();
            let mut range = KeyRange::prefix(rows::ENTRY_PREFIX);
            loop {
                let read = RangeRead::all(&range).limit(1);
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                match page.rows.first().and_then(|row| rows::parse_entry_key(&row.key)) {
                    Some((slot, _)) => {
                        slots.insert(slot);
                        range.begin = rows::slot_entries(slot).end;
                    }
                    None if page.more => {}
                    None => return Ok(slots),
                }
            }
        })
    }
}

#[async_trait]
impl QueueAdmin for TransportService {
    async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueuedMessage>> {
        let mut found = transact(&self.context.store, ListQueue { after }).await?;
        found.sort_by_key(|message| message.queue);
        found.truncate(limit);
        Ok(found)
    }

    async fn count(&self) -> Result<u64> {
        Ok(transact(&self.context.store, ListQueue { after: None }).await?.len() as u64)
    }

    async fn retry(&self, queue: QueueId) -> Result<()> {
        self.ask(self.context.control.slot_of_queue(queue), QueueCall::Retry(queue)).await
    }

    async fn suspend(&self, queue: QueueId) -> Result<()> {
        self.ask(self.context.control.slot_of_queue(queue), QueueCall::Suspend(queue)).await
    }

    async fn remove(&self, queue: QueueId, tell_sender: bool) -> Result<()> {
        let slot = self.context.control.slot_of_queue(queue);
        self.ask(slot, QueueCall::Remove { queue, tell_sender }).await
    }
}

/// Reads the whole queue of the cluster, from just after a message.
struct ListQueue {
    after: Option<QueueId>,
}

impl Body<Vec<QueuedMessage>> for ListQueue {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Vec<QueuedMessage>, BodyError>> {
        Box::pin(async move {
            let mut found = Vec::new();
            let mut next = Some(RangeRead::all(&KeyRange::prefix(rows::ENTRY_PREFIX)));
            while let Some(read) = next {
                let page = tx.get_range(&read, Isolation::Snapshot).await?;
                next = read.after(&page);
                for row in &page.rows {
                    let Some((slot, queue)) = rows::parse_entry_key(&row.key) else { continue };
                    if self.after.is_some_and(|after| queue <= after) {
                        continue;
                    }
                    let read = crate::actor::read_message(tx, slot, queue, &row.value).await?;
                    found.extend(read.map(|(entry, state)| admin::describe(&entry, &state)));
                }
            }
            Ok(found)
        })
    }
}

/// Serves the queues that this node owns.
struct QueueHost {
    population: Population<Slot, QueueActor>,
}

#[async_trait]
impl Host for QueueHost {
    async fn handle(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        if target.key != u128::from(target.slot.number()) {
            return Err(Error::internal(format!("{target} is no queue")));
        }
        let call: QueueCall = request.open()?;
        let message = |reply| Message::Call { call, reply };
        self.population.call(&target.slot, message, deadline).await?;
        Ok(Parcel::typed(()))
    }
}
