//! What is kept of reports, and its bounds.
#![allow(clippy::unwrap_used)]

use super::*;
use base::Universe;
use store_memory::MemoryStore;

fn subject(day: u32, domain: &str) -> Subject {
    Subject { kind: Kind::Tls, day, domain: domain.to_owned() }
}

fn record(text: &str) -> Bytes {
    wire::encode(text).unwrap()
}

async fn tally(store: &Arc<dyn Store>, subject: &Subject) -> (Vec<(String, u64)>, u64) {
    let tally = read::<String>(store, subject).await.unwrap().unwrap();
    let mut records = tally.records;
    records.sort();
    (records, tally.others)
}

fn run(test: impl AsyncFnOnce(Arc<dyn Store>)) {
    Universe::run(1, async |env| {
        test(Arc::new(MemoryStore::new(env.clock.clone(), &*env.random))).await;
    });
}

#[test]
fn counts_of_all_nodes_come_together() {
    run(async |store| {
        let (a, b) = (subject(10, "a.test"), subject(10, "b.test"));
        add(&store, vec![(a.clone(), vec![(record("x"), 2), (record("y"), 1)])]).await;
        add(&store, vec![(b.clone(), vec![(record("x"), 7)]), (a.clone(), vec![(record("x"), 3)])])
            .await;
        add(&store, Vec::new()).await;
        assert_eq!(tally(&store, &a).await, (vec![("x".into(), 5), ("y".into(), 1)], 0));
        assert_eq!(tally(&store, &b).await, (vec![("x".into(), 7)], 0));
        let later = subject(11, "a.test");
        add(&store, vec![(later.clone(), vec![(record("z"), 1)])]).await;
        let found = async |before: u32, after: Option<&Subject>| {
            subjects(&store, Kind::Tls, before, after).await.unwrap()
        };
        assert_eq!(found(11, None).await, [a.clone(), b.clone()]);
        assert_eq!(found(12, Some(&a)).await, [b.clone(), later.clone()]);
        assert!(found(10, None).await.is_empty());
        remove(&store, &a).await.unwrap();
        assert!(read::<String>(&store, &a).await.unwrap().is_none());
        assert_eq!(found(12, None).await, [b.clone(), later.clone()]);
        forget(&store, 11 + Kind::Tls.days_kept()).await.unwrap();
        assert_eq!(found(12, None).await, std::slice::from_ref(&later));
        assert_eq!(tally(&store, &later).await, (vec![("z".into(), 1)], 0));
    });
}

#[test]
fn a_report_of_others_counts_once() {
    run(async |store| {
        let one = Subject { kind: Kind::DmarcReceived, day: 100, domain: "a.test".to_owned() };
        let counts = |count: usize| -> Counted {
            (0..count).map(|number| (record(&number.to_string()), 2)).collect()
        };
        for _ in 0..2 {
            add_once(&store, &one, counts(BATCH * 2 + 1), "one").await.unwrap();
        }
        let (records, _) = tally(&store, &one).await;
        assert_eq!(records.len(), BATCH * 2 + 1);
        assert!(records.iter().all(|(_, count)| *count == 2));
        add_once(&store, &one, counts(1), "two").await.unwrap();
        assert_eq!(tally(&store, &one).await.0[0], ("0".into(), 4));
        forget(&store, 100 + RECEIVED_DAYS_MAX).await.unwrap();
        assert_eq!(tally(&store, &one).await.0.len(), records.len());
        forget(&store, 101 + RECEIVED_DAYS_MAX).await.unwrap();
        let tx = store.begin();
        let range = KeyRange::prefix(b"T/p");
        let page = tx.get_range(&RangeRead::all(&range), Isolation::Snapshot).await.unwrap();
        assert!(page.rows.is_empty(), "{:?}", page.rows);
    });
}

#[test]
fn a_report_has_so_many_records_and_no_more() {
    run(async |store| {
        let one = subject(10, "a.test");
        let max = u64::from(Kind::Tls.records_max());
        let many = (0..max + 50).map(|number| (record(&number.to_string()), 2)).collect();
        add(&store, vec![(one.clone(), many)]).await;
        // What has a row is counted on.
        add(&store, vec![(one.clone(), vec![(record("0"), 1), (record("new"), 4)])]).await;
        let (records, others) = tally(&store, &one).await;
        assert_eq!((records.len() as u64, others), (max, 104));
        assert_eq!(records[0], ("0".into(), 3));
    });
}

#[test]
fn a_day_has_so_many_reports_and_no_more() {
    run(async |store| {
        let tx = store.begin();
        let key = of_day(COUNTS, Kind::Tls, 10).build();
        tx.set(&key, &wire::encode_row(VERSION, &(REPORTS_MAX - 1)).unwrap());
        tx.commit().await.unwrap();
        for domain in ["a.test", "b.test", "a.test"] {
            add(&store, vec![(subject(10, domain), vec![(record("x"), 1)])]).await;
        }
        assert_eq!(tally(&store, &subject(10, "a.test")).await, (vec![("x".into(), 2)], 0));
        assert!(read::<String>(&store, &subject(10, "b.test")).await.unwrap().is_none());
        // Another day has its own.
        add(&store, vec![(subject(11, "b.test"), vec![(record("x"), 1)])]).await;
        assert_eq!(tally(&store, &subject(11, "b.test")).await, (vec![("x".into(), 1)], 0));
    });
}

#[test]
fn rows_keep_their_bytes() {
    let head = Head { records: 3, others: 300 };
    let row = wire::encode_row(VERSION, &head).unwrap().escape_ascii().to_string();
    assert_eq!(row, r"\x01\x03\xfb,\x01");
    let row = wire::encode_row(VERSION, &(7_u64, Bytes::from_static(b"ab"))).unwrap();
    assert_eq!(row.escape_ascii().to_string(), r"\x01\x07\x02ab");
    let key = head_key(&subject(20_000, "a.test")).escape_ascii().to_string();
    assert_eq!(key, r"T/ph/t\x00\x00N a.test\x00");
}
