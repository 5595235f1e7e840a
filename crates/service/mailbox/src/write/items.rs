//! Items.

use crate::unit::Unit;
use base::{Error, FolderId, ItemId, Result};
use bytes::Bytes;
use contract_mailbox::{ItemEdit, NewItem, WriteReply};
use contract_store::BodyError;

fn no() -> Error { Error::internal("items") }
pub(super) fn reserve(_unit: &mut Unit<'_>, _count: u64) -> Result<WriteReply> { Err(no()) }
pub(super) async fn create(_unit: &mut Unit<'_>, _folder: FolderId, _item: &NewItem) -> Result<WriteReply, BodyError> { Err(no().into()) }
pub(super) async fn edit(_unit: &mut Unit<'_>, _item: ItemId, _edit: &ItemEdit) -> Result<WriteReply, BodyError> { Err(no().into()) }
pub(super) async fn set_read(_unit: &mut Unit<'_>, _items: &[ItemId], _read: bool) -> Result<WriteReply, BodyError> { Err(no().into()) }
pub(super) async fn delete(_unit: &mut Unit<'_>, _folder: FolderId, _items: &[ItemId], _hard: bool) -> Result<WriteReply, BodyError> { Err(no().into()) }
pub(super) async fn set_collection_state(_unit: &mut Unit<'_>, _device: &str, _folder: FolderId, _latest: &Bytes) -> Result<WriteReply, BodyError> { Err(no().into()) }
