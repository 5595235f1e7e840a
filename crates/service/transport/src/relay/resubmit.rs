//! Back to the categorizer: messages of a next hop become submissions again, and go by the
//! connectors as they are now.
//!
//! One transaction ends the message here and writes the submission, with the recipients that are
//! left, the time of arrival, and the mark that the transport rules have seen it. An owner that
//! dies in the middle of a queue leaves the rest where it was.

use super::lane::Steering;
use super::record::{self, Relay};
use super::rows;
use super::run::{Finish, PAGE, forget, ready};
use super::settle::{Change, Place};
use crate::bounce;
use crate::context::{Claim, Context};
use crate::routing::{self, Choice};
use crate::state::State;
use crate::table::Table;
use crate::tracking;
use base::{QueueId, Result};
use contract_store::{BodyError, KeyRange, Transaction};
use contract_transport::connector::SendConnector;
use contract_transport::tracking::Origin;
use contract_transport::{Submission, rows as entries};
use futures::{StreamExt, TryStreamExt};
use std::sync::Arc;

/// How many messages are moved at once, so that their commits can share a log write.
const AT_ONCE: usize = 16;

/// Why messages go back.
#[derive(Clone, Copy)]
pub(super) enum Why<'a> {
    /// An administrator wants it.
    Asked,
    /// Their connector is not there any more, or is disabled.
    NoConnector,
    /// They wait for a connector, and one of these may take them.
    Found(&'a Table<SendConnector>),
}

impl Why<'_> {
    fn origin(self) -> Origin {
        match self {
            Self::Asked => Origin::Admin,
            Self::NoConnector | Self::Found(_) => Origin::Routing,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Asked => "an administrator had it resubmitted",
            Self::NoConnector => "its send connector is gone",
            Self::Found(_) => "there is a send connector for it now",
        }
    }

    fn includes(self, relay: &Relay) -> bool {
        let Self::Found(table) = self else { return true };
        let domain = relay.hop.domain.as_deref().unwrap_or_default();
        let size_bytes = relay.entry.content.size_bytes();
        matches!(routing::choose(table.values(), domain, size_bytes), Choice::Connector(_))
    }
}

/// A submission that takes the place of a message for a next hop.
#[derive(Debug)]
pub(crate) struct Resubmission {
    pub(crate) message: Submission,
    state: State,
}

impl Resubmission {
    /// Writes it in the caller's transaction, which ends the message that it comes from.
    ///
    /// # Errors
    /// As [`entries::write`].
    pub(super) async fn write(
        &self,
        tx: &dyn Transaction,
        context: &Context,
        base: &Relay,
    ) -> Result<(), BodyError> {
        let queue = self.message.queue;
        let slot = context.control.slot_of_queue(queue);
        entries::write(tx, &*context.blobs, slot, &self.message, base.entry.accepted).await?;
        self.state.save(tx, slot, queue)?;
        Ok(())
    }
}

/// What is to be written down to send a message back.
pub(super) async fn change(context: &Context, relay: &Relay, why: Why<'_>) -> Change {
    let entry = &relay.entry;
    let header = bounce::original_header(context, entry).await;
    let message = Submission {
        // The stories of a message are found by the day of its arrival.
        queue: QueueId::new(entry.accepted, context.env.random.u128()),
        envelope: entry.envelope.clone(),
        content: entry.content.clone(),
        staged: Vec::new(),
        parsed: Arc::new(codec_mime::parse(&header)),
    };
    let origin = why.origin();
    let events = tracking::resubmitted(context, relay.origin, &message, origin, why.text()).into();
    let state = State::resubmitted(context.token(), relay.state.delay_told);
    let resubmission = Some(Resubmission { message, state });
    Change { resubmission, events, ..Change::default() }
}

/// Sends all messages of a hop back that wait with it, or those that `why` includes; answers
/// whether it came to the end of them before it was told to stop.
///
/// # Errors
/// [`base::Kind::Fenced`]; the store's.
pub(super) async fn all(hop: &Finish<'_>, why: Why<'_>, steering: &Steering) -> Result<bool> {
    let mut range = rows::ready_of(hop.slot, hop.hop);
    let mut moved = 0_u64;
    while !steering.is_stopping() {
        let (found, more) = ready(hop.context, &range, PAGE).await?;
        let last = found.last().copied();
        let moves = futures::stream::iter(found).map(|queue| one(hop, queue, why));
        let done: Vec<bool> = moves.buffer_unordered(AT_ONCE).try_collect().await?;
        moved += done.into_iter().map(u64::from).sum::<u64>();
        let Some(last) = last.filter(|_| more) else {
            tracing::info!(hop = %hop.hop, moved, reason = why.text(), "messages are routed anew");
            return Ok(true);
        };
        tracing::debug!(hop = %hop.hop, moved, "messages are being routed anew");
        range.begin = KeyRange::single(&rows::ready(hop.slot, hop.hop, last)).end;
    }
    Ok(false)
}

/// Sends one back; answers whether it has left.
async fn one(hop: &Finish<'_>, queue: QueueId, why: Why<'_>) -> Result<bool> {
    let Finish { context, slot, fence, hop: name } = *hop;
    // An administrator is at it, and tells when that is over.
    let Some(_claim) = Claim::take_in(context, queue, slot) else { return Ok(false) };
    let Some(relay) = record::load(context, slot, queue).await? else {
        let fence = *fence.lock();
        forget(context, (slot, fence), name, queue).await?;
        return Ok(false);
    };
    if relay.is_set_aside() || !why.includes(&relay) {
        return Ok(false);
    }
    let change = change(context, &relay, why).await;
    Place { context, slot, fence }.write(&relay, change).await
}
