//! Plays the steps of one recorded case.

use super::answer::{Answer, Outcome, check_predicates};
use super::text;
use super::{Skip, Vars};
use crate::suite::Context;
use crate::{
    AtomicOp, Isolation, KeyRange, KeySelector, RangeRead, Store, StoreError, StoreResult,
    Transaction,
};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::Value as Json;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long "pending" must last to be believed. A watch that fires wrongly does so at once.
const PENDING: Duration = Duration::from_millis(10);
/// How long to wait for what must come, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

enum Pending {
    Running(BoxFuture<'static, Outcome>),
    Resolved(Outcome),
}

pub(super) struct Player<'a> {
    context: &'a Context,
    store: Arc<dyn Store>,
    transactions: HashMap<String, Arc<dyn Transaction>>,
    /// Those whose name was given to another; they live until the case ends.
    shadowed: Vec<Arc<dyn Transaction>>,
    futures: HashMap<String, Pending>,
    pub(super) vars: Vars,
}

/// A text field of a step.
pub(super) fn field<'j>(step: &'j Json, name: &str) -> &'j str {
    step[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {step}"))
}

impl<'a> Player<'a> {
    pub(super) fn new(context: &'a Context, store: Arc<dyn Store>) -> Self {
        Self {
            context,
            store,
            transactions: HashMap::new(),
            shadowed: Vec::new(),
            futures: HashMap::new(),
            vars: Vars::default(),
        }
    }

    fn tx(&self, step: &Json) -> Arc<dyn Transaction> {
        self.transactions[field(step, "tr")].clone()
    }

    pub(super) fn key(&self, step: &Json, name: &str) -> Vec<u8> {
        text::key(field(step, name), &self.vars)
    }

    fn range(&self, step: &Json) -> KeyRange {
        KeyRange::new(self.key(step, "begin"), self.key(step, "end"))
    }

    fn selector(&self, selector: &Json) -> KeySelector {
        KeySelector {
            key: text::key(selector[0].as_str().expect("a key"), &self.vars).into(),
            or_equal: selector[1] == 1,
            offset: selector[2].as_i64().expect("an offset") as i32,
        }
    }

    fn isolation(step: &Json) -> Isolation {
        if step["snapshot"] == true { Isolation::Snapshot } else { Isolation::Serializable }
    }

    /// Plays one step; `Err` where the contract has no such thing.
    pub(super) async fn step(&mut self, step: &Json) -> Result<(), Skip> {
        match field(step, "op") {
            "begin" => self.begin(step),
            "check" | "stamp_bytes" | "get_approximate_size" => {}
            "sleep" => self.sleep(step).await,
            "setup" | "setup_generated" => self.setup(step).await,
            "dump" | "dump_v" | "get_length" => self.dump(step).await,
            "atomic_grid" => self.atomic_grid(step).await,
            "error_predicates" => check_predicates(step),
            "cmp" => self.compare(step),
            "wait" => self.wait(step).await,
            "destroy" => drop(self.transactions.remove(field(step, "tr"))),
            "option" => option(&*self.tx(step), field(step, "name"))?,
            "set_generated" | "add_read_conflict_key_generated" => self.generated(step),
            _ if self.write(step)? => {}
            _ => self.call(step).await?,
        }
        Ok(())
    }

    fn begin(&mut self, step: &Json) {
        let fresh: Arc<dyn Transaction> = Arc::from(self.store.begin());
        let old = self.transactions.insert(field(step, "tr").to_owned(), fresh);
        self.shadowed.extend(old);
    }

    async fn sleep(&self, step: &Json) {
        let time = Duration::from_millis(step["ms"].as_u64().expect("ms"));
        if !self.context.backend.advance(time).await {
            tokio::time::sleep(time).await;
        }
    }

    async fn setup(&self, step: &Json) {
        let tx = self.store.begin();
        if let Some(count) = step["count"].as_u64() {
            let value = text::bytes(field(step, "value"), &self.vars);
            for number in 0..count {
                tx.set(&text::generated_key(field(step, "key"), number, &self.vars), &value);
            }
        }
        for row in step["kvs"].as_array().into_iter().flatten() {
            let (key, value) = (row[0].as_str().expect("a key"), row[1].as_str().expect("a value"));
            tx.set(&text::key(key, &self.vars), &text::bytes(value, &self.vars));
        }
        tx.commit().await.expect("setup");
    }

    fn generated(&self, step: &Json) {
        let tx = self.tx(step);
        for number in 0..step["count"].as_u64().expect("a count") {
            let key = text::generated_key(field(step, "key"), number, &self.vars);
            if field(step, "op") == "set_generated" {
                tx.set(&key, &text::bytes(field(step, "value"), &self.vars));
            } else {
                tx.add_read_conflict(&KeyRange::single(&key)).expect("no error");
            }
        }
    }

