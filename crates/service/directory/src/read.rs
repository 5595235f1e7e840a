//! Reading rows, for lookups (snapshot) and within changes (serializable).

use crate::keys;
use crate::names::Name;
use crate::rows::{AccountRow, DomainRow, GroupRow, MemberRow, NameRow, PasswordRow, Row};
use base::{AccountId, Address, Deadline, Error, Result};
use contract_directory::{Account, Group, GroupId};
use contract_store::{
    BodyError, Isolation, KeyRange, KeyValue, RangeRead, Store, Transaction, transact,
};
use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

/// How long the store may take to answer one question. Whoever is at the other end (a recipient is
/// named, somebody signs in) is told to try again within ten seconds, however long the store is
/// away; a recovery of eight is waited for.
pub(crate) const LOOKUP_TIME: Duration = Duration::from_secs(10);

pub(crate) type ReadResult<T> = Result<T, BodyError>;

/// Typed reads over one transaction.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) tx: &'a dyn Transaction,
    isolation: Isolation,
}

/// Runs a read-only body on one version of the store, within [`LOOKUP_TIME`].
///
/// # Errors
/// The body's; [`base::Kind::Unavailable`] where the store does not answer in time.
pub(crate) async fn view<T, F>(store: &Arc<dyn Store>, body: F) -> Result<T>
where
    T: Send,
    F: for<'a> Fn(Reader<'a>) -> BoxFuture<'a, ReadResult<T>> + Send,
{
    view_by(store, Deadline::after(LOOKUP_TIME), body).await
}

/// As [`view`], for a question that takes several looks: all of them have one deadline.
///
/// # Errors
/// As [`view`].
pub(crate) async fn view_by<T, F>(store: &Arc<dyn Store>, deadline: Deadline, body: F) -> Result<T>
where
    T: Send,
    F: for<'a> Fn(Reader<'a>) -> BoxFuture<'a, ReadResult<T>> + Send,
{
    struct View<F>(F);
    impl<T, F> contract_store::Body<T> for View<F>
    where
        F: for<'a> Fn(Reader<'a>) -> BoxFuture<'a, ReadResult<T>> + Send,
    {
        fn run<'a>(
            &'a mut self,
            tx: &'a dyn Transaction,
            _: contract_store::Attempt,
        ) -> BoxFuture<'a, ReadResult<T>> {
            (self.0)(Reader { tx, isolation: Isolation::Snapshot })
        }
    }
    in_time(deadline, transact(store, View(body))).await
}

/// Waits for something of the store's, which may be dropped anywhere, until the deadline.
///
/// # Errors
/// Its own; [`base::Kind::Unavailable`] where it takes longer.
pub(crate) async fn in_time<T>(
    deadline: Deadline,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout_at(deadline.instant(), work).await {
        Ok(done) => done,
        // Nothing was to be changed, so nothing is uncertain: not a timeout for whoever asked.
        Err(_) => Err(Error::unavailable("the store did not answer the directory in time")),
    }
}

impl<'a> Reader<'a> {
    /// Reads that take part in conflict detection, for changes.
    pub(crate) fn serializable(tx: &'a dyn Transaction) -> Self {
        Self { tx, isolation: Isolation::Serializable }
    }

    /// How it reads.
    pub(crate) fn isolation(&self) -> Isolation {
        self.isolation
    }

    pub(crate) async fn row<R: Row>(&self, key: &[u8]) -> ReadResult<Option<R>> {
        match self.tx.get(key, self.isolation).await? {
            Some(bytes) => Ok(Some(R::from_bytes(key, &bytes)?)),
            None => Ok(None),
        }
    }

    /// All rows of a range, at most `limit` (0: all).
    pub(crate) async fn rows(
        &self,
        range: &KeyRange,
        limit: usize,
        reverse: bool,
    ) -> ReadResult<Vec<KeyValue>> {
        let mut read = RangeRead::all(range).limit(limit);
        read.reverse = reverse;
        let mut rows = Vec::new();
        loop {
            let page = self.tx.get_range(&read, self.isolation).await?;
            let next = read.after(&page);
            rows.extend(page.rows);
            match next {
                Some(following) => read = following,
                None => return Ok(rows),
            }
        }
    }

    pub(crate) async fn account(&self, id: AccountId) -> ReadResult<Option<Account>> {
        Ok(self.row::<AccountRow>(&keys::account(id)).await?.map(Account::from))
    }

    /// As [`Reader::account`], for a future that outlives the borrow of the reader.
    pub(crate) async fn account_owned(self, id: AccountId) -> ReadResult<Option<Account>> {
        self.account(id).await
    }

    pub(crate) async fn password(&self, id: AccountId) -> ReadResult<Option<PasswordRow>> {
        self.row(&keys::password(id)).await
    }

    pub(crate) async fn name(&self, name: &Name) -> ReadResult<Option<NameRow>> {
        self.row(&keys::name(name)).await
    }

    pub(crate) async fn domain(&self, name: &str) -> ReadResult<Option<DomainRow>> {
        self.row(&keys::domain(name)).await
    }

    pub(crate) async fn default_domain(&self) -> ReadResult<Option<String>> {
        match self.tx.get(keys::DEFAULT_DOMAIN, self.isolation).await? {
            Some(bytes) => match String::from_utf8(bytes.into()) {
                Ok(name) => Ok(Some(name)),
                Err(_) => Err(Error::corrupt("row C/D is no domain name").into()),
            },
            None => Ok(None),
        }
    }

    pub(crate) async fn members(&self, id: GroupId) -> ReadResult<Vec<Address>> {
        let rows = self.rows(&keys::members(id), 0, false).await?;
        let members = rows
            .iter()
            .map(|row| Ok(MemberRow::from_bytes(&row.key, &row.value)?.address()))
            .collect::<Result<_>>()?;
        Ok(members)
    }

    pub(crate) async fn group(&self, id: GroupId) -> ReadResult<Option<Group>> {
        let Some(row) = self.row::<GroupRow>(&keys::group(id)).await? else {
            return Ok(None);
        };
        let members = self.members(id).await?;
        Ok(Some(row.group(id, members)))
    }
}
