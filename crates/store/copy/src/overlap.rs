//! Source and target may be the same database under two names, with the keys of one inside those
//! of the other. Names cannot tell; so a row is written into one and looked for in the other.

use crate::progress;
use base::{Error, Result};
use bytes::Bytes;
use contract_store::{Attempt, Body, BodyError, Isolation, Store, Transaction, transact};
use futures::future::BoxFuture;
use std::sync::Arc;

/// Where the keys of one store would stand in the other if both were in one database.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Overlap {
    /// What the target's keys would begin with in the source; `None` where they cannot be there.
    pub target_in_source: Option<Bytes>,
    /// What the source's keys would begin with in the target.
    pub source_in_target: Option<Bytes>,
}

impl Overlap {
    /// Refuses if they are in one database. Leaves nothing behind.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`]; the stores'.
    pub(crate) async fn refuse(
        &self,
        source: &Arc<dyn Store>,
        target: &Arc<dyn Store>,
        run: u128,
    ) -> Result<()> {
        let both =
            [(&self.target_in_source, target, source), (&self.source_in_target, source, target)];
        for (prefix, written, seen) in both {
            let Some(prefix) = prefix else { continue };
            let own: Bytes = [progress::KEY, b"-probe", &run.to_be_bytes()].concat().into();
            let there = [&prefix[..], &own].concat().into();
            transact(written, Put { key: own.clone(), is_there: true }).await?;
            let found = transact(seen, Find { key: there }).await?;
            transact(written, Put { key: own, is_there: false }).await?;
            if found {
                let text = "Source and target are in the same database, one within the other's \
                            keys; give them prefixes of which neither begins with the other";
                return Err(Error::invalid(text));
            }
        }
        Ok(())
    }
}

struct Put {
    key: Bytes,
    is_there: bool,
}

impl Body<()> for Put {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            match self.is_there {
                true => tx.set(&self.key, b""),
                false => tx.clear(&self.key),
            }
            Ok(())
        })
    }
}

struct Find {
    key: Bytes,
}

impl Body<bool> for Find {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<bool, BodyError>> {
        Box::pin(async move { Ok(tx.get(&self.key, Isolation::Snapshot).await?.is_some()) })
    }
}
