//! How long a start takes after kill -9, with so much mail stored.

use super::support::{Bar, Bench, Contender, Endpoint, ImapClient, Node, Scratch, fill, ms, shown};

/// One message.
const BYTES: usize = 1_000_000;

pub async fn run(bench: &mut Bench) {
    let data = Scratch::new("restart");
    let node = Node::start(data.path(), 0).await;
    let endpoint = Endpoint::of_node(data.path());
    let count = bench.size(300, 5_000);
    fill(&endpoint, "alice", count, 4, BYTES).await;
    shown(&mut ImapClient::connect(&endpoint, "alice").await, count).await;
    // Some more at full speed, so that the log is not empty.
    fill(&endpoint, "bob", 4_000, 50, 5_000).await;
    let log = node.metric("rialto_store_log_used_bytes").await / f64::from(1 << 20);
    node.kill().await;
    bench.report.note(&format!("{count} MB of mail, {log:.0} MB of log to replay"));

    let node = Node::start(data.path(), 0).await;
    let bar = (Bar::AtMost(2_000.0), bench.full);
    bench.report.barred("start after kill -9", "ms", ms(node.started_in), bar);
    node.kill().await;
    // The file cache is gone after a loss of power; only root may throw it away.
    if std::fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        let node = Node::start(data.path(), 0).await;
        let name = "start again, nothing in the file cache";
        bench.report.less(Contender::Rialto, name, "ms", ms(node.started_in));
        node.kill().await;
    } else {
        bench.report.note("not root: no start with an empty file cache");
    }
}
