//! `rialto domain`.

use super::{ask, change};
use crate::cli::DomainVerb;
use crate::client::escape;
use base::Result;
use hyper::Method;
use serde_json::json;

const PATH: &str = "/api/v1/domains";

pub(super) async fn run(verb: DomainVerb) -> Result<()> {
    match verb {
        DomainVerb::New { name, default, change: reach } => {
            let body = json!({ "name": name, "default": default });
            change(&reach, Method::POST, PATH, "", Some(&body)).await
        }
        DomainVerb::Get(reach) => ask(&reach, PATH).await,
        DomainVerb::Remove { name, change: reach } => {
            change(&reach, Method::DELETE, &format!("{PATH}/{}", escape(&name)), "", None).await
        }
    }
}
