//! `rialto drill`: makes a failure on purpose and measures what clients notice of it.
//!
//! The drill is a client like any other: it asks a node over its administration socket to let
//! another one fail (or itself), while probes of its own write mail over SMTP and read it over IMAP
//! on every node's listeners. Each message that a server has acknowledged is noted, and must be in
//! the mailbox exactly once when all is over. What was measured is written to a file.

mod choose;
mod figures;
mod imap;
mod places;
mod probe;
mod report;
mod smtp;
mod talk;
mod watch;

use crate::cli::{DrillArguments, DrillVerb};
use crate::client::Client;
use crate::output::{self, Format, say};
use access_admin::ClusterView;
use access_listener::CancellationToken;
use base::env::Env;
use base::{Error, Kind, Result};
use choose::{Chosen, Failure};
use figures::Figures;
use futures::future::join_all;
use hyper::Method;
use places::Places;
use probe::{Probe, Record, Role};
use report::{Ledger, Report};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use watch::Watch;

/// How long everything is watched before the failure, to know what is usual here.
const BEFORE: Duration = Duration::from_secs(3);

/// How long moves of slots are waited for before a drill begins.
const QUIET_TIME: Duration = Duration::from_secs(60);

/// How long a node may take to say that it will fail.
const ORDER_TIME: Duration = Duration::from_secs(10);

/// How long the nodes may take to be back after a restart of all, where nobody says.
const RESTART_S: u32 = 300;

/// How long everything is watched after another failure, where nobody says.
const AFTER_S: u32 = 20;

/// The longest that a node is isolated, in seconds.
const ISOLATION_S_MAX: u32 = 60;

/// How long it may take until mail that was accepted is in the mailbox.
const ARRIVAL_TIME: Duration = Duration::from_secs(90);

/// What every part of a drill needs.
struct Drill {
    env: Env,
    arguments: DrillArguments,
    client: Client,
    places: Arc<Places>,
    /// Names this drill in its messages.
    run: String,
}

pub(super) async fn run(verb: DrillVerb) -> Result<()> {
    let (failure, arguments) = match verb {
        DrillVerb::Failover(arguments) => (Failure::Kill, arguments),
        DrillVerb::Partition(arguments) => (Failure::Isolate, arguments),
        DrillVerb::RestartAll(arguments) => (Failure::RestartAll, arguments),
    };
    let most = if failure == Failure::Isolate { ISOLATION_S_MAX } else { 3_600 };
    if !(1..=most).contains(&seconds(failure, &arguments)) {
        return Err(Error::invalid(format!("--seconds: 1 to {most}")));
    }
    let env = Env::real();
    let client = Client::new(&arguments.reach.data);
    let places = Arc::new(Places::find(&arguments)?);
    let run = format!("{:012x}", env.random.u64() & 0xffff_ffff_ffff);
    let drill = Drill { env, arguments, client, places, run };
    let before = drill.quiet_status().await?;
    let owner = drill.owner_of_mailbox().await;
    let named = drill.arguments.node.as_deref();
    let chosen = choose::choose(failure, named, owner.as_deref(), &before)?;
    if drill.arguments.dry_run {
        let plan = drill.describe(failure, &chosen);
        output::show(drill.arguments.reach.output, &json!({ "what_if": true, "would": plan }));
        return Ok(());
    }
    if !drill.places.is_dev && chosen.nodes.iter().any(|node| node.id == before.asked) {
        let text = "The node that is asked cannot tell of its own failure: run the drill on \
                    another machine of the cluster, or choose another node with --node";
        return Err(Error::invalid(text));
    }
    let report = drill.carry_out(failure, &chosen, before).await?;
    drill.publish(&report)
}

fn is_quiet(status: &ClusterView) -> bool {
    status.moves == 0 && status.slots_without_owner == 0
}

fn seconds(failure: Failure, arguments: &DrillArguments) -> u32 {
    let usual = if failure == Failure::RestartAll { RESTART_S } else { AFTER_S };
    arguments.seconds.unwrap_or(usual)
}

