//! Strict serialisability as a property of random concurrent transactions.
//!
//! Every transaction writes a marker with its versionstamp, so that afterwards it is known which
//! ones happened, whatever their commits answered, and in which order. Then
//!
//! - each transaction's serialisable reads must be what a plain map gives at its place in that
//!   order, and all its reads what the map was at its read version,
//! - an acknowledged commit must be there and a refused one must not,
//! - a transaction must see every commit that was acknowledged before it began,
//! - and the database must end as the map does.

mod model;

use super::{Backend, Context, read_all};
use crate::{
    AtomicOp, Isolation, KeySelector, RangeRead, Retry, StoreError, StoreResult, Transaction,
    Version,
};
use model::{Model, Op, Seen};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Clients that run at the same time.
    pub clients: u64,
    /// Transactions of each.
    pub transactions: u64,
}

/// What happened, for a test to see that something did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Transactions that are in the database.
    pub happened: usize,
    /// Commits refused with a conflict.
    pub conflicts: usize,
    /// Commits whose outcome was reported as unknown.
    pub unknown: usize,
    /// Of these, how many happened.
    pub unknown_happened: usize,
}

/// A small seeded generator (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn key(&mut self) -> String {
        format!("k{:02}", self.below(12))
    }
}

/// One transaction as it was run.
#[derive(Debug)]
struct Run {
    name: String,
    steps: Vec<(Op, Isolation, Seen)>,
    read_version: Version,
    /// The newest version acknowledged to anybody when it began.
    acknowledged: Version,
    outcome: StoreResult<Version>,
    writes: bool,
}

/// Runs random transactions and checks their history. Panics, naming the seed, where it is not
/// serialisable.
pub async fn check(backend: &Arc<dyn Backend>, seed: u64, size: Size) -> Summary {
    let context = Context::new(backend.clone(), format!("serialisability {seed}").as_bytes()).await;
    let acknowledged = Arc::new(AtomicI64::new(0));
    let clients: Vec<_> = (0..size.clients)
        .map(|number| {
            let (context, acknowledged) = (context.clone(), acknowledged.clone());
            let dice = Dice(seed.wrapping_mul(1_000_003).wrapping_add(number));
            tokio::spawn(client(context, number, dice, size.transactions, acknowledged))
        })
        .collect();
    let mut runs = Vec::new();
    for client in clients {
        runs.extend(client.await.unwrap_or_else(|e| panic!("seed {seed}: a client died: {e}")));
    }
    backend.settle().await;
    verify(&context, seed, runs).await
}

async fn client(
    context: Context,
    number: u64,
    mut dice: Dice,
    transactions: u64,
    acknowledged: Arc<AtomicI64>,
) -> Vec<Run> {
    let mut runs = Vec::new();
    for count in 0..transactions {
        let name = format!("{number:03}.{count:05}");
        if let Some(run) = run_one(&context, name, &mut dice, &acknowledged).await {
            runs.push(run);
        }
    }
    runs
}

/// Runs one transaction; `None` if a read failed, so that nothing was committed.
async fn run_one(
    context: &Context,
    name: String,
    dice: &mut Dice,
    acknowledged: &AtomicI64,
) -> Option<Run> {
    let tx = context.begin();
    let seen_before = acknowledged.load(Ordering::SeqCst);
    let read_version = tx.read_version().await.ok()?;
    let mut steps = Vec::new();
    let mut writes = false;
    for _ in 0..1 + dice.below(7) {
        let op = random_op(dice, &name);
        let isolation =
            if dice.below(4) == 0 { Isolation::Snapshot } else { Isolation::Serializable };
        if dice.below(2) == 0 {
            tokio::task::yield_now().await;
        }
        let seen = execute(context, &*tx, &op, isolation).await.ok()?;
        writes |= seen == Seen::Nothing;
        steps.push((op, isolation, seen));
    }
    if writes {
        let marker = [&[0; 10][..], &[0; 4]].concat();
        tx.atomic(AtomicOp::SetVersionstampedValue, &context.key(&format!("m{name}")), &marker);
    }
    let outcome = tx.commit().await.map(|committed| committed.version);
    if let Ok(version) = &outcome {
        acknowledged.fetch_max(*version, Ordering::SeqCst);
    }
    Some(Run { name, steps, read_version, acknowledged: seen_before, outcome, writes })
}

fn random_op(dice: &mut Dice, name: &str) -> Op {
    let value = format!("{name}/{}", dice.below(1000));
    match dice.below(10) {
        0..3 => Op::Get { key: dice.key() },
        3 => Op::First { key: dice.key() },
        4 | 5 => {
            let (begin, end) = (dice.key(), dice.key());
            let limit = 1 + dice.below(5) as usize;
            Op::Range { begin, end, limit, reverse: dice.below(2) == 0 }
        }
        6 | 7 => Op::Set { key: dice.key(), value },
        8 if dice.below(3) == 0 => Op::ClearRange { begin: dice.key(), end: "k06".into() },
        8 => Op::Clear { key: dice.key() },
        _ => Op::Append { key: dice.key(), value: "+".into() },
    }
}

