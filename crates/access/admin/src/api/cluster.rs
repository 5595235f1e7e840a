//! `/api/v1/cluster` (Get-DatabaseAvailabilityGroup): how it is, evening out, the feature level.

use super::member::Member;
use super::{Answer, would};
use crate::view::{ClusterView, MovesView};
use axum::Json;
use base::{Error, Kind};
use contract_control::Standing;
use serde::Deserialize;
use serde_json::json;

/// Which level is wanted.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Level {
    /// The greatest that every node understands where absent.
    #[serde(default)]
    to: Option<u32>,
}

pub(super) async fn status(asked: Member) -> Answer {
    let status = asked.cluster.status(asked.options.fresh).await?;
    Ok(Json(json!(ClusterView::from(&status))))
}

pub(super) async fn rebalance(asked: Member) -> Answer {
    let what_if = asked.options.what_if;
    let moves = asked.cluster.rebalance(what_if).await?;
    if !what_if {
        tracing::info!(pairs = moves.len(), "an administrator has the slots evened out");
    }
    let moves: Vec<MovesView> = moves.into_iter().map(MovesView::from).collect();
    Ok(Json(json!(moves)))
}

pub(super) async fn raise_feature_level(asked: Member, Json(level): Json<Level>) -> Answer {
    let status = asked.cluster.status(true).await?;
    let there = status.nodes.iter().filter(|node| node.standing != Standing::Removed);
    let least = there.min_by_key(|node| node.feature_level);
    let all_understand = least.map_or(status.feature_level, |node| node.feature_level);
    let to = level.to.unwrap_or(all_understand);
    if to <= status.feature_level {
        let text = format!("The feature level is {} already", status.feature_level);
        return Err(Error::new(Kind::Conflict, text).into());
    }
    if let Some(least) = least.filter(|_| to > all_understand) {
        let text = format!("{} ({}) understands level {all_understand} only", least.name, least.id);
        return Err(Error::new(Kind::Conflict, text).into());
    }
    if asked.options.what_if {
        return would(format!(
            "raise the feature level from {} to {to}; it is never lowered again",
            status.feature_level
        ));
    }
    asked.cluster.raise_feature_level(to).await?;
    tracing::info!(to, "an administrator has raised the feature level");
    Ok(Json(json!({ "feature_level": to })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::{Fake, answered, member, node};
    use super::*;

    #[tokio::test]
    async fn the_level_is_raised_to_what_all_understand() {
        let check = |levels: [u32; 2], to: Option<u32>, expected: Result<u32, &'static str>| async move {
            let mut nodes = [node(1, "a"), node(2, "b")];
            nodes.iter_mut().zip(levels).for_each(|(node, level)| node.feature_level = level);
            let fake = Fake::of(nodes);
            for what_if in [true, false] {
                let asked = member(&fake, what_if);
                let answer = answered(raise_feature_level(asked, Json(Level { to })).await);
                match expected {
                    Err(part) => assert!(answer.unwrap_err().contains(part)),
                    Ok(level) => assert!(answer.unwrap().contains(&level.to_string())),
                }
            }
            let done = expected.map(|level| format!("raise {level}"));
            assert_eq!(fake.done(), done.into_iter().collect::<Vec<_>>());
        };
        check([3, 3], None, Ok(3)).await;
        check([2, 3], None, Ok(2)).await;
        check([3, 3], Some(2), Ok(2)).await;
        check([2, 3], Some(3), Err("a (n1) understands level 2 only")).await;
        check([1, 1], None, Err("is 1 already")).await;
        check([2, 2], Some(1), Err("is 1 already")).await;
    }

    #[tokio::test]
    async fn a_status_is_shown_with_ids_as_text() {
        let fake = Fake::of([node(1, "a"), node(0x1f, "b")]);
        let Ok(Json(answer)) = status(member(&fake, false)).await else { panic!() };
        let view: ClusterView = serde_json::from_value(answer).unwrap();
        assert_eq!((view.asked.as_str(), view.leader.as_deref()), ("n1", Some("n1")));
        let boot = view.node("n1f").unwrap().boot.clone().unwrap();
        assert_eq!(boot, format!("b{:x}", u128::MAX));
    }

    #[tokio::test]
    async fn what_if_moves_nothing() {
        let fake = Fake::of([node(1, "a"), node(2, "b")]);
        let told = answered(rebalance(member(&fake, true)).await).unwrap();
        assert!(told.contains(r#""from":"n1","to":"n2","slots":7"#), "{told}");
        assert_eq!(fake.done(), ["rebalance true"]);
    }
}
