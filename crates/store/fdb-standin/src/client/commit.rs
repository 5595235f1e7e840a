//! The commit: one request, after all reads have ended.

use super::seat::Seat;
use super::transaction::{Core, Phase, Transaction};
use super::{Op, Output};
use crate::codes;
use crate::wire::{Change, Commit, Request, Response};
use contract_store::rules::{RangeSet, stamp};
use contract_store::{KeyRange, Version, Versionstamp};
use std::sync::Arc;

/// Version and stamp of a commit that wrote something.
type Made = Option<(Version, Versionstamp)>;

fn spans(set: &RangeSet) -> Vec<(bytes::Bytes, bytes::Bytes)> {
    set.iter().map(|range| (range.begin, range.end)).collect()
}

impl Core {
    /// Takes out what is to be committed.
    ///
    /// # Errors
    /// What makes a commit impossible from the start; the transaction is then as before.
    fn begin_commit(&mut self) -> Result<Commit, i32> {
        let read_only = self.writes.is_empty() && self.explicit_writes.is_empty();
        let refused = if let Some(code) = self.commit_error {
            Some(code)
        } else if self.size_bytes() > self.options.size_limit {
            Some(codes::TRANSACTION_TOO_LARGE)
        } else if self.options.reads_only_aware && !read_only {
            Some(codes::WRITES_NOT_LOCK_AWARE)
        } else {
            None
        };
        if let Some(code) = refused {
            return Err(code);
        }
        let mutations = Arc::make_mut(&mut self.writes).take_mutations();
        Ok(Commit {
            read_version: self.seat.version.get().copied(),
            reads: spans(&self.reads),
            writes: spans(&self.explicit_writes),
            mutations: mutations.into_iter().map(Change::from).collect::<Vec<Change>>(),
            silent: self.silent.clone(),
        })
    }

    fn tell_stamps(&mut self, outcome: &Result<Made, i32>) {
        // So recorded: after an unreadable key stamps are never told (fact 16).
        if *outcome == Err(codes::UNREADABLE) {
            return;
        }
        let stamp = match outcome {
            Ok(Some((_, stamp))) => Ok(*stamp),
            Ok(None) => Err(codes::NO_COMMIT_VERSION),
            Err(code) if codes::on_error_retries(*code) => Err(codes::NOT_COMMITTED),
            Err(code) => Err(*code),
        };
        for waiting in self.stamps.drain(..) {
            let _ = waiting.send(stamp);
        }
    }
}

impl Transaction {
    pub(crate) fn commit(self: &Arc<Self>) -> Op {
        let mut core = self.lock();
        if let Err(code) = core.usable() {
            return Err(code).into();
        }
        core.phase = Phase::Committing;
        let (transaction, seat) = (self.clone(), core.seat.clone());
        Op::Later(Box::pin(async move {
            let outcome = Self::seated(&seat, transaction.make(&seat)).await;
            if outcome.is_err()
                && let Some(mut core) = transaction.lock_seated(&seat)
                && core.phase == Phase::Committing
            {
                // It was used meanwhile, or it timed out: the commit may happen or not.
                core.phase = Phase::Ended;
            }
            outcome
        }))
    }

    async fn make(&self, seat: &Seat) -> Result<Output, i32> {
        seat.reading.all_ended().await;
        let begun = match self.lock_seated(seat) {
            Some(mut core) => core.begin_commit().inspect_err(|code| {
                core.phase = Phase::Open;
                core.tell_stamps(&Err(*code));
                core.end_watches(self, Some(*code));
            }),
            None => Err(codes::CANCELLED),
        };
        let commit = begun?;
        if commit.mutations.is_empty() && commit.writes.is_empty() {
            return self.made(seat, Ok(None));
        }
        let reads = commit.reads.clone();
        let outcome = match self.ask(&Request::Commit(commit)).await {
            Ok(Response::Committed { version, batch }) => {
                Ok(Some((version, stamp::versionstamp(version, batch))))
            }
            Ok(Response::Conflict(changed)) => {
                self.report(seat, reads, &changed);
                Err(codes::CONFLICT)
            }
            Ok(_) => Err(codes::INTERNAL),
            Err(code) => Err(code),
        };
        self.made(seat, outcome)
    }

    /// Notes what others changed, if that was asked for.
    fn report(&self, seat: &Seat, reads: Vec<(bytes::Bytes, bytes::Bytes)>, changed: &[u32]) {
        let Some(mut core) = self.lock_seated(seat) else { return };
        if core.options.reports_conflicts {
            let ranges = changed.iter().filter_map(|at| reads.get(*at as usize));
            let ranges =
                ranges.map(|(begin, end)| KeyRange { begin: begin.clone(), end: end.clone() });
            core.conflicting = ranges.collect();
        }
    }

    fn made(&self, seat: &Seat, outcome: Result<Made, i32>) -> Result<Output, i32> {
        let Some(mut core) = self.lock_seated(seat) else {
            return Err(codes::CANCELLED);
        };
        if core.phase != Phase::Committing {
            return Err(codes::CANCELLED);
        }
        core.phase = Phase::Ended;
        core.tell_stamps(&outcome);
        core.end_watches(self, outcome.err());
        core.committed_version = outcome?.map_or(-1, |(version, _)| version);
        Ok(Output::Done)
    }
}
