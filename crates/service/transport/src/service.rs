//! The service's ends: accepting for callers, the host for the router, the queue for
//! administrators.

use crate::actor::{Args, Message, QueueActor};
use crate::context::{Config, Context};
use crate::due::Due;
use crate::{accept, list, wake};
use async_trait::async_trait;
use base::actor::{Population, PopulationOptions};
use base::deadline::with_deadline;
use base::env::Env;
use base::router::{Host, LocalRouter, Parcel, Router, ServiceId, Target};
use base::{Deadline, Error, QueueId, Result, SessionId, Slot};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::Directory;
use contract_mailbox::Mailboxes;
use contract_store::Store;
use contract_transport::{
    Fate, QueueAdmin, QueueCall, QueueHint, QueuedMessage, Submission, Transport,
};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};

/// How long queues of slots that are another node's may take to end. They can do nothing but find
/// that out.
const LOST_TIME: Duration = Duration::from_secs(60);

/// The most messages in a queue actor's inbox.
const INBOX_CAPACITY: usize = 256;

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
    pub(crate) context: Arc<Context>,
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
        round_ended: Notify::new(),
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
    let host = QueueHost { context: context.clone(), population: population.clone() };
    local.register(ServiceId::QUEUE, Arc::new(host));
    wake::wake_waiting_slots(&context).await?;
    let service = Arc::new(TransportService { context, population });
    tokio::spawn(wake::keep_waking(Arc::downgrade(&service)));
    Ok(service)
}

impl TransportService {
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
        accept::accept(&self.context, submission).await
    }

    async fn accept_by(&self, submission: Submission, deadline: Deadline) -> Result<()> {
        accept::accept_by(&self.context, submission, deadline).await
    }

    async fn withdraw(&self, queue: QueueId) -> Result<Fate> {
        accept::withdraw(&self.context, queue).await
    }

    async fn withdraw_by(&self, queue: QueueId, deadline: Deadline) -> Result<Fate> {
        accept::withdraw_by(&self.context, queue, deadline).await
    }

    fn hint(&self, hint: QueueHint) {
        let slot = self.context.control.slot_of_queue(hint.queue);
        self.context.router.hint(self.context.target(slot), Parcel::typed(QueueCall::Hint(hint)));
    }
}

#[async_trait]
impl QueueAdmin for TransportService {
    async fn list(&self, after: Option<QueueId>, limit: usize) -> Result<Vec<QueuedMessage>> {
        list::list(&self.context, after, limit).await
    }

    async fn count(&self) -> Result<u64> {
        list::count(&self.context).await
    }

    async fn retry(&self, queue: QueueId) -> Result<()> {
        let slot = self.context.control.slot_of_queue(queue);
        self.context.ask(slot, QueueCall::Retry(queue)).await
    }

    async fn suspend(&self, queue: QueueId) -> Result<()> {
        let slot = self.context.control.slot_of_queue(queue);
        self.context.ask(slot, QueueCall::Suspend(queue)).await
    }

    async fn remove(&self, queue: QueueId, tell_sender: bool) -> Result<()> {
        let slot = self.context.control.slot_of_queue(queue);
        self.context.ask(slot, QueueCall::Remove { queue, tell_sender }).await
    }
}

/// Serves the queues that this node owns.
struct QueueHost {
    context: Arc<Context>,
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

    /// What waits in the slots goes on at once: nobody sends hints of it any more.
    fn gained(&self, slots: &[Slot]) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let slots = slots.iter().copied().collect();
            runtime.spawn(wake::wake_gained(self.context.clone(), slots));
        }
    }

    /// Rounds that still run find that out: whatever they would write is refused by the store, and
    /// mailboxes take nothing from them.
    fn lost(&self, slots: &[Slot]) {
        slots.iter().for_each(|slot| self.context.due.forget(*slot));
        let slots: HashSet<Slot> = slots.iter().copied().collect();
        let population = self.population.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let deadline = Deadline::after(LOST_TIME);
            if let Err(error) = population.stop_where(|slot| slots.contains(slot), deadline).await {
                tracing::warn!(%error, "queues that are served elsewhere by now are still active");
            }
        });
    }

    async fn release(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.population.stop_where(|active| *active == slot, deadline).await?;
        self.context.due.forget(slot);
        with_deadline(deadline, async {
            self.context.no_round(slot).await;
            Ok(())
        })
        .await
    }
}
