//! Manifests that were read lately, so that reading a blob need not look them up.
//!
//! A blob's bytes never change, so an entry can only become useless, never wrong: after
//! collection the chunks are gone and the reader looks again. Two generations of bounded size:
//! what is used stays, what was not used while the younger one filled up goes.

use crate::rows::Manifest;
use contract_blob::BlobId;
use parking_lot::Mutex;
use std::collections::HashMap;

/// Entries in each generation; about 100 bytes each.
const GENERATION_MAX: usize = 4096;

#[derive(Default)]
pub(crate) struct ManifestCache(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    young: HashMap<BlobId, Manifest>,
    old: HashMap<BlobId, Manifest>,
}

impl ManifestCache {
    pub(crate) fn get(&self, id: BlobId) -> Option<Manifest> {
        let mut cache = self.0.lock();
        if let Some(found) = cache.young.get(&id) {
            return Some(*found);
        }
        let found = cache.old.remove(&id)?;
        cache.put(id, found);
        Some(found)
    }

    pub(crate) fn put(&self, id: BlobId, manifest: Manifest) {
        self.0.lock().put(id, manifest);
    }

    pub(crate) fn remove(&self, id: BlobId) {
        let mut cache = self.0.lock();
        cache.young.remove(&id);
        cache.old.remove(&id);
    }
}

impl Generations {
    fn put(&mut self, id: BlobId, manifest: Manifest) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, manifest);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::rows::UploadId;

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let cache = ManifestCache::default();
        let manifest = Manifest::new(UploadId(7), 5).unwrap();
        let id = |n: usize| {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_le_bytes());
            BlobId(id)
        };
        for n in 0..GENERATION_MAX * 5 {
            cache.put(id(n), manifest);
            assert_eq!(cache.get(id(0)), Some(manifest), "after {n}");
        }
        let cached = cache.0.lock();
        assert!(cached.young.len() + cached.old.len() <= 2 * GENERATION_MAX);
        drop(cached);
        assert_eq!(cache.get(id(1)), None);
        cache.remove(id(0));
        assert_eq!(cache.get(id(0)), None);
    }
}
