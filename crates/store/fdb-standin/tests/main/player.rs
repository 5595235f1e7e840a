//! Plays the steps of one recorded case through the C functions.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::api::{Database, Fut, Paging, Selector, Transaction};
use crate::names::{Rows, all_pages, atomic_op, mode, option};
use contract_store::suite::vectors::{Vars, text};
use fdb_standin::c::network::fdb_error_predicate;
use fdb_standin::server::ServerHandle;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long "pending" must last to be believed. A watch that fires wrongly does so at once.
const PENDING: Duration = Duration::from_millis(30);
/// How long to wait for what must come, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer sleeps are for versions to grow old; the server can do that at once.
const REAL_SLEEP_MS: u64 = 1_000;

/// Which value a future gives.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Done,
    Value,
    Key,
    Rows,
    Number,
    Stamp,
}

#[derive(Debug)]
enum Answer {
    Done,
    Value(Option<Vec<u8>>),
    Key(Vec<u8>),
    Rows(Rows),
    Number(i64),
    Stamp(Vec<u8>),
}

pub(crate) struct Player<'a> {
    server: &'a ServerHandle,
    database: Database,
    /// The handle that the last `database_option` made.
    that: Option<(Database, Transaction)>,
    transactions: HashMap<String, Transaction>,
    /// Those whose name was given to another; they live until the case ends.
    shadowed: Vec<Transaction>,
    futures: HashMap<String, (Kind, Fut)>,
    vars: Vars,
    /// What was asked while something else was in flight may also just succeed.
    in_flight: bool,
}

fn field<'j>(step: &'j Json, name: &str) -> &'j str {
    step[name].as_str().unwrap_or_else(|| panic!("{name} is missing in {step}"))
}

fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

impl<'a> Player<'a> {
    pub(crate) fn new(server: &'a ServerHandle, in_flight: bool) -> Self {
        Self {
            server,
            database: Database::open(&server.cluster_text()),
            that: None,
            transactions: HashMap::new(),
            shadowed: Vec::new(),
            futures: HashMap::new(),
            vars: Vars::default(),
            in_flight,
        }
    }

    fn tx(&self, step: &Json) -> &Transaction {
        &self.transactions[field(step, "tr")]
    }

    fn key(&self, step: &Json, name: &str) -> Vec<u8> {
        text::key(field(step, name), &self.vars)
    }

    fn bytes(&self, step: &Json, name: &str) -> Vec<u8> {
        text::bytes(field(step, name), &self.vars)
    }

    fn selector(&self, selector: &Json) -> Selector {
        let key = text::key(selector[0].as_str().unwrap(), &self.vars);
        (key, selector[1] == 1, selector[2].as_i64().unwrap() as i32)
    }

    pub(crate) fn step(&mut self, step: &Json) {
        match field(step, "op") {
            "begin" => self.begin(step),
            // Statements about the recording.
            "check" | "stamp_bytes" => {}
            "sleep" => self.sleep(step),
            "setup" | "setup_generated" => self.setup(step),
            "dump" | "dump_v" | "get_length" => self.dump(step),
            "atomic_grid" => self.atomic_grid(step),
            "error_predicates" => predicates(step),
            "cmp" => self.compare(step),
            "wait" => self.wait(step),
            "destroy" => drop(self.transactions.remove(field(step, "tr"))),
            "cancel_future" => self.futures[field(step, "fut")].1.cancel(),
            "set_generated" | "add_read_conflict_key_generated" => self.generated(step),
            "database_option" => self.database_option(step),
            "get_on_that_handle" | "commit_on_that_handle" => self.on_that_handle(step),
            "open_tenant_and_get" => {
                let tenant = self.database.tenant(b"t1");
                let code = tenant.begin().get(b"k", false).value().unwrap_err();
                assert_eq!(Some(i64::from(code)), step["error"].as_i64());
            }
            "get_addresses_for_key" => {
                let addresses = self.tx(step).addresses(&self.key(step, "key")).strings().unwrap();
                assert_eq!(addresses, [self.server.address().to_string()]);
            }
            "get_approximate_size" => {
                assert!(self.tx(step).approximate_size().number().unwrap() >= 0);
            }
            "get_estimated_range_size_bytes" | "get_range_split_points" => self.estimate(step),
            "on_error_repeat" => self.repeat_on_error(step),
            "rate" | "gaps" => self.gaps(),
            "batch" => self.batch(step),
            _ if self.write(step) => {}
            _ => self.call(step),
        }
    }

