//! `/api/v1/queue`: Get-, Suspend-, Resume-, Remove-, Export-Message; `/api/v1/hops`: Get-,
//! Suspend-, Resume-, Retry-Queue.

use super::{Answer, Asked, Refusal, would};
use axum::Json;
use axum::body::Body;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use base::{Error, QueueId};
use contract_directory::Actor;
use contract_transport::relay::{Hop, HopStatus, QueuedHop};
use contract_transport::{Exported, QUEUE_COUNT_MAX, QueuedMessage, RecipientState};
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
        "next_hop": message.next_hop.as_ref().map(Hop::to_string),
        "recipients": recipients,
    })
}

fn hop_view(queued: &QueuedHop) -> Value {
    let (status, retry) = match &queued.status {
        HopStatus::Active => ("Active", None),
        HopStatus::Ready => ("Ready", None),
        HopStatus::Suspended => ("Suspended", None),
        HopStatus::Retry { attempts, next_attempt, last_error } => {
            ("Retry", Some((attempts, next_attempt.unix_ms, last_error)))
        }
    };
    json!({
        "hop": queued.hop.to_string(),
        "status": status,
        "messages": queued.messages,
        "oldest_unix_ms": queued.oldest.map(|oldest| oldest.unix_ms),
        "attempts": retry.map(|(attempts, ..)| attempts),
        "next_attempt_unix_ms": retry.map(|(_, next, _)| next),
        "last_error": retry.map(|(.., error)| error),
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

pub(super) async fn resume(asked: Asked, Path(id): Path<String>) -> Answer {
    let queue = parse(&id)?;
    if asked.what_if() {
        return would_with(&asked, queue, format!("let {queue} go on")).await;
    }
    asked.admin.queue.resume(queue).await?;
    Ok(Json(json!({ "resumed": queue.to_string() })))
}

pub(super) async fn resubmit(asked: Asked, Path(id): Path<String>) -> Answer {
    let queue = parse(&id)?;
    if asked.what_if() {
        return would_with(&asked, queue, format!("route {queue} anew")).await;
    }
    asked.admin.queue.resubmit(queue).await?;
    Ok(Json(json!({ "resubmitted": queue.to_string() })))
}

/// The message itself. One that cannot be read to its end is cut off with the connection, which the
/// client sees by its length.
pub(super) async fn export(asked: Asked, Path(id): Path<String>) -> Result<Response, Refusal> {
    let queue = parse(&id)?;
    let Exported { size_bytes, bytes } = asked.admin.queue.export(&Actor::Operator, queue).await?;
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822".to_owned()),
        (header::CONTENT_LENGTH, size_bytes.to_string()),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

pub(super) async fn show(asked: Asked, Path(id): Path<String>) -> Answer {
    Ok(Json(view(&asked.admin.queue.show(parse(&id)?).await?)))
}

pub(super) async fn count(asked: Asked) -> Answer {
    let messages = asked.admin.queue.count().await?;
    Ok(Json(json!({ "messages": messages, "or_more": messages >= QUEUE_COUNT_MAX })))
}

pub(super) async fn hops(asked: Asked) -> Answer {
    let hops = asked.admin.queue.hops().await?;
    Ok(Json(Value::Array(hops.iter().map(hop_view).collect())))
}

pub(super) async fn steer_hop(asked: Asked, Path((hop, verb)): Path<(String, String)>) -> Answer {
    let (hop, queue) = (Hop::parse(&hop)?, &asked.admin.queue);
    let (doing, done) = match verb.as_str() {
        "retry" => ("try to reach", "retried"),
        "suspend" => ("send nothing to", "suspended"),
        "resume" => ("send again to", "resumed"),
        "resubmit" => ("route anew what waits for", "resubmitting"),
        _ => return Err(Error::not_found("Such a verb").into()),
    };
    if asked.what_if() {
        if queue.hops().await?.iter().all(|known| known.hop != hop) {
            return Err(Error::not_found(format!("A queue for {hop}")).into());
        }
        return would(format!("{doing} {hop}"));
    }
    let name = hop.to_string();
    match verb.as_str() {
        "retry" => queue.retry_hop(hop).await?,
        "suspend" => queue.suspend_hop(hop).await?,
        "resubmit" => {
            let messages = queue.resubmit_hop(hop).await?;
            return Ok(Json(json!({ done: name, "messages": messages })));
        }
        _ => queue.resume_hop(hop).await?,
    }
    Ok(Json(json!({ done: name })))
}

/// What would be done with a message, if it is there.
async fn would_with(asked: &Asked, queue: QueueId, what: String) -> Answer {
    asked.admin.queue.show(queue).await?;
    would(what)
}
