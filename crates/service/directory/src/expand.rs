//! Expanding groups in pieces.
//!
//! Members are ordered by a hash of who they are (the account's id, else the folded address), and
//! the cursor is the hash at which the next piece begins. So the pieces are the same on every
//! node, and a member who joins or leaves between two pieces shifts nobody else. Only one piece is
//! held in memory, whatever the size of the group. Whoever is listed twice, or under two of their
//! addresses, comes once; groups that contain each other are visited once.
//!
//! Behind all hashes come those whom dynamic groups find (`found`), all of these groups at once.

use crate::config::{EXPAND_DEPTH_MAX, EXPAND_GROUPS_MAX};
use crate::found;
use crate::keys;
use crate::names::Name;
use crate::read::{ReadResult, Reader, view};
use crate::rows::{GroupRow, Target};
use crate::service::Shared;
use base::{AccountId, Address, Error, Kind, Result};
use contract_directory::{Admission, Dynamic, Expansion, Group, GroupId};
use futures::{FutureExt, StreamExt, TryStreamExt};
use std::collections::{BTreeMap, HashSet, VecDeque};

/// How many members are looked up in one transaction, and so many at once.
const LOOKUPS: usize = 500;
const LOOKUPS_AT_ONCE: usize = 64;

/// One piece of the expansion: members from `cursor` on, `limit` of them where there are so many.
pub(crate) async fn expand(
    shared: &Shared,
    root: GroupId,
    (cursor, limit): (u64, usize),
    admission: &dyn Admission,
) -> Result<Expansion> {
    let mut piece = Piece { cursor, limit: limit.max(1), members: BTreeMap::new() };
    let mut walk = Walk::new(root);
    while let Some((group, depth)) = walk.waiting.pop_front() {
        let Some(group) = entry(shared, group).await? else {
            if group == root {
                return Err(Error::not_found(format!("group {}", root.0)));
            }
            continue; // Removed meanwhile.
        };
        if group.id != root && !admission.admits(&group).await? {
            continue;
        }
        if let Some(dynamic) = group.dynamic {
            walk.dynamic.push(dynamic);
            continue;
        }
        for chunk in members(shared, group.id).await?.chunks(LOOKUPS) {
            for (member, target) in targets(shared, chunk).await? {
                match target {
                    Some(Target::Group(inner)) => walk.meet(inner, depth + 1)?,
                    Some(Target::Account(id)) => piece.add(Identity::Account(id), member),
                    None => {
                        if let Some(name) = Name::of(&member) {
                            piece.add(Identity::Other(name), member);
                        }
                    }
                }
            }
        }
    }
    let mut listed = piece.finish();
    let from = match found::place(cursor) {
        Some(from) => from,
        None if listed.next.is_some() || walk.dynamic.is_empty() => return Ok(listed),
        None if listed.members.is_empty() => 0,
        None => {
            listed.next = Some(found::FIRST);
            return Ok(listed);
        }
    };
    found::look(shared, &walk.dynamic, from, limit.max(1)).await
}

/// A walk over a group and the groups in it.
struct Walk {
    root: GroupId,
    seen: HashSet<GroupId>,
    /// With how deep they are nested.
    waiting: VecDeque<(GroupId, usize)>,
    /// By what members of the dynamic groups among them are found.
    dynamic: Vec<Dynamic>,
}

impl Walk {
    fn new(root: GroupId) -> Self {
        let (seen, waiting) = (HashSet::from([root]), VecDeque::from([(root, 1)]));
        Self { root, seen, waiting, dynamic: Vec::new() }
    }

    fn meet(&mut self, group: GroupId, depth: usize) -> Result<()> {
        if self.seen.insert(group) {
            check_limits(self.root, depth, self.seen.len())?;
            self.waiting.push_back((group, depth));
        }
        Ok(())
    }
}

fn check_limits(root: GroupId, depth: usize, groups: usize) -> Result<()> {
    if depth > EXPAND_DEPTH_MAX {
        let text = format!("group {}: nested more than {EXPAND_DEPTH_MAX} deep", root.0);
        return Err(Error::new(Kind::Limit, text));
    }
    if groups > EXPAND_GROUPS_MAX {
        let text = format!("group {}: contains more than {EXPAND_GROUPS_MAX} groups", root.0);
        return Err(Error::new(Kind::Limit, text));
    }
    Ok(())
}

/// A group without its members, if there is one.
async fn entry(shared: &Shared, group: GroupId) -> Result<Option<Group>> {
    let found = view(&shared.store, |reader| {
        async move { reader.row::<GroupRow>(&keys::group(group)).await }.boxed()
    });
    Ok(found.await?.map(|row| row.group(group, Vec::new())))
}

/// The direct members.
async fn members(shared: &Shared, group: GroupId) -> Result<Vec<Address>> {
    view(&shared.store, |reader| async move { reader.members(group).await }.boxed()).await
}

/// What each member is here.
async fn targets(shared: &Shared, members: &[Address]) -> Result<Vec<(Address, Option<Target>)>> {
    view(&shared.store, |reader| {
        let lookups: Vec<_> = members.iter().map(|member| target(reader, member.clone())).collect();
        futures::stream::iter(lookups).buffered(LOOKUPS_AT_ONCE).try_collect().boxed()
    })
    .await
}

async fn target(reader: Reader<'_>, member: Address) -> ReadResult<(Address, Option<Target>)> {
    let row = match Name::of(&member) {
        Some(name) => reader.name(&name).await?,
        None => None,
    };
    Ok((member, row.map(|row| row.target)))
}

/// Who a member is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    Account(AccountId),
    Other(Name),
}

impl Identity {
    fn place(&self) -> u64 {
        let mut hasher = blake3::Hasher::new();
        match self {
            Self::Account(id) => hasher.update(b"a").update(&id.0.to_be_bytes()),
            Self::Other(name) => hasher.update(b"o").update(name.to_string().as_bytes()),
        };
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        // Those who share a place stay together, so a few more of them do no harm.
        u64::from_be_bytes([a, b, c, d, e, f, g, h]) % found::FIRST
    }
}

struct Piece {
    cursor: u64,
    limit: usize,
    /// The `limit + 1` first places; those who share a place stay together.
    members: BTreeMap<u64, BTreeMap<Identity, Address>>,
}

impl Piece {
    fn add(&mut self, who: Identity, address: Address) {
        let place = who.place();
        if place < self.cursor {
            return;
        }
        let known = self.members.entry(place).or_default().entry(who);
        // Of two addresses of one account the lesser is taken, whatever the order they came in.
        known
            .and_modify(|kept| {
                if address < *kept {
                    *kept = address.clone();
                }
            })
            .or_insert(address);
        if self.members.len() > self.limit + 1 {
            self.members.pop_last();
        }
    }

    fn finish(mut self) -> Expansion {
        let next = if self.members.len() > self.limit {
            self.members.pop_last().map(|(place, _)| place)
        } else {
            None
        };
        let members = self.members.into_values().flat_map(BTreeMap::into_values).collect();
        Expansion { members, next }
    }
}
