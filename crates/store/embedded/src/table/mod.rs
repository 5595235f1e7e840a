//! What is committed: the newest versions in memory, everything older in the table file.
//!
//! ```text
//! newest   active generation      written by the committer, read by everybody
//!          frozen generations     read only, waiting for the applier
//! oldest   table file (redb)      one read transaction of it, as of version `base`
//! ```
//!
//! A [`View`] holds these together: a consistent picture of all versions from its base on. Reads
//! go from the newest layer to the oldest and take the first answer that is not newer than their
//! version. Views are replaced when a generation is frozen or applied; a replaced view is kept
//! for as long as a transaction may read through it (five seconds) and then dropped, whoever still
//! refers to it: transactions hold weak references, so that a forgotten transaction can never pin
//! pages of the table file.

pub(crate) mod current;
pub(crate) mod file;
pub(crate) mod generation;
pub(crate) mod merge;

#[cfg(test)]
mod tests;

use bytes::Bytes;
use contract_store::{StoreResult, Version};
use file::FileSnapshot;
use generation::{Found, Generation};
use std::sync::Arc;

/// See the module's words.
pub(crate) struct View {
    /// The version of the table file's snapshot.
    pub(crate) base: Version,
    pub(crate) file: Arc<FileSnapshot>,
    /// Newest first; the first is the active one at the time of making.
    pub(crate) generations: Vec<Arc<Generation>>,
}

impl View {
    /// The value of a key at a version that is not before `base`.
    pub(crate) fn get(&self, key: &[u8], version: Version) -> StoreResult<Option<Bytes>> {
        for generation in &self.generations {
            match generation.get(key, version) {
                Found::Value(value) => return Ok(Some(value)),
                Found::Removed => return Ok(None),
                Found::Nothing => {}
            }
        }
        self.file.get(key)
    }
}