    async fn dump(&self, step: &Json) {
        let tx = self.store.begin();
        let all = RangeRead::all(&KeyRange::new(Bytes::new(), Bytes::from_static(b"\xff")));
        let rows = read_all(&*tx, all, Isolation::Snapshot).await.expect("dump");
        match field(step, "op") {
            "dump" => self.same_rows(&rows, &step["result"], step),
            "dump_v" => {
                let wanted = text::bytes(field(step, "result"), &self.vars);
                assert_eq!(rows.iter().map(|r| r.1.to_vec()).collect::<Vec<_>>(), [wanted]);
            }
            _ => {
                let key = self.key(step, "key");
                let row = rows.iter().find(|row| row.0 == key);
                assert_eq!(row.map(|r| r.1.len() as u64), step["result"].as_u64(), "{step}");
            }
        }
    }

    async fn atomic_grid(&self, step: &Json) {
        let op = atomic_op(field(step, "type")).expect("an operation");
        for row in step["rows"].as_array().expect("rows") {
            let bytes = |at: usize| row[at].as_str().map(|t| text::bytes(t, &self.vars));
            let setup = self.store.begin();
            match bytes(0) {
                Some(value) => setup.set(b"fv/grid", &value),
                None => setup.clear(b"fv/grid"),
            }
            setup.commit().await.expect("setup");
            let tx = self.store.begin();
            tx.atomic(op, b"fv/grid", &bytes(1).expect("a parameter"));
            let own = tx.get(b"fv/grid", Isolation::Serializable).await.expect("read");
            tx.commit().await.expect("commit");
            let tx = self.store.begin();
            let after = tx.get(b"fv/grid", Isolation::Serializable).await.expect("read");
            assert_eq!(
                (own.map(Vec::from), after.map(Vec::from)),
                (bytes(2), bytes(3)),
                "{op:?} {row}"
            );
        }
    }

    fn compare(&self, step: &Json) {
        let (a, b) = (field(step, "a"), field(step, "b"));
        let ordering = match (self.vars.stamps.get(a), self.vars.stamps.get(b)) {
            (Some(a), Some(b)) => a.cmp(b),
            _ => self.vars.number(a).cmp(&self.vars.number(b)),
        };
        assert_eq!(ordering as i64, step["result"].as_i64().expect("a sign"), "{step}");
    }

