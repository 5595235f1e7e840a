//! Makes commits in groups: one version, one record in the log and one sync for all that wait.

use super::engine::{Accepted, Engine, Refusal};
use super::faults::CommitFault;
use super::log::Log;
use super::outbox::Outbox;
use super::shared::{Late, Shared};
use crate::codes;
use crate::wire::{Change, Commit, Response};
use contract_store::Version;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// How many commits a group holds at most.
const GROUP_MAX: usize = 512;

/// A group takes no more commits when its mutations have this many bytes.
const GROUP_BYTES_MAX: usize = 16 << 20;

/// How many commits may wait.
pub(super) const QUEUE_MAX: usize = 4_096;

/// Who waits for a commit.
pub(super) enum Waiter {
    Client {
        number: u64,
        outbox: Arc<Outbox>,
    },
    /// It is a late one: its client does not any more.
    Late,
    /// Nobody does.
    Nobody,
    /// It does not commit; it tells when all before it are done.
    Barrier(oneshot::Sender<()>),
}

impl Waiter {
    fn tell(self, response: &Response) {
        match self {
            Self::Client { number, outbox } => outbox.put(number, response),
            Self::Barrier(done) => drop(done.send(())),
            Self::Late | Self::Nobody => {}
        }
    }
}

/// A commit on its way.
pub(super) struct Job {
    pub(super) commit: Commit,
    pub(super) waiter: Waiter,
    /// The number of outages when it arrived, and whether one was going on.
    pub(super) outages: u64,
    pub(super) during_outage: bool,
}

/// A group that is being made.
#[derive(Default)]
struct Group {
    accepted: Vec<Accepted>,
    replies: Vec<(Waiter, Response)>,
}

/// Commits until the server stops, or the disk fails.
pub(super) async fn run(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>, mut log: Option<Log>) {
    while let Some(first) = jobs.recv().await {
        let mut bytes = size(&first);
        let mut waiting = vec![first];
        while waiting.len() < GROUP_MAX && bytes < GROUP_BYTES_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            bytes += size(&job);
            waiting.push(job);
        }
        shared.wait_out_outage().await;
        let (version, group) = decide(&shared, waiting);
        if !group.accepted.is_empty()
            && let Some(open) = log.take()
        {
            match store(open, version, changes(&group.accepted)).await {
                Ok(open) => log = Some(open),
                Err(error) => {
                    eprintln!("fdb-standin: the log cannot be written: {error}; stopping");
                    shared.stop.cancel();
                    return;
                }
            }
        }
        let now = shared.now();
        {
            let mut engine = shared.engine.lock();
            engine.apply(group.accepted, version, now);
            engine.ceiling = log.as_ref().map_or(Version::MAX, Log::ceiling);
        }
        for (waiter, response) in group.replies {
            waiter.tell(&response);
        }
    }
}

fn size(job: &Job) -> usize {
    let bytes = |change: &Change| match change {
        Change::Set(key, value) | Change::Atomic(_, key, value) => key.len() + value.len(),
        Change::Clear(key) => key.len(),
        Change::ClearRange(begin, end) => begin.len() + end.len(),
    };
    job.commit.mutations.iter().map(bytes).sum()
}

fn changes(group: &[Accepted]) -> Vec<Change> {
    group.iter().flat_map(|accepted| accepted.mutations.iter().cloned().map(Change::from)).collect()
}

/// Writes and syncs away from the tasks; gives the log back.
async fn store(mut log: Log, version: Version, changes: Vec<Change>) -> std::io::Result<Log> {
    let written = tokio::task::spawn_blocking(move || log.append(version, changes).map(|()| log));
    written.await.map_err(std::io::Error::other)?
}

/// Checks all commits of a group, faults among the reasons to refuse.
fn decide(shared: &Shared, waiting: Vec<Job>) -> (Version, Group) {
    let now = shared.now();
    let mut engine = shared.engine.lock();
    let version = engine.begin_group(now);
    let mut group = Group::default();
    for job in waiting {
        let fault = fault_of(shared, &mut engine, &job);
        let Job { mut commit, waiter, .. } = job;
        let late = matches!(waiter, Waiter::Late);
        if matches!(waiter, Waiter::Barrier(_)) {
            group.replies.push((waiter, Response::Done));
            continue;
        }
        let refused = match fault {
            None | Some(CommitFault::UnknownApplied | CommitFault::Code { made: true, .. }) => None,
            Some(CommitFault::Code { code, made: false }) => Some(Response::Failed(code)),
            Some(CommitFault::Conflict) => Some(Response::Conflict(Vec::new())),
            Some(CommitFault::UnknownNotApplied) => Some(Response::Failed(codes::COMMIT_UNKNOWN)),
            Some(CommitFault::TooOld) => Some(Response::Failed(codes::TOO_OLD)),
            Some(CommitFault::Busy) => Some(Response::Failed(codes::BUSY)),
            Some(CommitFault::Late) => {
                Some(Response::Failed(postpone(shared, &mut engine, &mut commit)))
            }
        };
        let response = refused.unwrap_or_else(|| {
            let batch = group.accepted.len() as u16;
            match engine.accept(&mut commit, version, batch, now) {
                Ok(accepted) => {
                    group.accepted.push(accepted);
                    Response::Committed { version, batch }
                }
                Err(Refusal::Code(code)) => Response::Failed(code),
                Err(Refusal::Conflict(reads)) => Response::Conflict(reads),
            }
        });
        if late {
            let made = matches!(response, Response::Committed { .. });
            engine.stats.late_landed += u64::from(made);
            engine.stats.late_dropped += u64::from(!made);
        }
        let response = match fault {
            Some(CommitFault::UnknownApplied) => Response::Failed(codes::COMMIT_UNKNOWN),
            Some(CommitFault::Code { code, made: true }) => Response::Failed(code),
            _ => response,
        };
        engine.stats.unknown += u64::from(matches!(response, Response::Failed(1021)));
        group.replies.push((waiter, response));
    }
    (version, group)
}

/// What goes wrong with a commit: an outage, the script, or the dice.
fn fault_of(shared: &Shared, engine: &mut Engine, job: &Job) -> Option<CommitFault> {
    if !matches!(job.waiter, Waiter::Client { .. }) {
        return None;
    }
    engine.stats.commits += 1;
    let caught = job.outages != shared.outages() || job.during_outage;
    // One that had not asked for its version yet goes through afterwards (`stalls.jsonl`).
    let fault = if caught && job.commit.read_version.is_some() {
        let made = engine.dice.below(2) == 0;
        Some(if made { CommitFault::UnknownApplied } else { CommitFault::UnknownNotApplied })
    } else {
        let faults = engine.faults.clone();
        engine.script.pop_front().or_else(|| faults.choose(&mut engine.dice))
    };
    engine.stats.faults += u64::from(fault.is_some());
    fault
}

/// Keeps a commit for later; the code says what its client hears.
fn postpone(shared: &Shared, engine: &mut Engine, commit: &mut Commit) -> i32 {
    let mut commit = std::mem::take(commit);
    let now = shared.now();
    if commit.read_version.is_none() {
        commit.read_version = Some(engine.read_version(now));
    }
    let faults = engine.faults.clone();
    let due = now + std::time::Duration::from_millis(faults.lateness(&mut engine.dice));
    shared.late.lock().push(Late { due, commit });
    if engine.dice.below(2) == 0 { codes::CANCELLED } else { codes::TIMED_OUT }
}
