//! `/api/v1/nodes`: who is in the cluster, letting nodes in, draining and removing them, drills.

use super::member::Member;
use super::{Answer, would};
use crate::view::NodeView;
use axum::Json;
use axum::extract::Path;
use base::{Error, Kind};
use contract_control::{Drill, NodeStatus, Standing};
use serde::Deserialize;
use serde_json::json;

/// How long an invitation is good where nobody says, in seconds.
const INVITATION_LIFE_S: u32 = 3_600;

/// The longest that it may be, in seconds.
const INVITATION_LIFE_S_MAX: u32 = 24 * 3_600;

/// Weights that a node may have.
const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=10_000;

/// The longest isolation of a drill, in milliseconds.
const ISOLATION_MS_MAX: u32 = 60_000;

/// What an invitation is made from.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Invitation {
    /// How long it is good, in seconds.
    #[serde(default)]
    life_s: Option<u32>,
}

/// What may be changed of a node.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Changes {
    weight: u32,
}

/// A failure to be made.
#[derive(Deserialize, Clone, Copy)]
#[serde(deny_unknown_fields, rename_all = "lowercase", tag = "kind")]
pub(super) enum Order {
    /// The process ends at once.
    Die,
    /// No links for so long.
    Isolate { duration_ms: u32 },
}

fn named(node: &NodeStatus) -> String {
    format!("{} ({})", node.name, node.id)
}

fn conflict(text: String) -> Error {
    Error::new(Kind::Conflict, text)
}

pub(super) async fn list(asked: Member) -> Answer {
    let status = asked.cluster.status(asked.options.fresh).await?;
    let nodes: Vec<NodeView> = status.nodes.iter().map(NodeView::from).collect();
    Ok(Json(json!(nodes)))
}

pub(super) async fn invite(asked: Member, Json(invitation): Json<Invitation>) -> Answer {
    let life_s = invitation.life_s.unwrap_or(INVITATION_LIFE_S);
    if !(1..=INVITATION_LIFE_S_MAX).contains(&life_s) {
        let text = format!("An invitation is good for 1 to {INVITATION_LIFE_S_MAX} seconds");
        return Err(Error::invalid(text).into());
    }
    if asked.options.what_if {
        return would(format!("make a token with which one node may join within {life_s} s"));
    }
    let token = asked.cluster.invite(life_s).await?;
    tracing::info!(life_s, "an administrator has made a token for a new node");
    let status = asked.cluster.status(false).await?;
    let this = status.nodes.iter().find(|node| node.id == status.asked);
    let member = this.map(|node| node.address.clone());
    Ok(Json(json!({ "token": token, "member": member, "life_s": life_s })))
}

pub(super) async fn drain(asked: Member, Path(text): Path<String>) -> Answer {
    let (status, node) = asked.find(&text).await?;
    let mut others = status.nodes.iter().filter(|other| other.id != node.id);
    if !others.any(|other| other.standing == Standing::Active && !other.drain) {
        let text = format!("Nobody but {} would be left to serve", named(&node));
        return Err(conflict(text).into());
    }
    if asked.options.what_if {
        return would(format!("have {} give away its {} slots", named(&node), node.slots));
    }
    asked.cluster.drain(node.id).await?;
    tracing::info!(node = %node.id, name = node.name, "an administrator has a node drained");
    Ok(Json(json!({ "draining": node.id.to_string(), "slots": node.slots })))
}

pub(super) async fn undrain(asked: Member, Path(text): Path<String>) -> Answer {
    let (_, node) = asked.find(&text).await?;
    if asked.options.what_if {
        return would(format!("let {} have slots again", named(&node)));
    }
    asked.cluster.undrain(node.id).await?;
    tracing::info!(node = %node.id, name = node.name, "an administrator has taken a drain back");
    Ok(Json(json!({ "undrained": node.id.to_string() })))
}

pub(super) async fn remove(asked: Member, Path(text): Path<String>) -> Answer {
    let (_, node) = asked.find(&text).await?;
    if matches!(node.standing, Standing::Active | Standing::Draining) {
        let text = format!("{} serves: drain it first, and stop it", named(&node));
        return Err(conflict(text).into());
    }
    if asked.options.what_if {
        return would(format!(
            "take {} out of the cluster for good; it can only join anew",
            named(&node)
        ));
    }
    asked.cluster.remove(node.id).await?;
    tracing::info!(node = %node.id, name = node.name, "an administrator has removed a node");
    Ok(Json(json!({ "removed": node.id.to_string() })))
}

pub(super) async fn change(
    asked: Member,
    Path(text): Path<String>,
    Json(changes): Json<Changes>,
) -> Answer {
    let (_, node) = asked.find(&text).await?;
    let Changes { weight } = changes;
    if !WEIGHTS.contains(&weight) {
        let (least, most) = (WEIGHTS.start(), WEIGHTS.end());
        return Err(Error::invalid(format!("A weight is {least} to {most}")).into());
    }
    if asked.options.what_if {
        let name = named(&node);
        return would(format!("change the weight of {name} from {} to {weight}", node.weight));
    }
    asked.cluster.set_weight(node.id, weight).await?;
    tracing::info!(node = %node.id, weight, "an administrator has changed a weight");
    Ok(Json(json!({ "node": node.id.to_string(), "weight": weight })))
}