    fn begin(&mut self, step: &Json) {
        let old = self.transactions.insert(field(step, "tr").to_owned(), self.database.begin());
        self.shadowed.extend(old);
    }

    #[allow(clippy::disallowed_methods, reason = "the recording slept")]
    fn sleep(&self, step: &Json) {
        let ms = step["ms"].as_u64().unwrap();
        if ms > REAL_SLEEP_MS {
            self.server.advance(Duration::from_millis(ms));
        } else {
            std::thread::sleep(Duration::from_millis(ms));
        }
    }

    fn setup(&self, step: &Json) {
        let tx = self.database.begin();
        if let Some(count) = step["count"].as_u64() {
            let value = self.bytes(step, "value");
            for number in 0..count {
                tx.set(&text::generated_key(field(step, "key"), number, &self.vars), &value);
            }
        }
        for row in step["kvs"].as_array().into_iter().flatten() {
            let (key, value) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
            tx.set(&text::key(key, &self.vars), &text::bytes(value, &self.vars));
        }
        tx.commit().wait().expect("setup");
    }

    fn generated(&self, step: &Json) {
        let tx = self.tx(step);
        for number in 0..step["count"].as_u64().unwrap() {
            let key = text::generated_key(field(step, "key"), number, &self.vars);
            if field(step, "op") == "set_generated" {
                tx.set(&key, &self.bytes(step, "value"));
            } else {
                tx.add_conflict(&key, &after(&key), 0).unwrap();
            }
        }
    }

    fn dump(&self, step: &Json) {
        let tx = self.database.begin();
        let ends = ((Vec::new(), false, 1), (vec![0xff], false, 1));
        let paging = Paging {
            limit: 0,
            target_bytes: 0,
            mode: -2,
            iteration: 1,
            snapshot: true,
            reverse: false,
        };
        let rows = all_pages(&tx, ends.0, ends.1, paging).expect("dump");
        match field(step, "op") {
            // What was in flight may have been made or not.
            "dump" if self.in_flight => {}
            "dump" => self.same_rows(&rows, &step["result"], step),
            "dump_v" => {
                assert_eq!(
                    rows.iter().map(|r| r.1.clone()).collect::<Vec<_>>(),
                    [self.bytes(step, "result")]
                );
            }
            _ => {
                let key = self.key(step, "key");
                let row = rows.iter().find(|row| row.0 == key);
                assert_eq!(row.map(|r| r.1.len() as u64), step["result"].as_u64(), "{step}");
            }
        }
    }

    fn atomic_grid(&self, step: &Json) {
        let op = atomic_op(field(step, "type"));
        for row in step["rows"].as_array().unwrap() {
            let bytes = |at: usize| row[at].as_str().map(|t| text::bytes(t, &self.vars));
            let setup = self.database.begin();
            match bytes(0) {
                Some(value) => setup.set(b"fv/grid", &value),
                None => setup.clear(b"fv/grid"),
            }
            setup.commit().wait().unwrap();
            let tx = self.database.begin();
            tx.atomic(op, b"fv/grid", &bytes(1).unwrap());
            let own = tx.get(b"fv/grid", false).value().unwrap();
            tx.commit().wait().unwrap();
            let now = self.database.begin().get(b"fv/grid", false).value().unwrap();
            assert_eq!((own, now), (bytes(2), bytes(3)), "{op} {row}");
        }
    }

    fn compare(&self, step: &Json) {
        let (a, b) = (field(step, "a"), field(step, "b"));
        let ordering = match (self.vars.stamps.get(a), self.vars.stamps.get(b)) {
            (Some(a), Some(b)) => a.cmp(b),
            _ => self.vars.number(a).cmp(&self.vars.number(b)),
        };
        assert_eq!(ordering as i64, step["result"].as_i64().unwrap(), "{step}");
    }

