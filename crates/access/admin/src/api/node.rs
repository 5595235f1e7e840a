//! `/api/v1/node`, `/api/v1/certificate` (Get-, Enable-ExchangeCertificate) and `/api/v1/store`: the
//! node itself.

use super::{Answer, Asked, would};
use crate::control::CopyOrder;
use axum::Json;
use base::Error;
use serde_json::{Value, json};

pub(super) async fn about(asked: Asked) -> Answer {
    Ok(Json(json!(asked.admin.node.about())))
}

pub(super) async fn certificate(asked: Asked) -> Answer {
    match asked.admin.node.certificate() {
        Some(view) => Ok(Json(json!(view))),
        None => Err(Error::not_found("A certificate of this node").into()),
    }
}

pub(super) async fn reload_certificate(asked: Asked) -> Answer {
    let view = asked.admin.node.reload_certificate(asked.what_if()).await?;
    if asked.what_if() {
        return would(format!(
            "use the certificate for {} until {}",
            view.names.join(", "),
            view.not_after
        ));
    }
    Ok(Json(json!(view)))
}

pub(super) async fn store_job(asked: Asked) -> Answer {
    Ok(Json(asked.admin.node.store_job().map_or(Value::Null, |job| json!(job))))
}

pub(super) async fn copy_store(asked: Asked, Json(order): Json<CopyOrder>) -> Answer {
    let to = order.to.clone();
    let job = asked.admin.node.copy_store(order, asked.what_if()).await?;
    if asked.what_if() {
        return would(format!("stop writing and copy everything to {to}"));
    }
    Ok(Json(json!(job)))
}

pub(super) async fn verify_store(asked: Asked) -> Answer {
    Ok(Json(json!(asked.admin.node.verify_store().await?)))
}
