//! What the figures share: contenders, clients, messages, the report.

mod contender;
mod imap;
mod memory;
mod message;
mod node;
mod peer;
mod report;
mod sink;
mod smtp;

pub use contender::{Contender, Endpoint, Server};
pub use imap::ImapClient;
pub use memory::Memory;
pub use message::message;
pub use node::Node;
pub use report::{Bar, Report, ms};
pub use sink::{SINK, Sink};
pub use smtp::SmtpClient;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often the clients look whether all messages are shown, of every contender alike.
const POLL: Duration = Duration::from_millis(50);

/// So long without a new message means that none will come.
const PATIENCE: Duration = Duration::from_secs(60);

/// One run of the benchmarks.
pub struct Bench {
    pub report: Report,
    pub full: bool,
    /// Who takes part in figures that compare.
    pub contenders: Vec<Contender>,
}

impl Bench {
    pub fn new() -> Self {
        let full = std::env::var("RIALTO_BENCH_SCALE").is_ok_and(|scale| scale == "full");
        let report = Report::new(full);
        let mut contenders = vec![Contender::Rialto];
        match peer::missing(&root()) {
            None => contenders.extend([Contender::PeerDefault, Contender::PeerTuned]),
            Some(reason) => println!("The peer (Postfix, Dovecot) does not take part: {reason}"),
        }
        Self { report, full, contenders }
    }

    /// How many messages are sent over so many connections.
    pub fn messages(&self, connections: u64) -> u64 {
        match connections {
            1 => self.size(500, 4_000),
            _ => self.size(2_000, 20_000),
        }
    }

    /// A size: a small one, or the one that the bars are about.
    pub fn size(&self, small: u64, full: u64) -> u64 {
        if self.full { full } else { small }
    }
}

/// Where all data goes.
fn root() -> PathBuf {
    let root = std::env::var("RIALTO_BENCH_DIR").unwrap_or_else(|_| "target/bench-data".into());
    std::fs::create_dir_all(&root).unwrap();
    std::fs::canonicalize(root).unwrap()
}

/// An empty directory, removed when it is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let dir = root().join(name);
        let _absent = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub fn path(&self) -> &std::path::Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("RIALTO_BENCH_KEEP").is_some() {
            return;
        }
        let _busy = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs `count` clients at once and waits for all.
pub async fn at_once<F, T>(count: u64, client: impl Fn(u64) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let clients: Vec<_> = (0..count).map(|number| tokio::spawn(client(number))).collect();
    let mut results = Vec::new();
    for client in clients {
        results.push(client.await.unwrap());
    }
    results
}

/// Delivers so many messages of a size to one mailbox.
pub async fn fill(to: &Endpoint, user: &'static str, total: u64, connections: u64, bytes: usize) {
    at_once(connections, |client| {
        let to = to.clone();
        async move {
            let mut smtp = SmtpClient::connect(&to).await;
            for number in (client..total).step_by(connections as usize) {
                smtp.deliver(&format!("{user}@rialto.test"), &message(bytes, number)).await;
            }
        }
    })
    .await;
}

/// Waits until a session's Inbox has so many messages; gives up when none has come for long.
pub async fn shown(session: &mut ImapClient, total: u64) {
    let (mut last, mut came) = (0, Instant::now());
    loop {
        let now = session.messages("INBOX").await;
        if now >= total {
            return;
        }
        if now > last {
            (last, came) = (now, Instant::now());
        }
        assert!(came.elapsed() < PATIENCE, "{now} of {total} messages, and no more come");
        tokio::time::sleep(POLL).await;
    }
}