    fn database_option(&mut self, step: &Json) {
        assert_eq!(step["name"], "max_watches");
        let value = step["value"].as_i64().unwrap().to_le_bytes();
        if step["result"].is_null() {
            self.database.set_option(20, &value).unwrap();
            return;
        }
        let handle = Database::open(&self.server.cluster_text());
        handle.set_option(20, &value).unwrap();
        let tx = handle.begin();
        self.that = Some((handle, tx));
    }

    fn on_that_handle(&self, step: &Json) {
        let (_, tx) = self.that.as_ref().unwrap();
        let code = if field(step, "op") == "get_on_that_handle" {
            let key = self.key(step, "key");
            let value = tx.get(&key, false).value();
            tx.set(&key, b"1");
            let wanted = step["result"].as_str().map(|t| text::bytes(t, &self.vars));
            assert!(value.is_err() || value == Ok(wanted), "{value:?} {step}");
            value.err()
        } else {
            tx.commit().wait().err()
        };
        assert_eq!(code.map(i64::from), step["error"].as_i64(), "{step}");
    }

    fn estimate(&self, step: &Json) {
        let (begin, end) = (self.key(step, "begin"), self.key(step, "end"));
        let code = if field(step, "op") == "get_range_split_points" {
            let points = self.tx(step).split_points(&begin, &end, step["chunk"].as_i64().unwrap());
            let points = points.keys();
            if let Ok(points) = &points {
                assert_eq!((&points[0], &points[points.len() - 1]), (&begin, &end));
                assert!(points.is_sorted());
            }
            points.err()
        } else {
            self.tx(step).estimated_size(&begin, &end).number().err()
        };
        assert_eq!(code.map(i64::from), step["error"].as_i64(), "{step}");
    }

    /// The first of the repetitions: the others only take longer and longer.
    fn repeat_on_error(&self, step: &Json) {
        let code = step["code"].as_i64().unwrap() as i32;
        let tx = self.database.begin();
        let refused = step["elapsed_ms"][0].is_string();
        for _ in 0..4 {
            let outcome = tx.on_error(code).wait();
            assert_eq!(outcome, if refused { Err(code) } else { Ok(()) });
            if refused {
                return;
            }
        }
    }

    /// Versions only grow, and by commits they do grow.
    fn gaps(&self) {
        let mut last = 0;
        for _ in 0..10 {
            let tx = self.database.begin();
            let read = tx.read_version().number().unwrap();
            assert!(read >= last);
            tx.set(b"fv/gap", b"");
            tx.commit().wait().unwrap();
            assert!(tx.committed_version() > last.max(read));
            last = tx.committed_version();
        }
    }

    /// Many commits at once share versions but no stamps.
    fn batch(&self, step: &Json) {
        let count = step["commits"].as_u64().unwrap();
        let begin = |number: u64| {
            let tx = self.database.begin();
            tx.set(format!("fv/{number}").as_bytes(), b"");
            let (stamp, commit) = (tx.versionstamp(), tx.commit());
            (tx, stamp, commit)
        };
        let commits: Vec<_> = (0..count).map(begin).collect();
        let stamps: HashSet<_> = commits.iter().map(|(_, s, _)| s.key().unwrap()).collect();
        assert_eq!(stamps.len() as u64, count);
        assert!(commits.iter().all(|(_, _, commit)| commit.wait().is_ok()));
    }

