//! What is said of clusters in all sorts of states.
#![allow(clippy::unwrap_used)]

use super::*;
use base::NodeId;

fn node(id: u64, standing: Standing, voter: bool, slots: u16) -> NodeStatus {
    NodeStatus {
        id: NodeId(id),
        name: format!("mail-{id}"),
        address: "a:1".into(),
        standing,
        drain: false,
        boot: None,
        voter,
        slots,
        weight: 100,
        version: "1".into(),
        feature_level: 1,
        linked: (id != 1).then_some(true),
        silence_ms: None,
        tick_lag_ms: None,
        store_silence_ms: None,
    }
}

fn status(nodes: Vec<NodeStatus>) -> ClusterStatus {
    let owned: u16 = nodes.iter().map(|node| node.slots).sum();
    ClusterStatus {
        cluster_id: "c".into(),
        asked: NodeId(1),
        leader: Some(NodeId(1)),
        term: 1,
        feature_level: 1,
        nodes,
        slots_without_owner: 4096 - owned,
        moves: 0,
        outlook: vec![],
    }
}

fn check(status: &ClusterStatus, expected: &[&str]) {
    let says = outlook(status);
    let all = says.join("\n");
    for part in expected {
        assert!(all.contains(part), "{part:?} is missing in\n{all}");
    }
    assert_eq!(says.len(), expected.len(), "{all}");
}

#[test]
fn every_situation_has_its_words() {
    use Standing::{Active, Dead, Drained, Joining};
    check(&status(vec![node(1, Active, true, 4096)]), &["The only node serves"]);
    let three = || {
        vec![node(1, Active, true, 1366), node(3, Active, true, 1365), node(5, Active, true, 1365)]
    };
    check(&status(three()), &["All 3 nodes serve.", "If one fails, its slots (up to 1366)"]);
    let mut two = three();
    two[2] = node(5, Dead, true, 0);
    check(
        &status(two.clone()),
        &[
            "1365 slots of 4096 are served by nobody",
            "Node n5 (mail-5) does not answer",
            "2 of 3 nodes serve.",
            "No further voter may fail: 2 of 3 are up, and 2 are needed",
        ],
    );
    let pair = vec![node(1, Active, true, 4096), node(3, Joining, false, 0)];
    check(&status(pair), &["never up", "1 of 2 nodes serves"]);
    let pair = vec![node(1, Active, true, 2048), node(3, Active, false, 2048)];
    check(&status(pair), &["All 2 nodes serve.", "Only Node n1 (mail-1) decides"]);
    let mut leaderless = status(three());
    leaderless.leader = None;
    leaderless.nodes[1].linked = Some(false);
    check(&leaderless, &["No leader", "no link to it", "All 3 nodes serve.", "If one fails"]);
    let mut gone = three();
    gone[2] = NodeStatus { drain: true, ..node(5, Drained, true, 0) };
    gone[1].slots = 2730;
    check(&status(gone.clone()), &["is drained", "2 of 3 nodes serve.", "up to 2730"]);
    gone[2].drain = false;
    check(&status(gone), &["without an operator's wish", "2 of 3 nodes", "up to 2730"]);
}
