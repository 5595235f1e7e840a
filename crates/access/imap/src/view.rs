//! What one client knows of the selected folder, and what it still has to be told.
//!
//! The client counts messages by number; numbers move only when it is told so. So the view keeps
//! its rows in the client's order: what has gone stays a row until EXPUNGE may be sent
//! (RFC 3501 §7.4.1), what has come is a row at the end that becomes known with EXISTS. [`View::apply`]
//! takes in what happened, in any portions; [`View::take_news`] gives what to say, once.
//!
//! Rows that are gone keep their place, not their news: what a client was told up to is [`View::told_to`].
//!
//! A row is 24 bytes, and 8 more where the client wants modification sequences (RFC 7162). Flags are kept as numbers of a palette, since a folder has few combinations.

use crate::flags::assumed;
use base::{Change, Uid};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::{StoreMode, Stored};
use contract_mailbox::{Flags, FolderView, IndexEntry, Keywords, SystemFlags, UidSet, ViewDelta};
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

/// One message.
#[derive(Clone, Copy, Debug)]
struct Row {
    uid: u32,
    palette: u32,
    size_bytes: u64,
    received_s: i64,
}

/// See the module's words.
pub(crate) struct View {
    rows: Vec<Row>,
    /// How many of `rows` the client knows to exist.
    told: usize,
    palette: Palette,
    /// Known messages whose flags the client does not know, by UID.
    stale: BTreeSet<u32>,
    /// Rows that are gone, by UID.
    gone: BTreeSet<u32>,
    /// \Recent is a session's own flag (RFC 3501 §2.3.2).
    recent: UidSet,
    since: Change,
    /// The modification sequence of each row, 0 where it is not known; `None` for clients that do
    /// not want to know.
    mod_seqs: Option<Vec<u64>>,
    /// Known messages of which the client does not know the modification sequence, by UID.
    restamped: BTreeSet<u32>,
    /// The newest of the session's own changes: ahead of `since` while others may have come before it.
    own: Change,
    /// What `since` was before the first of `gone` went.
    owes_since: Option<Change>,
    /// What the last SEARCH has saved as `$` (RFC 5182).
    saved: UidSet,
    keywords: Arc<Keywords>,
    told_keywords: usize,
}

/// What the client is to be told, in this order. Message numbers hold at their place in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// EXPUNGE, the highest number first.
    pub(crate) expunged: Vec<u32>,
    /// The UIDs of the same, ascending.
    pub(crate) vanished: Vec<Uid>,
    /// EXISTS and RECENT.
    pub(crate) exists: Option<(u32, u32)>,
    /// Rows whose flags are to be shown by FETCH.
    pub(crate) flags: Vec<usize>,
    /// Rows of which only the modification sequence is to be shown.
    pub(crate) restamped: Vec<usize>,
}

impl View {
    /// A view of a folder of which the client will be told at once.
    /// With `mod_seqs` it tells modification sequences.
    pub(crate) fn open(folder: &FolderView, recent: UidSet, mod_seqs: bool) -> Self {
        let mut view = Self {
            rows: Vec::with_capacity(folder.blocks.iter().map(|block| block.entries.len()).sum()),
            told: 0,
            palette: Palette::default(),
            stale: BTreeSet::new(),
            gone: BTreeSet::new(),
            recent,
            since: folder.info.highest_change,
            mod_seqs: mod_seqs.then(|| folder.entries().map(|entry| entry.change.0).collect()),
            restamped: BTreeSet::new(),
            own: Change(0),
            owes_since: None,
            saved: UidSet::default(),
            told_keywords: folder.keywords.0.len(),
            keywords: folder.keywords.clone(),
        };
        for entry in folder.entries() {
            let row = view.row(entry);
            view.rows.push(row);
        }
        view.told = view.rows.len();
        view
    }

    /// A message's row.
    fn row(&mut self, entry: &IndexEntry) -> Row {
        Row {
            uid: entry.uid.0,
            palette: self.palette.number(entry.flags),
            size_bytes: entry.size_bytes,
            received_s: entry.received.unix_s(),
        }
    }

    /// How many messages the client knows.
    pub(crate) fn len(&self) -> usize {
        self.told
    }

    /// The largest UID that the client knows; 0 in an empty folder.
    pub(crate) fn last_uid(&self) -> u32 {
        self.told.checked_sub(1).map_or(0, |last| self.rows[last].uid)
    }

