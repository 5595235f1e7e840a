//! Watches how the cluster notices a failure and deals with it, from a node that lives.

use super::choose::Chosen;
use crate::client::{Client, read};
use access_admin::{ClusterView, NodeView};
use access_listener::CancellationToken;
use base::env::Env;
use contract_control::Standing;
use hyper::Method;
use serde::Serialize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often it is looked, so this precise are the figures.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// How long one look may take.
const LOOK_TIME: Duration = Duration::from_secs(5);

/// A running watch.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

/// What was seen, with times in milliseconds from the failure on.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Watched {
    /// When all failed nodes were known to be dead, or to have begun another life.
    pub(super) detection_ms: Option<i64>,
    /// When every slot had an owner that lives.
    pub(super) takeover_ms: Option<i64>,
    /// When the failed nodes served again.
    pub(super) back_ms: Option<i64>,
    /// What happened.
    pub(super) events: Vec<Event>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Event {
    /// When, in milliseconds from the failure on.
    pub(super) at_ms: i64,
    pub(super) what: String,
}

/// What was seen so far; times are of the environment's clock.
struct Seen {
    /// The failed nodes as they were before.
    failed: Vec<NodeView>,
    last: Option<ClusterView>,
    is_silent: bool,
    detected: Option<Duration>,
    taken_over: Option<Duration>,
    back: Option<Duration>,
    events: Vec<(Duration, String)>,
}

impl Watch {
    /// Begins.
    pub(super) fn start(
        env: &Env,
        client: Client,
        chosen: &Chosen,
        stop: CancellationToken,
    ) -> Self {
        let seen = Arc::new(Mutex::new(Seen::new(chosen.nodes.clone())));
        let (clock, noting) = (env.clock.clone(), seen.clone());
        let task = tokio::spawn(async move {
            while !stop.is_cancelled() {
                let asking = client.call(Method::GET, "/api/v1/cluster", None);
                let answer = tokio::time::timeout(LOOK_TIME, asking).await;
                let view = answer.ok().and_then(Result::ok).and_then(|view| read(view).ok());
                lock(&noting).note(clock.monotonic(), view);
                clock.sleep(LOOK_EVERY).await;
            }
        });
        Self { seen, task }
    }

    /// Whether all failed nodes serve again.
    pub(super) fn is_whole(&self) -> bool {
        lock(&self.seen).back.is_some()
    }

    /// Ends it; the failure was made at `failed_at`.
    pub(super) async fn end(self, failed_at: Duration) -> Watched {
        let _cannot_fail = self.task.await;
        let seen = lock(&self.seen);
        let from = |at: Duration| at.as_millis() as i64 - failed_at.as_millis() as i64;
        let events = seen.events.iter().map(|(at, what)| {
            let (at_ms, what) = (from(*at), what.clone());
            Event { at_ms, what }
        });
        Watched {
            detection_ms: seen.detected.map(from),
            takeover_ms: seen.taken_over.map(from),
            back_ms: seen.back.map(from),
            events: events.collect(),
        }
    }
}

impl Seen {
    fn new(failed: Vec<NodeView>) -> Self {
        let (last, is_silent, events) = (None, false, Vec::new());
        Self { failed, last, is_silent, detected: None, taken_over: None, back: None, events }
    }

