//! SetCollectionState: what an ActiveSync device was sent last; what was latest becomes previous.

use super::folder::check_exists;
use crate::rows::{self, pieces};
use crate::unit::Unit;
use base::{Error, FolderId, Kind, Result};
use bytes::Bytes;
use contract_mailbox::{CollectionState, WriteReply};
use contract_store::{BodyError, Isolation};

/// The longest name of a device, in bytes.
const DEVICE_BYTES_MAX: usize = 255;

/// The longest state, in bytes; two of them are kept.
const STATE_BYTES_MAX: usize = 1_000_000;

/// The most devices that one folder keeps states of (Exchange lets 100 devices per mailbox by
/// default), as rows: a state is one row as a rule and 23 at most.
const DEVICE_ROWS_MAX: u32 = 500;

/// Refuses one device too many.
async fn check_devices(unit: &Unit<'_>, folder: FolderId) -> Result<(), BodyError> {
    if rows::has_at_least(unit.tx, &unit.keys.collections(folder), DEVICE_ROWS_MAX).await? {
        let text = "The folder keeps states of too many devices";
        return Err(Error::new(Kind::Limit, text).into());
    }
    Ok(())
}

pub(super) async fn set(
    unit: &mut Unit<'_>,
    device: &str,
    folder: FolderId,
    latest: &Bytes,
) -> Result<WriteReply, BodyError> {
    check_exists(unit, folder)?;
    if device.is_empty() || device.len() > DEVICE_BYTES_MAX {
        return Err(Error::invalid("That is no name of a device").into());
    }
    if latest.len() > STATE_BYTES_MAX {
        let text = format!("A device's state has at most {STATE_BYTES_MAX} bytes");
        return Err(Error::new(Kind::Limit, text).into());
    }
    let key = unit.keys.collection(folder, device);
    let old: CollectionState = match pieces::read(unit.tx, &key, Isolation::Serializable).await? {
        Some(row) => rows::decode(&row, "collection")?,
        None => {
            check_devices(unit, folder).await?;
            CollectionState::default()
        }
    };
    let state = CollectionState { previous: old.latest, latest: Some(latest.clone()) };
    pieces::write(unit.tx, &key, &rows::encode(&state)?)?;
    Ok(WriteReply::Done)
}