impl Drill {
    async fn status(&self) -> Result<ClusterView> {
        let path = format!("{}?fresh=true", super::cluster::PATH);
        crate::client::read(self.client.call(Method::GET, &path, None).await?)
    }

    /// The same when no slot is on the move, if that is soon: a node may just have joined.
    async fn quiet_status(&self) -> Result<ClusterView> {
        let until = self.env.clock.monotonic() + QUIET_TIME;
        loop {
            let is_late = self.env.clock.monotonic() >= until;
            match self.status().await {
                Ok(status) if is_late || is_quiet(&status) => return Ok(status),
                Err(error) if is_late || error.kind != Kind::Overloaded => return Err(error),
                _ => {}
            }
            self.env.clock.sleep(Duration::from_millis(250)).await;
        }
    }

    /// The node whose death concerns the drill's own mailbox.
    async fn owner_of_mailbox(&self) -> Option<String> {
        let address = crate::client::escape(&self.arguments.mailbox);
        let path = format!("/api/v1/mailboxes/{address}");
        let answer = self.client.call(Method::GET, &path, None).await.ok()?;
        answer["owner"].as_str().map(str::to_owned)
    }

    fn describe(&self, failure: Failure, chosen: &Chosen) -> String {
        let seconds = seconds(failure, &self.arguments);
        let what = failure.describe(&chosen.names(), seconds);
        let (count, mailbox) = (self.places.all.len(), &self.arguments.mailbox);
        format!(
            "{what}; meanwhile write to {mailbox} and read it on {count} nodes every {} ms, check \
             that what was acknowledged is there once, and write a report to {}",
            self.arguments.every_ms,
            self.report_dir().display()
        )
    }

    fn report_dir(&self) -> std::path::PathBuf {
        self.arguments.reach.data.join("drills")
    }

    fn tell(&self, line: impl std::fmt::Display) {
        if self.arguments.reach.output == Format::Table {
            say(line);
        }
    }

    async fn carry_out(
        &self,
        failure: Failure,
        chosen: &Chosen,
        before: ClusterView,
    ) -> Result<Report> {
        let mut reader = imap::Reader::connect(&self.places, &self.arguments, 0).await?;
        let first_uid = reader.uid_next().await?;
        let began = self.env.clock.now();
        self.tell(format!("Probes write to {} and read it.", self.arguments.mailbox));
        let stop = CancellationToken::new();
        let probes = self.start_probes(&stop);
        self.env.clock.sleep(BEFORE).await;
        let data = &self.arguments.reach.data;
        let watch =
            Watch::start(&self.env, self.places.watcher(chosen, data), chosen, stop.clone());
        let seconds = seconds(failure, &self.arguments);
        self.tell(format!("Now: {}.", failure.describe(&chosen.names(), seconds)));
        let failed_at = self.env.clock.monotonic();
        let ordered = self.order(failure, chosen, seconds).await;
        if ordered.is_ok() {
            self.wait(failure, chosen, seconds, &watch).await;
        }
        stop.cancel();
        let records: Vec<Record> = join_all(probes).await.into_iter().flatten().collect();
        let watched = watch.end(failed_at).await;
        ordered?;
        self.tell("The failure is over; looking for every acknowledged message.");
        let ledger = self.check_ledger(&records, first_uid).await?;
        let after = self.status().await.ok();
        let figures =
            records.iter().map(|record| Figures::of(record, failed_at, &chosen.names())).collect();
        let seconds = (self.env.clock.monotonic() - failed_at).as_secs_f64();
        Ok(Report::new(self, failure, chosen, (began, seconds), (before, after), watched)
            .with(figures, ledger))
    }

    /// A writer and a reader for each node; they begin there, and go elsewhere when it is away.
    fn start_probes(&self, stop: &CancellationToken) -> Vec<tokio::task::JoinHandle<Record>> {
        let homes = 0..self.places.all.len();
        let roles = homes.flat_map(|home| [Role::Write, Role::Read].map(|role| (home, role)));
        let start = |(home, role)| {
            let probe = Probe {
                role,
                home,
                env: self.env.clone(),
                places: self.places.clone(),
                arguments: self.arguments.clone(),
                run: self.run.clone(),
            };
            tokio::spawn(probe.run(stop.clone()))
        };
        roles.map(start).collect()
    }

