//! The time that a report is about.

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

/// From when to when, as reports on TLS write it: RFC 3339, the last second included.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct DateRange {
    start_datetime: String,
    end_datetime: String,
}

impl DateRange {
    /// From a moment up to, and without, another one, both in seconds of Unix time.
    pub fn new(begin_s: i64, end_s: i64) -> Self {
        let text = |unix_s: i64| {
            let moment = DateTime::from_timestamp(unix_s, 0).unwrap_or_default();
            moment.to_rfc3339_opts(SecondsFormat::Secs, true)
        };
        Self { start_datetime: text(begin_s), end_datetime: text(end_s - 1) }
    }

    /// The beginning in seconds of Unix time, if it can be read.
    pub fn begin_s(&self) -> Option<i64> {
        Some(DateTime::parse_from_rfc3339(self.start_datetime.trim()).ok()?.timestamp())
    }
}
