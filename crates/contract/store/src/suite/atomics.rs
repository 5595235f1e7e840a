//! Atomic operations, blind and read back.

use super::{Context, Ran, list_cases};
use crate::limits::VALUE_BYTES_MAX;
use crate::{AtomicOp, Isolation};
use bytes::Bytes;

list_cases!(results_do_not_depend_on_reading, concurrent_adds_all_count, append_stops_at_the_limit);

/// Old value, operation, parameter, new value.
type Row = (Option<&'static [u8]>, AtomicOp, &'static [u8], Option<&'static [u8]>);

const TABLE: &[Row] = &[
    (None, AtomicOp::Add, b"\x01\x02", Some(b"\x01\x02")),
    (Some(b"\xff"), AtomicOp::Add, b"\x01\x00", Some(b"\x00\x01")),
    (Some(b"\xff\xff\x07"), AtomicOp::Add, b"\x01", Some(b"\x00")),
    (None, AtomicOp::BitAnd, b"\x0f", Some(b"\x0f")),
    (Some(b"\x3c"), AtomicOp::BitAnd, b"\x0f\x0f", Some(b"\x0c\x00")),
    (Some(b"\x30"), AtomicOp::BitOr, b"\x05", Some(b"\x35")),
    (Some(b"\x3f"), AtomicOp::BitXor, b"\x0f", Some(b"\x30")),
    (Some(b"ab"), AtomicOp::AppendIfFits, b"cd", Some(b"abcd")),
    (Some(b"\x00\x02"), AtomicOp::Max, b"\xff\x01", Some(b"\x00\x02")),
    (Some(b"\x09"), AtomicOp::Min, b"\x05", Some(b"\x05")),
    (None, AtomicOp::Min, b"\x05", Some(b"\x05")),
    (Some(b"b"), AtomicOp::ByteMax, b"ab", Some(b"b")),
    (Some(b"b"), AtomicOp::ByteMin, b"ab", Some(b"ab")),
    (None, AtomicOp::ByteMin, b"x", Some(b"x")),
    (Some(b"x"), AtomicOp::CompareAndClear, b"x", None),
    (Some(b"x"), AtomicOp::CompareAndClear, b"y", Some(b"x")),
    (None, AtomicOp::CompareAndClear, b"", None),
];

async fn results_do_not_depend_on_reading(c: Context) -> Ran {
    for (number, (old, op, param, new)) in TABLE.iter().enumerate() {
        for read_first in [false, true] {
            let key = c.key(&format!("{number}{read_first}"));
            let tx = c.begin();
            if let Some(old) = old {
                tx.set(&key, old);
            }
            tx.commit().await.unwrap();
            let tx = c.begin();
            tx.atomic(*op, &key, param);
            if read_first {
                let own = tx.get(&key, Isolation::Serializable).await.unwrap();
                assert_eq!(own.as_deref(), *new, "read back: {op:?} row {number}");
            }
            tx.commit().await.unwrap();
            let after = c.begin().get(&key, Isolation::Serializable).await.unwrap();
            assert_eq!(after.as_deref(), *new, "committed: {op:?} row {number}");
        }
    }
    Ran::Yes
}

async fn concurrent_adds_all_count(c: Context) -> Ran {
    let transactions: Vec<_> = (0..20).map(|_| c.begin()).collect();
    for tx in &transactions {
        // A read version of before all the others must not matter to a blind addition.
        tx.read_version().await.unwrap();
        tx.atomic(AtomicOp::Add, &c.key("sum"), &1_u64.to_le_bytes());
    }
    for tx in &transactions {
        tx.commit().await.unwrap();
    }
    let sum = c.begin().get(&c.key("sum"), Isolation::Serializable).await.unwrap().unwrap();
    assert_eq!(sum, Bytes::copy_from_slice(&20_u64.to_le_bytes()));
    Ran::Yes
}

async fn append_stops_at_the_limit(c: Context) -> Ran {
    let tx = c.begin();
    tx.set(&c.key("a"), &vec![b'x'; VALUE_BYTES_MAX - 1]);
    tx.atomic(AtomicOp::AppendIfFits, &c.key("a"), b"yy");
    tx.atomic(AtomicOp::AppendIfFits, &c.key("a"), b"y");
    tx.atomic(AtomicOp::AppendIfFits, &c.key("a"), b"y");
    tx.commit().await.unwrap();
    let value = c.begin().get(&c.key("a"), Isolation::Serializable).await.unwrap().unwrap();
    assert_eq!((value.len(), value.last()), (VALUE_BYTES_MAX, Some(&b'y')));
    Ran::Yes
}