    /// Up to which change everything has been taken in.
    pub(crate) fn since(&self) -> Change {
        self.since
    }

    /// Up to which change the client knows everything once it was told the news: less than
    /// [`View::since`] while it has not been told of something that is gone.
    pub(crate) fn told_to(&self) -> Change {
        self.owes_since.unwrap_or(self.since)
    }

    /// Whether the client knows of something newer than [`View::told_to`]: something else may be gone
    /// of which it may not be told yet, or others' changes are not known that came before its own.
    pub(crate) fn owes(&self) -> bool {
        !self.gone.is_empty() || self.own > self.since
    }

    /// The modification sequence of a row; `None` where they are not told.
    pub(crate) fn mod_seq(&self, row: usize) -> Option<u64> {
        self.mod_seqs.as_ref()?.get(row).copied()
    }

    /// Whether modification sequences are told.
    pub(crate) fn tells_mod_seqs(&self) -> bool {
        self.mod_seqs.is_some()
    }

    /// Tells modification sequences from now on; the folder is as it is now.
    pub(crate) fn tell_mod_seqs(&mut self, folder: &FolderView) {
        self.mod_seqs.get_or_insert_with(|| vec![0; self.rows.len()]);
        self.reload(folder);
    }

    /// What `$` means.
    pub(crate) fn saved(&self) -> &UidSet {
        &self.saved
    }

    /// Sets what `$` means.
    pub(crate) fn save(&mut self, uids: UidSet) {
        self.saved = uids;
    }

    /// Which UIDs of a set no row has, told or not.
    pub(crate) fn lacks(&self, uids: &UidSet) -> UidSet {
        let mut missing = Vec::new();
        for (first, last) in uids.ranges() {
            let mut next = *first;
            let begin = self.rows.partition_point(|row| row.uid < *first);
            for row in self.rows[begin..].iter().take_while(|row| row.uid <= *last) {
                if next < row.uid {
                    missing.push((next, row.uid - 1));
                }
                next = row.uid.saturating_add(1);
            }
            if next <= *last {
                missing.push((next, *last));
            }
        }
        UidSet::from_ranges(missing)
    }

    /// The keyword names.
    pub(crate) fn keywords(&self) -> &Arc<Keywords> {
        &self.keywords
    }

    /// The UID of a row.
    pub(crate) fn uid(&self, row: usize) -> Option<Uid> {
        self.rows.get(row).map(|row| Uid(row.uid))
    }

    /// The flags of a row, and whether it is \Recent.
    pub(crate) fn flags(&self, row: usize) -> (Flags, bool) {
        self.rows.get(row).map_or_else(Default::default, |row| {
            (self.palette.flags(row.palette), self.recent.contains(Uid(row.uid)))
        })
    }

    /// RFC822.SIZE of a row.
    pub(crate) fn size_bytes(&self, row: usize) -> u64 {
        self.rows.get(row).map_or(0, |row| row.size_bytes)
    }

    /// INTERNALDATE of a row, in seconds since 1970.
    pub(crate) fn received_s(&self, row: usize) -> i64 {
        self.rows.get(row).map_or(0, |row| row.received_s)
    }

    /// The rows that the client knows with UIDs in an inclusive range.
    pub(crate) fn rows_of_uids(&self, first: u32, last: u32) -> Range<usize> {
        let known = &self.rows[..self.told];
        let start = known.partition_point(|row| row.uid < first);
        let end = known.partition_point(|row| row.uid <= last);
        start..end.max(start)
    }

    /// The row of a UID that the client knows.
    pub(crate) fn row_of(&self, uid: Uid) -> Option<usize> {
        let range = self.rows_of_uids(uid.0, uid.0);
        (!range.is_empty()).then_some(range.start)
    }

    /// The row of the first message without \Seen.
    pub(crate) fn first_unseen(&self) -> Option<usize> {
        let seen = |row: &Row| self.palette.flags(row.palette).system.contains(SystemFlags::SEEN);
        self.rows[..self.told].iter().position(|row| !seen(row))
    }

    /// How many messages are \Recent.
    pub(crate) fn recent_count(&self) -> u32 {
        let ranges = self.recent.ranges().iter();
        ranges.map(|(first, last)| self.rows_of_uids(*first, *last).len() as u32).sum()
    }

    /// The UIDs that are \Recent.
    pub(crate) fn recent(&self) -> &UidSet {
        &self.recent
    }

