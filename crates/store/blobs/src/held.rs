//! Whether a blob that somebody names is really there.

use crate::{StoreBlobs, rows};
use base::Result;
use contract_blob::{BlobId, Holder};
use contract_store::{Isolation, body, transact};

impl StoreBlobs {
    /// Whether a blob is there and this holder holds it, so that it will stay.
    ///
    /// # Errors
    /// [`base::Kind::Corrupt`] for a damaged manifest; the store's.
    pub async fn is_held(&self, id: BlobId, holder: &Holder) -> Result<bool> {
        let look = body((id, holder), |(id, holder), tx, _| {
            Box::pin(async move {
                let key = rows::reference_key(*id, holder);
                let reference = tx.get(&key, Isolation::Snapshot).await?;
                let manifest = rows::manifest(tx, *id, Isolation::Snapshot).await?;
                Ok(manifest.is_some() && reference.is_some())
            })
        });
        transact(&self.shared.store, look).await
    }
}
