//! Search.

use crate::read::Reader;
use base::{Error, FolderId, Result, Uid};
use contract_mailbox::Search;

pub(crate) async fn run(
    _reader: &Reader,
    _folder: FolderId,
    search: &Search,
) -> Result<Vec<Uid>> {
    Err(Error::internal(format!("{search:?}")))
}
