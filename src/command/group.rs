//! `rialto group`.

use super::contact::restrictions;
use super::{ask, ask_all, change};
use crate::cli::{GroupSet, GroupVerb, Reach};
use crate::client::{Client, escape};
use crate::output;
use base::Result;
use hyper::Method;
use serde_json::{Value, json};

const PATH: &str = "/api/v1/groups";

pub(super) async fn run(verb: GroupVerb) -> Result<()> {
    let of = |address: &str| format!("{PATH}/{}", escape(address));
    match verb {
        GroupVerb::New {
            address, name, members, filter, in_domain, open, change: reach, ..
        } => {
            let body = json!({
                "address": address,
                "display_name": name,
                "members": members,
                "filter": filter,
                "in_domain": in_domain,
                "authenticated_only": !open,
            });
            change(&reach, Method::POST, PATH, "", Some(&body)).await
        }
        GroupVerb::Get { address: Some(address), reach } => ask(&reach, &of(&address)).await,
        GroupVerb::Get { address: None, reach } => ask_all(&reach, PATH, "address").await,
        GroupVerb::Preview { address, limit, reach } => {
            preview(&reach, &format!("{}/members", of(&address)), limit).await
        }
        GroupVerb::Set(set) => {
            let GroupSet { address, add, remove, name, filter, in_domain, restrict, .. } = &*set;
            let body = json!({
                "add": add,
                "remove": remove,
                "display_name": name,
                "filter": filter,
                "in_domain": in_domain,
                "authenticated_only": restrict.authenticated_only,
                "restrictions": restrictions(restrict),
            });
            change(&set.change, Method::PATCH, &of(address), "", Some(&body)).await
        }
        GroupVerb::Remove { address, change: reach } => {
            change(&reach, Method::DELETE, &of(&address), "", None).await
        }
    }
}

/// Asks for members, page by page, until there are so many.
async fn preview(reach: &Reach, path: &str, limit: usize) -> Result<()> {
    let client = Client::new(&reach.data);
    let mut rows = Vec::new();
    let mut after = String::new();
    while rows.len() < limit {
        let page = format!("{path}?limit={}{after}", limit - rows.len());
        let page = client.call(Method::GET, &page, None).await?;
        let members = page["members"].as_array().into_iter().flatten();
        rows.extend(members.map(|member| json!({ "address": member })));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    rows.truncate(limit);
    output::show(reach.output, &Value::Array(rows));
    Ok(())
}
