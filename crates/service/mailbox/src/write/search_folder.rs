//! Search folders.

use crate::unit::Unit;
use base::{Error, FolderId, Result};
use contract_mailbox::{Search, WriteReply};
use contract_store::BodyError;

pub(super) async fn create(_unit: &mut Unit<'_>, _parent: FolderId, _name: &str, _scope: &[FolderId], _search: &Search) -> Result<WriteReply, BodyError> { Err(Error::internal("search folder").into()) }
