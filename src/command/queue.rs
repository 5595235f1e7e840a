//! `rialto queue`.

use super::{ask, ask_all, change};
use crate::cli::{HopVerb, QueueVerb};
use crate::client::{Client, escape};
use base::Result;
use hyper::Method;

const PATH: &str = "/api/v1/queue";

pub(super) async fn run(verb: QueueVerb) -> Result<()> {
    match verb {
        QueueVerb::List(reach) => ask_all(&reach, PATH, "id").await,
        QueueVerb::Show { id, reach } => ask(&reach, &format!("{PATH}/{}", escape(&id))).await,
        QueueVerb::Count(reach) => ask(&reach, "/api/v1/queue-count").await,
        QueueVerb::Hops(reach) => ask(&reach, "/api/v1/hops").await,
        QueueVerb::Hop(verb) => {
            let (verb, hop, reach) = match verb {
                HopVerb::Retry { hop, change } => ("retry", hop, change),
                HopVerb::Suspend { hop, change } => ("suspend", hop, change),
                HopVerb::Resume { hop, change } => ("resume", hop, change),
                HopVerb::Resubmit { hop, change } => ("resubmit", hop, change),
            };
            let path = format!("/api/v1/hops/{}/{verb}", escape(&hop));
            change(&reach, Method::POST, &path, "", None).await
        }
        QueueVerb::Resume { id, change: reach } => {
            let path = format!("{PATH}/{}/resume", escape(&id));
            change(&reach, Method::POST, &path, "", None).await
        }
        QueueVerb::Resubmit { id, change: reach } => {
            let path = format!("{PATH}/{}/resubmit", escape(&id));
            change(&reach, Method::POST, &path, "", None).await
        }
        QueueVerb::Export { id, output, data } => {
            let path = format!("{PATH}/{}/message", escape(&id));
            Client::new(&data).save(&path, &output).await
        }
        QueueVerb::Retry { id, change: reach } => {
            let path = format!("{PATH}/{}/retry", escape(&id));
            change(&reach, Method::POST, &path, "", None).await
        }
        QueueVerb::Suspend { id, change: reach } => {
            let path = format!("{PATH}/{}/suspend", escape(&id));
            change(&reach, Method::POST, &path, "", None).await
        }
        QueueVerb::Remove { id, ndr, change: reach } => {
            let path = format!("{PATH}/{}", escape(&id));
            let query = if ndr { "&tell_sender=true" } else { "" };
            change(&reach, Method::DELETE, &path, query, None).await
        }
    }
}
