//! COPY and MOVE from one person's mailbox to another's.
//!
//! No transaction spans two mailboxes. The messages are read and stored anew, and appended in
//! batches; should one fail, what was appended is expunged again, so that the client finds all of
//! them or none. MOVE expunges them at their old place when all are at the new one: where it breaks
//! off before, they are at both (RFC 6851 §3.3 prefers that to losing any).

use super::{How, copy_uid, gone};
use crate::command::failed;
use crate::reply::{Answer, Reply, ReplyCode, Stop};
use crate::selection::Selection;
use crate::session::Session;
use crate::state::User;
use crate::sync;
use base::{Error, FolderId, Kind, Timestamp, Uid};
use codec_imap::Code;
use contract_blob::{Blobs, Content};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::{Copied, StoreMode};
use contract_mailbox::{MailboxHandle, MessageMeta, NewMessage, SystemFlags, UidSet};
use futures::StreamExt;
use std::sync::Arc;

/// The most messages of one command: they are all read again, and the client waits.
const MESSAGES_MAX: usize = 1_000;

/// Messages that are appended in one transaction.
const BATCH: usize = 8;

/// Where to.
pub(super) struct Target {
    /// Where it is not the user's own mailbox.
    pub(super) visitor: Option<Box<User>>,
    pub(super) folder: FolderId,
}

/// One message on its way.
struct Parcel {
    uid: Uid,
    flags: NamedFlags,
    received: Timestamp,
}

/// COPY, MOVE.
pub(super) async fn run(
    session: &mut Session,
    selection: &Selection,
    target: Target,
    how: How,
    uid: bool,
) -> Answer {
    let (_, selected) = session.state.selected()?;
    if how == How::Move && !selected.may_delete() {
        return Err(Reply::no(Code::NoPerm, "You may not remove messages here").into());
    }
    if selection.len() > MESSAGES_MAX {
        let text = format!("At most {MESSAGES_MAX} messages go to another mailbox at once");
        return Err(Reply::no(Code::Limit, text).into());
    }
    let view = &selected.view;
    let parcel = |row| {
        let (flags, _) = view.flags(row);
        let keywords = view.keywords().names(flags.keywords).map(str::to_owned).collect();
        Some(Parcel {
            uid: view.uid(row)?,
            flags: NamedFlags { system: flags.system, keywords },
            received: Timestamp::from_unix_s(view.received_s(row)),
        })
    };
    let parcels: Vec<Parcel> = selection.rows().filter_map(parcel).collect();
    let from = selected.folder;
    let source = &session.state.here()?.mailbox;
    let into = match &target.visitor {
        Some(visitor) => &visitor.mailbox,
        None => &session.state.user()?.mailbox,
    };
    let mut copied = Copied { uid_validity: 0, pairs: Vec::with_capacity(parcels.len()) };
    for batch in parcels.chunks(BATCH) {
        let step = copy(&session.shared.blobs, (source, from), (into, target.folder), batch);
        if let Err(error) = step.await.map(|step| take(&mut copied, step)) {
            undo(into, target.folder, &copied).await;
            return Err(refused(error));
        }
    }
    if copied.pairs.is_empty() {
        return gone(uid);
    }
    let code = copy_uid(&copied);
    if how == How::Copy {
        return Ok(Reply::ok("Copied").code(code));
    }
    let uids: UidSet = copied.pairs.iter().map(|(uid, _)| *uid).collect();
    expunge(source, from, uids).await.map_err(|error| failed("MOVE", error))?;
    let (user, selected) = session.state.selected()?;
    // Who goes by modification sequences is to know that of the removal.
    if user.enabled.condstore {
        sync::catch_up_own(user, selected, from).await;
    }
    for (uid, _) in &copied.pairs {
        selected.view.vanish(*uid);
    }
    session.wire.condition(None, &Reply::ok("Moved").code(code));
    Ok(Reply::ok("Done").code(ReplyCode::UpToDate))
}

fn take(copied: &mut Copied, step: Copied) {
    if !step.pairs.is_empty() {
        copied.uid_validity = step.uid_validity;
        copied.pairs.extend(step.pairs);
    }
}

/// A missing target folder may be made by the client (RFC 3501 §6.4.7).
fn refused(error: Error) -> Stop {
    match error.kind {
        Kind::NotFound => crate::reply::of_target_error(&error).into(),
        _ => failed("COPY", error),
    }
}

/// Copies some messages; those that are gone meanwhile are left out.
async fn copy(
    blobs: &Arc<dyn Blobs>,
    (source, from): (&MailboxHandle, FolderId),
    (into, to): (&MailboxHandle, FolderId),
    batch: &[Parcel],
) -> base::Result<Copied> {
    let (mut messages, mut uids) = (Vec::with_capacity(batch.len()), Vec::new());
    for parcel in batch {
        let page = source.meta_page(from, vec![parcel.uid]).await?;
        let Some((_, meta)) = page.found.into_iter().next() else { continue };
        messages.push(store_anew(blobs, parcel, &meta).await?);
        uids.push(parcel.uid);
    }
    if messages.is_empty() {
        return Ok(Copied { uid_validity: 0, pairs: Vec::new() });
    }
    let (uid_validity, new) = into.append(to, messages).await?;
    Ok(Copied { uid_validity, pairs: uids.into_iter().zip(new).collect() })
}

/// The message with blobs of its own.
async fn store_anew(
    blobs: &Arc<dyn Blobs>,
    parcel: &Parcel,
    meta: &MessageMeta,
) -> base::Result<NewMessage> {
    let mut upload = blobs.upload();
    let mut bytes = meta.content.read(blobs);
    while let Some(chunk) = bytes.next().await {
        upload.write(chunk?).await?;
    }
    let staged = upload.finish().await?;
    Ok(NewMessage {
        content: Content::of(&staged),
        staged: vec![staged],
        parsed: Arc::new(meta.parsed.clone()),
        flags: parcel.flags.clone(),
        received: Some(parcel.received),
    })
}

/// Takes back what was appended. Who may put messages there but remove none leaves them.
async fn undo(into: &MailboxHandle, folder: FolderId, copied: &Copied) {
    let uids: UidSet = copied.pairs.iter().map(|(_, uid)| *uid).collect();
    if !uids.is_empty()
        && let Err(error) = expunge(into, folder, uids).await
    {
        crate::reply::log("COPY", &error);
    }
}

async fn expunge(mailbox: &MailboxHandle, folder: FolderId, uids: UidSet) -> base::Result<()> {
    let deleted = NamedFlags { system: SystemFlags::DELETED, keywords: Vec::new() };
    mailbox.store(folder, uids.clone(), StoreMode::Add, deleted, None).await?;
    mailbox.expunge(folder, Some(uids)).await?;
    Ok(())
}
