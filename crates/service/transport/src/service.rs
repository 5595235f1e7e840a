//! The service's ends: its start, accepting for callers, the queue for administrators.

use crate::actor::QueueActor;
use crate::context::{Config, Context};
use crate::due::Due;
use crate::guard::Members;
use crate::queues::{Accepted, Args, QueueHost, Queues, Relayed, ask, target};
use crate::receive::Receiving;
use crate::relay::actor::RelayActor;
use crate::relay::{hops, record};
use crate::rules::Rules;
use crate::scanners::{self, Scanning};
use crate::{accept, export, forget, list, reports, routing, signing, table, tracking, wake};
use async_trait::async_trait;
use base::actor::{Population, PopulationOptions};
use base::env::Env;
use base::router::{LocalRouter, Parcel, Router};
use base::{Address, Deadline, Error, Kind, QueueId, Result, SessionId, Slot};
use contract_blob::Blobs;
use contract_control::Control;
use contract_directory::{Actor, Directory};
use contract_mailbox::Mailboxes;
use contract_store::Store;
use contract_transport::connector::{ConnectorChange, SendConnector, SendConnectors};
use contract_transport::courier::Courier;
use contract_transport::receive::{
    ReceiveChange, ReceiveConnector, ReceiveConnectors, ReceiveTable,
};
use contract_transport::relay::{self, Hop, QueuedHop, RelayCall, Verb};
use contract_transport::rule::{TransportRule, TransportRules, Trial, Verdict};
use contract_transport::signing::Signatures;
use contract_transport::tracking::{Found, Involved, MessageTracking, Search, Tracked};
use contract_transport::{
    Exported, Fate, QueueAdmin, QueueCall, QueueHint, QueuedMessage, Submission, Transport,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::sync::Semaphore;

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
    receiving: Arc<Receiving>,
    pub(crate) scanning: Scanning,
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
    begin(config, parts, None, None, local).await
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
    begin(config, parts, Some(courier), None, local).await
}

/// As [`start_relaying`], for a node that signs mail of our domains.
///
/// # Errors
/// As [`start_relaying`].
pub async fn start_signing(
    config: Config,
    parts: Parts,
    courier: Arc<dyn Courier>,
    signatures: Arc<dyn Signatures>,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    begin(config, parts, Some(courier), Some(signatures), local).await
}

async fn begin(
    config: Config,
    parts: Parts,
    courier: Option<Arc<dyn Courier>>,
    signatures: Option<Arc<dyn Signatures>>,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    let Parts { env, store, blobs, control, directory, mailboxes, router } = parts;
    let session = SessionId(env.random.u128());
    let rounds = Arc::new(Semaphore::new(config.rounds_at_once));
    let connections = Arc::new(Semaphore::new(config.connections_max.max(1)));
    // No queue may seem to be without a connector because they are not known yet; nobody is let in by
    // anything but what was decided; no message may pass because rules are not known yet; nothing may
    // go where it is not to.
    let connectors = table::start(&store, &env).await?;
    let receiving = Arc::new(Receiving::new(table::start(&store, &env).await?));
    let rules = Arc::new(Rules::new(table::start(&store, &env).await?));
    let remote_domains = table::start(&store, &env).await?;
    let organisation = table::start(&store, &env).await?;
    let reports = reports::start(&store, &env).await?;
    let scanning = scanners::start(&store, &env).await?;
    let signing = match signatures {
        Some(signatures) => Some(signing::start(&store, &env, signatures).await?),
        None => None,
    };
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
        load: Arc::default(),
        in_hand: Arc::default(),
        courier,
        connectors,
        rules,
        members: Members::default(),
        remote_domains,
        organisation,
        reports,
        signing,
        connections,
        relay_due: Due::default(),
        sending: Mutex::default(),
        session,
        sequence: AtomicU64::new(0),
    });
    begin_work(context, receiving, scanning, local).await
}

/// Starts the queues, and whatever wakes them and is done now and then.
async fn begin_work(
    context: Arc<Context>,
    receiving: Arc<Receiving>,
    scanning: Scanning,
    local: &LocalRouter,
) -> Result<Arc<TransportService>> {
    let idle = context.config.idle;
    let options = PopulationOptions {
        inbox_capacity: INBOX_CAPACITY,
        idle,
        actors_max: usize::from(Slot::COUNT),
    };
    let population = serve::<Accepted>(&context, options, local);
    let relays = serve::<Relayed>(&context, options, local);
    wake::wake_waiting_slots::<Accepted>(&context).await?;
    let service = Arc::new(TransportService { context, population, relays, receiving, scanning });
    tokio::spawn(wake::keep_waking::<Accepted>(Arc::downgrade(&service)));
    tokio::spawn(forget::keep_forgetting(Arc::downgrade(&service)));
    if service.context.courier.is_some() {
        wake::wake_waiting_slots::<Relayed>(&service.context).await?;
        tokio::spawn(wake::keep_waking::<Relayed>(Arc::downgrade(&service)));
        tokio::spawn(wake::keep_rerouting(Arc::downgrade(&service)));
        reports::keep(&service);
    }
    Ok(service)
}

