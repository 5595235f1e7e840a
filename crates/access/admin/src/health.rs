//! `/healthz` (the process lives), `/readyz` (it serves), `/metrics` (Prometheus).

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde::Serialize;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A check as a boxed function.
type BoxedProbe = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Finding> + Send>> + Send + Sync>;

/// How long a check may take; one that does not answer has found that something is wrong.
const CHECK_TIME: Duration = Duration::from_secs(2);

/// What one check found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Whether it is well.
    pub healthy: bool,
    /// A sentence for people.
    pub text: String,
}

/// One named check.
pub struct Probe {
    name: &'static str,
    check: BoxedProbe,
}

impl Probe {
    /// A check that answers with a sentence, or with what is wrong.
    pub fn new<F, Fut>(name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, String>> + Send + 'static,
    {
        let check = move || {
            let found = check();
            let finding = async move {
                match found.await {
                    Ok(text) => Finding { healthy: true, text },
                    Err(text) => Finding { healthy: false, text },
                }
            };
            Box::pin(finding) as _
        };
        Self { name, check: Box::new(check) }
    }
}

/// A check with its name and finding.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The check.
    pub name: &'static str,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// The state of this node.
pub struct Health {
    serving: AtomicBool,
    probes: Vec<Probe>,
    metrics: Box<dyn Fn() -> String + Send + Sync>,
}

impl Health {
    /// A node that is not serving yet; `metrics` renders what Prometheus asks for.
    pub fn new(
        probes: Vec<Probe>,
        metrics: impl Fn() -> String + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { serving: AtomicBool::new(false), probes, metrics: Box::new(metrics) })
    }

    /// Whether clients should be sent here: true when all listeners accept, false from the moment
    /// a drain begins.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Release);
    }

    /// Runs every check.
    pub async fn reports(&self) -> Vec<Report> {
        let serving = self.serving.load(Ordering::Acquire);
        let text = if serving { "all listeners accept" } else { "starting or draining" };
        let finding = Finding { healthy: serving, text: text.to_owned() };
        let mut reports = vec![Report { name: "serving", finding }];
        for probe in &self.probes {
            let finding = tokio::time::timeout(CHECK_TIME, (probe.check)()).await;
            let finding = finding.unwrap_or_else(|_| {
                let text = format!("no answer within {} s", CHECK_TIME.as_secs());
                Finding { healthy: false, text }
            });
            reports.push(Report { name: probe.name, finding });
        }
        reports
    }
}

/// The routes of the health port.
pub fn health_router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn ready(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let reports = health.reports().await;
    let all = reports.iter().all(|report| report.finding.healthy);
    let status = if all { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let lines: String = reports
        .iter()
        .map(|report| {
            let word = if report.finding.healthy { "ok" } else { "FAILED" };
            format!("{} {word}: {}\n", report.name, report.finding.text)
        })
        .collect();
    (status, lines)
}

async fn metrics(State(health): State<Arc<Health>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (health.metrics)())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(probe: Probe, expected: (bool, &str)) {
        let health = Health::new(vec![probe], String::new);
        health.set_serving(true);
        let reports = health.reports().await;
        let found = reports.iter().map(|r| (r.finding.healthy, r.finding.text.as_str()));
        assert_eq!(found.collect::<Vec<_>>(), [(true, "all listeners accept"), expected]);
        let status = ready(State(health)).await.into_response().status();
        assert_eq!(status == StatusCode::OK, expected.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_does_not_answer_is_not_ready() {
        check(Probe::new("a", || async { Ok("well".into()) }), (true, "well")).await;
        check(Probe::new("a", || async { Err("ill".into()) }), (false, "ill")).await;
        let slow = Probe::new("a", std::future::pending);
        check(slow, (false, "no answer within 2 s")).await;
    }
}
