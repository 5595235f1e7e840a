//! `/api/v1/logs`: what this node's protocol and connectivity logs tell.

use super::tracking::moment;
use super::{Admin, Answer};
use axum::Json;
use axum::extract::{Query, State};
use base::env::Clock;
use base::logs::{self, LogKind, LogWriter};
use base::{Error, Result, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The logs of this node.
pub struct NodeLogs {
    /// Whoever writes them.
    pub writer: LogWriter,
    /// Which there are.
    pub kinds: Vec<&'static LogKind>,
}

/// The most rows of one answer.
const ROWS_MAX: usize = 10_000;

/// How many rows are shown where nothing else is said.
const ROWS: usize = 200;

/// What people call logs, and their directories.
const NAMES: [(&str, &[&str]); 5] = [
    ("protocol", &["smtp-receive", "smtp-send"]),
    ("receive", &["smtp-receive"]),
    ("send", &["smtp-send"]),
    ("imap", &["imap"]),
    ("connectivity", &["connectivity"]),
];

/// What is looked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    log: String,
    connector: Option<String>,
    session: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    /// The logs.
    fn kinds(&self, logs: &NodeLogs) -> Result<Vec<&'static LogKind>> {
        let named = NAMES.iter().find(|(name, _)| *name == self.log);
        let Some((_, directories)) = named else {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            return Err(Error::invalid(format!("a log is one of: {}", names.join(", "))));
        };
        let kinds = logs.kinds.iter().filter(|kind| directories.contains(&kind.directory));
        Ok(kinds.copied().collect())
    }

    /// What is asked of one log.
    fn query(&self, kind: &LogKind, now: Timestamp) -> Result<logs::Query> {
        let (since, within_ms) = self.since.as_deref().map_or(Ok((None, None)), moment)?;
        let since = since.or(within_ms.map(|ms| now.plus_ms(-ms)));
        let mut columns = Vec::new();
        let asked: [(&Option<String>, &[&'static str]); 2] = [
            (&self.connector, &["connector-id"]),
            (&self.session, &["session-id", "sessionId", "session"]),
        ];
        for (value, names) in asked {
            let Some(value) = value else { continue };
            let column = names.iter().find(|name| kind.fields.contains(name));
            let column = column.ok_or_else(|| {
                Error::invalid(format!("the log {} has no such column", kind.directory))
            })?;
            columns.push((*column, value.clone()));
        }
        let limit = self.limit.unwrap_or(ROWS).min(ROWS_MAX);
        Ok(logs::Query { since, columns, limit })
    }
}

/// The newest rows that fit, the oldest of them first.
pub(super) async fn read(State(admin): State<Arc<Admin>>, Query(wanted): Query<Wanted>) -> Answer {
    let writer = admin.logs.writer.clone();
    let limit = wanted.limit.unwrap_or(ROWS).min(ROWS_MAX);
    let mut rows: Vec<(String, Value)> = Vec::new();
    for kind in wanted.kinds(&admin.logs)? {
        let query = wanted.query(kind, Clock::now(writer.clock()))?;
        let reader = writer.clone();
        let found = tokio::task::spawn_blocking(move || logs::read(&reader, kind, &query)).await;
        let found = found.map_err(Error::internal)?;
        let found = found.map_err(|error| Error::unavailable(format!("{kind:?}: {error}")))?;
        rows.extend(found.into_iter().map(|row| view(kind, row)));
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let first = rows.len().saturating_sub(limit);
    Ok(Json(rows.into_iter().skip(first).map(|(_, row)| row).collect()))
}

/// A row by its columns, and its time.
fn view(kind: &LogKind, row: Vec<String>) -> (String, Value) {
    let at = row.first().cloned().unwrap_or_default();
    let fields = kind.fields.iter().zip(row);
    let fields: Map<_, _> =
        fields.map(|(name, value)| ((*name).to_owned(), Value::String(value))).collect();
    (at, Value::Object(fields))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use base::env::sim::Simulation;
    use base::logs::{ConversationLog, PROTOCOL_FIELDS};

    static RECEIVE: LogKind = LogKind {
        directory: "smtp-receive",
        prefix: "RECV",
        title: "Test",
        fields: PROTOCOL_FIELDS,
    };

    static CONNECTIVITY: LogKind = LogKind {
        directory: "connectivity",
        prefix: "CONN",
        title: "Test",
        fields: &["date-time", "session", "description"],
    };

    fn wanted(text: &str) -> Wanted {
        serde_json::from_str(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_log_is_asked_for_by_its_columns() {
        let world = Simulation::new(1);
        let writer = LogWriter::start(&world.env(), "/logs".into());
        let log = ConversationLog::new(&RECEIVE, writer.clone(), |_| true);
        drop(log.begin("server", "s1", "a", "b"));
        let logs = NodeLogs { writer, kinds: vec![&RECEIVE, &CONNECTIVITY] };
        let now = Timestamp { unix_ms: 1_900_000_000_000 };
        let both = wanted(r#"{"log": "protocol", "connector": "server", "session": "s1"}"#);
        assert_eq!(both.kinds(&logs).unwrap(), [&RECEIVE]);
        let query = both.query(&RECEIVE, now).unwrap();
        let found = logs::read(&logs.writer, &RECEIVE, &query).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(view(&RECEIVE, found[0].clone()).1["connector-id"], "server");
        let session = wanted(r#"{"log": "connectivity", "session": "X"}"#);
        let query = session.query(&CONNECTIVITY, now).unwrap();
        assert_eq!(query.columns, [("session", "X".to_owned())]);
        let since = wanted(r#"{"log": "imap", "since": "1h"}"#).query(&RECEIVE, now).unwrap();
        assert_eq!(since.since, Some(now.plus_ms(-3_600_000)));
        let wrong = wanted(r#"{"log": "connectivity", "connector": "X"}"#);
        assert!(wrong.query(&CONNECTIVITY, now).is_err());
        assert!(wanted(r#"{"log": "../etc"}"#).kinds(&logs).is_err());
    }
}
