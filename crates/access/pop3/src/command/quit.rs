//! QUIT (RFC 1939 §6): removes what was marked, and ends the session.
//!
//! Messages are removed as IMAP removes them, into Recoverable Items, in steps; each step is a
//! command with an id of its own, which the router may send again when the mailbox's owner dies.
//! Where a step fails the rest stays, and the client is told so: it will find them again.

use crate::config::REMOVE_STEP;
use crate::phrase::{NotRemoved, Phrase};
use crate::reply::{self, Answer, Ending, Reply, Text};
use crate::session::Session;
use crate::state::{State, User};
use base::Result;
use codec_pop3::Code;
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{SpecialUse, SystemFlags, UidSet, Write};

/// QUIT.
pub(crate) async fn run(session: &mut Session) -> Answer {
    let Session { wire, state, .. } = session;
    if let State::Transaction(user) = state {
        // First what was read, so that it is known of what is removed, too.
        user.mark_read().await;
        let (left, all) = (remove_all(user).await, user.drop.deleted_count());
        if left > 0 {
            let text = NotRemoved { left, all, language: wire.language }.to_string();
            let (code, text) = (Some(Code::SysTemp), Text::Words(text));
            return Err(Ending::Words(Reply { ok: false, code, text }).into());
        }
    }
    Err(Ending::Words(Reply::ok(Phrase::Goodbye)).into())
}

/// Removes what is marked; gives how many messages are left of it.
async fn remove_all(user: &User) -> usize {
    let mut left = user.drop.deleted_count();
    for (uids, count) in user.drop.deleted(REMOVE_STEP) {
        if let Err(error) = remove(user, uids).await {
            reply::log("QUIT", &error);
            break;
        }
        left -= count;
    }
    left
}

/// What somebody else has removed meanwhile is passed over.
async fn remove(user: &User, uids: UidSet) -> Result<()> {
    let folder = SpecialUse::Inbox.folder_id();
    let mark = Write::Store {
        folder,
        uids: uids.clone(),
        mode: StoreMode::Add,
        flags: NamedFlags { system: SystemFlags::DELETED, keywords: Vec::new() },
        unchanged_since: None,
    };
    user.mailbox.write(mark).await?;
    user.mailbox.write(Write::Expunge { folder, uids: Some(uids) }).await?;
    Ok(())
}
