//! The writer: a bounded queue and a thread that may wait for the disk.

use super::LogKind;
use super::files::Files;
use super::row::Row;
use crate::Timestamp;
use crate::env::{Clock, Disk, Env};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// How many rows wait for the disk: a second of a busy node. A row has at most 4 kB, most have 150
/// bytes.
const ROWS_MAX: usize = 8_192;

/// How many bytes of rows are written at once.
const BATCH_BYTES: usize = 256 * 1024;

/// Writes logs. Cheap to clone; the thread ends with the last clone.
#[derive(Clone)]
pub struct LogWriter {
    orders: SyncSender<Order>,
    root: Arc<PathBuf>,
    clock: Arc<dyn Clock>,
    disk: Arc<dyn Disk>,
}

enum Order {
    Row(&'static LogKind, Timestamp, String),
    /// Everything before must be in its file when this is answered.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Writes below `root`, which need not be there: a directory is made with the first row.
    pub fn start(env: &Env, root: PathBuf) -> Self {
        let (orders, received) = sync_channel(ROWS_MAX);
        let (disk, clock) = (env.disk.clone(), env.clock.clone());
        let worker = Worker { disk: disk.clone(), root: root.clone(), logs: Vec::new() };
        let spawned = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || worker.run(&received));
        if let Err(error) = spawned {
            tracing::error!(%error, "logs in files cannot be written");
        }
        Self { orders, root: Arc::new(root), clock, disk }
    }

    /// Adds a row, or drops it if too many wait. Never waits.
    pub fn put(&self, kind: &'static LogKind, row: Row) {
        match self.orders.try_send(Order::Row(kind, self.clock.now(), row.finish())) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => dropped(kind, 1),
        }
    }

    /// What time it is, for rows.
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Waits until everything that was put before is in its file, or cannot be. Blocks.
    pub fn flush(&self) {
        let (answer, answered) = sync_channel(1);
        if self.orders.send(Order::Flush(answer)).is_ok() {
            let _nobody_answers_after_the_end = answered.recv();
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }
}

struct Worker {
    disk: Arc<dyn Disk>,
    root: PathBuf,
    logs: Vec<Log>,
}

/// A log and the rows that are to be written to it.
struct Log {
    kind: &'static LogKind,
    files: Files,
    rows: String,
    count: u64,
    /// The time of the last row.
    at: Timestamp,
    /// The disk took nothing the last time.
    failed: bool,
}

impl Worker {
    fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let (mut next, mut answers, mut bytes) = (Some(first), Vec::new(), 0);
            while let Some(order) = next {
                match order {
                    Order::Row(kind, at, row) => {
                        bytes += row.len();
                        self.log(kind).add(at, &row);
                    }
                    Order::Flush(answer) => answers.push(answer),
                }
                let goes_on = bytes < BATCH_BYTES && answers.is_empty();
                next = goes_on.then(|| orders.try_recv().ok()).flatten();
            }
            self.write();
            for answer in answers {
                let _gone_meanwhile = answer.try_send(());
            }
        }
    }

    fn log(&mut self, kind: &'static LogKind) -> &mut Log {
        let place = self.logs.iter().position(|log| log.kind == kind);
        let place = place.unwrap_or_else(|| {
            let (files, rows, at) =
                (Files::new(kind, &self.root), String::new(), Timestamp::default());
            self.logs.push(Log { kind, files, rows, count: 0, at, failed: false });
            self.logs.len() - 1
        });
        &mut self.logs[place]
    }

    fn write(&mut self) {
        let disk = &*self.disk;
        for log in self.logs.iter_mut().filter(|log| log.count > 0) {
            let outcome = log.files.append(disk, log.at, log.rows.as_bytes());
            if let Err(error) = &outcome {
                dropped(log.kind, log.count);
                if !log.failed {
                    let log = log.kind.directory;
                    tracing::warn!(log, %error, "a log cannot be written; mail goes on");
                }
            }
            log.failed = outcome.is_err();
            log.rows.clear();
            log.count = 0;
        }
    }
}

impl Log {
    fn add(&mut self, at: Timestamp, row: &str) {
        self.at = at;
        self.rows.push_str(row);
        self.count += 1;
    }
}

fn dropped(kind: &LogKind, rows: u64) {
    metrics::counter!("rialto_log_dropped_total", "log" => kind.directory).increment(rows);
}
