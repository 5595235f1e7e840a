//! Which node fails, and whether the cluster can bear it.

use access_admin::{ClusterView, NodeView};
use base::{Error, Kind, Result};
use contract_control::Standing;

/// What is made to fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Failure {
    /// One process ends at once.
    Kill,
    /// One node hears nothing of the others for a while.
    Isolate,
    /// All processes end at once.
    RestartAll,
}

impl Failure {
    /// Its word, in names of files.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Kill => "failover",
            Self::Isolate => "partition",
            Self::RestartAll => "restart-all",
        }
    }

    /// What is done to whom.
    pub(super) fn describe(self, names: &[String], seconds: u32) -> String {
        let names = names.join(", ");
        match self {
            Self::Kill => format!("end the process of {names} at once"),
            Self::Isolate => format!("cut {names} off from the other nodes for {seconds} s"),
            Self::RestartAll => format!("end the processes of all nodes at once: {names}"),
        }
    }
}

/// Who fails, in order.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) nodes: Vec<NodeView>,
}

impl Chosen {
    pub(super) fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }
}

/// Chooses. Where nobody is named it is the owner of the drill's mailbox, else whoever owns most,
/// the node that is asked last of all.
///
/// # Errors
/// [`Kind::Conflict`] if the cluster is not whole or could not bear it, [`Kind::NotFound`].
pub(super) fn choose(
    failure: Failure,
    named: Option<&str>,
    owner: Option<&str>,
    cluster: &ClusterView,
) -> Result<Chosen> {
    let conflict = |text: String| Err(Error::new(Kind::Conflict, text));
    let there: Vec<&NodeView> =
        cluster.nodes.iter().filter(|node| node.standing != Standing::Removed).collect();
    let ill = |node: &&&NodeView| matches!(node.standing, Standing::Dead | Standing::Joining);
    if let Some(ill) = there.iter().find(ill) {
        let standing = if ill.standing == Standing::Dead { "dead" } else { "joining" };
        return conflict(format!("{} is {standing}: a drill begins with all nodes", ill.name));
    }
    if cluster.slots_without_owner > 0 || cluster.moves > 0 {
        return conflict("Slots are on the move: a drill begins when all is quiet".to_owned());
    }
    if failure == Failure::RestartAll {
        if named.is_some() {
            return Err(Error::invalid("restart-all concerns every node: leave out --node"));
        }
        let mut nodes: Vec<NodeView> = there.into_iter().cloned().collect();
        nodes.sort_by_key(|node| node.id == cluster.asked);
        return Ok(Chosen { nodes });
    }
    let voters = there.iter().filter(|node| node.voter).count();
    let node = match named {
        Some(text) => {
            let mut meant = there.iter().filter(|node| node.name == text || node.id == text);
            match (meant.next(), meant.next()) {
                (Some(node), None) => node,
                (None, _) => return Err(Error::not_found(format!("The node {text}"))),
                _ => return Err(Error::invalid(format!("\"{text}\" could be two nodes"))),
            }
        }
        None => {
            let serving = there.iter().filter(|node| node.standing == Standing::Active);
            let node = serving.min_by_key(|node| {
                let is_asked = node.id == cluster.asked;
                (is_asked, Some(node.id.as_str()) != owner, u16::MAX - node.slots)
            });
            let Some(node) = node else {
                return conflict("No node serves".to_owned());
            };
            node
        }
    };
    if there.len() < 2 || (node.voter && (voters - 1) * 2 <= voters) {
        return conflict(format!(
            "Without {} the other {} could decide nothing: it takes three nodes to bear a failure",
            node.name,
            there.len() - 1
        ));
    }
    Ok(Chosen { nodes: vec![(*node).clone()] })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// A cluster of so many nodes, `node-0` (n1) asked.
    pub(in super::super) fn cluster(count: u16) -> ClusterView {
        let node = |number: u16| NodeView {
            id: format!("n{}", number + 1),
            name: format!("node-{number}"),
            standing: Standing::Active,
            drain: false,
            slots: 100 + number,
            weight: 100,
            voter: true,
            version: "1".into(),
            feature_level: 1,
            linked: Some(true),
            silence_ms: None,
            tick_lag_ms: None,
            store_silence_ms: None,
            address: String::new(),
            boot: Some("b1".into()),
        };
        ClusterView {
            cluster_id: "c".into(),
            asked: "n1".into(),
            leader: Some("n1".into()),
            term: 1,
            feature_level: 1,
            slots_without_owner: 0,
            moves: 0,
            outlook: Vec::new(),
            nodes: (0..count).map(node).collect(),
        }
    }

    #[track_caller]
    fn check(
        cluster: &ClusterView,
        (failure, named, owner): (Failure, Option<&str>, Option<&str>),
        expected: std::result::Result<&[&str], &str>,
    ) {
        match (choose(failure, named, owner, cluster), expected) {
            (Ok(chosen), Ok(names)) => assert_eq!(chosen.names(), names),
            (Err(error), Err(part)) => assert!(error.text.contains(part), "{error}"),
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn somebody_fails_whom_the_others_can_bear_to_lose() {
        use Failure::{Isolate, Kill, RestartAll};
        let three = cluster(3);
        check(&three, (Kill, None, None), Ok(&["node-2"]));
        check(&three, (Kill, None, Some("n2")), Ok(&["node-1"]));
        check(&three, (Kill, None, Some("n1")), Ok(&["node-2"]));
        check(&three, (Isolate, Some("n1"), None), Ok(&["node-0"]));
        check(&three, (Kill, Some("node-1"), Some("n1")), Ok(&["node-1"]));
        check(&three, (Kill, Some("node-9"), None), Err("The node node-9"));
        check(&three, (RestartAll, None, None), Ok(&["node-1", "node-2", "node-0"]));
        check(&three, (RestartAll, Some("n1"), None), Err("leave out --node"));
        check(&cluster(2), (Kill, None, None), Err("it takes three nodes"));
        check(&cluster(1), (Kill, None, None), Err("it takes three nodes"));
        check(&cluster(1), (RestartAll, None, None), Ok(&["node-0"]));
        let mut ill = cluster(3);
        ill.nodes[1].standing = Standing::Dead;
        check(&ill, (Kill, None, None), Err("node-1 is dead"));
        let mut busy = cluster(3);
        busy.moves = 1;
        check(&busy, (Kill, None, None), Err("on the move"));
    }
}
