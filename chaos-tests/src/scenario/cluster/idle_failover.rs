//! Many sessions are in IDLE on a few inboxes, over all nodes, while messages arrive and the owner of
//! one of the inboxes dies: each session hears of each message once, soon. Those whose own listener
//! died come back elsewhere, and have missed nothing either.

use super::{Outcome, Plan, Promise, Stage, on_stage};
use crate::checkers::{Violation, idle_once};
use crate::failure::{Failure, Result};
use crate::figures::Times;
use crate::net::PATIENCE;
use crate::scenario::{Tier, verdict};
use crate::schedule::Victim;
use crate::workload::Load;
use crate::workload::roaming::{self, Mix};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// How soon 99 of 100 hear, from the 250 on.
const HEARD: Duration = Duration::from_secs(3);

/// What a run saw.
#[derive(Debug)]
pub struct Figures {
    /// Sessions.
    pub sessions: usize,
    /// Deaths of an owner.
    pub rounds: u64,
    /// Messages that arrived while they listened, in all inboxes.
    pub messages: usize,
    /// How long after its 250 each session heard of each message.
    pub heard: Times,
    /// How long those of dead listeners took to be logged in elsewhere.
    pub back: Times,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { sessions, rounds, messages, heard, back } = self;
        write!(
            f,
            "{sessions} sessions, {rounds} owners died, {messages} messages; heard after {heard}; \
             back elsewhere after {back}"
        )
    }
}

/// Two deaths, or six.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    // Not more than fifty sessions a user: people have limits, and come to one node in the end.
    let mailboxes = tier.pick(3, 37);
    Plan { mailboxes, ..Plan::new("idle-failover", tier, seed, (2, 6)) }
}

/// Runs it.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    on_stage(plan, false, async |stage| story(stage, plan).await).await
}

async fn story(stage: &mut Stage, plan: &Plan) -> Result<Figures> {
    // Nobody may have too many sessions on one node, also after the others have come there.
    let users: Vec<String> = stage.cluster.users();
    let quiet = only_listeners(plan, &users);
    let (endpoints, weather) = (stage.cluster.endpoints()?, stage.cluster.weather.clone());
    let listening = roaming::start(endpoints.clone(), &weather, &stage.ledger, &quiet).await?;
    wait_until(|| listening.heard().iter().all(|one| !one.told.is_empty())).await?;
    let mut sending = quiet.clone();
    (sending.load.senders, sending.idlers) = (3, 0);
    sending.load.round = 2;
    // Registers wake the mailboxes, so that their owners are known, and tell how slow things are.
    (sending.registers, sending.register_sessions) = (users.len().min(12), 1);
    sending.register_pace = Duration::from_millis(200);
    stage.load(&sending).await?;
    for round in 0..plan.rounds {
        let node = stage.pick(Victim::OwnerOf(round as usize % users.len())).await?;
        stage.kill9(node).await?;
        sleep(Duration::from_secs(2)).await;
        stage.cluster.boot(node).await?;
        stage.cluster.wait_served().await?;
        sleep(Duration::from_secs(2)).await;
    }
    let outcome = stage.judge_with(Promise::NothingNoticed, async |outcome| {
        let present = |user: &str| outcome.inboxes.get(user).map_or(0, Vec::len) as u32;
        let all_heard = || {
            let knows = |one: &idle_once::Heard| {
                let count = present(&one.user);
                count == 0 || one.knew_at_us(count).is_some()
            };
            listening.heard().iter().all(knows)
        };
        // Who has not heard by then is named by the checker.
        let _ = wait_until(all_heard).await;
        let (heard, counts) = listening.finish().await;
        super::judging::judge_clients(&counts, Promise::NothingNoticed)?;
        let wrong = heard.iter().flat_map(|one| idle_once::check(one, present(&one.user)));
        verdict(&wrong.collect::<Vec<Violation>>())?;
        outcome.heard = heard;
        outcome.counts.back_after_us.extend(counts.back_after_us);
        Ok(())
    });
    let outcome = outcome.await?;
    let (messages, heard) = times(&outcome, &users);
    let figures = Figures {
        sessions: outcome.heard.len(),
        rounds: plan.rounds,
        messages,
        heard,
        back: Times(outcome.counts.back_after_us),
    };
    let bar = stage.bar(HEARD);
    if figures.messages == 0 || figures.heard.percentile(99) > bar {
        return Err(Failure(format!("99 of 100 may hear after {bar:.1?}: {figures}")));
    }
    Ok(figures)
}

/// Sessions in IDLE, and nothing else.
fn only_listeners(plan: &Plan, users: &[String]) -> Mix {
    let (seed, users) = (plan.seed, users.to_vec());
    let load = Load { seed, round: 1, senders: 0, shelvers: 0, users, each: u64::MAX };
    let pace = Duration::from_millis(plan.tier.pick(150, 20));
    Mix {
        load,
        pace,
        register_sessions: 0,
        register_pace: pace,
        asks_first: plan.asks_first,
        registers: 0,
        idlers: plan.tier.pick(200, 2_000),
    }
}

/// How many messages arrived while the sessions listened, and how long after its 250 each session
/// knew of each.
fn times(outcome: &Outcome, users: &[String]) -> (usize, Times) {
    let (mut messages, mut heard) = (0, Times::default());
    for (user, ids) in outcome.inboxes.iter().filter(|(user, _)| users.contains(user)) {
        let sessions = || outcome.heard.iter().filter(|one| one.user == *user);
        for (place, id) in (1..).zip(ids) {
            let Some(acknowledged) = outcome.counts.acknowledged_us.get(id) else {
                continue;
            };
            messages += 1;
            let times = sessions().filter_map(|one| one.knew_at_us(place));
            heard.0.extend(times.map(|at| at.saturating_sub(*acknowledged)));
        }
    }
    (messages, heard)
}

async fn wait_until(is_done: impl Fn() -> bool) -> Result<()> {
    let begun = Instant::now();
    while !is_done() {
        if begun.elapsed() > PATIENCE {
            return Err(Failure::from("not all sessions listen"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