    fn note(&mut self, now: Duration, view: Option<ClusterView>) {
        if view.is_none() != self.is_silent {
            self.is_silent = view.is_none();
            let what = if self.is_silent { "nobody tells" } else { "somebody tells again" };
            self.events.push((now, format!("{what} how the cluster is")));
        }
        let Some(view) = view else {
            return;
        };
        if let Some(last) = self.last.take() {
            let changes = changes(&last, &view);
            self.events.extend(changes.into_iter().map(|what| (now, what)));
        }
        let of = |node: &NodeView| view.node(&node.id).cloned();
        let is_new_life = |now: &NodeView, before: &NodeView| now.boot != before.boot;
        let noticed = self.failed.iter().all(|before| {
            of(before).is_none_or(|now| now.standing == Standing::Dead || is_new_life(&now, before))
        });
        if noticed && self.detected.is_none() {
            self.detected = Some(now);
        }
        let owns_nothing = |before: &NodeView| {
            of(before).is_none_or(|now| now.slots == 0 || is_new_life(&now, before))
        };
        let all_owned = view.slots_without_owner == 0 && self.failed.iter().all(owns_nothing);
        if self.detected.is_some() && self.taken_over.is_none() && all_owned {
            self.taken_over = Some(now);
        }
        let serve = |before: &NodeView| {
            of(before).is_some_and(|now| now.standing == Standing::Active && now.slots > 0)
        };
        if self.taken_over.is_some()
            && self.back.is_none()
            && view.slots_without_owner == 0
            && self.failed.iter().all(serve)
        {
            self.back = Some(now);
        }
        self.last = Some(view);
    }
}

/// What is different, in words.
fn changes(before: &ClusterView, now: &ClusterView) -> Vec<String> {
    let mut changes = Vec::new();
    for node in &now.nodes {
        let Some(old) = before.node(&node.id) else {
            changes.push(format!("{} has come", node.name));
            continue;
        };
        if old.boot != node.boot {
            changes.push(format!("{} has begun another life", node.name));
        }
        if old.standing != node.standing {
            let word = format!("{:?}", node.standing).to_lowercase();
            changes.push(format!("{} is {word}", node.name));
        }
    }
    if before.leader != now.leader {
        let leader = now.leader.as_ref().and_then(|id| now.node(id));
        let leader = leader.map_or("nobody".to_owned(), |node| node.name.clone());
        changes.push(format!("{leader} leads, in term {}", now.term));
    }
    match (before.slots_without_owner, now.slots_without_owner) {
        (0, 0) => {}
        (_, 0) => changes.push("every slot has an owner".to_owned()),
        (0, count) => changes.push(format!("{count} slots have no owner")),
        _ => {}
    }
    changes
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::choose::tests::cluster;
    use super::*;

    #[test]
    fn a_death_is_noticed_and_taken_over_and_ends() {
        let mut view = cluster(3);
        let mut seen = Seen::new(vec![view.nodes[1].clone()]);
        let at = Duration::from_millis;
        seen.note(at(0), Some(view.clone()));
        assert_eq!(seen.detected, None);
        view.nodes[1].standing = Standing::Dead;
        view.slots_without_owner = 9;
        seen.note(at(10), Some(view.clone()));
        assert_eq!((seen.detected, seen.taken_over), (Some(at(10)), None));
        (view.nodes[1].slots, view.slots_without_owner) = (0, 0);
        seen.note(at(20), Some(view.clone()));
        assert_eq!((seen.taken_over, seen.back), (Some(at(20)), None));
        seen.note(at(30), None);
        seen.note(at(40), None);
        view.nodes[1].standing = Standing::Active;
        view.nodes[1].boot = Some("b2".into());
        seen.note(at(50), Some(view.clone()));
        assert_eq!(seen.back, None, "it owns nothing yet");
        view.nodes[1].slots = 7;
        seen.note(at(60), Some(view));
        assert_eq!(seen.back, Some(at(60)));
        let events: Vec<_> = seen.events.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(
            events,
            [
                "node-1 is dead",
                "9 slots have no owner",
                "every slot has an owner",
                "nobody tells how the cluster is",
                "somebody tells again how the cluster is",
                "node-1 has begun another life",
                "node-1 is active",
            ]
        );
    }

    /// A node that is started again faster than anybody has noticed its death.
    #[test]
    fn another_life_is_a_death_too() {
        let mut view = cluster(3);
        let mut seen = Seen::new(view.nodes.clone());
        for node in &mut view.nodes {
            node.boot = Some("b2".into());
        }
        seen.note(Duration::ZERO, Some(view));
        let all = (seen.detected.is_some(), seen.taken_over.is_some(), seen.back.is_some());
        assert_eq!(all, (true, true, true));
    }
}
