//! COPY and MOVE from one person's mailbox to another's.
//!
//! No transaction spans two mailboxes. The messages are read and stored anew, and appended in
//! batches; should one fail, what was appended is expunged again, so that the client finds all of
//! them or none. MOVE expunges them at their old place when all are at the new one: where it breaks
//! off before, they are at both (RFC 6851 §3.3 prefers that to losing any). What somebody else took
//! away meanwhile is his: its copies are expunged again.

use super::{How, copy_uid, gone};
use crate::command::{bring_up_to_date, failed};
use crate::reply::{Answer, Reply, ReplyCode, Stop};
use crate::selection::Selection;
use crate::session::Session;
use crate::state::User;
use crate::sync;
use crate::view::View;
use base::{Change, Error, FolderId, Kind, Timestamp, Uid};
use codec_imap::Code;
use contract_blob::{Blobs, Content};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::{Copied, StoreMode};
use contract_mailbox::{
    MailboxHandle, MessageMeta, NewMessage, SystemFlags, UidSet, Write, WriteReply,
};
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

/// A folder of a mailbox.
type Place<'m> = (&'m MailboxHandle, FolderId);

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
    let (here, selected) = session.state.selected()?;
    if how == How::Move && !selected.may_delete() {
        return Err(Reply::no(Code::NoPerm, "You may not remove messages here").into());
    }
    if selection.len() > MESSAGES_MAX {
        let text = format!("At most {MESSAGES_MAX} messages go to another mailbox at once");
        return Err(Reply::no(Code::Limit, text).into());
    }
    // The flags are those of now, whoever changed them.
    bring_up_to_date(here, selected, "COPY").await?;
    let parcels = parcels(&selected.view, selection);
    let (from, since) = (selected.folder, selected.view.since());
    let source = (&session.state.here()?.mailbox, from);
    let into = match &target.visitor {
        Some(visitor) => (&visitor.mailbox, target.folder),
        None => (&session.state.user()?.mailbox, target.folder),
    };
    let shutdown = session.wire.connection.shutdown().clone();
    let mut copied = Copied { uid_validity: 0, pairs: Vec::with_capacity(parcels.len()) };
    for batch in parcels.chunks(BATCH) {
        let step = match shutdown.is_cancelled() {
            true => Err(Error::unavailable("the node stops")),
            false => copy_batch(&session.shared.blobs, source, into, batch, &mut copied).await,
        };
        if let Err(error) = step {
            undo(into, copied.pairs.iter().map(|(_, uid)| *uid).collect()).await;
            return Err(refused(error));
        }
    }
    if copied.pairs.is_empty() {
        return gone(uid);
    }
    if how == How::Copy {
        return Ok(Reply::ok("Copied").code(copy_uid(&copied)));
    }
    let uids: UidSet = copied.pairs.iter().map(|(uid, _)| *uid).collect();
    let (went, outcome) = remove(source, since, uids).await.map_err(|e| failed("MOVE", e))?;
    let stays = copied.pairs.iter().filter(|(uid, _)| !went.contains(*uid));
    undo(into, stays.map(|(_, uid)| *uid).collect()).await;
    outcome.map_err(|error| failed("MOVE", error))?;
    copied.pairs.retain(|(uid, _)| went.contains(*uid));
    if copied.pairs.is_empty() {
        return gone(uid);
    }
    let (user, selected) = session.state.selected()?;
    // Who goes by modification sequences is to know that of the removal.
    if user.enabled.condstore {
        sync::catch_up_own(user, selected, from).await;
    }
    for (uid, _) in &copied.pairs {
        selected.view.vanish(*uid);
    }
    session.wire.condition(None, &Reply::ok("Moved").code(copy_uid(&copied)));
    Ok(Reply::ok("Done").code(ReplyCode::UpToDate))
}

