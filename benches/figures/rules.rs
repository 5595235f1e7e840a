//! What transport rules cost a message: processor time with 200 of them, none of which applies,
//! against none.

use super::support::{Bar, Bench, Contender, Server, SmtpClient, at_once, message, ms};
use std::time::{Duration, Instant};

const RULES: u64 = 200;
const BYTES: usize = 5_000;
const CONNECTIONS: u64 = 10;

pub async fn run(bench: &mut Bench) {
    let total = bench.size(1_000, 10_000);
    let server = Contender::Rialto.start(CONNECTIONS).await;
    let mut sessions = server.warm(CONNECTIONS).await;
    let per_user = total / CONNECTIONS;
    let none = cost(&server, total).await;
    server.shown(&mut sessions, &[1 + per_user; CONNECTIONS as usize]).await;
    make(&server).await;
    let many = cost(&server, total).await;
    server.shown(&mut sessions, &[1 + 2 * per_user; CONNECTIONS as usize]).await;
    let name = format!("processor time of {RULES} transport rules a message");
    let value = ms(many.saturating_sub(none)) / total as f64;
    bench.report.barred(&name, "ms", value, (Bar::AtMost(1.0), true));
    let each = |all: Duration| ms(all) / total as f64;
    bench.report.note(&format!(
        "a message takes {:.3} ms without, {:.3} with",
        each(none),
        each(many)
    ));
    server.stop().await;
}

/// Rules of the kinds that people make, in which nothing fits the messages of this benchmark.
async fn make(server: &Server) {
    let file = server.path().join("rule.toml");
    for number in 0..RULES {
        let condition = match number % 5 {
            0 => format!("{{ subject_words = [\"project {number}\", \"offer {number}\"] }}"),
            1 => format!("{{ subject_or_body_words = [\"secret plan {number}\"] }}"),
            2 => format!("{{ subject_or_body_matches = [\"order-[0-9]{{4}}-{number}\"] }}"),
            3 => format!("{{ sent_to = [\"nobody{number}@rialto.test\"] }}"),
            _ => format!("{{ sender_domain_is = [\"d{number}.test\"] }}"),
        };
        let rule = format!(
            "name = \"rule {number}\"\nconditions = [ {condition} ]\n\
             actions = [ {{ prepend_subject = \"[{number}] \" }} ]\n"
        );
        std::fs::write(&file, rule).unwrap();
        server.verb(&["rule", "new", file.to_str().unwrap()]).await;
    }
    // Every node knows of them within a second.
    tokio::time::sleep(Duration::from_secs(2)).await;
}

/// Delivers so many messages; what processor time they took until nothing was left to do.
async fn cost(server: &Server, total: u64) -> Duration {
    let node = server.node.as_ref().unwrap();
    let before = node.cpu_s();
    at_once(CONNECTIONS, |client| {
        let to = server.endpoint.clone();
        async move {
            let mut smtp = SmtpClient::connect(&to).await;
            for number in (client..total).step_by(CONNECTIONS as usize) {
                smtp.deliver(&format!("user{}@rialto.test", client + 1), &message(BYTES, number))
                    .await;
            }
        }
    })
    .await;
    // Until nothing more is done: a second in which next to nothing was.
    let start = Instant::now();
    let mut last = node.cpu_s();
    while start.elapsed() < Duration::from_secs(60) {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = node.cpu_s();
        if now - last < 0.03 {
            break;
        }
        last = now;
    }
    Duration::from_secs_f64(node.cpu_s() - before)
}
