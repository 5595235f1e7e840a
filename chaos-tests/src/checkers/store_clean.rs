//! After a crash nothing in the store is damaged, nothing panicked, and the store did not stop
//! itself (docs/operations.md).

use super::Violation;
use crate::admin::Admin;
use crate::failure::Result;

/// The checker's name.
pub const NAME: &str = "store_clean";

/// Counters that must not have moved.
const MUST_BE_ZERO: [&str; 5] = [
    "rialto_store_damaged_rows_total",
    "rialto_store_stopped_total",
    "rialto_blob_damaged_total",
    "rialto_actor_panics_total",
    "rialto_actor_failures_total",
];

/// Asks the node's counters and reads its log.
///
/// # Errors
/// If the node does not answer.
pub async fn check(admin: &Admin, log: &str) -> Result<Vec<Violation>> {
    let mut wrong = Vec::new();
    for name in MUST_BE_ZERO {
        let value = admin.metric(name).await?;
        if value != 0.0 {
            wrong.push(format!("{name} is {value}"));
        }
    }
    wrong.extend(panics(log));
    Ok(wrong.into_iter().map(|text| Violation { checker: NAME, text }).collect())
}

/// As [`check`], for a node of a cluster, where a slot may go while one of its actors starts: such
/// failures are counted, too, but only others are violations.
///
/// # Errors
/// As [`check`].
pub async fn check_member(admin: &Admin, log: &str) -> Result<Vec<Violation>> {
    let mut violations = check(admin, log).await?;
    violations.retain(|found| !found.text.starts_with("rialto_actor_failures_total"));
    let others = unfenced(log).into_iter().map(|text| Violation { checker: NAME, text });
    violations.extend(others);
    Ok(violations)
}

/// Actors that failed for another reason than that their slot has gone.
fn unfenced(log: &str) -> Vec<String> {
    let other =
        |line: &&str| line.contains("an actor failed") && !line.contains("served elsewhere");
    log.lines().filter(other).map(|line| format!("in the log: {line}")).collect()
}

fn panics(log: &str) -> Vec<String> {
    let panicked = |line: &&str| line.contains("panicked at");
    log.lines().filter(panicked).map(|line| format!("in the log: {line}")).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_panic_in_the_log_is_found() {
        let log = "rialto: ready\nthread 'main' panicked at src/x.rs:1:1:\nno\n";
        assert_eq!(super::panics(log).len(), 1);
        assert!(super::panics("all is well\n").is_empty());
    }

    #[test]
    fn an_actor_may_fail_because_its_slot_has_gone_and_for_nothing_else() {
        let fenced = "\"an actor failed\" \"This mailbox is served elsewhere (slot588)\"\n";
        assert!(super::unfenced(fenced).is_empty());
        assert_eq!(super::unfenced(&format!("{fenced}an actor failed: no idea\n")).len(), 1);
    }

    /// A counter that nobody counts is always zero.
    #[test]
    fn the_counters_are_those_of_the_product() {
        let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let mut source = String::new();
        let mut open = vec![crates];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source.push_str(&std::fs::read_to_string(path).unwrap_or_default());
            }
        }
        for name in super::MUST_BE_ZERO {
            assert!(source.contains(&format!("counter!(\"{name}\"")), "{name}");
        }
    }
}
