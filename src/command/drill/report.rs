//! The report of a drill: JSON for programs, words for people, with the same in both.

use super::choose::{Chosen, Failure};
use super::figures::Figures;
use super::imap::Found;
use super::probe::{Record, Role};
use super::watch::Watched;
use super::{Drill, choose};
use crate::node::{VERSION, ensure_data_dir};
use access_admin::ClusterView;
use base::{Error, Result, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What was acknowledged, and what was there in the end.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(super) struct Ledger {
    /// How many messages a server has taken.
    pub(super) acknowledged: usize,
    /// How many of those were there exactly once.
    pub(super) there_once: usize,
    /// Message-IDs that were acknowledged and are not there.
    pub(super) missing: Vec<String>,
    /// Message-IDs that are there more than once, acknowledged or not.
    pub(super) doubled: Vec<String>,
    /// How many messages were sent without an answer to their end; their senders would have sent
    /// them again.
    pub(super) unanswered: usize,
    /// How many of those are there.
    pub(super) unanswered_there: usize,
}

impl Ledger {
    /// Compares what was noted with what is there.
    pub(super) fn compare(records: &[Record], found: &[Found]) -> Self {
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for found in found {
            *times.entry(&found.id).or_default() += 1;
        }
        let there = |id: &String| times.get(id.as_str()).copied().unwrap_or(0);
        let acknowledged = || records.iter().flat_map(|record| &record.acknowledged);
        let unknown = || records.iter().flat_map(|record| &record.unknown);
        Self {
            acknowledged: acknowledged().count(),
            there_once: acknowledged().filter(|id| there(id) == 1).count(),
            missing: acknowledged().filter(|id| there(id) == 0).cloned().collect(),
            doubled: times.iter().filter(|(_, n)| **n > 1).map(|(id, _)| (*id).into()).collect(),
            unanswered: unknown().count(),
            unanswered_there: unknown().filter(|id| there(id) > 0).count(),
        }
    }

    /// Whether nothing is lost and nothing doubled.
    pub(super) fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.doubled.is_empty()
    }
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// `failover`, `partition` or `restart-all`.
    drill: &'static str,
    /// Whether nothing is wrong.
    passed: bool,
    /// What is wrong, most important first.
    pub(super) problems: Vec<String>,
    /// The binary's version.
    version: &'static str,
    cluster_id: String,
    /// When the probes began, UTC.
    began: String,
    /// Who ran it, as the system calls them.
    operator: String,
    /// What was done.
    failure: String,
    /// The nodes that failed.
    nodes: Vec<String>,
    /// The mailbox that probes wrote to and read.
    mailbox: String,
    /// How often each probe did something.
    every_ms: u64,
    /// From the failure to the end of everything.
    seconds: f64,
    #[serde(flatten)]
    watched: Watched,
    ledger: Ledger,
    probes: Vec<Figures>,
    /// The cluster before.
    before: ClusterView,
    /// The cluster afterwards, if somebody could tell.
    after: Option<ClusterView>,
}

impl Report {
    /// A report without figures, see [`Report::with`].
    pub(super) fn new(
        drill: &Drill,
        failure: Failure,
        chosen: &Chosen,
        (began, seconds): (Timestamp, f64),
        (before, after): (ClusterView, Option<ClusterView>),
        watched: Watched,
    ) -> Self {
        let lasted = super::seconds(failure, &drill.arguments);
        Self {
            drill: failure.word(),
            passed: false,
            problems: problems_of(failure, &watched),
            version: VERSION,
            cluster_id: before.cluster_id.clone(),
            began: utc(began),
            operator: std::env::var("USER").unwrap_or_else(|_| "unknown".to_owned()),
            failure: failure.describe(&chosen.names(), lasted),
            nodes: chosen.names(),
            mailbox: drill.arguments.mailbox.clone(),
            every_ms: drill.arguments.every_ms,
            seconds,
            watched,
            ledger: Ledger::default(),
            probes: Vec::new(),
            before,
            after,
        }
    }

    /// Adds the figures, and judges.
    pub(super) fn with(mut self, probes: Vec<Figures>, ledger: Ledger) -> Self {
        let mut problems = Vec::new();
        if !ledger.missing.is_empty() {
            let count = ledger.missing.len();
            problems.push(format!("{count} acknowledged messages are not there"));
        }
        if !ledger.doubled.is_empty() {
            problems.push(format!("{} messages are there twice", ledger.doubled.len()));
        }
        if ledger.acknowledged == 0 {
            problems.push("no message was ever accepted, so nothing is proven".to_owned());
        }
        for probe in &probes {
            let who = format!("the {} of {}", probe.who(), probe.home);
            if probe.refused > 0 {
                let count = probe.refused;
                problems.push(format!("{who} was told no, for good, {count} times"));
            }
            if !probe.recovered {
                problems.push(format!("{who} was not served again"));
            }
        }
        problems.append(&mut self.problems);
        (self.passed, self.problems) = (problems.is_empty(), problems);
        (self.probes, self.ledger) = (probes, ledger);
        self
    }

    /// Writes both files; gives their names.
    ///
    /// # Errors
    /// [`base::Kind::Invalid`] if they cannot be written.
    pub(super) fn write(&self, dir: &Path) -> Result<(PathBuf, PathBuf)> {
        ensure_data_dir(dir)?;
        let name = format!("{}-{}", self.began.replace(':', ""), self.drill);
        let file = |ending: &str| dir.join(format!("{name}.{ending}"));
        let (json_file, words_file) = (file("json"), file("md"));
        let text = serde_json::to_string_pretty(self).map_err(Error::internal)?;
        for (path, text) in [(&json_file, format!("{text}\n")), (&words_file, self.words())] {
            std::fs::write(path, text)
                .map_err(|error| Error::invalid(format!("{}: {error}", path.display())))?;
        }
        Ok((json_file, words_file))
    }

