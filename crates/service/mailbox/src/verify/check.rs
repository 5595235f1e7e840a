//! What must hold between the rows of a mailbox.

use super::Report;
use super::walk::Walk;
use crate::rows::{ChangeState, FolderRow, ItemRow};
use base::{Change, FolderId, ItemId, Uid};
use contract_mailbox::{FolderCounts, IndexEntry, SpecialUse, default_folders};
use std::collections::{BTreeMap, BTreeSet};

/// Checks everything.
pub(super) fn run(mut walk: Walk) -> Report {
    walk.end();
    let mut report = std::mem::take(&mut walk.report);
    report.folders = walk.folders.len() as u64;
    report.items = walk.items.len() as u64;
    if report.rows > 0 {
        // An unfinished COPY keeps what its target's row will say in the job.
        if let Some(hidden) = walk.job.as_mut().and_then(|job| job.hidden.take())
            && let Some(row) = walk.folders.get_mut(&hidden.folder)
        {
            hidden.apply(&mut row.info);
        }
        let mut check = Check { walk: &walk, report };
        check.folders();
        check.entries();
        check.items();
        check.history();
        check.tombstones();
        check.indexes();
        check.sums();
        report = check.report;
    }
    report
}

struct Check<'w> {
    walk: &'w Walk,
    report: Report,
}

