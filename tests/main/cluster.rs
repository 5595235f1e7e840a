//! Several nodes over one store: `rialto dev --nodes`, administration, a drill.

use crate::dev::Dev;
use crate::node::{Node, rialto, said};

/// One test, since a cluster takes long to start: what an operator does with it, in order.
#[test]
fn three_nodes_are_one_exchange() {
    let mut dev = Dev::started(3);
    assert!(dev.says("a STAND-IN for FoundationDB"), "{}", dev.everything());
    dev.until("three nodes serve", || dev.standing("active") == 3);
    let status = dev.done(&["cluster", "status"]);
    assert!(status.contains("3 of 3 nodes serve") && status.contains("node-2"), "{status}");

    // What comes in here is seen there.
    assert!(dev.send(0), "{}", dev.everything());
    for node in [1, 2] {
        dev.until("the message on another node", || dev.messages(node) == Some(1));
    }

    drill(&mut dev);
    killed_and_drained(&mut dev);
    assert_eq!(dev.stop(), Some(0), "{}", dev.everything());
    again(&mut dev);
}

/// A drill kills a node for real; it stays dead until somebody starts it.
fn drill(dev: &mut Dev) {
    let dry = dev.done(&["drill", "failover", "--node", "node-1", "--dry-run"]);
    assert!(dry.contains("end the process of node-1"), "{dry}");
    let first = dev.pid(1);
    let order = ["drill", "failover", "--node", "node-1", "--seconds", "25"];
    let report = dev.done(&order);
    assert!(report.contains("# Drill failover: passed"), "{report}");
    let drills = dev.data().join("drills");
    let files: Vec<_> = std::fs::read_dir(drills).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 2, "a report for people and one for programs");
    dev.until("a line about the death", || dev.says("node-1 has ended (signal"));
    let refused = dev.ask(&order);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("node-1 is dead"), "{}", said(&refused));

    dev.start_by_hand(1);
    dev.until("the node is back", || dev.standing("active") == 3 && dev.messages(1) == Some(1));
    assert_ne!(dev.pid(1), first);
}

/// `kill -9` of the node that founded the cluster, and a drain.
fn killed_and_drained(dev: &mut Dev) {
    dev.kill(0);
    dev.until("mail through another node", || dev.send(2));
    dev.until("the message", || dev.messages(1).is_some_and(|count| count >= 2));
    let count = dev.messages(1).unwrap();
    dev.start_by_hand(0);
    dev.until("the node is back", || dev.standing("active") == 3);
    dev.until("its clients are served", || dev.messages(0) == Some(count));

    assert!(dev.done(&["node", "drain", "node-2", "--what-if"]).contains("give away its"));
    // A cluster on a busy machine may say that it could not decide in time.
    let mut drained = String::new();
    dev.until("the drain", || {
        drained = said(&dev.ask(&["node", "drain", "node-2", "--wait"]));
        drained.contains("owns nothing")
    });
    assert!(drained.contains("node-2 (n"), "{drained}");
    assert_eq!(dev.messages(2), Some(count), "its clients are served from elsewhere");
    let refused = dev.ask(&["node", "remove", "node-1"]);
    assert!(said(&refused).contains("drain it first"), "{}", said(&refused));
    dev.until("the undrain", || dev.ask(&["node", "undrain", "node-2"]).status.success());
    dev.until("it serves again", || dev.standing("active") == 3);
}

/// A second start on the same directory finds everything.
fn again(dev: &mut Dev) {
    dev.start();
    dev.until("three nodes serve", || dev.standing("active") == 3);
    for node in 0..3 {
        dev.until("the mail of before", || dev.messages(node).is_some_and(|count| count >= 2));
    }
    assert_eq!(dev.stop(), Some(0), "{}", dev.everything());
}

#[test]
fn a_node_that_is_alone_says_so() {
    let node = Node::started();
    for verb in [
        &["node", "list"][..],
        &["cluster", "status"],
        &["rebalance"],
        &["node", "drain", "x"],
        &["node", "invite"],
    ] {
        let refused = node.ask(verb);
        assert_eq!(refused.status.code(), Some(1), "{verb:?}: {}", said(&refused));
        assert!(said(&refused).contains("no section [cluster]"), "{}", said(&refused));
    }
    let config = node.config().display().to_string();
    let member = ["--token", "x", "--member", "127.0.0.1:1"];
    let refused = rialto(&[&["node", "join", "--config", &config][..], &member].concat());
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("no section [cluster]"), "{}", said(&refused));
}

#[test]
fn what_several_nodes_cannot_do_is_told_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("d").display().to_string();
    let dev = |arguments: &[&str]| {
        let output = rialto(&[&["dev", "--data", &data][..], arguments].concat());
        (output.status.code(), said(&output))
    };
    let (code, text) = dev(&["--nodes", "3", "--store", "embedded"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--store foundationdb"), "{text}");
    for wrong in ["0", "9"] {
        assert_eq!(dev(&["--nodes", wrong]).0, Some(2));
    }
    let (code, text) = dev(&["--nodes", "8", "--ports", "17000"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("--ports: at most 16000"), "{text}");
}
