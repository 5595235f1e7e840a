//! The load: senders over all three SMTP doors, and IMAP sessions that append, flag, copy, move
//! and expunge in folders of their own. All of it is noted in the ledger.

use crate::failure::{Failure, Result};
use crate::ledger::Ledger;
use crate::net::Endpoint;
use std::sync::Arc;
use tokio::task::JoinSet;

pub mod idler;
pub mod register;
pub mod roaming;
mod sender;
mod shelver;
pub mod tally;

/// Why a session cannot go on as it was.
#[derive(Debug, Clone)]
pub enum Stop {
    /// The connection broke, or nothing came for too long.
    Broken(Failure),
    /// The server said NO.
    Refused(Failure),
    /// The server said something that cannot be.
    Wrong(Failure),
}

impl Stop {
    fn into_failure(self) -> Failure {
        match self {
            Stop::Broken(failure) | Stop::Refused(failure) | Stop::Wrong(failure) => failure,
        }
    }
}

/// How much load.
#[derive(Debug, Clone)]
pub struct Load {
    /// The seed; each worker has its own stream of it.
    pub seed: u64,
    /// Counts the rounds of a scenario; part of every id.
    pub round: u64,
    /// SMTP connections.
    pub senders: u64,
    /// IMAP sessions.
    pub shelvers: u64,
    /// Who gets mail.
    pub users: Vec<String>,
    /// Each worker ends after so many messages or changes, if the node does not die before.
    pub each: u64,
}

/// A load that runs until its workers are done or the node is gone.
pub struct Running {
    workers: JoinSet<()>,
}

/// Starts the load.
#[must_use]
pub fn start(endpoint: &Endpoint, load: &Load, ledger: &Arc<Ledger>) -> Running {
    let mut workers = JoinSet::new();
    for number in 0..load.senders {
        let (endpoint, load, ledger) = (endpoint.clone(), load.clone(), ledger.clone());
        workers.spawn(async move {
            let outcome = sender::run(&endpoint, &load, number, &ledger).await;
            note(&ledger, "sender", outcome);
        });
    }
    for number in 0..load.shelvers {
        let (endpoint, load, ledger) = (endpoint.clone(), load.clone(), ledger.clone());
        workers.spawn(async move {
            let outcome = shelver::run(&endpoint, &load, number, &ledger).await;
            note(&ledger, "shelver", outcome);
        });
    }
    Running { workers }
}

fn note(ledger: &Ledger, who: &str, outcome: Result<()>) {
    if let Err(error) = outcome {
        ledger.note_broken(&format!("{who}: {error}"));
    }
}

impl Running {
    /// Waits until all workers have ended.
    pub async fn finish(mut self) {
        while self.workers.join_next().await.is_some() {}
    }
}
