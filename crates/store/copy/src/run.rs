//! One run of a copy: claim the source, write batch by batch, compare, and the ending, in which at
//! no moment both stores may be served.

use crate::copy::{Copy, Failed, Summary};
use crate::marks::{Claim, Look, SetMoved, Whose};
use crate::pages::{self, PAGE_BYTES, Rows};
use crate::patience::Patience;
use crate::progress::{Phase, Progress, ProgressRow};
use crate::rules::Rules;
use crate::steps::{Begin, Finish, Retract, Step, Stood};
use base::{Error, Kind, Result};
use bytes::Bytes;
use contract_store::{Body, KeyRange, KeyValue, Store, transact};
use std::sync::Arc;
use tokio::sync::watch;

/// See the module's words.
pub(crate) struct Run<'c> {
    copy: &'c Copy,
    id: u128,
    told: &'c watch::Sender<Progress>,
    patience: Patience<'c>,
    /// Whether "done" may have been written into the target, by this run or by one before it.
    may_be_done: bool,
    /// Whether this run has found that the target is whole.
    is_compared: bool,
}

impl<'c> Run<'c> {
    pub(crate) fn new(copy: &'c Copy, told: &'c watch::Sender<Progress>) -> Self {
        let patience = Patience { clock: &*copy.env.clock, limit: copy.patience, told };
        // 0 is nobody's.
        let id = copy.env.random.u128().max(1);
        Self { copy, id, told, patience, may_be_done: false, is_compared: false }
    }

    pub(crate) async fn run(mut self) -> Result<Summary, Failed> {
        let state = match self.go_to_end().await {
            Ok(state) => state,
            Err(error) => self.settle(error).await?,
        };
        self.told.send_replace(told(Phase::Done, &state));
        let ProgressRow { written, .. } = state;
        Ok(Summary { rows: written.rows, bytes: written.bytes, hash: written.hash })
    }

    async fn go_to_end(&mut self) -> Result<ProgressRow> {
        let Copy { source, target, overlap, source_name, start, .. } = self.copy;
        self.patience.tried(|| overlap.refuse(source, target, self.id)).await?;
        self.may_be_done = self.done(source, self.claim()).await?;
        let begin = Begin { source: source_name, start: *start, run: self.id };
        let mut state = self.done(target, begin).await?;
        self.may_be_done = false;
        let mut ahead: Option<(Bytes, Rows)> = None;
        while let Some(from) = state.next.clone() {
            self.told.send_replace(told(Phase::Copying, &state));
            let page = match ahead.take() {
                Some((at, page)) if at == from => page,
                _ => self.read(from).await?,
            };
            let next = page.next.clone();
            let read_ahead = async {
                match next {
                    Some(next) => Ok(Some((next.clone(), self.read(next).await?))),
                    None => Ok(None),
                }
            };
            (state, ahead) = futures::try_join!(self.write(state, page), read_ahead)?;
        }
        self.compare(&state).await?;
        self.done(source, SetMoved(self.claim())).await?;
        (self.may_be_done, self.is_compared) = (true, true);
        self.done(target, Finish { state: &state }).await?;
        Ok(state)
    }

