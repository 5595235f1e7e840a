//! ENABLE (RFC 5161): what the client may be told from now on.

use crate::modseq;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use codec_imap::Capability;
use codec_imap::command::Enable;
use codec_imap::response::Response;

/// ENABLE. Names the extensions of those asked for that are enabled now; what is not known, or needs
/// not to be enabled, is passed over (RFC 5161 §3.1).
pub(crate) async fn run(session: &mut Session, command: &Enable) -> Answer {
    session.state.user()?;
    let mut enabled = Vec::new();
    for capability in &command.capabilities {
        match capability {
            Capability::CondStore => {}
            Capability::QResync => session.state.user_mut()?.enabled.qresync = true,
            _ => continue,
        }
        if !enabled.contains(capability) {
            enabled.push(capability.clone());
        }
    }
    session.wire.put(&Response::Enabled(&enabled));
    // QRESYNC is CONDSTORE and more (RFC 7162 §3.2.3).
    if !enabled.is_empty() {
        modseq::enable(session, "ENABLE").await?;
    }
    Ok(Reply::ok("Done"))
}
