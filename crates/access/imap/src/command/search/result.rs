//! What a SEARCH tells of what it found, and what it keeps as `$`.

use crate::view::View;
use crate::wire::Wire;
use base::Uid;
use codec_imap::command::SearchReturn;
use codec_imap::response::{ESearch, Response};
use codec_imap::{IdRange, IdSet, Tag};
use contract_mailbox::UidSet;

/// What was found: rows, ascending.
pub(super) struct Found<'f> {
    pub(super) rows: &'f [usize],
    /// Whether it is told by UID.
    pub(super) uid: bool,
    pub(super) view: &'f View,
}

impl Found<'_> {
    /// By SEARCH: all numbers.
    pub(super) fn put_all(&self, wire: &mut Wire, mod_seqs: bool) {
        let numbers: Vec<u32> = self.rows.iter().map(|row| self.number(*row)).collect();
        let newest = mod_seqs.then(|| self.newest(self.rows)).flatten();
        wire.put(&Response::Search(&numbers, newest));
    }

    /// By ESEARCH: what was asked for (RFC 4731 §3.1). Where that is only to keep it, nothing is told
    /// (RFC 5182 §2.2).
    pub(super) fn put(&self, wire: &mut Wire, tag: &Tag, returns: &SearchReturn, mod_seqs: bool) {
        let nothing = SearchReturn { save: returns.save, ..SearchReturn::default() };
        if *returns == nothing && returns.save {
            return;
        }
        let all = returns.all || *returns == nothing;
        let (first, last) = (self.rows.first(), self.rows.last());
        let all_ids = if all { self.ids(self.rows) } else { IdSet::default() };
        let part = returns.partial.map(|range| (range, self.ids(self.part(returns))));
        let partial: Option<(_, &[IdRange])> =
            part.as_ref().map(|(range, ids)| (*range, ids.ranges()));
        let newest = match all || returns.count {
            true => self.newest(self.rows),
            false => self.newest(&self.chosen(returns)),
        };
        wire.put(&Response::ESearch(ESearch {
            tag: Some(tag),
            uid: self.uid,
            min: first.filter(|_| returns.min).map(|row| self.number(*row)),
            max: last.filter(|_| returns.max).map(|row| self.number(*row)),
            all: all_ids.ranges(),
            count: returns.count.then_some(self.rows.len() as u32),
            partial,
            mod_seq: newest.filter(|_| mod_seqs),
        }));
    }

    /// What `$` means from now on: all that was found, or only the ends and the part that alone were
    /// asked for (RFC 5182 §2.1, RFC 9394 §3.1).
    pub(super) fn saved(&self, returns: &SearchReturn) -> UidSet {
        let some = returns.min || returns.max || returns.partial.is_some();
        let uids = |rows: &[usize]| rows.iter().filter_map(|row| self.view.uid(*row)).collect();
        match some && !returns.all && !returns.count {
            true => uids(&self.chosen(returns)),
            false => uids(self.rows),
        }
    }

    /// The rows of MIN, MAX and PARTIAL.
    fn chosen(&self, returns: &SearchReturn) -> Vec<usize> {
        let min = self.rows.first().filter(|_| returns.min);
        let max = self.rows.last().filter(|_| returns.max);
        let part = if returns.partial.is_some() { self.part(returns) } else { &[] };
        min.into_iter().chain(max).chain(part).copied().collect()
    }

    fn part(&self, returns: &SearchReturn) -> &[usize] {
        match returns.partial {
            Some(range) => &self.rows[range.places(self.rows.len())],
            None => &[],
        }
    }

    fn number(&self, row: usize) -> u32 {
        match self.uid {
            true => self.view.uid(row).map_or(0, |Uid(uid)| uid),
            false => row as u32 + 1,
        }
    }

    fn ids(&self, rows: &[usize]) -> IdSet {
        IdSet::from_ids(rows.iter().map(|row| self.number(*row)))
    }

    /// The newest modification sequence of some rows.
    fn newest(&self, rows: &[usize]) -> Option<u64> {
        rows.iter().filter_map(|row| self.view.mod_seq(*row)).max()
    }
}
