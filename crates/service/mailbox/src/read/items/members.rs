//! What is needed to fetch the members of a search folder: it stands where the messages are.

use super::super::{Reader, entries};
use super::item;
use crate::rows::meta::{self, Found};
use base::{FolderId, Kind, Uid};
use contract_mailbox::IndexEntry;
use contract_mailbox::request::META_REPLY_BYTES_MAX;
use contract_store::{BodyError, Isolation, Transaction};
use futures::future::try_join_all;

/// How many members are looked up at once.
const AT_ONCE: usize = 32;

/// The meta of members by their UIDs in the search folder, in pages as [`meta::read`] gives them;
/// unknown ones are left out.
pub(crate) async fn meta(
    reader: &Reader,
    tx: &dyn Transaction,
    search: FolderId,
    uids: &[Uid],
) -> Result<(Found, Option<Uid>), BodyError> {
    let members = entries::of(reader, tx, search, uids).await?;
    let (mut found, mut bytes) = (Vec::with_capacity(members.len()), 0);
    for some in members.chunks(AT_ONCE) {
        let metas = try_join_all(some.iter().map(|entry| one(reader, tx, entry))).await?;
        for (uid, meta) in metas.into_iter().flatten() {
            let size = meta::size_of(&meta);
            if !found.is_empty() && bytes + size > META_REPLY_BYTES_MAX {
                return Ok((found, Some(uid)));
            }
            bytes += size;
            found.push((uid, meta));
        }
    }
    Ok((found, None))
}

async fn one(
    reader: &Reader,
    tx: &dyn Transaction,
    member: &IndexEntry,
) -> Result<Option<(Uid, std::sync::Arc<contract_mailbox::MessageMeta>)>, BodyError> {
    let row = match item::row(reader, tx, member.item).await {
        Ok(row) => row,
        Err(BodyError::Refused(error)) if error.kind == Kind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(source) = row.uid else { return Ok(None) };
    let isolation = Isolation::Snapshot;
    let (metas, _) = meta::read(tx, reader.keys, row.folder, &[source], isolation).await?;
    Ok(metas.into_iter().next().map(|(_, meta)| (member.uid, meta)))
}
