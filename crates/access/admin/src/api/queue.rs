//! `/api/v1/queue`: Get-Message, Retry-Queue, Suspend-Message, Remove-Message.

use super::{Admin, Answer, Options, would};
use axum::Json;
use axum::extract::{Path, Query, State};
use base::{Error, QueueId};
use contract_transport::{QueuedMessage, RecipientState};
use serde_json::{Value, json};
use std::sync::Arc;

fn parse(text: &str) -> Result<QueueId, Error> {
    QueueId::parse(text)
        .ok_or_else(|| Error::invalid(format!("\"{}\" is no queue id", text.escape_debug())))
}

fn view(message: &QueuedMessage) -> Value {
    let status = match message {
        QueuedMessage { poison: true, .. } => "Poison",
        QueuedMessage { suspended: true, .. } => "Suspended",
        QueuedMessage { recipients, .. } => {
            let tried = |state: &RecipientState| matches!(state, RecipientState::Waiting { attempts, .. } if *attempts > 0);
            if recipients.iter().any(|(_, state)| tried(state)) { "Retry" } else { "Ready" }
        }
    };
    let recipients: Vec<Value> = message
        .recipients
        .iter()
        .map(|(address, state)| json!({ "address": address.to_string(), "state": state }))
        .collect();
    json!({
        "id": message.queue.to_string(),
        "status": status,
        "sender": message.sender.as_ref().map_or("<>".to_owned(), ToString::to_string),
        "size_bytes": message.size_bytes,
        "accepted_unix_ms": message.accepted.unix_ms,
        "recipients": recipients,
    })
}

pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    Query(options): Query<Options>,
) -> Answer {
    let after = options.after.as_deref().map(parse).transpose()?;
    let messages = admin.queue.list(after, options.limit()).await?;
    Ok(Json(Value::Array(messages.iter().map(view).collect())))
}

pub(super) async fn retry(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Answer {
    let queue = parse(&id)?;
    if options.what_if {
        return would(format!("try to deliver {queue} now"));
    }
    admin.queue.retry(queue).await?;
    Ok(Json(json!({ "retried": queue.to_string() })))
}

pub(super) async fn suspend(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Answer {
    let queue = parse(&id)?;
    if options.what_if {
        return would(format!("hold {queue} back"));
    }
    admin.queue.suspend(queue).await?;
    Ok(Json(json!({ "suspended": queue.to_string() })))
}

pub(super) async fn remove(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    Query(options): Query<Options>,
) -> Answer {
    let queue = parse(&id)?;
    if options.what_if {
        return would(format!("remove {queue} from the queue"));
    }
    admin.queue.remove(queue, options.tell_sender).await?;
    Ok(Json(json!({ "removed": queue.to_string() })))
}
