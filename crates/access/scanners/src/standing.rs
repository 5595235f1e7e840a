//! How each scanner is, as this node has found: its breaker, its connections, its counts.

use crate::breaker::{Admission, Breaker};
use crate::outcome::Trouble;
use base::env::Clock;
use contract_transport::scanner::Scanner;
use contract_transport::scanner::scanning::Standing;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// What is known of one scanner for as long as it is at the same place.
pub(crate) struct Line {
    scanner: Arc<Scanner>,
    state: Mutex<State>,
    /// Its connections.
    pub(crate) places: Semaphore,
    /// Tells those who wait for a connection that it rests.
    resting: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    breaker: Breaker,
    trouble: String,
    answered: u64,
    failed: u64,
}

/// Somebody asks a scanner; without a [`settle`](Attempt::settle) it was for nothing.
pub(crate) struct Attempt {
    line: Arc<Line>,
    admission: Admission,
    is_settled: bool,
}

/// Of all scanners, by name.
#[derive(Default)]
pub(crate) struct Lines(Mutex<HashMap<String, Arc<Line>>>);

impl Lines {
    /// Of a scanner. One that has moved is another one.
    pub(crate) fn of(&self, scanner: &Arc<Scanner>) -> Arc<Line> {
        let mut lines = self.0.lock();
        if let Some(known) = lines.get(&scanner.name)
            && known.is_of(scanner)
        {
            return known.clone();
        }
        let line = Arc::new(Line::new(scanner.clone()));
        lines.insert(scanner.name.clone(), line.clone());
        line
    }

    /// Forgets those that are no more.
    pub(crate) fn keep(&self, known: &[Arc<Scanner>]) {
        self.0.lock().retain(|name, _| known.iter().any(|scanner| scanner.name == *name));
    }

    /// How a scanner is.
    pub(crate) fn standing(&self, name: &str, clock: &dyn Clock) -> Standing {
        let line = self.0.lock().get(name).cloned();
        let Some(line) = line else { return Standing::default() };
        let state = line.state.lock();
        let rests = state.breaker.rests(clock.monotonic());
        Standing {
            failures: state.breaker.failures(),
            rests_ms: rests.map(|rest| u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)),
            trouble: state.trouble.clone(),
            answered: state.answered,
            failed: state.failed,
        }
    }
}

impl Line {
    fn new(scanner: Arc<Scanner>) -> Self {
        let places = Semaphore::new(scanner.connections_max.max(1) as usize);
        let (state, resting) = (Mutex::default(), watch::Sender::new(false));
        Self { scanner, state, places, resting }
    }

    fn is_of(&self, scanner: &Scanner) -> bool {
        self.scanner.place == scanner.place
            && self.scanner.language == scanner.language
            && self.scanner.connections_max == scanner.connections_max
    }

    /// Asks, or says for how long it rests and why.
    pub(crate) fn admit(self: &Arc<Self>, clock: &dyn Clock) -> Result<Attempt, String> {
        let mut state = self.state.lock();
        match state.breaker.admit(clock.monotonic()) {
            Admission::Rests(_) => {
                let failures = state.breaker.failures();
                Err(format!("it failed {failures} times in a row, last because {}", state.trouble))
            }
            admission => Ok(Attempt { line: self.clone(), admission, is_settled: false }),
        }
    }
}

impl Attempt {
    /// A place among its connections, or `None` once it rests. A probe waits for none: those who
    /// hold the places wait for what it is to find out.
    pub(crate) async fn place(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        if self.admission == Admission::Probe {
            return self.line.places.try_acquire().ok();
        }
        let mut resting = self.line.resting.subscribe();
        tokio::select! {
            biased;
            place = self.line.places.acquire() => place.ok(),
            _ = resting.wait_for(|rests| *rests) => None,
        }
    }

    /// What has come of it.
    pub(crate) fn settle(mut self, trouble: Option<&Trouble>, clock: &dyn Clock) {
        self.is_settled = true;
        let name = &self.line.scanner.name;
        let mut state = self.line.state.lock();
        match trouble {
            None | Some(Trouble::TooLarge) => {
                if state.breaker.rests(clock.monotonic()).is_some() {
                    tracing::info!(scanner = name, "the scanner is back");
                }
                state.breaker.answered();
                state.trouble.clear();
                state.answered += 1;
            }
            Some(trouble) => {
                state.failed += 1;
                state.trouble = trouble.to_string();
                if !trouble.is_failure() {
                    state.breaker.abandoned(self.admission);
                } else if state.breaker.failed(clock.monotonic(), self.admission) {
                    let failures = state.breaker.failures();
                    tracing::warn!(scanner = name, %trouble, failures, "the scanner is passed over");
                }
            }
        }
        let rests = state.breaker.rests(clock.monotonic()).is_some();
        self.line.resting.send_replace(rests);
        metrics::gauge!("rialto_scanner_rests", "scanner" => name.clone()).set(f64::from(rests));
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.is_settled {
            self.line.state.lock().breaker.abandoned(self.admission);
        }
    }
}
