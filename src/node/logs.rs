//! The logs in files of a node: where they are, and which settings of the organisation want them.

use super::services::Services;
use access_admin::NodeLogs;
use access_imap::CommandLog;
use access_relay::Logs;
use base::env::Env;
use base::logs::{ConversationLog, LogKind, LogWriter};
use contract_transport::setting::{
    CONNECTIVITY_LOG, IMAP_LOG, OrganisationSettings, RECEIVE_LOG, SEND_LOG, VERBOSE,
};
use service_transport::TransportService;
use std::path::Path;
use std::sync::Arc;

/// Below a node's data directory.
const DIRECTORY: &str = "logs";

/// Every log that a node may write.
const KINDS: [&LogKind; 4] = [
    &access_smtp::PROTOCOL_LOG,
    &access_relay::PROTOCOL_LOG,
    &access_imap::PROTOCOL_LOG,
    &access_relay::CONNECTIVITY_LOG,
];

/// Where a node writes.
pub(super) fn start(env: &Env, data: &Path) -> LogWriter {
    LogWriter::start(env, data.join(DIRECTORY))
}

/// Of conversations with other servers.
pub(super) fn sending(writer: &LogWriter, settings: &Arc<TransportService>) -> Logs {
    let of_connector = settings.clone();
    let wanted = move |name: &str| is_verbose(&*of_connector, &format!("{SEND_LOG}{name}"));
    let connectivity = settings.clone();
    let conversations = ConversationLog::new(&access_relay::PROTOCOL_LOG, writer.clone(), wanted);
    Logs {
        conversations,
        connectivity: writer.clone(),
        connectivity_wanted: Arc::new(move || {
            connectivity.setting(CONNECTIVITY_LOG).is_none_or(|value| value == "on")
        }),
    }
}

impl Services {
    /// Of SMTP sessions.
    pub(super) fn receive_log(&self) -> ConversationLog {
        let settings = self.transport.clone();
        let wanted = move |name: &str| is_verbose(&*settings, &format!("{RECEIVE_LOG}{name}"));
        ConversationLog::new(&access_smtp::PROTOCOL_LOG, self.logs.clone(), wanted)
    }

    /// Of IMAP sessions.
    pub(super) fn imap_log(&self) -> CommandLog {
        let settings = self.transport.clone();
        let wanted = move || is_verbose(&*settings, IMAP_LOG);
        CommandLog { writer: self.logs.clone(), wanted: Arc::new(wanted) }
    }

    /// All of them, for whoever reads.
    pub(super) fn readable_logs(&self) -> NodeLogs {
        NodeLogs { writer: self.logs.clone(), kinds: KINDS.to_vec() }
    }
}

fn is_verbose(settings: &dyn OrganisationSettings, name: &str) -> bool {
    settings.setting(name).as_deref() == Some(VERBOSE)
}
