//! What may be asked about messages that are not there.

use crate::node::{Node, said};

#[test]
fn what_if_looks_whether_the_message_is_there() {
    let node = Node::started();
    node.populate();
    let missing = "q0000018bcfe56800deadbeefdeadbeef";
    for verb in ["retry", "suspend", "remove"] {
        for what_if in [&["--what-if"][..], &[]] {
            let refused = node.ask(&[&["queue", verb, missing], what_if].concat());
            assert_eq!(refused.status.code(), Some(1), "{verb} {what_if:?}: {}", said(&refused));
            assert!(said(&refused).contains("404"), "{}", said(&refused));
        }
    }
}
