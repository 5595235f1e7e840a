//! The store of a node, whichever it is: where it is, how it is opened, looked at and closed.

pub(crate) mod copy;
mod place;
pub(crate) mod verify;

pub(crate) use place::StorePlace;

use base::env::{DiskLock, Env};
use base::{Error, Kind, Result};
use bytes::Bytes;
use contract_store::{Isolation, Store, body, transact};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use store_copy::GatedStore;
use store_embedded::EmbeddedStore;
use store_foundationdb::FoundationDb;

/// How long a cluster may take to answer when a store is opened.
const REACH_TIME: Duration = Duration::from_secs(10);

/// Keeps a second node off a data directory whose store is elsewhere.
const NODE_LOCK: &str = "node.lock";

/// An open store.
#[derive(Clone)]
pub(crate) enum Backend {
    /// On this machine's disk.
    Embedded(Arc<EmbeddedStore>),
    /// In a cluster.
    FoundationDb(Arc<FoundationDb>),
}

/// What the tests of chaos-tests may break in a store.
#[derive(Clone, Copy, Default)]
pub(crate) struct Opening {
    /// A deliberate fault.
    #[cfg(feature = "mutants")]
    pub mutant: Option<crate::mutant::Mutant>,
}

impl Backend {
    /// Opens a store. An embedded one is made where there is none.
    ///
    /// # Errors
    /// [`Kind::Unavailable`], with words for an operator.
    pub(crate) async fn open(place: &StorePlace, opening: Opening, env: &Env) -> Result<Self> {
        match place {
            StorePlace::Embedded { .. } => open_embedded(place, opening, env).await,
            StorePlace::FoundationDb { cluster_file, key_prefix, library } => {
                let options = store_foundationdb::Options {
                    cluster_file: cluster_file.clone(),
                    library: library.clone(),
                    prefix: Bytes::from(key_prefix.clone().into_bytes()),
                    ..store_foundationdb::Options::new(env.clock.clone())
                };
                let opened = FoundationDb::open(options)
                    .map_err(|error| Error::new(Kind::Unavailable, error.to_string()))?;
                if !opened.reaches(REACH_TIME).await {
                    let seconds = REACH_TIME.as_secs();
                    let text = format!("{place}: the cluster has not answered for {seconds} s");
                    return Err(Error::new(Kind::Unavailable, text));
                }
                Ok(Self::FoundationDb(opened))
            }
        }
    }

    /// The store itself.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Embedded(store) => store.clone(),
            Self::FoundationDb(store) => store.clone(),
        }
    }

    /// The store behind a gate that a copy closes: that of this process where nobody else can have
    /// the store open, else one in the store, for all of them.
    pub(crate) fn gated(&self) -> Arc<GatedStore> {
        match self.is_shared() {
            true => GatedStore::shared(self.store()),
            false => GatedStore::new(self.store()),
        }
    }

    /// Whether other processes may have it open at the same time.
    pub(crate) fn is_shared(&self) -> bool {
        match self {
            Self::Embedded(_) => false,
            Self::FoundationDb(_) => true,
        }
    }

    /// Whether it answers: a sentence for people, or what is wrong. What passes by itself (a
    /// recovery of the database) is not told; whoever asks says how long that may take.
    pub(crate) async fn answers(&self) -> Result<String, String> {
        read_something(&self.store()).await.map_err(|error| error.to_string())?;
        match self {
            Self::Embedded(store) if store.stats().disk_full => Err("the disk is full".to_owned()),
            Self::Embedded(store) => Ok(format!("embedded, {} commits", store.stats().commits)),
            Self::FoundationDb(_) => Ok("foundationdb answers".to_owned()),
        }
    }

    /// Ends well: what was begun is finished, an embedded store is put in order.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if the store had stopped before, with the reason.
    pub(crate) async fn close(&self) -> Result<()> {
        match self {
            Self::Embedded(store) => {
                let closed = store.close().await;
                closed.map_err(|error| Error::unavailable(format!("closing the store: {error}")))
            }
            Self::FoundationDb(store) => {
                store.drain().await;
                Ok(())
            }
        }
    }
}

async fn read_something(store: &Arc<dyn Store>) -> Result<()> {
    let read = body((), |(), tx, _| {
        Box::pin(async move {
            tx.get(b"\x00health", Isolation::Snapshot).await?;
            Ok(())
        })
    });
    transact(store, read).await
}

/// Keeps the data directory of a node for it alone. The embedded store has a lock of its own, in
/// the same directory; this one is for nodes whose store is elsewhere.
///
/// # Errors
/// [`Kind::Unavailable`] if another node has it.
pub(crate) fn lock_data(data: &Path, env: &Env) -> Result<Box<dyn DiskLock>> {
    let path = data.join(NODE_LOCK);
    env.disk.lock(&path).map_err(|error| {
        let text = if error.kind() == std::io::ErrorKind::WouldBlock {
            format!("{}: another node runs on this data directory", data.display())
        } else {
            format!("{}: {error}", path.display())
        };
        Error::new(Kind::Unavailable, text)
    })
}

#[cfg_attr(not(feature = "mutants"), allow(unused_variables))]
async fn open_embedded(place: &StorePlace, opening: Opening, env: &Env) -> Result<Backend> {
    let Some(dir) = place.embedded_dir() else {
        return Err(Error::internal("not an embedded store"));
    };
    let options = store_embedded::Options::new(dir.clone(), env.clone());
    #[cfg(feature = "mutants")]
    let options = store_embedded::Options {
        mutant: opening.mutant.and_then(crate::mutant::Mutant::of_store),
        ..options
    };
    let opening = tokio::task::spawn_blocking(move || EmbeddedStore::open(options));
    let opened = opening.await.map_err(Error::internal)?;
    let opened = opened
        .map_err(|error| Error::new(Kind::Unavailable, format!("{}: {error}", dir.display())))?;
    Ok(Backend::Embedded(opened))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use store_memory::{Faults, MemoryStore};

    #[tokio::test(start_paused = true)]
    async fn one_error_that_passes_is_not_told() {
        for seed in 0..20 {
            let store = MemoryStore::seeded(Env::real().clock, seed);
            store.inject(Faults { busy: 0.5, too_old: 0.2, ..Faults::default() });
            let store: Arc<dyn Store> = Arc::new(store);
            read_something(&store).await.unwrap();
        }
    }
}
