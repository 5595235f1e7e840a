//! What both kinds of queue on a node have in common: an actor for each slot, which serves calls
//! through the router, and a list of the slots that have something due.
//!
//! [`Accepted`] is mail that was accepted here and has to be sorted and delivered, [`Relayed`] what
//! goes on to other servers.

use crate::actor::{self, QueueActor};
use crate::context::Context;
use crate::due::Due;
use crate::relay::actor::{self as relay_actor, RelayActor};
use crate::relay::rows as relay_rows;
use crate::wake;
use async_trait::async_trait;
use base::actor::{Actor, Population, Reply};
use base::deadline::with_deadline;
use base::router::{Host, Message, Parcel, ServiceId, Target};
use base::{Deadline, Error, Kind, Result, Slot};
use contract_transport::relay::RelayCall;
use contract_transport::{QueueCall, rows};
use std::sync::Arc;
use std::time::Duration;

/// How long a slot's owner may take to answer an administrator or a wake-up.
const CALL_TIME: Duration = Duration::from_secs(10);

/// How long actors of slots that are another node's may take to end. They can do nothing but find
/// that out.
const LOST_TIME: Duration = Duration::from_secs(60);

/// What the actor of a slot is started with.
pub(crate) struct Args {
    pub(crate) context: Arc<Context>,
    pub(crate) slot: Slot,
}

/// A kind of queue.
pub(crate) trait Queues: Send + Sync + 'static {
    /// What its actors are asked.
    type Call: Message + Clone + Sync;
    /// Who has the queue of a slot.
    type Actor: Actor<Args = Args>;
    /// Where they are reached.
    const SERVICE: ServiceId;
    /// Rows of which there is at least one for a slot that has messages.
    const MESSAGES: &'static [u8];
    /// Rows of messages that nobody may have told the actor of.
    const NEWS: &'static [u8];
    /// The call by which it looks at what is stored.
    const WAKE: Self::Call;

    /// The slots that have something to do later.
    fn due(context: &Context) -> &Due;

    /// Whether this node serves them at all.
    fn are_served(context: &Context) -> bool;

    /// A call as the actor takes it.
    fn message(call: Self::Call, reply: Reply<()>) -> <Self::Actor as Actor>::Message;
}

/// Mail that was accepted here.
pub(crate) enum Accepted {}

impl Queues for Accepted {
    type Call = QueueCall;
    type Actor = QueueActor;
    const SERVICE: ServiceId = ServiceId::QUEUE;
    const MESSAGES: &'static [u8] = rows::ENTRY_PREFIX;
    const NEWS: &'static [u8] = rows::ENTRY_PREFIX;
    const WAKE: QueueCall = QueueCall::Wake;

    fn due(context: &Context) -> &Due {
        &context.due
    }

    fn are_served(_context: &Context) -> bool {
        true
    }

    fn message(call: QueueCall, reply: Reply<()>) -> actor::Message {
        actor::Message::Call { call, reply }
    }
}

/// Mail for other servers.
pub(crate) enum Relayed {}

impl Queues for Relayed {
    type Call = RelayCall;
    type Actor = RelayActor;
    const SERVICE: ServiceId = ServiceId::RELAY;
    const MESSAGES: &'static [u8] = relay_rows::MESSAGES;
    const NEWS: &'static [u8] = relay_rows::NEWS;
    const WAKE: RelayCall = RelayCall::Wake;

    fn due(context: &Context) -> &Due {
        &context.relay_due
    }

    fn are_served(context: &Context) -> bool {
        context.courier.is_some()
    }

    fn message(call: RelayCall, reply: Reply<()>) -> relay_actor::Message {
        relay_actor::Message::Call { call, reply }
    }
}

/// Where the owner of a slot's queue is reached.
pub(crate) fn target<Q: Queues>(slot: Slot) -> Target {
    Target { service: Q::SERVICE, key: u128::from(slot.number()), slot }
}

/// Asks the owner of a slot; once more if it had an old fence, for then it begins anew.
///
/// # Errors
/// The owner's; [`Kind::Timeout`] if it does not answer in [`CALL_TIME`].
pub(crate) async fn ask<Q: Queues>(context: &Context, slot: Slot, call: Q::Call) -> Result<()> {
    let (target, deadline) = (target::<Q>(slot), Deadline::after(CALL_TIME));
    match context.router.ask(target, call.clone(), deadline).await {
        Err(error) if error.kind == Kind::Fenced => {
            context.router.ask(target, call, deadline).await
        }
        result => result,
    }
}

/// Gives the caller of an actor its answer. What is left for the actor is whether its fence holds.
///
/// # Errors
/// [`Kind::Fenced`].
pub(crate) fn answer(reply: Reply<()>, result: Result<()>) -> Result<()> {
    let is_fenced = matches!(&result, Err(error) if error.kind == Kind::Fenced);
    reply.send(result);
    if is_fenced { Err(Error::new(Kind::Fenced, "")) } else { Ok(()) }
}

/// Serves the queues of a kind that this node owns.
pub(crate) struct QueueHost<Q: Queues> {
    pub(crate) context: Arc<Context>,
    pub(crate) population: Population<Slot, Q::Actor>,
}

#[async_trait]
impl<Q: Queues> Host for QueueHost<Q> {
    async fn handle(&self, target: Target, request: Parcel, deadline: Deadline) -> Result<Parcel> {
        if target.key != u128::from(target.slot.number()) {
            return Err(Error::internal(format!("{target} is no queue")));
        }
        let call: Q::Call = request.open()?;
        let message = |reply| Q::message(call, reply);
        self.population.call(&target.slot, message, deadline).await?;
        Ok(Parcel::typed(()))
    }

    /// What waits in the slots goes on at once: nobody sends hints of it any more.
    fn gained(&self, slots: &[Slot]) {
        self.population.welcome_slots(slots);
        if !Q::are_served(&self.context) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let slots = slots.iter().copied().collect();
            runtime.spawn(wake::wake_gained::<Q>(self.context.clone(), slots));
        }
    }

    /// Rounds that still run find that out: whatever they would write is refused by the store, and
    /// mailboxes take nothing from them. What is being sent to other servers is; that cannot be
    /// written down any more, and its new owner may send it again.
    fn lost(&self, slots: &[Slot]) {
        slots.iter().for_each(|slot| Q::due(&self.context).forget(*slot));
        let (slots, population) = (slots.to_vec(), self.population.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let deadline = Deadline::after(LOST_TIME);
            if let Err(error) = population.stop_slots(&slots, deadline).await {
                let name = Q::Actor::NAME;
                tracing::warn!(name, %error, "actors of slots served elsewhere are still active");
            }
        });
    }

    /// Rounds and transfers that have begun come to their end, and are written down: what is being
    /// sent to another server cannot be taken back, and would be sent again. Mailboxes of the slot
    /// are served meanwhile.
    async fn prepare(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.release(slot, deadline).await
    }

    /// The same for what has not come to its end before.
    async fn release(&self, slot: Slot, deadline: Deadline) -> Result<()> {
        self.population.finish_slot(slot, deadline).await?;
        Q::due(&self.context).forget(slot);
        with_deadline(deadline, async {
            self.context.no_round(slot).await;
            Ok(())
        })
        .await
    }
}
