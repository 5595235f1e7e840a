//! A probe: one client that does the same thing again and again, and notes how it went.

use super::imap::Reader;
use super::places::Places;
use super::smtp::{Sent, Writer};
use crate::cli::DrillArguments;
use access_listener::CancellationToken;
use base::env::Env;
use base::{Error, Kind, Result};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// What a probe does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    /// Submits mail.
    Write,
    /// Reads the mailbox.
    Read,
}

/// A client. It begins at home; when that is away it goes to the next place, as a client does that
/// finds several addresses behind one name.
pub(super) struct Probe {
    pub(super) role: Role,
    pub(super) home: usize,
    pub(super) env: Env,
    pub(super) places: Arc<Places>,
    pub(super) arguments: DrillArguments,
    pub(super) run: String,
}

/// How one try went.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// As it should.
    Done,
    /// The server said: not now.
    Temporary(String),
    /// The server said no, for good, to something that is right.
    Refused(String),
    /// No server, or no answer.
    Broken(String),
}

/// One try; times are of the environment's clock.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Try {
    pub(super) at: Duration,
    pub(super) ended: Duration,
    pub(super) outcome: Outcome,
}

/// Everything that a probe has noted.
pub(super) struct Record {
    pub(super) role: Role,
    /// The node at which it began.
    pub(super) home: String,
    pub(super) tries: Vec<Try>,
    /// Messages that a server has taken.
    pub(super) acknowledged: Vec<String>,
    /// Messages of which nobody knows.
    pub(super) unknown: Vec<String>,
}

enum Session {
    Writer(Writer),
    Reader(Reader),
}

impl Probe {
    /// Probes until it is told to stop; what has begun then is brought to its end.
    pub(super) async fn run(self, stop: CancellationToken) -> Record {
        let every = Duration::from_millis(self.arguments.every_ms);
        let clock = self.env.clock.clone();
        let mut record = Record {
            role: self.role,
            home: self.places.all[self.home].node.clone(),
            tries: Vec::new(),
            acknowledged: Vec::new(),
            unknown: Vec::new(),
        };
        let (mut session, mut place) = (None, self.home);
        while !stop.is_cancelled() {
            let at = clock.monotonic();
            let outcome = match self.once(&mut session, place, &mut record).await {
                Ok(()) => Outcome::Done,
                Err(error) => classify(&error),
            };
            if matches!(outcome, Outcome::Broken(_)) {
                session = None;
                place = (place + 1) % self.places.all.len();
            }
            let ended = clock.monotonic();
            record.tries.push(Try { at, ended, outcome });
            tokio::select! {
                () = clock.sleep((at + every).saturating_sub(ended)) => {}
                () = stop.cancelled() => {}
            }
        }
        record
    }

    async fn once(
        &self,
        session: &mut Option<Session>,
        place: usize,
        record: &mut Record,
    ) -> Result<()> {
        if session.is_none() {
            let (places, arguments) = (&self.places, &self.arguments);
            *session = Some(match self.role {
                Role::Write => Session::Writer(Writer::connect(places, arguments, place).await?),
                Role::Read => Session::Reader(Reader::connect(places, arguments, place).await?),
            });
        }
        match session {
            Some(Session::Reader(reader)) => reader.look().await,
            Some(Session::Writer(writer)) => {
                let number = record.tries.len();
                let id = format!("drill-{}-{}-{number}", self.run, self.home);
                match writer.send(&id).await {
                    Sent::Acknowledged => record.acknowledged.push(id),
                    Sent::No(error) => return Err(error),
                    Sent::Unknown(error) => {
                        record.unknown.push(id);
                        return Err(error);
                    }
                }
                Ok(())
            }
            None => Err(Error::internal("no session")),
        }
    }
}

fn classify(error: &Error) -> Outcome {
    let text = error.text.to_string();
    match error.kind {
        Kind::Overloaded => Outcome::Temporary(text),
        Kind::Unavailable | Kind::Timeout => Outcome::Broken(text),
        _ => Outcome::Refused(text),
    }
}
