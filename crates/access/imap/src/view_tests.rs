//! A model client that hears only what the view says must end with exactly the server's list.

#![allow(clippy::unwrap_used, missing_docs)]

use super::*;
use crate::selection::Selection;
use base::{FolderId, ItemId, Timestamp};
use codec_imap::{IdRange, IdSet, SequenceSet};
use contract_mailbox::{FolderCounts, FolderInfo, FolderKind, IndexBlock};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A folder as the mailbox service keeps it.
#[derive(Default)]
struct Server {
    change: u64,
    next_uid: u32,
    messages: BTreeMap<u32, (Flags, u64)>,
    tombstones: Vec<(u64, u32)>,
    keywords: Vec<String>,
}

impl Server {
    fn append(&mut self) {
        self.change += 1;
        self.next_uid += 1;
        self.messages.insert(self.next_uid, (Flags::default(), self.change));
    }

    fn set(&mut self, nth: usize, flags: Flags) {
        let change = self.change + 1;
        if let Some(message) = self.messages.values_mut().nth(nth)
            && message.0 != flags
        {
            *message = (flags, change);
            self.change = change;
        }
    }

    fn expunge(&mut self, nth: usize) {
        let Some(uid) = self.messages.keys().nth(nth).copied() else {
            return;
        };
        self.change += 1;
        self.messages.remove(&uid);
        self.tombstones.push((self.change, uid));
    }

    fn info(&self) -> FolderInfo {
        FolderInfo {
            id: FolderId(1),
            parent: None,
            name: String::new(),
            class: contract_mailbox::FolderClass::Mail,
            kind: FolderKind::Normal,
            role: None,
            hidden: false,
            subscribed: false,
            counts: FolderCounts::default(),
            uid_validity: 1,
            uid_next: Uid(self.next_uid + 1),
            highest_change: Change(self.change),
            recent_from: Uid(1),
            own_change: Change(0),
        }
    }

    fn entry(&self, uid: u32) -> IndexEntry {
        let (flags, change) = self.messages[&uid];
        IndexEntry {
            uid: Uid(uid),
            item: ItemId(u64::from(uid)),
            flags,
            change: Change(change),
            size_bytes: u64::from(uid) * 10,
            received: Timestamp::from_unix_s(i64::from(uid)),
        }
    }

    fn keywords(&self) -> Arc<Keywords> {
        Arc::new(Keywords(self.keywords.clone()))
    }

    fn view(&self) -> FolderView {
        let mut blocks: BTreeMap<u32, IndexBlock> = BTreeMap::new();
        for uid in self.messages.keys() {
            let number = uid / IndexBlock::UIDS;
            let block = blocks.entry(number).or_default();
            block.number = number;
            block.entries.push(self.entry(*uid));
        }
        let blocks = blocks.into_values().map(Arc::new).collect();
        FolderView { info: self.info(), keywords: self.keywords(), blocks }
    }

    fn delta(&self, since: Change) -> ViewDelta {
        let changed = self.messages.iter().filter(|(_, (_, change))| *change > since.0);
        let mut vanished: Vec<Uid> = self
            .tombstones
            .iter()
            .filter(|(change, _)| *change > since.0)
            .map(|(_, uid)| Uid(*uid))
            .collect();
        vanished.sort_unstable();
        ViewDelta {
            info: self.info(),
            keywords: self.keywords(),
            changed: changed.map(|(uid, _)| self.entry(*uid)).collect(),
            vanished,
            complete: true,
        }
    }

    /// A STORE of a session.
    fn store(&mut self, uids: &UidSet, mode: StoreMode, flags: &NamedFlags) -> Stored {
        let named: Vec<u32> =
            self.messages.keys().copied().filter(|uid| uids.contains(Uid(*uid))).collect();
        for uid in &named {
            let nth = self.messages.keys().position(|known| known == uid).unwrap();
            let wanted = assumed(self.messages[uid].0, mode, flags, &self.keywords());
            self.set(nth, wanted);
        }
        Stored {
            entries: named.iter().map(|uid| self.entry(*uid)).collect(),
            modified: Vec::new(),
            keywords: self.keywords(),
        }
    }
}

/// What a client knows: for each message number its UID and flags.
#[derive(Default)]
struct Client(Vec<(Uid, Flags)>);

