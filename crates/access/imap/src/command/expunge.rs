//! EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1); what is gone is told by VANISHED to who
//! has enabled QRESYNC (RFC 7162 §3.2.7, §3.2.9).

use super::{failed, unexpected, write};
use crate::reply::{Answer, Reply, ReplyCode};
use crate::selection::Selection;
use crate::session::Session;
use crate::sync::{self, Ask};
use codec_imap::command::Expunge;
use contract_mailbox::{Write, WriteReply};

/// EXPUNGE, UID EXPUNGE.
pub(crate) async fn run(session: &mut Session, command: Expunge) -> Answer {
    let (user, selected) = session.state.writable()?;
    let uids = match &command.uids {
        None => None,
        Some(set) => {
            let selection = Selection::resolve(set, true, &selected.view)?;
            if selection.is_empty() {
                return Ok(Reply::ok("There was nothing to expunge"));
            }
            Some(selection.uids(&selected.view))
        }
    };
    let request = Write::Expunge { folder: selected.folder, uids };
    match write(user, "EXPUNGE", request).await? {
        Some(WriteReply::Expunged(gone)) => {
            // Who goes by modification sequences is to know that of the expunge (RFC 7162 §3.2.7).
            if user.enabled.condstore && !gone.is_empty() {
                let folder = selected.folder;
                sync::catch_up_own(user, selected, folder).await;
            }
            gone.iter().for_each(|uid| selected.view.vanish(uid));
        }
        None => sync::catch_up(user, selected, Ask::Always)
            .await
            .map_err(|error| failed("EXPUNGE", error))?,
        Some(_) => return unexpected("EXPUNGE"),
    }
    Ok(Reply::ok("Expunged").code(ReplyCode::UpToDate))
}