/// Registers the host of one kind of queue.
fn serve<Q: Queues>(
    context: &Arc<Context>,
    options: PopulationOptions,
    local: &LocalRouter,
) -> Population<Slot, Q::Actor> {
    let args = {
        let context = context.clone();
        move |slot: &Slot| Args { context: context.clone(), slot: *slot }
    };
    let population = Population::new(options, args, |slot: &Slot| *slot);
    let host = QueueHost::<Q> { context: context.clone(), population: population.clone() };
    local.register(Q::SERVICE, Arc::new(host));
    population
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
        match (ask::<Accepted>(&self.context, slot, call).await, relay::slot_of(queue)) {
            (Err(error), Some(slot)) if error.kind == Kind::NotFound => {
                if record::load(&self.context, slot, queue).await?.is_none() {
                    return Err(error);
                }
                let call = RelayCall::Message { queue, verb };
                ask::<Relayed>(&self.context, slot, call).await
            }
            (result, _) => result,
        }
    }

    async fn steer_hop(&self, hop: Hop, verb: Verb) -> Result<()> {
        let slot = hop.slot(&*self.context.control);
        ask::<Relayed>(&self.context, slot, RelayCall::Hop { hop, verb }).await
    }
}

#[async_trait]
impl SendConnectors for TransportService {
    async fn connectors(&self) -> Result<Vec<Arc<SendConnector>>> {
        Ok(self.context.connectors.reload().await?.values().cloned().collect())
    }

    async fn create_connector(
        &self,
        actor: &Actor,
        new: SendConnector,
    ) -> Result<Arc<SendConnector>> {
        self.context.connectors.create(actor, new).await
    }

    async fn update_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ConnectorChange,
    ) -> Result<Arc<SendConnector>> {
        self.context.connectors.update(actor, name, &|old| change.applied(old)).await
    }

    async fn remove_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        self.context.connectors.remove(actor, name).await
    }
}

#[async_trait]
impl ReceiveConnectors for TransportService {
    fn receive_table(&self) -> Arc<ReceiveTable> {
        self.receiving.receive_table()
    }

    async fn receive_connectors(&self) -> Result<Arc<ReceiveTable>> {
        self.receiving.receive_connectors().await
    }

    async fn create_receive_connector(
        &self,
        actor: &Actor,
        new: ReceiveConnector,
    ) -> Result<Arc<ReceiveConnector>> {
        self.receiving.create_receive_connector(actor, new).await
    }

    async fn update_receive_connector(
        &self,
        actor: &Actor,
        name: &str,
        change: ReceiveChange,
    ) -> Result<Arc<ReceiveConnector>> {
        self.receiving.update_receive_connector(actor, name, change).await
    }

    async fn remove_receive_connector(&self, actor: &Actor, name: &str) -> Result<()> {
        self.receiving.remove_receive_connector(actor, name).await
    }
}

#[async_trait]
impl TransportRules for TransportService {
    async fn rules(&self) -> Result<Vec<Arc<TransportRule>>> {
        self.context.rules.list().await
    }

    async fn check_rule(&self, rule: &TransportRule) -> Result<()> {
        self.context.rules.settings.try_out(rule).await
    }

    async fn create_rule(&self, actor: &Actor, new: TransportRule) -> Result<Arc<TransportRule>> {
        self.context.rules.settings.create(actor, new).await
    }

    async fn replace_rule(&self, actor: &Actor, new: TransportRule) -> Result<Arc<TransportRule>> {
        self.context.rules.settings.update(actor, &new.name, &|_| new.clone()).await
    }

    async fn remove_rule(&self, actor: &Actor, name: &str) -> Result<()> {
        self.context.rules.settings.remove(actor, name).await
    }

    async fn try_rules(&self, trial: Trial) -> Result<Vec<Verdict>> {
        self.context.rules.test(&self.context, trial).await
    }
}

#[async_trait]
impl MessageTracking for TransportService {
    async fn story(&self, queue: QueueId) -> Result<Vec<Tracked>> {
        tracking::story(&self.context, queue).await
    }

    async fn search(&self, search: &Search) -> Result<Found> {
        tracking::search(&self.context, search).await
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

    async fn track_refusal(&self, submission: &Submission, about: Vec<Involved>) -> Result<()> {
        scanners::refused(&self.context, submission, about).await
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
        Ok(routing::is_routable(&recipient.domain))
    }

    async fn has_route(&self, recipient: &Address) -> Result<bool> {
        if self.context.courier.is_none() {
            return Ok(false);
        }
        let choice = self.context.connectors.choose(&recipient.domain, 0).await?;
        Ok(matches!(choice, routing::Choice::Connector(_)))
    }

    fn hint(&self, hint: QueueHint) {
        let slot = self.context.control.slot_of_queue(hint.queue);
        self.context.router.hint(target::<Accepted>(slot), Parcel::typed(QueueCall::Hint(hint)));
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

    async fn resubmit(&self, queue: QueueId) -> Result<()> {
        if let Some(slot) = relay::slot_of(queue)
            && record::load(&self.context, slot, queue).await?.is_some()
        {
            let call = RelayCall::Message { queue, verb: Verb::Resubmit };
            return ask::<Relayed>(&self.context, slot, call).await;
        }
        self.show(queue).await?;
        let text = "The message waits for no other server; retry it instead";
        Err(Error::new(Kind::CannotChange, text))
    }

    async fn export(&self, actor: &Actor, queue: QueueId) -> Result<Exported> {
        export::export(&self.context, actor, queue).await
    }

    async fn resubmit_hop(&self, hop: Hop) -> Result<u64> {
        let waiting = hops::count(&self.context, &hop).await?;
        self.steer_hop(hop, Verb::Resubmit).await?;
        Ok(waiting)
    }
}
