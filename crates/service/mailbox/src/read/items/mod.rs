//! Questions about items rather than messages.

mod changes;
mod find;
mod item;
mod members;
mod read_by;

pub(super) use members::meta as meta_of_members;

use super::Reader;
use crate::rows::{self, pieces};
use base::{Change, Error, Result};
use contract_mailbox::{CollectionState, Read, ReadReply};
use contract_store::{BodyError, Isolation, Transaction};

pub(super) async fn read(
    reader: &Reader,
    request: &Read,
    tx: &dyn Transaction,
    retried: bool,
) -> Result<ReadReply, BodyError> {
    Ok(match request {
        Read::Item(id) => ReadReply::Item(Box::new(item::read(reader, tx, *id).await?)),
        Read::ItemChanges { folder, since, limit } => {
            if retried && *since != Change(0) && !reader.knows_since(tx, *folder, *since).await? {
                return Err(changes::begin_anew().into());
            }
            let (changes, more) = changes::read(reader, tx, *folder, *since, *limit).await?;
            ReadReply::ItemChanges(changes, more)
        }
        Read::ByHref { folder, href } => {
            let id = find::by_href(reader, tx, *folder, href).await?;
            ReadReply::Item(Box::new(item::read(reader, tx, id).await?))
        }
        Read::BySourceKey { folder, source_key } => {
            let id = find::by_source_key(reader, tx, *folder, source_key).await?;
            ReadReply::Item(Box::new(item::read(reader, tx, id).await?))
        }
        Read::CollectionState { device, folder } => {
            reader.folder(*folder)?;
            let key = reader.keys.collection(*folder, device);
            ReadReply::CollectionState(match pieces::read(tx, &key, Isolation::Snapshot).await? {
                Some(row) => rows::decode(&row, "collection")?,
                None => CollectionState::default(),
            })
        }
        Read::ReadBy { folder } => ReadReply::ReadBy(read_by::read(reader, tx, *folder).await?),
        other => return Err(Error::internal(format!("{other:?} is no read of items")).into()),
    })
}
