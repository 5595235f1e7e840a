//! `/api/v1/queue`: Get-Message, Retry-Queue, Suspend-Message, Remove-Message.

use super::{Answer, Asked, would};
use axum::Json;
use axum::extract::Path;
use base::{Error, QueueId};
use contract_transport::{QueuedMessage, RecipientState};
use serde_json::{Value, json};

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

pub(super) async fn list(asked: Asked) -> Answer {
    let after = asked.options.after.as_deref().map(parse).transpose()?;
    let messages = asked.admin.queue.list(after, asked.options.limit()).await?;
    Ok(Json(Value::Array(messages.iter().map(view).collect())))
}

pub(super) async fn retry(asked: Asked, Path(id): Path<String>) -> Answer {
    let queue = parse(&id)?;
    if asked.what_if() {
        return would_with(&asked, queue, format!("try to deliver {queue} now")).await;
    }
    asked.admin.queue.retry(queue).await?;
    Ok(Json(json!({ "retried": queue.to_string() })))
}

pub(super) async fn suspend(asked: Asked, Path(id): Path<String>) -> Answer {
    let queue = parse(&id)?;
    if asked.what_if() {
        return would_with(&asked, queue, format!("hold {queue} back")).await;
    }
    asked.admin.queue.suspend(queue).await?;
    Ok(Json(json!({ "suspended": queue.to_string() })))
}

pub(super) async fn remove(asked: Asked, Path(id): Path<String>) -> Answer {
    let queue = parse(&id)?;
    if asked.what_if() {
        return would_with(&asked, queue, format!("remove {queue} from the queue")).await;
    }
    asked.admin.queue.remove(queue, asked.options.tell_sender).await?;
    Ok(Json(json!({ "removed": queue.to_string() })))
}

/// What would be done with a message, if it is there.
async fn would_with(asked: &Asked, queue: QueueId, what: String) -> Answer {
    let before = queue.0.checked_sub(1).map(QueueId);
    let next = asked.admin.queue.list(before, 1).await?;
    if next.first().is_none_or(|message| message.queue != queue) {
        return Err(Error::not_found(format!("The message {queue}")).into());
    }
    would(what)
}
