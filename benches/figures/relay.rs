//! SMTP to SMTP: messages of 5 kB for another server, until it has taken all of them; and how many
//! are accepted while it cannot be reached.

use super::support::{Bar, Bench, Contender, Server, Sink, SmtpClient, at_once, message};
use std::time::{Duration, Instant};

const BYTES: usize = 5_000;

/// So long without a message taken means that none will come.
const PATIENCE: Duration = Duration::from_secs(60);

pub async fn run(bench: &mut Bench) {
    for connections in [1, 10, 100] {
        let total = bench.messages(connections);
        for contender in bench.contenders.clone() {
            through(bench, contender, connections, total).await;
            accept(bench, contender, connections, total).await;
        }
    }
}

/// Gives a server so many messages; the rate per second at which it accepted them.
async fn give(server: &Server, connections: u64, total: u64) -> f64 {
    let start = Instant::now();
    at_once(connections, |client| {
        let to = server.endpoint.clone();
        async move {
            let mut smtp = SmtpClient::connect(&to).await;
            for number in (client..total).step_by(connections as usize) {
                let recipient = format!("user{}@sink.test", number % 20);
                smtp.deliver(&recipient, &message(BYTES, number)).await;
            }
        }
    })
    .await;
    total as f64 / start.elapsed().as_secs_f64()
}

async fn through(bench: &mut Bench, contender: Contender, connections: u64, total: u64) {
    let sink = Sink::start().await;
    let server = contender.start(1).await;
    server.relay_to_sink().await;
    give(&server, 1, 20).await;
    taken(&sink, 20).await;
    let before = match &server.node {
        Some(node) => node.writes().await,
        None => (0.0, 0.0),
    };
    let start = Instant::now();
    let accepted = give(&server, connections, total).await;
    taken(&sink, 20 + total).await;
    let rate = total as f64 / start.elapsed().as_secs_f64();
    let name = format!("relay to another server, {connections} connections");
    put(bench, contender, &name, connections, rate);
    bench.report.note(&format!("{total} messages, accepted with 250 at {accepted:.0} /s"));
    if let Some(node) = &server.node {
        let after = node.writes().await;
        for (what, after, before) in
            [("transactions", after.0, before.0), ("log syncs", after.1, before.1)]
        {
            let each = (after - before) / total as f64;
            let name = format!("  {what} a message relayed, {connections}");
            bench.report.less(contender, &name, "", each);
        }
    }
    server.stop().await;
}

/// With nobody at the next hop.
async fn accept(bench: &mut Bench, contender: Contender, connections: u64, total: u64) {
    let server = contender.start(1).await;
    server.relay_to_sink().await;
    let rate = give(&server, connections, total).await;
    let name = format!("accepted, next hop away, {connections} connections");
    put(bench, contender, &name, connections, rate);
    server.stop().await;
}

/// The bars are about the most connections.
fn put(bench: &mut Bench, contender: Contender, name: &str, connections: u64, rate: f64) {
    match contender {
        Contender::Rialto if connections == 100 => {
            bench.report.barred(name, "/s", rate, (Bar::TimesTuned(3.0), true));
        }
        _ => bench.report.more(contender, name, "/s", rate),
    }
}

async fn taken(sink: &Sink, total: u64) {
    let (mut last, mut came) = (0, Instant::now());
    while sink.taken() < total {
        if sink.taken() > last {
            (last, came) = (sink.taken(), Instant::now());
        }
        assert!(came.elapsed() < PATIENCE, "{last} of {total} messages, and no more come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
