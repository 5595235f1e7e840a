//! `rialto log`: protocol and connectivity logs of the node that is asked.

use super::ask;
use crate::cli::{LogVerb, LogWanted, Protocol};
use crate::client::escape;
use base::Result;

pub(super) async fn run(verb: LogVerb) -> Result<()> {
    match verb {
        LogVerb::Protocol { log, connector, wanted } => {
            let name = match log {
                None => "protocol",
                Some(Protocol::Receive) => "receive",
                Some(Protocol::Send) => "send",
                Some(Protocol::Imap) => "imap",
            };
            show(name, connector.as_deref(), &wanted).await
        }
        LogVerb::Connectivity(wanted) => show("connectivity", None, &wanted).await,
    }
}

async fn show(log: &str, connector: Option<&str>, wanted: &LogWanted) -> Result<()> {
    let mut path = format!("/api/v1/logs?log={log}&limit={}", wanted.limit);
    for (name, value) in [
        ("connector", connector),
        ("session", wanted.session.as_deref()),
        ("since", wanted.since.as_deref()),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", escape(value)));
        }
    }
    ask(&wanted.reach, &path).await
}
