//! What is held against a cluster at the end of every story.

use super::{Hurt, Outcome, Promise, Stage};
use crate::checkers::{
    self, Evidence, Violation, change_numbers, linearizable, quota_equals_sum, stale_epoch,
    store_clean,
};
use crate::failure::{Failure, Result};
use crate::figures::{Role, away};
use crate::history::Register;
use crate::observe;
use crate::scenario::{liveness, verdict};
use crate::workload::tally::Counts;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a mailbox may be away without being named: longer ones are worth a look into the logs.
const LONG_US: u64 = 5_000_000;

impl Stage {
    /// Ends the load, heals everything and judges everything.
    ///
    /// # Errors
    /// All violations.
    pub async fn judge(&mut self, promise: Promise) -> Result<Outcome> {
        self.judge_with(promise, async |_| Ok(())).await
    }

    /// The same with something to do and judge when all that was sent is delivered, before the
    /// nodes are ended; it gets what is known by then.
    ///
    /// # Errors
    /// All violations, and those of `more`.
    pub async fn judge_with<F>(&mut self, promise: Promise, more: F) -> Result<Outcome>
    where
        F: AsyncFnOnce(&mut Outcome) -> Result<()>,
    {
        let mut outcome = Outcome::default();
        let stalls = self.cluster.weather.stalls_us();
        if !stalls.is_empty() {
            eprintln!("chaos: the machine's disk stood still, for so many µs: {stalls:?}");
        }
        self.cluster.wait_served().await?;
        if let Some(running) = self.running.take() {
            let registers = running.registers.clone();
            (outcome.heard, outcome.counts) = running.finish().await;
            self.compute_unavailability(&outcome.counts);
            let judged = registers.iter().map(|(user, one)| linearizable::check(user, &one.ops()));
            let judged = verdict(&judged.flatten().collect::<Vec<_>>());
            if judged.is_err() {
                self.cluster.keep("registers.txt", &shown(&registers))?;
            }
            judged?;
            judge_clients(&outcome.counts, Promise::TemporaryErrors)?;
        }
        self.cluster.node(0)?.admin().wait_for_empty_queue().await?;
        let evidence = self.gather().await?;
        let mut violations = checkers::judge(&evidence);
        violations.extend(self.memory.check(&evidence));
        violations.extend(self.ask(&evidence).await?);
        let entries = self.cluster.journal.entries();
        violations.extend(stale_epoch::check(&entries));
        violations.extend(change_numbers::check(&entries));
        verdict(&violations)?;
        outcome.acknowledged = self.ledger.acknowledged();
        outcome.commits = entries.len();
        for (user, mailbox) in &evidence.mailboxes {
            outcome.seen += mailbox.values().map(|folder| folder.messages.len()).sum::<usize>();
            let inbox = mailbox.get("INBOX").into_iter().flat_map(|folder| &folder.messages);
            outcome.inboxes.insert(user.clone(), inbox.map(|seen| seen.id.clone()).collect());
        }
        more(&mut outcome).await?;
        for node in self.cluster.running() {
            let id = format!("l{}-{node}", self.plan.seed);
            let user = ["alice", "bob", "carol"][node % 3];
            liveness(&self.cluster.node(node)?.endpoint()?, &self.ledger, &id, user).await?;
        }
        outcome.verified = self.cluster.finish().await?;
        // Last, since what is lost weighs more than what is late.
        judge_clients(&outcome.counts, promise)?;
        self.cluster.pass();
        Ok(outcome)
    }

    fn compute_unavailability(&mut self, counts: &Counts) {
        for hurt in std::mem::take(&mut self.hurts) {
            for (user, time_us) in away(&counts.samples, hurt.node, hurt.at_us) {
                let owner = hurt.owners.get(&user);
                let is_owner = owner == Some(&hurt.node);
                if time_us > LONG_US {
                    let Hurt { node, at_us, .. } = hurt;
                    eprintln!(
                        "chaos: user {user} of node {owner:?} was away for {time_us} µs after node \
                         {node} was hurt at {at_us} µs"
                    );
                }
                self.unavailability.note(Role::of(is_owner, hurt.was_leader), time_us);
            }
        }
    }

    /// What is there now, each mailbox seen through another node.
    async fn gather(&self) -> Result<Evidence> {
        let (sent, shelved) = (self.ledger.sent(), self.ledger.all_shelved());
        let mut evidence = Evidence { sent, shelved, ..Evidence::default() };
        let running = self.cluster.running();
        for (number, user) in self.cluster.users().into_iter().enumerate() {
            let node = running.get(number % running.len().max(1)).copied().unwrap_or_default();
            let seen = observe::mailbox(&self.cluster.node(node)?.endpoint()?, &user).await;
            let what = || format!("looking at {user} through node {node}");
            evidence.mailboxes.insert(user.clone(), seen.map_err(|e| e.while_doing(what()))?);
        }
        Ok(evidence)
    }

    /// The checkers that ask the nodes.
    async fn ask(&self, evidence: &Evidence) -> Result<Vec<Violation>> {
        let mut violations = Vec::new();
        let running = self.cluster.running();
        for node in &running {
            let node = self.cluster.node(*node)?;
            violations.extend(store_clean::check_member(&node.admin(), &node.log()).await?);
        }
        for (number, (user, mailbox)) in evidence.mailboxes.iter().enumerate() {
            let node =
                running.get((number + 1) % running.len().max(1)).copied().unwrap_or_default();
            let admin = self.cluster.node(node)?.admin();
            violations.extend(quota_equals_sum::check(&admin, user, mailbox).await?);
        }
        Ok(violations)
    }
}

/// Histories for a person, in the order of their beginnings.
fn shown(registers: &BTreeMap<String, Arc<Register>>) -> String {
    let mut text = String::new();
    for (user, register) in registers {
        let mut ops = register.ops();
        ops.sort_by_key(|op| op.started_us);
        ops.iter().for_each(|op| text.push_str(&format!("{user} {op:?}\n")));
    }
    text
}

pub(super) fn judge_clients(counts: &Counts, promise: Promise) -> Result<()> {
    if let [first, ..] = counts.wrong.as_slice() {
        return Err(Failure(format!(
            "{} sessions saw what cannot be: {first}",
            counts.wrong.len()
        )));
    }
    match (promise, counts.noticed.as_slice()) {
        (Promise::NothingNoticed, [first, ..]) => {
            let count = counts.noticed.len();
            Err(Failure(format!("{count} clients of nodes that were well noticed: {first}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_fails_always_and_what_clients_noticed_where_it_was_promised() {
        let check = |noticed: &[&str], wrong: &[&str], promise, is_fine: bool| {
            let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
            let counts =
                Counts { noticed: texts(noticed), wrong: texts(wrong), ..Counts::default() };
            assert_eq!(judge_clients(&counts, promise).is_ok(), is_fine, "{counts:?}");
        };
        for promise in [Promise::NothingNoticed, Promise::TemporaryErrors] {
            check(&[], &[], promise, true);
            check(&[], &["x"], promise, false);
        }
        check(&["x"], &[], Promise::NothingNoticed, false);
        check(&["x"], &[], Promise::TemporaryErrors, true);
    }
}
