//! What is needed to fetch the members of a search folder: it stands where the messages are.

use super::super::Reader;
use super::item;
use crate::rows::meta;
use base::{FolderId, Kind, Result, Uid};
use contract_mailbox::MessageMeta;
use contract_store::{BodyError, Isolation, Transaction};
use std::sync::Arc;

/// The meta of members by their UIDs in the search folder; unknown ones are left out.
pub(crate) async fn meta(
    reader: &Reader,
    tx: &dyn Transaction,
    search: FolderId,
    uids: &[Uid],
) -> Result<Vec<(Uid, Arc<MessageMeta>)>, BodyError> {
    let mut found = Vec::with_capacity(uids.len());
    for uid in uids {
        let entry = match item::entry(reader, tx, search, *uid).await {
            Ok(entry) => entry,
            // Not in the index: it has never been a member, or is none any more.
            Err(BodyError::Refused(error)) if error.kind == Kind::Corrupt => continue,
            Err(error) => return Err(error),
        };
        let row = match item::row(reader, tx, entry.item).await {
            Ok(row) => row,
            Err(BodyError::Refused(error)) if error.kind == Kind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let Some(source) = row.uid else { continue };
        let isolation = Isolation::Snapshot;
        let metas = meta::read(tx, reader.keys, row.folder, &[source], isolation).await?;
        found.extend(metas.into_iter().map(|(_, meta)| (*uid, meta)));
    }
    Ok(found)
}
