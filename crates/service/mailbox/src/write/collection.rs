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
        None => CollectionState::default(),
    };
    let state = CollectionState { previous: old.latest, latest: Some(latest.clone()) };
    pieces::write(unit.tx, &key, &rows::encode(&state)?)?;
    Ok(WriteReply::Done)
}
