//! Hashing a password anew, when its owner has just shown it: after the parameters changed, or
//! where the salt was shared by many provisioned accounts.
//!
//! The password stays the same, so nobody's cache needs to know and it is no change for the audit.
//! It is a courtesy: where it fails, or takes too long, the sign-in succeeds all the same.

use crate::keys;
use crate::read::{ReadResult, Reader, in_time};
use crate::rows::{PasswordRow, Row};
use crate::service::Shared;
use base::{AccountId, Deadline, Result};
use contract_directory::Secret;
use contract_store::{Attempt, Body, Transaction, transact};
use futures::FutureExt;
use futures::future::BoxFuture;

/// Replaces the row, unless somebody changed it meanwhile.
pub(crate) async fn rehash(
    shared: &Shared,
    id: AccountId,
    old: PasswordRow,
    password: &Secret,
    deadline: Deadline,
) {
    if let Err(error) = replace(shared, id, old, password, deadline).await {
        tracing::info!(account = %id, %error, "the password could not be hashed anew");
    }
}

async fn replace(
    shared: &Shared,
    id: AccountId,
    old: PasswordRow,
    password: &Secret,
    deadline: Deadline,
) -> Result<()> {
    let phc = shared.login.hasher.hash(password, &*shared.env.random).await?;
    let replace = Replace { id, old, new: PasswordRow { phc, shared_salt: false } };
    // The commit is a task of its own: it may go on behind the deadline.
    in_time(deadline, transact(&shared.store, replace)).await
}

struct Replace {
    id: AccountId,
    old: PasswordRow,
    new: PasswordRow,
}

/// May run twice: the second time the old row is no longer there.
impl Body<()> for Replace {
    fn run<'a>(&'a mut self, tx: &'a dyn Transaction, _: Attempt) -> BoxFuture<'a, ReadResult<()>> {
        async move {
            if Reader::serializable(tx).password(self.id).await?.as_ref() == Some(&self.old) {
                tx.set(&keys::password(self.id), &self.new.to_bytes()?);
            }
            Ok(())
        }
        .boxed()
    }
}