    /// Plays a call that answers nothing; says whether it was one.
    fn write(&self, step: &Json) -> bool {
        let op = field(step, "op");
        match op {
            "set" => self.tx(step).set(&self.key(step, "key"), &self.bytes(step, "value")),
            "clear" => self.tx(step).clear(&self.key(step, "key")),
            "clear_range" => {
                self.tx(step).clear_range(&self.key(step, "begin"), &self.key(step, "end"));
            }
            "atomic" => {
                let op = atomic_op(field(step, "type"));
                self.tx(step).atomic(op, &self.key(step, "key"), &self.bytes(step, "param"));
            }
            "atomic_raw" => {
                let op = step["code"].as_i64().unwrap() as i32;
                self.tx(step).atomic(op, &self.key(step, "key"), &self.bytes(step, "param"));
            }
            "reset" => self.tx(step).reset(),
            "cancel" => self.tx(step).cancel(),
            "set_read_version" => {
                let version = match step["var"].as_str() {
                    Some(name) => self.vars.number(name) + step["delta"].as_i64().unwrap_or(0),
                    None => step["value"].as_i64().unwrap(),
                };
                self.tx(step).set_read_version(version);
            }
            "option" => {
                let value = step["value"].as_i64().map(|number| number.to_le_bytes().to_vec());
                let option = option(field(step, "name"));
                self.tx(step).set_option(option, &value.unwrap_or_default()).unwrap();
            }
            "set_option_raw" => {
                let option = step["code"].as_i64().unwrap() as i32;
                let code = self.tx(step).set_option(option, &self.bytes(step, "value")).err();
                assert_eq!(code.map(i64::from), step["error"].as_i64(), "{step}");
            }
            _ if op.starts_with("add_") => {
                let (begin, end) = match step["key"].as_str() {
                    Some(key) => {
                        let key = text::key(key, &self.vars);
                        (key.clone(), after(&key))
                    }
                    None => (self.key(step, "begin"), self.key(step, "end")),
                };
                let kind = i32::from(op.starts_with("add_write"));
                let code = self.tx(step).add_conflict(&begin, &end, kind).err();
                assert_eq!(code.map(i64::from), step["error"].as_i64(), "{step}");
            }
            _ => return false,
        }
        true
    }

    /// Plays a call that gives a future.
    fn call(&mut self, step: &Json) {
        let snapshot = step["snapshot"] == true;
        let tx = self.tx(step);
        let (kind, future) = match field(step, "op") {
            "get" => (Kind::Value, tx.get(&self.key(step, "key"), snapshot)),
            "get_key" => (Kind::Key, tx.get_key(&self.selector(&step["sel"]), snapshot)),
            "get_range" | "get_range_all" => return self.range(step, snapshot),
            "get_read_version" => (Kind::Number, tx.read_version()),
            "get_committed_version" => {
                let version = tx.committed_version();
                return self.check(Ok(Answer::Number(version)), step);
            }
            "commit" => (Kind::Done, tx.commit()),
            "watch" => (Kind::Done, tx.watch(&self.key(step, "key"))),
            "get_versionstamp" => (Kind::Stamp, tx.versionstamp()),
            "on_error" => (Kind::Done, tx.on_error(step["code"].as_i64().unwrap() as i32)),
            other => panic!("unknown operation {other}"),
        };
        match step["fut"].as_str() {
            Some(name) => drop(self.futures.insert(name.to_owned(), (kind, future))),
            None => {
                let answer = answer(kind, &future);
                self.check(answer, step);
            }
        }
        if step["transaction_was_reset"] == true {
            assert_eq!(self.tx(step).approximate_size().number(), Ok(0), "{step}");
        }
    }

    /// Reads a page as far as it was recorded: where pages end is not promised.
    fn range(&mut self, step: &Json, snapshot: bool) {
        let page = &step["result"];
        let recorded = page["count"].as_i64().or(page["kvs"].as_array().map(|r| r.len() as i64));
        let cut = recorded.filter(|_| page["more"] == 1);
        let number = |name: &str, default: i64| step[name].as_i64().unwrap_or(default) as i32;
        let mut paging = Paging {
            limit: number("limit", 0),
            target_bytes: number("target_bytes", 0),
            mode: step["mode"].as_str().map_or(-2, mode),
            iteration: number("iteration", 1),
            snapshot,
            reverse: step["reverse"] == true,
        };
        let (begin, end) = (self.selector(&step["begin"]), self.selector(&step["end"]));
        if cut == Some(0) {
            // It read nothing, so it conflicts with nothing.
            return;
        }
        if let Some(rows) = cut {
            (paging.limit, paging.mode, paging.target_bytes) = (rows as i32, -2, 0);
        }
        let tx = self.tx(step);
        if let Some(name) = step["fut"].as_str() {
            let future = tx.get_range(&begin, &end, paging);
            self.futures.insert(name.to_owned(), (Kind::Rows, future));
            return;
        }
        let rows = all_pages(tx, begin, end, paging).map(Answer::Rows);
        self.check(rows, step);
    }

