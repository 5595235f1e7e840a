//! The transactions on the target. Each compares the progress row with what it expects and writes
//! it: of two that read the same row only one can commit, however late.

use crate::copy::Start;
use crate::progress::{KEY, ProgressRow, is_empty};
use base::{Error, Kind};
use bytes::Bytes;
use contract_store::{Attempt, Body, BodyError, Isolation, KeyRange, KeyValue, Transaction};
use futures::future::BoxFuture;

/// Finds the state of the target, or makes the first one in an empty target; it is this run's from
/// now on, and not done.
#[derive(Clone, Copy)]
pub(crate) struct Begin<'c> {
    pub(crate) source: &'c str,
    pub(crate) start: Start,
    pub(crate) run: u128,
}

impl Body<ProgressRow> for Begin<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<ProgressRow, BodyError>> {
        Box::pin(async move {
            let run = self.run;
            let state = match ProgressRow::read(tx, Isolation::Serializable).await? {
                // An earlier attempt of ours has happened.
                Some(found) if found.run == run => return Ok(found),
                Some(found) if found.source != self.source => {
                    let word = if found.done { "a finished" } else { "an unfinished" };
                    return Err(occupied(format!("{word} copy of {}", found.source)));
                }
                Some(found) if self.start == Start::Resume => {
                    ProgressRow { done: false, run, ..found }
                }
                Some(found) if found.done => {
                    return Err(occupied(
                        "a finished copy; only without --anew is that compared, and opened again \
                         if the source has changed"
                            .to_owned(),
                    ));
                }
                Some(_) => {
                    tracing::info!("throwing away an unfinished copy");
                    tx.clear_range(&KeyRange::new(Bytes::new(), Bytes::from_static(b"\xff")));
                    ProgressRow::new(self.source, run)
                }
                None if is_empty(tx).await? => ProgressRow::new(self.source, run),
                None => {
                    let text =
                        "The target holds data already; only an empty store can be copied to";
                    return Err(Error::new(Kind::AlreadyExists, text).into());
                }
            };
            tx.set(KEY, &state.encode()?);
            Ok(state)
        })
    }
}

fn occupied(by: String) -> BodyError {
    Error::new(Kind::AlreadyExists, format!("The target holds {by}")).into()
}

/// Writes rows and the new state, if the state is still the old one; else gives what it is.
#[derive(Clone, Copy)]
pub(crate) struct Step<'c> {
    pub(crate) old: &'c ProgressRow,
    pub(crate) new: &'c ProgressRow,
    pub(crate) rows: &'c [KeyValue],
}

impl Body<Option<ProgressRow>> for Step<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Option<ProgressRow>, BodyError>> {
        Box::pin(async move {
            tx.set_batch_priority();
            match ProgressRow::read(tx, Isolation::Serializable).await? {
                Some(found) if found == *self.old => {}
                Some(found) if found.run == self.new.run => return Ok(Some(found)),
                _ => return Err(taken_away().into()),
            }
            for row in self.rows {
                tx.set(&row.key, &row.value);
            }
            tx.set(KEY, &self.new.encode()?);
            Ok(None)
        })
    }
}

/// Notes that the target is whole.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'c> {
    pub(crate) state: &'c ProgressRow,
}

impl Body<()> for Finish<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<(), BodyError>> {
        Box::pin(async move {
            let done = ProgressRow { done: true, ..self.state.clone() };
            match ProgressRow::read(tx, Isolation::Serializable).await? {
                Some(found) if found == *self.state => tx.set(KEY, &done.encode()?),
                Some(found) if found == done => {}
                _ => return Err(taken_away().into()),
            }
            Ok(())
        })
    }
}

/// How a target stood when it was taken from every run.
pub(crate) enum Stood {
    /// All of it is there.
    Done(ProgressRow),
    /// Not all of it, and that can change only by another run.
    Unfinished,
}

/// Makes the target nobody's if it is not done, so that no run's commit can land in it any more.
#[derive(Clone, Copy)]
pub(crate) struct Retract<'c> {
    pub(crate) source: &'c str,
}

impl Body<Stood> for Retract<'_> {
    fn run<'a>(
        &'a mut self,
        tx: &'a dyn Transaction,
        _attempt: Attempt,
    ) -> BoxFuture<'a, Result<Stood, BodyError>> {
        Box::pin(async move {
            match ProgressRow::read(tx, Isolation::Serializable).await? {
                // It was taken into use, so it was done; or somebody has cleared it. Who knows.
                None => Err(taken_away().into()),
                // Other data stands there now: what we wrote is gone.
                Some(found) if found.source != self.source => Ok(Stood::Unfinished),
                Some(found) if found.done => Ok(Stood::Done(found)),
                Some(found) => {
                    tx.set(KEY, &ProgressRow { run: 0, ..found }.encode()?);
                    Ok(Stood::Unfinished)
                }
            }
        })
    }
}

fn taken_away() -> Error {
    Error::new(Kind::Conflict, "Somebody else has written into the target meanwhile")
}