impl Client {
    /// Replays what the server says. What is new the client fetches at once.
    fn hear(&mut self, view: &mut View, expunges: bool) {
        let news = view.take_news(expunges);
        assert!(expunges || news.expunged.is_empty());
        for number in &news.expunged {
            assert!((1..=self.0.len() as u32).contains(number), "{number} of {}", self.0.len());
            self.0.remove(*number as usize - 1);
        }
        if let Some((exists, _)) = news.exists {
            assert!(exists as usize >= self.0.len());
            for row in self.0.len()..exists as usize {
                self.0.push((view.uid(row).unwrap(), view.flags(row).0));
                view.shown(row);
            }
        }
        for row in news.flags {
            self.0[row].1 = view.flags(row).0;
        }
        assert_eq!(view.len(), self.0.len());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Append,
    Set(usize, u8),
    Keyword(usize),
    Expunge(usize),
    /// The session asks and tells.
    Hear {
        expunges: bool,
    },
    /// The session asks, and takes a whole view instead of a delta.
    Reload,
    /// The session stores a flag of some messages.
    Store {
        first: u32,
        last: u32,
        mode: u8,
        flag: u8,
        silent: bool,
    },
    /// The session expunges a message itself.
    OwnExpunge(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Append),
        3 => (0usize..12, 0u8..32).prop_map(|(n, f)| Step::Set(n, f)),
        1 => (0usize..12).prop_map(Step::Keyword),
        2 => (0usize..12).prop_map(Step::Expunge),
        3 => any::<bool>().prop_map(|expunges| Step::Hear { expunges }),
        1 => Just(Step::Reload),
        2 => (1u32..10, 1u32..10, 0u8..3, 0u8..5, any::<bool>()).prop_map(
            |(first, last, mode, flag, silent)| Step::Store { first, last, mode, flag, silent }
        ),
        1 => (0usize..12).prop_map(Step::OwnExpunge),
    ];
    prop::collection::vec(step, 0..60)
}

fn own_store(
    server: &mut Server,
    view: &mut View,
    client: &mut Client,
    (set, mode, flag, silent): (SequenceSet, u8, u8, bool),
) {
    let Ok(selection) = Selection::resolve(&set, false, view) else {
        return;
    };
    let mode = [StoreMode::Replace, StoreMode::Add, StoreMode::Remove][usize::from(mode)];
    let flags = NamedFlags { system: SystemFlags(1 << flag), keywords: Vec::new() };
    let stored = server.store(&selection.uids(view), mode, &flags);
    view.stored(&stored, silent, mode, &flags);
    if silent {
        for row in selection.rows() {
            let known = &mut client.0[row].1;
            *known = assumed(*known, mode, &flags, &stored.keywords);
        }
    }
    client.hear(view, false);
}

fn run(steps: &[Step], may_hear: impl Fn(usize) -> bool) -> (Vec<(Uid, Flags)>, Server) {
    let mut server = Server::default();
    server.append();
    server.append();
    let mut view = View::open(&server.view(), UidSet::default(), false);
    let all = (0..view.len()).map(|row| (view.uid(row).unwrap(), view.flags(row).0));
    let mut client = Client(all.collect());
    for (index, step) in steps.iter().enumerate() {
        match step.clone() {
            Step::Append => server.append(),
            Step::Set(nth, system) => {
                let keywords = server.messages.values().nth(nth).map_or(0, |m| m.0.keywords);
                server.set(nth, Flags { system: SystemFlags(system), keywords });
            }
            Step::Keyword(nth) => {
                let bit = server.keywords.len();
                server.keywords.push(format!("k{bit}"));
                if let Some(old) = server.messages.values().nth(nth).map(|m| m.0) {
                    let flags = Flags { keywords: old.keywords | 1 << (bit % 128), ..old };
                    server.set(nth, flags);
                }
            }
            Step::Expunge(nth) => server.expunge(nth),
            Step::Hear { expunges } if may_hear(index) => {
                view.apply(&server.delta(view.since()));
                client.hear(&mut view, expunges);
            }
            Step::Reload if may_hear(index) => {
                view.reload(&server.view());
                client.hear(&mut view, true);
            }
            Step::Hear { .. } | Step::Reload => {}
            Step::Store { first, last, mode, flag, silent } => {
                let set = SequenceSet::from(IdSet::from_ranges([IdRange { first, last }]));
                own_store(&mut server, &mut view, &mut client, (set, mode, flag, silent));
            }
            Step::OwnExpunge(row) => {
                if row < view.len()
                    && let Some(uid) = view.uid(row)
                    && let Some(nth) = server.messages.keys().position(|known| *known == uid.0)
                {
                    server.expunge(nth);
                    view.vanish(uid);
                    client.hear(&mut view, true);
                }
            }
        }
    }
    view.apply(&server.delta(view.since()));
    client.hear(&mut view, true);
    for (row, (uid, _)) in client.0.iter().enumerate() {
        assert_eq!(view.row_of(*uid), Some(row));
        assert_eq!(view.size_bytes(row), u64::from(uid.0) * 10);
        assert_eq!(view.received_s(row), i64::from(uid.0));
    }
    assert_eq!(view.take_news(true), News::default(), "everything is told once");
    (client.0, server)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_client_that_listens_knows_the_folder(steps in steps()) {
        let (client, server) = run(&steps, |_| true);
        let list: Vec<_> =
            server.messages.iter().map(|(uid, (flags, _))| (Uid(*uid), *flags)).collect();
        prop_assert_eq!(client, list);
    }

    /// Where the session does nothing itself, it does not matter when and in how many portions it
    /// asks.
    #[test]
    fn portions_do_not_matter(steps in steps(), mask: u64) {
        let steps: Vec<Step> = steps
            .into_iter()
            .filter(|step| !matches!(step, Step::Store { .. } | Step::OwnExpunge(_)))
            .collect();
        let (often, _) = run(&steps, |_| true);
        let (seldom, _) = run(&steps, |index| mask >> (index % 64) & 1 == 1);
        let (once, _) = run(&steps, |_| false);
        prop_assert_eq!(&often, &once);
        prop_assert_eq!(seldom, once);
    }
}

