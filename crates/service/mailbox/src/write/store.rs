//! Store: changes flags. Messages whose flags would stay the same are left alone.

use super::Step;
use super::bulk::Progress;
use super::folder::check_holds_messages;
use crate::message::{self, Touch};
use crate::select::select_next;
use crate::unit::Unit;
use base::{FolderId, Result};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::{StoreMode, Stored};
use contract_mailbox::{Flags, IndexEntry, Permission, SystemFlags, UidSet, WriteReply};
use contract_store::BodyError;

/// How flags are to be changed.
pub(super) struct Change<'a> {
    pub(super) mode: StoreMode,
    pub(super) flags: &'a NamedFlags,
    pub(super) unchanged_since: Option<base::Change>,
}

pub(super) async fn step(
    unit: &mut Unit<'_>,
    folder: FolderId,
    uids: &UidSet,
    change: Change<'_>,
    progress: &mut Progress,
) -> Result<Step, BodyError> {
    check_holds_messages(unit, folder)?;
    let chunk = unit.chunk;
    let (entries, more) = select_next(unit, folder, uids, progress, chunk).await?;
    let flags = match change.mode {
        // What is taken away need not get a bit first.
        StoreMode::Remove => unit.known_flags(change.flags),
        _ if entries.is_empty() => unit.known_flags(change.flags),
        _ => unit.flags(change.flags)?,
    };
    let since = change.unchanged_since;
    // Who may not delete does not take the mark of deletion away by replacing all flags, either.
    let may_delete = unit.rights(folder)? & Permission::DELETE_ANY != 0;
    let wanted = |old: &IndexEntry| {
        let flags = combine(old.flags, change.mode, flags);
        if may_delete { flags } else { with_mark_of(old.flags, flags) }
    };
    let is_late = |old: &IndexEntry| since.is_some_and(|since| old.change > since);
    let touched: Vec<IndexEntry> =
        entries.iter().filter(|old| !is_late(old) && wanted(old) != old.flags).copied().collect();
    let mut steps = message::steps_of(unit, folder, &touched).await?;
    for old in entries {
        progress.after = old.uid;
        if is_late(&old) {
            progress.modified.push(old.uid);
            continue;
        }
        let flags = wanted(&old);
        let entry = if flags == old.flags {
            old
        } else {
            let step = steps.take(&old)?;
            message::restamp(unit, folder, &old, step, flags, Touch::Flags).await?
        };
        progress.entries.push(entry);
    }
    if more {
        return Ok(Step::More);
    }
    if progress.incomplete {
        return Ok(Step::Finished(WriteReply::LookAgain));
    }
    Ok(Step::Finished(WriteReply::Stored(Stored {
        entries: std::mem::take(&mut progress.entries),
        modified: std::mem::take(&mut progress.modified),
        keywords: unit.keywords(),
    })))
}

/// Flags with `\Deleted` as it was.
fn with_mark_of(old: Flags, mut flags: Flags) -> Flags {
    let deleted = SystemFlags::DELETED;
    flags.system = match old.system.contains(deleted) {
        true => flags.system.union(deleted),
        false => flags.system.without(deleted),
    };
    flags
}

fn combine(old: Flags, mode: StoreMode, flags: Flags) -> Flags {
    match mode {
        StoreMode::Replace => flags,
        StoreMode::Add => Flags {
            system: old.system.union(flags.system),
            keywords: old.keywords | flags.keywords,
        },
        StoreMode::Remove => Flags {
            system: old.system.without(flags.system),
            keywords: old.keywords & !flags.keywords,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_of_deletion_stays() {
        let (seen, deleted) = (SystemFlags::SEEN, SystemFlags::DELETED);
        let both = Flags::system(seen.union(deleted));
        let (seen, deleted) = (Flags::system(seen), Flags::system(deleted));
        assert_eq!(with_mark_of(deleted, seen), both);
        assert_eq!(with_mark_of(both, both), both);
        assert_eq!(with_mark_of(seen, both), seen);
    }

    #[test]
    fn flags_combine() {
        let old = Flags { system: SystemFlags(0b011), keywords: 0b01 };
        let given = Flags { system: SystemFlags(0b110), keywords: 0b10 };
        let check = |mode, system, keywords| {
            let expect = Flags { system: SystemFlags(system), keywords };
            assert_eq!(combine(old, mode, given), expect, "{mode:?}");
        };
        check(StoreMode::Replace, 0b110, 0b10);
        check(StoreMode::Add, 0b111, 0b11);
        check(StoreMode::Remove, 0b001, 0b01);
    }
}
