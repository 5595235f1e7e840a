//! `rialto cluster` and `rialto rebalance`.

use super::change;
use super::node::rows;
use crate::cli::{ChangeReach, ClusterVerb, Reach};
use crate::client::{Client, read};
use crate::output::{self, Format, say};
use access_admin::{ClusterView, MovesView};
use base::Result;
use contract_control::Standing;
use hyper::Method;
use serde_json::{Value, json};

/// The cluster in the API.
pub(super) const PATH: &str = "/api/v1/cluster";

pub(super) async fn run(verb: ClusterVerb) -> Result<()> {
    match verb {
        ClusterVerb::Status { fresh, reach } => status(&reach, fresh).await,
        ClusterVerb::RaiseLevel { to, change: reach } => {
            let body = json!({ "to": to });
            let path = format!("{PATH}/feature-level");
            change(&reach, Method::POST, &path, "", Some(&body)).await
        }
    }
}

async fn status(reach: &Reach, fresh: bool) -> Result<()> {
    let path = format!("{PATH}?fresh={fresh}");
    let answer = Client::new(&reach.data).call(Method::GET, &path, None).await?;
    if reach.output == Format::Json {
        output::show(reach.output, &answer);
        return Ok(());
    }
    let view: ClusterView = read(answer)?;
    if reach.output == Format::Table {
        words(&view).iter().for_each(say);
    }
    output::show(reach.output, &Value::Array(rows(&view.nodes)));
    Ok(())
}

/// What a person wants to know first.
fn words(view: &ClusterView) -> Vec<String> {
    let serving = view.nodes.iter().filter(|node| node.standing == Standing::Active).count();
    let leader = view.leader.as_deref().map_or("no leader".to_owned(), |id| {
        let name = view.node(id).map(|node| node.name.as_str()).unwrap_or_default();
        format!("led by {name} ({id}) in term {}", view.term)
    });
    let mut lines = vec![format!(
        "Cluster {}: {serving} of {} nodes serve, {leader}, feature level {}.",
        view.cluster_id,
        view.nodes.len(),
        view.feature_level
    )];
    lines.extend(view.outlook.iter().cloned());
    lines.push(String::new());
    lines
}

pub(super) async fn rebalance(reach: &ChangeReach) -> Result<()> {
    let path = format!("{PATH}/rebalance?what_if={}", reach.what_if);
    let client = Client::new(&reach.reach.data);
    let answer = client.call(Method::POST, &path, None).await?;
    if reach.reach.output == Format::Table {
        let moves: Vec<MovesView> = read(answer.clone())?;
        let slots: u32 = moves.iter().map(|pair| u32::from(pair.slots)).sum();
        let verb = if reach.what_if { "would move" } else { "move" };
        say(match slots {
            0 => "Everything is even already; nothing moves.".to_owned(),
            slots => format!("{slots} slots {verb}."),
        });
        if moves.is_empty() {
            return Ok(());
        }
    }
    output::show(reach.reach.output, &answer);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_told_first() {
        let view = ClusterView {
            cluster_id: "ab".into(),
            asked: "n1".into(),
            leader: Some("n1".into()),
            term: 4,
            feature_level: 1,
            slots_without_owner: 9,
            moves: 0,
            outlook: vec!["One more failure stops everything.".into()],
            nodes: Vec::new(),
        };
        assert_eq!(
            words(&view),
            [
                "Cluster ab: 0 of 0 nodes serve, led by  (n1) in term 4, feature level 1.",
                "One more failure stops everything.",
                ""
            ]
        );
    }
}
