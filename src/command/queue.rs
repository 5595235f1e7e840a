//! `rialto queue`.

use super::{ask_all, change};
use crate::cli::QueueVerb;
use crate::client::escape;
use base::Result;
use hyper::Method;

const PATH: &str = "/api/v1/queue";

pub(super) async fn run(verb: QueueVerb) -> Result<()> {
    match verb {
        QueueVerb::List(reach) => ask_all(&reach, PATH, "id").await,
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