    /// The UIDs of messages that have come and were not told of yet, from first to last.
    pub(crate) fn arrived(&self) -> Option<(Uid, Uid)> {
        let new = &self.rows[self.told..];
        Some((Uid(new.first()?.uid), Uid(new.last()?.uid)))
    }

    /// Makes nothing \Recent, for a client that does not know the flag.
    pub(crate) fn forget_recent(&mut self) {
        self.recent = UidSet::default();
    }

    /// Makes UIDs \Recent.
    pub(crate) fn add_recent(&mut self, first: Uid, last: Uid) {
        if first <= last {
            let known = self.recent.ranges().iter().copied();
            self.recent = UidSet::from_ranges(known.chain([(first.0, last.0)]));
        }
    }

    /// Takes in what happened since [`View::since`]. The delta must be complete.
    pub(crate) fn apply(&mut self, delta: &ViewDelta) {
        self.keywords = delta.keywords.clone();
        for entry in &delta.changed {
            self.update(entry);
        }
        for uid in &delta.vanished {
            self.vanish(*uid);
        }
        self.since = self.since.max(delta.info.highest_change);
    }

    /// Takes in the folder as it is now, where it cannot be told what happened.
    pub(crate) fn reload(&mut self, folder: &FolderView) {
        self.keywords = folder.keywords.clone();
        let mut entries = folder.entries().peekable();
        let mut vanished = Vec::new();
        for row in &self.rows {
            while entries.next_if(|entry| entry.uid.0 < row.uid).is_some() {}
            if entries.peek().is_none_or(|entry| entry.uid.0 != row.uid) {
                vanished.push(Uid(row.uid));
            }
        }
        for entry in folder.entries() {
            self.update(entry);
        }
        for uid in vanished {
            self.vanish(uid);
        }
        self.since = self.since.max(folder.info.highest_change);
    }

    /// Takes in the result of the session's own STORE. What the client assumes anyway after
    /// .SILENT is not shown; where `silent`, `mode` and `flags` say what that is.
    pub(crate) fn stored(
        &mut self,
        stored: &Stored,
        silent: bool,
        mode: StoreMode,
        flags: &NamedFlags,
    ) {
        self.keywords = stored.keywords.clone();
        for entry in &stored.entries {
            let Some(row) = self.row_of(entry.uid) else {
                continue;
            };
            let before = self.flags(row).0;
            let known = !self.stale.contains(&entry.uid.0);
            self.update(entry);
            let as_assumed = assumed(before, mode, flags, &stored.keywords) == entry.flags;
            if silent && known && as_assumed {
                self.stale.remove(&entry.uid.0);
            } else {
                self.stale.insert(entry.uid.0);
            }
        }
        // What was left alone since others changed it is shown, so that the client may try again.
        for uid in &stored.modified {
            if self.row_of(*uid).is_some() {
                self.stale.insert(uid.0);
            }
        }
        let changes = stored.entries.iter().map(|entry| entry.change);
        self.own = changes.clone().fold(self.own, Change::max);
        self.follow(changes);
    }

    /// A message is gone.
    pub(crate) fn vanish(&mut self, uid: Uid) {
        if self.rows.binary_search_by_key(&uid.0, |row| row.uid).is_ok() {
            self.owes_since.get_or_insert(self.since);
            self.gone.insert(uid.0);
            self.stale.remove(&uid.0);
            self.restamped.remove(&uid.0);
        }
    }

    /// The client has been shown a row's flags.
    pub(crate) fn shown(&mut self, row: usize) {
        if let Some(row) = self.rows.get(row) {
            self.stale.remove(&row.uid);
            self.restamped.remove(&row.uid);
        }
    }

    /// Whether there are keywords of which the client is to be told, by FLAGS and PERMANENTFLAGS,
    /// before it is shown any; they count as told.
    pub(crate) fn take_keywords(&mut self) -> bool {
        let new = self.keywords.0.len() > self.told_keywords;
        self.told_keywords = self.told_keywords.max(self.keywords.0.len());
        new
    }

    /// What the client is to be told now; it counts as told. Without `expunges` what has gone
    /// keeps its number for the time being.
    pub(crate) fn take_news(&mut self, expunges: bool) -> News {
        let mut news = News::default();
        if expunges && !self.gone.is_empty() {
            (news.expunged, news.vanished) = self.drop_gone();
        }
        if self.told < self.rows.len() {
            self.told = self.rows.len();
            news.exists = Some((self.told as u32, self.recent_count()));
        }
        let stale = std::mem::take(&mut self.stale);
        for uid in std::mem::take(&mut self.restamped) {
            if !stale.contains(&uid) {
                news.restamped.extend(self.row_of(Uid(uid)));
            }
        }
        for uid in stale {
            news.flags.extend(self.row_of(Uid(uid)));
        }
        news
    }

