//! A great queue for hosts that are all away: what it takes in memory and work, and what live mail
//! notices of it.

use super::support::{Bar, Bench, Contender, Server, SmtpClient, at_once, message, ms};
use std::time::{Duration, Instant};

const BYTES: usize = 1_000;
const CONNECTIONS: u64 = 20;

/// Live mail: so many messages one after the other, before and after.
const PROBES: u64 = 300;

pub async fn run(bench: &mut Bench) {
    let total = bench.size(5_000, 100_000);
    let hosts = bench.size(50, 1_000);
    let server = Contender::Rialto.start(1).await;
    dead_hosts(&server, hosts).await;
    let mut sessions = server.warm(1).await;
    let unloaded = live(&server).await;
    at_once(CONNECTIONS, |client| {
        let to = server.endpoint.clone();
        async move {
            let mut smtp = SmtpClient::connect(&to).await;
            for number in (client..total).step_by(CONNECTIONS as usize) {
                let recipient = format!("somebody@dead{}.test", number % hosts);
                smtp.deliver(&recipient, &message(BYTES, number)).await;
            }
        }
    })
    .await;
    let loaded = live(&server).await;
    server.shown(&mut sessions, &[1 + 2 * PROBES]).await;
    let node = server.node.as_ref().unwrap();
    let (commits, cpu, start) = (node.writes().await.0, node.cpu_s(), Instant::now());
    tokio::time::sleep(Duration::from_secs(30)).await;
    let seconds = start.elapsed().as_secs_f64();
    let memory = server.imap_memory().settled_kb().await as f64 / 1024.0;
    bench.report.note(&format!("{total} messages for {hosts} hosts that refuse connections"));
    bench.report.barred("memory with all queued", "MB", memory, (Bar::AtMost(200.0), true));
    let name = "  live mail's p99 against that without a queue";
    let ratio = ms(loaded) / ms(unloaded);
    bench.report.barred(name, "", ratio, (Bar::AtMost(2.0), true));
    bench.report.less(Contender::Rialto, "  live mail's p99 meanwhile", "ms", ms(loaded));
    let commits = (node.writes().await.0 - commits) / seconds;
    bench.report.less(Contender::Rialto, "  transactions a second for it", "/s", commits);
    let cpu = (node.cpu_s() - cpu) / seconds * 100.0;
    bench.report.less(Contender::Rialto, "  processor for it", "%", cpu);
    server.stop().await;
}

/// A connector for each host, to a port where nobody listens.
async fn dead_hosts(server: &Server, hosts: u64) {
    for number in 0..hosts {
        let (name, space) = (format!("dead{number}"), format!("dead{number}.test"));
        let send = ["connector", "send", "new", &name, "--space", &space];
        server.verb(&[&send[..], &["--host", "127.0.0.1:1"]].concat()).await;
    }
    server.lets_relay().await;
}

/// The 99th percentile of what a client waits for the 250 of a message to somebody here.
async fn live(server: &Server) -> Duration {
    let mut smtp = SmtpClient::connect(&server.endpoint).await;
    let mut waits = Vec::new();
    for number in 0..PROBES {
        let start = Instant::now();
        smtp.deliver("user1@rialto.test", &message(BYTES, number)).await;
        waits.push(start.elapsed());
    }
    waits.sort_unstable();
    waits[waits.len() * 99 / 100]
}
