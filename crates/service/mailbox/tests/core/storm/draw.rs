//! The commands of a storm, and what they make of the model.

use super::{FAULTS, Storm, folders};
use crate::core::help::{inbox, named, small};
use base::{FolderId, Uid};
use contract_mailbox::request::StoreMode;
use contract_mailbox::{SystemFlags, UidSet, Write};
use std::collections::BTreeMap;
use store_memory::Faults;

/// What a message is: its number (its subject), and its flags.
pub(super) type Known = (u64, SystemFlags);

/// What a folder should hold.
#[derive(Clone, Default, PartialEq, Debug)]
pub(super) struct Shelf {
    pub(super) next: u32,
    pub(super) messages: BTreeMap<u32, Known>,
}

impl Shelf {
    fn add(&mut self, known: Known) {
        self.next += 1;
        self.messages.insert(self.next, known);
    }
}

pub(super) type Model = BTreeMap<FolderId, Shelf>;

/// From so many messages on, more are removed than copied.
const MESSAGES_MAX: usize = 60;

impl Storm {
    /// A command, and the model as it is afterwards.
    pub(super) async fn draw(&mut self) -> (Write, Model) {
        self.world.inject(Faults::default());
        let mut after = self.model.clone();
        let from = folders()[self.random.below(3)];
        let to = folders()[self.random.below(3)];
        let mut uids = self.some_uids(from);
        let count: usize = after.values().map(|shelf| shelf.messages.len()).sum();
        let what = match self.random.below(13) {
            what if count < MESSAGES_MAX || (3..8).contains(&what) => what,
            // Copies would fill the mailbox without end.
            _ => 12 + self.random.below(2),
        };
        let request = match what {
            0..3 => {
                let count = 1 + self.random.below(3) as u64;
                let numbers = self.next_number..self.next_number + count;
                self.next_number += count;
                for number in numbers.clone() {
                    shelf(&mut after, from).add((number, SystemFlags::default()));
                }
                Write::Append { folder: from, messages: self.world.small(numbers).await }
            }
            3 | 4 => {
                let number = self.next_number;
                self.next_number += 1;
                shelf(&mut after, inbox()).add((number, SystemFlags::default()));
                let delivery = self.world.queued(&small(number)).await;
                Write::Deliver(Box::new(delivery))
            }
            5 if self.delivered.is_some() => self.delivered.clone().unwrap(),
            5..8 => {
                let flags = SystemFlags(1 << self.random.below(5));
                let mode =
                    [StoreMode::Add, StoreMode::Remove, StoreMode::Replace][self.random.below(3)];
                for (uid, known) in &mut shelf(&mut after, from).messages {
                    if uids.contains(Uid(*uid)) {
                        known.1 = match mode {
                            StoreMode::Add => known.1.union(flags),
                            StoreMode::Remove => known.1.without(flags),
                            StoreMode::Replace => flags,
                        };
                    }
                }
                let (folder, flags) = (from, named(flags));
                Write::Store { folder, uids, mode, flags, unchanged_since: None }
            }
            8 | 9 => {
                let picked = pick(&after, from, &uids);
                picked.iter().for_each(|(_, known)| shelf(&mut after, to).add(*known));
                Write::Copy { from, uids, to }
            }
            10 | 11 => {
                for (uid, known) in pick(&after, from, &uids) {
                    shelf(&mut after, from).messages.remove(&uid);
                    shelf(&mut after, to).add(known);
                }
                Write::Move { from, uids, to }
            }
            13 => {
                uids = UidSet::all();
                let deleted = SystemFlags::DELETED;
                let messages = &mut shelf(&mut after, from).messages;
                messages.values_mut().for_each(|known| known.1 = known.1.union(deleted));
                let (folder, flags, mode) = (from, named(deleted), StoreMode::Add);
                Write::Store { folder, uids, mode, flags, unchanged_since: None }
            }
            _ => {
                let is_deleted = |known: &Known| known.1.contains(SystemFlags::DELETED);
                shelf(&mut after, from).messages.retain(|_, known| !is_deleted(known));
                Write::Expunge { folder: from, uids: None }
            }
        };
        self.world.inject(FAULTS);
        (request, after)
    }

    fn some_uids(&mut self, folder: FolderId) -> UidSet {
        let next = self.model[&folder].next as usize + 1;
        let ranges: Vec<_> = (0..1 + self.random.below(3))
            .map(|_| {
                let first = 1 + self.random.below(next) as u32;
                (first, first + self.random.below(8) as u32)
            })
            .collect();
        UidSet::from_ranges(ranges)
    }
}

fn shelf(model: &mut Model, folder: FolderId) -> &mut Shelf {
    model.get_mut(&folder).unwrap()
}

fn pick(model: &Model, folder: FolderId, uids: &UidSet) -> Vec<(u32, Known)> {
    let messages = model[&folder].messages.iter();
    messages
        .filter(|(uid, _)| uids.contains(Uid(**uid)))
        .map(|(uid, known)| (*uid, *known))
        .collect()
}
