//! The service's ends: accepting for callers, the host for the router, the queue for
//! administrators.

use crate::actor::{Args, Message, QueueActor};
use crate::connectors::{self, Connectors};
use crate::context::{Config, Context};
use crate::due::Due;
use crate::relay::actor::{self as relay_actor, RelayActor};
use crate::relay::{hops, record, wake as relay_wake};
use crate::routing::Choice;
use crate::{accept, list, wake};
use async_trait::async_trait;
use base::actor::{Population, PopulationOptions};
use base::deadline::with_deadline;
use base::env::Env;
use base::router::{Host, LocalRouter, Parcel, Router, ServiceId, Target};
use base::{Address, Deadline, Error, Kind, QueueId, Result, SessionId, Slot};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::{Actor, Directory};
use contract_mailbox::Mailboxes;
use contract_store::Store;
use contract_transport::connector::{ConnectorChange, SendConnector, SendConnectors};
use contract_transport::courier::Courier;
use contract_transport::relay::{self, Hop, QueuedHop, RelayCall, Verb};
use contract_transport::{
    Fate, QueueAdmin, QueueCall, QueueHint, QueuedMessage, Submission, Transport,
};
use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::Semaphore;

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
    relays: Population<Slot, RelayActor>,
}

/// As [`start_relaying`], for a node that speaks with no other servers: mail that is not for
/// mailboxes here has no route.
///
/// # Errors
/// As [`start_relaying`].
pub async fn start(
    config: Config,
    parts: Parts,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    begin(config, parts, None, local).await
}

/// Starts serving this node's queues: registers their hosts with `local`, goes on with whatever
/// was accepted before, and gives the service for callers on this node. `courier` brings mail to
/// other servers.
///
/// # Errors
/// [`base::Kind::Unavailable`] without a store.
pub async fn start_relaying(
    config: Config,
    parts: Parts,
    courier: Arc<dyn Courier>,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    begin(config, parts, Some(courier), local).await
}

async fn begin(
    config: Config,
    parts: Parts,
    courier: Option<Arc<dyn Courier>>,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    let Parts { env, store, blobs, control, directory, mailboxes, router } = parts;
    let session = SessionId(env.random.u128());
    let rounds = Arc::new(Semaphore::new(config.rounds_at_once));
    let connections = Arc::new(Semaphore::new(config.connections_max.max(1)));
    let connectors = Arc::new(Connectors::new(store.clone(), env.clone()));
    tokio::spawn(connectors::follow(Arc::downgrade(&connectors)));
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
        working: Arc::default(),
        courier,
        connectors,
        connections,
        relay_due: Due::default(),
        sending: Mutex::default(),
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
    let args = {
        let context = context.clone();
        move |slot: &Slot| relay_actor::Args { context: context.clone(), slot: *slot }
    };
    let relays = Population::new(options, args);
    let host = RelayHost { context: context.clone(), population: relays.clone() };
    local.register(ServiceId::RELAY, Arc::new(host));
    wake::wake_waiting_slots(&context).await?;
    let service = Arc::new(TransportService { context, population, relays });
    tokio::spawn(wake::keep_waking(Arc::downgrade(&service)));
    if service.context.courier.is_some() {
        relay_wake::wake_waiting_slots(&service.context).await?;
        tokio::spawn(relay_wake::keep_waking(Arc::downgrade(&service)));
    }
    Ok(service)
}

impl TransportService {
    /// Asks all queue actors to stop, and waits until they have.
    ///
    /// # Errors
    /// [`base::Kind::Timeout`] if some have not by the deadline.
    pub async fn stop(&self, deadline: Deadline) -> Result<()> {
        let relays = self.relays.stop_all(deadline).await;
        self.population.stop_all(deadline).await.and(relays)
    }

    /// Brings what an administrator wants of a message to whoever has it.
    async fn steer(&self, queue: QueueId, call: QueueCall, verb: Verb) -> Result<()> {
        let slot = self.context.control.slot_of_queue(queue);
        match (self.context.ask(slot, call).await, relay::slot_of(queue)) {
            (Err(error), Some(slot)) if error.kind == Kind::NotFound => {
                if record::load(&self.context, slot, queue).await?.is_none() {
                    return Err(error);
                }
                relay_wake::ask(&self.context, slot, RelayCall::Message { queue, verb }).await
            }
            (result, _) => result,
        }
    }