#[test]
fn own_changes_are_not_read_again() {
    let mut server = Server::default();
    (0..3).for_each(|_| server.append());
    let mut view = View::open(&server.view(), UidSet::default(), false);
    let flags = NamedFlags { system: SystemFlags::SEEN, keywords: Vec::new() };
    let stored = server.store(&UidSet::all(), StoreMode::Add, &flags);
    view.stored(&stored, true, StoreMode::Add, &flags);
    assert_eq!(view.since(), Change(server.change));
    assert_eq!(view.take_news(true), News::default());
    // Somebody else's change in between must be read.
    server.set(0, Flags::default());
    let stored = server.store(&UidSet::single(Uid(3)), StoreMode::Remove, &flags);
    let before = view.since();
    view.stored(&stored, true, StoreMode::Remove, &flags);
    assert_eq!(view.since(), before);
    view.apply(&server.delta(view.since()));
    assert_eq!(view.take_news(true).flags, [0]);
}

#[test]
fn attack_25_sets_are_resolved_without_expanding() {
    let mut server = Server::default();
    (0..1000).for_each(|_| server.append());
    (0..500).for_each(|n| server.expunge(n));
    let view = View::open(&server.view(), UidSet::default(), false);
    let set = |first, last| SequenceSet::from(IdSet::from_ranges([IdRange { first, last }]));
    let check = |set: SequenceSet, uid, expect: Option<usize>| {
        let found = Selection::resolve(&set, uid, &view).ok().map(|selection| selection.len());
        assert_eq!(found, expect, "{set:?} {uid}");
    };
    check(set(1, u32::MAX), true, Some(500));
    check(set(1, u32::MAX), false, None);
    check(set(u32::MAX, 1), true, Some(500));
    check(SequenceSet::from_number_on(1), false, Some(500));
    check(SequenceSet::from_number_on(u32::MAX), false, None);
    check(SequenceSet::from_number_on(u32::MAX), true, Some(1));
    check(SequenceSet::largest(), true, Some(1));
    check(set(501, 501), false, None);
    let all = Selection::resolve(&set(1, u32::MAX), true, &view).unwrap();
    assert_eq!(all.uids(&view).ranges().len(), 1, "one range, whatever the gaps");
    let empty = View::open(&Server::default().view(), UidSet::default(), false);
    let none = Selection::resolve(&SequenceSet::from_number_on(1), false, &empty).unwrap();
    assert!(none.is_empty());
}

#[test]
fn attack_33_combinations_of_flags_are_forgotten() {
    let mut server = Server::default();
    server.append();
    let mut view = View::open(&server.view(), UidSet::default(), false);
    for keywords in 1..10_000u128 {
        server.set(0, Flags { system: SystemFlags(0), keywords });
        view.apply(&server.delta(view.since()));
    }
    assert_eq!(view.flags(0).0.keywords, 9_999);
    assert!(view.palette.colours.len() <= PALETTE_MIN + 1);
}

#[test]
fn a_row_is_small() {
    assert_eq!(size_of::<Row>(), 24);
}