    /// The report in words, Markdown.
    pub(super) fn words(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write_words(&mut text);
        text
    }

    fn write_words(&self, to: &mut String) -> std::fmt::Result {
        let verdict = if self.passed { "passed" } else { "FAILED" };
        writeln!(to, "# Drill {}: {verdict}\n", self.drill)?;
        for problem in &self.problems {
            writeln!(to, "- **{problem}**")?;
        }
        if !self.problems.is_empty() {
            writeln!(to)?;
        }
        let (cluster, version) = (&self.cluster_id, self.version);
        writeln!(to, "| | |\n|---|---|")?;
        writeln!(to, "| began | {} |", self.began)?;
        writeln!(to, "| by | {} |", self.operator)?;
        writeln!(
            to,
            "| cluster | {cluster}, {} nodes, rialto {version} |",
            self.before.nodes.len()
        )?;
        writeln!(to, "| failure | {} |", self.failure)?;
        writeln!(to, "| noticed after | {} |", time(self.watched.detection_ms))?;
        writeln!(to, "| every slot owned again after | {} |", time(self.watched.takeover_ms))?;
        writeln!(to, "| failed nodes back after | {} |", time(self.watched.back_ms))?;
        let Ledger { acknowledged, there_once, missing, doubled, unanswered, unanswered_there } =
            &self.ledger;
        writeln!(to, "| messages acknowledged | {acknowledged} |")?;
        writeln!(to, "| of those there exactly once | {there_once} |")?;
        writeln!(to, "| lost | {} |", missing.len())?;
        writeln!(to, "| doubled | {} |", doubled.len())?;
        writeln!(
            to,
            "| sent without an answer | {unanswered}, {unanswered_there} of them there |"
        )?;
        writeln!(to, "\n## What clients noticed\n")?;
        writeln!(
            to,
            "Each client did something every {} ms in {}.\n",
            self.every_ms, self.mailbox
        )?;
        for (title, failed) in
            [("Clients of nodes that lived", false), ("Clients of nodes that failed", true)]
        {
            let probes: Vec<_> = self.probes.iter().filter(|p| p.home_failed == failed).collect();
            if probes.is_empty() {
                continue;
            }
            writeln!(to, "{title}:\n")?;
            writeln!(to, "| client | of | done | not now | no answer | longest gap | before |")?;
            writeln!(to, "|---|---|---|---|---|---|---|")?;
            for probe in probes {
                let Figures { home, done, temporary, broken, gap_ms, gap_before_ms, .. } = probe;
                let who = probe.who();
                writeln!(
                    to,
                    "| {who} | {home} | {done} | {temporary} | {broken} | {gap_ms} ms | \
                     {gap_before_ms} ms |"
                )?;
            }
            writeln!(to)?;
        }
        writeln!(to, "## What happened\n")?;
        for event in &self.watched.events {
            writeln!(to, "- {:+.3} s: {}", event.at_ms as f64 / 1_000.0, event.what)?;
        }
        Ok(())
    }
}

impl Figures {
    fn who(&self) -> &'static str {
        match self.role {
            Role::Write => "writer",
            Role::Read => "reader",
        }
    }
}

/// What is wrong with how the cluster dealt with it.
fn problems_of(failure: Failure, watched: &Watched) -> Vec<String> {
    let mut problems = Vec::new();
    if watched.detection_ms.is_none() {
        problems.push("nobody noticed the failure".to_owned());
    } else if watched.takeover_ms.is_none() {
        problems.push("some slots were left without an owner".to_owned());
    }
    if failure != choose::Failure::Kill && watched.back_ms.is_none() {
        problems.push("not all failed nodes were back in the end".to_owned());
    }
    problems
}

fn time(ms: Option<i64>) -> String {
    ms.map_or("never".to_owned(), |ms| format!("{ms} ms"))
}

/// `2030-06-15T08:00:00Z`.
fn utc(at: Timestamp) -> String {
    let time = chrono::DateTime::from_timestamp(at.unix_s(), 0).unwrap_or_default();
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(acknowledged: &[&str], unknown: &[&str]) -> Record {
        let own = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        Record {
            role: Role::Write,
            home: "a".into(),
            tries: Vec::new(),
            acknowledged: own(acknowledged),
            unknown: own(unknown),
        }
    }

    #[test]
    fn what_was_acknowledged_must_be_there_once() {
        let found = |ids: &[&str]| -> Vec<Found> {
            ids.iter().map(|id| Found { uid: 1, id: (*id).to_owned() }).collect()
        };
        let records = [record(&["1", "2"], &["3"]), record(&["4"], &[])];
        let good = Ledger::compare(&records, &found(&["1", "2", "3", "4"]));
        assert!(good.is_sound());
        assert_eq!((good.acknowledged, good.there_once, good.unanswered_there), (3, 3, 1));
        let lost = Ledger::compare(&records, &found(&["1", "4"]));
        assert_eq!((lost.missing, lost.unanswered_there), (vec!["2".to_owned()], 0));
        let doubled = Ledger::compare(&records, &found(&["1", "2", "3", "3", "4", "4"]));
        assert_eq!((doubled.doubled, doubled.there_once), (vec!["3".into(), "4".into()], 2));
    }

    #[test]
    fn times_are_written_for_everybody() {
        assert_eq!(utc(Timestamp { unix_ms: 1_907_740_800_999 }), "2030-06-15T08:00:00Z");
        assert_eq!(time(Some(-5)), "-5 ms");
    }
}