    fn claim(&self) -> Claim<'c> {
        let Copy { target_name, is_source_shared, .. } = self.copy;
        Claim { to: target_name, run: self.id, is_shared: *is_source_shared }
    }

    /// Runs a transaction until it is known to have happened. All of ours may be tried again.
    async fn done<T: Send>(&self, store: &Arc<dyn Store>, body: impl Body<T> + Clone) -> Result<T> {
        self.patience.tried(|| transact(store, body.clone())).await
    }

    async fn read(&self, from: Bytes) -> Result<Rows> {
        self.patience.tried(|| pages::read(&self.copy.source, from.clone())).await
    }

    /// Writes a page in as many transactions as its size asks for; gives the new state.
    async fn write(&self, mut state: ProgressRow, page: Rows) -> Result<ProgressRow> {
        let Rows { rows, next } = page;
        let mut rows = rows.into_iter().peekable();
        loop {
            let (mut new, mut batch, mut size) = (state.clone(), Vec::new(), 0);
            while let Some(row) = rows.next_if(|row| size == 0 || size + cost(row) <= PAGE_BYTES) {
                size += cost(&row);
                new.next = Some(KeyRange::single(&row.key).end);
                if let Some(row) = self.copy.rules.apply(row, &mut new.stamps)? {
                    new.written.add(&row);
                    batch.push(row);
                }
            }
            let is_last = rows.peek().is_none();
            if is_last {
                new.next = next.clone();
            }
            let step = Step { old: &state, new: &new, rows: &batch };
            if let Some(found) = self.done(&self.copy.target, step).await? {
                // A commit of unknown outcome, or one that landed late, has brought it further.
                return Ok(found);
            }
            state = new;
            if is_last {
                return Ok(state);
            }
        }
    }

    /// Reads source and target again and compares them with what was written.
    async fn compare(&self, state: &ProgressRow) -> Result<()> {
        let verifying = told(Phase::Verifying, state);
        let report = |verified_rows| {
            self.told.send_replace(Progress { verified_rows, ..verifying });
        };
        let as_it_is = Rules::default();
        let Copy { source, target, rules, .. } = self.copy;
        let (source, target) = futures::try_join!(
            pages::digest(source, rules, &self.patience, |_| {}),
            pages::digest(target, &as_it_is, &self.patience, report),
        )?;
        if target != state.written {
            let (found, written) = (target.rows, state.written.rows);
            return Err(Error::corrupt(format!(
                "the target does not hold what was written: {found} rows, {written} were written"
            )));
        }
        if source != state.written {
            let (found, written) = (source.rows, state.written.rows);
            let text = format!(
                "The source has changed since the copy began ({found} rows, {written} were \
                 copied): copy it anew"
            );
            return Err(Error::new(Kind::Conflict, text));
        }
        Ok(())
    }

    /// After a failure: finds out whether the target is done after all. If not, makes sure that it
    /// cannot become so and takes the mark off the source.
    async fn settle(&self, error: Error) -> Result<ProgressRow, Failed> {
        match self.find_out().await {
            Ok(Some(state)) if self.is_compared => Ok(state),
            // An earlier run has done it, and this one could not look at it again.
            Ok(Some(_)) => Err(Failed { error, is_settled: false }),
            Ok(None) => Err(Failed { error, is_settled: true }),
            Err(unsettled) => {
                tracing::warn!(error = %unsettled, "whether the copy is done is not known");
                Err(Failed { error, is_settled: false })
            }
        }
    }

    /// `Some` if the target is done, `None` if it is not and the source is open again.
    async fn find_out(&self) -> Result<Option<ProgressRow>> {
        let Copy { source, target, source_name, .. } = self.copy;
        let another = || Error::new(Kind::Conflict, "The source has the mark of another copy");
        let is_moved = match self.done(source, Look { run: self.id, clears: false }).await? {
            Whose::Anothers => return Err(another()),
            Whose::Ours { is_moved } => is_moved,
            Whose::Nobodys => false,
        };
        if self.may_be_done || is_moved {
            let retract = Retract { source: source_name };
            match self.done(target, retract).await? {
                Stood::Done(state) => return Ok(Some(state)),
                Stood::Unfinished => {}
            }
        }
        match self.done(source, Look { run: self.id, clears: true }).await? {
            Whose::Anothers => Err(another()),
            Whose::Ours { .. } | Whose::Nobodys => Ok(None),
        }
    }
}

/// What a row adds to a transaction, about: key, value, and the key's conflict range.
fn cost(row: &KeyValue) -> usize {
    3 * row.key.len() + row.value.len() + 32
}

fn told(phase: Phase, state: &ProgressRow) -> Progress {
    let ProgressRow { written, .. } = state;
    Progress { phase, rows: written.rows, bytes: written.bytes, ..Progress::default() }
}
