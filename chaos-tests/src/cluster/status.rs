//! The cluster as one of its nodes tells it (`/api/v1/cluster`).

use crate::failure::{Failure, Result};
use serde::Deserialize;
use serde_json::Value;

/// What concerns us of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    /// Raft's leader, by id, where one is known.
    pub leader: Option<String>,
    /// Slots that nobody owns.
    pub slots_without_owner: u16,
    /// Slots that are being moved as planned.
    pub moves: u16,
    /// The nodes.
    pub nodes: Vec<Member>,
}

/// A node as the others know it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name in its configuration.
    pub name: String,
    /// `active`, `draining`, `drained`, `dead`, …
    pub standing: String,
    /// How many slots it owns.
    pub slots: u16,
    /// Whether it votes in Raft.
    pub voter: bool,
}

impl Status {
    /// Reads what a node told.
    ///
    /// # Errors
    /// If it is something else.
    pub fn read(value: Value) -> Result<Status> {
        let text = format!("{value:.300}");
        serde_json::from_value(value).map_err(|error| Failure(format!("{error} in {text}")))
    }

    /// A node by its name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.nodes.iter().find(|member| member.name == name)
    }

    /// The name of Raft's leader.
    #[must_use]
    pub fn leader_name(&self) -> Option<&str> {
        let leader = self.leader.as_deref()?;
        self.nodes.iter().find(|member| member.id == leader).map(|member| member.name.as_str())
    }

    /// What keeps the cluster from being served: every slot is with a node of those that run, each of
    /// which is a member again, and one of them leads.
    #[must_use]
    pub fn unserved(&self, running: &[String]) -> Option<String> {
        if self.slots_without_owner > 0 {
            return Some(format!("{} slots without owner", self.slots_without_owner));
        }
        if !self.leader_name().is_some_and(|name| running.iter().any(|one| one == name)) {
            return Some(format!("the leader is {:?}", self.leader));
        }
        let is_in =
            |member: &&Member| ["active", "draining", "drained"].contains(&&*member.standing);
        let is_out = |name: &&String| self.member(name).filter(is_in).is_none();
        if let Some(name) = running.iter().find(is_out) {
            return Some(format!("{name} runs and is {:?}", self.member(name)));
        }
        let is_lost = |member: &&Member| !running.contains(&member.name) && member.slots > 0;
        self.nodes.iter().find(is_lost).map(|member| format!("{member:?} owns slots"))
    }

    /// What keeps it from being in balance, besides: nothing moves, each node has slots but those
    /// that are to rest.
    #[must_use]
    pub fn unbalanced(&self, running: &[String], resting: &[String]) -> Option<String> {
        let is_wrong = |name: &&String| {
            let slots = self.member(name).map_or(0, |member| member.slots);
            (slots == 0) != resting.contains(name)
        };
        let moves = (self.moves > 0).then(|| format!("{} slots are moving", self.moves));
        let wrong = || running.iter().find(is_wrong).map(|name| format!("{:?}", self.member(name)));
        self.unserved(running).or(moves).or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told() -> Value {
        let node = |id: &str, name: &str, standing: &str, slots: u16| json!({ "id": id, "name": name, "standing": standing, "slots": slots, "voter": true });
        json!({
            "leader": "n2", "slots_without_owner": 0, "moves": 0, "term": 7,
            "nodes": [node("n1", "node-0", "active", 2048), node("n2", "node-1", "active", 2048),
                      node("n3", "node-2", "dead", 0)],
        })
    }

    #[test]
    fn each_thing_that_is_not_well_is_named() {
        let running = ["node-0".to_owned(), "node-1".to_owned()];
        let resting = ["node-1".to_owned()];
        let told = || Status::read(told()).unwrap();
        let check = |change: fn(&mut Status), unserved: Option<&str>, unbalanced: Option<&str>| {
            let mut status = told();
            change(&mut status);
            let is_it = |found: Option<String>, expected: Option<&str>| match expected {
                None => assert_eq!(found, None),
                Some(word) => {
                    assert!(found.as_ref().is_some_and(|f| f.contains(word)), "{found:?}")
                }
            };
            is_it(status.unserved(&running), unserved);
            is_it(status.unbalanced(&running, &[]), unbalanced);
        };
        let both = |word| (Some(word), Some(word));
        let (unserved, unbalanced) = both("3 slots without owner");
        check(|status| status.slots_without_owner = 3, unserved, unbalanced);
        let (unserved, unbalanced) = both("leader");
        check(|status| status.leader = None, unserved, unbalanced);
        check(|status| status.leader = Some("n3".into()), unserved, unbalanced);
        let (unserved, unbalanced) = both("node-0");
        check(|status| status.nodes[0].standing = "dead".into(), unserved, unbalanced);
        let (unserved, unbalanced) = both("node-2");
        check(|status| status.nodes[2].slots = 5, unserved, unbalanced);
        check(|_| (), None, None);
        check(|status| status.moves = 1, None, Some("1 slots are moving"));
        check(|status| status.nodes[1].slots = 0, None, Some("node-1"));
        let mut drained = told();
        assert!(drained.unbalanced(&running, &resting).is_some());
        drained.nodes[1].slots = 0;
        assert_eq!(drained.unbalanced(&running, &resting), None);
        assert_eq!(told().leader_name(), Some("node-1"));
        assert!(Status::read(json!([])).is_err());
    }
}
