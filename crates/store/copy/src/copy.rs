//! What is to be copied, and what comes of it.

use crate::overlap::Overlap;
use crate::progress::Progress;
use crate::rules::Rules;
use crate::run::Run;
use base::Error;
use base::env::Env;
use contract_store::Store;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What to do with a target in which a copy has begun before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Start {
    /// Go on where it stands.
    #[default]
    Resume,
    /// Throw away what it has brought, and begin anew. Only what an unfinished copy of the same
    /// data has brought: a finished one must be found to differ by a [`Start::Resume`] first.
    Anew,
}

/// What a finished copy has moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Rows in the target.
    pub rows: u64,
    /// Their keys and values, in bytes.
    pub bytes: u64,
    /// A hash over all of them.
    pub hash: [u8; 32],
}

/// A copy that has not come to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// Why.
    pub error: Error,
    /// Whether it is certain that the target is not whole and that nothing of this copy can make
    /// it so any more, and the source has no mark: it may be written again. Where not, the target
    /// may be in use already; to copy into it once more is safe, to write into the source is not.
    pub is_settled: bool,
}

/// One copy. See the crate's words.
pub struct Copy {
    /// Time and chance.
    pub env: Env,
    /// Where the data is; it must stand still.
    pub source: Arc<dyn Store>,
    /// Names the data, so that a copy is never gone on with from other data.
    pub source_name: String,
    /// Whether other processes may have the source open; then a mark closes it for all who write
    /// through [`crate::GatedStore::shared`].
    pub is_source_shared: bool,
    /// Where it goes: an empty store, or one into which a copy of the same data has begun.
    pub target: Arc<dyn Store>,
    /// Names the target for people; the source remembers it.
    pub target_name: String,
    /// How source and target would be within each other.
    pub overlap: Overlap,
    /// What becomes of rows with versionstamps.
    pub rules: Rules,
    /// What to do if it has begun before.
    pub start: Start,
    /// For how long a store may be away before the copy is given up.
    pub patience: Duration,
}

impl Copy {
    /// Copies to the end, compares, marks the source as moved and the target as done. May be
    /// dropped at any time and called again, even when it is done: then it only compares.
    /// `progress` is told how far it has come. Takes what a store may be away on top of its work.
    ///
    /// # Errors
    /// [`base::Kind::AlreadyExists`] for a target with other data in it,
    /// [`base::Kind::Conflict`] if the source changed meanwhile, moves elsewhere, or is half a copy
    /// itself, [`base::Kind::Invalid`] if both are in one database, [`base::Kind::Corrupt`] if
    /// source or target cannot be read back as they were written; those of the stores.
    pub async fn run(&self, progress: &watch::Sender<Progress>) -> Result<Summary, Failed> {
        Run::new(self, progress).run().await
    }
}
