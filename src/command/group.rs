//! `rialto group`.

use super::contact::restrictions;
use super::{ask, ask_all, change};
use crate::cli::GroupVerb;
use crate::client::escape;
use base::Result;
use hyper::Method;
use serde_json::json;

const PATH: &str = "/api/v1/groups";

pub(super) async fn run(verb: GroupVerb) -> Result<()> {
    match verb {
        GroupVerb::New { address, name, members, open, change: reach } => {
            let body = json!({
                "address": address,
                "display_name": name,
                "members": members,
                "authenticated_only": !open,
            });
            change(&reach, Method::POST, PATH, "", Some(&body)).await
        }
        GroupVerb::Get { address: Some(address), reach } => {
            ask(&reach, &format!("{PATH}/{}", escape(&address))).await
        }
        GroupVerb::Get { address: None, reach } => ask_all(&reach, PATH, "address").await,
        GroupVerb::Set { address, add, remove, name, restrict, change: reach } => {
            let path = format!("{PATH}/{}", escape(&address));
            let body = json!({
                "add": add,
                "remove": remove,
                "display_name": name,
                "authenticated_only": restrict.authenticated_only,
                "restrictions": restrictions(&restrict),
            });
            change(&reach, Method::PATCH, &path, "", Some(&body)).await
        }
        GroupVerb::Remove { address, change: reach } => {
            let path = format!("{PATH}/{}", escape(&address));
            change(&reach, Method::DELETE, &path, "", None).await
        }
    }
}
