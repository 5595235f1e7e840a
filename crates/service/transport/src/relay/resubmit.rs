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
use base::{Kind, Permanence, QueueId, Result};
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
        // One that is too large for all of them is told to its sender on the way.
        !matches!(routing::choose(table.values(), domain, size_bytes), Choice::Nowhere)
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

/// What came of sending messages back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// All that were meant have gone.
    Done,
    /// Some cannot be read or moved, and stay where they are.
    SomeStay,
    /// It was told to stop, or somebody else was at a message: it has to be begun once more.
    Undone,
}

/// What came of sending one back.
enum Moved {
    Yes,
    /// It has gone, or was not meant.
    No,
    /// An administrator is at it.
    PassedOver,
    /// It is damaged.
    Stays,
}

/// Sends all messages of a hop back that wait with it, or those that `why` includes.
///
/// # Errors
/// [`base::Kind::Fenced`]; the store's, where trying again can help.
pub(super) async fn all(hop: &Finish<'_>, why: Why<'_>, steering: &Steering) -> Result<Outcome> {
    let mut range = rows::ready_of(hop.slot, hop.hop);
    let (mut moved, mut stay, mut passed_over) = (0_u64, 0_u64, 0_u64);
    while !steering.is_stopping() {
        let (found, more) = ready(hop.context, &range, PAGE).await?;
        let last = found.last().copied();
        let moves = futures::stream::iter(found).map(|queue| one_or_stay(hop, queue, why));
        let done: Vec<Moved> = moves.buffer_unordered(AT_ONCE).try_collect().await?;
        for one in done {
            match one {
                Moved::Yes => moved += 1,
                Moved::No => {}
                Moved::PassedOver => passed_over += 1,
                Moved::Stays => stay += 1,
            }
        }
        let Some(last) = last.filter(|_| more) else {
            let (hop, reason) = (hop.hop, why.text());
            tracing::info!(%hop, moved, stay, passed_over, reason, "messages are routed anew");
            return Ok(match (passed_over, stay) {
                (0, 0) => Outcome::Done,
                (0, _) => Outcome::SomeStay,
                _ => Outcome::Undone,
            });
        };
        tracing::debug!(hop = %hop.hop, moved, "messages are being routed anew");
        range.begin = KeyRange::single(&rows::ready(hop.slot, hop.hop, last)).end;
    }
    Ok(Outcome::Undone)
}

/// Sends one back, unless it is damaged: that must not keep the others.
async fn one_or_stay(hop: &Finish<'_>, queue: QueueId, why: Why<'_>) -> Result<Moved> {
    match one(hop, queue, why).await {
        Err(error) if !concerns_all(error.kind) => {
            tracing::error!(%queue, hop = %hop.hop, %error, "a message cannot be routed anew");
            Ok(Moved::Stays)
        }
        moved => moved,
    }
}

/// Whether an error is of the node, its store or its rights to the slot, rather than of a message.
pub(super) fn concerns_all(kind: Kind) -> bool {
    match kind {
        // These are called temporary for a client's sake; they stay with the message.
        Kind::Corrupt | Kind::Internal | Kind::OverQuota => false,
        kind => kind.permanence() == Permanence::Temporary,
    }
}

/// Sends one back.
async fn one(hop: &Finish<'_>, queue: QueueId, why: Why<'_>) -> Result<Moved> {
    let Finish { context, slot, fence, hop: name } = *hop;
    let Some(_claim) = Claim::take_in(context, queue, slot) else { return Ok(Moved::PassedOver) };
    let Some(relay) = record::load(context, slot, queue).await? else {
        let fence = *fence.lock();
        forget(context, (slot, fence), name, queue).await?;
        return Ok(Moved::No);
    };
    if relay.is_set_aside() || !why.includes(&relay) {
        return Ok(Moved::No);
    }
    let change = change(context, &relay, why).await;
    let is_moved = Place { context, slot, fence }.write(&relay, change).await?;
    Ok(if is_moved { Moved::Yes } else { Moved::No })
}
