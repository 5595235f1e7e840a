//! What the operator sees in numbers (docs/operations.md lists them).

use contract_transport::courier::Verdict;
use std::time::Duration;

/// A host was reached, or not.
pub(crate) fn attempted(connector: &str, result: &'static str) {
    let connector = connector.to_owned();
    metrics::counter!("rialto_relay_connections_total",
        "connector" => connector, "result" => result)
    .increment(1);
}

pub(crate) fn handshake_failed() {
    metrics::counter!("rialto_relay_tls_failures_total").increment(1);
}

/// One message was tried.
pub(crate) fn transferred(verdicts: &[Verdict], size_bytes: u64, took: Duration) {
    let mut relayed = false;
    for verdict in verdicts {
        let label = match verdict {
            Verdict::Relayed { .. } => {
                relayed = true;
                "relayed"
            }
            Verdict::Later(_) => "later",
            Verdict::Failed(_) => "failed",
        };
        metrics::counter!("rialto_relay_recipients_total", "verdict" => label).increment(1);
    }
    // A message that anybody got is relayed; how long it took says something about the far side.
    let label = match verdicts.iter().find(|v| matches!(v, Verdict::Later(_))) {
        _ if relayed => "relayed",
        Some(_) => "later",
        None => "failed",
    };
    metrics::counter!("rialto_relay_messages_total", "verdict" => label).increment(1);
    metrics::histogram!("rialto_relay_transfer_seconds", "verdict" => label)
        .record(took.as_secs_f64());
    if relayed {
        metrics::counter!("rialto_relay_message_bytes_total").increment(size_bytes);
    }
}

/// A policy of MTA-STS was asked for.
pub(crate) fn fetched(result: &'static str) {
    metrics::counter!("rialto_relay_policy_fetches_total", "result" => result).increment(1);
}

/// What a host or its domain publishes asks for a secure connection.
pub(crate) fn demanded(by: &'static str) {
    metrics::counter!("rialto_relay_policies_total", "policy" => by).increment(1);
}