    /// Plays a call that answers nothing; says whether it was one.
    fn write(&self, step: &Json) -> Result<bool, Skip> {
        let op = field(step, "op");
        let param = |name| text::bytes(field(step, name), &self.vars);
        match op {
            "set" => self.tx(step).set(&self.key(step, "key"), &param("value")),
            "clear" => self.tx(step).clear(&self.key(step, "key")),
            "clear_range" => self.tx(step).clear_range(&self.range(step)),
            "atomic" => {
                let kind = atomic_op(field(step, "type"))
                    .ok_or_else(|| Skip::new("atomic", field(step, "type")))?;
                self.tx(step).atomic(kind, &self.key(step, "key"), &param("param"));
            }
            "reset" => self.tx(step).reset(),
            "cancel" => self.tx(step).cancel(),
            "set_read_version" => {
                let version = match step["var"].as_str() {
                    Some(name) => self.vars.number(name) + step["delta"].as_i64().unwrap_or(0),
                    None => step["value"].as_i64().expect("a version"),
                };
                self.tx(step).set_read_version(version);
            }
            "add_read_conflict_key" | "add_write_conflict_key" => {
                let range = KeyRange::single(&self.key(step, "key"));
                self.add_conflict(op, step, &range);
            }
            "add_read_conflict_range" | "add_write_conflict_range" => {
                self.add_conflict(op, step, &self.range(step));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn add_conflict(&self, op: &str, step: &Json, range: &KeyRange) {
        let tx = self.tx(step);
        let outcome = if op.starts_with("add_read") {
            tx.add_read_conflict(range)
        } else {
            tx.add_write_conflict(range)
        };
        let code = outcome.err().map(|error| i64::from(error.code()));
        assert_eq!(code, step["error"].as_i64(), "{step}");
    }

    /// Plays a call that answers later.
    async fn call(&mut self, step: &Json) -> Result<(), Skip> {
        let mut running = self.start(step)?;
        let Some(name) = step["fut"].as_str() else {
            let outcome = running.await;
            self.check(&outcome, step);
            return Ok(());
        };
        // A future of the C API works from the start; ours must be polled for that.
        let first = futures::poll!(&mut running);
        let pending = match first {
            std::task::Poll::Ready(outcome) => Pending::Resolved(outcome),
            std::task::Poll::Pending => Pending::Running(running),
        };
        self.futures.insert(name.to_owned(), pending);
        Ok(())
    }

    fn start(&self, step: &Json) -> Result<BoxFuture<'static, Outcome>, Skip> {
        let op = field(step, "op").to_owned();
        let known = [
            "get",
            "get_key",
            "get_range",
            "get_range_all",
            "get_read_version",
            "commit",
            "watch",
            "get_committed_version",
            "get_versionstamp",
            "on_error",
        ];
        if !known.contains(&op.as_str()) {
            return Err(Skip::new("operation", &op));
        }
        let tx = self.tx(step);
        let isolation = Self::isolation(step);
        Ok(match op.as_str() {
            "get" => {
                let key = self.key(step, "key");
                async move { tx.get(&key, isolation).await.map(Answer::Value) }.boxed()
            }
            "get_key" => {
                let selector = self.selector(&step["sel"]);
                async move { tx.get_key(&selector, isolation).await.map(Answer::Key) }.boxed()
            }
            "get_range" | "get_range_all" => self.start_range(tx, step, isolation)?,
            "get_read_version" => {
                async move { tx.read_version().await.map(Answer::Number) }.boxed()
            }
            "get_committed_version" => {
                let version = tx.committed_version();
                async move { Ok(Answer::Number(version)) }.boxed()
            }
            "commit" => async move { tx.commit().await.map(|_| Answer::Done) }.boxed(),
            "watch" => tx.watch(&self.key(step, "key")).map(|r| r.map(|()| Answer::Done)).boxed(),
            "get_versionstamp" => tx.versionstamp().map(|r| r.map(Answer::Stamp)).boxed(),
            _ => {
                let error = StoreError::from_code(step["code"].as_i64().expect("a code") as i32);
                let was_reset = step["transaction_was_reset"].as_bool();
                async move {
                    tx.on_error(error).await?;
                    if was_reset == Some(true) {
                        assert_eq!(tx.approximate_size(), 0, "the write is still there");
                    }
                    Ok(Answer::Done)
                }
                .boxed()
            }
        })
    }

    fn start_range(
        &self,
        tx: Arc<dyn Transaction>,
        step: &Json,
        isolation: Isolation,
    ) -> Result<BoxFuture<'static, Outcome>, Skip> {
        let limit = step["limit"].as_i64().unwrap_or(0);
        let code = step["error"].as_i64();
        if limit < -1 || matches!(code, Some(2000 | 2012 | 2210)) {
            return Err(Skip::new("range read", "streaming modes"));
        }
        // Page cuts are not promised: where the recorded page ended early, ours ends there too.
        let page = &step["result"];
        let recorded_rows = page["count"]
            .as_u64()
            .or_else(|| page["kvs"].as_array().map(|rows| rows.len() as u64))
            .filter(|_| page["more"] == 1);
        if recorded_rows == Some(0) {
            return Err(Skip::new("range read", "an empty page"));
        }
        let read = RangeRead {
            begin: self.selector(&step["begin"]),
            end: self.selector(&step["end"]),
            limit: recorded_rows.unwrap_or(limit.max(0) as u64) as usize,
            target_bytes: 0,
            reverse: step["reverse"] == true,
        };
        Ok(async move { read_all(&*tx, read, isolation).await.map(Answer::Rows) }.boxed())
    }

    async fn wait(&mut self, step: &Json) {
        let name = field(step, "fut");
        let pending = self.futures.remove(name).unwrap_or_else(|| panic!("no future {name}"));
        let expects_pending = step["result"] == "pending";
        let patience = if expects_pending { PENDING } else { PATIENCE };
        let resolved = match pending {
            Pending::Resolved(outcome) => Ok(outcome),
            Pending::Running(mut running) => {
                match tokio::time::timeout(patience, &mut running).await {
                    Ok(outcome) => Ok(outcome),
                    Err(_) => Err(running),
                }
            }
        };
        let kept = match resolved {
            Ok(outcome) => {
                assert!(!expects_pending, "{name} must be pending but is {outcome:?}");
                self.check(&outcome, step);
                Pending::Resolved(outcome)
            }
            Err(running) => {
                assert!(expects_pending, "{name} never resolved: {step}");
                Pending::Running(running)
            }
        };
        self.futures.insert(name.to_owned(), kept);
    }
}

/// All pages of a range read.
async fn read_all(
    tx: &dyn Transaction,
    read: RangeRead,
    isolation: Isolation,
) -> StoreResult<Vec<(Bytes, Bytes)>> {
    let mut rows = Vec::new();
    let mut next = Some(read);
    while let Some(read) = next {
        let page = tx.get_range(&read, isolation).await?;
        next = read.after(&page);
        rows.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
    }
    Ok(rows)
}

fn option(tx: &dyn Transaction, name: &str) -> Result<(), Skip> {
    match name {
        // Promises weaker than ours, so nothing to do.
        "causal_read_risky" | "causal_write_risky" => {}
        "priority_batch" => tx.set_batch_priority(),
        _ => return Err(Skip::new("option", name)),
    }
    Ok(())
}

fn atomic_op(name: &str) -> Option<AtomicOp> {
    Some(match name {
        "add" => AtomicOp::Add,
        "bit_and" => AtomicOp::BitAnd,
        "bit_or" => AtomicOp::BitOr,
        "bit_xor" => AtomicOp::BitXor,
        "append_if_fits" => AtomicOp::AppendIfFits,
        "max" => AtomicOp::Max,
        "min" => AtomicOp::Min,
        "byte_max" => AtomicOp::ByteMax,
        "byte_min" => AtomicOp::ByteMin,
        "compare_and_clear" => AtomicOp::CompareAndClear,
        "set_versionstamped_key" => AtomicOp::SetVersionstampedKey,
        "set_versionstamped_value" => AtomicOp::SetVersionstampedValue,
        _ => return None,
    })
}
