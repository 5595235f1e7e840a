//! Rights between their two forms: those of IMAP (RFC 4314 §2.1) and those that mailboxes keep, which
//! are Exchange's (MS-OXCPERM 2.2.7).
//!
//! | IMAP | kept as | |
//! |---|---|---|
//! | `l` | Visible | |
//! | `r` | ReadAny | |
//! | `s` `w` | EditAny | tied: who may change messages may change all flags but \\Deleted |
//! | `i` | Create | |
//! | `k` (`c`) | CreateSubfolder | |
//! | `t` `e` (`d`) | DeleteAny | tied: \\Deleted is half of expunging |
//! | `x` `a` | Owner | tied |
//!
//! There is no `p`: mail is posted by SMTP. The obsolete `c` and `d` (§2.1.1) do not hold `x`, which
//! here means to administer the folder: an old client that gives `d` must not give that away.

use codec_imap::Rights;
use contract_mailbox::Permission;

/// Letters that go together, and what they are kept as.
const TABLE: [(&str, u32); 7] = [
    ("l", Permission::VISIBLE),
    ("r", Permission::READ_ANY),
    ("sw", Permission::EDIT_ANY),
    ("i", Permission::CREATE),
    ("kc", Permission::CREATE_SUBFOLDER),
    ("ted", Permission::DELETE_ANY),
    ("xa", Permission::OWNER),
];

/// What is kept beside a right of the table: nothing has a meaning of its own without it.
const OWNED: [(u32, u32); 2] = [
    (Permission::EDIT_ANY, Permission::EDIT_OWNED),
    (Permission::DELETE_ANY, Permission::DELETE_OWNED),
];

/// The groups of letters that can be given, tied ones together.
pub(crate) fn groups() -> impl Iterator<Item = Rights> {
    TABLE.iter().map(|(letters, _)| Rights::of(letters))
}

/// All rights.
pub(crate) fn all() -> Rights {
    groups().fold(Rights::NONE, Rights::union)
}

/// The letters of bits of [`Permission`].
pub(crate) fn of(bits: u32) -> Rights {
    let held = TABLE.iter().filter(|(_, bit)| bits & bit != 0);
    held.fold(Rights::NONE, |rights, (letters, _)| rights.union(Rights::of(letters)))
}

/// The bits that letters stand for: any letter of a group means all of it. `None` if there is a
/// letter that is no right here.
pub(crate) fn bits(rights: Rights) -> Option<u32> {
    if !rights.without(all()).is_empty() {
        return None;
    }
    let named = TABLE.iter().filter(|(letters, _)| letters.chars().any(|c| rights.has(c)));
    Some(named.fold(0, |bits, (_, bit)| bits | bit | owned(*bit)))
}

/// The bits that letters can speak of; others (free/busy, contact) stay as they are.
pub(crate) fn mapped() -> u32 {
    TABLE.iter().fold(0, |bits, (_, bit)| bits | bit | owned(*bit))
}

fn owned(bit: u32) -> u32 {
    OWNED.iter().find(|(any, _)| *any == bit).map_or(0, |(_, owned)| *owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_and_bits() {
        use Permission as P;
        let check = |letters: &str, bits: u32, shown: &str| {
            assert_eq!(super::bits(Rights::of(letters)), Some(bits), "{letters}");
            assert_eq!(of(bits).to_string(), shown, "{letters}");
        };
        check("", 0, "");
        check("lr", P::VISIBLE | P::READ_ANY, "lr");
        check("s", P::EDIT_ANY | P::EDIT_OWNED, "sw");
        check("w", P::EDIT_ANY | P::EDIT_OWNED, "sw");
        check("i", P::CREATE, "i");
        check("c", P::CREATE_SUBFOLDER, "kc");
        check("d", P::DELETE_ANY | P::DELETE_OWNED, "ted");
        check("e", P::DELETE_ANY | P::DELETE_OWNED, "ted");
        check("a", P::OWNER, "xa");
        assert_eq!(bits(Rights::of("lp")), None);
        assert_eq!(bits(Rights::of("l0")), None);
        assert_eq!(all().to_string(), "lrswikxteacd");
        assert_eq!(bits(all()), Some(mapped()));
        // What letters cannot speak of.
        let rest = P::ALL & !mapped();
        assert_eq!(rest, P::CONTACT | P::FREE_BUSY_SIMPLE | P::FREE_BUSY_DETAILED);
        assert_eq!(of(rest), Rights::NONE);
    }

    #[test]
    fn the_roles_of_exchange() {
        let check = |role: &str, bits: u32, expect: &str| {
            assert_eq!(of(bits).to_string(), expect, "{role}");
        };
        check("Owner", 0x07fb, "lrswikxteacd");
        check("PublishingEditor", 0x04fb, "lrswiktecd");
        check("Editor", 0x047b, "lrswited");
        check("PublishingAuthor", 0x049b, "lrikc");
        check("Author", 0x041b, "lri");
        check("NoneditingAuthor", 0x0413, "lri");
        check("Reviewer", 0x0401, "lr");
        check("Contributor", 0x0402, "li");
        check("None", 0, "");
    }
}