impl Check<'_> {
    fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.report.problem(problem());
        }
    }

    fn folder(&self, id: FolderId) -> Option<&FolderRow> {
        self.walk.folders.get(&id)
    }

    fn is_search(&self, id: FolderId) -> bool {
        self.folder(id).is_some_and(|row| row.search.is_some())
    }

    fn folders(&mut self) {
        for folder in default_folders() {
            let id = folder.role.folder_id();
            let stands = self.walk.folders.contains_key(&id);
            self.expect(stands, || format!("the default folder {} is missing", folder.name));
        }
        for (id, row) in &self.walk.folders {
            if let Some(parent) = row.info.parent {
                let stands = self.walk.folders.contains_key(&parent);
                self.expect(stands, || format!("the parent {parent} of {id} is missing"));
            }
            let info = &row.info;
            let fits = info.recent_from <= info.uid_next && info.uid_next > Uid(0);
            self.expect(fits, || format!("{id}: \\Recent lies behind UIDNEXT"));
        }
    }

    fn entries(&mut self) {
        let walk = self.walk;
        let keywords = walk.keywords;
        for ((folder, uid), entry) in &walk.entries {
            let name = || format!("{uid} of {folder}");
            let Some(row) = self.folder(*folder) else {
                self.report.problem(format!("{} is in no folder", name()));
                continue;
            };
            let uid_next = row.info.uid_next;
            let known_flags = keywords >= 128 || entry.flags.keywords >> keywords == 0;
            let highest = row.info.highest_change;
            self.expect(*uid < uid_next, || format!("{} lies behind UIDNEXT", name()));
            self.expect(entry.change <= highest, || format!("{} is newer than its folder", name()));
            self.expect(known_flags, || format!("{} has a keyword without name", name()));
            if self.is_search(*folder) {
                self.member(*folder, entry);
                continue;
            }
            self.report.messages += 1;
            match walk.items.get(&entry.item) {
                Some(item) => {
                    let fits = item.folder == *folder
                        && item.uid == Some(*uid)
                        && item.received == entry.received
                        && item.size_bytes >= entry.size_bytes;
                    self.expect(fits, || format!("{} and its item {} differ", name(), entry.item));
                }
                None => self.report.problem(format!("{} has no item {}", name(), entry.item)),
            }
            self.meta(*folder, entry);
            let key = walk.keys().received(*folder, entry.received, entry.item);
            let dated = walk.received.get(&key) == Some(&entry.item);
            self.expect(dated, || format!("{} is not in the date index", name()));
        }
        for (folder, uid) in walk.metas.keys() {
            let stands = walk.entries.contains_key(&(*folder, *uid));
            self.expect(stands, || format!("a meta of {uid} of {folder}, which is not there"));
        }
    }

    /// That an entry of a search folder stands for a message elsewhere.
    fn member(&mut self, search: FolderId, entry: &IndexEntry) {
        let walk = self.walk;
        let item = walk.items.get(&entry.item);
        let member = item.map(|item| (search, item.folder, entry.item));
        let known = member.and_then(|member| walk.members.get(&member)).copied().flatten();
        self.expect(known == Some(entry.uid), || {
            format!("{} of the search folder {search} is no message", entry.uid)
        });
    }

    fn meta(&mut self, folder: FolderId, entry: &IndexEntry) {
        let name = || format!("{} of {folder}", entry.uid);
        let Some(meta) = self.walk.metas.get(&(folder, entry.uid)) else {
            return self.report.problem(format!("{} has no meta", name()));
        };
        let sizes = meta.size_bytes == entry.size_bytes;
        self.expect(sizes, || format!("{}: index and meta differ in size", name()));
        let Some(item) = self.walk.items.get(&entry.item) else {
            return;
        };
        let fits = item.blobs == meta.blobs && item.message_id == meta.message_id;
        self.expect(fits, || format!("{}: item and meta differ", name()));
    }

    fn items(&mut self) {
        let walk = self.walk;
        let Some(summary) = &walk.summary else {
            return self.report.problem("the mailbox has no summary".into());
        };
        for (id, item) in &walk.items {
            let of_bag = item.extra.iter().flat_map(|extra| &extra.bag_blobs);
            let holder = walk.keys.holder(*id);
            for blob in item.blobs.iter().chain(of_bag) {
                self.report.blobs.insert(*blob);
                self.report.holds.insert((*blob, holder.clone()));
            }
            self.expect(id.0 < summary.next_item, || format!("{id} lies behind the next id"));
            match item.uid {
                Some(uid) => {
                    let entry = walk.entries.get(&(item.folder, uid));
                    let fits = entry.is_some_and(|entry| entry.item == *id);
                    self.expect(fits, || format!("{id} is not {uid} of {}", item.folder));
                }
                None => {
                    let fits = walk.associated.contains(&(item.folder, *id));
                    self.expect(fits, || format!("{id} is not associated with {}", item.folder));
                }
            }
            self.names_of(*id, item);
        }
    }

    /// That the indexes know an item by its names.
    fn names_of(&mut self, id: ItemId, item: &ItemRow) {
        let walk = self.walk;
        for (kind, hash) in [(b'g', item.message_id), (b'v', item.conversation)] {
            let Some(hash) = hash else { continue };
            let stands = walk.hashes.contains(&(kind, hash, id));
            self.expect(stands, || format!("{id} is not in the index {}", kind as char));
        }
        let Some(extra) = &item.extra else { return };
        let href = extra.href.as_ref().map(|href| href.clone().into());
        for (kind, name) in [(b'h', href), (b'z', extra.source_key.clone())] {
            let Some(name) = name else { continue };
            let found = walk.names.get(&(kind, item.folder, name));
            self.expect(found == Some(&id), || {
                format!("{id} is not in the index {}", kind as char)
            });
        }
    }

    fn history(&mut self) {
        let walk = self.walk;
        let mut here = BTreeSet::new();
        for ((folder, change), step) in &walk.changes {
            let highest = self.folder(*folder).map(|row| row.info.highest_change);
            let fits = highest.is_some_and(|highest| *change <= highest);
            self.expect(fits, || format!("{change} of {folder} is newer than its folder"));
            let entry = step.uid.and_then(|uid| walk.entries.get(&(*folder, uid)));
            match (step.state, step.uid) {
                (ChangeState::Here(_), Some(_)) => {
                    let is_newest = entry
                        .is_some_and(|entry| entry.item == step.item && entry.change == *change);
                    self.expect(is_newest, || format!("{change} of {folder} is of no message"));
                }
                (ChangeState::Here(_), None) => {
                    let item = walk.items.get(&step.item);
                    let fits = item.is_some_and(|item| item.folder == *folder);
                    self.expect(fits, || format!("{change} of {folder} is of no item"));
                }
                (ChangeState::Gone | ChangeState::Replaced, _) => {
                    self.expect(entry.is_none(), || {
                        format!("{change} of {folder} says gone of what is there")
                    });
                }
            }
            if matches!(step.state, ChangeState::Here(_)) {
                let first = here.insert((*folder, step.item));
                self.expect(first, || format!("{} of {folder} has two newest changes", step.item));
            }
        }
        for ((folder, uid), entry) in &walk.entries {
            let stands = walk.changes.contains_key(&(*folder, entry.change));
            self.expect(stands, || format!("{uid} of {folder} has no change"));
        }
        let next = walk.summary.as_ref().map(|summary| Change(summary.next_change));
        let newest = walk.changes.keys().map(|(_, change)| *change).max();
        self.expect(newest < next.or(newest), || "a change lies behind the next number".into());
    }

    /// That the index of tombstones names them all, and nothing else.
    fn tombstones(&mut self) {
        let walk = self.walk;
        for (place, step) in &walk.changes {
            let gone = matches!(step.state, ChangeState::Gone | ChangeState::Replaced);
            let named = walk.tombstones.contains(place);
            self.expect(gone == named, || {
                format!("{} of {} is wrongly among the tombstones, or not", place.1, place.0)
            });
        }
        for (folder, change) in &walk.tombstones {
            let stands = walk.changes.contains_key(&(*folder, *change));
            self.expect(stands, || format!("the tombstone {change} of {folder} is missing"));
            let row = self.folder(*folder);
            let late = row.is_some_and(|row| *change > row.compacted);
            self.expect(late, || format!("the tombstone {change} of {folder} is compacted"));
        }
    }

    fn indexes(&mut self) {
        let walk = self.walk;
        for (kind, hash, id) in &walk.hashes {
            let item = walk.items.get(id);
            let named = item
                .and_then(|item| if *kind == b'g' { item.message_id } else { item.conversation });
            self.expect(named == Some(*hash), || {
                format!("the index {} names {id}, which is called otherwise", *kind as char)
            });
        }
        for (key, id) in &walk.received {
            let fits = walk
                .items
                .get(id)
                .is_some_and(|item| *key == walk.keys().received(item.folder, item.received, *id));
            self.expect(fits, || format!("the date index names {id}, which is elsewhere"));
        }
        for ((kind, folder, name), id) in &walk.names {
            let fits = walk.items.get(id).is_some_and(|item| {
                let extra = item.extra.as_ref();
                let known = match kind {
                    b'h' => extra.and_then(|extra| extra.href.as_ref()).map(|href| href.as_bytes()),
                    _ => extra.and_then(|extra| extra.source_key.as_deref()),
                };
                item.folder == *folder && known == Some(name)
            });
            let kind = *kind as char;
            self.expect(fits, || format!("the index {kind} of {folder} names {id} wrongly"));
        }
        for (folder, id) in &walk.associated {
            let item = walk.items.get(id);
            let fits = item.is_some_and(|item| item.folder == *folder && item.uid.is_none());
            self.expect(fits, || format!("{id} is not associated with {folder}"));
        }
        for (id, kind) in &walk.trees {
            let extra = walk.items.get(id).and_then(|item| item.extra.as_ref());
            let has_tree = extra.is_some_and(|extra| extra.has_tree);
            self.expect(has_tree, || format!("{id} has {} rows and no tree", *kind as char));
        }
        for (kind, folder) in &walk.referred {
            let stands = walk.folders.contains_key(folder);
            self.expect(stands, || format!("{} rows of {folder}, which is gone", *kind as char));
        }
        for (search, folder, id) in walk.members.keys() {
            let stands = self.is_search(*search)
                && walk.items.get(id).is_some_and(|item| item.folder == *folder);
            self.expect(stands, || format!("{id} of {folder} is wrongly in {search}"));
        }
    }

    /// Counts and sizes, as they are when everything is added up.
    fn sums(&mut self) {
        let walk = self.walk;
        let mut sums: BTreeMap<FolderId, FolderCounts> = BTreeMap::new();
        for ((folder, _), entry) in &walk.entries {
            let sum = sums.entry(*folder).or_default();
            sum.messages += 1;
            sum.unseen +=
                u64::from(!entry.flags.system.contains(contract_mailbox::SystemFlags::SEEN));
            sum.deleted +=
                u64::from(entry.flags.system.contains(contract_mailbox::SystemFlags::DELETED));
            let item = walk.items.get(&entry.item).filter(|_| !self.is_search(*folder));
            sum.size_bytes += item.map_or(entry.size_bytes, |item| item.size_bytes);
        }
        for item in walk.items.values().filter(|item| item.uid.is_none()) {
            let sum = sums.entry(item.folder).or_default();
            sum.associated += 1;
            sum.size_bytes += item.size_bytes;
        }
        let (mut size_bytes, mut items, mut recoverable_bytes) = (0, 0, 0);
        for (id, row) in &walk.folders {
            let sum = sums.get(id).copied().unwrap_or_default();
            self.expect(sum == row.info.counts, || {
                format!("{id} says {:?} and has {sum:?}", row.info.counts)
            });
            if row.search.is_some() {
                continue;
            }
            if self.is_recoverable(*id) {
                recoverable_bytes += sum.size_bytes;
            } else {
                size_bytes += sum.size_bytes;
                items += sum.messages + sum.associated;
            }
        }
        let Some(summary) = &walk.summary else { return };
        let said = (summary.size_bytes, summary.items, summary.recoverable_bytes);
        let found = (size_bytes, items, recoverable_bytes);
        self.expect(said == found, || {
            format!("the summary says (bytes, items, recoverable) {said:?} and has {found:?}")
        });
        let highest = walk.folders.keys().next_back().copied();
        let fits = highest < Some(FolderId(summary.next_folder));
        self.expect(fits, || "a folder lies behind the next id".into());
    }

    fn is_recoverable(&self, id: FolderId) -> bool {
        let mut at = Some(id);
        for _ in 0..=self.walk.folders.len() {
            match at {
                Some(id) if id == SpecialUse::RecoverableItems.folder_id() => return true,
                Some(id) => at = self.folder(id).and_then(|row| row.info.parent),
                None => return false,
            }
        }
        false
    }
}