fn parcels(view: &View, selection: &Selection) -> Vec<Parcel> {
    let parcel = |row| {
        let (flags, _) = view.flags(row);
        let keywords = view.keywords().names(flags.keywords).map(str::to_owned).collect();
        Some(Parcel {
            uid: view.uid(row)?,
            flags: NamedFlags { system: flags.system, keywords },
            received: Timestamp::from_unix_s(view.received_s(row)),
        })
    };
    selection.rows().filter_map(parcel).collect()
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

/// Copies a batch: at once, or one by one where it is too large for one transaction.
async fn copy_batch(
    blobs: &Arc<dyn Blobs>,
    source: Place<'_>,
    into: Place<'_>,
    batch: &[Parcel],
    copied: &mut Copied,
) -> base::Result<()> {
    let step = copy(blobs, source, into, batch).await;
    if batch.len() > 1 && step.as_ref().is_err_and(|error| error.kind == Kind::Limit) {
        for parcel in batch.chunks(1) {
            take(copied, copy(blobs, source, into, parcel).await?);
        }
        return Ok(());
    }
    take(copied, step?);
    Ok(())
}

/// Copies some messages; those that are gone meanwhile are left out.
async fn copy(
    blobs: &Arc<dyn Blobs>,
    (source, from): Place<'_>,
    (into, to): Place<'_>,
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
async fn undo(into: Place<'_>, uids: UidSet) {
    if uids.is_empty() {
        return;
    }
    let mut done = mark(into, &uids).await;
    if done.is_ok() {
        done = expunge(into, uids).await.map(drop);
    }
    if let Err(error) = done {
        crate::reply::log("COPY", &error);
    }
}

/// Removes messages from their old place: those that went, and what became of it for the others.
/// One that somebody else has moved or expunged at the same time went with him, not with us.
///
/// # Errors
/// Where it is not known what went, or may yet go.
async fn remove(
    from: Place<'_>,
    since: Change,
    uids: UidSet,
) -> base::Result<(UidSet, base::Result<()>)> {
    match mark(from, &uids).await {
        Err(error) if !error.is_temporary() => return Ok((UidSet::default(), Err(error))),
        marked => marked?,
    }
    match expunge(from, uids.clone()).await {
        Ok(Some(went)) => Ok((went, Ok(()))),
        Ok(None) => Ok((gone_since(from, since, &uids).await?, Ok(()))),
        Err(error) if error.is_temporary() => Err(error),
        Err(error) => Ok((gone_since(from, since, &uids).await?, Err(error))),
    }
}

/// Sets \Deleted. The answer says nothing that is needed.
async fn mark((mailbox, folder): Place<'_>, uids: &UidSet) -> base::Result<()> {
    let (uids, mode) = (uids.clone(), StoreMode::Add);
    let flags = NamedFlags { system: SystemFlags::DELETED, keywords: Vec::new() };
    let request = Write::Store { folder, uids, mode, flags, unchanged_since: None };
    mailbox.write(request).await.map(drop)
}

/// Expunges; gives those that this has expunged, `None` where they were too many to be told.
async fn expunge((mailbox, folder): Place<'_>, uids: UidSet) -> base::Result<Option<UidSet>> {
    match mailbox.write(Write::Expunge { folder, uids: Some(uids) }).await? {
        WriteReply::Expunged(went) => Ok(Some(went)),
        WriteReply::LookAgain => Ok(None),
        _ => Err(Error::internal("EXPUNGE: an answer of another kind")),
    }
}

/// Which of some messages are gone since they were there.
async fn gone_since(
    (mailbox, folder): Place<'_>,
    since: Change,
    uids: &UidSet,
) -> base::Result<UidSet> {
    let delta = mailbox.delta(folder, since).await?;
    if delta.complete {
        return Ok(delta.vanished.into_iter().filter(|uid| uids.contains(*uid)).collect());
    }
    let view = mailbox.view(folder).await?;
    let there: UidSet = view.entries().map(|entry| entry.uid).collect();
    Ok(uids.iter().filter(|uid| !there.contains(*uid)).collect())
}
