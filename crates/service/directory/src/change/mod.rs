//! Changing the directory: every change is one transaction of rows, audit record, feed row and
//! operation marker.
//!
//! A [`Plan`] reads what it depends on and sets rows; [`run`] adds the rest and commits. After an
//! unknown commit the marker tells whether the change happened, so it never happens twice and is
//! never audited twice. This node's caches drop what changed before the caller hears of it.
//!
//! Ids come from a counter row: they are never reused by construction, need no tombstones and
//! grow with age. Two creations at the same instant conflict and one is retried; random ids would
//! spare that, but creations are rare and bulk creation takes 500 ids at a time.

pub(crate) mod account_create;
pub(crate) mod account_remove;
pub(crate) mod account_update;
pub(crate) mod contact;
pub(crate) mod domain;
mod flow;
pub(crate) mod group;
mod membership;
pub(crate) mod record;

use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader};
use crate::rows::{AuditRow, Changed, FeedRow, MarkerRow, NameRow, NextIdRow, Row, Target};
use crate::service::Shared;
use crate::telemetry;
use crate::validate::shown;
use async_trait::async_trait;
use base::{Address, Error, Kind, QueueId, Result, Timestamp};
use contract_directory::{Actor, AuditRecord, DomainKind};
use contract_store::{AtomicOp, Attempt, Body, Transaction, transact};
use futures::FutureExt;
use futures::future::BoxFuture;

/// One change of the directory.
#[async_trait]
pub(crate) trait Plan: Send + Sync {
    /// The verb for audit and metrics: `account.create`.
    fn action(&self) -> &'static str;

    /// Reads and sets rows; tells what it did. Called once per attempt, so it must not remember.
    async fn apply(&self, reader: Reader<'_>, now: Timestamp) -> ReadResult<Effects>;
}

/// What a plan did.
pub(crate) struct Effects {
    /// The id it was about; 0 where there is none.
    pub(crate) id: u64,
    /// What the caches must drop.
    pub(crate) changed: Vec<Changed>,
    /// To whom or what, for the audit.
    pub(crate) target: String,
    /// With which parameters, for the audit; no secrets.
    pub(crate) parameters: String,
}

/// Makes a change and gives the id it was about.
pub(crate) async fn run(shared: &Shared, actor: &Actor, plan: &dyn Plan) -> Result<u64> {
    let now = shared.env.clock.now();
    // Shaped like a queue id: old markers are one range.
    let operation = QueueId::new(now, shared.env.random.u128()).0;
    let change = Change { actor, plan, now, operation, attempted: Vec::new() };
    let (id, changed) = transact(&shared.store, change).await?;
    shared.cache.drop_changed(&changed);
    telemetry::change(plan.action());
    Ok(id)
}

struct Change<'p> {
    actor: &'p Actor,
    plan: &'p dyn Plan,
    now: Timestamp,
    operation: u128,
    /// What the last attempt changed, if it got so far as to be committed.
    attempted: Vec<Changed>,
}

impl Body<(u64, Vec<Changed>)> for Change<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        attempt: Attempt,
    ) -> BoxFuture<'a, ReadResult<(u64, Vec<Changed>)>> {
        self.attempt(tx, attempt).boxed()
    }
}

impl Change<'_> {
    async fn attempt(
        &mut self,
        tx: &dyn Transaction,
        attempt: Attempt,
    ) -> ReadResult<(u64, Vec<Changed>)> {
        let reader = Reader::serializable(tx);
        let marker = keys::marker(self.operation);
        if attempt.maybe_committed
            && let Some(done) = reader.row::<MarkerRow>(&marker).await?
        {
            return Ok((done.id, self.attempted.clone()));
        }
        let effects = self.plan.apply(reader, self.now).await?;
        let Effects { id, changed, target, parameters } = effects;
        let audit = AuditRow::from(AuditRecord {
            at: self.now,
            actor: self.actor.clone(),
            action: self.plan.action().to_owned(),
            target,
            parameters,
        });
        let feed = FeedRow { at_ms: self.now.unix_ms, changed: changed.clone() };
        let stamped = AtomicOp::SetVersionstampedKey;
        tx.atomic(stamped, &keys::new_audit_record(), &audit.to_bytes()?);
        tx.atomic(stamped, &keys::new_feed_entry(), &feed.to_bytes()?);
        // The head is the stamp itself: ten bytes to be filled in, then where: at 0.
        tx.atomic(AtomicOp::SetVersionstampedValue, keys::HEAD, &[0; 14]);
        tx.set(&marker, &MarkerRow { id }.to_bytes()?);
        self.attempted.clone_from(&changed);
        Ok((id, changed))
    }
}

/// Takes `count` ids and gives the first.
async fn take_ids(reader: Reader<'_>, count: u64) -> ReadResult<u64> {
    let row = reader.row::<NextIdRow>(keys::NEXT_ID).await?;
    let first = row.map_or(1, |row| row.next);
    reader.tx.set(keys::NEXT_ID, &NextIdRow { next: first + count }.to_bytes()?);
    Ok(first)
}

/// Refuses a domain in which no address of ours can be.
async fn check_domain(reader: Reader<'_>, domain: &str) -> ReadResult<()> {
    match reader.domain(domain).await? {
        None => Err(Error::not_found(format!("the accepted domain {domain}")).into()),
        Some(row) if row.kind == DomainKind::ExternalRelay => {
            let text = format!("domain {domain}: an external relay domain has no recipients here");
            Err(Error::invalid(text).into())
        }
        Some(_) => Ok(()),
    }
}

/// Refuses an address that is somebody else's; whether it is already this one's.
async fn check_free(
    reader: Reader<'_>,
    name: &Name,
    address: &Address,
    whose: Option<Target>,
) -> ReadResult<bool> {
    match reader.name(name).await? {
        None => Ok(false),
        Some(row) if Some(row.target) == whose => Ok(true),
        Some(_) => Err(taken(address).into()),
    }
}

fn taken(address: &Address) -> Error {
    Error::new(Kind::AlreadyExists, format!("address {} is taken", shown(address)))
}

fn set_name(tx: &dyn Transaction, name: &Name, target: Target, primary: bool) -> Result<()> {
    tx.set(&keys::name(name), &NameRow { target, primary }.to_bytes()?);
    Ok(())
}
