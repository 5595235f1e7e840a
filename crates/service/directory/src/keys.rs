//! The directory's keys, all below `C/`.
//!
//! ```text
//! C/a <account id>            account              C/h <change id>      operation marker
//! C/n <domain> 0 <local>      name → account|group C/f <stamp>          feed entry
//! C/w <account id>            password             C/u <stamp>          audit record
//! C/d <domain>                accepted domain      C/c                  stamp of the last change
//! C/D                         default domain       C/b                  feed trimmed up to here
//! C/g <group id>              group                C/i                  next id
//! C/m <group id> <domain> 0 <local>   member       C/r <account id>     administrators
//! C/o <domain> 0 <local>      groups in order      C/x <account id>     removed accounts
//! C/y <domain> 0 <local> 0 <group id>   the groups that list an address
//! C/k <domain> 0 <local>      contacts in order
//! C/v <account id> <account id>   who has Full Access, and to whom
//! C/V                         that there are such rows for all accounts
//! ```
//!
//! Ids are big-endian u64, stamps are the store's ten-byte versionstamps.

use crate::names::Name;
use base::AccountId;
use bytes::Bytes;
use contract_directory::GroupId;
use contract_store::{KeyRange, Versionstamp, keys::KeyBuilder};

pub(crate) const DEFAULT_DOMAIN: &[u8] = b"C/D";
pub(crate) const HEAD: &[u8] = b"C/c";
pub(crate) const TRIMMED: &[u8] = b"C/b";
pub(crate) const NEXT_ID: &[u8] = b"C/i";
const ACCOUNT: &[u8] = b"C/a";
const PASSWORD: &[u8] = b"C/w";
const GROUP: &[u8] = b"C/g";
const NAME: &[u8] = b"C/n";
const DOMAIN: &[u8] = b"C/d";
const MEMBER: &[u8] = b"C/m";
const MEMBERSHIP: &[u8] = b"C/y";
const REMOVED: &[u8] = b"C/x";
const GROUP_ORDER: &[u8] = b"C/o";
const CONTACT_ORDER: &[u8] = b"C/k";
const ADMINISTRATOR: &[u8] = b"C/r";
const MARKER: &[u8] = b"C/h";
const FULL_ACCESS: &[u8] = b"C/v";
pub(crate) const FULL_ACCESS_COMPLETE: &[u8] = b"C/V";
const FEED: &[u8] = b"C/f";
const AUDIT: &[u8] = b"C/u";

pub(crate) fn account(id: AccountId) -> Bytes {
    KeyBuilder::new(ACCOUNT).u64(id.0).build()
}

pub(crate) fn accounts() -> KeyRange {
    KeyRange::prefix(ACCOUNT)
}

pub(crate) fn password(id: AccountId) -> Bytes {
    KeyBuilder::new(PASSWORD).u64(id.0).build()
}

pub(crate) fn passwords() -> KeyRange {
    KeyRange::prefix(PASSWORD)
}

pub(crate) fn password_id(key: &[u8]) -> Option<AccountId> {
    Some(AccountId(u64::from_be_bytes(key.strip_prefix(PASSWORD)?.try_into().ok()?)))
}

pub(crate) fn removed(id: AccountId) -> Bytes {
    KeyBuilder::new(REMOVED).u64(id.0).build()
}

pub(crate) fn all_removed() -> KeyRange {
    KeyRange::prefix(REMOVED)
}

pub(crate) fn removed_id(key: &[u8]) -> Option<AccountId> {
    Some(AccountId(u64::from_be_bytes(key.strip_prefix(REMOVED)?.try_into().ok()?)))
}

pub(crate) fn administrator(id: AccountId) -> Bytes {
    KeyBuilder::new(ADMINISTRATOR).u64(id.0).build()
}

pub(crate) fn administrators() -> KeyRange {
    KeyRange::prefix(ADMINISTRATOR)
}

pub(crate) fn administrator_id(key: &[u8]) -> Option<AccountId> {
    Some(AccountId(u64::from_be_bytes(key.strip_prefix(ADMINISTRATOR)?.try_into().ok()?)))
}

pub(crate) fn name(name: &Name) -> Bytes {
    KeyBuilder::new(NAME).text(name.domain.as_bytes()).raw(name.local.as_bytes()).build()
}

pub(crate) fn names() -> KeyRange {
    KeyRange::prefix(NAME)
}

pub(crate) fn names_of_domain(domain: &str) -> KeyRange {
    KeyRange::prefix(&KeyBuilder::new(NAME).text(domain.as_bytes()).build())
}