    /// Makes the failure. Of several nodes, the one that is asked fails last.
    async fn order(&self, failure: Failure, chosen: &Chosen, seconds: u32) -> Result<()> {
        let order = match failure {
            Failure::Kill | Failure::RestartAll => json!({ "kind": "die" }),
            Failure::Isolate => json!({ "kind": "isolate", "duration_ms": seconds * 1_000 }),
        };
        for (place, node) in chosen.nodes.iter().enumerate() {
            let path = format!("/api/v1/nodes/{}/drill", node.id);
            let asking = self.client.call(Method::POST, &path, Some(&order));
            let asked = tokio::time::timeout(ORDER_TIME, asking).await;
            let asked = asked.unwrap_or_else(|_| {
                let text = format!("{} does not say whether it will fail", node.name);
                Err(Error::new(Kind::Timeout, text))
            });
            // A process that ends at once may not have answered; the watch sees whether it has.
            let may_have_failed = |kind| {
                matches!(kind, Kind::Unavailable | Kind::Timeout | Kind::Overloaded)
                    && failure != Failure::Isolate
            };
            if let Err(error) = asked
                && place == 0
                && !may_have_failed(error.kind)
            {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for so long, or after a restart of all until everything is back.
    async fn wait(&self, failure: Failure, chosen: &Chosen, seconds: u32, watch: &Watch) {
        let until = self.env.clock.monotonic() + Duration::from_secs(seconds.into());
        if failure == Failure::RestartAll {
            self.tell("Every node has to be started again by whoever watches over it.");
            if self.places.is_dev {
                self.tell("`rialto dev` leaves that to you:");
                chosen.nodes.iter().for_each(|node| self.tell(self.places.command(&node.name)));
            }
            while self.env.clock.monotonic() < until && !watch.is_whole() {
                self.env.clock.sleep(Duration::from_millis(200)).await;
            }
            // So that every probe can show that it is served again.
            self.env.clock.sleep(BEFORE).await;
            return;
        }
        self.env.clock.sleep(until.saturating_sub(self.env.clock.monotonic())).await;
        if failure == Failure::Isolate {
            // The node comes back to the others, and its clients to it.
            self.env.clock.sleep(BEFORE * 2).await;
        }
    }

    /// Looks for the messages until all that were acknowledged are there.
    async fn check_ledger(&self, records: &[Record], first_uid: u32) -> Result<Ledger> {
        let until = self.env.clock.monotonic() + ARRIVAL_TIME;
        let mut home = 0;
        loop {
            let found = async {
                let mut reader = imap::Reader::connect(&self.places, &self.arguments, home).await?;
                let found = reader.find(&self.run, first_uid).await?;
                let ledger = Ledger::compare(records, &found);
                let is_over = ledger.missing.is_empty() || self.env.clock.monotonic() >= until;
                if is_over && !self.arguments.keep_mail && ledger.is_sound() {
                    reader.remove(&found).await?;
                }
                Ok::<_, Error>((is_over, ledger))
            };
            match found.await {
                Ok((true, ledger)) => return Ok(ledger),
                Err(error) if self.env.clock.monotonic() >= until => return Err(error),
                Ok((false, _)) => {}
                Err(_) => home = (home + 1) % self.places.all.len(),
            }
            self.env.clock.sleep(Duration::from_millis(500)).await;
        }
    }

    /// Writes the report, shows it, and says with the exit code whether all was well.
    fn publish(&self, report: &Report) -> Result<()> {
        let (json_file, words_file) = report.write(&self.report_dir())?;
        if self.arguments.reach.output == Format::Table {
            say(report.words());
            say(format!("Reports: {} and {}", json_file.display(), words_file.display()));
        } else {
            output::show(self.arguments.reach.output, &json!(report));
        }
        match report.problems.first() {
            None => Ok(()),
            Some(problem) => Err(Error::invalid(format!("The drill found: {problem}"))),
        }
    }
}
