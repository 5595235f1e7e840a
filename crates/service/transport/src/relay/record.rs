//! A message that waits for a next hop, as stored.

use super::rows;
use base::{Error, Kind, QueueId, Result, Slot, Timestamp, wire};
use contract_store::limits::VALUE_BYTES_MAX;
use contract_store::{BodyError, Isolation, Transaction, body, transact};
use contract_transport::relay::Hop;
use contract_transport::{QueueEntry, QueuedMessage, RecipientState};
use futures::FutureExt;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::state::CRASHES_MAX;

/// The version byte.
const VERSION: u8 = 1;

/// A message for one next hop.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Relay {
    /// Where it goes.
    pub(crate) hop: Hop,
    /// What it was accepted as.
    pub(crate) origin: QueueId,
    /// Its own name, the recipients that have not got it, and the message.
    pub(crate) entry: QueueEntry,
    /// Whether it has bytes above 127.
    pub(crate) is_8bit: bool,
    /// Whether its header or addresses need SMTPUTF8.
    pub(crate) needs_smtputf8: bool,
    /// How far it has come.
    pub(crate) state: RelayState,
}

/// How far a message has come.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RelayState {
    /// Drawn anew for every change, so that one whose commit was unknown recognises its own.
    pub(crate) token: u128,
    /// Attempts of its own that failed.
    pub(crate) attempts: u32,
    /// Not before; `None` while it goes with its hop.
    pub(crate) next_attempt: Option<Timestamp>,
    /// Why the last attempt failed.
    pub(crate) last_error: String,
    /// An administrator holds it back.
    pub(crate) suspended: bool,
    /// How many attempts crashed.
    pub(crate) crashes: u32,
    /// Whether the sender has been told of the delay.
    pub(crate) delay_told: bool,
}

impl Relay {
    /// Whether it is set aside because it crashes us.
    pub(crate) fn is_poison(&self) -> bool {
        self.state.crashes >= CRASHES_MAX
    }

    /// Whether it takes no part, until an administrator says so.
    pub(crate) fn is_set_aside(&self) -> bool {
        self.state.suspended || self.is_poison()
    }

    /// Writes it, and where it waits.
    ///
    /// # Errors
    /// [`Kind::Limit`] if it is too large for a row; [`Kind::Internal`] if it cannot be encoded.
    pub(crate) fn save(&self, tx: &dyn Transaction, slot: Slot) -> Result<()> {
        let queue = self.entry.queue;
        let row = wire::encode_row(VERSION, self)?;
        // The store would say so, too, as of a bug: then it would be tried for ever.
        if row.len() > VALUE_BYTES_MAX {
            let text = "What has to be known of the message on its way is too much";
            return Err(Error::new(Kind::Limit, text));
        }
        tx.set(&rows::message(slot, queue), &row);
        match self.state.next_attempt {
            _ if self.is_set_aside() => {}
            Some(due) => tx.set(&rows::later(slot, due, queue), &rows::encode_hop(&self.hop)?),
            None => tx.set(&rows::ready(slot, &self.hop, queue), b""),
        }
        Ok(())
    }

    /// Takes it from where it waits.
    pub(crate) fn unfile(&self, tx: &dyn Transaction, slot: Slot) {
        let queue = self.entry.queue;
        tx.clear(&rows::news(slot, queue));
        tx.clear(&rows::ready(slot, &self.hop, queue));
        if let Some(due) = self.state.next_attempt {
            tx.clear(&rows::later(slot, due, queue));
        }
    }

    /// What an administrator sees of it.
    pub(crate) fn describe(&self) -> QueuedMessage {
        let Self { hop, entry, state, .. } = self;
        let waiting = RecipientState::Waiting {
            attempts: state.attempts,
            next_attempt: state.next_attempt.unwrap_or(entry.accepted),
            last_error: (!state.last_error.is_empty()).then(|| state.last_error.clone()),
        };
        let recipients = entry.envelope.recipients.iter();
        QueuedMessage {
            queue: entry.queue,
            sender: entry.envelope.sender.clone(),
            recipients: recipients.map(|one| (one.address.clone(), waiting.clone())).collect(),
            size_bytes: entry.content.size_bytes(),
            accepted: entry.accepted,
            poison: self.is_poison(),
            suspended: state.suspended,
            next_hop: Some(hop.clone()),
        }
    }
}

/// What is stored of a message; `None` if it has gone, or is damaged, which must not keep the
/// others from flowing.
///
/// # Errors
/// The store's.
pub(crate) async fn read(
    tx: &dyn Transaction,
    slot: Slot,
    queue: QueueId,
    isolation: Isolation,
) -> Result<Option<Relay>, BodyError> {
    let Some(row) = tx.get(&rows::message(slot, queue), isolation).await? else { return Ok(None) };
    match wire::decode_row(VERSION, &row) {
        Ok(relay) => Ok(Some(relay)),
        Err(error) if error.kind == Kind::Corrupt => {
            tracing::error!(%slot, %queue, %error, "a queued message is damaged and set aside");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// As [`read`], in a transaction of its own.
///
/// # Errors
/// The store's.
pub(crate) async fn load(context: &Context, slot: Slot, queue: QueueId) -> Result<Option<Relay>> {
    let look = body((), move |(), tx, _| read(tx, slot, queue, Isolation::Snapshot).boxed());
    transact(&context.store, look).await
}

/// That there is no such message.
pub(crate) fn unknown(queue: QueueId) -> Error {
    Error::not_found(format!("The queued message {queue}"))
}
