//! SIGTERM ends everything in time, whatever clients do.

use crate::node::{Node, Talk};
use std::net::TcpStream;
use std::time::Duration;

/// Draining may take 10 s, cutting off 1, actors 10, the runtime 2; the rest is for slow machines.
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn sessions_that_do_not_end_are_ended() {
    let mut node = Node::started();
    node.populate();
    // One idles, one is in the middle of a message and says no more.
    let mut idle = Talk::new(TcpStream::connect(("127.0.0.1", node.smtp)).unwrap());
    idle.line();
    let mut busy = Talk::new(TcpStream::connect(("127.0.0.1", node.smtp)).unwrap());
    busy.line();
    busy.command("EHLO test.example");
    busy.command("MAIL FROM:<bob@two.example>");
    assert!(busy.command("RCPT TO:<alice@one.example>").starts_with("250"));
    assert!(busy.command("DATA").starts_with("354"));
    busy.say("Subject: half of a message");
    let (code, took) = node.stop();
    assert_eq!(code, Some(0), "{}", node.log());
    assert!(took < BOUND, "{took:?}");
    assert!(idle.line().starts_with("421"));
    assert!(busy.line().starts_with("421"), "it was not told");
}