    fn wait(&mut self, step: &Json) {
        let name = field(step, "fut");
        let (kind, future) = &self.futures[name];
        if step["result"] == "pending" {
            assert_eq!(future.wait_at_most(PENDING), None, "{name} must be pending: {step}");
            return;
        }
        assert!(future.wait_at_most(PATIENCE).is_some(), "{name} never became ready: {step}");
        let answer = answer(*kind, future);
        if !(self.in_flight && answer.is_ok()) {
            self.check(answer, step);
        }
    }

    /// Compares what a call gave with what was recorded.
    fn check(&mut self, answer: Result<Answer, i32>, step: &Json) {
        let wanted = &step["result"];
        let answer = match answer {
            Err(code) => {
                // What on_error(0) gives is recorded in a case of its own.
                let expected =
                    if wanted == "see_step" { Some(2000) } else { step["error"].as_i64() };
                assert!(self.in_flight || Some(i64::from(code)) == expected, "got {code}, {step}");
                return;
            }
            Ok(answer) => answer,
        };
        assert!(step["error"].is_null() || self.in_flight, "got {answer:?}, {step}");
        match answer {
            Answer::Done => {
                assert!(wanted == "ok" || wanted == "fired" || self.in_flight, "{step}")
            }
            Answer::Value(value) => {
                let wanted = wanted.as_str().map(|t| text::bytes(t, &self.vars));
                assert!(value == wanted, "got {value:?}, {step}");
            }
            Answer::Key(key) => {
                let wanted = text::key(wanted.as_str().unwrap(), &self.vars);
                assert!(key == wanted, "got {}, {step}", text::show(&key));
            }
            Answer::Rows(rows) => self.same_rows(&rows, wanted, step),
            Answer::Number(number) => match wanted["var"].as_str() {
                Some(name) => drop(self.vars.numbers.insert(name.to_owned(), number)),
                None => assert_eq!(Some(number), wanted.as_i64(), "{step}"),
            },
            Answer::Stamp(stamp) => {
                let stamp = stamp.try_into().expect("ten bytes");
                self.vars.stamps.insert(field(wanted, "stamp").to_owned(), stamp);
            }
        }
    }

    fn same_rows(&self, rows: &Rows, wanted: &Json, step: &Json) {
        if let Some(count) = wanted["count"].as_u64() {
            let ends = [rows.first(), rows.last()].map(|row| row.map(|row| row.0.clone()));
            let end = |name: &str| wanted[name].as_str().map(|t| text::key(t, &self.vars));
            assert_eq!(rows.len() as u64, count, "{step}");
            assert_eq!(ends, ["first", "last"].map(end), "{step}");
            return;
        }
        let listed = wanted["kvs"].as_array().or(wanted.as_array()).expect("rows");
        let row = |row: &Json| {
            let key = text::key(row[0].as_str().unwrap(), &self.vars);
            (key, text::bytes(row[1].as_str().unwrap(), &self.vars))
        };
        let wanted: Rows = listed.iter().map(row).collect();
        assert!(*rows == wanted, "got {rows:?}, {step}");
    }
}

fn answer(kind: Kind, future: &Fut) -> Result<Answer, i32> {
    Ok(match kind {
        Kind::Done => future.wait().map(|()| Answer::Done)?,
        Kind::Value => Answer::Value(future.value()?),
        Kind::Key => Answer::Key(future.key()?),
        Kind::Rows => Answer::Rows(future.rows()?.0),
        Kind::Number => Answer::Number(future.number()?),
        Kind::Stamp => Answer::Stamp(future.key()?),
    })
}

fn predicates(step: &Json) {
    let code = step["code"].as_i64().unwrap() as i32;
    for (test, name) in
        [(50_000, "retryable"), (50_001, "maybe_committed"), (50_002, "retryable_not_committed")]
    {
        assert_eq!(fdb_error_predicate(test, code) == 1, step[name] == true, "{name} of {code}");
    }
}
