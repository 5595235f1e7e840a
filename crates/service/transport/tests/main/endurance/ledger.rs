//! Which messages must or may turn up in a mailbox, where nobody has seen them yet.

use base::FolderId;
use contract_mailbox::SystemFlags;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};

/// A message in a folder: which, its number, its flags.
pub(super) type Due = (FolderId, u64, u8);

pub(super) fn due(folder: FolderId, number: u64, flags: SystemFlags) -> Due {
    (folder, number, flags.0)
}

#[derive(Default)]
struct Page {
    must: BTreeMap<Due, u32>,
    may: BTreeSet<Due>,
    /// Those of `may` that came.
    came: BTreeSet<Due>,
    /// Appended together by commands whose answer nobody waited for: all came, or none.
    groups: Vec<Vec<Due>>,
}

/// A page for each mailbox. It is shared, because a message is on its way between two clients.
pub(super) struct Ledger(Vec<Mutex<Page>>);

impl Ledger {
    pub(super) fn new(mailboxes: usize) -> Self {
        Self((0..mailboxes).map(|_| Mutex::default()).collect())
    }

    /// It may come, once.
    pub(super) fn may(&self, mailbox: usize, due: Due) {
        self.0[mailbox].lock().may.insert(due);
    }

    /// Some may come, all or none.
    pub(super) fn group(&self, mailbox: usize, group: Vec<Due>) {
        let mut page = self.0[mailbox].lock();
        page.may.extend(&group);
        page.groups.push(group);
    }

    /// It must come, or has.
    pub(super) fn must(&self, mailbox: usize, due: Due) {
        let mut page = self.0[mailbox].lock();
        if !page.came.remove(&due) {
            page.may.remove(&due);
            *page.must.entry(due).or_default() += 1;
        }
    }

    /// It never comes.
    pub(super) fn never(&self, mailbox: usize, due: Due) {
        let mut page = self.0[mailbox].lock();
        assert!(page.may.remove(&due), "mailbox {mailbox}: {due:?} was refused, and is there");
    }

    /// It is there.
    pub(super) fn comes(&self, mailbox: usize, due: Due) {
        let mut page = self.0[mailbox].lock();
        if let Some(count) = page.must.get_mut(&due) {
            *count -= 1;
            if *count == 0 {
                page.must.remove(&due);
            }
        } else {
            assert!(page.may.remove(&due), "mailbox {mailbox}: {due:?} is there once too often");
            page.came.insert(due);
        }
    }

    /// Whether everything has come that must, and of each group all or nothing.
    pub(super) fn assert_settled(&self) {
        for (mailbox, page) in self.0.iter().enumerate() {
            let page = page.lock();
            assert!(page.must.is_empty(), "mailbox {mailbox}: lost: {:?}", page.must);
            for group in &page.groups {
                let came = group.iter().filter(|due| page.came.contains(due)).count();
                assert!(came == 0 || came == group.len(), "mailbox {mailbox}: {group:?}: {came}");
            }
        }
    }
}
