//! What has happened since it was last added to the rows: counted in memory, within bounds.

use super::Subject;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;

/// How many records are counted at once; what else comes before the next adding is not told.
const RECORDS_MAX: usize = 20_000;

/// The longest record, in bytes; far above what honest domains publish.
const RECORD_BYTES_MAX: usize = 32 * 1024;

/// Records of one report, and how often each.
pub(super) type Counted = Vec<(Bytes, u64)>;

/// The counts.
#[derive(Default)]
pub(super) struct Gathered(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    of: HashMap<Subject, HashMap<Bytes, u64>>,
    records: usize,
}

impl Gathered {
    /// Counts one more.
    pub(super) fn add(&self, subject: Subject, record: Bytes) {
        let mut counts = self.0.lock();
        let Counts { of, records } = &mut *counts;
        let known = of.get_mut(&subject).and_then(|of| of.get_mut(&record));
        match known {
            Some(count) => *count += 1,
            None if *records >= RECORDS_MAX || record.len() > RECORD_BYTES_MAX => {
                lost(subject.kind.word(), 1);
            }
            None => {
                of.entry(subject).or_default().insert(record, 1);
                *records += 1;
            }
        }
    }

    /// Everything, to be counted anew from here on.
    pub(super) fn take(&self) -> Vec<(Subject, Counted)> {
        let Counts { of, .. } = std::mem::take(&mut *self.0.lock());
        of.into_iter().map(|(subject, of)| (subject, of.into_iter().collect())).collect()
    }
}

/// Something that no report will tell.
pub(super) fn lost(kind: &'static str, count: u64) {
    metrics::counter!("rialto_reports_lost_total", "kind" => kind).increment(count);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reports::Kind;

    #[test]
    fn what_is_counted_is_bounded() {
        let gathered = Gathered::default();
        let subject = |domain: &str| Subject { kind: Kind::Tls, day: 1, domain: domain.into() };
        for number in 0..RECORDS_MAX + 10 {
            gathered.add(subject("a.test"), Bytes::from(number.to_string()));
        }
        gathered.add(subject("a.test"), Bytes::from_static(b"0"));
        gathered.add(subject("b.test"), Bytes::from_static(b"0"));
        let taken = gathered.take();
        assert_eq!((taken.len(), taken[0].1.len()), (1, RECORDS_MAX));
        let zero = taken[0].1.iter().find(|(record, _)| record == "0");
        assert_eq!(zero.map(|(_, count)| *count), Some(2));
        gathered.add(subject("b.test"), Bytes::from(vec![0; RECORD_BYTES_MAX + 1]));
        gathered.add(subject("b.test"), Bytes::from_static(b"0"));
        assert_eq!(gathered.take().len(), 1, "there is room again");
        assert!(gathered.take().is_empty());
    }
}
