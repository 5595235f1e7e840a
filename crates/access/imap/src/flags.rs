//! Flags between their three forms: on the wire, by name for the mailbox, as bits in the view.

use crate::reply::{Reply, Stop};
use crate::state::Selected;
use codec_imap::{Code, Flag};
use contract_mailbox::index::NamedFlags;
use contract_mailbox::request::StoreMode;
use contract_mailbox::{Flags, Keywords, SystemFlags};

/// The system flags in the order in which they are shown.
const SYSTEM: [(SystemFlags, Flag); 5] = [
    (SystemFlags::ANSWERED, Flag::Answered),
    (SystemFlags::FLAGGED, Flag::Flagged),
    (SystemFlags::DELETED, Flag::Deleted),
    (SystemFlags::SEEN, Flag::Seen),
    (SystemFlags::DRAFT, Flag::Draft),
];

/// Flags of a STORE or APPEND by name.
pub(crate) fn named(flags: &[Flag]) -> Result<NamedFlags, Stop> {
    let mut named = NamedFlags::default();
    for flag in flags {
        match flag {
            Flag::Keyword(name) => {
                if !named.keywords.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                    named.keywords.push(name.clone());
                }
            }
            Flag::Recent | Flag::Extension(_) => {
                return Err(Reply::no(Code::Cannot, "There is no such system flag").into());
            }
            system => {
                if let Some((bit, _)) = SYSTEM.iter().find(|(_, flag)| flag == system) {
                    named.system = named.system.union(*bit);
                }
            }
        }
    }
    Ok(named)
}

/// Those of the flags that may be changed in the open folder; the others are passed over, since
/// clients do not expect a STORE to fail for some of its flags (RFC 4314 §4).
///
/// # Errors
/// Refuses if none is left, and to replace flags that may not be changed.
pub(crate) fn allowed(
    flags: NamedFlags,
    selected: &Selected,
    replaces: bool,
) -> Result<NamedFlags, Stop> {
    let had_any = flags != NamedFlags::default();
    let allowed = limited(flags, selected.may_flag(), selected.may_delete());
    if (replaces && !selected.may_flag()) || (had_any && allowed == NamedFlags::default()) {
        return Err(Reply::no(Code::NoPerm, "You may not change these flags here").into());
    }
    Ok(allowed)
}

/// Flags without those that somebody may not set.
pub(crate) fn limited(mut flags: NamedFlags, may_flag: bool, may_delete: bool) -> NamedFlags {
    if !may_flag {
        let deleted = flags.system.contains(SystemFlags::DELETED);
        flags = NamedFlags::default();
        flags.system = if deleted { SystemFlags::DELETED } else { flags.system };
    }
    if !may_delete {
        flags.system = flags.system.without(SystemFlags::DELETED);
    }
    flags
}

/// The wire names of a message's flags.
pub(crate) fn names(flags: Flags, recent: bool, keywords: &Keywords) -> impl Iterator<Item = &str> {
    SYSTEM
        .iter()
        .filter(move |(bit, _)| flags.system.contains(*bit))
        .map(|(_, flag)| flag.as_str())
        .chain(keywords.names(flags.keywords))
        .chain(recent.then_some("\\Recent"))
}

/// All flags that messages can have now, for FLAGS and PERMANENTFLAGS.
pub(crate) fn defined(keywords: &Keywords) -> Vec<Flag> {
    let system = SYSTEM.iter().map(|(_, flag)| flag.clone());
    system.chain(keywords.0.iter().filter_map(|name| Flag::from_name(name))).collect()
}

/// What a STORE makes of flags where nobody else changes them: what a client assumes after .SILENT.
pub(crate) fn assumed(old: Flags, mode: StoreMode, named: &NamedFlags, known: &Keywords) -> Flags {
    let bits =
        named.keywords.iter().filter_map(|name| known.bit(name)).fold(0, |all, bit| all | bit);
    let Flags { system, keywords } = old;
    match mode {
        StoreMode::Replace => Flags { system: named.system, keywords: bits },
        StoreMode::Add => Flags { system: system.union(named.system), keywords: keywords | bits },
        StoreMode::Remove => {
            Flags { system: system.without(named.system), keywords: keywords & !bits }
        }
    }
}
