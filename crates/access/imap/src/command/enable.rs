//! ENABLE (RFC 5161): what the client may be told from now on.

use crate::modseq;
use crate::reply::{Answer, Reply};
use crate::session::Session;
use crate::state::Enabled;
use codec_imap::command::Enable;
use codec_imap::response::Response;
use codec_imap::{Capability, Names};

/// ENABLE. Names the extensions of those asked for that are enabled now; what is not known, or needs
/// not to be enabled, is passed over (RFC 5161 §3.1).
pub(crate) async fn run(session: &mut Session, command: &Enable) -> Answer {
    let mut now = session.state.user()?.enabled;
    let (mut enabled, mut mod_seqs) = (Vec::new(), false);
    for capability in &command.capabilities {
        match capability {
            Capability::CondStore => mod_seqs = true,
            // QRESYNC is CONDSTORE and more (RFC 7162 §3.2.3).
            Capability::QResync => (now.qresync, mod_seqs) = (true, true),
            Capability::Utf8Accept => now.utf8 = true,
            Capability::Imap4Rev2 => (now.rev2, now.utf8) = (true, true),
            Capability::UidOnly => now.uid_only = true,
            _ => continue,
        }
        if !enabled.contains(capability) {
            enabled.push(capability.clone());
        }
    }
    session.state.enable(|enabled| *enabled = now)?;
    let Enabled { rev2, utf8, uid_only, .. } = now;
    session.wire.put(&Response::Enabled(&enabled));
    session.wire.names = if utf8 { Names::Utf8 } else { Names::Utf7 };
    session.wire.uid_only = uid_only;
    if let (true, Ok((_, selected))) = (rev2, session.state.selected()) {
        selected.view.forget_recent();
    }
    if mod_seqs {
        modseq::enable(session, "ENABLE").await?;
    }
    Ok(Reply::ok("Done"))
}
