//! Taking in the store what Raft gives, and dropping what it takes away.

use super::Fences;
use super::take::{SLOTS_MAX, Take};
use crate::placement::ClusterState;
use crate::raft::Applied;
use base::{Epoch, Result, Slot};
use contract_store::transact;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The waits between tries while the store is in trouble; each try has waited by itself before.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LONGEST: Duration = Duration::from_secs(2);

/// A takeover is worth a line in the log; the few slots of a step of planned moves are not.
const TELL_MIN: usize = 33;

/// What has become different, for [`base::router::LocalRouter::lost`] and then
/// [`base::router::LocalRouter::gained`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Followed {
    /// Their fences are in the store now.
    pub(crate) gained: Vec<Slot>,
    /// They are others' now. One that is in both was lost first, and is held under a new epoch.
    pub(crate) lost: Vec<Slot>,
}

impl Followed {
    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.gained.is_empty() && self.lost.is_empty()
    }
}

impl Fences {
    /// Follows one state until all is taken, or somebody newer turns out to have it.
    #[cfg(test)]
    pub(crate) async fn follow(self: &Arc<Self>, state: &ClusterState) -> Followed {
        self.hear(state);
        let mut wait = BACKOFF_FIRST;
        while !self.take_missing().await {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(BACKOFF_LONGEST);
        }
        self.news()
    }

    /// Follows every newer state that Raft applies: drops at once what is no longer this node's,
    /// and takes in the store what is. Tells what was gained and lost as soon as it is, also while
    /// the store takes only a part. Returns when Raft has ended. Called by one task.
    pub(crate) async fn keep_following(
        self: Arc<Self>,
        mut applied: watch::Receiver<Applied>,
        tell: impl Fn(Followed) + Send,
    ) {
        let mut wait = BACKOFF_FIRST;
        self.hear_newest(&mut applied, &tell);
        loop {
            let is_missing = !self.shared.table.read().missing().is_empty();
            let heard = if !is_missing {
                self.until_changed(&mut applied, &tell).await
            } else if self.take_and_hear(&mut applied, &tell).await {
                wait = BACKOFF_FIRST;
                continue;
            } else {
                let changed = tokio::time::timeout(wait, applied.changed()).await;
                wait = (wait * 2).min(BACKOFF_LONGEST);
                let Ok(heard) = changed else { continue };
                heard
            };
            if heard.is_err() {
                return;
            }
            // Once for each state: what the store has shown to be somebody newer's is not asked for
            // again before there is news.
            self.hear_newest(&mut applied, &tell);
        }
    }

    /// One try for all that is missing, which goes on while newer states come in: they take away
    /// at once, but a stream of them must not keep anything from being taken.
    async fn take_and_hear(
        &self,
        applied: &mut watch::Receiver<Applied>,
        tell: &impl Fn(Followed),
    ) -> bool {
        let taking = self.take_missing();
        tokio::pin!(taking);
        let mut is_open = true;
        loop {
            tokio::select! {
                done = &mut taking => {
                    self.tell(tell);
                    return done;
                }
                newer = applied.changed(), if is_open => {
                    is_open = newer.is_ok();
                    self.hear_newest(applied, tell);
                }
            }
        }
    }

    fn hear_newest(&self, applied: &mut watch::Receiver<Applied>, tell: &impl Fn(Followed)) {
        let state = applied.borrow_and_update().state.clone();
        self.hear(&state);
        self.tell(tell);
    }

    /// Waits for a newer state, and tells what the checks of reads find lost meanwhile.
    async fn until_changed(
        &self,
        applied: &mut watch::Receiver<Applied>,
        tell: &impl Fn(Followed),
    ) -> Result<(), watch::error::RecvError> {
        let mut changes = self.changed();
        loop {
            self.tell(tell);
            tokio::select! {
                newer = applied.changed() => return newer,
                changed = changes.changed() => changed?,
            }
        }
    }

    fn tell(&self, tell: &impl Fn(Followed)) {
        let news = self.news();
        if !news.is_empty() {
            tell(news);
        }
    }

    fn news(&self) -> Followed {
        let (gained, lost) = self.shared.table.write().news();
        Followed { gained, lost }
    }

    /// Notes what the state says. A node's slots belong to the life of it that the state names: not
    /// to the one that has just started and is not declared alive yet.
    fn hear(&self, state: &ClusterState) {
        let is_me = state.node(self.node()).is_some_and(|node| node.boot == Some(self.boot()));
        let changed = {
            let mut table = self.shared.table.write();
            let heard = state.slots().filter(|(slot, owner)| {
                let is_wanted = is_me && owner.node() == Some(self.node());
                table.hear(*slot, owner.epoch, is_wanted)
            });
            heard.count() > 0
        };
        if changed {
            self.shared.changed();
        }
    }

    /// One try for all that is missing; says whether nothing is left to be tried.
    async fn take_missing(&self) -> bool {
        let missing = self.shared.table.read().missing();
        let chunks = missing.chunks(SLOTS_MAX).map(|slots| self.take(slots.to_vec()));
        let outcomes = futures::future::join_all(chunks).await;
        let mut is_done = true;
        for error in outcomes.into_iter().filter_map(Result::err) {
            tracing::warn!(%error, "slots cannot be taken now; trying again");
            is_done = false;
        }
        is_done
    }

    async fn take(&self, slots: Vec<(Slot, Epoch)>) -> Result<()> {
        let (node, boot) = (self.node(), self.boot());
        let taken = transact(&self.shared.store, Take { node, boot, slots }).await?;
        let held = {
            let mut table = self.shared.table.write();
            taken.refused.iter().for_each(|(slot, epoch)| table.refused(*slot, *epoch));
            taken.fences.iter().filter(|fence| table.taken(**fence, taken.count)).count()
        };
        let refused = taken.refused.len();
        match held >= TELL_MIN || refused > 0 {
            true => tracing::info!(slots = held, refused, "took slots"),
            false => tracing::debug!(slots = held, refused, "took slots"),
        }
        metrics::counter!("rialto_slots_taken_total").increment(held as u64);
        self.shared.changed();
        Ok(())
    }
}