pub(super) async fn drill(
    asked: Member,
    Path(text): Path<String>,
    Json(order): Json<Order>,
) -> Answer {
    let (_, node) = asked.find(&text).await?;
    let (drill, what) = match order {
        Order::Die => (Drill::Die, format!("end the process of {} at once", named(&node))),
        Order::Isolate { duration_ms } if (1..=ISOLATION_MS_MAX).contains(&duration_ms) => (
            Drill::Isolate { duration_ms },
            format!("cut {} off from the other nodes for {duration_ms} ms", named(&node)),
        ),
        Order::Isolate { .. } => {
            let text = format!("A node is isolated for 1 to {ISOLATION_MS_MAX} ms");
            return Err(Error::invalid(text).into());
        }
    };
    if asked.options.what_if {
        return would(what);
    }
    tracing::warn!(node = %node.id, name = node.name, ?drill, "a drill makes a failure");
    asked.cluster.drill(node.id, drill).await?;
    Ok(Json(json!({ "node": node.id.to_string(), "done": what })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::testing::{Fake, answered, member, node};
    use super::*;

    /// What a handler answers with and without `what_if`, and what it has the cluster do.
    macro_rules! check {
        ($fake:expr, $handler:expr, $expected:expr, $done:expr) => {{
            let fake = $fake;
            let expected: Result<&str, &str> = $expected;
            let handler = $handler;
            let told = answered(handler(member(&fake, true)).await);
            match expected {
                Ok(part) => assert!(told.as_ref().unwrap().contains(part), "{told:?}"),
                Err(part) => assert!(told.as_ref().unwrap_err().contains(part), "{told:?}"),
            }
            assert!(fake.done().is_empty(), "what_if did {:?}", fake.done());
            let told = answered(handler(member(&fake, false)).await);
            assert_eq!(told.is_ok(), expected.is_ok(), "{told:?}");
            let done: &[&str] = &$done;
            assert_eq!(fake.done(), done);
        }};
    }

    fn path(text: &str) -> Path<String> {
        Path(text.to_owned())
    }

    fn two() -> Fake {
        Fake::of([node(1, "a"), node(2, "b")])
    }

    #[tokio::test]
    async fn somebody_is_always_left_to_serve() {
        check!(two(), |m| drain(m, path("b")), Ok("b (n2) give away its 2048 slots"), ["drain n2"]);
        check!(two(), |m| drain(m, path("c")), Err("The node c"), []);
        let mut lonely = [node(1, "a"), node(2, "b")];
        lonely[0].standing = Standing::Dead;
        check!(Fake::of(lonely.clone()), |m| drain(m, path("b")), Err("Nobody but b (n2)"), []);
        (lonely[0].standing, lonely[0].drain) = (Standing::Active, true);
        check!(Fake::of(lonely), |m| drain(m, path("b")), Err("Nobody but b (n2)"), []);
        check!(two(), |m| undrain(m, path("n2")), Ok("let b (n2)"), ["undrain n2"]);
    }

    #[tokio::test]
    async fn who_serves_is_not_removed() {
        for (standing, expected) in [
            (Standing::Active, Err("drain it first")),
            (Standing::Draining, Err("drain it first")),
            (Standing::Drained, Ok("take b (n2) out")),
            (Standing::Dead, Ok("take b (n2) out")),
            (Standing::Joining, Ok("take b (n2) out")),
        ] {
            let mut nodes = [node(1, "a"), node(2, "b")];
            nodes[1].standing = standing;
            let done: Vec<_> = expected.iter().map(|_| "remove n2").collect();
            check!(Fake::of(nodes), |m| remove(m, path("b")), expected, done);
        }
    }

    #[tokio::test]
    async fn numbers_have_bounds() {
        for (life_s, expected) in [
            (None, Ok("within 3600 s")),
            (Some(86_400), Ok("within 86400 s")),
            (Some(0), Err("1 to 86400")),
            (Some(86_401), Err("1 to 86400")),
        ] {
            let done: Vec<_> = expected.iter().map(|_| "invite").collect();
            check!(two(), |m| invite(m, Json(Invitation { life_s })), expected, done);
        }
        for (weight, expected) in
            [(1, Ok("from 100 to 1")), (0, Err("1 to 10000")), (10_001, Err("1 to 10000"))]
        {
            let done: Vec<_> = expected.iter().map(|_| "weight n1 1").collect();
            check!(two(), |m| change(m, path("a"), Json(Changes { weight })), expected, done);
        }
        for (duration_ms, expected) in [
            (60_000, Ok("cut b (n2) off")),
            (60_001, Err("1 to 60000 ms")),
            (0, Err("1 to 60000 ms")),
        ] {
            let done: Vec<_> = expected.iter().map(|_| "isolate n2 60000").collect();
            let order = Order::Isolate { duration_ms };
            check!(two(), |m| drill(m, path("b"), Json(order)), expected, done);
        }
        check!(two(), |m| drill(m, path("b"), Json(Order::Die)), Ok("end the"), ["die n2"]);
    }

    #[tokio::test]
    async fn an_invitation_says_whom_to_ask() {
        let invited = invite(member(&two(), false), Json(Invitation::default())).await;
        let told = answered(invited).unwrap();
        assert!(told.contains(r#""token":"rj1.secret","member":"10.0.0.1:7400""#), "{told}");
    }

    #[test]
    fn orders_are_read_as_they_are_written() {
        let read = |text: &str| serde_json::from_str::<Order>(text);
        assert!(matches!(read(r#"{"kind":"die"}"#), Ok(Order::Die)));
        let isolate = read(r#"{"kind":"isolate","duration_ms":5}"#);
        assert!(matches!(isolate, Ok(Order::Isolate { duration_ms: 5 })));
        assert!(read(r#"{"kind":"isolate"}"#).is_err() && read(r#"{"kind":"burn"}"#).is_err());
    }
}
