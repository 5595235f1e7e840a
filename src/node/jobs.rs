//! Long work on the store of a running node: copying it, checking it. One at a time.

use super::store::{Backend, Opening, StorePlace, copy, verify};
use access_admin::{CopyOrder, JobState, StoreJob};
use base::env::Env;
use base::{Error, Kind, Result};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use store_copy::{GatedStore, Progress, Start};
use tokio::sync::watch;

/// Who does it.
pub(crate) struct StoreJobs {
    env: Env,
    backend: Backend,
    gate: Arc<GatedStore>,
    place: StorePlace,
    last: Arc<Mutex<Option<StoreJob>>>,
    /// Where the data is, once a copy has come to its end. Nothing is written here from then on.
    moved: Arc<OnceLock<String>>,
}

/// A copy of this node's own store.
struct Copying {
    env: Env,
    source: Backend,
    from: StorePlace,
    to: StorePlace,
    start: Start,
    gate: Arc<GatedStore>,
    moved: Arc<OnceLock<String>>,
}

impl Copying {
    /// Copies with the gate closed. It is opened again only if it is certain that the target is not
    /// whole and never will be by this copy: else both stores might be served.
    async fn run(self, told: &watch::Sender<Progress>) -> Result<String, String> {
        const GOES_ON: &str = "; writing goes on in the old store";
        let Self { env, source, from, to, start, gate, moved } = self;
        // Nothing has been closed or written yet; an earlier copy may have closed the gate.
        let goes_on = if gate.is_closed().await { "" } else { GOES_ON };
        let refused = |error: Error| format!("{error}{goes_on}");
        let target = Backend::open(&to, Opening::default(), &env).await.map_err(refused)?;
        let (from, place) = ((&source, &from), (&target, &to));
        let order = copy::Order { env: &env, source: from, target: place, start };
        let copied = match order.prepare().await {
            Ok(copy) => {
                gate.close().await;
                tracing::warn!(%to, "writing has stopped: the store is being copied");
                copy.run(told).await
            }
            Err(error) => {
                let _ = target.close().await;
                return Err(refused(error));
            }
        };
        if copied.is_ok() {
            // Before anybody is told, so that nobody can give another order in between.
            let _ = moved.set(to.to_string());
        }
        // What was copied is durable; an embedded target only has more to do at its first start.
        if let Err(error) = target.close().await {
            tracing::warn!(%error, "the target of a copy could not be closed well");
        }
        match copied {
            Ok(summary) => Ok(format!(
                "{}; writing stays stopped: restart the node with the new store",
                copy::describe(&summary)
            )),
            Err(failed) => {
                let text = copy::describe_failure(&failed);
                // What others may have open is kept closed by its mark.
                if failed.is_settled || source.is_shared() {
                    gate.open().await;
                }
                let then = if failed.is_settled { GOES_ON } else { "; writing stays stopped here" };
                Err(format!("{text}{then}"))
            }
        }
    }
}

impl StoreJobs {
    pub(crate) fn new(
        env: Env,
        backend: Backend,
        gate: Arc<GatedStore>,
        place: StorePlace,
    ) -> Arc<Self> {
        Arc::new(Self { env, backend, gate, place, last: Arc::default(), moved: Arc::default() })
    }

    /// The job that runs, or the last one.
    pub(crate) fn last(&self) -> Option<StoreJob> {
        lock(&self.last).clone()
    }

    /// Begins to copy: writing stops, everything is copied; if that fails, writing goes on.
    pub(crate) fn copy(&self, order: &CopyOrder, what_if: bool) -> Result<StoreJob> {
        let to: StorePlace = order.to.parse().map_err(Error::invalid)?;
        let to = to.absolute()?;
        if let Some(moved) = self.moved.get() {
            let text = format!("The data has moved to {moved}: restart the node with that store");
            return Err(Error::new(Kind::Conflict, text));
        }
        copy::check_places(&self.place, &to)?;
        if what_if {
            return self.begin("copy", true);
        }
        let job = self.begin("copy", false)?;
        let start = if order.anew { Start::Anew } else { Start::Resume };
        let (told, heard) = watch::channel(Progress::default());
        follow(self.last.clone(), heard, copy::describe_progress);
        let (last, copying) = (self.last.clone(), self.copying(to, start));
        tokio::spawn(async move { end(&last, copying.run(&told).await, Vec::new()) });
        Ok(job)
    }

    fn copying(&self, to: StorePlace, start: Start) -> Copying {
        Copying {
            env: self.env.clone(),
            source: self.backend.clone(),
            from: self.place.clone(),
            to,
            start,
            gate: self.gate.clone(),
            moved: self.moved.clone(),
        }
    }

    /// Begins to read everything and check it.
    pub(crate) fn verify(&self) -> Result<StoreJob> {
        let job = self.begin("verify", false)?;
        let (env, backend, last) = (self.env.clone(), self.backend.clone(), self.last.clone());
        tokio::spawn(async move {
            let (told, heard) = watch::channel(verify::Findings::default());
            follow(last.clone(), heard, ToString::to_string);
            let findings = verify::run(&backend, &env, &told).await;
            match findings {
                Ok(findings) if findings.is_sound() => {
                    end(&last, Ok(findings.to_string()), Vec::new());
                }
                Ok(findings) => end(&last, Err(findings.to_string()), findings.problems),
                Err(error) => end(&last, Err(error.to_string()), Vec::new()),
            }
        });
        Ok(job)
    }

    /// Takes the place of the one job there may be.
    fn begin(&self, what: &str, what_if: bool) -> Result<StoreJob> {
        let mut last = lock(&self.last);
        if let Some(job) = last.as_ref().filter(|job| job.state == JobState::Running) {
            let text = format!("A {} of the store is running: {}", job.what, job.text);
            return Err(Error::new(Kind::Conflict, text));
        }
        let (text, problems) = ("begun".to_owned(), Vec::new());
        let job = StoreJob { what: what.to_owned(), state: JobState::Running, text, problems };
        if !what_if {
            *last = Some(job.clone());
        }
        Ok(job)
    }
}

/// Writes into the job how far it has come, until it ends.
fn follow<T: Send + Sync + 'static>(
    last: Arc<Mutex<Option<StoreJob>>>,
    mut heard: watch::Receiver<T>,
    text: impl Fn(&T) -> String + Send + 'static,
) {
    tokio::spawn(async move {
        while heard.changed().await.is_ok() {
            let text = text(&heard.borrow_and_update());
            if let Some(job) = lock(&last).as_mut().filter(|job| job.state == JobState::Running) {
                job.text = text;
            }
        }
    });
}

fn end(last: &Mutex<Option<StoreJob>>, outcome: Result<String, String>, problems: Vec<String>) {
    let (state, text) = match outcome {
        Ok(text) => (JobState::Done, text),
        Err(text) => (JobState::Failed, text),
    };
    if let Some(job) = lock(last).as_mut() {
        tracing::info!(what = job.what, ?state, text, "work on the store has ended");
        (job.state, job.text, job.problems) = (state, text, problems);
    }
}

fn lock(last: &Mutex<Option<StoreJob>>) -> MutexGuard<'_, Option<StoreJob>> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}
