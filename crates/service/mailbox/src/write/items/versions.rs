//! Litigation hold: before an item's content is changed its old version is copied to Recoverable
//! Items/Versions, in the same transaction (copy-on-write page protection, as Exchange calls it).

use super::edit;
use crate::associated;
use crate::message::{self, Transfer};
use crate::rows::ItemRow;
use crate::unit::Unit;
use base::ItemId;
use contract_mailbox::SpecialUse;
use contract_store::BodyError;

/// Keeps an item as it is now.
pub(super) async fn keep(
    unit: &mut Unit<'_>,
    item: ItemId,
    row: &ItemRow,
) -> Result<(), BodyError> {
    let versions = SpecialUse::Versions.folder_id();
    let Some(uid) = row.uid else {
        return associated::transfer(unit, item, row, versions, Transfer::Copy).await;
    };
    let entry = unit.entry(row.folder, uid).await?;
    let meta = edit::shown(unit, row, &entry).await?;
    message::transfer(unit, row.folder, &entry, meta, versions, Transfer::Copy).await?;
    Ok(())
}
