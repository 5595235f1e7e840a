//! The groups within a group, each of which takes a message or does not, as if it had been written
//! to itself (Exchange does so too).

use crate::follow::refusal;
use crate::guard::{Guard, Refusal};
use async_trait::async_trait;
use base::{Address, Result};
use contract_directory::{Admission, Group, GroupId};
use parking_lot::Mutex;
use std::collections::HashSet;

/// Whoever asks the groups that a message meets on its way.
pub(crate) struct Doors<'a> {
    guard: &'a Guard<'a>,
    /// The groups that are not gone into.
    closed: Mutex<HashSet<GroupId>>,
    /// Those of them that nobody has been told of.
    news: Mutex<Vec<Closed>>,
}

/// A group that does not take the message.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) group: GroupId,
    pub(crate) address: Address,
    pub(crate) refusal: Refusal,
}

impl<'a> Doors<'a> {
    /// `closed` are the groups that earlier pieces have not gone into.
    pub(crate) fn new(guard: &'a Guard<'a>, closed: HashSet<GroupId>) -> Self {
        Self { guard, closed: Mutex::new(closed), news: Mutex::default() }
    }

    /// The groups that were found closed since it was last asked; each once.
    pub(crate) fn take(&self) -> Vec<Closed> {
        std::mem::take(&mut self.news.lock())
    }
}

#[async_trait]
impl Admission for Doors<'_> {
    async fn admits(&self, group: &Group) -> Result<bool> {
        if self.closed.lock().contains(&group.id) {
            return Ok(false);
        }
        let Group { id, restrictions, authenticated_only, .. } = group;
        let Some(refusal) = refusal(Some(self.guard), restrictions, *authenticated_only).await?
        else {
            return Ok(true);
        };
        self.closed.lock().insert(*id);
        let closed = Closed { group: *id, address: group.address.clone(), refusal };
        self.news.lock().push(closed);
        Ok(false)
    }
}