    /// Removes the rows that are gone; gives the numbers of those the client knew, highest first,
    /// and their UIDs.
    fn drop_gone(&mut self) -> (Vec<u32>, Vec<Uid>) {
        let gone = std::mem::take(&mut self.gone);
        self.owes_since = None;
        let is_gone = |row: &Row| gone.contains(&row.uid);
        let known = self.rows[..self.told].iter().enumerate().rev();
        let numbers: Vec<u32> =
            known.filter(|(_, row)| is_gone(row)).map(|(index, _)| index as u32 + 1).collect();
        let known = self.rows[..self.told].iter();
        let uids = known.filter(|row| is_gone(row)).map(|row| Uid(row.uid)).collect();
        self.told -= numbers.len();
        if let Some(mod_seqs) = &mut self.mod_seqs {
            let mut rows = self.rows.iter();
            mod_seqs.retain(|_| rows.next().is_some_and(|row| !is_gone(row)));
        }
        self.rows.retain(|row| !is_gone(row));
        (numbers, uids)
    }

    /// A message as it is now. One that is new comes last; any other that the view does not have
    /// was told to be gone.
    fn update(&mut self, entry: &IndexEntry) {
        match self.rows.binary_search_by_key(&entry.uid.0, |row| row.uid) {
            Ok(index) => {
                let palette = self.palette.number(entry.flags);
                let shown = index < self.told && !self.gone.contains(&entry.uid.0);
                let row = &mut self.rows[index];
                if row.palette != palette {
                    row.palette = palette;
                    if shown {
                        self.stale.insert(entry.uid.0);
                    }
                }
                let mod_seq = self.mod_seqs.as_mut().and_then(|all| all.get_mut(index));
                if let Some(mod_seq) = mod_seq.filter(|mod_seq| **mod_seq != entry.change.0) {
                    // What was not known before the client does not ask for.
                    if std::mem::replace(mod_seq, entry.change.0) != 0 && shown {
                        self.restamped.insert(entry.uid.0);
                    }
                }
            }
            Err(index) if index == self.rows.len() => {
                let row = self.row(entry);
                self.rows.push(row);
                if let Some(mod_seqs) = &mut self.mod_seqs {
                    mod_seqs.push(entry.change.0);
                }
            }
            Err(_) => {}
        }
        if self.palette.colours.len() > PALETTE_MIN.max(2 * self.rows.len()) {
            self.repaint();
        }
    }

    /// Own changes whose numbers follow what is known without a gap need not be read again: nobody
    /// else changed anything in between.
    fn follow(&mut self, changes: impl Iterator<Item = Change>) {
        let mut changes: Vec<Change> = changes.filter(|change| *change > self.since).collect();
        changes.sort_unstable();
        changes.dedup();
        let first = self.since.0 + 1;
        let contiguous = changes.iter().enumerate().all(|(n, change)| change.0 == first + n as u64);
        if let (true, Some(last)) = (contiguous, changes.last()) {
            self.since = *last;
        }
    }

    /// Forgets combinations that no message has any more.
    fn repaint(&mut self) {
        let old = std::mem::take(&mut self.palette);
        for row in &mut self.rows {
            row.palette = self.palette.number(old.flags(row.palette));
        }
    }
}

/// Below this many combinations nothing is forgotten.
const PALETTE_MIN: usize = 64;

/// The combinations of flags that occur.
#[derive(Default)]
struct Palette {
    colours: Vec<Flags>,
    numbers: HashMap<Flags, u32>,
    /// Neighbours mostly have the same flags.
    last: Option<(Flags, u32)>,
}

impl Palette {
    fn number(&mut self, flags: Flags) -> u32 {
        if let Some((_, number)) = self.last.filter(|(last, _)| *last == flags) {
            return number;
        }
        let number = *self.numbers.entry(flags).or_insert_with(|| {
            self.colours.push(flags);
            self.colours.len() as u32 - 1
        });
        self.last = Some((flags, number));
        number
    }

    fn flags(&self, number: u32) -> Flags {
        self.colours.get(number as usize).copied().unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
