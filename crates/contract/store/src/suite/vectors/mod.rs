//! Replays the recorded behaviour of a real FoundationDB (`fdb-vectors/README.md`).
//!
//! A case is played if the contract has all that it needs; the others are skipped, and the
//! [`Report`] counts them by reason, so that nothing disappears silently.

mod answer;
mod player;
pub mod text;

use super::{Backend, Context};
use futures::FutureExt;
use player::Player;
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files that are replayed. `stalls` and `timing` describe a server process.
const FILES: &[&str] =
    &["rw", "conflicts", "atomic", "commit", "limits", "on_error", "versions", "watches"];

/// Cases that cannot be held to the recording, and why.
const NOT_HELD_TO: &[(&str, &str)] = &[
    ("use_during_commit", "in flight: not promised"),
    ("reset_cancels_pending_read", "in flight: not promised"),
    ("cancel_pending_read", "in flight: not promised"),
    ("cancel_during_commit", "in flight: not promised"),
    ("destroy_with_pending", "in flight: not promised"),
    ("on_error_cancels_pending", "in flight: not promised"),
    ("on_error_0_and_unknown", "no error is no error"),
    ("on_error_0", "no error is no error"),
    ("on_error_-1", "code unknown to the contract"),
    ("on_error_1100", "code unknown to the contract"),
];

/// Single steps that cannot be held to the recording: case, number of the step, and why.
const STEPS_NOT_HELD_TO: &[(&str, usize, &str)] = &[
    // The client library answers a repeated read from its cache.
    ("too_old_1007", 28, "step: a cached read of an old transaction"),
    // Ours tells the commit's error instead of waiting for ever.
    (
        "versionstamp_read_before_commit_failing_read_breaks_commit",
        6,
        "step: a stamp that is pending for ever",
    ),
];

/// How keys begin that FoundationDB answers from the client; the contract has none of them.
const SPECIAL_KEYS: &str = "abs:ffff2f";

/// Named values of a case.
#[derive(Debug, Default)]
pub struct Vars {
    /// Versions.
    pub numbers: HashMap<String, i64>,
    /// Versionstamps.
    pub stamps: HashMap<String, [u8; 10]>,
}

impl Vars {
    /// A version; `x.version` is the one in stamp `x`. Panics where it is unknown.
    pub fn number(&self, name: &str) -> i64 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let stamp = name.strip_suffix(".version").and_then(|stamp| self.stamps.get(stamp));
        let bytes = stamp.and_then(|stamp| stamp.first_chunk::<8>());
        i64::from_be_bytes(*bytes.unwrap_or_else(|| panic!("no value {name}")))
    }
}

/// Why a case is not played.
#[derive(Debug)]
struct Skip(String);

impl Skip {
    fn new(kind: &str, name: &str) -> Self {
        Self(format!("{kind}: {name}"))
    }
}

/// What a replay did.
#[derive(Debug, Default)]
pub struct Report {
    /// How many cases were played to their end.
    pub replayed: usize,
    /// How many were not, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Single steps that were left out of cases that were played, by reason.
    pub skipped_steps: BTreeMap<String, usize>,
    /// What differed: case and words.
    pub failed: Vec<(String, String)>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let skipped: usize = self.skipped.values().sum();
        write!(f, "{} replayed, {skipped} skipped", self.replayed)?;
        for (reason, count) in self.skipped.iter().chain(&self.skipped_steps) {
            write!(f, "\n  {count} {reason}")?;
        }
        for (case, words) in &self.failed {
            write!(f, "\n  FAILED {case}: {words}")?;
        }
        Ok(())
    }
}

/// Where the vectors are: `RIALTO_FDB_VECTORS`, or `../shared/fdb-vectors` beside the workspace.
pub fn directory() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/fdb-vectors");
    let path = std::env::var_os("RIALTO_FDB_VECTORS").map_or(beside, PathBuf::from);
    path.join("rw.jsonl").exists().then_some(path)
}

/// Replays all files of a directory. [`Backend::open`] must give an empty store each time.
pub async fn replay(backend: &Arc<dyn Backend>, directory: &Path) -> Report {
    let mut report = Report::default();
    for file in FILES {
        let path = directory.join(format!("{file}.jsonl"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        for line in text.lines() {
            let case: Json = serde_json::from_str(line).expect("one case per line");
            if case["steps"].is_array() {
                play(backend, file, &case, &mut report).await;
            }
        }
    }
    report
}

async fn play(backend: &Arc<dyn Backend>, file: &str, case: &Json, report: &mut Report) {
    let name = case["case"].as_str().expect("a name");
    if let Some((_, reason)) = NOT_HELD_TO.iter().find(|(held, _)| *held == name) {
        *report.skipped.entry((*reason).to_owned()).or_default() += 1;
        return;
    }
    let steps = case["steps"].as_array().expect("steps");
    if steps.iter().any(|step| step.to_string().contains(SPECIAL_KEYS)) {
        *report.skipped.entry("special key space".to_owned()).or_default() += 1;
        return;
    }
    let context = Context::new(backend.clone(), b"").await;
    let store = context.store.clone();
    let playing = async {
        let mut player = Player::new(&context, store);
        for (number, step) in steps.iter().enumerate() {
            match STEPS_NOT_HELD_TO.iter().find(|held| (held.0, held.1) == (name, number)) {
                Some((_, _, reason)) => {
                    *report.skipped_steps.entry((*reason).to_owned()).or_default() += 1;
                }
                None => player.step(step).await?,
            }
        }
        Ok::<(), Skip>(())
    };
    match AssertUnwindSafe(playing).catch_unwind().await {
        Ok(Ok(())) => report.replayed += 1,
        Ok(Err(skip)) => *report.skipped.entry(skip.0).or_default() += 1,
        Err(panic) => report.failed.push((format!("{file}/{name}"), super::words(&*panic))),
    }
}