    async fn steer_hop(&self, hop: Hop, verb: Verb) -> Result<()> {
        let slot = hop.slot(&*self.context.control);
        relay_wake::ask(&self.context, slot, RelayCall::Hop { hop, verb }).await
    }
}

#[async_trait]
impl SendConnectors for TransportService {
    async fn connectors(&self) -> Result<Vec<Arc<SendConnector>>> {
        self.context.connectors.connectors().await
    }

    async fn create_connector(
        &self,
        actor: &Actor,
        new: SendConnector,
    ) -> Result<Arc<SendConnector>> {
        self.context.connectors.create_connector(actor, new).await
    }

    async fn update_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ConnectorChange,
    ) -> Result<Arc<SendConnector>> {
        self.context.connectors.update_connector(actor, name, change).await
    }

    async fn remove_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        self.context.connectors.remove_connector(actor, name).await
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

    async fn can_relay(&self, recipient: &Address) -> Result<bool> {
        if self.context.courier.is_none() {
            return Ok(false);
        }
        let choice = self.context.connectors.choose(&recipient.domain, 0).await?;
        Ok(matches!(choice, Choice::Connector(_)))
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
        self.steer(queue, QueueCall::Retry(queue), Verb::Retry).await
    }

    async fn suspend(&self, queue: QueueId) -> Result<()> {
        self.steer(queue, QueueCall::Suspend(queue), Verb::Suspend).await
    }

    async fn resume(&self, queue: QueueId) -> Result<()> {
        self.steer(queue, QueueCall::Resume(queue), Verb::Resume).await
    }

    async fn remove(&self, queue: QueueId, tell_sender: bool) -> Result<()> {
        let call = QueueCall::Remove { queue, tell_sender };
        self.steer(queue, call, Verb::Remove { tell_sender }).await
    }

    async fn hops(&self) -> Result<Vec<QueuedHop>> {
        hops::hops(&self.context).await
    }

    async fn retry_hop(&self, hop: Hop) -> Result<()> {
        self.steer_hop(hop, Verb::Retry).await
    }

    async fn suspend_hop(&self, hop: Hop) -> Result<()> {
        self.steer_hop(hop, Verb::Suspend).await
    }

    async fn resume_hop(&self, hop: Hop) -> Result<()> {
        self.steer_hop(hop, Verb::Resume).await
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

/// Serves the next hops that this node owns.
struct RelayHost {
    context: Arc<Context>,
    population: Population<Slot, RelayActor>,
}

#[async_trait]
impl Host for RelayHost {
    async fn handle(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        if target.key != u128::from(target.slot.number()) {
            return Err(Error::internal(format!("{target} is no relay")));
        }
        let call: RelayCall = request.open()?;
        let message = |reply| relay_actor::Message::Call { call, reply };
        self.population.call(&target.slot, message, deadline).await?;
        Ok(Parcel::typed(()))
    }

    fn gained(&self, slots: &[Slot]) {
        if self.context.courier.is_none() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let slots = slots.iter().copied().collect();
            runtime.spawn(relay_wake::wake_gained(self.context.clone(), slots));
        }
    }

    /// What is being sent is; that cannot be written down any more, and its new owner may send it
    /// again.
    fn lost(&self, slots: &[Slot]) {
        slots.iter().for_each(|slot| self.context.relay_due.forget(*slot));
        let slots: HashSet<Slot> = slots.iter().copied().collect();
        let population = self.population.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let deadline = Deadline::after(LOST_TIME);
            if let Err(error) = population.stop_where(|slot| slots.contains(slot), deadline).await {
                tracing::warn!(%error, "next hops that are served elsewhere are still active");
            }
        });
    }

    /// Transfers that have begun come to their end, and are written down.
    async fn release(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.population.stop_where(|active| *active == slot, deadline).await?;
        self.context.relay_due.forget(slot);
        with_deadline(deadline, async {
            self.context.no_round(slot).await;
            Ok(())
        })
        .await
    }
}
