//! A `rialto dev` of its own.

use super::memory;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Every port is this plus the well-known one.
pub const PORTS: u16 = 11_000;

fn binary() -> String {
    std::env::var("RIALTO_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_rialto").to_owned())
}

/// One verb of the command line, with which an administrator steers the node of a data directory.
pub async fn verb(data: &Path, words: &[&str]) {
    let mut command = Command::new(binary());
    command.args(words).args(["--data", data.to_str().unwrap()]);
    let output = command.output().await.expect("run rialto");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "rialto {}: {told}", words.join(" "));
}

/// A running node; killed when it is dropped.
pub struct Node {
    child: Child,
    pid: u32,
    /// From the start of the process until it said that it is ready.
    pub started_in: Duration,
}

impl Node {
    /// Starts a node and waits until it is ready.
    pub async fn start(data: &Path, mailboxes: u64) -> Self {
        let start = Instant::now();
        let mut child = Command::new(binary())
            .args(["dev", "--data", data.to_str().unwrap(), "--ports", &PORTS.to_string()])
            .args(["--mailboxes", &mailboxes.to_string()])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("start rialto");
        let pid = child.id().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if line == "rialto: ready" {
                let started_in = start.elapsed();
                tokio::spawn(
                    async move { while lines.next_line().await.is_ok_and(|l| l.is_some()) {} },
                );
                return Self { child, pid, started_in };
            }
        }
        panic!("rialto ended before it was ready");
    }

    /// Kills it as a power button would, but for what the kernel still writes.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn resident_kb(&self) -> u64 {
        memory::resident_kb(self.pid)
    }

    pub fn peak_kb(&self) -> u64 {
        memory::peak_kb(self.pid)
    }

    pub fn reset_peak(&self) {
        memory::reset_peak(self.pid);
    }

    /// The sum of a metric over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", PORTS + 9090)).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }

    /// Processor time so far, in seconds.
    pub fn cpu_s(&self) -> f64 {
        memory::cpu_s(self.pid)
    }

    /// Store transactions and syncs of the log so far.
    pub async fn writes(&self) -> (f64, f64) {
        let commits = self.metric("rialto_store_commits_total").await;
        (commits, self.metric("rialto_store_syncs_total").await)
    }
}
