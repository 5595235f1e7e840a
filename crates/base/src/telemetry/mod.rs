//! What the operator sees: logs on standard error, and metrics for Prometheus.
//!
//! Metrics are named `rialto_<thing>_<unit or total>`; labels have few values, never names that a
//! client chose. Text that a client chose is logged as [`Printable`], so that it cannot forge a
//! line or drive a terminal.

mod printable;

pub use printable::{LINE_CHARACTERS_MAX, Printable, PrintableBytes, PrintableLine};

use crate::error::{Error, Result};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

/// What is logged unless the operator says otherwise. `ractor` tells of every actor; `openraft`
/// calls every message that does not get through an error, ten times a second, and the cluster
/// itself says what matters of it.
pub const DEFAULT_FILTER: &str = "info,ractor=warn,openraft=off";

/// The environment variable that overrides the configured filter.
pub const FILTER_VARIABLE: &str = "RIALTO_LOG";

/// The upper bounds of histogram buckets, in seconds: from a cache hit to the longest deadline.
const SECONDS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// The form of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line for each event.
    #[default]
    Text,
    /// One JSON object for each event.
    Json,
}

/// Starts logging to standard error, once for the process. `filter` is a list of
/// `target=level` (the syntax of `tracing_subscriber::EnvFilter`); the variable
/// [`FILTER_VARIABLE`] goes before it.
///
/// # Errors
/// [`Kind::Invalid`](crate::Kind::Invalid) for a filter that cannot be read,
/// [`Kind::Internal`](crate::Kind::Internal) if logging was started before.
pub fn init_logging(format: LogFormat, filter: &str) -> Result<()> {
    let overriding = std::env::var(FILTER_VARIABLE).ok();
    let filter = overriding.as_deref().unwrap_or(filter);
    subscriber(format, filter, std::io::stderr)?
        .try_init()
        .map_err(|error| Error::internal(format!("start logging: {error}")))
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    writer: W,
) -> Result<Box<dyn tracing::Subscriber + Send + Sync>>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter)
        .map_err(|error| Error::invalid(format!("The log filter is wrong: {error}")))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        LogFormat::Text => Box::new(lines.with_ansi(false).finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
}

impl Metrics {
    /// Starts collecting what the `metrics` macros report, once for the process.
    ///
    /// # Errors
    /// [`Kind::Internal`](crate::Kind::Internal) if somebody else collects already.
    pub fn install() -> Result<Self> {
        let recorder = builder()?.build_recorder();
        let handle = recorder.handle();
        metrics::set_global_recorder(recorder)
            .map_err(|error| Error::internal(format!("start metrics: {error}")))?;
        Ok(Self { handle })
    }

    /// All metrics in Prometheus's text format.
    pub fn render(&self) -> String {
        // Folds what has gathered since into the histograms; nobody else does so here.
        self.handle.run_upkeep();
        self.handle.render()
    }
}

fn builder() -> Result<PrometheusBuilder> {
    PrometheusBuilder::new()
        .set_buckets(&SECONDS)
        .map_err(|error| Error::internal(format!("metric buckets: {error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::io::{self, Write};
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(format, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_filter_decides_and_must_be_readable() {
        let talk = || {
            tracing::info!("aloud");
            tracing::debug!("aside");
        };
        let log = logged(LogFormat::Text, DEFAULT_FILTER, talk);
        assert!(log.contains("aloud") && !log.contains("aside"), "{log}");
        let log = logged(LogFormat::Json, "debug", talk);
        assert!(log.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{log}");
        assert_eq!(log.lines().count(), 2);
        assert!(init_logging(LogFormat::Text, "base=loud").is_err());
    }

    #[test]
    fn attack_68_a_client_cannot_forge_log_lines() {
        let evil = "alice\r\n2030-01-01T00:00:00Z  INFO root signed in\u{1b}[2K\u{202e}";
        for format in [LogFormat::Text, LogFormat::Json] {
            let log = logged(format, "info", || {
                tracing::info!(user = %Printable(evil), "signed in");
            });
            assert_eq!(log.lines().count(), 1, "{log}");
            assert!(!log.contains(['\u{1b}', '\r', '\u{202e}']), "{log}");
            assert!(log.contains("root signed in"), "nothing is hidden either: {log}");
        }
    }

    #[test]
    fn metrics_render_for_prometheus() {
        let recorder = builder().unwrap().build_recorder();
        let metrics = Metrics { handle: recorder.handle() };
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("rialto_test_total", "actor" => "x").increment(3);
            metrics::histogram!("rialto_test_seconds").record(0.002);
        });
        let text = metrics.render();
        assert!(text.contains("rialto_test_total{actor=\"x\"} 3"), "{text}");
        assert!(text.contains("rialto_test_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(text.contains("rialto_test_seconds_bucket{le=\"0.001\"} 0"), "{text}");
    }
}