async fn execute(
    context: &Context,
    tx: &dyn Transaction,
    op: &Op,
    isolation: Isolation,
) -> StoreResult<Seen> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let name = |key: &[u8]| key.strip_prefix(&context.prefix[..]).map(text);
    match op {
        Op::Get { key } => {
            let value = tx.get(&context.key(key), isolation).await?;
            return Ok(Seen::Value(value.map(|value| text(&value))));
        }
        Op::First { key } => {
            let selector = KeySelector::first_greater_or_equal(context.key(key));
            let found = tx.get_key(&selector, isolation).await?;
            // Markers come after the keys and are not in the model.
            return Ok(Seen::Key(name(&found).filter(|name| name.starts_with('k'))));
        }
        Op::Range { begin, end, limit, reverse } => {
            let all = RangeRead::all(&context.range(begin, end)).limit(*limit);
            let page = tx.get_range(&RangeRead { reverse: *reverse, ..all }, isolation).await?;
            let row = |row: &crate::KeyValue| (name(&row.key).expect("ours"), text(&row.value));
            return Ok(Seen::Rows { rows: page.rows.iter().map(row).collect(), more: page.more });
        }
        Op::Set { key, value } => tx.set(&context.key(key), value.as_bytes()),
        Op::Clear { key } => tx.clear(&context.key(key)),
        Op::ClearRange { begin, end } if begin < end => tx.clear_range(&context.range(begin, end)),
        Op::ClearRange { .. } => {}
        Op::Append { key, value } => {
            tx.atomic(AtomicOp::AppendIfFits, &context.key(key), value.as_bytes());
        }
    }
    Ok(Seen::Nothing)
}

/// Checks the history against the model.
async fn verify(context: &Context, seed: u64, runs: Vec<Run>) -> Summary {
    let mut stamps = BTreeMap::new();
    let mut database = Model::new();
    let tx = context.begin();
    for row in read_all(&*tx, RangeRead::all(&context.all())).await.expect("the final read") {
        let name = String::from_utf8_lossy(&row.key[context.prefix.len()..]).into_owned();
        match name.strip_prefix('m') {
            Some(marker) => drop(stamps.insert(marker.to_owned(), row.value)),
            None => drop(database.insert(name, String::from_utf8_lossy(&row.value).into_owned())),
        }
    }
    let summary = check_outcomes(seed, &runs, |name| {
        let stamp = stamps.get(name)?;
        Some(Version::from_be_bytes(*stamp.first_chunk().expect("a stamp")))
    });
    let mut order: Vec<(&[u8], &Run)> =
        runs.iter().filter_map(|run| Some((&stamps.get(&run.name)?[..], run))).collect();
    order.sort_by_key(|(stamp, _)| *stamp);
    // The model after each commit; small enough to keep.
    let mut history = vec![(0, Model::new())];
    for (stamp, run) in order {
        let mut model = history.last().expect("one at least").1.clone();
        for (op, isolation, seen) in &run.steps {
            let explained = *isolation == Isolation::Snapshot || op.explains(&model, seen);
            assert!(explained, "seed {seed}: {op:?} saw {seen:?} in {run:#?}, model {model:?}");
            op.apply(&mut model);
        }
        let version = Version::from_be_bytes(*stamp.first_chunk().expect("a stamp"));
        history.push((version, model));
    }
    assert_eq!(history.last().expect("one").1, database, "seed {seed}: the final state");
    for run in &runs {
        check_snapshot(seed, run, &history);
    }
    summary
}

fn check_outcomes(seed: u64, runs: &[Run], stamp: impl Fn(&str) -> Option<Version>) -> Summary {
    let mut summary = Summary::default();
    for run in runs {
        let happened = stamp(&run.name);
        summary.happened += usize::from(happened.is_some());
        assert!(run.read_version >= run.acknowledged, "seed {seed}: a stale read version: {run:?}");
        match &run.outcome {
            Ok(version) if run.writes => {
                assert_eq!(happened, Some(*version), "seed {seed}: {run:?}")
            }
            Ok(version) => assert_eq!(*version, -1, "seed {seed}: {run:?}"),
            Err(error) => match error.retry() {
                Retry::MaybeCommitted | Retry::MayLandLate => {
                    summary.unknown += 1;
                    summary.unknown_happened += usize::from(happened.is_some());
                }
                Retry::Safe | Retry::Never => {
                    summary.conflicts += usize::from(*error == StoreError::Conflict);
                    assert_eq!(happened, None, "seed {seed}: {run:?}");
                }
            },
        }
    }
    summary
}

/// All reads of a transaction, committed or not, must be of its read version.
fn check_snapshot(seed: u64, run: &Run, history: &[(Version, Model)]) {
    let after = history.partition_point(|(version, _)| *version <= run.read_version);
    let mut model = history[after - 1].1.clone();
    for (op, _, seen) in &run.steps {
        let explained = op.explains(&model, seen);
        assert!(explained, "seed {seed}: {op:?} saw {seen:?} in {run:#?}, then was {model:?}");
        op.apply(&mut model);
    }
}
