//! Sequence sets resolved against a view: ranges of rows, never expanded (attack 25).

use crate::reply::{Reply, Stop};
use crate::view::View;
use base::Uid;
use codec_imap::SequenceSet;
use contract_mailbox::UidSet;
use std::ops::Range;

/// The messages that a set means, as ascending, disjoint ranges of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection {
    ranges: Vec<Range<usize>>,
}

impl Selection {
    /// What a set of message numbers or UIDs means. UIDs that do not exist are passed over; message
    /// numbers that do not exist are the client's mistake (RFC 3501 §9, `seq-number`).
    /// `$` is what the last SEARCH has saved of them (RFC 5182 §2.1).
    pub(crate) fn resolve(set: &SequenceSet, uid: bool, view: &View) -> Result<Self, Stop> {
        if set.is_saved() {
            let rows = view.saved().ranges().iter();
            let rows = rows.map(|(first, last)| view.rows_of_uids(*first, *last));
            return Ok(Self { ranges: rows.filter(|rows| !rows.is_empty()).collect() });
        }
        let ids = set.resolve(if uid { view.last_uid() } else { view.len() as u32 });
        if !uid && ids.max().is_some_and(|max| max as usize > view.len()) {
            return Err(Reply::bad("There is no message of that number").into());
        }
        let rows = ids.ranges().iter().map(|ids| match uid {
            true => view.rows_of_uids(ids.first, ids.last),
            false => ids.first as usize - 1..ids.last as usize,
        });
        Ok(Self { ranges: rows.filter(|rows| !rows.is_empty()).collect() })
    }

    /// These rows, which ascend.
    pub(crate) fn of_rows(rows: impl Iterator<Item = usize>) -> Self {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for row in rows {
            match ranges.last_mut() {
                Some(range) if range.end == row => range.end += 1,
                _ => ranges.push(row..row + 1),
            }
        }
        Self { ranges }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many messages.
    pub(crate) fn len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// The rows, ascending.
    pub(crate) fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.ranges.iter().flat_map(Clone::clone)
    }

    /// The UIDs as few ranges. They may span UIDs that the view no longer has: those are gone. They
    /// never reach a message that the client has not been told of, as new ones come at the end.
    pub(crate) fn uids(&self, view: &View) -> UidSet {
        let ends = self
            .ranges
            .iter()
            .filter_map(|rows| Some((view.uid(rows.start)?, view.uid(rows.end.checked_sub(1)?)?)));
        UidSet::from_ranges(ends.map(|(Uid(first), Uid(last))| (first, last)))
    }
}
