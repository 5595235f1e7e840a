//! `rialto node`.

use super::change;
use crate::cli::{ChangeReach, NodeJoin, NodeVerb, Reach};
use crate::client::{Client, escape, read};
use crate::node::store::lock_data;
use crate::node::{NodeConfig, VERSION, ensure_data_dir};
use crate::output::{self, Format, say};
use access_admin::NodeView;
use base::env::Env;
use base::telemetry::{LogFormat, init_logging};
use base::{Error, Kind, Result};
use cluster::{JoinSetup, join_cluster};
use contract_control::Standing;
use hyper::Method;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/api/v1/nodes";

/// How often it is told how far a drain is.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// How often a drain is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(super) async fn run(verb: NodeVerb) -> Result<()> {
    match verb {
        NodeVerb::List { fresh, reach } => list(&reach, fresh).await,
        NodeVerb::Invite { seconds, change: reach } => {
            let body = json!({ "life_s": seconds });
            let path = format!("{PATH}/invitations");
            change(&reach, Method::POST, &path, "", Some(&body)).await
        }
        NodeVerb::Join(order) => join(order).await,
        NodeVerb::Drain { node, wait, seconds, change: reach } => {
            change(&reach, Method::POST, &path(&node, "/drain"), "", None).await?;
            match wait && !reach.what_if {
                true => wait_drained(&reach, &node, Duration::from_secs(seconds)).await,
                false => Ok(()),
            }
        }
        NodeVerb::Undrain { node, change: reach } => {
            change(&reach, Method::POST, &path(&node, "/undrain"), "", None).await
        }
        NodeVerb::Remove { node, change: reach } => {
            change(&reach, Method::DELETE, &path(&node, ""), "", None).await
        }
        NodeVerb::Weight { node, weight, change: reach } => {
            let body = json!({ "weight": weight });
            change(&reach, Method::PATCH, &path(&node, ""), "", Some(&body)).await
        }
    }
}

fn path(node: &str, verb: &str) -> String {
    format!("{PATH}/{}{verb}", escape(node))
}

async fn nodes(client: &Client, fresh: bool) -> Result<Vec<NodeView>> {
    let path = format!("{PATH}?fresh={fresh}");
    read(client.call(Method::GET, &path, None).await?)
}

async fn list(reach: &Reach, fresh: bool) -> Result<()> {
    let nodes = nodes(&Client::new(&reach.data), fresh).await?;
    let shown = match reach.output {
        Format::Table => Value::Array(rows(&nodes)),
        _ => json!(nodes),
    };
    output::show(reach.output, &shown);
    Ok(())
}

/// The columns that fit on a line.
pub(super) fn rows(nodes: &[NodeView]) -> Vec<Value> {
    let row = |node: &NodeView| {
        let standing = match (node.standing, node.drain) {
            (Standing::Active, true) => json!("to drain"),
            (standing, _) => json!(standing),
        };
        let link = match (node.linked, node.silence_ms) {
            (None, _) => "asked".to_owned(),
            (Some(true), Some(silence)) => format!("heard {silence} ms ago"),
            (Some(true), None) => "up".to_owned(),
            (Some(false), _) => "down".to_owned(),
        };
        json!({
            "id": node.id,
            "name": node.name,
            "standing": standing,
            "slots": node.slots,
            "weight": node.weight,
            "voter": node.voter,
            "version": node.version,
            "link": link,
            "address": node.address,
        })
    };
    nodes.iter().map(row).collect()
}

/// Tells how far a drain is until it has ended.
async fn wait_drained(reach: &ChangeReach, named: &str, how_long: Duration) -> Result<()> {
    let (env, client) = (Env::real(), Client::new(&reach.reach.data));
    let until = env.clock.monotonic() + how_long;
    let (mut tell_at, mut id) = (Duration::ZERO, None);
    loop {
        // At first, the node that is asked may not have heard of the drain yet.
        let nodes = match nodes(&client, id.is_none()).await {
            Ok(nodes) => nodes,
            Err(error) if error.kind == Kind::Overloaded && env.clock.monotonic() < until => {
                env.clock.sleep(LOOK_EVERY).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let is_meant = |node: &&NodeView| match &id {
            Some(id) => &node.id == id,
            None => node.name == named || node.id == named,
        };
        let node = nodes.iter().find(is_meant);
        let node = node.ok_or_else(|| Error::not_found(format!("The node {named}")))?;
        id = Some(node.id.clone());
        let name = format!("{} ({})", node.name, node.id);
        let now = env.clock.monotonic();
        if now >= tell_at && node.slots > 0 && reach.reach.output == Format::Table {
            say(format!("{name}: {} slots left", node.slots));
            tell_at = now + TELL_EVERY;
        }
        match node.standing {
            Standing::Drained => {
                if reach.reach.output == Format::Table {
                    say(format!("{name} owns nothing any more; it may be stopped."));
                }
                return Ok(());
            }
            Standing::Dead | Standing::Removed => {
                let text = format!("{name} has died meanwhile; the others have taken over");
                return Err(Error::new(Kind::Unavailable, text));
            }
            Standing::Active if !node.drain => {
                let text = format!("The drain of {name} was taken back");
                return Err(Error::new(Kind::Conflict, text));
            }
            _ if now >= until => {
                let text = format!("{name} still owns {} slots; it goes on", node.slots);
                return Err(Error::new(Kind::Timeout, text));
            }
            _ => env.clock.sleep(LOOK_EVERY).await,
        }
    }
}

/// Lets the node of a configuration join. It is not running yet.
async fn join(order: NodeJoin) -> Result<()> {
    let config = NodeConfig::read(&order.config)?;
    let env = Env::real();
    init_logging(LogFormat::Text, "warn")?;
    config.check(env.clock.now())?;
    let Some(section) = &config.cluster else {
        let text = format!("{} has no section [cluster]", order.config.display());
        return Err(Error::invalid(text));
    };
    let (name, address) = (config.node.name.clone(), section.advertised());
    if order.what_if {
        say(format!("would ask {} to let {name} in, at {address}", order.member));
        return Ok(());
    }
    ensure_data_dir(&config.node.data)?;
    let _lock = lock_data(&config.node.data, &env)?;
    let setup = JoinSetup {
        env: env.clone(),
        data: config.node.data.clone(),
        token: order.token,
        member: order.member,
        name: name.clone(),
        version: VERSION.to_owned(),
        address,
        weight: section.weight,
    };
    let id = join_cluster(setup).await?;
    let file = order.config.display();
    say(format!("{name} is {id} now; start it: rialto serve --config {file}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_a_node_is_about_to_do() {
        let mut node = NodeView {
            id: "n2".into(),
            name: "b".into(),
            standing: Standing::Active,
            drain: true,
            slots: 9,
            weight: 100,
            voter: true,
            version: "1".into(),
            feature_level: 1,
            linked: Some(true),
            silence_ms: Some(40),
            tick_lag_ms: None,
            store_silence_ms: None,
            address: "127.0.0.1:1".into(),
            boot: None,
        };
        let of = |node: &NodeView| {
            let row = rows(std::slice::from_ref(node)).remove(0);
            (row["standing"].clone(), row["link"].clone())
        };
        assert_eq!(of(&node), (json!("to drain"), json!("heard 40 ms ago")));
        (node.standing, node.linked) = (Standing::Dead, Some(false));
        assert_eq!(of(&node), (json!("dead"), json!("down")));
        node.linked = None;
        assert_eq!(of(&node).1, json!("asked"));
    }
}
