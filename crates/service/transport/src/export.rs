//! A queued message for an administrator, byte for byte (Exchange: Export-Message).

use crate::actor::load;
use crate::context::Context;
use crate::relay::record;
use base::{Error, QueueId, Result};
use contract_directory::{Actor, AuditRecord, audit};
use contract_store::{body, transact};
use contract_transport::{Exported, QueueEntry, relay};
use futures::FutureExt;

/// See [`contract_transport::QueueAdmin::export`].
///
/// # Errors
/// [`base::Kind::NotFound`]; the store's.
pub(crate) async fn export(context: &Context, actor: &Actor, queue: QueueId) -> Result<Exported> {
    let entry = find(context, queue).await?;
    let entry = entry.ok_or_else(|| Error::not_found(format!("The queued message {queue}")))?;
    let size_bytes = entry.content.size_bytes();
    let record = AuditRecord {
        at: context.env.clock.now(),
        actor: actor.clone(),
        action: "queue.export".to_owned(),
        target: queue.to_string(),
        parameters: format!("size_bytes={size_bytes}"),
    };
    let write = body(record, |record, tx, _| async move { Ok(audit::write(tx, record)?) }.boxed());
    transact(&context.store, write).await?;
    Ok(Exported { size_bytes, bytes: entry.content.read(&context.blobs) })
}

/// A message of either kind of queue.
async fn find(context: &Context, queue: QueueId) -> Result<Option<QueueEntry>> {
    if let Some(slot) = relay::slot_of(queue)
        && let Some(relay) = record::load(context, slot, queue).await?
    {
        return Ok(Some(relay.entry));
    }
    let slot = context.control.slot_of_queue(queue);
    Ok(load(context, slot, queue).await?.map(|(entry, _)| entry))
}
