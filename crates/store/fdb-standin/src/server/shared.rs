//! What all parts of one server share.

use super::committer::{Job, Waiter};
use super::engine::Engine;
use super::faults::{CommitFault, Faults, RECOVERY_MS, Stats};
use crate::wire::{Change, Commit, Control};
use base::env::Clock as _;
use base::env::real::RealClock;
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How often late commits and recoveries are looked after.
const TICK: Duration = Duration::from_millis(10);

/// A commit that lands some time.
pub(super) struct Late {
    pub(super) due: Duration,
    pub(super) commit: Commit,
}

/// Whether requests are answered.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gate {
    /// No request is answered.
    pub(super) stalled: bool,
    /// No connection is accepted, all are dropped.
    pub(super) dead: bool,
    /// How often that has happened.
    pub(super) outages: u64,
}

pub(super) struct Shared {
    pub(super) engine: Mutex<Engine>,
    pub(super) late: Mutex<Vec<Late>>,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) gate: watch::Sender<Gate>,
    pub(super) stop: CancellationToken,
    clock: RealClock,
    advanced_ms: AtomicU64,
}

impl Shared {
    pub(super) fn new(engine: impl FnOnce(Duration) -> Engine, jobs: mpsc::Sender<Job>) -> Self {
        let clock = RealClock::default();
        let engine = Mutex::new(engine(clock.monotonic()));
        let (late, stop) = (Mutex::new(Vec::new()), CancellationToken::new());
        let gate = watch::Sender::new(Gate::default());
        Self { engine, late, jobs, gate, stop, clock, advanced_ms: AtomicU64::new(0) }
    }

    /// The time since the start, as the age of versions counts it.
    pub(super) fn now(&self) -> Duration {
        let advanced = Duration::from_millis(self.advanced_ms.load(Ordering::Relaxed));
        self.clock.monotonic() + advanced
    }

    pub(super) fn outages(&self) -> u64 {
        self.gate.borrow().outages
    }

    /// Waits until requests are answered again.
    pub(super) async fn wait_out_outage(&self) {
        if self.gate.borrow().stalled {
            // The sender is ours, so it cannot be gone.
            let _ = self.gate.subscribe().wait_for(|gate| !gate.stalled).await;
        }
    }

    /// Sends a commit that nobody waits for.
    pub(super) async fn commit_unasked(&self, commit: Commit, waiter: Waiter) {
        let outages = self.outages();
        let _ = self.jobs.send(Job { commit, waiter, outages, during_outage: false }).await;
    }

    /// Waits until all commits sent before are done.
    pub(super) async fn barrier(&self) {
        let (done, wait) = oneshot::channel();
        self.commit_unasked(Commit::default(), Waiter::Barrier(done)).await;
        let _ = wait.await;
    }

    async fn land(&self, due: Duration) {
        let landing: Vec<Late> = self.late.lock().extract_if(.., |late| late.due <= due).collect();
        for late in landing {
            self.commit_unasked(late.commit, Waiter::Late).await;
        }
    }

    /// Looks after late commits and recoveries while the server lives.
    pub(super) async fn tick(self: Arc<Self>) {
        let mut recovered = self.clock.monotonic();
        while !self.stop.is_cancelled() {
            tokio::time::sleep(TICK).await;
            self.land(self.now()).await;
            if self.engine.lock().nears_ceiling() {
                // One that changes nothing: the log reserves more versions with it.
                self.commit_unasked(Commit::default(), Waiter::Nobody).await;
            }
            let every = Duration::from_secs(self.engine.lock().faults.recover_every_s);
            if !every.is_zero() && self.clock.monotonic() - recovered >= every {
                self.recover(RECOVERY_MS).await;
                recovered = self.clock.monotonic();
            }
        }
    }

    async fn recover(&self, milliseconds: u64) {
        self.begin_outage(|gate| gate.stalled = true);
        self.end_outage(milliseconds).await;
    }

    /// Ends an outage when its time is over.
    async fn end_outage(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        if self.gate.borrow().stalled {
            self.engine.lock().jump();
        }
        self.gate.send_modify(|gate| (gate.stalled, gate.dead) = (false, false));
    }

    fn begin_outage(&self, set: impl FnOnce(&mut Gate)) {
        self.engine.lock().stats.outages += 1;
        self.gate.send_modify(|gate| {
            set(gate);
            gate.outages += 1;
        });
    }

    /// Does what somebody who tests asks for. Outages go on after it returns.
    pub(super) async fn control(self: Arc<Self>, control: Control) -> Stats {
        match control {
            Control::Stats => {}
            Control::Faults(faults) => self.set_faults(faults),
            Control::Script(fault) => self.script(fault),
            Control::Recover(milliseconds) | Control::Die(milliseconds) => {
                let dead = matches!(control, Control::Die(_));
                self.begin_outage(|gate| (gate.stalled, gate.dead) = (!dead, dead));
                let shared = self.clone();
                tokio::spawn(async move { shared.end_outage(milliseconds).await });
            }
            Control::Settle => self.settle().await,
            Control::Advance(milliseconds) => {
                self.advanced_ms.fetch_add(milliseconds, Ordering::Relaxed);
            }
            Control::Clear => self.clear().await,
            Control::ScriptRead(code) => self.engine.lock().read_script.push_back(code),
            Control::FireWatches => self.engine.lock().fire_watches(),
        }
        self.engine.lock().stats()
    }

    fn set_faults(&self, faults: Faults) {
        self.engine.lock().faults = faults;
    }

    fn script(&self, fault: CommitFault) {
        self.engine.lock().script.push_back(fault);
    }

    async fn settle(&self) {
        self.set_faults(Faults::default());
        self.engine.lock().script.clear();
        self.engine.lock().read_script.clear();
        // What is on its way may still become late.
        self.barrier().await;
        self.land(Duration::MAX).await;
        self.barrier().await;
    }

    async fn clear(&self) {
        let all = Change::ClearRange(Bytes::new(), Bytes::from_static(b"\xff\xff"));
        let commit = Commit { mutations: vec![all], ..Commit::default() };
        self.commit_unasked(commit, Waiter::Nobody).await;
        self.barrier().await;
    }
}
