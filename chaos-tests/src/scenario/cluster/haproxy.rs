//! HAProxy in front of three nodes, as `docs/haproxy.cfg` sets it up, and one of the nodes dies:
//! clients that it had with that node are back elsewhere soon, all others notice nothing but time,
//! and nothing that was sent or appended is there twice.

use super::{Plan, Promise, Stage, on_stage};
use crate::cluster::frontdoor::{self, FrontDoor, SOURCE};
use crate::cluster::weather::Weather;
use crate::failure::{Failure, Result};
use crate::figures::Times;
use crate::ledger::Ledger;
use crate::observe;
use crate::scenario::{Tier, liveness};
use crate::schedule::{self, Blow};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How soon a client of a dead node is logged in elsewhere.
const BACK: Duration = Duration::from_secs(2);

/// How long after a kill what its clients meet is put down to it.
const SPELL: Duration = Duration::from_secs(4);

/// What a run saw.
#[derive(Debug)]
pub enum Figures {
    /// Nothing: there is no HAProxy here.
    Skipped,
    /// This.
    Ran {
        /// Kills.
        rounds: u64,
        /// Acknowledged messages and changes.
        acknowledged: u64,
        /// IMAP connections that HAProxy had with the nodes that died.
        had: u64,
        /// IMAP sessions that broke, and how long they took to be logged in elsewhere.
        back: Times,
        /// Commands in the seconds after a kill, through the listeners that lived on.
        survivors: Times,
        /// Commands at all other times.
        otherwise: Times,
    },
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures::Ran { rounds, acknowledged, had, back, survivors, otherwise } = self else {
            return f.write_str("SKIPPED, no HAProxy (.ci/apt haproxy)");
        };
        write!(
            f,
            "{rounds} kills behind HAProxy, {acknowledged} acknowledged, nothing doubled; clients \
             of dead nodes: {had} connections, back after {back}; commands through surviving \
             listeners after a kill {survivors}, otherwise {otherwise}"
        )
    }
}

/// Three kills, or ten.
#[must_use]
pub fn plan(tier: Tier, seed: u64) -> Plan {
    Plan { is_proxied: true, ..Plan::new("cluster-haproxy", tier, seed, (3, 10)) }
}

/// Runs it, where HAProxy is installed.
///
/// # Errors
/// The violations, or why it could not run.
pub async fn run(plan: &Plan) -> Result<Figures> {
    let Some(program) = frontdoor::program() else {
        return Ok(Figures::Skipped);
    };
    on_stage(plan, false, async |stage| {
        let door = FrontDoor::start(&stage.cluster, &program).await?;
        story(stage, plan, &door).await
    })
    .await
}

async fn story(stage: &mut Stage, plan: &Plan, door: &FrontDoor) -> Result<Figures> {
    let mix = stage.mix();
    // To its clients the door is the one node that there is.
    let weather = Arc::new(Weather::new(stage.cluster.weather.clock, 1));
    stage.load_through(vec![door.endpoint()?], &weather, &mix).await?;
    let (mut had, mut windows) = (0, Vec::new());
    let users = stage.cluster.users().len();
    for Blow { after, victim, down } in schedule::blows(plan.seed, plan.rounds, 3, users) {
        sleep(after).await;
        let node = stage.pick(victim).await?;
        had += door.sessions("imaps").await?.get(node).copied().unwrap_or_default();
        weather.begin(0);
        let at_us = stage.cluster.kill9(node).await?;
        sleep(SPELL).await;
        weather.end(0);
        windows.push((at_us, at_us + SPELL.as_micros() as u64));
        sleep(down).await;
        stage.cluster.boot(node).await?;
        stage.cluster.wait_served().await?;
    }
    sleep(Duration::from_secs(2)).await;
    let seed = plan.seed;
    let outcome = stage.judge_with(Promise::NothingNoticed, async |_| told_apart(door, seed).await);
    let outcome = outcome.await?;
    let (mut survivors, mut otherwise) = (Times::default(), Times::default());
    for one in &outcome.counts.samples {
        let is_after =
            windows.iter().any(|(from, to)| one.started_us <= *to && one.ended_us >= *from);
        let times = if is_after { &mut survivors } else { &mut otherwise };
        times.0.push(one.ended_us - one.started_us);
    }
    let back = Times(outcome.counts.back_after_us);
    let (broke, bar) = (back.0.len() as u64, stage.bar(BACK));
    let (rounds, acknowledged) = (plan.rounds, outcome.acknowledged);
    let figures = Figures::Ran { rounds, acknowledged, had, back, survivors, otherwise };
    // One that was opened between the count and the kill, in each round.
    if broke > had + rounds {
        return Err(Failure(format!("{broke} connections broke, of {had} that may: {figures}")));
    }
    match &figures {
        Figures::Ran { back, .. } if back.percentile(99) > bar => {
            Err(Failure(format!("clients may be away {bar:.1?}: {figures}")))
        }
        _ => Ok(figures),
    }
}

/// The nodes know their clients' own addresses, not only HAProxy's: what is sent through it says so
/// in its trace (RFC 5321 §4.4).
async fn told_apart(door: &FrontDoor, seed: u64) -> Result<()> {
    let (id, user, ledger) = (format!("f{seed}"), "alice", Ledger::default());
    liveness(&door.endpoint()?, &ledger, &id, user).await?;
    let seen = observe::mailbox(&door.endpoint()?, user).await?;
    let inbox = seen.get("INBOX").into_iter().flat_map(|folder| &folder.messages);
    let found = inbox.into_iter().find(|one| one.id == id).map(|one| one.bytes.clone());
    let text = String::from_utf8_lossy(&found.unwrap_or_default()).into_owned();
    let is_told = text.contains("[127.0.0.1]") && !text.contains(&SOURCE.to_string());
    if is_told { Ok(()) } else { Err(Failure(format!("a node does not know its client: {text}"))) }
}