pub(crate) fn domain(name: &str) -> Bytes {
    KeyBuilder::new(DOMAIN).raw(name.as_bytes()).build()
}

pub(crate) fn domains() -> KeyRange {
    KeyRange::prefix(DOMAIN)
}

pub(crate) fn group(id: GroupId) -> Bytes {
    KeyBuilder::new(GROUP).u64(id.0).build()
}

pub(crate) fn groups() -> KeyRange {
    KeyRange::prefix(GROUP)
}

pub(crate) fn group_id(key: &[u8]) -> Option<GroupId> {
    Some(GroupId(u64::from_be_bytes(key.strip_prefix(GROUP)?.try_into().ok()?)))
}

pub(crate) fn group_order(name: &Name) -> Bytes {
    KeyBuilder::new(GROUP_ORDER).text(name.domain.as_bytes()).raw(name.local.as_bytes()).build()
}

pub(crate) fn groups_in_order() -> KeyRange {
    KeyRange::prefix(GROUP_ORDER)
}

pub(crate) fn contact_order(name: &Name) -> Bytes {
    KeyBuilder::new(CONTACT_ORDER).text(name.domain.as_bytes()).raw(name.local.as_bytes()).build()
}

pub(crate) fn contacts_in_order() -> KeyRange {
    KeyRange::prefix(CONTACT_ORDER)
}

pub(crate) fn member(id: GroupId, name: &Name) -> Bytes {
    KeyBuilder::new(MEMBER)
        .u64(id.0)
        .text(name.domain.as_bytes())
        .raw(name.local.as_bytes())
        .build()
}

pub(crate) fn all_members() -> KeyRange {
    KeyRange::prefix(MEMBER)
}

pub(crate) fn members(id: GroupId) -> KeyRange {
    KeyRange::prefix(&KeyBuilder::new(MEMBER).u64(id.0).build())
}

fn memberships_prefix(name: &Name) -> KeyBuilder {
    KeyBuilder::new(MEMBERSHIP).text(name.domain.as_bytes()).text(name.local.as_bytes())
}

/// That a group lists an address.
pub(crate) fn membership(name: &Name, id: GroupId) -> Bytes {
    memberships_prefix(name).u64(id.0).build()
}

/// The groups that list an address.
pub(crate) fn memberships(name: &Name) -> KeyRange {
    KeyRange::prefix(&memberships_prefix(name).build())
}

pub(crate) fn membership_group(key: &[u8]) -> Option<GroupId> {
    let (_, id) = key.split_last_chunk()?;
    Some(GroupId(u64::from_be_bytes(*id)))
}

/// That an account has Full Access to another's mailbox.
pub(crate) fn full_access(guest: AccountId, owner: AccountId) -> Bytes {
    KeyBuilder::new(FULL_ACCESS).u64(guest.0).u64(owner.0).build()
}

/// All such rows of who has it.
pub(crate) fn full_access_of(guest: AccountId) -> KeyRange {
    KeyRange::prefix(&KeyBuilder::new(FULL_ACCESS).u64(guest.0).build())
}

/// Whose mailbox such a row is about.
pub(crate) fn full_access_owner(key: &[u8]) -> Option<AccountId> {
    let (_, id) = key.split_last_chunk()?;
    Some(AccountId(u64::from_be_bytes(*id)))
}

/// The marker of one operation: time in milliseconds (48 bits), then random, so that old ones
/// can be removed as one range.
pub(crate) fn marker(operation: u128) -> Bytes {
    KeyBuilder::new(MARKER).u128(operation).build()
}

pub(crate) fn markers_before(operation: u128) -> KeyRange {
    KeyRange::new(Bytes::from_static(MARKER), marker(operation))
}

/// The key under which the commit puts the feed entry: its last four bytes tell where the stamp
/// goes.
pub(crate) fn new_feed_entry() -> Bytes {
    stamped(FEED)
}

pub(crate) fn feed() -> KeyRange {
    KeyRange::prefix(FEED)
}

pub(crate) fn feed_entry(stamp: &Versionstamp) -> Bytes {
    KeyBuilder::new(FEED).raw(stamp).build()
}

pub(crate) fn feed_stamp(key: &[u8]) -> Option<Versionstamp> {
    key.strip_prefix(FEED)?.try_into().ok()
}

pub(crate) fn new_audit_record() -> Bytes {
    stamped(AUDIT)
}

pub(crate) fn audit() -> KeyRange {
    KeyRange::prefix(AUDIT)
}

fn stamped(prefix: &[u8]) -> Bytes {
    let place = (prefix.len() as u32).to_le_bytes();
    KeyBuilder::new(prefix).raw(&[0; 10]).raw(&place).build()
}
